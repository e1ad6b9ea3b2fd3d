//! Refusals that only Block Storage knows: quotas, records, attachments, types, services.

use emberkeep_model::{AttachmentId, BackupId, MessageId, VolumeId};

use crate::fault::Fault;

/// Why Block Storage refuses a request, in Cinder's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each variant is worded by its message")]
pub enum Refusal {
    // ---- what is not there ----
    #[error("Volume attachment could not be found with filter: attachment_id = {0}.")]
    NoSuchAttachment(AttachmentId),
    #[error("Message {0} could not be found.")]
    NoSuchMessage(MessageId),
    /// A part of the service that is switched off counts as not there.
    #[error("Service {0} could not be found.")]
    NoSuchService(String),
    #[error("Volume Type {volume_type} has no extra specs with key {key}.")]
    NoSuchExtraSpec { volume_type: String, key: String },
    #[error("Volume type access not found for {volume_type} / {project} combination.")]
    NoSuchTypeAccess {
        volume_type: String,
        project: String,
    },
    #[error("application credential {0} could not be found")]
    NoSuchAppCredential(String),
    #[error("Glance metadata for volume/snapshot {0} cannot be found.")]
    NoSuchImageProperty(VolumeId),
    #[error("Volume type with name {0} could not be found.")]
    NoSuchTypeNamed(String),
    #[error("Availability zone '{0}' is invalid.")]
    NoSuchZone(String),
    /// A part of the service at a host where it is not.
    #[error("Service {binary} could not be found on host {host}.")]
    NoSuchServiceAt { binary: String, host: String },

    // ---- backups ----
    #[error("Incremental backups exist for this backup.")]
    BackupHasDependents(BackupId),
    /// A chain that Cinder wrote is not here as a whole.
    #[error("backup {backup} builds on backup {parent}, which was not imported")]
    ParentMissing { backup: BackupId, parent: BackupId },
    #[error("the content of backup {0} is in the repository already")]
    NotForeign(BackupId),
    #[error("Backup status must be available and not creating.")]
    BackupNotExportable(BackupId),
    #[error("Backup already exists in database.")]
    BackupExists(BackupId),
    /// Nothing in the repository can be called available.
    #[error("Backup {0} has no content that it could be made available with.")]
    BackupWithoutContent(BackupId),
    /// A backup record that cannot be read or lacks something.
    #[error("{0}")]
    Record(&'static str),
    /// Nobody is there to take an import.
    #[error("Service {0} could not be found.")]
    NobodyImports(String),

    // ---- quotas ----
    #[error("BackupLimitExceeded: Maximum number of backups allowed ({allowed}) exceeded")]
    TooManyBackups { allowed: i64 },
    #[error(
        "VolumeBackupSizeExceedsAvailableQuota: Requested backup exceeds allowed Backup gigabytes quota. Requested {requested}G, quota is {quota}G and {consumed}G has been consumed."
    )]
    BackupsTooLarge {
        requested: u64,
        quota: i64,
        consumed: u64,
    },
    #[error(
        "VolumeLimitExceeded: Maximum number of volumes allowed ({allowed}) exceeded for quota '{name}'."
    )]
    TooManyVolumes { allowed: i64, name: String },
    #[error("SnapshotLimitExceeded: Maximum number of snapshots allowed ({allowed}) exceeded")]
    TooManySnapshots { allowed: i64 },
    #[error(
        "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed {name} quota. Requested {requested}G, quota is {quota}G and {consumed}G has been consumed."
    )]
    VolumesTooLarge {
        name: String,
        requested: u64,
        quota: i64,
        consumed: u64,
    },
    #[error(
        "VolumeSizeExceedsLimit: Requested volume size {size}G is larger than maximum allowed limit {limit}G."
    )]
    VolumeTooLarge { size: u32, limit: i64 },
    #[error(
        "Quota {name} limit must be equal or greater than existing resources. Current usage is {usage} and the requested limit is {limit}."
    )]
    QuotaBelowUsage {
        name: String,
        usage: u64,
        limit: i64,
    },
    #[error("MetadataLimitExceeded: Maximum number of metadata items exceeds {allowed}")]
    TooManyPairs { allowed: usize },
    #[error("Bad key(s) in quota set: {0}")]
    NoSuchQuota(String),
    #[error("Bad key(s) in quota class set: {0}")]
    NoSuchClassQuota(String),

    // ---- volumes, attachments, types ----
    /// A volume that cannot be deleted as it stands; by force its status is not asked.
    #[error(
        "Volume {status} must not be migrating, attached, belong to a group, have snapshots, awaiting a transfer, or be disassociated from snapshots after volume transfer.",
        status = if *.forced {
            ""
        } else {
            "status must be available or error or error_restoring or error_extending or error_managing and"
        }
    )]
    VolumeNotDeletable { forced: bool },
    #[error("Snapshot status must be available or error and must not be part of a group.")]
    SnapshotNotDeletable,
    /// What a volume is to be made from is not ready.
    #[error("Originating snapshot status must be one of 'available' values")]
    SourceSnapshotStatus,
    #[error("Originating source volume status must be one of 'available, in-use' values")]
    SourceVolumeStatus,
    #[error("Originating backup status must be one of 'available' values")]
    SourceBackupStatus,
    /// The volume would be smaller than what it is to be made from.
    #[error("{0}")]
    SmallerThanSource(String),
    #[error("{reason}")]
    Volume { id: VolumeId, reason: String },
    #[error("{0}")]
    Snapshot(String),
    #[error("{0}")]
    Attachment(String),
    #[error("Volume Type {0} already exists.")]
    TypeExists(String),
    #[error("{0}")]
    Type(String),
    #[error("Volume type access for {volume_type} / {project} combination already exists.")]
    TypeAccessExists {
        volume_type: String,
        project: String,
    },

    // ---- identity ----
    #[error("an application credential {0} exists already")]
    AppCredentialExists(String),
    #[error("The identity service cannot be reached.")]
    IdentityUnreachable,
}

impl Refusal {
    /// Returns the kind of refusal. No wildcard arm: a new variant must choose.
    pub fn fault(&self) -> Fault {
        use Refusal as R;
        match self {
            R::NoSuchAttachment(_)
            | R::NoSuchMessage(_)
            | R::NoSuchService(_)
            | R::NoSuchExtraSpec { .. }
            | R::NoSuchTypeAccess { .. }
            | R::NoSuchAppCredential(_)
            | R::NoSuchServiceAt { .. }
            | R::NoSuchTypeNamed(_)
            | R::NoSuchImageProperty(_) => Fault::NotFound,
            R::BackupHasDependents(_)
            | R::ParentMissing { .. }
            | R::NotForeign(_)
            | R::BackupNotExportable(_)
            | R::BackupExists(_)
            | R::BackupWithoutContent(_)
            | R::Record(_)
            | R::QuotaBelowUsage { .. }
            | R::NoSuchQuota(_)
            | R::NoSuchClassQuota(_)
            | R::NoSuchZone(_)
            | R::Volume { .. }
            | R::VolumeNotDeletable { .. }
            | R::SnapshotNotDeletable
            | R::SourceSnapshotStatus
            | R::SourceVolumeStatus
            | R::SourceBackupStatus
            | R::SmallerThanSource(_)
            | R::Snapshot(_)
            | R::Attachment(_)
            | R::Type(_) => Fault::BadRequest,
            R::TooManyBackups { .. }
            | R::BackupsTooLarge { .. }
            | R::TooManyVolumes { .. }
            | R::TooManySnapshots { .. }
            | R::VolumesTooLarge { .. }
            | R::TooManyPairs { .. }
            | R::VolumeTooLarge { .. } => Fault::OverQuota,
            R::TypeExists(_) | R::TypeAccessExists { .. } | R::AppCredentialExists(_) => {
                Fault::Conflict
            }
            R::NobodyImports(_) | R::IdentityUnreachable => Fault::Unavailable,
        }
    }
}
