//! The port: what backup objects ask of a database.

use async_trait::async_trait;
use emberkeep_model::Timestamp;

use crate::data::Metadata;
use crate::database::query::{BackupQuery, Selection};
use crate::database::row::{BackupRow, Cell, Column};
use crate::error::StoreError;

/// A place that keeps rows of backups. Like a database it knows the time and makes ids.
///
/// Nothing is hidden here: who may see which row is decided by the objects.
#[async_trait]
pub trait BackupStore: Send + Sync {
    /// Says what time it is, in UTC.
    fn now(&self) -> Timestamp;

    /// Makes a random UUID.
    fn new_id(&self) -> String;

    /// Adds a row with its metadata. The number of dependents and the deleted mark, when null, become 0 and
    /// false; the time of creation, when null, becomes now.
    async fn insert(&self, row: BackupRow) -> Result<BackupRow, StoreError>;

    /// Returns a row, deleted or not.
    async fn fetch(&self, id: &str) -> Result<Option<BackupRow>, StoreError>;

    /// Changes, in one step, all rows that the selection takes, and returns how many. The time of
    /// the last update becomes now unless it is among the changes.
    async fn update(
        &self,
        which: &Selection,
        changes: &[(Column, Cell)],
    ) -> Result<u64, StoreError>;

    /// Marks the rows deleted that the selection takes, and their metadata: status, mark and time, but not
    /// the time of the last update.
    async fn soft_delete(&self, which: &Selection, now: Timestamp) -> Result<(), StoreError>;

    /// Makes the metadata of a backup this; what goes is marked deleted. Returns what is there then.
    async fn replace_metadata(&self, id: &str, metadata: &Metadata)
    -> Result<Metadata, StoreError>;

    /// Lists rows with their metadata.
    async fn list(&self, query: &BackupQuery) -> Result<Vec<BackupRow>, StoreError>;
}
