//! Who may see and change which rows.

use crate::data::{Context, ReadDeleted};
use crate::database::row::BackupRow;
use crate::error::ObjectError;

impl ReadDeleted {
    /// Tells whether a row is seen.
    pub fn shows(self, row: &BackupRow) -> bool {
        match self {
            Self::No => row.deleted == Some(false),
            Self::Yes => true,
            Self::Only => row.deleted == Some(true),
        }
    }
}

impl Context {
    fn is_user(&self) -> bool {
        let said = |id: &Option<String>| id.as_deref().is_some_and(|id| !id.is_empty());
        !self.is_admin && said(&self.user_id) && said(&self.project_id)
    }

    /// Refuses a caller who is nobody.
    pub(crate) fn require(&self) -> Result<(), ObjectError> {
        if self.is_admin || self.is_user() {
            Ok(())
        } else {
            Err(ObjectError::NotAuthorized)
        }
    }

    pub(crate) fn require_admin(&self) -> Result<(), ObjectError> {
        if self.is_admin {
            Ok(())
        } else {
            Err(ObjectError::AdminRequired)
        }
    }

    /// Refuses a member of another project.
    pub(crate) fn require_project(&self, project_id: &str) -> Result<(), ObjectError> {
        self.require()?;
        if self.is_admin || self.project_id.as_deref() == Some(project_id) {
            Ok(())
        } else {
            Err(ObjectError::NotAuthorized)
        }
    }

    /// Tells whether the caller may see a row.
    pub fn sees(&self, row: &BackupRow) -> bool {
        let own = !self.is_user() || row.project_id == self.project_id;
        own && self.read_deleted.shows(row)
    }
}
