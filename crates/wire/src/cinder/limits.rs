//! Limits: what a project may have and what it has.

use serde::{Deserialize, Serialize};

use crate::lenient;

/// What a project has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Volumes.
    pub volumes: u64,
    /// GiB of volumes and snapshots.
    pub gigabytes: u64,
    /// Snapshots.
    pub snapshots: u64,
    /// Backups.
    pub backups: u64,
    /// GiB of backups, each at the full size of its volume.
    pub backup_gigabytes: u64,
}

/// Answers what the limits are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Limits {
    /// Limits of requests over time: none.
    pub rate: Vec<String>,
    /// Limits of things.
    pub absolute: AbsoluteLimits,
}

/// What a project may have (−1: as much as it wants) and what it has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct AbsoluteLimits {
    /// Volumes it may have; −1 is as many as it wants, here and below.
    #[serde(deserialize_with = "lenient::number")]
    pub max_total_volumes: i64,
    /// Snapshots it may have.
    #[serde(deserialize_with = "lenient::number")]
    pub max_total_snapshots: i64,
    /// GiB of volumes and snapshots it may have.
    #[serde(deserialize_with = "lenient::number")]
    pub max_total_volume_gigabytes: i64,
    /// Backups it may have.
    #[serde(deserialize_with = "lenient::number")]
    pub max_total_backups: i64,
    /// GiB of backups it may have, each at the full size of its volume.
    #[serde(deserialize_with = "lenient::number")]
    pub max_total_backup_gigabytes: i64,
    /// Volumes it has; none of what it has is told to those who may not see it.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::maybe_number"
    )]
    pub total_volumes_used: Option<u64>,
    /// GiB of volumes and snapshots it has.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::maybe_number"
    )]
    pub total_gigabytes_used: Option<u64>,
    /// Snapshots it has.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::maybe_number"
    )]
    pub total_snapshots_used: Option<u64>,
    /// Backups it has.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::maybe_number"
    )]
    pub total_backups_used: Option<u64>,
    /// GiB of backups it has.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::maybe_number"
    )]
    pub total_backup_gigabytes_used: Option<u64>,
}

/// How much a project may have of each thing; −1: as much as it wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each limits what is so named")]
pub struct Most {
    pub volumes: i64,
    pub snapshots: i64,
    pub gigabytes: i64,
    pub backups: i64,
    pub backup_gigabytes: i64,
}

impl Limits {
    /// Shows what a project may have and, to those who may see it, what it has.
    pub fn new(most: Most, usage: Option<Usage>) -> Self {
        Self {
            rate: Vec::new(),
            absolute: AbsoluteLimits {
                max_total_volumes: most.volumes,
                max_total_snapshots: most.snapshots,
                max_total_volume_gigabytes: most.gigabytes,
                max_total_backups: most.backups,
                max_total_backup_gigabytes: most.backup_gigabytes,
                total_volumes_used: usage.map(|usage| usage.volumes),
                total_gigabytes_used: usage.map(|usage| usage.gigabytes),
                total_snapshots_used: usage.map(|usage| usage.snapshots),
                total_backups_used: usage.map(|usage| usage.backups),
                total_backup_gigabytes_used: usage.map(|usage| usage.backup_gigabytes),
            },
        }
    }
}
