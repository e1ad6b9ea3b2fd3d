//! Backups that are served as volumes over NBD.

use emberkeep_model as model;
use serde::{Deserialize, Serialize};

/// A backup that is being served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// Its id.
    pub id: String,
    /// The backup.
    pub backup_id: model::BackupId,
    /// Where it is served. The name in it is a secret: NBD knows no tokens.
    pub uri: String,
    /// The volume's size.
    pub size_bytes: u64,
    /// Whether writes are taken; they are gone with the export.
    pub writable: bool,
    /// When it was asked for.
    pub created_at: String,
}

/// All that is served of a project, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportPage {
    /// The exports.
    pub exports: Vec<Export>,
}
