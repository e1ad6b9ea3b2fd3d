//! An administrator for a catalog that came back without passwords.

use emberkeep_catalog::{Catalog, Change, Row};
use emberkeep_model::{Assignment, Project, Role, Timestamp, User};
use uuid::Uuid;

use super::context::hashed;
use crate::ServiceError;
use crate::identity::people::{FIRST_PROJECT, FIRST_USER};

/// Gives the administrator of the first run a password, and makes what is missing of user, project
/// and role.
pub async fn give_administrator(
    catalog: &dyn Catalog,
    password: &str,
    now: Timestamp,
) -> Result<(), ServiceError> {
    let mut changes = Vec::new();
    let projects = catalog.projects().await?;
    let project = match projects.into_iter().find(|one| one.name == FIRST_PROJECT) {
        Some(project) => project.id,
        None => {
            let project = Project {
                id: Uuid::new_v4().into(),
                name: FIRST_PROJECT.to_owned(),
                description: String::new(),
                enabled: true,
                created_at: now,
                revision: 0,
            };
            let id = project.id.clone();
            changes.push(Change::Insert(Row::Project(project)));
            id
        }
    };
    let password_hash = hashed(password.to_owned()).await?;
    let users = catalog.users().await?;
    let user = match users.into_iter().find(|one| one.name == FIRST_USER) {
        Some(mut user) => {
            user.password_hash = password_hash;
            user.enabled = true;
            let id = user.id.clone();
            changes.push(Change::Save(Row::User(user)));
            id
        }
        None => {
            let user = User {
                id: Uuid::new_v4().into(),
                name: FIRST_USER.to_owned(),
                password_hash,
                default_project_id: Some(project.clone()),
                enabled: true,
                created_at: now,
                revision: 0,
            };
            let id = user.id.clone();
            changes.push(Change::Insert(Row::User(user)));
            id
        }
    };
    changes.push(Change::Save(Row::Assignment(Assignment {
        user_id: user,
        project_id: project,
        role: Role::Admin,
    })));
    Ok(catalog.apply(changes).await?)
}
