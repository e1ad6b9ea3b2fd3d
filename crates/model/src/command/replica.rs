//! Commands about copies in other regions.

use crate::{ProjectId, VaultId};

/// Where copies go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The region.
    pub region: String,
    /// The project there.
    pub project: ProjectId,
    /// The vault for copies.
    pub vault: VaultId,
}

/// Replicates what a vault holds and the destination lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicateVault {
    /// The vault whose backups are copied.
    pub vault_id: VaultId,
    /// Where to.
    pub to: Destination,
    /// A policy is behind it: retention rules apply to the copies.
    pub automatic: bool,
}

/// Replicates one backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicateBackup {
    /// Where to.
    pub to: Destination,
    /// The copy's name; the backup's own if `None`.
    pub name: Option<String>,
    /// The copy's description.
    pub description: Option<String>,
}
