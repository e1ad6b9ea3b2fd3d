//! Users, projects and roles: making them and looking them up.

use emberkeep_catalog::{CatalogError, Change, Key, Row};
use emberkeep_model::{Assignment, Project, ProjectId, Role, User, UserId};
use uuid::Uuid;

use super::change::UserChange;
use super::names::{DomainName, LONGEST_PROJECT_NAME, LONGEST_USER_NAME, Named, check_name};
use super::state::Identity;
use crate::ServiceError;

/// The names of what the first run makes.
pub(crate) const FIRST_USER: &str = "admin";
pub(crate) const FIRST_PROJECT: &str = "emberkeep";

/// What the first run made.
#[derive(Debug, Clone)]
pub struct Bootstrapped {
    /// The administrator.
    pub user: User,
    /// The administrator's project.
    pub project: Project,
}

/// A project to be made.
#[derive(Debug, Clone)]
pub struct NewProject {
    /// Its name, not yet taken.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Whether it can be used.
    pub enabled: bool,
}

/// A user to be made.
#[derive(Clone)]
pub struct NewUser {
    /// Its name, not yet taken.
    pub name: String,
    /// Its password.
    pub password: String,
    /// The project taken when a request names none.
    pub default_project_id: Option<ProjectId>,
    /// Whether it can sign in.
    pub enabled: bool,
}

impl Identity {
    /// Makes the user `admin` with its project if the catalogue has no users yet; else returns nothing.
    pub async fn bootstrap(&self, password: &str) -> Result<Option<Bootstrapped>, ServiceError> {
        if !self.catalog.users().await?.is_empty() {
            return Ok(None);
        }
        let project = self.project_row(NewProject {
            name: FIRST_PROJECT.to_owned(),
            description: "Made on the first run.".to_owned(),
            enabled: true,
        });
        let user = self
            .user_row(NewUser {
                name: FIRST_USER.to_owned(),
                password: password.to_owned(),
                default_project_id: Some(project.id.clone()),
                enabled: true,
            })
            .await?;
        let assignment = Assignment {
            user_id: user.id.clone(),
            project_id: project.id.clone(),
            role: Role::Admin,
        };
        self.catalog
            .apply(vec![
                Change::Insert(Row::Project(project.clone())),
                Change::Insert(Row::User(user.clone())),
                Change::Insert(Row::Assignment(assignment)),
            ])
            .await?;
        Ok(Some(Bootstrapped { user, project }))
    }

    /// Makes a project.
    pub async fn create_project(&self, new: NewProject) -> Result<Project, ServiceError> {
        check_name(&new.name, LONGEST_PROJECT_NAME)?;
        let project = self.project_row(new);
        self.catalog
            .apply(vec![Change::Insert(Row::Project(project.clone()))])
            .await
            .map_err(|error| match error {
                CatalogError::Exists { .. } => ServiceError::ProjectExists(project.name.clone()),
                other => other.into(),
            })?;
        Ok(project)
    }

    /// Makes a user, who has no role anywhere yet.
    pub async fn create_user(&self, new: NewUser) -> Result<User, ServiceError> {
        check_name(&new.name, LONGEST_USER_NAME)?;
        let user = self.user_row(new).await?;
        self.catalog
            .apply(vec![Change::Insert(Row::User(user.clone()))])
            .await
            .map_err(|error| match error {
                CatalogError::Exists { .. } => ServiceError::UserExists(user.name.clone()),
                other => other.into(),
            })?;
        Ok(user)
    }

    /// Gives a user a new password. Whoever knew the old one is out: the user's tokens are taken back.
    pub async fn set_password(&self, user: &UserId, password: &str) -> Result<(), ServiceError> {
        let change = UserChange {
            password: Some(password.to_owned()),
            ..UserChange::default()
        };
        self.change_user(user, change).await?;
        Ok(())
    }

    /// Gives a user a new password if `old` is the present one; else `Unauthenticated`.
    pub async fn change_password(
        &self,
        user: &UserId,
        old: String,
        new: &str,
    ) -> Result<(), ServiceError> {
        self.prove_password(None, &Named::Id(user.to_string()), &old)
            .await?;
        self.set_password(user, new).await
    }

    /// Gives a user a role in a project; having it already is fine.
    pub async fn add_role(
        &self,
        user: &UserId,
        project: &ProjectId,
        role: Role,
    ) -> Result<(), ServiceError> {
        let assignment = self.assignment(user, project, role).await?;
        self.catalog
            .apply(vec![Change::Save(Row::Assignment(assignment))])
            .await?;
        self.forget_tokens();
        Ok(())
    }

    /// Takes a role in a project from a user; returns whether there was one to take.
    pub async fn remove_role(
        &self,
        user: &UserId,
        project: &ProjectId,
        role: Role,
    ) -> Result<bool, ServiceError> {
        let assignment = self.assignment(user, project, role).await?;
        let removed = self
            .catalog
            .apply(vec![Change::Remove(Key::Assignment(assignment), 0)])
            .await;
        self.forget_tokens();
        match removed {
            Ok(()) => Ok(true),
            Err(CatalogError::Stale { .. }) => Ok(false),
            Err(other) => Err(other.into()),
        }
    }

    /// Lists the roles that were given to a user, without those they imply.
    pub async fn assignments(&self, user: &UserId) -> Result<Vec<Assignment>, ServiceError> {
        Ok(self.catalog.assignments(user).await?)
    }

    /// Lists all projects by name.
    pub async fn projects(&self) -> Result<Vec<Project>, ServiceError> {
        Ok(self.catalog.projects().await?)
    }

    /// Lists the enabled projects a user has a role in, by name.
    pub async fn projects_of(&self, user: &UserId) -> Result<Vec<Project>, ServiceError> {
        let assignments = self.catalog.assignments(user).await?;
        let mut projects = self.catalog.projects().await?;
        projects.retain(|project| {
            project.enabled
                && assignments
                    .iter()
                    .any(|given| given.project_id == project.id)
        });
        Ok(projects)
    }

    /// Lists all users by name.
    pub async fn users(&self) -> Result<Vec<User>, ServiceError> {
        Ok(self.catalog.users().await?)
    }

    /// Looks a project up by id; anything else, its name too, is `NoSuchProject`.
    pub async fn project(&self, id: &str) -> Result<Project, ServiceError> {
        let found = match id.parse::<ProjectId>() {
            Ok(id) => self.catalog.project(&id).await?,
            Err(_) => None,
        };
        found.ok_or_else(|| ServiceError::NoSuchProject(id.to_owned()))
    }

    /// Looks a user up by id; anything else, its name too, is `NoSuchUser`.
    pub async fn user(&self, id: &str) -> Result<User, ServiceError> {
        let found = match id.parse::<UserId>() {
            Ok(id) => self.catalog.user(&id).await?,
            Err(_) => None,
        };
        found.ok_or_else(|| ServiceError::NoSuchUser(id.to_owned()))
    }

    /// Finds a user as a request names it.
    pub(super) async fn find_user(&self, named: &Named) -> Result<Option<User>, ServiceError> {
        match named {
            Named::Id(id) => match id.parse::<UserId>() {
                Ok(id) => Ok(self.catalog.user(&id).await?),
                Err(_) => Ok(None),
            },
            Named::Name(name, domain) => Ok(in_domain(domain, self.catalog.users().await?)
                .into_iter()
                .find(|user| user.name == *name)),
        }
    }

    /// Finds a project as a request names it.
    pub(super) async fn find_project(
        &self,
        named: &Named,
    ) -> Result<Option<Project>, ServiceError> {
        match named {
            Named::Id(id) => match id.parse::<ProjectId>() {
                Ok(id) => Ok(self.catalog.project(&id).await?),
                Err(_) => Ok(None),
            },
            Named::Name(name, domain) => Ok(in_domain(domain, self.catalog.projects().await?)
                .into_iter()
                .find(|project| project.name == *name)),
        }
    }

    /// Returns a user's roles in a project, implied ones included, strongest first.
    pub(super) async fn roles_in(
        &self,
        user: &UserId,
        project: &ProjectId,
    ) -> Result<Vec<Role>, ServiceError> {
        let given = self.catalog.assignments(user).await?;
        let holds = |role: &&Role| {
            given
                .iter()
                .any(|given| given.project_id == *project && given.role.implied().contains(*role))
        };
        Ok(Role::ALL.iter().filter(holds).copied().collect())
    }

    /// Names a role of a user in a project, both of which must be there.
    async fn assignment(
        &self,
        user: &UserId,
        project: &ProjectId,
        role: Role,
    ) -> Result<Assignment, ServiceError> {
        let user = self.user(user.as_str()).await?;
        let project = self.project(project.as_str()).await?;
        Ok(Assignment {
            user_id: user.id,
            project_id: project.id,
            role,
        })
    }

    fn project_row(&self, new: NewProject) -> Project {
        Project {
            id: Uuid::new_v4().into(),
            name: new.name,
            description: new.description,
            enabled: new.enabled,
            created_at: self.clock.now(),
            revision: 0,
        }
    }

    async fn user_row(&self, new: NewUser) -> Result<User, ServiceError> {
        Ok(User {
            id: Uuid::new_v4().into(),
            name: new.name,
            password_hash: self.passwords.hash(new.password).await?,
            default_project_id: new.default_project_id,
            enabled: new.enabled,
            created_at: self.clock.now(),
            revision: 0,
        })
    }
}

/// Returns the rows if the domain is ours; in any other there are none.
fn in_domain<T>(domain: &DomainName, rows: Vec<T>) -> Vec<T> {
    if domain.is_ours() { rows } else { Vec::new() }
}
