//! Users, projects and roles, for administrators.

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::connection::{Call, Connection, Face};
use crate::error::SdkError;
use crate::secret::Secret;

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether it can sign in.
    #[serde(default)]
    pub enabled: bool,
    /// The project taken when a request names none.
    #[serde(default)]
    pub default_project_id: Option<String>,
}

/// A project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Free text.
    #[serde(default)]
    pub description: Option<String>,
    /// Whether it can be used.
    #[serde(default)]
    pub enabled: bool,
}

/// A role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// A role of a user in a project, by their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

    async fn list<T: serde::de::DeserializeOwned>(
        &self,
        collection: &str,
        name: Option<&str>,
    ) -> Result<Vec<T>, SdkError> {
        let call = Call::get([collection]).query("name", name);
        self.connection
            .keyed(Face::Identity, collection, &call)
            .await
    }

    /// Lists users, of one name if it is given.
    pub async fn users(&self, name: Option<&str>) -> Result<Vec<User>, SdkError> {
        self.list("users", name).await
    }

    /// Lists projects, of one name if it is given.
    pub async fn projects(&self, name: Option<&str>) -> Result<Vec<Project>, SdkError> {
        self.list("projects", name).await
    }

    /// Lists roles, of one name if it is given.
    pub async fn roles(&self, name: Option<&str>) -> Result<Vec<Role>, SdkError> {
        self.list("roles", name).await
    }

    /// Makes a user, who has no role anywhere yet.
    pub async fn create_user(
        &self,
        name: &str,
        password: &Secret,
        default_project_id: Option<&str>,
    ) -> Result<User, SdkError> {
        let body = json!({"user": {
            "name": name,
            "password": password.expose(),
            "domain_id": "default",
            "default_project_id": default_project_id,
        }});
        let call = Call::post(["users"], body);
        self.connection.keyed(Face::Identity, "user", &call).await
    }

    /// Makes a project.
    pub async fn create_project(
        &self,
        name: &str,
        description: Option<&str>,
    ) -> Result<Project, SdkError> {
        let body = json!({"project": {
            "name": name, "description": description, "domain_id": "default",
        }});
        let call = Call::post(["projects"], body);
        self.connection
            .keyed(Face::Identity, "project", &call)
            .await
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
        #[derive(Deserialize)]
        struct Named {
            #[serde(default)]
            name: String,
        }
        #[derive(Deserialize, Default)]
        struct Scope {
            project: Option<Named>,
        }
        #[derive(Deserialize)]
        struct Given {
            role: Named,
            user: Option<Named>,
            #[serde(default)]
            scope: Scope,
        }
        const KEY: &str = "role_assignments";
        let call = Call::get([KEY]).query("include_names", Some("true"));
        let given: Vec<Given> = self.connection.keyed(Face::Identity, KEY, &call).await?;
        Ok(given
            .into_iter()
            // Those of groups, domains and the system are none of ours.
            .filter_map(|one| {
                Some(Assignment {
                    user: one.user?.name,
                    project: one.scope.project?.name,
                    role: one.role.name,
                })
            })
            .collect())
    }
}
