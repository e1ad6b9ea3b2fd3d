//! Free space: what is needed to begin work that stores data.

use std::sync::Arc;

use emberkeep_catalog::{Change, Row};

use crate::task::kinds::kind_of;
use crate::{Service, ServiceError, Space};

impl Service {
    /// Refuses what stores data while too little is free.
    pub fn with_space(self, space: Arc<dyn Space>) -> Self {
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
        let stores = changes.iter().any(|change| {
            matches!(change, Change::Insert(Row::Task(task)) if kind_of(&task.work).stores_data())
        });
        if stores { self.check_space() } else { Ok(()) }
    }
}
