//! Commands about shared backups.

use crate::{MemberStatus, VaultId};

/// Accepts or rejects a shared backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberAnswer {
    /// What the receiver answers.
    pub status: MemberStatus,
    /// The vault that takes the backup.
    pub vault_id: Option<VaultId>,
}
