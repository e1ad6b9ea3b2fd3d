//! How much a project may have, and how much it has.

use std::collections::BTreeMap;

use crate::{ProjectId, Timestamp, VolumeTypeId};

/// What an administrator has set for one project. What is not set is the class's or the default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaSet {
    /// Whose.
    pub project_id: ProjectId,
    /// Limits by resource (`backups`, `gigabytes_<type>`); −1 is no limit.
    pub limits: BTreeMap<String, i64>,
    /// See [`crate::Volume::revision`]. Whoever takes more for the project saves this row with
    /// it, so that of two who counted the same usage one must count again.
    pub revision: u64,
}

/// What an administrator has set for a class of projects; there is one that counts, `default`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaClass {
    /// Its name.
    pub name: String,
    /// See [`QuotaSet::limits`].
    pub limits: BTreeMap<String, i64>,
    /// See [`crate::Volume::revision`].
    pub revision: u64,
}

/// What a project has, counted from its rows. Backups in vaults are not in it: a vault's capacity
/// is their quota.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QuotaUsage {
    /// What it has of each type.
    pub types: BTreeMap<VolumeTypeId, TypeUsage>,
    /// Of no type that is known.
    pub untyped: TypeUsage,
    /// Backups that are not deleted.
    pub backups: u64,
    /// Their GiB, each at its volume's full size.
    pub backup_gigabytes: u64,
}

/// What a project has of one type of volumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TypeUsage {
    /// Volumes.
    pub volumes: u64,
    /// Their GiB; a volume that grows counts with the size it grows to.
    pub volume_gigabytes: u64,
    /// Snapshots.
    pub snapshots: u64,
    /// Their GiB.
    pub snapshot_gigabytes: u64,
}

impl TypeUsage {
    /// Returns GiB of volumes and snapshots.
    pub fn gigabytes(self) -> u64 {
        self.volume_gigabytes
            .saturating_add(self.snapshot_gigabytes)
    }
}

impl QuotaUsage {
    /// Returns what it has of all types.
    pub fn total(&self) -> TypeUsage {
        let mut sum = self.untyped;
        for one in self.types.values() {
            sum.volumes += one.volumes;
            sum.volume_gigabytes = sum.volume_gigabytes.saturating_add(one.volume_gigabytes);
            sum.snapshots += one.snapshots;
            sum.snapshot_gigabytes = sum
                .snapshot_gigabytes
                .saturating_add(one.snapshot_gigabytes);
        }
        sum
    }
}

/// A part of the service that an operator has switched off, or on again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceSwitch {
    /// Which part, in Cinder's words: `cinder-backup`, `cinder-volume`, `cinder-scheduler`.
    pub binary_name: String,
    /// It takes no work.
    pub disabled: bool,
    /// Why.
    pub disabled_reason: Option<String>,
    /// When it was switched.
    pub updated_at: Timestamp,
    /// See [`crate::Volume::revision`].
    pub revision: u64,
}
