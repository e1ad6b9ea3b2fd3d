//! Commands about checkpoints.

use crate::{PolicyId, VaultId, VolumeChoice};

/// Backs up the resources of a vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCheckpoint {
    /// Which vault.
    pub vault_id: VaultId,
    /// Base name of the backups; one is made if left out.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Start from each resource's newest backup.
    pub incremental: bool,
    /// Made by a schedule.
    pub automatic: bool,
    /// Resources by their ids as given, some with a choice of volumes for this run alone; empty
    /// means all.
    pub resources: Vec<(String, Option<VolumeChoice>)>,
    /// The policy it is made for; the vault's own if it is automatic and none is named.
    pub policy_id: Option<PolicyId>,
    /// Days to keep, if limited.
    pub retention_days: Option<u32>,
}
