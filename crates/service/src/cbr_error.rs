//! Refusals that only CBR has words for: policies, tags, shares, locks, moves between vaults.

use emberkeep_model::{BackupId, PolicyId, ProjectId, VaultId};

use crate::Fault;

/// Why a request that only CBR knows is refused.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant is worded by its message")]
pub enum CbrError {
    // ---- policies ----
    #[error("Policy {0} does not exist.")]
    NoSuchPolicy(PolicyId),
    #[error("Policy {policy} is not bound to vault {vault}.")]
    PolicyNotBound { policy: PolicyId, vault: VaultId },
    #[error("A project has at most {most} policies of one kind.")]
    TooManyPolicies { most: usize },
    #[error("The destination of policy {0} cannot change while it is bound to a vault.")]
    PolicyDestination(PolicyId),
    #[error("Policy {policy} does not suit vault {vault}: {reason}.")]
    PolicyUnsuited {
        policy: PolicyId,
        vault: VaultId,
        reason: &'static str,
    },

    // ---- vaults ----
    #[error("Vault {0}, the destination, does not exist.")]
    NoSuchDestination(VaultId),
    #[error("Vault {0} takes no replicas.")]
    DestinationTakesNoReplicas(VaultId),
    #[error("Vault {0} is of another kind.")]
    DestinationKind(VaultId),
    #[error("Vault {vault} has no room for {need} GB more.")]
    DestinationFull { vault: VaultId, need: u64 },
    #[error("Vault {0} is locked and holds automatic backups that have not expired.")]
    VaultDeleteLocked(VaultId),
    #[error("Backup {0} was made automatically, its vault is locked, and it has not expired.")]
    BackupLocked(BackupId),

    // ---- tags ----
    #[error("A vault has at most {most} tags.")]
    TooManyTags { most: usize },
    #[error("There is no tag with the key '{0}'.")]
    NoSuchTag(String),

    // ---- shares ----
    #[error("A backup is shared with at most {most} projects.")]
    TooManyShares { most: usize },
    #[error("Backup {id} is {state}; only an available one can be shared.")]
    ShareStatus { id: BackupId, state: &'static str },
    #[error("Backup {backup} is shared with project {project} already.")]
    SharedAlready {
        backup: BackupId,
        project: ProjectId,
    },
    #[error("A backup cannot be shared with project '{0}'.")]
    ShareProject(String),
    #[error("There is no share '{0}' of this backup.")]
    NoSuchMember(String),
    #[error("The share cannot be changed so: {0}.")]
    MemberUpdate(&'static str),
    #[error("Backup {0} belongs to another project and cannot be shared on.")]
    NotShareable(BackupId),
    #[error("Vault {0} does not take this kind of backup.")]
    MemberVaultKind(VaultId),
}

impl CbrError {
    /// Returns the kind of refusal.
    pub fn fault(&self) -> Fault {
        match self {
            Self::NoSuchPolicy(_)
            | Self::PolicyNotBound { .. }
            | Self::NoSuchTag(_)
            | Self::NoSuchMember(_) => Fault::NotFound,
            Self::TooManyPolicies { .. }
            | Self::TooManyTags { .. }
            | Self::TooManyShares { .. } => Fault::OverQuota,
            Self::PolicyDestination(_)
            | Self::PolicyUnsuited { .. }
            | Self::NoSuchDestination(_)
            | Self::DestinationTakesNoReplicas(_)
            | Self::DestinationKind(_)
            | Self::DestinationFull { .. }
            | Self::VaultDeleteLocked(_)
            | Self::BackupLocked(_)
            | Self::ShareStatus { .. }
            | Self::SharedAlready { .. }
            | Self::ShareProject(_)
            | Self::MemberUpdate(_)
            | Self::NotShareable(_)
            | Self::MemberVaultKind(_) => Fault::BadRequest,
        }
    }
}
