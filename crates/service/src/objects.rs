//! Cinder's backup objects over our own rows: the database that [`emberkeep_objects`] asks for.
//!
//! A row of ours is seen as Cinder's row of the same backup, and what an object writes becomes our row, without
//! loss both ways: a column that our model has no use for, or cannot say, is kept beside it (`row.rs`). An object
//! moves a backup's state only to *error* and to *deleted*, and starts no work; see `row::state`.

mod row;

use std::sync::Arc;

use async_trait::async_trait;
use emberkeep_catalog::{
    BackupField, BackupQuery, Catalog, CatalogError, Change, Direction, Paging, Row,
};
use emberkeep_model::{Backup, Timestamp};
use emberkeep_objects::{
    BackupQuery as ObjectQuery, BackupRow, BackupStore, Cell, Column, Direction as ObjectDirection,
    Filter, Metadata, ReadDeleted, Selection, StoreError,
};
use uuid::Uuid;

use crate::service::Service;
use crate::{Clock, SystemClock};

/// How many rows are read at a time.
const PAGE: u32 = 500;

/// How often a write is tried while others change the same rows.
const TRIES: usize = 32;

/// The catalogue's backups as Cinder's database of backups.
#[derive(Clone)]
pub struct CatalogBackups {
    catalog: Arc<dyn Catalog>,
    clock: Arc<dyn Clock>,
}

impl CatalogBackups {
    /// Takes a catalogue and the time from the machine.
    pub fn new(catalog: Arc<dyn Catalog>) -> Self {
        Self::with_clock(catalog, Arc::new(SystemClock))
    }

    /// Takes a catalogue and a clock.
    pub fn with_clock(catalog: Arc<dyn Catalog>, clock: Arc<dyn Clock>) -> Self {
        Self { catalog, clock }
    }

    async fn found(&self, id: &str) -> Result<Option<(Backup, BackupRow)>, StoreError> {
        let backup = self.catalog.backup(row::id(id)).await.map_err(failed)?;
        let seen = backup.filter(Backup::is_of_volume).map(|backup| {
            let row = row::seen(&backup);
            (backup, row)
        });
        // Another spelling of the id is another id.
        Ok(seen.filter(|(_, row)| row.id == id))
    }

    /// Returns the rows that a selection takes, with what they were made of. `enough` is asked after every page.
    async fn taken(
        &self,
        which: &Selection,
        order: Direction,
        mut enough: impl FnMut(&[(Backup, BackupRow)], Timestamp) -> bool + Send,
    ) -> Result<Vec<(Backup, BackupRow)>, StoreError> {
        if let Some(id) = asked(which, "id") {
            let found = self.found(id).await?;
            return Ok(found
                .into_iter()
                .filter(|(_, row)| which.takes(row))
                .collect());
        }
        let mut query = BackupQuery {
            // What is no project or volume of ours matches what is kept beside, which only looking tells.
            project: asked(which, "project_id").and_then(|id| id.parse().ok()),
            volumes: asked(which, "volume_id")
                .and_then(row::plain)
                .into_iter()
                .collect(),
            with_deleted: which.read_deleted != ReadDeleted::No,
            sort: vec![(BackupField::CreatedAt, order)],
            paging: Paging {
                limit: Some(PAGE),
                ..Paging::default()
            },
            ..BackupQuery::default()
        };
        let mut taken = Vec::new();
        loop {
            let page = self.catalog.backups(&query).await.map_err(failed)?.items;
            let full = page.len() == PAGE as usize;
            let last = page.last().map(|backup| (backup.id, backup.created_at));
            let rows = page.into_iter().filter(Backup::is_of_volume);
            taken.extend(
                rows.map(|backup| (row::seen(&backup), backup))
                    .map(|(row, backup)| (backup, row))
                    .filter(|(_, row)| which.takes(row)),
            );
            match last {
                Some((id, at)) if full && !enough(&taken, at) => query.paging.marker = Some(id),
                _ => return Ok(taken),
            }
        }
    }

    /// Changes all rows that a selection takes, together or not at all, and returns how many.
    async fn change(
        &self,
        which: &Selection,
        edit: impl Fn(&mut BackupRow) -> Result<(), StoreError> + Send + Sync,
    ) -> Result<u64, StoreError> {
        let mut tries = TRIES;
        loop {
            let taken = self
                .taken(which, Direction::Descending, |_, _| false)
                .await?;
            let count = taken.len() as u64;
            let mut changes = Vec::with_capacity(taken.len());
            for (backup, mut row) in taken {
                let id = row.id.clone();
                edit(&mut row)?;
                if row.id != id {
                    return Err(StoreError::Rejected { column: "id" });
                }
                let backup = row::stored(Some(backup), &row, self.clock.now())?;
                changes.push(Change::Save(Row::Backup(backup)));
            }
            if changes.is_empty() {
                return Ok(0);
            }
            match self.catalog.apply(changes).await {
                Ok(()) => return Ok(count),
                // Somebody was faster: what they wrote decides which rows are taken now.
                Err(CatalogError::Stale { .. }) if tries > 1 => tries -= 1,
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

impl Service {
    /// Returns the backups as Cinder's objects see them.
    pub fn objects(&self) -> CatalogBackups {
        CatalogBackups::with_clock(Arc::clone(&self.catalog), Arc::clone(&self.clock))
    }
}

#[async_trait]
impl BackupStore for CatalogBackups {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn new_id(&self) -> String {
        Uuid::new_v4().to_string()
    }

    async fn insert(&self, mut row: BackupRow) -> Result<BackupRow, StoreError> {
        let now = self.clock.now();
        row.num_dependent_backups.get_or_insert(0);
        row.deleted.get_or_insert(false);
        row.created_at.get_or_insert(now);
        let duplicate = || StoreError::Duplicate { id: row.id.clone() };
        let known = self.catalog.backup(row::id(&row.id)).await;
        if known.map_err(failed)?.is_some() {
            return Err(duplicate());
        }
        let backup = row::stored(None, &row, now)?;
        let change = Change::Insert(Row::Backup(backup.clone()));
        match self.catalog.apply(vec![change]).await {
            Ok(()) => Ok(row::seen(&backup)),
            Err(CatalogError::Exists { .. }) => Err(duplicate()),
            Err(error) => Err(failed(error)),
        }
    }

    async fn fetch(&self, id: &str) -> Result<Option<BackupRow>, StoreError> {
        Ok(self.found(id).await?.map(|(_, row)| row))
    }

    async fn update(
        &self,
        which: &Selection,
        changes: &[(Column, Cell)],
    ) -> Result<u64, StoreError> {
        self.change(which, |row| {
            row.updated_at = Some(self.clock.now());
            for (column, cell) in changes {
                if !row.set(*column, cell.clone()) {
                    return Err(StoreError::Rejected {
                        column: column.name(),
                    });
                }
            }
            Ok(())
        })
        .await
    }

    async fn soft_delete(&self, which: &Selection, now: Timestamp) -> Result<(), StoreError> {
        self.change(which, |row| {
            row.status = Some("deleted".to_owned());
            row.deleted = Some(true);
            row.deleted_at = Some(now);
            row.metadata = Metadata::new();
            Ok(())
        })
        .await
        .map(drop)
    }

    async fn replace_metadata(
        &self,
        id: &str,
        metadata: &Metadata,
    ) -> Result<Metadata, StoreError> {
        let column = Column::named("id").ok_or(StoreError::Rejected { column: "id" })?;
        let which = Selection {
            read_deleted: ReadDeleted::Yes,
            filters: vec![Filter::Is(column, Cell::Text(id.to_owned()))],
        };
        let replaced = self.change(&which, |row| {
            row.metadata = metadata.clone();
            Ok(())
        });
        replaced.await?;
        Ok(metadata.clone())
    }

    async fn list(&self, query: &ObjectQuery) -> Result<Vec<BackupRow>, StoreError> {
        let order = query.order.first();
        let by_time = order.filter(|(column, _)| column.name() == "created_at");
        let way = match by_time {
            Some((_, ObjectDirection::Ascending)) => Direction::Ascending,
            _ => Direction::Descending,
        };
        let wanted = query.limit.filter(|_| by_time.is_some());
        let enough = |taken: &[(Backup, BackupRow)], reached: Timestamp| {
            // Rows of the instant that was reached may have neighbours on the next page.
            let settled = taken
                .iter()
                .map(|(_, row)| row)
                .filter(|row| row.created_at != Some(reached));
            wanted.is_some_and(|wanted| query.answer(settled).len() as u64 >= wanted)
        };
        let mut taken = self.taken(&query.selection, way, enough).await?;
        if query.order.is_empty() {
            // Without an order a database gives rows as its primary key has them.
            taken.sort_unstable_by(|(_, a), (_, b)| a.id.cmp(&b.id));
        }
        Ok(query.answer(taken.iter().map(|(_, row)| row)))
    }
}

/// Returns the text that a column must hold, if the selection asks for one.
fn asked<'a>(which: &'a Selection, name: &str) -> Option<&'a str> {
    which.filters.iter().find_map(|filter| match filter {
        Filter::Is(column, Cell::Text(text)) if column.name() == name => Some(text.as_str()),
        _ => None,
    })
}

fn failed(error: CatalogError) -> StoreError {
    StoreError::Failed(Box::new(error))
}
