//! Refusals that only CBR has words for: policies, tags, shares, locks, moves between vaults.

use emberkeep_model::{
    BackupId, FileSystemId, PolicyId, ProjectId, ResourceId, ServerId, VaultId, VolumeId,
};

use crate::fault::Fault;

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
    #[error("Vault {0} is for copies and holds no resources.")]
    VaultForCopies(VaultId),
    #[error("Vault {0} takes no replicas.")]
    DestinationTakesNoReplicas(VaultId),
    #[error("Vault {0} is of another kind.")]
    DestinationKind(VaultId),
    #[error("Vault {0} takes copies of other kinds of backups.")]
    DestinationCheck(VaultId),
    #[error("Nothing can be copied to region '{0}'.")]
    NoSuchRegion(String),
    #[error("Project {0} does not take copies from this one.")]
    DestinationProject(ProjectId),
    #[error("Vault {0} holds copies, which are not copied again.")]
    VaultNotReplicable(VaultId),
    #[error("Backup {0} is a copy, which is not copied again.")]
    ReplicaOfReplica(BackupId),
    #[error("Backup {0} is part of another one or lies elsewhere, and cannot be copied alone.")]
    NotReplicable(BackupId),
    #[error("Backup {id} is {state}; only an available one can be copied.")]
    ReplicaStatus { id: BackupId, state: &'static str },
    #[error("Region '{region}' has a copy of backup {backup} already.")]
    ReplicatedAlready { backup: BackupId, region: String },
    #[error("Vault {vault} has no room for {need} GB more.")]
    DestinationFull { vault: VaultId, need: u64 },
    #[error("Vault {0} is locked and holds automatic backups that have not expired.")]
    VaultDeleteLocked(VaultId),
    #[error("Backup {0} was made automatically, its vault is locked, and it has not expired.")]
    BackupLocked(BackupId),
    #[error("Backup {backup} stays as long as its vault {vault} is {status}.")]
    VaultKeeps {
        backup: BackupId,
        vault: VaultId,
        status: &'static str,
    },
    #[error("Vault {vault} is locked, and policy {policy} would drop backups that stay now.")]
    PolicyDropsLocked { policy: PolicyId, vault: VaultId },
    #[error("The metadata of backup {id} cannot be had: {reason}.")]
    NoMetadata { id: BackupId, reason: &'static str },

    // ---- servers and file systems ----
    #[error("Server {0} does not exist.")]
    NoSuchServer(ServerId),
    #[error("File system {0} does not exist.")]
    NoSuchFileSystem(FileSystemId),
    #[error("Volume {volume} belongs to server {server} already.")]
    VolumeInServer { volume: VolumeId, server: ServerId },
    #[error(
        "The status of volume {volume} of server {server} is {status}: it must be available or in-use."
    )]
    ServerStatus {
        server: ServerId,
        volume: VolumeId,
        status: &'static str,
    },
    #[error("Server {0} has no disk that is to be backed up.")]
    NoDisks(ServerId),
    #[error("Backup {part} is part of backup {whole}, a server's, and goes with it.")]
    PartOfServer { part: BackupId, whole: BackupId },
    #[error("Disk {volume} does not belong to server {server}.")]
    TargetOtherServer { volume: VolumeId, server: ServerId },
    #[error("The backup cannot be restored to {0}: that is of another kind.")]
    TargetKind(ResourceId),
    #[error("Disk {0} is the server's system disk; the backup is of a data disk.")]
    TargetSystemDisk(VolumeId),
    #[error("The directory cannot be used: {0}.")]
    Directory(String),

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
    #[error(
        "Backup {0} belongs to another project or is part of another backup and cannot be shared."
    )]
    NotShareable(BackupId),
    #[error("Vault {0} does not take this kind of backup.")]
    MemberVaultKind(VaultId),
}

impl CbrError {
    /// Returns the kind of refusal.
    pub fn fault(&self) -> Fault {
        match self {
            Self::NoSuchPolicy(_)
            | Self::NoSuchServer(_)
            | Self::NoSuchFileSystem(_)
            | Self::PolicyNotBound { .. }
            | Self::NoSuchTag(_)
            | Self::NoSuchMember(_) => Fault::NotFound,
            Self::TooManyPolicies { .. }
            | Self::TooManyTags { .. }
            | Self::TooManyShares { .. } => Fault::OverQuota,
            Self::VolumeInServer { .. } => Fault::Conflict,
            Self::PolicyDestination(_)
            | Self::PolicyUnsuited { .. }
            | Self::NoSuchDestination(_)
            | Self::VaultForCopies(_)
            | Self::DestinationTakesNoReplicas(_)
            | Self::DestinationKind(_)
            | Self::DestinationCheck(_)
            | Self::NoSuchRegion(_)
            | Self::DestinationProject(_)
            | Self::VaultNotReplicable(_)
            | Self::ReplicaOfReplica(_)
            | Self::NotReplicable(_)
            | Self::ReplicaStatus { .. }
            | Self::ReplicatedAlready { .. }
            | Self::DestinationFull { .. }
            | Self::VaultDeleteLocked(_)
            | Self::VaultKeeps { .. }
            | Self::PolicyDropsLocked { .. }
            | Self::NoMetadata { .. }
            | Self::ServerStatus { .. }
            | Self::NoDisks(_)
            | Self::PartOfServer { .. }
            | Self::TargetOtherServer { .. }
            | Self::TargetKind(_)
            | Self::TargetSystemDisk(_)
            | Self::Directory(_)
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
