//! Remembers backups that were read. A row's revision grows with each change of it, so one that is remembered
//! with the revision it has now needs no second reading; there is nothing to be forgotten in time. Rows of
//! backups are never removed (a deleted one stays, as such), so no id begins anew with a revision it had before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use emberkeep_model::{Backup, BackupId};

use super::{Engine, answer, list, list::List, quick, statement};
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

/// Looks one backup up: whether it has changed, and then only what is not remembered of it.
pub(super) async fn backup<E: Engine>(
    engine: &E,
    known: &Known,
    id: BackupId,
) -> Result<Option<Arc<Backup>>, CatalogError> {
    let found = quick(engine, statement::revision::<Backup>(&id))
        .await?
        .pop();
    let Some(record) = found else {
        return Ok(None);
    };
    let revision = answer(&mut record.into_iter(), "the revision of a backup")?;
    if let Some(Some(backup)) = known.with_revisions(&[(id, revision)]).pop() {
        return Ok(Some(backup));
    }
    let Some(backup) = super::one::<Backup>(engine, &id).await? else {
        return Ok(None);
    };
    let backup = Arc::new(backup);
    known.remember(std::iter::once(Arc::clone(&backup)));
    Ok(Some(backup))
}

/// Lists backups: which ones, as `ids` tells, and then what is not remembered of them.
pub(super) async fn backups<E: Engine>(
    engine: &E,
    known: &Known,
    query: &BackupQuery,
    ids: List,
) -> Result<Page<Arc<Backup>>, CatalogError> {
    let (records, total) = super::page_records(engine, ids).await?;
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
    match found.into_iter().collect() {
        Some(items) => Ok(Page { items, total }),
        // Some have changed between the two looks: what is shown must be of one moment.
        None => Ok(super::shared(
            super::page(engine, list::backups(query)).await?,
        )),
    }
}

async fn read<E: Engine>(
    engine: &E,
    ids: &[BackupId],
) -> Result<HashMap<BackupId, Arc<Backup>>, CatalogError> {
    let mut all = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(super::IDS_AT_ONCE) {
        for record in quick(engine, statement::rows_of::<Backup, _>(ids)).await? {
            let backup = <Backup as super::row::Stored>::from_record(record)?;
            all.insert(backup.id, Arc::new(backup));
        }
    }
    Ok(all)
}
