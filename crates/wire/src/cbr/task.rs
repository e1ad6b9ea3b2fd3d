//! The task, as CBR shows it: an operation log (`cbr-v3.md §2.6`). Server and clients share
//! these shapes.

use emberkeep_model as model;
use emberkeep_model::{SkipReason, TaskState, Work};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::code::{Code, skipped};
use super::{Word, provider_id, resource_type, word};
use crate::ids::{BackupId, CheckpointId, PolicyId, ProjectId, ResourceId, TaskId, VaultId};
use crate::lenient;
use crate::time::Moment;

/// What kinds can be asked for, and our own words for the work that shows as them. The words
/// with none are known to clients but never come up here.
pub(super) const KIND_WORDS: &[(&str, &[&str])] = &[
    ("backup", &["backup"]),
    ("restore", &["restore"]),
    ("delete", &["delete_backup"]),
    ("remove_resource", &["remove_resources"]),
    ("vault_delete", &["delete_vault"]),
    ("replication", &["replicate"]),
    ("sync", &["sync_replicas"]),
    ("update_expiration_time", &["move_expiry"]),
    ("copy", &[]),
];

/// The same for statuses.
pub(super) const STATUS_WORDS: &[(&str, &[&str])] = &[
    ("waiting", &["waiting"]),
    ("running", &["running"]),
    ("success", &["succeeded"]),
    ("failed", &["failed", "cancelled"]),
    ("skipped", &["skipped"]),
    ("timeout", &["timed_out"]),
];

/// The record of one asynchronous action.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// What it does.
    pub operation_type: word::TaskKind,
    /// How it stands.
    pub status: word::TaskStatus,
    /// Whose it is.
    pub project_id: ProjectId,
    /// The kind of resource, as an id (`§0`).
    pub provider_id: Option<Word>,
    /// The vault it is about; some clouds never say.
    #[serde(deserialize_with = "lenient::maybe")]
    pub vault_id: Option<VaultId>,
    /// That vault's name.
    pub vault_name: Option<String>,
    /// The run it belongs to.
    #[serde(deserialize_with = "lenient::maybe")]
    pub checkpoint_id: Option<CheckpointId>,
    /// The policy that asked for it.
    #[serde(deserialize_with = "lenient::maybe")]
    pub policy_id: Option<PolicyId>,
    /// When it was asked for.
    pub created_at: Moment,
    /// When it was begun.
    #[serde(deserialize_with = "lenient::maybe")]
    pub started_at: Option<Moment>,
    /// When something about it last changed.
    pub updated_at: Moment,
    /// When it ended.
    #[serde(deserialize_with = "lenient::maybe")]
    pub ended_at: Option<Moment>,
    /// Why it failed.
    #[serde(deserialize_with = "lenient::or_default")]
    pub error_info: ErrorInfo,
    /// What it is about.
    #[serde(deserialize_with = "lenient::or_default")]
    pub extra_info: TaskExtra,
    /// What other clouds say besides.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// Why it failed: never null, empty when it is well.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct ErrorInfo {
    /// `BackupService.NNNN`.
    #[serde(deserialize_with = "lenient::word")]
    pub code: Word,
    /// In words.
    #[serde(deserialize_with = "lenient::text")]
    pub message: String,
}

/// What it is about; the parts that do not apply are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct TaskExtra {
    /// What every task has.
    #[serde(deserialize_with = "lenient::or_default")]
    pub common: CommonDetail,
    /// The resource it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<TaskResource>,
    /// What a backup makes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupDetail>,
    /// What is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete: Option<DeleteDetail>,
    /// What is restored, and where to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore: Option<RestoreDetail>,
    /// What is taken out of a vault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remove_resources: Option<RemoveDetail>,
    /// What goes with a vault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vault_delete: Option<VaultDeleteDetail>,
    /// What is copied to another region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replication: Option<ReplicationDetail>,
    /// What was learnt of backups outside the cloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync: Option<SyncDetail>,
    /// What a new expiry changes (Huawei).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update_expiration_time: Option<ExpirationDetail>,
}

/// What every task has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct CommonDetail {
    /// How far it has come, in percent.
    #[serde(deserialize_with = "lenient::number")]
    pub progress: u8,
    /// The request that asked for it, as logs know it.
    #[serde(deserialize_with = "lenient::text")]
    pub request_id: String,
    /// The service's own task behind it.
    pub task_id: Option<String>,
}

/// The resource a task is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct TaskResource {
    /// Its id.
    pub id: ResourceId,
    /// Its name.
    #[serde(deserialize_with = "lenient::text")]
    pub name: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: word::ResourceType,
    /// Which disks of a server; under `notes`, what is not quite as it was.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::maybe"
    )]
    pub extra_info: Option<Map<String, Value>>,
}

/// What a backup makes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct BackupDetail {
    /// The backup.
    pub backup_id: BackupId,
    /// Its name.
    #[serde(deserialize_with = "lenient::text")]
    pub backup_name: String,
    /// Whether it is built on the one before: `"true"` or `"false"`, as text; null once the
    /// backup is forgotten.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    #[serde(
        serialize_with = "lenient::maybe_as_text",
        deserialize_with = "lenient::maybe_flag"
    )]
    pub incremental: Option<bool>,
    /// Whether applications took part; `"0"` for no.
    #[serde(deserialize_with = "lenient::word")]
    pub app_consistency_status: Word,
    /// Why not, as a code.
    #[serde(deserialize_with = "lenient::word")]
    pub app_consistency_error_code: Word,
    /// Why not, in words.
    #[serde(deserialize_with = "lenient::word")]
    pub app_consistency_error_message: Word,
}

/// What is deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct DeleteDetail {
    /// The backup.
    pub backup_id: BackupId,
    /// Its name.
    #[serde(deserialize_with = "lenient::text")]
    pub backup_name: String,
}

/// What is restored, and where to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct RestoreDetail {
    /// The backup.
    pub backup_id: BackupId,
    /// Its name.
    #[serde(deserialize_with = "lenient::text")]
    pub backup_name: String,
    /// What it is restored to.
    pub target_resource_id: ResourceId,
    /// That one's name.
    #[serde(deserialize_with = "lenient::text")]
    pub target_resource_name: String,
}

/// What is taken out of a vault.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct RemoveDetail {
    /// How many could not be.
    #[serde(deserialize_with = "lenient::number")]
    pub fail_count: usize,
    /// How many were asked for.
    #[serde(deserialize_with = "lenient::number")]
    pub total_count: usize,
    /// Which.
    #[serde(deserialize_with = "lenient::or_default")]
    pub resources: Vec<TaskResource>,
}

/// How many backups go with a vault, where that is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct VaultDeleteDetail {
    /// How many could not be deleted.
    #[serde(deserialize_with = "lenient::maybe_number")]
    pub fail_count: Option<u64>,
    /// How many there were.
    #[serde(deserialize_with = "lenient::maybe_number")]
    pub total_count: Option<u64>,
}

/// What is copied to another region.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct ReplicationDetail {
    /// The backup.
    pub source_backup_id: BackupId,
    /// Its name.
    #[serde(deserialize_with = "lenient::text")]
    pub source_backup_name: String,
    /// The run that made it.
    #[serde(deserialize_with = "lenient::maybe")]
    pub source_checkpoint_id: Option<CheckpointId>,
    /// Whose it is.
    pub source_project_id: ProjectId,
    /// The region it lies in.
    #[serde(deserialize_with = "lenient::text")]
    pub source_region: String,
    /// The copy.
    #[serde(deserialize_with = "lenient::maybe")]
    pub destination_backup_id: Option<BackupId>,
    /// Its name.
    #[serde(deserialize_with = "lenient::text")]
    pub destination_backup_name: String,
    /// The run that the copy belongs to.
    #[serde(deserialize_with = "lenient::maybe")]
    pub destination_checkpoint_id: Option<CheckpointId>,
    /// Whose the copy is.
    pub destination_project_id: ProjectId,
    /// The region it goes to.
    #[serde(deserialize_with = "lenient::text")]
    pub destination_region: String,
}

/// What was learnt of backups outside the cloud.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct SyncDetail {
    /// How many were found.
    #[serde(deserialize_with = "lenient::maybe_number")]
    pub sync_backup_num: Option<u64>,
    /// How many are gone.
    #[serde(deserialize_with = "lenient::maybe_number")]
    pub delete_backup_num: Option<u64>,
    /// How many could not be read.
    #[serde(deserialize_with = "lenient::maybe_number")]
    pub err_sync_backup_num: Option<u64>,
}

/// What a new expiry changes (Huawei).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct ExpirationDetail {
    /// How many backups.
    #[serde(deserialize_with = "lenient::maybe_number")]
    pub affected_backups_count: Option<u64>,
    /// The day on which they go.
    pub expiration_day: Option<String>,
}

impl Task {
    /// Shows a task; none for work that CBR has no word for. `incremental` tells how the
    /// backup that it made was made, where that is known.
    pub fn of(task: &model::Task, incremental: Option<bool>) -> Option<Self> {
        let (operation_type, part) = part(task, incremental)?;
        let about = match &task.work {
            Work::Replicate { volume_id, .. } => Some(*volume_id),
            _ => task.volume_id,
        };
        let resource = about.map(|id| TaskResource {
            id: id.into(),
            name: task.volume_name.clone().unwrap_or_default(),
            kind: resource_type(task.object_type).into(),
            extra_info: notes(task),
        });
        let mut extra_info = TaskExtra {
            common: CommonDetail {
                progress: match task.state {
                    TaskState::Succeeded => 100,
                    _ => task.progress.percent(),
                },
                request_id: task.request_id.clone(),
                task_id: None,
            },
            resource,
            ..TaskExtra::default()
        };
        match part {
            Part::Backup(detail) => extra_info.backup = Some(detail),
            Part::Delete(detail) => extra_info.delete = Some(detail),
            Part::Restore(detail) => extra_info.restore = Some(detail),
            Part::Remove(detail) => extra_info.remove_resources = Some(detail),
            Part::VaultDelete(detail) => extra_info.vault_delete = Some(detail),
            Part::Replication(detail) => extra_info.replication = Some(detail),
            Part::Sync(detail) => extra_info.sync = Some(detail),
            Part::Expiry(detail) => extra_info.update_expiration_time = Some(detail),
        }
        Some(Self {
            id: task.id.into(),
            operation_type: operation_type.into(),
            status: status(&task.state).into(),
            project_id: (&task.project_id).into(),
            provider_id: Some(provider_id(task.object_type).into()),
            vault_id: task.vault_id.map(Into::into),
            vault_name: task.vault_name.clone(),
            checkpoint_id: task.checkpoint_id.map(Into::into),
            policy_id: task.policy_id.map(Into::into),
            created_at: task.created_at.into(),
            started_at: task.started_at.map(Into::into),
            updated_at: task.updated_at.into(),
            ended_at: task.ended_at.map(Into::into),
            error_info: error_info(task),
            extra_info,
            more: Map::new(),
        })
    }
}

/// What a task has to tell of its resource beside how it ended, e.g. the files that were left out.
fn notes(task: &model::Task) -> Option<Map<String, Value>> {
    let notes = task.notes.iter().cloned().map(Value::String).collect();
    (!task.notes.is_empty()).then(|| Map::from_iter([("notes".to_owned(), Value::Array(notes))]))
}

/// The part of a record that its kind has to itself.
enum Part {
    Backup(BackupDetail),
    Delete(DeleteDetail),
    Restore(RestoreDetail),
    Remove(RemoveDetail),
    VaultDelete(VaultDeleteDetail),
    Replication(ReplicationDetail),
    Sync(SyncDetail),
    Expiry(ExpirationDetail),
}

fn part(task: &model::Task, incremental: Option<bool>) -> Option<(&'static str, Part)> {
    let kind = resource_type(task.object_type);
    let backup_name = task.backup_name.clone().unwrap_or_default();
    let volume_name = |id| {
        task.volume_name
            .clone()
            .filter(|_| task.volume_id == Some(id))
            .unwrap_or_default()
    };
    Some(match &task.work {
        Work::Backup { backup_id } => (
            "backup",
            Part::Backup(BackupDetail {
                backup_id: (*backup_id).into(),
                backup_name,
                incremental,
                app_consistency_status: "0".into(),
                app_consistency_error_code: "0".into(),
                app_consistency_error_message: "".into(),
            }),
        ),
        Work::Restore {
            backup_id,
            volume_id,
            ..
        } => (
            "restore",
            Part::Restore(RestoreDetail {
                backup_id: (*backup_id).into(),
                backup_name,
                target_resource_id: (*volume_id).into(),
                target_resource_name: volume_name(*volume_id),
            }),
        ),
        Work::DeleteBackup { backup_id } => (
            "delete",
            Part::Delete(DeleteDetail {
                backup_id: (*backup_id).into(),
                backup_name,
            }),
        ),
        Work::RemoveResources {
            resource_ids,
            names,
            ..
        } => (
            "remove_resource",
            Part::Remove(RemoveDetail {
                fail_count: if has_failed(&task.state) {
                    resource_ids.len()
                } else {
                    0
                },
                total_count: resource_ids.len(),
                resources: resource_ids
                    .iter()
                    .enumerate()
                    .map(|(place, id)| TaskResource {
                        id: (*id).into(),
                        name: names.get(place).cloned().flatten().unwrap_or_default(),
                        kind: kind.into(),
                        extra_info: None,
                    })
                    .collect(),
            }),
        ),
        Work::DeleteVault { backups, .. } => (
            "vault_delete",
            Part::VaultDelete(VaultDeleteDetail {
                fail_count: Some(backups.left),
                total_count: backups.total,
            }),
        ),
        // What its copy's row knows besides is for whoever has that to add.
        Work::Replicate { backup_id, .. } => (
            "replication",
            Part::Replication(ReplicationDetail {
                source_checkpoint_id: task.checkpoint_id.map(Into::into),
                source_project_id: (&task.project_id).into(),
                destination_backup_id: Some((*backup_id).into()),
                destination_backup_name: backup_name,
                ..ReplicationDetail::default()
            }),
        ),
        Work::SyncReplicas { found, .. } => (
            "sync",
            Part::Sync(SyncDetail {
                sync_backup_num: Some(found.added),
                delete_backup_num: Some(found.gone),
                err_sync_backup_num: Some(found.unreadable),
            }),
        ),
        Work::MoveExpiry { backups, day, .. } => (
            "update_expiration_time",
            Part::Expiry(ExpirationDetail {
                affected_backups_count: Some(*backups),
                expiration_day: Some(day.clone()),
            }),
        ),
        Work::CreateVolume { .. }
        | Work::ExtendVolume { .. }
        | Work::DeleteVolume { .. }
        | Work::CreateSnapshot { .. }
        | Work::DeleteSnapshot { .. }
        | Work::ImportBackup { .. }
        | Work::AdoptBackup { .. }
        | Work::Sweep => return None,
    })
}

fn has_failed(state: &TaskState) -> bool {
    match state {
        TaskState::Failed { .. } | TaskState::TimedOut { .. } | TaskState::Cancelled => true,
        TaskState::Waiting
        | TaskState::Running(_)
        | TaskState::Succeeded
        | TaskState::Skipped { .. } => false,
    }
}

fn status(state: &TaskState) -> &'static str {
    match state {
        TaskState::Waiting => "waiting",
        TaskState::Running(_) => "running",
        TaskState::Succeeded => "success",
        TaskState::Failed { .. } | TaskState::Cancelled => "failed",
        TaskState::TimedOut { .. } => "timeout",
        TaskState::Skipped { .. } => "skipped",
    }
}

fn error_info(task: &model::Task) -> ErrorInfo {
    let unknown = || Code::Internal.answer().1.into();
    match &task.state {
        TaskState::Waiting | TaskState::Running(_) | TaskState::Succeeded => ErrorInfo::default(),
        TaskState::Failed { reason } | TaskState::TimedOut { reason } => ErrorInfo {
            code: unknown(),
            message: reason.clone(),
        },
        TaskState::Cancelled => ErrorInfo {
            code: unknown(),
            message: "The task was cancelled.".to_owned(),
        },
        // A run that was refused as a whole has words of its own, and no code.
        TaskState::Skipped { reason } => {
            let mut reasons = SkipReason::ALL.iter();
            let known = reasons.find(|known| known.sentence(task.object_type) == reason);
            ErrorInfo {
                code: known.map_or("", |known| skipped(*known)).into(),
                message: reason.clone(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use emberkeep_model::{Lease, Timestamp};

    use super::*;

    #[test]
    fn asking_for_a_status_finds_the_states_that_show_it() {
        let lease = Lease {
            worker: String::new(),
            until: Timestamp(0),
        };
        for state in [
            TaskState::Waiting,
            TaskState::Running(lease),
            TaskState::Succeeded,
            TaskState::Failed {
                reason: String::new(),
            },
            TaskState::TimedOut {
                reason: String::new(),
            },
            TaskState::Cancelled,
            TaskState::Skipped {
                reason: String::new(),
            },
        ] {
            let found: Vec<_> = STATUS_WORDS
                .iter()
                .filter(|(_, words)| words.contains(&state.word()))
                .map(|(word, _)| *word)
                .collect();
            assert_eq!(found, [status(&state)], "{}", state.word());
        }
    }
}
