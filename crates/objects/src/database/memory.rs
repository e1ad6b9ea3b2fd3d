//! Backups in memory, for tests and for trying things out.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use emberkeep_model::Timestamp;

use crate::data::Metadata;
use crate::database::query::{BackupQuery, Selection};
use crate::database::row::{BackupRow, Cell, Column};
use crate::database::store::BackupStore;
use crate::error::StoreError;

/// Rows in memory; time stands still until it is set.
#[derive(Debug, Default)]
pub struct MemoryBackups {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    now: Timestamp,
    ids: u64,
    rows: BTreeMap<String, BackupRow>,
}

impl MemoryBackups {
    /// Makes an empty one at a time.
    pub fn new(now: Timestamp) -> Self {
        let backups = Self::default();
        backups.set_now(now);
        backups
    }

    /// Sets the time.
    pub fn set_now(&self, now: Timestamp) {
        self.state().now = now;
    }

    /// A panic elsewhere leaves no row half written.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl BackupStore for MemoryBackups {
    fn now(&self) -> Timestamp {
        self.state().now
    }

    /// Ids are counted, so that tests can tell them.
    fn new_id(&self) -> String {
        let mut state = self.state();
        state.ids += 1;
        format!("00000000-0000-4000-8000-{:012x}", state.ids)
    }

    async fn insert(&self, mut row: BackupRow) -> Result<BackupRow, StoreError> {
        let mut state = self.state();
        if state.rows.contains_key(&row.id) {
            return Err(StoreError::Duplicate { id: row.id });
        }
        if row.volume_id.is_none() {
            return Err(StoreError::Rejected {
                column: "volume_id",
            });
        }
        row.num_dependent_backups.get_or_insert(0);
        row.deleted.get_or_insert(false);
        row.created_at.get_or_insert(state.now);
        state.rows.insert(row.id.clone(), row.clone());
        Ok(row)
    }

    async fn fetch(&self, id: &str) -> Result<Option<BackupRow>, StoreError> {
        Ok(self.state().rows.get(id).cloned())
    }

    async fn update(
        &self,
        which: &Selection,
        changes: &[(Column, Cell)],
    ) -> Result<u64, StoreError> {
        let mut state = self.state();
        let now = state.now;
        let mut changed = Vec::new();
        for (id, row) in state.rows.iter().filter(|(_, row)| which.takes(row)) {
            let mut row = row.clone();
            row.updated_at = Some(now);
            for (column, cell) in changes {
                if !row.set(*column, cell.clone()) || row.volume_id.is_none() {
                    return Err(StoreError::Rejected {
                        column: column.name(),
                    });
                }
            }
            changed.push((id.clone(), row));
        }
        let count = changed.len() as u64;
        for (old_id, row) in changed {
            state.rows.remove(&old_id);
            state.rows.insert(row.id.clone(), row);
        }
        Ok(count)
    }

    async fn soft_delete(&self, which: &Selection, now: Timestamp) -> Result<(), StoreError> {
        let mut state = self.state();
        for row in state.rows.values_mut().filter(|row| which.takes(row)) {
            row.status = Some("deleted".to_owned());
            row.deleted = Some(true);
            row.deleted_at = Some(now);
            row.metadata = Metadata::new();
        }
        Ok(())
    }

    async fn replace_metadata(
        &self,
        id: &str,
        metadata: &Metadata,
    ) -> Result<Metadata, StoreError> {
        if let Some(row) = self.state().rows.get_mut(id) {
            row.metadata = metadata.clone();
        }
        Ok(metadata.clone())
    }

    async fn list(&self, query: &BackupQuery) -> Result<Vec<BackupRow>, StoreError> {
        Ok(query.answer(self.state().rows.values()))
    }
}
