//! The checkpoint, as CBR shows it (`cbr-v3.md §2.3`).

use emberkeep_model as model;
use emberkeep_model::{CheckpointStatus, ObjectType};
use serde::{Deserialize, Serialize};

use super::code;
use super::vault::{megabytes, protect_status};
use super::{VOLUME_TYPE, Word, provider_id};
use crate::time;

/// One run over a vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the key it is named for")]
pub struct Checkpoint {
    pub id: model::CheckpointId,
    pub project_id: model::ProjectId,
    pub status: Word,
    pub created_at: String,
    pub extra_info: CheckpointExtra,
    pub vault: CheckpointVault,
}

/// What a run was asked for with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the key it is named for")]
pub struct CheckpointExtra {
    pub name: String,
    pub description: Option<String>,
    /// In days; -1 for ever.
    pub retention_duration: i64,
}

/// The vault of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the key it is named for")]
pub struct CheckpointVault {
    pub id: model::VaultId,
    pub name: String,
    pub provider_id: Word,
    pub resources: Vec<CheckpointResource>,
    pub skipped_resources: Vec<SkippedResource>,
}

/// A resource that took part. Numbers are strings here: clients break on anything else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the key it is named for")]
pub struct CheckpointResource {
    pub id: model::VolumeId,
    pub name: String,
    #[serde(rename = "type")]
    pub kind: Word,
    pub protect_status: Word,
    /// In GB.
    pub resource_size: String,
    /// In MB.
    pub backup_size: String,
    pub backup_count: String,
    pub extra_info: Word,
}

/// A resource that was left out, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the key it is named for")]
pub struct SkippedResource {
    pub id: model::VolumeId,
    #[serde(rename = "type")]
    pub kind: Word,
    pub name: String,
    pub code: Word,
    pub reason: Word,
}

impl Checkpoint {
    /// Shows a run with the vault it is of and what that holds, if it is still there.
    pub fn of(
        checkpoint: &model::Checkpoint,
        vault: Option<&model::Vault>,
        resources: &[(model::VaultResource, model::ResourceUsage)],
    ) -> Self {
        let now = |id: model::VolumeId| {
            resources
                .iter()
                .find(|(resource, _)| resource.volume_id == id)
        };
        let idle = match checkpoint.status {
            CheckpointStatus::Protecting => model::ProtectStatus::Protecting,
            CheckpointStatus::Available | CheckpointStatus::Error | CheckpointStatus::Deleted => {
                model::ProtectStatus::Available
            }
        };
        let taken = checkpoint.resources.iter().map(|resource| {
            let (status, size, count) = now(resource.volume_id)
                .map_or((idle, 0, 0), |(now, stored)| {
                    (now.status, megabytes(stored.used), stored.backups)
                });
            CheckpointResource {
                id: resource.volume_id,
                name: resource.name.clone().unwrap_or_default(),
                kind: VOLUME_TYPE.into(),
                protect_status: protect_status(status).into(),
                resource_size: resource.size.0.to_string(),
                backup_size: size.to_string(),
                backup_count: count.to_string(),
                extra_info: "{}".into(),
            }
        });
        let skipped = checkpoint.skipped.iter().map(|resource| {
            let (code, reason) = code::skipped(resource.reason);
            SkippedResource {
                id: resource.volume_id,
                kind: VOLUME_TYPE.into(),
                name: resource.name.clone().unwrap_or_default(),
                code: code.into(),
                reason: reason.into(),
            }
        });
        Self {
            id: checkpoint.id,
            project_id: checkpoint.project_id.clone(),
            status: status(checkpoint.status).into(),
            created_at: time::naive(checkpoint.created_at),
            extra_info: CheckpointExtra {
                name: checkpoint.name.clone(),
                description: checkpoint.description.clone(),
                retention_duration: checkpoint.retention_days.map_or(-1, i64::from),
            },
            vault: CheckpointVault {
                id: checkpoint.vault_id,
                name: vault.map(|vault| vault.name.clone()).unwrap_or_default(),
                provider_id: provider_id(vault.map_or(ObjectType::Disk, |vault| vault.object_type))
                    .into(),
                resources: taken.collect(),
                skipped_resources: skipped.collect(),
            },
        }
    }
}

fn status(status: CheckpointStatus) -> &'static str {
    match status {
        CheckpointStatus::Protecting => "protecting",
        CheckpointStatus::Available => "available",
        CheckpointStatus::Error => "error",
        CheckpointStatus::Deleted => "deleted",
    }
}
