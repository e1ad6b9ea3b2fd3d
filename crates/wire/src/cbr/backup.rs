//! The backup, as CBR shows it (`cbr-v3.md §2.4`).

use emberkeep_model as model;
use emberkeep_model::{BackupState, ObjectType, Progress};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ENTERPRISE_PROJECT, VOLUME_TYPE, Word, provider_id};
use crate::time;

/// What statuses can be asked for, and our own words for the states that show as them. The
/// words with none are known to clients but never come up here.
pub(super) const STATUS_WORDS: &[(&str, &[&str])] = &[
    ("available", &["available"]),
    ("protecting", &["copying"]),
    ("waiting_protect", &["queued"]),
    ("waiting_restore", &["restore-queued"]),
    ("restoring", &["restoring"]),
    ("waiting_delete", &["delete-queued"]),
    ("deleting", &["deleting"]),
    ("deleted", &["deleted"]),
    ("error", &["failed"]),
    ("checkpointing", &[]),
];

/// One backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the key it is named for")]
pub struct Backup {
    pub id: model::BackupId,
    pub name: String,
    pub description: Option<String>,
    pub status: Word,
    pub image_type: Word,
    pub checkpoint_id: Option<model::CheckpointId>,
    pub vault_id: Option<model::VaultId>,
    pub project_id: model::ProjectId,
    pub provider_id: Word,
    pub enterprise_project_id: Word,
    pub resource_id: model::VolumeId,
    pub resource_name: String,
    pub resource_type: Word,
    /// In GB.
    pub resource_size: u32,
    pub resource_az: Option<String>,
    pub created_at: String,
    pub updated_at: Option<String>,
    pub protected_at: Option<String>,
    pub expired_at: Option<String>,
    pub parent_id: Option<model::BackupId>,
    pub children: Vec<Value>,
    pub replication_records: Vec<Value>,
    pub incremental: bool,
    pub extend_info: ExtendInfo,
}

/// What else is known of a backup; every key is always written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the key it is named for")]
pub struct ExtendInfo {
    pub auto_trigger: bool,
    pub bootable: Option<bool>,
    pub incremental: bool,
    pub snapshot_id: Option<model::SnapshotId>,
    pub support_lld: Option<bool>,
    pub supported_restore_mode: Word,
    pub os_images_data: Option<Vec<Value>>,
    pub contain_system_disk: Option<bool>,
    pub encrypted: bool,
    pub system_disk: Option<bool>,
    pub architecture: Option<String>,
    pub progress: Option<u8>,
    pub app_consistency: Option<AppConsistency>,
}

/// Whether an application took part in its backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the key it is named for")]
pub struct AppConsistency {
    pub app_consistency: String,
    pub app_consistency_status: String,
    pub app_consistency_error_code: String,
    pub app_consistency_error_message: String,
}

impl Backup {
    /// Shows a backup with how far the work on it has come, and whether a system can start
    /// from the volume it is of.
    pub fn of(backup: &model::Backup, progress: Option<Progress>, bootable: bool) -> Self {
        let incremental = backup.is_incremental();
        Self {
            id: backup.id,
            name: backup.name.clone().unwrap_or_default(),
            description: backup.description.clone(),
            status: status(&backup.state).into(),
            image_type: "backup".into(),
            checkpoint_id: backup.checkpoint_id,
            vault_id: backup.vault_id,
            project_id: backup.project_id.clone(),
            provider_id: provider_id(ObjectType::Disk).into(),
            enterprise_project_id: ENTERPRISE_PROJECT.into(),
            resource_id: backup.volume_id,
            resource_name: backup.volume_name.clone().unwrap_or_default(),
            resource_type: VOLUME_TYPE.into(),
            resource_size: backup.size.0,
            resource_az: backup.availability_zone.clone(),
            created_at: time::naive(backup.created_at),
            updated_at: backup.updated_at.map(time::naive),
            protected_at: backup.state.sealed().map(|sealed| time::naive(sealed.at)),
            expired_at: None,
            // The wire's parent is the server a disk belongs to, not the backup before.
            parent_id: None,
            children: Vec::new(),
            replication_records: Vec::new(),
            incremental,
            extend_info: ExtendInfo {
                auto_trigger: backup.automatic,
                bootable: Some(bootable),
                incremental,
                snapshot_id: backup.snapshot_id,
                support_lld: Some(false),
                supported_restore_mode: if backup.state.sealed().is_some() {
                    "backup".into()
                } else {
                    "na".into()
                },
                os_images_data: None,
                contain_system_disk: None,
                encrypted: false,
                system_disk: Some(false),
                architecture: None,
                progress: percent(&backup.state, progress),
                app_consistency: None,
            },
        }
    }
}

/// Returns the word for a state.
fn status(state: &BackupState) -> &'static str {
    match state {
        BackupState::Queued => "waiting_protect",
        BackupState::Copying => "protecting",
        BackupState::Available(_) => "available",
        BackupState::RestoreQueued { .. } => "waiting_restore",
        BackupState::Restoring { .. } => "restoring",
        BackupState::DeleteQueued => "waiting_delete",
        BackupState::Deleting => "deleting",
        BackupState::Deleted => "deleted",
        BackupState::Failed { .. } => "error",
    }
}

/// Returns how far the present work has come; of what failed or goes away nothing is known.
fn percent(state: &BackupState, progress: Option<Progress>) -> Option<u8> {
    match state {
        BackupState::Available(_) => Some(100),
        BackupState::Queued
        | BackupState::Copying
        | BackupState::RestoreQueued { .. }
        | BackupState::Restoring { .. } => Some(progress.map_or(0, |progress| progress.percent())),
        BackupState::DeleteQueued
        | BackupState::Deleting
        | BackupState::Deleted
        | BackupState::Failed { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use emberkeep_model::{ByteCount, Sealed, Timestamp, VolumeId};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn asking_for_a_status_finds_the_states_that_show_it() {
        let sealed = Sealed {
            at: Timestamp(0),
            read: ByteCount(0),
            data: ByteCount(0),
            new: ByteCount(0),
            stored: ByteCount(0),
        };
        let target = VolumeId(Uuid::nil());
        for state in [
            BackupState::Queued,
            BackupState::Copying,
            BackupState::Available(sealed),
            BackupState::RestoreQueued { sealed, target },
            BackupState::Restoring { sealed, target },
            BackupState::DeleteQueued,
            BackupState::Deleting,
            BackupState::Deleted,
            BackupState::Failed {
                reason: String::new(),
            },
        ] {
            let shown = status(&state);
            let found: Vec<_> = STATUS_WORDS
                .iter()
                .filter(|(_, words)| words.contains(&state.word()))
                .map(|(word, _)| *word)
                .collect();
            assert_eq!(found, [shown], "{state}");
        }
    }
}
