//! What a project may have unless something else is set.

/// Projects take turns by this many locks; two that share one only wait for each other.
pub(crate) const TURNS: usize = 32;

/// What a project may have unless somebody says otherwise; −1 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefaultQuotas {
    /// Volumes.
    pub volumes: i64,
    /// Snapshots.
    pub snapshots: i64,
    /// GiB of volumes and snapshots.
    pub gigabytes: i64,
    /// Backups outside of vaults.
    pub backups: i64,
    /// Their GiB.
    pub backup_gigabytes: i64,
    /// GiB of a single volume.
    pub per_volume_gigabytes: i64,
}

impl Default for DefaultQuotas {
    /// Cinder's.
    fn default() -> Self {
        Self {
            volumes: 10,
            snapshots: 10,
            gigabytes: 1000,
            backups: 10,
            backup_gigabytes: 1000,
            per_volume_gigabytes: -1,
        }
    }
}
