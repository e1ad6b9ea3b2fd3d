//! The port that measures free space.

/// Says how much space is free where the service stores data.
pub trait Space: Send + Sync {
    /// Refuses if less than the low-water mark is free.
    fn check(&self) -> Result<(), LowSpace>;
}

/// Less is free than must stay free, so that sign-in, deletion and sweeps keep working.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the disk is nearly full: {} MiB are free and {} MiB must stay free (low_water_mib); nothing new is stored until backups are deleted and swept or space is added",
    free >> 20,
    low_water >> 20
)]
pub struct LowSpace {
    /// Bytes free.
    pub free: u64,
    /// Bytes that must stay free.
    pub low_water: u64,
}
