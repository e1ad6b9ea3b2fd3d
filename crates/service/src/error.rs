//! Why a request is refused or fails, worded for the person who asked.
//!
//! One enum for all use cases: each wire maps it, in one total `match`, to the
//! code, key and text that its clients know. Nothing here knows a status code.

use std::error::Error;

use emberkeep_catalog::CatalogError;
use emberkeep_model::{
    BackupId, CheckpointId, Gib, ProjectId, ResourceId, SnapshotId, TaskId, Vault, VaultId,
    VolumeId, VolumeTypeId,
};
use emberkeep_plan::NoRoom;

use crate::fault::Fault;
use crate::refusal::Refusal;

/// What a vault was wanted for when its status forbade it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VaultUse {
    /// To be changed or deleted.
    Change,
    /// To take a backup.
    BackUp,
    /// To restore from.
    Restore,
}

/// Why a request is refused or fails.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant is worded by its message")]
pub enum ServiceError {
    // ---- what is not there, or not the caller's ----
    #[error("Volume {0} could not be found.")]
    NoSuchVolume(VolumeId),
    #[error("Snapshot {0} could not be found.")]
    NoSuchSnapshot(SnapshotId),
    #[error("Volume type {0} could not be found.")]
    NoSuchVolumeType(String),
    #[error("Backup {0} could not be found.")]
    NoSuchBackup(BackupId),
    #[error("Vault {0} does not exist.")]
    NoSuchVault(VaultId),
    #[error("Checkpoint {0} does not exist.")]
    NoSuchCheckpoint(CheckpointId),
    #[error("Task {0} does not exist.")]
    NoSuchTask(TaskId),
    #[error("Project {0} could not be found.")]
    NoSuchProject(String),
    #[error("User {0} could not be found.")]
    NoSuchUser(String),
    /// A marker that is not in the list.
    #[error("marker {0} could not be found")]
    NoSuchMarker(String),

    // ---- malformed or out of range ----
    /// A field's value is not acceptable; `reason` is a whole clause.
    #[error("{field}: {reason}")]
    Invalid { field: &'static str, reason: String },

    // ---- volumes and snapshots ----
    #[error("Volume {id} must be {wanted}, but the current status is \"{status}\".")]
    VolumeStatus {
        id: VolumeId,
        wanted: &'static str,
        status: &'static str,
    },
    #[error(
        "New size for extend must be greater than current size. (current: {current}, extended: {wanted})."
    )]
    ExtendTooSmall { current: Gib, wanted: Gib },
    #[error("Volume type {0} is in use or is the last one.")]
    VolumeTypeInUse(VolumeTypeId),

    // ---- backups ----
    /// A volume to be backed up is neither available nor in use.
    #[error(
        "Volume to be backed up must be available or in-use, but the current status is \"{status}\"."
    )]
    BackupVolumeStatus { id: VolumeId, status: &'static str },
    #[error("Backing up an in-use volume must use the force flag.")]
    BackupNeedsForce(VolumeId),
    #[error("Volume {volume} does not match with snapshot.volume_id {snapshot_volume}.")]
    SnapshotOfOtherVolume {
        volume: VolumeId,
        snapshot_volume: VolumeId,
    },
    #[error("Snapshot to be backed up must be available, but the current status is \"{status}\".")]
    BackupSnapshotStatus {
        id: SnapshotId,
        status: &'static str,
    },
    #[error("No backups available to do an incremental backup.")]
    NoParent(VolumeId),
    /// Deleting wants a backup that is available or failed.
    #[error("Backup status must be available or error")]
    BackupNotDeletable { id: BackupId, state: &'static str },
    /// Restoring wants a backup that is available.
    #[error("Backup status must be available")]
    BackupNotRestorable { id: BackupId, state: &'static str },
    #[error("Volume to be restored to must be available")]
    RestoreTargetStatus { id: VolumeId, status: &'static str },
    #[error("volume size {have} is too small to restore backup of size {need}.")]
    RestoreTargetTooSmall { id: VolumeId, have: u32, need: u32 },
    /// The newest backup of a resource while the next one is being made.
    #[error("Backup {0} is in use by a running task.")]
    BackupInUse(BackupId),

    // ---- vaults ----
    #[error("Vault {id} is {status}.")]
    VaultStatus {
        id: VaultId,
        status: &'static str,
        wanted: VaultUse,
    },
    #[error("Vault capacity {0} GB is out of range.")]
    VaultSize(i64),
    #[error("The resources need {need} GB, but the vault has {have} GB.")]
    VaultCapacity { need: u64, have: u32 },
    #[error("Vault {0} is full.")]
    VaultFull(VaultId),
    #[error("A vault takes at most 256 resources.")]
    VaultTooManyResources,
    #[error("Resource type {given} does not fit a vault of type {vault}.")]
    ResourceType { given: String, vault: &'static str },
    #[error("Resource {resource} is in vault {vault} already.")]
    ResourceInOtherVault {
        resource: ResourceId,
        vault: VaultId,
    },
    #[error("Resource {0} is listed twice.")]
    ResourceTwice(ResourceId),
    #[error("Resource {0} is not in the vault.")]
    ResourceNotInVault(String),
    #[error("Resource {0} is being backed up or restored.")]
    ResourceBusy(ResourceId),
    #[error("Resource {0} is being removed from the vault.")]
    ResourceRemoving(ResourceId),
    #[error("The status of volume {id} is {status}: it must be available or in-use.")]
    ResourceVolumeStatus { id: VolumeId, status: &'static str },
    #[error("Vault {0} has running tasks.")]
    VaultBusy(VaultId),
    #[error("Vault {0} is locked.")]
    VaultLocked(VaultId),
    #[error("A vault of this kind takes no backups.")]
    VaultKind(VaultId),
    #[error("There is nothing to back up.")]
    NothingToBackUp,
    #[error("Volume {0} is being backed up.")]
    RestoreTargetBackingUp(VolumeId),
    #[error("Volume {0} is being restored.")]
    RestoreTargetRestoring(VolumeId),

    // ---- what only CBR has ----
    #[error(transparent)]
    Cbr(#[from] crate::CbrError),

    // ---- tasks ----
    #[error("Task {0} has ended already.")]
    TaskEnded(TaskId),

    // ---- identity ----
    /// Unknown user, wrong password, no role: all the same answer.
    #[error("The request you have made requires authentication.")]
    Unauthenticated,
    #[error("You are not authorized to perform the requested action.")]
    Forbidden,
    #[error("project {0} exists already")]
    ProjectExists(String),
    #[error("user {0} exists already")]
    UserExists(String),
    /// The caller's role is not enough for `rule`, e.g. `backup:create`.
    #[error("Policy doesn't allow {rule} to be performed.")]
    Policy { rule: &'static str },
    #[error("project {0} is not the token's project")]
    WrongProject(ProjectId),

    // ---- what only Block Storage knows ----
    #[error(transparent)]
    Storage(#[from] Refusal),

    // ---- transitions that lost a race, and our own faults ----
    #[error("it was changed by somebody else meanwhile; try again")]
    Busy,
    #[error("no space is left in the data directory")]
    NoSpace,
    /// Too little is free to begin anything that stores data.
    #[error(transparent)]
    LowSpace(#[from] crate::LowSpace),
    /// The catalogue cannot be used just now.
    #[error("the catalogue is unavailable; retry in a few seconds")]
    CatalogUnavailable(#[source] CatalogError),
    /// The disk of the catalogue is full.
    #[error("no space is left for the catalogue; delete backups or ask the operator to free space")]
    CatalogFull(#[source] CatalogError),
    #[error("the catalogue failed")]
    Catalog(#[source] CatalogError),
    #[error("an inner part failed: {0}")]
    Inner(&'static str, #[source] Box<dyn Error + Send + Sync>),
}

impl ServiceError {
    /// Returns the kind of refusal. No wildcard arm: a new variant must choose.
    pub fn fault(&self) -> Fault {
        use ServiceError as E;
        match self {
            E::NoSuchVolume(_)
            | E::NoSuchSnapshot(_)
            | E::NoSuchVolumeType(_)
            | E::NoSuchBackup(_)
            | E::NoSuchVault(_)
            | E::NoSuchCheckpoint(_)
            | E::NoSuchTask(_)
            | E::NoSuchProject(_)
            | E::NoSuchUser(_)
            | E::NoSuchMarker(_) => Fault::NotFound,
            E::Invalid { .. }
            | E::VolumeStatus { .. }
            | E::ExtendTooSmall { .. }
            | E::VolumeTypeInUse(_)
            | E::BackupVolumeStatus { .. }
            | E::BackupNeedsForce(_)
            | E::SnapshotOfOtherVolume { .. }
            | E::BackupSnapshotStatus { .. }
            | E::NoParent(_)
            | E::BackupNotDeletable { .. }
            | E::BackupNotRestorable { .. }
            | E::RestoreTargetStatus { .. }
            | E::RestoreTargetTooSmall { .. }
            | E::BackupInUse(_)
            | E::VaultStatus { .. }
            | E::VaultSize(_)
            | E::VaultCapacity { .. }
            | E::VaultFull(_)
            | E::VaultTooManyResources
            | E::ResourceType { .. }
            | E::ResourceInOtherVault { .. }
            | E::ResourceTwice(_)
            | E::ResourceNotInVault(_)
            | E::ResourceBusy(_)
            | E::ResourceRemoving(_)
            | E::ResourceVolumeStatus { .. }
            | E::VaultBusy(_)
            | E::VaultLocked(_)
            | E::VaultKind(_)
            | E::NothingToBackUp
            | E::RestoreTargetBackingUp(_)
            | E::RestoreTargetRestoring(_)
            | E::TaskEnded(_) => Fault::BadRequest,
            E::Unauthenticated => Fault::Unauthorized,
            E::Forbidden | E::Policy { .. } | E::WrongProject(_) => Fault::Forbidden,
            E::ProjectExists(_) | E::UserExists(_) | E::Busy => Fault::Conflict,
            E::Storage(refusal) => refusal.fault(),
            E::NoSpace | E::LowSpace(_) | E::CatalogFull(_) => Fault::NoSpace,
            E::CatalogUnavailable(_) => Fault::Unavailable,
            E::Cbr(error) => error.fault(),
            E::Catalog(_) | E::Inner(..) => Fault::Internal,
        }
    }
}

impl From<NoRoom> for ServiceError {
    fn from(error: NoRoom) -> Self {
        Self::VaultCapacity {
            need: error.need,
            have: error.have,
        }
    }
}

impl From<CatalogError> for ServiceError {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Stale { .. } => Self::Busy,
            full @ CatalogError::NoSpace { .. } => Self::CatalogFull(full),
            CatalogError::Unavailable { .. } | CatalogError::InUse { .. } => {
                Self::CatalogUnavailable(error)
            }
            other => Self::Catalog(other),
        }
    }
}

/// Words the refusal of a vault whose status forbids what was wanted.
pub(crate) fn vault_status(vault: &Vault, wanted: VaultUse) -> ServiceError {
    ServiceError::VaultStatus {
        id: vault.id,
        status: vault.status.as_str(),
        wanted,
    }
}

/// Refuses the value of a field; `reason` is a whole clause.
pub(crate) fn invalid(field: &'static str, reason: impl Into<String>) -> ServiceError {
    ServiceError::Invalid {
        field,
        reason: reason.into(),
    }
}

/// Joins an error and its causes in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}
