//! What could be protected, as CBR shows it (`cbr-v3.md §2.10`). Server and clients share these
//! shapes.

use std::collections::BTreeMap;

use emberkeep_model::Gib;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Vault, Word, size, word};
use crate::ids::{FileSystemId, ProjectId, ResourceId, ServerId, VolumeId};
use crate::lenient;

/// A server, disk or file system seen from the side of backups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Instance {
    /// Its id.
    pub id: ResourceId,
    /// Its name.
    #[serde(deserialize_with = "lenient::text")]
    pub name: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: word::ResourceType,
    /// Its size.
    #[serde(deserialize_with = "size::gib")]
    pub size: Gib,
    /// Its status in its own service, e.g. `in-use`, `ACTIVE`.
    #[serde(deserialize_with = "lenient::text")]
    pub status: String,
    /// The disks of a server.
    #[serde(deserialize_with = "lenient::or_default")]
    pub children: Vec<Instance>,
    /// What its own service says of it.
    #[serde(deserialize_with = "lenient::or_default")]
    pub detail: Map<String, Value>,
    /// Whether it can be protected; children do not say.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::maybe"
    )]
    pub protectable: Option<Protectable>,
}

/// Whether something can be put into a vault.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Protectable {
    /// Whether it can.
    #[serde(deserialize_with = "lenient::flag")]
    pub result: bool,
    /// `BackupService.NNNN` if not; empty if so.
    #[serde(deserialize_with = "lenient::word")]
    pub code: Word,
    /// Why not.
    #[serde(deserialize_with = "lenient::text")]
    pub reason: String,
    /// The same at length.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The vault that it is in already.
    #[serde(deserialize_with = "lenient::maybe")]
    pub vault: Option<Box<Vault>>,
}

/// What stands in [`Instance::detail`] of a disk of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct DiskDetail {
    /// Its id.
    pub id: VolumeId,
    /// Its name.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Its size.
    #[serde(deserialize_with = "size::gib")]
    pub size: Gib,
    /// Its status.
    pub status: String,
    /// Whether a system can start from it, as a word.
    pub bootable: String,
    /// Its zone.
    pub availability_zone: Option<String>,
    /// The tenant's own pairs.
    pub metadata: BTreeMap<String, String>,
    /// Whose it is.
    #[serde(rename = "os-vol-tenant-attr:tenant_id")]
    pub tenant_id: ProjectId,
}

/// What stands in [`Instance::detail`] of a server of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct ServerDetail {
    /// Its id.
    pub id: ServerId,
    /// Its name.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Its status.
    pub status: String,
    /// The tenant's own pairs.
    pub metadata: BTreeMap<String, String>,
    /// What runs on it.
    pub os_type: Option<String>,
    /// What its processors are.
    pub architecture: Option<String>,
    /// Whose it is.
    pub tenant_id: ProjectId,
    /// Its disks.
    #[serde(rename = "os-extended-volumes:volumes_attached")]
    pub volumes_attached: Vec<AttachedDisk>,
}

/// A disk of a server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct AttachedDisk {
    /// Its id.
    pub id: VolumeId,
}

/// What stands in [`Instance::detail`] of a file system of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct FileSystemDetail {
    /// Its id.
    pub id: FileSystemId,
    /// Its name.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Its size.
    #[serde(deserialize_with = "size::gib")]
    pub size: Gib,
    /// Its status.
    pub status: String,
    /// Whose it is.
    pub tenant_id: ProjectId,
}
