//! Remembers backups that were read. A row's revision grows with each change of it, so one that is remembered
//! with the revision it has now needs no second reading; there is nothing to be forgotten in time. Rows of
//! backups are never removed (a deleted one stays, as such), so no id begins anew with a revision it had before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use emberkeep_model::{Backup, BackupId};

use super::{Engine, answer, list, list::List, quick, statement};
use crate::{BackupQuery, CatalogError, Page};

/// So many are remembered at most; each takes about a KiB, unless it has many pairs.
const MOST: usize = 4096;
/// So many bytes of text are remembered at most.
const MOST_BYTES: u64 = 16 << 20;
/// So many are read at once that are not remembered, so that a bound on a page's bytes holds meanwhile.
const READ_AT_ONCE: usize = 64;

/// Backups that were read, by id.
#[derive(Debug, Default)]
pub(crate) struct Known {
    backups: Mutex<Remembered>,
}

#[derive(Debug, Default)]
struct Remembered {
    by_id: HashMap<BackupId, Arc<Backup>>,
    /// The sum of [`weight`] over all that were put in; what was replaced still counts.
    bytes: u64,
}

/// Returns about how many bytes of text a backup holds: what its owner can make large.
fn weight(backup: &Backup) -> u64 {
    const ROW: usize = 512;
    let source = backup.cinder.source.as_ref();
    let maps = [
        Some(&backup.metadata),
        source.map(|facts| &facts.metadata),
        source.map(|facts| &facts.image_metadata),
    ];
    let pairs = maps.into_iter().flatten().flatten();
    let bytes: usize = pairs.map(|(key, value)| key.len() + value.len()).sum();
    (ROW + bytes) as u64
}

impl Known {
    /// Returns those that are remembered with just these revisions; none for each other one.
    fn with_revisions(&self, wanted: &[(BackupId, u64)]) -> Vec<Option<Arc<Backup>>> {
        let known = self.backups.lock().unwrap_or_else(PoisonError::into_inner);
        let find = |(id, revision): &(BackupId, u64)| {
            let found = known
                .by_id
                .get(id)
                .filter(|backup| backup.revision == *revision);
            found.cloned()
        };
        wanted.iter().map(find).collect()
    }

    fn remember(&self, backups: impl Iterator<Item = Arc<Backup>>) {
        let mut known = self.backups.lock().unwrap_or_else(PoisonError::into_inner);
        for backup in backups {
            if known.by_id.len() >= MOST || known.bytes >= MOST_BYTES {
                // Rare, and what is asked for often is soon there again.
                *known = Remembered::default();
            }
            known.bytes += weight(&backup);
            known.by_id.insert(backup.id, backup);
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
    let mut items = Vec::with_capacity(wanted.len());
    let mut bytes = 0;
    for wanted in wanted.chunks(READ_AT_ONCE) {
        let Some(found) = of_revisions(engine, known, wanted).await? else {
            // Some have changed between the two looks: what is shown must be of one moment.
            return Ok(super::shared(
                super::page(engine, list::backups(query)).await?,
            ));
        };
        for backup in found {
            bytes += weight(&backup);
            items.push(backup);
            if query.paging.max_bytes.is_some_and(|most| bytes >= most) {
                return Ok(Page {
                    items,
                    total,
                    is_cut: true,
                });
            }
        }
    }
    Ok(Page {
        items,
        total,
        is_cut: false,
    })
}

/// Returns the backups with just these revisions, read where they are not remembered; none if one is gone.
async fn of_revisions<E: Engine>(
    engine: &E,
    known: &Known,
    wanted: &[(BackupId, u64)],
) -> Result<Option<Vec<Arc<Backup>>>, CatalogError> {
    let mut found = known.with_revisions(wanted);
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
    Ok(found.into_iter().collect())
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
