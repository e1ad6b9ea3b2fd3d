//! Backups that are served as volumes over NBD.

use emberkeep_model as model;
use serde::{Deserialize, Serialize};

/// A backup that is being served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Export {
    /// Its id.
    pub id: String,
    /// The backup.
    pub backup_id: model::BackupId,
    /// Where it is served. The name in it is a secret, as NBD knows no tokens: only the answer that
    /// makes the export has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// The volume's size.
    pub size_bytes: u64,
    /// Whether writes are taken; they are gone with the export, but for an instant restore's.
    pub writable: bool,
    /// Whether it is an instant restore: kept when the service ends, and filled meanwhile.
    #[serde(default)]
    pub instant: bool,
    /// Of an instant restore: bytes that do not come from the backup any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filled_bytes: Option<u64>,
    /// Of an instant restore: whether it is whole, and needs the backup no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complete: Option<bool>,
    /// When it was asked for.
    pub created_at: String,
}

/// All that is served of a project, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExportPage {
    /// The exports.
    pub exports: Vec<Export>,
}
