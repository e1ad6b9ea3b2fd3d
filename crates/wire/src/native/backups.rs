//! Backups that come from elsewhere and go elsewhere.

use std::collections::BTreeMap;

use emberkeep_model as model;
use serde::{Deserialize, Serialize};

use crate::time;

/// The tasks that make a chain of Cinder's our own, the oldest backup's first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AdoptBegun {
    /// One for each backup of the chain that is not ours yet.
    pub task_ids: Vec<model::TaskId>,
}

/// What another service has to know to take a backup up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BackupOrigin {
    /// The backup.
    pub id: model::BackupId,
    /// Whose it is.
    pub project_id: model::ProjectId,
    /// Who made it.
    pub user_id: model::UserId,
    /// Its name.
    pub name: Option<String>,
    /// Its text.
    pub description: Option<String>,
    /// The volume it is of.
    pub volume_id: model::VolumeId,
    /// The volume's size in GiB.
    pub size_gib: u32,
    /// Its availability zone.
    pub availability_zone: Option<String>,
    /// The snapshot it was made from.
    pub snapshot_id: Option<model::SnapshotId>,
    /// The tenant's pairs.
    pub metadata: BTreeMap<String, String>,
    /// When it was asked for.
    pub created_at: String,
    /// The instant its data is of.
    pub data_timestamp: String,
    /// What the volume was like; none if nobody noted it.
    pub volume: Option<OriginVolume>,
}

/// What a volume was like when it was backed up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OriginVolume {
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

impl BackupOrigin {
    /// Describes a backup.
    pub fn of(backup: &model::Backup) -> Self {
        Self {
            id: backup.id,
            project_id: backup.project_id.clone(),
            user_id: backup.user_id.clone(),
            name: backup.name.clone(),
            description: backup.description.clone(),
            volume_id: backup.volume_id,
            size_gib: backup.size.0,
            availability_zone: backup.availability_zone.clone(),
            snapshot_id: backup.snapshot_id,
            metadata: backup.metadata.clone(),
            created_at: time::zulu(backup.created_at),
            data_timestamp: time::zulu(backup.data_timestamp),
            volume: backup.cinder.source.as_ref().map(|source| OriginVolume {
                name: source.name.clone(),
                description: source.description.clone(),
                metadata: source.metadata.clone(),
                image_metadata: source.image_metadata.clone(),
                bootable: source.bootable,
            }),
        }
    }
}
