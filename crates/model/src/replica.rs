//! Copies of backups in other regions.

use serde::{Deserialize, Serialize};

use crate::{BackupId, CheckpointId, ProjectId, VaultId};

/// Where a copy of a backup lies, and what it is a copy of. The copy is a backup of its own: it
/// stays when its source goes, and has a retention of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    /// The region whose store holds the copy.
    pub region: String,
    /// The region it came from.
    pub source_region: String,
    /// Whose the source is.
    pub source_project_id: ProjectId,
    /// The source.
    pub source_backup_id: BackupId,
    /// The run that made the source.
    pub source_checkpoint_id: Option<CheckpointId>,
    /// The vault that the source lay in.
    pub source_vault_id: Option<VaultId>,
    /// What the source was called.
    pub source_name: Option<String>,
}
