//! What vaults hold together, and what the service can do (`cbr-v3.md §2.2`, `§2.10`).

use emberkeep_model::Gib;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::size::gib;
use super::{Mib, word};
use crate::ids::{ResourceId, TaskId};
use crate::lenient;

/// What the project's vaults hold together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

/// One page of what the backups of resources take.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StorageUsagePage {
    /// How many resources there are on all pages.
    #[serde(default, deserialize_with = "lenient::number")]
    pub resource_count: u64,
    /// Those on this one.
    #[serde(deserialize_with = "lenient::or_default")]
    pub storage_usage: Vec<StorageUsage>,
}

/// What became of a request to keep a vault's backups until another day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct ReplicationRegion {
    /// The region.
    #[serde(deserialize_with = "lenient::text")]
    pub name: String,
    /// The regions that take its copies.
    #[serde(deserialize_with = "lenient::or_default")]
    pub replication_destinations: Vec<String>,
}

/// What a service can do, key by key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Features {
    /// Whether backups can be copied to other regions.
    #[serde(
        rename = "replication.enable",
        deserialize_with = "lenient::maybe_flag",
        skip_serializing_if = "Option::is_none"
    )]
    pub replication_enable: Option<bool>,
    /// The region that copies are made from.
    #[serde(
        rename = "replication.source_region",
        skip_serializing_if = "Option::is_none"
    )]
    pub replication_source_region: Option<String>,
    /// The regions that take copies.
    #[serde(
        rename = "replication.destination_regions",
        deserialize_with = "lenient::maybe",
        skip_serializing_if = "Option::is_none"
    )]
    pub replication_destination_regions: Option<Vec<String>>,
    /// Whether a vault can lie in two zones.
    #[serde(
        rename = "features.backup_double_az",
        deserialize_with = "lenient::maybe_flag",
        skip_serializing_if = "Option::is_none"
    )]
    pub backup_double_az: Option<bool>,
    /// What other clouds say besides.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}
