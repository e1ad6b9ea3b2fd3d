//! Backups: one volume at one instant, always complete.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    BackupDamage, BackupId, ByteCount, CheckpointId, Gib, ObjectType, PolicyId, ProjectId, Replica,
    ResourceId, ServerFacts, SnapshotId, Timestamp, UserId, VaultId, VolumeId,
};

/// What is known of a backup once its manifest is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed {
    /// When the manifest became durable.
    pub at: Timestamp,
    /// Bytes of the volume that were read.
    pub read: ByteCount,
    /// Bytes of the volume that are not zero.
    pub data: ByteCount,
    /// Bytes of it that the repository did not know yet.
    pub new: ByteCount,
    /// Bytes written to the repository for them.
    pub stored: ByteCount,
}

impl Sealed {
    /// Vouches for content that lies elsewhere and was not read.
    pub fn unread(at: Timestamp) -> Self {
        let none = ByteCount(0);
        Self {
            at,
            read: none,
            data: none,
            new: none,
            stored: none,
        }
    }
}

/// Where one backup stands in its life.
///
/// A variant carries the facts that hold only there: an available backup always
/// has a durable manifest, a failed one always has a reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackupState {
    /// Asked for; no worker has it yet.
    Queued,
    /// A worker is reading the volume.
    Copying,
    /// Complete and readable.
    Available(Sealed),
    /// Complete once, but part of its data cannot be read any more: [`Backup::damage`] says which.
    /// The rest can, and it becomes available again once all of it can.
    Damaged(Sealed),
    /// Complete; a restore was asked for and waits.
    RestoreQueued {
        /// What is known of it.
        sealed: Sealed,
        /// Where it is being restored to.
        target: VolumeId,
    },
    /// Complete; a restore is reading it.
    Restoring {
        /// What is known of it.
        sealed: Sealed,
        /// Where it is being restored to.
        target: VolumeId,
    },
    /// Its deletion was asked for.
    DeleteQueued,
    /// A worker is deleting it.
    Deleting,
    /// Gone; the row stays for the record.
    Deleted,
    /// It could not be made.
    Failed {
        /// Why, for people.
        reason: String,
    },
}

/// What can happen to a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackupEvent {
    /// A worker took it up (or took it up again after a crash).
    Claimed,
    /// The manifest is durable.
    Sealed(Sealed),
    /// Making or deleting it failed, or was cancelled.
    Stopped {
        /// Why, for people.
        reason: String,
    },
    /// Somebody wants it back.
    RestoreAsked {
        /// Where to.
        target: VolumeId,
    },
    /// The restore ended, well or not; the backup is as good as before.
    RestoreEnded,
    /// Somebody wants it gone.
    DeleteAsked,
    /// An administrator wants it gone whatever goes on with it.
    ForceDeleteAsked,
    /// An administrator says that it is good; its manifest was found.
    ResetToAvailable(Sealed),
    /// An administrator says that it is not.
    ResetToError,
    /// What was kept elsewhere is in the repository by now.
    Adopted(Sealed),
    /// Part of its data cannot be read.
    DamageFound,
    /// All of its data can be read again.
    Healed,
    /// The manifest is gone.
    Gone,
}

/// An event that does not fit the state; nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a backup that is {state} cannot take {event}")]
pub struct BackupRefused {
    /// The state it is in.
    pub state: &'static str,
    /// What was asked.
    pub event: &'static str,
}

impl BackupState {
    /// Returns the state that follows `event`, or refuses and changes nothing.
    pub fn after(&self, event: BackupEvent) -> Result<Self, BackupRefused> {
        use {BackupEvent as E, BackupState as S};
        match (self, event) {
            (S::Queued | S::Copying, E::Claimed) => Ok(S::Copying),
            (S::RestoreQueued { sealed, target } | S::Restoring { sealed, target }, E::Claimed) => {
                Ok(S::Restoring {
                    sealed: *sealed,
                    target: *target,
                })
            }
            (S::DeleteQueued | S::Deleting, E::Claimed) => Ok(S::Deleting),
            (S::Copying, E::Sealed(sealed)) => Ok(S::Available(sealed)),
            (S::Queued | S::Copying, E::Stopped { reason }) => Ok(S::Failed { reason }),
            (S::Available(sealed), E::RestoreAsked { target }) => Ok(S::RestoreQueued {
                sealed: *sealed,
                target,
            }),
            (S::RestoreQueued { sealed, .. } | S::Restoring { sealed, .. }, E::RestoreEnded) => {
                Ok(S::Available(*sealed))
            }
            (S::Available(_) | S::Damaged(_) | S::Failed { .. }, E::DeleteAsked) => {
                Ok(S::DeleteQueued)
            }
            (S::DeleteQueued | S::Deleting, E::Stopped { reason }) => Ok(S::Failed { reason }),
            (S::DeleteQueued | S::Deleting, E::ForceDeleteAsked) => Ok(self.clone()),
            (S::Deleted, E::ForceDeleteAsked) => self.refuse(&E::ForceDeleteAsked),
            (_, E::ForceDeleteAsked) => Ok(S::DeleteQueued),
            // What is being made or removed has no content to vouch for.
            (
                S::Available(_)
                | S::Damaged(_)
                | S::RestoreQueued { .. }
                | S::Restoring { .. }
                | S::DeleteQueued
                | S::Failed { .. },
                E::ResetToAvailable(sealed),
            ) => Ok(S::Available(sealed)),
            (S::Deleted, E::ResetToError) => self.refuse(&E::ResetToError),
            (_, E::ResetToError) => Ok(S::Failed {
                reason: "set by an administrator".to_owned(),
            }),
            (S::Available(_), E::Adopted(sealed)) => Ok(S::Available(sealed)),
            (S::RestoreQueued { target, .. }, E::Adopted(sealed)) => Ok(S::RestoreQueued {
                sealed,
                target: *target,
            }),
            (S::Available(sealed) | S::Damaged(sealed), E::DamageFound) => Ok(S::Damaged(*sealed)),
            (S::Available(sealed) | S::Damaged(sealed), E::Healed) => Ok(S::Available(*sealed)),
            // A restore that is under way ends first; `Backup::take` says how.
            (S::RestoreQueued { .. } | S::Restoring { .. }, E::DamageFound | E::Healed) => {
                Ok(self.clone())
            }
            (S::Deleting, E::Gone) => Ok(S::Deleted),
            (state, event) => state.refuse(&event),
        }
    }

    fn refuse(&self, event: &BackupEvent) -> Result<Self, BackupRefused> {
        Err(BackupRefused {
            state: self.word(),
            event: event.word(),
        })
    }

    /// Returns our own word for the state, as the catalogue stores it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Copying => "copying",
            Self::Available(_) => "available",
            Self::Damaged(_) => "damaged",
            Self::RestoreQueued { .. } => "restore-queued",
            Self::Restoring { .. } => "restoring",
            Self::DeleteQueued => "delete-queued",
            Self::Deleting => "deleting",
            Self::Deleted => "deleted",
            Self::Failed { .. } => "failed",
        }
    }

    /// Returns what is known of the content, once there is any.
    pub fn sealed(&self) -> Option<Sealed> {
        match self {
            Self::Available(sealed)
            | Self::Damaged(sealed)
            | Self::RestoreQueued { sealed, .. }
            | Self::Restoring { sealed, .. } => Some(*sealed),
            Self::Queued
            | Self::Copying
            | Self::DeleteQueued
            | Self::Deleting
            | Self::Deleted
            | Self::Failed { .. } => None,
        }
    }

    /// Tells whether something is going on with it.
    pub fn is_busy(&self) -> bool {
        match self {
            Self::Queued
            | Self::Copying
            | Self::RestoreQueued { .. }
            | Self::Restoring { .. }
            | Self::DeleteQueued
            | Self::Deleting => true,
            Self::Available(_) | Self::Damaged(_) | Self::Deleted | Self::Failed { .. } => false,
        }
    }
}

impl BackupEvent {
    /// Returns the event's word, for messages.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Sealed(_) => "sealed",
            Self::Stopped { .. } => "stopped",
            Self::RestoreAsked { .. } => "restore asked",
            Self::RestoreEnded => "restore ended",
            Self::DeleteAsked => "delete asked",
            Self::ForceDeleteAsked => "force delete asked",
            Self::ResetToAvailable(_) => "reset to available",
            Self::ResetToError => "reset to error",
            Self::Adopted(_) => "adopted",
            Self::DamageFound => "damage found",
            Self::Healed => "healed",
            Self::Gone => "gone",
        }
    }
}

impl fmt::Display for BackupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Names the content of another backup: an imported record shows what was backed up under another id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentOf {
    /// The project whose key opens it.
    pub project_id: ProjectId,
    /// The backup it was made as.
    pub backup_id: BackupId,
}

/// What only CBR knows of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CbrFacts {
    /// What it is of: a volume, unless this says something else. A backup of anything else has
    /// that one's id in [`Backup::volume_id`], and only CBR shows it.
    pub kind: ObjectType,
    /// The backup of the server that this backup of a volume is part of.
    pub part_of: Option<BackupId>,
    /// What the server ran, in the backup of a server.
    pub server: Option<ServerFacts>,
    /// The policy whose run made it.
    pub policy_id: Option<PolicyId>,
    /// When it is to go by itself, fixed when it was made.
    pub expires_at: Option<Timestamp>,
    /// What it is a copy of, in the store of another region.
    pub replica: Option<Replica>,
}

/// What Cinder's records hold and our model has no use for. It is kept, so that a record that
/// came in goes out as it was.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CinderFacts {
    /// The host of the service that owns the data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The class path of the driver that wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// What that driver finds the data by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_metadata: Option<String>,
    /// How many objects the driver wrote.
    #[serde(skip_serializing_if = "is_zero")]
    pub object_count: i64,
    /// The volume that stood in for one in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temp_volume_id: Option<String>,
    /// The snapshot that did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temp_snapshot_id: Option<String>,
    /// How many others said they need it.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_dependent_backups: i64,
    /// The key that opens the volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption_key_id: Option<String>,
    /// What the volume was like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceFacts>,
    /// What another's driver keeps of it; none for a backup of our own making.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub foreign: Option<Foreign>,
    /// Columns of Cinder's row that hold what nothing else here can say, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, KeptColumn>,
}

/// What a column of Cinder's row holds where our model says something else, each as text; none is null.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct KeptColumn {
    /// What the column holds.
    pub holds: Option<String>,
    /// What the model said then; once it says something else, that is newer and counts.
    pub beside: Option<String>,
}

/// How a backup that was taken up from a record stands to what lies elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Foreign {
    /// Its content lies there alone, and it needs the backups it builds on.
    Kept(ForeignPlace),
    /// Its content is ours by now and complete. What lies there stays: others may build on it.
    Adopted(ForeignPlace),
}

/// Where a chunked driver of Cinder's keeps a backup (`cinder-backup.md §4.1`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignPlace {
    /// The driver's class path, as it was recorded.
    pub driver: String,
    /// The directory or bucket.
    pub container: String,
    /// What the names of its objects begin with.
    pub prefix: String,
}

/// What a volume was like when it was backed up; a restore puts it back (`cinder-backup.md §3.3`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SourceFacts {
    /// Its name.
    pub name: Option<String>,
    /// Its text.
    pub description: Option<String>,
    /// The tenant's pairs.
    pub metadata: BTreeMap<String, String>,
    /// The pairs of the image it came from.
    pub image_metadata: BTreeMap<String, String>,
    /// Whether a system could start from it.
    pub bootable: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// One backup. Cinder's `Backup` object and CBR's backup are two views of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Backup {
    /// Its id, the same on both wires.
    pub id: BackupId,
    /// Whose it is.
    pub project_id: ProjectId,
    /// Who made it.
    pub user_id: UserId,
    /// The volume it is of; the id of a server or file system, where `cbr.kind` says so.
    pub volume_id: VolumeId,
    /// The volume's name at that instant.
    pub volume_name: Option<String>,
    /// The lasting snapshot it was made from, if one was named.
    pub snapshot_id: Option<SnapshotId>,
    /// The vault that keeps it; none for a backup made through Cinder without one.
    pub vault_id: Option<VaultId>,
    /// The run that made it.
    pub checkpoint_id: Option<CheckpointId>,
    /// The backup whose map was the starting point: says how it was made, never
    /// that it needs the other one.
    pub parent_id: Option<BackupId>,
    /// Its name; may be missing.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Cinder's container word, kept as given.
    pub container: Option<String>,
    /// Cinder's availability zone.
    pub availability_zone: Option<String>,
    /// The tenant's own pairs.
    pub metadata: BTreeMap<String, String>,
    /// The volume's size.
    pub size: Gib,
    /// Made by a schedule, so that retention applies.
    pub automatic: bool,
    /// Where it stands.
    pub state: BackupState,
    /// Why the last operation on it failed, kept when the state moves on.
    pub fail_reason: Option<String>,
    /// The last volume it was restored to.
    pub restore_volume_id: Option<VolumeId>,
    /// The instant the data is of.
    pub data_timestamp: Timestamp,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When its row last changed.
    pub updated_at: Option<Timestamp>,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
    /// What is known of damage of its stored data; none if all of it can be read as far as was looked.
    pub damage: Option<BackupDamage>,
    /// Whose content it shows; none where that is its own.
    pub content: Option<ContentOf>,
    /// What Block Storage knows of it besides.
    pub cinder: CinderFacts,
    /// What CBR knows of it besides.
    pub cbr: CbrFacts,
    /// Counts changes of the row; the catalogue refuses a save based on an older one.
    pub revision: u64,
}

impl Backup {
    /// Makes a queued backup of which nothing else is known; `whose` are its project and its user.
    pub fn new(
        id: BackupId,
        whose: (ProjectId, UserId),
        volume_id: VolumeId,
        created_at: Timestamp,
    ) -> Self {
        let (project_id, user_id) = whose;
        Self {
            id,
            project_id,
            user_id,
            volume_id,
            volume_name: None,
            snapshot_id: None,
            vault_id: None,
            checkpoint_id: None,
            parent_id: None,
            name: None,
            description: None,
            container: None,
            availability_zone: None,
            metadata: BTreeMap::new(),
            size: Gib(0),
            automatic: false,
            state: BackupState::Queued,
            fail_reason: None,
            restore_volume_id: None,
            data_timestamp: created_at,
            created_at,
            updated_at: None,
            deleted_at: None,
            damage: None,
            content: None,
            cinder: CinderFacts::default(),
            cbr: CbrFacts::default(),
            revision: 0,
        }
    }

    /// Tells whether it was made from another one's map.
    pub fn is_incremental(&self) -> bool {
        self.parent_id.is_some()
    }

    /// Returns the id of what it is of, whatever that is.
    pub fn resource_id(&self) -> ResourceId {
        self.volume_id.into()
    }

    /// Tells whether it is the backup of one volume, as Block Storage knows them.
    pub fn is_of_volume(&self) -> bool {
        self.cbr.kind == ObjectType::Disk
    }

    /// Returns the project and the id under which the repository keeps its content.
    pub fn content(&self) -> (&ProjectId, BackupId) {
        match &self.content {
            Some(other) => (&other.project_id, other.backup_id),
            None => (&self.project_id, self.id),
        }
    }

    /// Returns where its content lies, if it is not in our repository.
    pub fn foreign(&self) -> Option<&ForeignPlace> {
        match &self.cinder.foreign {
            Some(Foreign::Kept(place)) => Some(place),
            Some(Foreign::Adopted(_)) | None => None,
        }
    }

    /// Moves it on, or refuses and changes nothing.
    pub fn take(&mut self, event: BackupEvent, now: Timestamp) -> Result<(), BackupRefused> {
        let is_reset = event == BackupEvent::ResetToError;
        let vouches = matches!(event, BackupEvent::ResetToAvailable(_));
        self.state = self.state.after(event)?;
        if vouches {
            self.damage = None;
        }
        if self.damage.is_some()
            && let BackupState::Available(sealed) = self.state
        {
            self.state = BackupState::Damaged(sealed);
        }
        match &self.state {
            // A reset tells nothing about why it failed.
            BackupState::Failed { .. } if is_reset => {}
            BackupState::Failed { reason } => self.fail_reason = Some(reason.clone()),
            BackupState::RestoreQueued { target, .. } => self.restore_volume_id = Some(*target),
            BackupState::Deleted => self.deleted_at = Some(now),
            _ => {}
        }
        self.updated_at = Some(now);
        Ok(())
    }

    /// Notes that part of its data cannot be read, or refuses and changes nothing: only what was
    /// complete can be damaged. Tells whether that was not known before.
    pub fn hurt(&mut self, damage: BackupDamage, now: Timestamp) -> Result<bool, BackupRefused> {
        let state = self.state.after(BackupEvent::DamageFound)?;
        let is_new = self.damage.is_none();
        let damage = match self.damage.take() {
            Some(known) => known.and(damage),
            None => damage,
        };
        self.fail_reason = Some(damage.summary());
        self.damage = Some(damage);
        self.state = state;
        self.updated_at = Some(now);
        Ok(is_new)
    }

    /// Forgets damage, because all of its data can be read again. Tells whether there was any.
    pub fn heal(&mut self, now: Timestamp) -> Result<bool, BackupRefused> {
        let state = self.state.after(BackupEvent::Healed)?;
        let Some(damage) = self.damage.take() else {
            return Ok(false);
        };
        if self.fail_reason == Some(damage.summary()) {
            self.fail_reason = None;
        }
        self.state = state;
        self.updated_at = Some(now);
        Ok(true)
    }
}
