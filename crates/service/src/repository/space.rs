//! Free space: what is needed to begin work that stores data.

use emberkeep_catalog::{Change, Row};

use crate::{Service, ServiceError};

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

impl Service {
    /// Refuses what stores data while too little is free.
    pub fn with_space(self, space: std::sync::Arc<dyn Space>) -> Self {
        Self {
            space: Some(space),
            ..self
        }
    }

    /// Checks that there is space for work that stores data.
    pub fn check_space(&self) -> Result<(), ServiceError> {
        match &self.space {
            Some(space) => Ok(space.check()?),
            None => Ok(()),
        }
    }

    /// Checks that there is space for the tasks among `changes`.
    pub(crate) fn check_space_for(&self, changes: &[Change]) -> Result<(), ServiceError> {
        let stores = changes.iter().any(
            |change| matches!(change, Change::Insert(Row::Task(task)) if task.work.stores_data()),
        );
        if stores { self.check_space() } else { Ok(()) }
    }
}
