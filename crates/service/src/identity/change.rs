//! Changing and deleting users and projects.

use emberkeep_catalog::{BackupQuery, CatalogError, Change, Key, Row, VolumeQuery};
use emberkeep_model::{Project, ProjectId, User, UserId};

use super::names::{LONGEST_PROJECT_NAME, LONGEST_USER_NAME, check_name};
use super::state::Identity;
use crate::ServiceError;

/// What is to change about a user; what is none stays.
#[derive(Clone, Default)]
pub struct UserChange {
    /// Another name.
    pub name: Option<String>,
    /// Another password.
    pub password: Option<String>,
    /// Another project to be taken when a request names none, or no such.
    pub default_project_id: Option<Option<ProjectId>>,
    /// Whether it can sign in.
    pub enabled: Option<bool>,
}

/// What is to change about a project; what is none stays.
#[derive(Debug, Clone, Default)]
pub struct ProjectChange {
    /// Another name.
    pub name: Option<String>,
    /// Other words about it.
    pub description: Option<String>,
    /// Whether it can be used.
    pub enabled: Option<bool>,
}

impl Identity {
    /// Changes a user. A new password takes the user's tokens back, and so does being disabled.
    pub async fn change_user(
        &self,
        user: &UserId,
        change: UserChange,
    ) -> Result<User, ServiceError> {
        let mut row = self.user(user.as_str()).await?;
        let shut_out = change.password.is_some() || change.enabled == Some(false);
        if let Some(name) = change.name {
            check_name(&name, LONGEST_USER_NAME)?;
            row.name = name;
        }
        if let Some(password) = change.password {
            row.password_hash = self.passwords.hash(password).await?;
        }
        row.default_project_id = change.default_project_id.unwrap_or(row.default_project_id);
        row.enabled = change.enabled.unwrap_or(row.enabled);
        let name = row.name.clone();
        let saved = self.apply_one(Change::Save(Row::User(row))).await;
        if shut_out && saved.is_ok() {
            self.catalog.revoke_tokens(user).await?;
        }
        self.forget_tokens();
        saved?.map_err(|Taken| ServiceError::UserExists(name))?;
        self.user(user.as_str()).await
    }

    /// Deletes a user with all that is theirs here: roles, application credentials, tokens.
    pub async fn delete_user(&self, user: &UserId) -> Result<(), ServiceError> {
        let row = self.user(user.as_str()).await?;
        let given = self.catalog.assignments(user).await?;
        let mut changes: Vec<Change> = given
            .into_iter()
            .map(|given| Change::Remove(Key::Assignment(given), 0))
            .collect();
        for credential in self.catalog.app_credentials(user).await? {
            let key = Key::AppCredential(credential.id);
            changes.push(Change::Remove(key, credential.revision));
        }
        changes.push(Change::Remove(Key::User(row.id), row.revision));
        self.remove(changes).await?;
        self.catalog.revoke_tokens(user).await?;
        self.forget_tokens();
        Ok(())
    }

    /// Changes a project. A disabled one can be used by nobody.
    pub async fn change_project(
        &self,
        project: &ProjectId,
        change: ProjectChange,
    ) -> Result<Project, ServiceError> {
        let mut row = self.project(project.as_str()).await?;
        if let Some(name) = change.name {
            check_name(&name, LONGEST_PROJECT_NAME)?;
            row.name = name;
        }
        row.description = change.description.unwrap_or(row.description);
        row.enabled = change.enabled.unwrap_or(row.enabled);
        let name = row.name.clone();
        let saved = self.apply_one(Change::Save(Row::Project(row))).await;
        self.forget_tokens();
        saved?.map_err(|Taken| ServiceError::ProjectExists(name))?;
        self.project(project.as_str()).await
    }

    /// Deletes a project that holds nothing any more, and everybody's roles in it.
    ///
    /// One with volumes or backups is refused: nobody could reach them any longer.
    pub async fn delete_project(&self, project: &ProjectId) -> Result<(), ServiceError> {
        let row = self.project(project.as_str()).await?;
        let volumes = VolumeQuery {
            project: Some(row.id.clone()),
            ..VolumeQuery::default()
        };
        let backups = BackupQuery {
            project: Some(row.id.clone()),
            ..BackupQuery::default()
        };
        if !self.catalog.volumes(&volumes).await?.items.is_empty()
            || !self.catalog.backups(&backups).await?.items.is_empty()
        {
            return Err(ServiceError::Invalid {
                field: "project",
                reason: format!("'{}' still holds volumes or backups", row.name),
            });
        }
        let mut changes = Vec::new();
        for user in self.catalog.users().await? {
            let given = self.catalog.assignments(&user.id).await?;
            let there = given.into_iter().filter(|one| one.project_id == row.id);
            changes.extend(there.map(|one| Change::Remove(Key::Assignment(one), 0)));
            for credential in self.catalog.app_credentials(&user.id).await? {
                if credential.project_id == row.id {
                    let key = Key::AppCredential(credential.id);
                    changes.push(Change::Remove(key, credential.revision));
                }
            }
        }
        changes.push(Change::Remove(Key::Project(row.id), row.revision));
        self.remove(changes).await?;
        self.forget_tokens();
        Ok(())
    }

    /// Makes one change; the inner error is a name that somebody else has.
    async fn apply_one(&self, change: Change) -> Result<Result<(), Taken>, ServiceError> {
        match self.catalog.apply(vec![change]).await {
            Ok(()) => Ok(Ok(())),
            Err(CatalogError::Exists { .. }) => Ok(Err(Taken)),
            Err(CatalogError::Stale { .. }) => Err(ServiceError::Busy),
            Err(other) => Err(other.into()),
        }
    }

    /// Makes changes that remove things; who loses a race must ask again.
    async fn remove(&self, changes: Vec<Change>) -> Result<(), ServiceError> {
        match self.catalog.apply(changes).await {
            Ok(()) => Ok(()),
            Err(CatalogError::Stale { .. }) => Err(ServiceError::Busy),
            Err(other) => Err(other.into()),
        }
    }
}

/// A name is somebody else's.
struct Taken;
