//! Tasks: everything slow, as rows that survive a crash.

use serde::{Deserialize, Serialize};

use crate::{
    BackupId, Caller, CheckpointId, Gib, ObjectType, PolicyId, ProjectId, ResourceId, SnapshotId,
    TaskId, Timestamp, UserId, VaultId, VolumeId,
};

/// What a task has to do. Stored whole with the task; each kind's steps may run twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Work {
    /// Make the bytes of a new volume.
    CreateVolume {
        /// The volume.
        volume_id: VolumeId,
        /// Where its bytes come from.
        source: VolumeSource,
    },
    /// Make a volume larger.
    ExtendVolume {
        /// The volume.
        volume_id: VolumeId,
        /// The new size.
        size: Gib,
    },
    /// Remove a volume.
    DeleteVolume {
        /// The volume.
        volume_id: VolumeId,
    },
    /// Take a lasting snapshot.
    CreateSnapshot {
        /// The snapshot.
        snapshot_id: SnapshotId,
    },
    /// Remove a lasting snapshot.
    DeleteSnapshot {
        /// The snapshot.
        snapshot_id: SnapshotId,
    },
    /// Back up one volume.
    Backup {
        /// The backup.
        backup_id: BackupId,
    },
    /// Write a backup to a volume.
    Restore {
        /// The backup.
        backup_id: BackupId,
        /// The target.
        volume_id: VolumeId,
        /// The target was made for this restore and holds nothing yet.
        fresh: bool,
    },
    /// Delete a backup.
    DeleteBackup {
        /// The backup.
        backup_id: BackupId,
    },
    /// Look at a backup that lies elsewhere and was taken up from a record.
    ImportBackup {
        /// The backup.
        backup_id: BackupId,
    },
    /// Copy a backup that lies elsewhere into the repository.
    AdoptBackup {
        /// The backup.
        backup_id: BackupId,
    },
    /// Copy a backup to the store of another region.
    Replicate {
        /// The copy, whose row says what it is a copy of.
        backup_id: BackupId,
        /// What the backup is of; not the task's own, since a copy keeps no backup from being made.
        volume_id: VolumeId,
    },
    /// Bring the rows of copies in line with what the stores of other regions hold.
    SyncReplicas {
        /// The vault that takes them.
        vault_id: VaultId,
        /// What was found; empty until it is done.
        #[serde(default)]
        found: Synced,
    },
    /// Take resources out of a vault with all their backups in it.
    RemoveResources {
        /// The vault.
        vault_id: VaultId,
        /// The resources.
        #[serde(alias = "volume_ids")]
        resource_ids: Vec<ResourceId>,
        /// Their names, in the same order: nothing knows them any more afterwards.
        #[serde(default)]
        names: Vec<Option<String>>,
    },
    /// Delete a vault with all its backups.
    DeleteVault {
        /// The vault.
        vault_id: VaultId,
        /// Its backups.
        #[serde(default)]
        backups: Emptied,
    },
    /// Move the day on which the backups of a vault go. Done when it is asked for: its task is a
    /// record alone.
    MoveExpiry {
        /// The vault.
        vault_id: VaultId,
        /// How many backups it concerned.
        backups: u64,
        /// The day, as it was given.
        day: String,
    },
    /// Free what no backup of the project names.
    Sweep,
}

/// Where the bytes of a new volume come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum VolumeSource {
    /// Nowhere: it reads as zeroes.
    Empty,
    /// A lasting snapshot.
    Snapshot {
        /// The snapshot.
        snapshot_id: SnapshotId,
    },
    /// Another volume.
    Volume {
        /// The volume.
        volume_id: VolumeId,
    },
}

/// What bringing rows in line with stores came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Synced {
    /// Copies that had no row.
    pub added: u64,
    /// Rows whose copy is gone.
    pub gone: u64,
    /// Copies that could not be read.
    pub unreadable: u64,
}

/// How many backups go with a vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Emptied {
    /// How many there were when it was asked for; tasks of before do not know.
    pub total: Option<u64>,
    /// How many of them were still there when it had failed.
    pub left: u64,
}

impl Work {
    /// The words of all kinds of work; [`Work::word`] returns one of them.
    pub const WORDS: [&'static str; 16] = [
        "create_volume",
        "extend_volume",
        "delete_volume",
        "create_snapshot",
        "delete_snapshot",
        "backup",
        "restore",
        "delete_backup",
        "import_backup",
        "adopt_backup",
        "replicate",
        "sync_replicas",
        "remove_resources",
        "delete_vault",
        "move_expiry",
        "sweep",
    ];

    /// Returns the word for the kind of work, as the catalogue and the logs use it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::CreateVolume { .. } => "create_volume",
            Self::ExtendVolume { .. } => "extend_volume",
            Self::DeleteVolume { .. } => "delete_volume",
            Self::CreateSnapshot { .. } => "create_snapshot",
            Self::DeleteSnapshot { .. } => "delete_snapshot",
            Self::Backup { .. } => "backup",
            Self::Restore { .. } => "restore",
            Self::DeleteBackup { .. } => "delete_backup",
            Self::ImportBackup { .. } => "import_backup",
            Self::AdoptBackup { .. } => "adopt_backup",
            Self::Replicate { .. } => "replicate",
            Self::SyncReplicas { .. } => "sync_replicas",
            Self::RemoveResources { .. } => "remove_resources",
            Self::DeleteVault { .. } => "delete_vault",
            Self::MoveExpiry { .. } => "move_expiry",
            Self::Sweep => "sweep",
        }
    }
}

/// The right to work on a task, until it runs out. The generation fences: it grows
/// with each claim, and every later write of the worker is refused once it has grown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Who holds it.
    pub worker: String,
    /// When it runs out unless renewed.
    pub until: Timestamp,
}

/// Where a task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskState {
    /// Nobody works on it.
    Waiting,
    /// A worker holds it.
    Running(Lease),
    /// Done.
    Succeeded,
    /// Ended with a reason.
    Failed {
        /// Why, for people.
        reason: String,
    },
    /// Ended because it took longer than a task may.
    TimedOut {
        /// How long that is, for people.
        reason: String,
    },
    /// Ended because somebody asked so.
    Cancelled,
    /// Never begun, with the reason why.
    Skipped {
        /// Why, for people.
        reason: String,
    },
}

impl TaskState {
    /// Returns the state's word, as the catalogue stores it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running(_) => "running",
            Self::Succeeded => "succeeded",
            Self::Failed { .. } => "failed",
            Self::TimedOut { .. } => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Skipped { .. } => "skipped",
        }
    }

    /// Tells whether it is over.
    pub fn has_ended(&self) -> bool {
        match self {
            Self::Waiting | Self::Running(_) => false,
            Self::Succeeded
            | Self::Failed { .. }
            | Self::TimedOut { .. }
            | Self::Cancelled
            | Self::Skipped { .. } => true,
        }
    }
}

/// How far a task has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Bytes dealt with.
    pub bytes_done: u64,
    /// Bytes in all; 0 while unknown.
    pub bytes_total: u64,
    /// Bytes a second of late.
    pub bytes_per_sec: u64,
}

impl Progress {
    /// Returns whole percent, 0 to 100.
    pub fn percent(&self) -> u8 {
        if self.bytes_total == 0 {
            return 0;
        }
        let percent = u128::from(self.bytes_done) * 100 / u128::from(self.bytes_total);
        u8::try_from(percent.min(100)).unwrap_or(100)
    }
}

/// One piece of slow work.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// Whose it is.
    pub project_id: ProjectId,
    /// Who asked for it.
    pub user_id: UserId,
    /// The request that asked for it.
    pub request_id: String,
    /// What to do.
    pub work: Work,
    /// Where it stands.
    pub state: TaskState,
    /// Grows with each claim; see [`Lease`].
    pub generation: u64,
    /// How far it has come.
    pub progress: Progress,
    /// Somebody wants it to stop.
    pub cancel_asked: bool,
    /// Not to be claimed before this instant.
    pub not_before: Timestamp,
    /// The kind of thing that `volume_id` names: a volume, unless this says something else.
    pub object_type: ObjectType,
    /// The volume it is about.
    pub volume_id: Option<VolumeId>,
    /// That volume's name, kept for the record.
    pub volume_name: Option<String>,
    /// The backup it is about.
    pub backup_id: Option<BackupId>,
    /// That backup's name, kept for the record.
    pub backup_name: Option<String>,
    /// The vault it is about.
    pub vault_id: Option<VaultId>,
    /// That vault's name, kept for the record.
    pub vault_name: Option<String>,
    /// The checkpoint it is part of.
    pub checkpoint_id: Option<CheckpointId>,
    /// The policy it was begun by.
    pub policy_id: Option<PolicyId>,
    /// What it has to tell beside how it ended: things that are not quite as they were.
    pub notes: Vec<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it was first claimed.
    pub started_at: Option<Timestamp>,
    /// When its row last changed.
    pub updated_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// See [`crate::Volume::revision`].
    pub revision: u64,
}

impl Task {
    /// Makes a waiting task that is about nothing yet, asked for by `caller`.
    pub fn new(id: TaskId, caller: &Caller, work: Work, now: Timestamp) -> Self {
        Self {
            id,
            project_id: caller.project_id.clone(),
            user_id: caller.user_id.clone(),
            request_id: caller.request_id.clone(),
            work,
            state: TaskState::Waiting,
            generation: 0,
            progress: Progress::default(),
            cancel_asked: false,
            not_before: now,
            object_type: ObjectType::Disk,
            volume_id: None,
            volume_name: None,
            backup_id: None,
            backup_name: None,
            vault_id: None,
            vault_name: None,
            checkpoint_id: None,
            policy_id: None,
            notes: Vec::new(),
            created_at: now,
            started_at: None,
            updated_at: now,
            ended_at: None,
            revision: 0,
        }
    }
}
