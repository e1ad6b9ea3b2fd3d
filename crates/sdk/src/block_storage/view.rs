//! What the service answers, in every microversion's fields. What has no field of its own is
//! kept in `more`, so that nothing is lost.

use std::collections::BTreeMap;

use emberkeep_model::Gib;
use emberkeep_wire::lenient;
use emberkeep_wire::time::Moment;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::ids::{BackupId, ProjectId, SnapshotId, UserId, VolumeId};

/// A volume.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Volume {
    /// Its id.
    pub id: VolumeId,
    /// Its name; may be missing or empty.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Its size.
    #[serde(deserialize_with = "gib")]
    pub size: Gib,
    /// Its status, e.g. `available`.
    #[serde(deserialize_with = "lenient::text")]
    pub status: String,
    /// The zone it lies in.
    pub availability_zone: Option<String>,
    /// When it was made.
    pub created_at: Option<Moment>,
    /// When something about it last changed.
    pub updated_at: Option<Moment>,
    /// The name of its type.
    pub volume_type: Option<String>,
    /// The snapshot that it was made from.
    pub snapshot_id: Option<SnapshotId>,
    /// The volume that it was copied from.
    #[serde(rename = "source_volid")]
    pub source_volume_id: Option<VolumeId>,
    /// The tenant's own pairs.
    #[serde(deserialize_with = "lenient::or_default")]
    pub metadata: BTreeMap<String, String>,
    /// Whose it is.
    pub user_id: Option<UserId>,
    /// Whether a system can start from it; text on the wire.
    #[serde(
        serialize_with = "lenient::maybe_as_text",
        deserialize_with = "lenient::maybe_flag"
    )]
    pub bootable: Option<bool>,
    /// Whether it is encrypted.
    #[serde(deserialize_with = "lenient::flag")]
    pub encrypted: bool,
    /// Whether it can be attached to several servers.
    #[serde(deserialize_with = "lenient::flag")]
    pub multiattach: bool,
    /// What it is attached to.
    #[serde(deserialize_with = "lenient::or_default")]
    pub attachments: Vec<Attachment>,
    /// How its replication stands.
    pub replication_status: Option<String>,
    /// The consistency group that it is in.
    pub consistencygroup_id: Option<String>,
    /// How its migration stands; for administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub migration_status: Option<String>,
    /// The project it belongs to.
    #[serde(
        rename = "os-vol-tenant-attr:tenant_id",
        skip_serializing_if = "Option::is_none"
    )]
    pub project_id: Option<ProjectId>,
    /// The back end that has it, `host@backend#pool`; for administrators.
    #[serde(
        rename = "os-vol-host-attr:host",
        skip_serializing_if = "Option::is_none"
    )]
    pub host: Option<String>,
    /// The state of its migration; for administrators.
    #[serde(
        rename = "os-vol-mig-status-attr:migstat",
        skip_serializing_if = "Option::is_none"
    )]
    pub migration_state: Option<String>,
    /// Its id at the back end after a migration; for administrators.
    #[serde(
        rename = "os-vol-mig-status-attr:name_id",
        skip_serializing_if = "Option::is_none"
    )]
    pub migration_name_id: Option<String>,
    /// The group that it is in; since 3.13.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_id: Option<String>,
    /// Its id at the back end; since 3.21, for administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// Whether its back end shares targets; since 3.48.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_targets: Option<bool>,
    /// The service that has it; since 3.48.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_uuid: Option<String>,
    /// The cluster that has it; since 3.61, for administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_name: Option<String>,
    /// The id of its type; since 3.63.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_type_id: Option<String>,
    /// The key that it is encrypted with; since 3.64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption_key_id: Option<String>,
    /// Whether it counts against the quota; since 3.65.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumes_quota: Option<bool>,
    /// What is known of the image on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_image_metadata: Option<BTreeMap<String, String>>,
    /// Everything else the service says.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// A server that a volume is attached to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attachment {
    /// The volume.
    pub id: VolumeId,
    /// The attachment.
    pub attachment_id: Option<String>,
    /// The volume again.
    pub volume_id: VolumeId,
    /// The server.
    pub server_id: Option<String>,
    /// The server's host.
    pub host_name: Option<String>,
    /// The device there, e.g. `/dev/vdb`.
    pub device: Option<String>,
    /// Since when.
    pub attached_at: Option<Moment>,
}

/// A snapshot of a volume.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// Its id.
    pub id: SnapshotId,
    /// Its name; may be missing or empty.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Of which volume.
    pub volume_id: VolumeId,
    /// Its size.
    #[serde(deserialize_with = "gib")]
    pub size: Gib,
    /// Its status.
    #[serde(deserialize_with = "lenient::text")]
    pub status: String,
    /// When it was taken.
    pub created_at: Option<Moment>,
    /// When something about it last changed.
    pub updated_at: Option<Moment>,
    /// The tenant's own pairs.
    #[serde(deserialize_with = "lenient::or_default")]
    pub metadata: BTreeMap<String, String>,
    /// The project it belongs to.
    #[serde(
        rename = "os-extended-snapshot-attributes:project_id",
        skip_serializing_if = "Option::is_none"
    )]
    pub project_id: Option<ProjectId>,
    /// How far it has come, e.g. `100%`.
    #[serde(
        rename = "os-extended-snapshot-attributes:progress",
        skip_serializing_if = "Option::is_none"
    )]
    pub progress: Option<String>,
    /// The snapshot of a group that it is part of; since 3.14.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_snapshot_id: Option<String>,
    /// Whose it is; since 3.41.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// Whether it counts against the quota; since 3.65.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumes_quota: Option<bool>,
    /// Everything else the service says.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// A backup of a volume.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Backup {
    /// Its id.
    pub id: BackupId,
    /// Its name; may be missing.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Of which volume.
    pub volume_id: VolumeId,
    /// From which snapshot of it.
    pub snapshot_id: Option<SnapshotId>,
    /// The volume's size.
    #[serde(deserialize_with = "gib")]
    pub size: Gib,
    /// Its status.
    #[serde(deserialize_with = "lenient::text")]
    pub status: String,
    /// Why making it failed.
    pub fail_reason: Option<String>,
    /// Whether it was made from another one's map.
    #[serde(deserialize_with = "lenient::flag")]
    pub is_incremental: bool,
    /// Whether others need it.
    #[serde(deserialize_with = "lenient::flag")]
    pub has_dependent_backups: bool,
    /// How many objects it is kept in.
    #[serde(deserialize_with = "lenient::number")]
    pub object_count: u64,
    /// Where it is kept.
    pub container: Option<String>,
    /// The zone it lies in.
    pub availability_zone: Option<String>,
    /// When it was asked for.
    pub created_at: Option<Moment>,
    /// When something about it last changed.
    pub updated_at: Option<Moment>,
    /// The instant whose content it has.
    pub data_timestamp: Option<Moment>,
    /// The tenant's own pairs; since 3.43.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<BTreeMap<String, String>>,
    /// The project it belongs to; since 3.18, for administrators.
    #[serde(
        rename = "os-backup-project-attr:project_id",
        skip_serializing_if = "Option::is_none"
    )]
    pub project_id: Option<ProjectId>,
    /// Whose it is; since 3.56, for administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// The key that the volume is encrypted with; since 3.64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption_key_id: Option<String>,
    /// Everything else the service says.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// A restore that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreStarted {
    /// The backup.
    pub backup_id: BackupId,
    /// The target.
    pub volume_id: VolumeId,
    /// The target's name.
    #[serde(default, deserialize_with = "lenient::text")]
    pub volume_name: String,
}

/// What is needed to know a backup again elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupRecord {
    /// The driver that can read it.
    pub backup_service: String,
    /// All that is known of it, as opaque text.
    pub backup_url: String,
}

/// A type of volumes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VolumeType {
    /// Its id.
    #[serde(deserialize_with = "lenient::text")]
    pub id: String,
    /// Its name.
    #[serde(deserialize_with = "lenient::text")]
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Whether every project may use it.
    #[serde(deserialize_with = "lenient::flag")]
    pub is_public: bool,
    /// What it asks of back ends.
    #[serde(deserialize_with = "lenient::or_default")]
    pub extra_specs: BTreeMap<String, String>,
    /// Its service class; for administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qos_specs_id: Option<String>,
    /// Everything else the service says.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

fn gib<'de, D: Deserializer<'de>>(source: D) -> Result<Gib, D::Error> {
    lenient::number(source).map(Gib)
}
