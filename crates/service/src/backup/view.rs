//! What the service answers with, where a bare row is not enough.

use emberkeep_model::{
    Backup, Checkpoint, PolicyId, Progress, ResourceUsage, TaskId, Vault, VaultResource,
    VaultUsage, Volume,
};

/// A vault with what it holds.
#[derive(Debug, Clone)]
pub struct VaultView {
    /// The vault.
    pub vault: Vault,
    /// What it holds in all.
    pub usage: VaultUsage,
    /// Its resources, in the order they were added, each with what is stored for it.
    pub resources: Vec<(VaultResource, ResourceUsage)>,
    /// The backup policy bound to it.
    pub backup_policy_id: Option<PolicyId>,
}

/// A checkpoint with the vault it is of.
#[derive(Debug, Clone)]
pub struct CheckpointView {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// Its vault; none once that is gone.
    pub vault: Option<VaultView>,
}

/// A backup with what is going on with it.
#[derive(Debug, Clone)]
pub struct BackupView {
    /// The backup.
    pub backup: Backup,
    /// How far the running task on it has come, if one runs.
    pub progress: Option<Progress>,
    /// Whether a system can start from what it is of.
    pub bootable: bool,
    /// Its copies in other regions, newest first; of a copy, itself.
    pub copies: Vec<Backup>,
    /// The backups of a server's volumes, in the server's order.
    pub parts: Vec<BackupView>,
}

/// A restore that was begun.
#[derive(Debug, Clone)]
pub struct Restore {
    /// The backup.
    pub backup: Backup,
    /// The target.
    pub volume: Volume,
    /// The task that does it.
    pub task_id: TaskId,
}
