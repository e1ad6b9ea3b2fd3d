//! Who asks.

use crate::data::{Context, ReadDeleted};

impl Context {
    /// Makes one of an administrator.
    pub fn admin(user_id: &str, project_id: &str) -> Self {
        Self {
            is_admin: true,
            ..Self::user(user_id, project_id)
        }
    }

    /// Makes one of a member of a project.
    pub fn user(user_id: &str, project_id: &str) -> Self {
        Self {
            user_id: Some(user_id.to_owned()),
            project_id: Some(project_id.to_owned()),
            is_admin: false,
            read_deleted: ReadDeleted::No,
        }
    }
}
