//! The task, as CBR shows it: an operation log (`cbr-v3.md §2.6`).

use emberkeep_model as model;
use emberkeep_model::{ObjectType, TaskState, Work};
use serde::{Deserialize, Serialize};

use super::code::Code;
use super::{VOLUME_TYPE, Word, provider_id};
use crate::time;

/// What kinds can be asked for, and our own words for the work that shows as them. The words
/// with none are known to clients but never come up here.
pub(super) const KIND_WORDS: &[(&str, &[&str])] = &[
    ("backup", &["backup"]),
    ("restore", &["restore"]),
    ("delete", &["delete_backup"]),
    ("remove_resource", &["remove_resources"]),
    ("vault_delete", &["delete_vault"]),
    ("replication", &[]),
    ("sync", &[]),
    ("copy", &[]),
];

/// The same for statuses.
pub(super) const STATUS_WORDS: &[(&str, &[&str])] = &[
    ("waiting", &["waiting"]),
    ("running", &["running"]),
    ("success", &["succeeded"]),
    ("failed", &["failed", "cancelled"]),
    ("skipped", &["skipped"]),
    ("timeout", &[]),
];

/// The record of one asynchronous action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the key it is named for")]
pub struct Task {
    pub id: model::TaskId,
    pub operation_type: Word,
    pub status: Word,
    pub project_id: model::ProjectId,
    pub provider_id: Option<Word>,
    pub vault_id: Option<model::VaultId>,
    pub vault_name: Option<String>,
    pub checkpoint_id: Option<model::CheckpointId>,
    pub policy_id: Option<String>,
    pub created_at: String,
    pub started_at: Option<String>,
    pub updated_at: String,
    pub ended_at: Option<String>,
    pub error_info: ErrorInfo,
    pub extra_info: TaskExtra,
}

/// Why it failed: never null, empty when it is well.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the key it is named for")]
pub struct ErrorInfo {
    pub code: Word,
    pub message: String,
}

/// What it is about; the parts that do not apply are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the key it is named for")]
pub struct TaskExtra {
    pub common: CommonDetail,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub resource: Option<TaskResource>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub backup: Option<BackupDetail>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub delete: Option<DeleteDetail>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub restore: Option<RestoreDetail>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub remove_resources: Option<RemoveDetail>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub vault_delete: Option<VaultDeleteDetail>,
}

/// What every task has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the key it is named for")]
pub struct CommonDetail {
    pub progress: u8,
    pub request_id: String,
    pub task_id: Option<String>,
}

/// The resource a task is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the key it is named for")]
pub struct TaskResource {
    pub id: model::VolumeId,
    pub name: String,
    #[serde(rename = "type")]
    pub kind: Word,
}

/// What a backup made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the key it is named for")]
pub struct BackupDetail {
    pub backup_id: model::BackupId,
    pub backup_name: String,
    /// `"true"` or `"false"`; null once the backup is forgotten.
    pub incremental: Option<Word>,
    pub app_consistency_status: Word,
    pub app_consistency_error_code: Word,
    pub app_consistency_error_message: Word,
}

/// What was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the key it is named for")]
pub struct DeleteDetail {
    pub backup_id: model::BackupId,
    pub backup_name: String,
}

/// What was restored, and where to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the key it is named for")]
pub struct RestoreDetail {
    pub backup_id: model::BackupId,
    pub backup_name: String,
    pub target_resource_id: model::VolumeId,
    pub target_resource_name: String,
}

/// What was taken out of a vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the key it is named for")]
pub struct RemoveDetail {
    pub fail_count: usize,
    pub total_count: usize,
    pub resources: Vec<TaskResource>,
}

/// How many backups went with a vault, where that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the key it is named for")]
pub struct VaultDeleteDetail {
    pub fail_count: Option<u64>,
    pub total_count: Option<u64>,
}

impl Task {
    /// Shows a task; none for work that CBR has no word for. `incremental` tells how the
    /// backup that it made was made, where that is known.
    pub fn of(task: &model::Task, incremental: Option<bool>) -> Option<Self> {
        let (operation_type, part) = part(task, incremental)?;
        let resource = task.volume_id.map(|id| TaskResource {
            id,
            name: task.volume_name.clone().unwrap_or_default(),
            kind: VOLUME_TYPE.into(),
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
            backup: None,
            delete: None,
            restore: None,
            remove_resources: None,
            vault_delete: None,
        };
        match part {
            Part::Backup(detail) => extra_info.backup = Some(detail),
            Part::Delete(detail) => extra_info.delete = Some(detail),
            Part::Restore(detail) => extra_info.restore = Some(detail),
            Part::Remove(detail) => extra_info.remove_resources = Some(detail),
            Part::VaultDelete(detail) => extra_info.vault_delete = Some(detail),
        }
        Some(Self {
            id: task.id,
            operation_type: operation_type.into(),
            status: status(&task.state).into(),
            project_id: task.project_id.clone(),
            provider_id: Some(provider_id(ObjectType::Disk).into()),
            vault_id: task.vault_id,
            vault_name: task.vault_name.clone(),
            checkpoint_id: task.checkpoint_id,
            policy_id: None,
            created_at: time::naive(task.created_at),
            started_at: task.started_at.map(time::naive),
            updated_at: time::naive(task.updated_at),
            ended_at: task.ended_at.map(time::naive),
            error_info: error_info(&task.state),
            extra_info,
        })
    }
}

/// The part of a record that its kind has to itself.
enum Part {
    Backup(BackupDetail),
    Delete(DeleteDetail),
    Restore(RestoreDetail),
    Remove(RemoveDetail),
    VaultDelete(VaultDeleteDetail),
}

fn part(task: &model::Task, incremental: Option<bool>) -> Option<(&'static str, Part)> {
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
                backup_id: *backup_id,
                backup_name,
                incremental: incremental.map(|yes| if yes { "true" } else { "false" }.into()),
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
                backup_id: *backup_id,
                backup_name,
                target_resource_id: *volume_id,
                target_resource_name: volume_name(*volume_id),
            }),
        ),
        Work::DeleteBackup { backup_id } => (
            "delete",
            Part::Delete(DeleteDetail {
                backup_id: *backup_id,
                backup_name,
            }),
        ),
        Work::RemoveResources { volume_ids, .. } => (
            "remove_resource",
            Part::Remove(RemoveDetail {
                fail_count: if has_failed(&task.state) {
                    volume_ids.len()
                } else {
                    0
                },
                total_count: volume_ids.len(),
                resources: volume_ids
                    .iter()
                    .map(|id| TaskResource {
                        id: *id,
                        name: volume_name(*id),
                        kind: VOLUME_TYPE.into(),
                    })
                    .collect(),
            }),
        ),
        Work::DeleteVault { .. } => (
            "vault_delete",
            Part::VaultDelete(VaultDeleteDetail {
                fail_count: (!has_failed(&task.state)).then_some(0),
                total_count: None,
            }),
        ),
        Work::CreateVolume { .. }
        | Work::ExtendVolume { .. }
        | Work::DeleteVolume { .. }
        | Work::CreateSnapshot { .. }
        | Work::DeleteSnapshot { .. }
        | Work::Sweep => return None,
    })
}

fn has_failed(state: &TaskState) -> bool {
    match state {
        TaskState::Failed { .. } | TaskState::Cancelled => true,
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
        TaskState::Skipped { .. } => "skipped",
    }
}

fn error_info(state: &TaskState) -> ErrorInfo {
    let unknown = || Code::Internal.answer().1.into();
    match state {
        TaskState::Waiting | TaskState::Running(_) | TaskState::Succeeded => ErrorInfo::default(),
        TaskState::Failed { reason } => ErrorInfo {
            code: unknown(),
            message: reason.clone(),
        },
        TaskState::Cancelled => ErrorInfo {
            code: unknown(),
            message: "The task was cancelled.".to_owned(),
        },
        // Nothing went wrong: which code applies stands in the checkpoint.
        TaskState::Skipped { reason } => ErrorInfo {
            code: "".into(),
            message: reason.clone(),
        },
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
