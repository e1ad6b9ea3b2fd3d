//! The backup, as CBR shows it (`cbr-v3.md §2.4`). Server and clients share these shapes.

use emberkeep_model as model;
use emberkeep_model::{BackupState, Gib, ObjectType, Progress};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ENTERPRISE_PROJECT, Word, provider_id, resource_type, size, word};
use crate::damage::Damage;
use crate::ids::{BackupId, CheckpointId, ProjectId, ResourceId, SnapshotId, VaultId};
use crate::lenient;
use crate::time::Moment;

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
    ("error", &["failed", "damaged"]),
    ("checkpointing", &[]),
];

/// The stored copy of one resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "CbrBackup")
)]
#[serde(default)]
pub struct Backup {
    /// Its id, the same in Block Storage.
    pub id: BackupId,
    /// Its name; need not be unique.
    #[serde(deserialize_with = "lenient::text")]
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// How it stands.
    pub status: word::BackupStatus,
    /// How it came to be here.
    pub image_type: word::ImageType,
    /// The run that made it.
    #[serde(deserialize_with = "lenient::maybe")]
    pub checkpoint_id: Option<CheckpointId>,
    /// The vault that keeps it.
    #[serde(deserialize_with = "lenient::maybe")]
    pub vault_id: Option<VaultId>,
    /// Whose it is.
    pub project_id: ProjectId,
    /// The kind of resource, as an id (`§0`).
    #[serde(deserialize_with = "lenient::word")]
    pub provider_id: Word,
    /// The enterprise project (Huawei).
    #[serde(deserialize_with = "lenient::word")]
    pub enterprise_project_id: Word,
    /// What it is of.
    pub resource_id: ResourceId,
    /// That one's name when the backup was made.
    #[serde(deserialize_with = "lenient::text")]
    pub resource_name: String,
    /// What that is.
    pub resource_type: word::ResourceType,
    /// How large that is.
    #[serde(deserialize_with = "size::gib")]
    pub resource_size: Gib,
    /// The zone that lies in.
    pub resource_az: Option<String>,
    /// When it was asked for.
    pub created_at: Moment,
    /// When something about it last changed.
    #[serde(deserialize_with = "lenient::maybe")]
    pub updated_at: Option<Moment>,
    /// When it was complete.
    #[serde(deserialize_with = "lenient::maybe")]
    pub protected_at: Option<Moment>,
    /// When it goes away by itself.
    #[serde(deserialize_with = "lenient::maybe")]
    pub expired_at: Option<Moment>,
    /// The backup of the server that this disk's backup is part of.
    #[serde(deserialize_with = "lenient::maybe")]
    pub parent_id: Option<BackupId>,
    /// The backups of the disks of a server.
    #[serde(deserialize_with = "lenient::or_default")]
    pub children: Vec<Backup>,
    /// Its copies in other regions.
    #[serde(deserialize_with = "lenient::or_default")]
    pub replication_records: Vec<ReplicationRecord>,
    /// Whether it was built on the one before; no backup needs another one.
    #[serde(deserialize_with = "lenient::flag")]
    pub incremental: bool,
    /// What else is known of it.
    #[serde(deserialize_with = "lenient::or_default")]
    pub extend_info: ExtendInfo,
    /// The version of its form (Huawei).
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::maybe_number"
    )]
    pub version: Option<i64>,
    /// What other clouds say besides.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// What else is known of a backup; every key is always written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct ExtendInfo {
    /// Whether a policy made it: retention rules apply to it.
    #[serde(deserialize_with = "lenient::flag")]
    pub auto_trigger: bool,
    /// Whether a system can start from it.
    #[serde(deserialize_with = "lenient::maybe_flag")]
    pub bootable: Option<bool>,
    /// Whether it was built on the one before.
    #[serde(deserialize_with = "lenient::flag")]
    pub incremental: bool,
    /// The snapshot it was made from, as long as that exists.
    #[serde(deserialize_with = "lenient::maybe")]
    pub snapshot_id: Option<SnapshotId>,
    /// Whether a restore can be used before it has ended.
    #[serde(deserialize_with = "lenient::maybe_flag")]
    pub support_lld: Option<bool>,
    /// What it can be restored from.
    pub supported_restore_mode: word::RestoreMode,
    /// The images made from it.
    pub os_images_data: Option<Vec<OsImage>>,
    /// Whether a server's backup has the system disk in it.
    #[serde(deserialize_with = "lenient::maybe_flag")]
    pub contain_system_disk: Option<bool>,
    /// Whether the resource is encrypted.
    #[serde(deserialize_with = "lenient::flag")]
    pub encrypted: bool,
    /// Whether the resource is a system disk.
    #[serde(deserialize_with = "lenient::maybe_flag")]
    pub system_disk: Option<bool>,
    /// The architecture of the server.
    pub architecture: Option<String>,
    /// How far the present work on it has come, in percent.
    #[serde(deserialize_with = "lenient::maybe_number")]
    pub progress: Option<u8>,
    /// Whether applications took part.
    #[serde(deserialize_with = "lenient::maybe")]
    pub app_consistency: Option<AppConsistency>,
    /// What of it cannot be restored; Emberkeep's own, and written only where there is damage.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::maybe"
    )]
    pub damage: Option<Damage>,
}

/// An image made from a backup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct OsImage {
    /// Its id.
    #[serde(deserialize_with = "lenient::text")]
    pub image_id: String,
}

/// Whether applications took part in a backup: numbers as text, `"0"` for no.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct AppConsistency {
    /// Whether they were asked to.
    #[serde(deserialize_with = "lenient::text")]
    pub app_consistency: String,
    /// Whether they did.
    #[serde(deserialize_with = "lenient::text")]
    pub app_consistency_status: String,
    /// Why not, as a code.
    #[serde(deserialize_with = "lenient::text")]
    pub app_consistency_error_code: String,
    /// Why not, in words.
    #[serde(deserialize_with = "lenient::text")]
    pub app_consistency_error_message: String,
}

/// The copying of a backup to another region.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct ReplicationRecord {
    /// Its id.
    #[serde(deserialize_with = "lenient::text")]
    pub id: String,
    /// How it stands.
    pub status: word::ReplicationStatus,
    /// When it was asked for.
    pub created_at: Moment,
    /// The vault that the backup lies in.
    #[serde(deserialize_with = "lenient::maybe")]
    pub vault_id: Option<VaultId>,
    /// The backup.
    pub source_backup_id: BackupId,
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
    /// The run that the copy belongs to.
    #[serde(deserialize_with = "lenient::maybe")]
    pub destination_checkpoint_id: Option<CheckpointId>,
    /// Whose the copy is.
    pub destination_project_id: ProjectId,
    /// The region it goes to.
    #[serde(deserialize_with = "lenient::text")]
    pub destination_region: String,
    /// The vault it goes to.
    #[serde(deserialize_with = "lenient::maybe")]
    pub destination_vault_id: Option<VaultId>,
    /// What else is known of it.
    #[serde(deserialize_with = "lenient::or_default")]
    pub extra_info: ReplicationExtra,
}

/// What else is known of the copying of a backup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct ReplicationExtra {
    /// How far it has come, in percent.
    #[serde(deserialize_with = "lenient::maybe_number")]
    pub progress: Option<u8>,
    /// Why it failed, as a code.
    pub fail_code: Option<String>,
    /// Why it failed, in words.
    pub fail_reason: Option<String>,
    /// Whether a policy asked for it.
    #[serde(deserialize_with = "lenient::maybe_flag")]
    pub auto_trigger: Option<bool>,
    /// The vault it goes to.
    #[serde(deserialize_with = "lenient::maybe")]
    pub destination_vault_id: Option<VaultId>,
}

impl ReplicationRecord {
    /// Shows how the copying of a backup stands, by the row of its copy; none if it is no copy.
    pub fn of(copy: &model::Backup, progress: Option<Progress>) -> Option<Self> {
        let replica = copy.cbr.replica.as_ref()?;
        let failed = match &copy.state {
            BackupState::Failed { reason } => Some(reason.clone()),
            _ => None,
        };
        let status = match &copy.state {
            BackupState::Queued => "waiting_replicate",
            BackupState::Copying => "replicating",
            BackupState::Failed { .. } => "fail",
            BackupState::Available(_)
            | BackupState::Damaged(_)
            | BackupState::RestoreQueued { .. }
            | BackupState::Restoring { .. }
            | BackupState::DeleteQueued
            | BackupState::Deleting
            | BackupState::Deleted => "success",
        };
        Some(Self {
            id: copy.id.to_string(),
            status: status.into(),
            created_at: copy.created_at.into(),
            vault_id: replica.source_vault_id.map(Into::into),
            source_backup_id: replica.source_backup_id.into(),
            source_checkpoint_id: replica.source_checkpoint_id.map(Into::into),
            source_project_id: (&replica.source_project_id).into(),
            source_region: replica.source_region.clone(),
            destination_backup_id: Some(copy.id.into()),
            destination_checkpoint_id: copy.checkpoint_id.map(Into::into),
            destination_project_id: (&copy.project_id).into(),
            destination_region: replica.region.clone(),
            destination_vault_id: copy.vault_id.map(Into::into),
            extra_info: ReplicationExtra {
                progress: match status {
                    "success" => Some(100),
                    _ => Some(progress.map_or(0, |progress| progress.percent())),
                },
                fail_code: failed.is_some().then(|| "BackupService.9910".to_owned()),
                fail_reason: failed,
                auto_trigger: Some(copy.automatic),
                destination_vault_id: copy.vault_id.map(Into::into),
            },
        })
    }
}

impl Backup {
    /// Shows a backup with how far the work on it has come, and whether a system can start
    /// from what it is of. The backups of a server's disks are for the caller to add.
    pub fn of(backup: &model::Backup, progress: Option<Progress>, bootable: bool) -> Self {
        let incremental = backup.is_incremental();
        let is_server = backup.cbr.kind == ObjectType::Server;
        Self {
            id: backup.id.into(),
            name: backup.name.clone().unwrap_or_default(),
            description: backup.description.clone(),
            status: status(&backup.state).into(),
            image_type: if backup.cbr.replica.is_some() {
                "replication".into()
            } else {
                "backup".into()
            },
            checkpoint_id: backup.checkpoint_id.map(Into::into),
            vault_id: backup.vault_id.map(Into::into),
            project_id: (&backup.project_id).into(),
            provider_id: provider_id(backup.cbr.kind).into(),
            enterprise_project_id: ENTERPRISE_PROJECT.into(),
            resource_id: backup.resource_id().into(),
            resource_name: backup.volume_name.clone().unwrap_or_default(),
            resource_type: resource_type(backup.cbr.kind).into(),
            resource_size: backup.size,
            resource_az: backup.availability_zone.clone(),
            created_at: backup.created_at.into(),
            updated_at: backup.updated_at.map(Into::into),
            protected_at: backup.state.sealed().map(|sealed| sealed.at.into()),
            expired_at: backup.cbr.expires_at.map(Into::into),
            // The wire's parent is the server a disk belongs to, not the backup before.
            parent_id: backup.cbr.part_of.map(Into::into),
            children: Vec::new(),
            replication_records: Vec::new(),
            incremental,
            extend_info: ExtendInfo {
                auto_trigger: backup.automatic,
                bootable: Some(bootable),
                incremental,
                snapshot_id: backup.snapshot_id.map(Into::into),
                support_lld: Some(false),
                supported_restore_mode: if backup.state.sealed().is_some()
                    && backup.damage.is_none()
                {
                    "backup".into()
                } else {
                    "na".into()
                },
                // Nothing here makes images of servers.
                os_images_data: is_server.then(Vec::new),
                contain_system_disk: is_server.then_some(bootable),
                encrypted: false,
                system_disk: Some(backup.cbr.part_of.is_some() && bootable),
                architecture: backup
                    .cbr
                    .server
                    .as_ref()
                    .and_then(|server| server.architecture.clone()),
                progress: percent(&backup.state, progress),
                // Of a disk or a directory no application knows.
                app_consistency: is_server.then(|| AppConsistency {
                    app_consistency: "0".to_owned(),
                    app_consistency_status: "0".to_owned(),
                    app_consistency_error_code: "0".to_owned(),
                    app_consistency_error_message: String::new(),
                }),
                damage: backup.damage.as_ref().map(Damage::of),
            },
            version: None,
            more: Map::new(),
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
        BackupState::Damaged(_) | BackupState::Failed { .. } => "error",
    }
}

/// Returns how far the present work has come; of what failed or goes away nothing is known.
fn percent(state: &BackupState, progress: Option<Progress>) -> Option<u8> {
    match state {
        BackupState::Available(_) | BackupState::Damaged(_) => Some(100),
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
            BackupState::Damaged(sealed),
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
