//! Remembers backups that were read. A row's revision grows with each change of it, so one that is remembered
//! with the revision it has now needs no second reading; there is nothing to be forgotten in time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use emberkeep_model::{Backup, BackupId};

use super::{Engine, answer, list, statement};
use crate::{BackupQuery, CatalogError, Page};

/// So many are remembered at most; each takes about a KiB.
const MOST: usize = 4096;

/// Backups that were read, by id.
#[derive(Debug, Default)]
pub(crate) struct Known {
    backups: Mutex<HashMap<BackupId, Arc<Backup>>>,
}

impl Known {
    /// Returns those that are remembered with just these revisions; none for each other one.
    fn with_revisions(&self, wanted: &[(BackupId, u64)]) -> Vec<Option<Arc<Backup>>> {
        let known = self.backups.lock().unwrap_or_else(PoisonError::into_inner);
        let find = |(id, revision): &(BackupId, u64)| {
            let found = known.get(id).filter(|backup| backup.revision == *revision);
            found.cloned()
        };
        wanted.iter().map(find).collect()
    }

    fn remember(&self, backups: impl Iterator<Item = Arc<Backup>>) {
        let mut known = self.backups.lock().unwrap_or_else(PoisonError::into_inner);
        for backup in backups {
            if known.len() >= MOST {
                // Rare, and what is asked for often is soon there again.
                known.clear();
            }
            known.insert(backup.id, backup);
        }
    }
}

/// Lists backups: which ones, and then what is not remembered of them.
pub(super) async fn backups<E: Engine>(
    engine: &E,
    known: &Known,
    query: &BackupQuery,
) -> Result<Page<Backup>, CatalogError> {
    let records = engine.read_quick(list::backup_ids(query)).await?;
    let mut wanted: Vec<(BackupId, u64)> = Vec::with_capacity(records.len());
    for record in records {
        let mut cells = record.into_iter();
        let what = "the id of a backup";
        wanted.push((answer(&mut cells, what)?, answer(&mut cells, what)?));
    }
    let mut found = known.with_revisions(&wanted);
    let missing: Vec<BackupId> = wanted
        .iter()
        .zip(&found)
        .filter(|(_, found)| found.is_none())
        .map(|((id, _), _)| *id)
        .collect();
    if !missing.is_empty() {
        let read = read(engine, &missing).await?;
        for ((id, revision), place) in wanted.iter().zip(&mut found) {
            if place.is_none() {
                *place = read
                    .get(id)
                    .filter(|row| row.revision == *revision)
                    .cloned();
            }
        }
        known.remember(read.into_values());
    }
    let items: Option<Vec<Backup>> = found
        .into_iter()
        .map(|backup| backup.map(Arc::unwrap_or_clone))
        .collect();
    match items {
        Some(items) => Ok(Page { items, total: None }),
        // Some have changed between the two looks: what is shown must be of one moment.
        None => super::page(engine, list::backups(query)).await,
    }
}

async fn read<E: Engine>(
    engine: &E,
    ids: &[BackupId],
) -> Result<HashMap<BackupId, Arc<Backup>>, CatalogError> {
    let mut all = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(super::IDS_AT_ONCE) {
        for record in engine
            .read_quick(statement::rows_of::<Backup, _>(ids))
            .await?
        {
            let backup = <Backup as super::row::Stored>::from_record(record)?;
            all.insert(backup.id, Arc::new(backup));
        }
    }
    Ok(all)
}
