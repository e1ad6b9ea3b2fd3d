//! What is asked for: the bodies of requests. What was not said is not sent.

use std::collections::BTreeMap;

use emberkeep_model::Gib;
use serde::Serialize;

use crate::ids::{BackupId, SnapshotId, VolumeId};

/// A volume to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NewVolume {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its size; may be left out where the source tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<Gib>,
    /// Name or id of its type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_type: Option<String>,
    /// The zone it is to lie in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub availability_zone: Option<String>,
    /// The tenant's own pairs.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Make it from this snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_id: Option<SnapshotId>,
    /// Clone this volume.
    #[serde(rename = "source_volid", skip_serializing_if = "Option::is_none")]
    pub source_volume_id: Option<VolumeId>,
    /// Restore this backup to it; since 3.47.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_id: Option<BackupId>,
    /// Write this image to it.
    #[serde(rename = "imageRef", skip_serializing_if = "Option::is_none")]
    pub image_id: Option<String>,
}

/// Changes of a volume or a snapshot; what is none stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VolumeChange {
    /// The new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The new text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The whole new set of pairs; of volumes only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<BTreeMap<String, String>>,
}

/// A snapshot to be taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NewSnapshot {
    /// Of which volume.
    pub volume_id: VolumeId,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Also of a volume in use; not sent where it is not meant, for since 3.66 that is refused:
    /// volumes in use need it no more.
    #[serde(skip_serializing_if = "is_false")]
    pub force: bool,
    /// The tenant's own pairs.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// A backup to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NewBackup {
    /// Of which volume.
    pub volume_id: VolumeId,
    /// From this snapshot of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_id: Option<SnapshotId>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where to keep it. With Emberkeep a vault's id puts it into that vault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// The zone to keep it in; since 3.51.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub availability_zone: Option<String>,
    /// Start from the newest backup of the volume.
    pub incremental: bool,
    /// Also of a volume in use.
    pub force: bool,
    /// The tenant's own pairs; since 3.43.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// Changes of a backup, since 3.9; what is none stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct BackupChange {
    /// The new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The new text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The whole new set of pairs; since 3.43.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<BTreeMap<String, String>>,
}

/// Where a backup is restored to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestoreTo {
    /// A volume that exists; what it holds is lost.
    Volume(VolumeId),
    /// A new volume, of this name if there is one.
    NewVolume(Option<String>),
}

/// An attachment to be made, since 3.27.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NewAttachment {
    /// Of which volume.
    #[serde(rename = "volume_uuid")]
    pub volume_id: VolumeId,
    /// For which server.
    #[serde(rename = "instance_uuid", skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
    /// What the other side says of itself; without it the volume is only set aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connector: Option<BTreeMap<String, String>>,
    /// `rw` or `ro`; since 3.54.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
}

/// A type of volumes to be made; for administrators.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NewVolumeType {
    /// Its name.
    pub name: String,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether every project may use it; it may, unless said otherwise.
    #[serde(
        rename = "os-volume-type-access:is_public",
        skip_serializing_if = "Option::is_none"
    )]
    pub is_public: Option<bool>,
    /// What it asks of back ends.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_specs: BTreeMap<String, String>,
}

/// Changes of a type of volumes; what is none stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VolumeTypeChange {
    /// The new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The new text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether every project may use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_public: Option<bool>,
}

fn is_false(flag: &bool) -> bool {
    !*flag
}
