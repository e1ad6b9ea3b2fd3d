//! What is asked for: the bodies of requests, and what lists can be narrowed by. What was not
//! said is not sent.

use std::collections::BTreeMap;

use emberkeep_model::Gib;
use serde::Serialize;

use crate::connection::Call;
use crate::ids::{BackupId, ProjectId, SnapshotId, VolumeId};

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
    /// Also of a volume in use.
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

/// Which volumes to list; what is none does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VolumeQuery {
    /// Those called so.
    pub name: Option<String>,
    /// Those in this status.
    pub status: Option<String>,
    /// Those that a system can start from, or not.
    pub bootable: Option<bool>,
    /// Of every project; for administrators.
    pub all_projects: bool,
    /// Of this project; for administrators, with `all_projects`.
    pub project_id: Option<ProjectId>,
    /// The order: keys such as `created_at:desc,name:asc`.
    pub sort: Option<String>,
}

impl VolumeQuery {
    /// Asks for those called so.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            ..Self::default()
        }
    }

    pub(super) fn of(&self, call: Call) -> Call {
        call.query("name", self.name.as_ref())
            .query("status", self.status.as_ref())
            .query("bootable", self.bootable)
            .query("all_tenants", self.all_projects.then_some(true))
            .query("project_id", self.project_id.as_ref())
            .query("sort", self.sort.as_ref())
    }
}

/// Which snapshots to list; what is none does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SnapshotQuery {
    /// Those called so.
    pub name: Option<String>,
    /// Those in this status.
    pub status: Option<String>,
    /// Those of this volume.
    pub volume_id: Option<VolumeId>,
    /// Of every project; for administrators.
    pub all_projects: bool,
    /// Of this project; for administrators, with `all_projects`.
    pub project_id: Option<ProjectId>,
    /// The order: keys such as `created_at:desc,name:asc`.
    pub sort: Option<String>,
}

impl SnapshotQuery {
    /// Asks for those called so.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            ..Self::default()
        }
    }

    pub(super) fn of(&self, call: Call) -> Call {
        call.query("name", self.name.as_ref())
            .query("status", self.status.as_ref())
            .query("volume_id", self.volume_id.as_ref())
            .query("all_tenants", self.all_projects.then_some(true))
            .query("project_id", self.project_id.as_ref())
            .query("sort", self.sort.as_ref())
    }
}

/// Which backups to list; what is none does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BackupQuery {
    /// Those called so.
    pub name: Option<String>,
    /// Those in this status.
    pub status: Option<String>,
    /// Those of this volume.
    pub volume_id: Option<VolumeId>,
    /// Of every project; for administrators.
    pub all_projects: bool,
    /// Of this project; for administrators, with `all_projects`.
    pub project_id: Option<ProjectId>,
    /// The order: keys such as `created_at:desc,name:asc`.
    pub sort: Option<String>,
}

impl BackupQuery {
    /// Asks for those called so.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            ..Self::default()
        }
    }

    pub(super) fn of(&self, call: Call) -> Call {
        call.query("name", self.name.as_ref())
            .query("status", self.status.as_ref())
            .query("volume_id", self.volume_id.as_ref())
            .query("all_tenants", self.all_projects.then_some(true))
            .query("project_id", self.project_id.as_ref())
            .query("sort", self.sort.as_ref())
    }
}
