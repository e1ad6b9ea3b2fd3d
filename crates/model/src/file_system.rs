//! File systems: directories that are backed up as trees of files.

use std::collections::BTreeMap;

use crate::{FileSystemId, Gib, ProjectId, Timestamp, UserId};

/// A directory that an operator has entrusted to a project.
#[derive(Debug, Clone, PartialEq)]
pub struct FileSystem {
    /// Its id.
    pub id: FileSystemId,
    /// Whose it is.
    pub project_id: ProjectId,
    /// Who registered it.
    pub user_id: UserId,
    /// Its name.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Where it lies, below one of the roots that the operator allows.
    pub path: String,
    /// What its files took when somebody last looked, in whole GiB.
    pub size: Gib,
    /// The tenant's own pairs.
    pub metadata: BTreeMap<String, String>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When its row last changed.
    pub updated_at: Option<Timestamp>,
    /// See [`crate::Volume::revision`].
    pub revision: u64,
}
