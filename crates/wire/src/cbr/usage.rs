//! What vaults hold together, and what the service can do (`cbr-v3.md §2.2`, `§2.10`).

use emberkeep_model::Gib;
use serde::{Deserialize, Serialize};

use super::size::gib;
use super::{Mib, word};
use crate::ids::{ResourceId, TaskId};
use crate::lenient;

/// What the project's vaults hold together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VaultsSummary {
    /// Their capacities, GB.
    #[serde(deserialize_with = "gib")]
    pub size: Gib,
    /// What is stored in them, MB.
    pub used_size: Mib,
}

/// What the backups of one resource take.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StorageUsage {
    /// The resource.
    pub resource_id: ResourceId,
    /// Its name.
    #[serde(deserialize_with = "lenient::text")]
    pub resource_name: String,
    /// What it is.
    pub resource_type: word::ResourceType,
    /// How many backups it has.
    #[serde(deserialize_with = "lenient::number")]
    pub backup_count: u64,
    /// What they take, MB.
    pub backup_size: Mib,
}

/// What became of a request to keep a vault's backups until another day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExpiryMoved {
    /// How many backups it concerns.
    #[serde(deserialize_with = "lenient::number")]
    pub affected_backups_count: u64,
    /// The day they go, `2027-03-01`.
    #[serde(deserialize_with = "lenient::text")]
    pub new_expiration_day: String,
    /// The task that does it, where one does.
    pub operation_log_id: Option<TaskId>,
}

/// Where backups of a region can be copied to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReplicationRegion {
    /// The region.
    #[serde(deserialize_with = "lenient::text")]
    pub name: String,
    /// The regions that take its copies.
    #[serde(deserialize_with = "lenient::or_default")]
    pub replication_destinations: Vec<String>,
}
