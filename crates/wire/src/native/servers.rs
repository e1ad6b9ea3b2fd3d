//! Servers and file systems: the inventory of what vaults protect besides single volumes.

use std::collections::BTreeMap;

use emberkeep_model as model;
use serde::{Deserialize, Serialize};

use super::Named;
use crate::time;

/// A set of volumes kept together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Server {
    /// Its id.
    pub id: model::ServerId,
    /// Its name.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// `ACTIVE` while any of its volumes is in use, else `SHUTOFF`.
    pub status: String,
    /// The operating system, if anybody has said.
    pub os_type: Option<String>,
    /// The architecture, if anybody has said.
    pub architecture: Option<String>,
    /// The tenant's own pairs.
    pub metadata: BTreeMap<String, String>,
    /// Its volumes, in the order they were added.
    pub volumes: Vec<ServerDisk>,
    /// Whose it is.
    pub project_id: model::ProjectId,
    /// When it was made.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: Option<String>,
}

/// A volume of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ServerDisk {
    /// Its id.
    pub id: model::VolumeId,
    /// Its name.
    pub name: Option<String>,
    /// Its size.
    pub size_gib: u32,
    /// Its status.
    pub status: String,
    /// Whether a system can start from it.
    pub bootable: bool,
}

/// One page of servers, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ServerPage {
    /// The servers.
    pub servers: Vec<Server>,
    /// How many there are in all.
    pub count: u64,
}

/// `POST /servers`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct NewServer {
    /// Its name, 1 to 255 characters.
    pub name: String,
    /// Free text, up to 255 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The operating system, e.g. `Linux`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os_type: Option<String>,
    /// The architecture, e.g. `x86_64`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// The tenant's own pairs.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Its volumes, in order.
    pub volumes: Vec<model::VolumeId>,
}

/// `POST /servers/{id}/volumes` and `…/volumes/remove`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ServerVolumes {
    /// The volumes to add or to take out.
    pub volumes: Vec<model::VolumeId>,
}

/// A directory that is backed up as a tree of files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FileSystem {
    /// Its id.
    pub id: model::FileSystemId,
    /// Its name.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Where it lies on the service's host; only for those who may see that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What its files took when somebody last looked, in whole GiB.
    pub size_gib: u32,
    /// The tenant's own pairs.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// Whose it is.
    pub project_id: model::ProjectId,
    /// When it was registered.
    pub created_at: String,
}

/// One page of file systems, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FileSystemPage {
    /// The file systems.
    pub file_systems: Vec<FileSystem>,
    /// How many there are in all.
    pub count: u64,
}

/// `POST /file-systems`; for administrators.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct NewFileSystem {
    /// Its name, 1 to 255 characters.
    pub name: String,
    /// Free text, up to 255 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The directory, below one of the roots that the operator allows.
    pub path: String,
    /// The project that it is entrusted to; the caller's own if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<model::ProjectId>,
    /// The tenant's own pairs.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

impl Server {
    /// Shows a server with its volumes.
    pub fn of(server: &model::Server, volumes: &[model::Volume], status: &str) -> Self {
        Self {
            id: server.id,
            name: server.name.clone(),
            description: server.description.clone(),
            status: status.to_owned(),
            os_type: server.facts.os_type.clone(),
            architecture: server.facts.architecture.clone(),
            metadata: server.metadata.clone(),
            volumes: volumes
                .iter()
                .map(|volume| ServerDisk {
                    id: volume.id,
                    name: volume.name.clone(),
                    size_gib: volume.size.0,
                    status: volume.status.as_str().to_owned(),
                    bootable: volume.bootable,
                })
                .collect(),
            project_id: server.project_id.clone(),
            created_at: time::zulu(server.created_at),
            updated_at: server.updated_at.map(time::zulu),
        }
    }
}

impl FileSystem {
    /// Shows a file system without where it lies.
    pub fn of(system: &model::FileSystem) -> Self {
        Self {
            id: system.id,
            name: system.name.clone(),
            description: system.description.clone(),
            path: None,
            size_gib: system.size.0,
            metadata: system.metadata.clone(),
            project_id: system.project_id.clone(),
            created_at: time::zulu(system.created_at),
        }
    }

    /// Shows a file system with where it lies on the service's host.
    pub fn with_path(system: &model::FileSystem) -> Self {
        Self {
            path: Some(system.path.clone()),
            ..Self::of(system)
        }
    }
}

impl From<&ServerDisk> for Named<model::VolumeId> {
    fn from(disk: &ServerDisk) -> Self {
        Self {
            id: disk.id,
            name: disk.name.clone(),
        }
    }
}
