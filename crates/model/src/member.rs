//! The sharing of one backup with one other project.

use crate::words::words;
use crate::{BackupId, MemberId, ProjectId, Timestamp, VaultId};

words! {
    /// What the receiver of a shared backup says to it (`cbr-v3.md §1.6`).
    MemberStatus as "member status" {
        /// Nothing yet.
        Pending = "pending",
        /// It is in one of the receiver's vaults.
        Accepted = "accepted",
        /// It is not wanted.
        Rejected = "rejected",
    }
}

/// A backup shared with another project. There is one for each backup and project at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: MemberId,
    /// The backup.
    pub backup_id: BackupId,
    /// Whom it is shared with.
    pub dest_project_id: ProjectId,
    /// What they say.
    pub status: MemberStatus,
    /// The vault of theirs that shows it; an accepted share has one.
    pub vault_id: Option<VaultId>,
    /// When it was shared.
    pub created_at: Timestamp,
    /// When they last answered.
    pub updated_at: Option<Timestamp>,
    /// See [`crate::Volume::revision`].
    pub revision: u64,
}
