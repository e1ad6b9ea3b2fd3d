//! Users, projects and roles, for administrators.

use emberkeep_wire::identity::{ProjectCreate, RoleAssignmentView, UserCreate};
use emberkeep_wire::keyed::{Keyed, Many};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::connection::{Call, Connection, Face};
use crate::error::SdkError;
use crate::secret::Secret;

// One definition of each shape: what the service writes is what this client reads.
pub use emberkeep_wire::identity::{
    Links, ProjectView as Project, RoleView as Role, UserView as User,
};

/// A role of a user in a project, by their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Assignment {
    /// Whose.
    pub user: String,
    /// Where.
    pub project: String,
    /// Which.
    pub role: String,
}

/// The identity API of a connection.
#[derive(Debug, Clone)]
pub struct Identity {
    connection: Connection,
}

impl Identity {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection }
    }

    async fn one<T: Keyed + DeserializeOwned>(&self, call: Call) -> Result<T, SdkError> {
        self.connection.keyed(Face::Identity, &call).await
    }

    /// Lists lie under the word that their address ends in.
    async fn list<T: Many + DeserializeOwned>(
        &self,
        name: Option<&str>,
    ) -> Result<Vec<T>, SdkError> {
        self.one(Call::get([T::LIST_KEY]).query("name", name)).await
    }

    /// Lists users, of one name if it is given.
    pub async fn users(&self, name: Option<&str>) -> Result<Vec<User>, SdkError> {
        self.list(name).await
    }

    /// Lists projects, of one name if it is given.
    pub async fn projects(&self, name: Option<&str>) -> Result<Vec<Project>, SdkError> {
        self.list(name).await
    }

    /// Lists roles, of one name if it is given.
    pub async fn roles(&self, name: Option<&str>) -> Result<Vec<Role>, SdkError> {
        self.list(name).await
    }

    /// Makes a user, who has no role anywhere yet.
    pub async fn create_user(
        &self,
        name: &str,
        password: &Secret,
        default_project_id: Option<&str>,
    ) -> Result<User, SdkError> {
        let body = UserCreate {
            name: name.to_owned(),
            password: emberkeep_wire::identity::Secret(password.expose().to_owned()),
            default_project_id: default_project_id.map(str::to_owned),
            enabled: true,
        };
        self.one(Call::post(["users"], &body)).await
    }

    /// Makes a project.
    pub async fn create_project(
        &self,
        name: &str,
        description: Option<&str>,
    ) -> Result<Project, SdkError> {
        let body = ProjectCreate {
            name: name.to_owned(),
            description: description.unwrap_or_default().to_owned(),
            enabled: true,
        };
        self.one(Call::post(["projects"], &body)).await
    }

    /// Gives a user a role in a project; all three by id.
    pub async fn add_role(&self, user: &str, project: &str, role: &str) -> Result<(), SdkError> {
        self.change_role(Method::PUT, user, project, role).await
    }

    /// Takes a role in a project from a user; all three by id.
    pub async fn remove_role(&self, user: &str, project: &str, role: &str) -> Result<(), SdkError> {
        self.change_role(Method::DELETE, user, project, role).await
    }

    async fn change_role(
        &self,
        method: Method,
        user: &str,
        project: &str,
        role: &str,
    ) -> Result<(), SdkError> {
        let path = ["projects", project, "users", user, "roles", role];
        self.connection
            .done(Face::Identity, &Call::new(method, path))
            .await
    }

    /// Lists who has which role where.
    pub async fn assignments(&self) -> Result<Vec<Assignment>, SdkError> {
        let call = Call::get([RoleAssignmentView::LIST_KEY]).query("include_names", Some("true"));
        let given: Vec<RoleAssignmentView> = self.one(call).await?;
        Ok(given
            .into_iter()
            // Those of groups, domains and the system are none of ours.
            .filter_map(|one| {
                Some(Assignment {
                    user: one.user?.name.unwrap_or_default(),
                    project: one.scope.project?.name.unwrap_or_default(),
                    role: one.role.name.unwrap_or_default(),
                })
            })
            .collect())
    }
}
