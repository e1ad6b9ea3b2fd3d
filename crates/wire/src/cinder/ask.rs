//! The bodies of requests, as clients send them: ids are opaque, and what was not said is not sent.
//!
//! The service reads them into the model's commands, beside the tables that the form is checked
//! by; tests read back what is written here.

use std::collections::BTreeMap;

use emberkeep_model::Gib;
use serde::Serialize;

use super::{
    BackupAction, ExtraSpecsBody, Field, MetadataBody, RecordView, SnapshotAction, VolumeAction,
};
use crate::ids::{BackupId, ProjectId, SnapshotId, VolumeId};

#[cfg(test)]
mod samples;

crate::request::requests! {
    keyed {
        NewVolume: "volume",
        VolumeChange: "volume",
        NewSnapshot: "snapshot",
        SnapshotChange: "snapshot",
        NewBackup: "backup",
        BackupChange: "backup",
        BackupRestore: "restore",
        NewAttachment: "attachment",
        AttachmentChange: "attachment",
        NewVolumeType: "volume_type",
        VolumeTypeChange: "volume_type",
        NewQuotas: "quota_set",
        NewClassQuotas: "quota_class_set",
    }
    whole {
        AttachmentAction,
        BackupAction,
        SnapshotAction,
        VolumeAction,
        ServiceSwitch,
        TypeAccessChange,
        ExtraSpecsBody,
        MetadataBody,
    }
    as_answers {
        RecordView,
    }
}

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

/// Changes of a volume; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VolumeChange {
    /// The new name; null takes it away.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub name: Field<String>,
    /// The new text; null takes it away.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub description: Field<String>,
    /// The whole new set of pairs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<BTreeMap<String, String>>,
}

/// Changes of a snapshot; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SnapshotChange {
    /// The new name; null takes it away.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub name: Field<String>,
    /// The new text; null takes it away.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub description: Field<String>,
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

/// Changes of a backup, since 3.9; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct BackupChange {
    /// The new name; null takes it away.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub name: Field<String>,
    /// The new text; null takes it away.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub description: Field<String>,
    /// The whole new set of pairs; since 3.43.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<BTreeMap<String, String>>,
}

/// What becomes of a backup's content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct BackupRestore {
    /// It is put onto this volume, whose own is lost; onto a new one if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_id: Option<VolumeId>,
    /// The new volume's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
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

/// Who takes an attachment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AttachmentChange {
    /// What the other side says of itself.
    pub connector: BTreeMap<String, String>,
}

/// Something to be done with an attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum AttachmentAction {
    /// The other side has it.
    #[serde(rename = "os-complete")]
    Complete(()),
}

/// Changes of a type of volumes; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VolumeTypeChange {
    /// The new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The new text; null takes it away.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub description: Field<String>,
    /// Whether every project may use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_public: Option<bool>,
}

/// Who may use a type of volumes that is not public.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum TypeAccessChange {
    /// This project, from now on.
    #[serde(rename = "addProjectAccess")]
    Add {
        /// Which.
        project: ProjectId,
    },
    /// This project no more.
    #[serde(rename = "removeProjectAccess")]
    Remove {
        /// Which.
        project: ProjectId,
    },
}

/// What a project may have of each thing, by the keys of [`QuotaSet`](super::QuotaSet).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct NewQuotas(pub BTreeMap<String, i64>);

/// The same, for a class of projects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct NewClassQuotas(pub BTreeMap<String, i64>);

/// A service that work is to go to, or to go to no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServiceSwitch {
    /// What it is, e.g. `cinder-backup`.
    pub binary: String,
    /// Where it is.
    pub host: String,
    /// Why no work is to go to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled_reason: Option<String>,
}

fn is_false(flag: &bool) -> bool {
    !*flag
}
