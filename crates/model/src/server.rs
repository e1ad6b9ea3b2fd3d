//! Servers: sets of volumes that are backed up at one instant.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{ProjectId, ServerId, Timestamp, UserId, VolumeId};

/// A set of volumes kept together. Its volumes are [`ServerVolume`]s.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// Its id.
    pub id: ServerId,
    /// Whose it is.
    pub project_id: ProjectId,
    /// Who made it.
    pub user_id: UserId,
    /// Its name.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// What it runs.
    pub facts: ServerFacts,
    /// The tenant's own pairs.
    pub metadata: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its row last changed.
    pub updated_at: Option<Timestamp>,
    /// See [`crate::Volume::revision`].
    pub revision: u64,
}

/// What a server runs, as far as somebody has said.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerFacts {
    /// The operating system, e.g. `Linux`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os_type: Option<String>,
    /// The architecture, e.g. `x86_64`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
}

/// A volume of a server. A volume belongs to at most one.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerVolume {
    /// The volume.
    pub volume_id: VolumeId,
    /// The server.
    pub server_id: ServerId,
    /// When it was added.
    pub created_at: Timestamp,
    /// See [`crate::Volume::revision`].
    pub revision: u64,
}
