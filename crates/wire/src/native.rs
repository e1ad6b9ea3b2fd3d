//! The native API: what neither Block Storage nor CBR can say — every kind of work with its
//! progress, and a volume's bytes as a stream of extents.

mod backups;
#[cfg(feature = "schema")]
pub mod bodies;
mod erasure;
mod exports;
mod extents;
mod preview;
#[cfg(test)]
mod samples;
mod servers;
mod vaults;
mod workers;

use std::borrow::Cow;

use emberkeep_model as model;
use emberkeep_model::{Progress, TaskState};
use serde::{Deserialize, Serialize};

pub use crate::damage::{Damage, LostRange};
pub use backups::{AdoptBegun, BackupOrigin, OriginVolume};
pub use erasure::Erasure;
pub use exports::{Export, ExportPage};
pub use extents::{ExtentDecoder, ExtentEncoder, ExtentItem, ExtentStreamError, MAX_FRAME_BYTES};
pub use preview::{BackupFate, PolicyPreview, PolicyTrial, PolicyZone};
pub use servers::{
    FileSystem, FileSystemPage, NewFileSystem, NewServer, Server, ServerDisk, ServerPage,
    ServerVolumes,
};
pub use vaults::{VaultFreeze, VaultStanding};
pub use workers::{Worker, WorkerList, WorkerProgress};

use crate::time;

crate::request::requests! {
    keyed {}
    whole {
        NewServer,
        ServerVolumes,
        NewFileSystem,
        PolicyTrial,
    }
}

/// The content type of a stream of extents.
pub const EXTENTS_CONTENT_TYPE: &str = "application/x-emberkeep-extents";

/// The most entries a page has, and how many it has unless asked for fewer.
pub const PAGE_LIMIT: u32 = 1000;

/// The body of every refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "NativeErrorBody")
)]
pub struct ErrorBody {
    /// What is wrong.
    pub error: ErrorDetail,
}

/// What is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ErrorDetail {
    /// One word for programs, e.g. `not_found`.
    pub code: Cow<'static, str>,
    /// For people.
    pub message: String,
    /// By which the logs can be searched.
    pub request_id: String,
}

/// A thing named by id, with the name it had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Named<Id> {
    /// Its id.
    pub id: Id,
    /// Its name when the record was made.
    pub name: Option<String>,
}

/// One piece of slow work, of any kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Task {
    /// Its id.
    pub id: model::TaskId,
    /// The kind of work: our own word, e.g. `backup`, `delete_volume`, `sweep`.
    pub kind: Cow<'static, str>,
    /// `waiting`, `running`, `succeeded`, `failed`, `cancelled` or `skipped`.
    pub status: Cow<'static, str>,
    /// Why it failed or was skipped.
    pub reason: Option<String>,
    /// Somebody wants it to stop.
    pub cancel_asked: bool,
    /// Whose it is.
    pub project_id: model::ProjectId,
    /// Who asked for it.
    pub user_id: model::UserId,
    /// The request that asked for it.
    pub request_id: String,
    /// How far it has come.
    pub progress: TaskProgress,
    /// The volume it is about.
    pub volume: Option<Named<model::VolumeId>>,
    /// The backup it is about.
    pub backup: Option<Named<model::BackupId>>,
    /// The vault it is about.
    pub vault: Option<Named<model::VaultId>>,
    /// The checkpoint it is part of.
    pub checkpoint_id: Option<model::CheckpointId>,
    /// What it has to tell beside how it ended: things that are not quite as they were.
    #[serde(default)]
    pub notes: Vec<String>,
    /// When it was asked for.
    pub created_at: String,
    /// When a worker first took it up.
    pub started_at: Option<String>,
    /// When anything about it last changed.
    pub updated_at: String,
    /// When it ended.
    pub ended_at: Option<String>,
}

/// How far a task has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TaskProgress {
    /// 0 to 100.
    pub percent: u8,
    /// Bytes dealt with.
    pub bytes_done: u64,
    /// Bytes in all; 0 while unknown.
    pub bytes_total: u64,
    /// Bytes a second of late.
    pub bytes_per_sec: u64,
    /// At that rate; none unless it runs and the rate is known.
    pub seconds_left: Option<u64>,
}

impl Task {
    /// Shows a task.
    pub fn of(task: &model::Task) -> Self {
        Self {
            id: task.id,
            kind: task.work.word().into(),
            status: task.state.word().into(),
            reason: match &task.state {
                TaskState::Failed { reason }
                | TaskState::TimedOut { reason }
                | TaskState::Skipped { reason } => Some(reason.clone()),
                TaskState::Waiting
                | TaskState::Running(_)
                | TaskState::Succeeded
                | TaskState::Cancelled => None,
            },
            cancel_asked: task.cancel_asked,
            project_id: task.project_id.clone(),
            user_id: task.user_id.clone(),
            request_id: task.request_id.clone(),
            progress: TaskProgress::of(task.progress, &task.state),
            volume: named(task.volume_id, task.volume_name.as_ref()),
            backup: named(task.backup_id, task.backup_name.as_ref()),
            vault: named(task.vault_id, task.vault_name.as_ref()),
            checkpoint_id: task.checkpoint_id,
            notes: task.notes.clone(),
            created_at: time::zulu(task.created_at),
            started_at: task.started_at.map(time::zulu),
            updated_at: time::zulu(task.updated_at),
            ended_at: task.ended_at.map(time::zulu),
        }
    }
}

impl TaskProgress {
    fn of(progress: Progress, state: &TaskState) -> Self {
        let left = progress.bytes_total.saturating_sub(progress.bytes_done);
        Self {
            percent: match state {
                TaskState::Succeeded => 100,
                TaskState::Waiting
                | TaskState::Running(_)
                | TaskState::Failed { .. }
                | TaskState::TimedOut { .. }
                | TaskState::Cancelled
                | TaskState::Skipped { .. } => progress.percent(),
            },
            bytes_done: progress.bytes_done,
            bytes_total: progress.bytes_total,
            bytes_per_sec: progress.bytes_per_sec,
            seconds_left: match state {
                TaskState::Running(_) if progress.bytes_total > 0 && progress.bytes_per_sec > 0 => {
                    Some(left.div_ceil(progress.bytes_per_sec))
                }
                _ => None,
            },
        }
    }
}

fn named<Id>(id: Option<Id>, name: Option<&String>) -> Option<Named<Id>> {
    id.map(|id| Named {
        id,
        name: name.cloned(),
    })
}

/// A page of tasks, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TaskPage {
    /// The tasks.
    pub tasks: Vec<Task>,
    /// How many match in all.
    pub count: u64,
}

/// The task that was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TaskBegun {
    /// Its id.
    pub task_id: model::TaskId,
}

/// A backup with what it cost, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "NativeBackup")
)]
pub struct Backup {
    /// Its id, the same on every wire.
    pub id: model::BackupId,
    /// Its name.
    pub name: Option<String>,
    /// Where it stands: our own word.
    pub status: Cow<'static, str>,
    /// Why the last operation on it failed.
    pub fail_reason: Option<String>,
    /// What is known of damage of its data, if there is any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damage: Option<Damage>,
    /// The volume it is of.
    pub volume: Named<model::VolumeId>,
    /// The vault it is in.
    pub vault_id: Option<model::VaultId>,
    /// The run that made it.
    pub checkpoint_id: Option<model::CheckpointId>,
    /// The backup whose map it was made from; it does not need it.
    pub parent_id: Option<model::BackupId>,
    /// Size of the volume in GiB.
    pub size_gib: u32,
    /// What it cost, once it is complete.
    pub bytes: Option<BackupBytes>,
    /// The instant the data is of.
    pub data_timestamp: String,
    /// When it was asked for.
    pub created_at: String,
    /// When it was complete.
    pub completed_at: Option<String>,
}

/// What a backup cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BackupBytes {
    /// Read from the volume.
    pub read: u64,
    /// Of the volume, not zero.
    pub data: u64,
    /// Of that, new to the repository.
    pub new: u64,
    /// Written to the repository for that.
    pub stored: u64,
}

impl Backup {
    /// Shows a backup.
    pub fn of(backup: &model::Backup) -> Self {
        let sealed = backup.state.sealed();
        Self {
            id: backup.id,
            name: backup.name.clone(),
            status: backup.state.word().into(),
            fail_reason: backup.fail_reason.clone(),
            damage: backup.damage.as_ref().map(Damage::of),
            volume: Named {
                id: backup.volume_id,
                name: backup.volume_name.clone(),
            },
            vault_id: backup.vault_id,
            checkpoint_id: backup.checkpoint_id,
            parent_id: backup.parent_id,
            size_gib: backup.size.0,
            bytes: sealed.map(|sealed| BackupBytes {
                read: sealed.read.0,
                data: sealed.data.0,
                new: sealed.new.0,
                stored: sealed.stored.0,
            }),
            data_timestamp: time::zulu(backup.data_timestamp),
            created_at: time::zulu(backup.created_at),
            completed_at: sealed.map(|sealed| time::zulu(sealed.at)),
        }
    }
}

/// A page of backups, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BackupPage {
    /// The backups.
    pub backups: Vec<Backup>,
    /// How many match in all.
    pub count: u64,
}

/// Where a volume's bytes lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VolumePath {
    /// A file; none for a volume that is not kept in one.
    pub path: Option<String>,
}

/// A volume, as an import answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Volume {
    /// Its id, the same on every wire.
    pub id: model::VolumeId,
    /// Its name.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Its size in GiB.
    pub size_gib: u32,
    /// Where it stands: Block Storage's word.
    pub status: Cow<'static, str>,
    /// Whose it is.
    pub project_id: model::ProjectId,
    /// When it was asked for.
    pub created_at: String,
}

impl Volume {
    /// Shows a volume.
    pub fn of(volume: &model::Volume) -> Self {
        Self {
            id: volume.id,
            name: volume.name.clone(),
            description: volume.description.clone(),
            size_gib: volume.size.0,
            status: volume.status.as_str().into(),
            project_id: volume.project_id.clone(),
            created_at: time::zulu(volume.created_at),
        }
    }
}
