//! Folds entries and tombstones into one set, under the lease of a sweep.
//!
//! The set is written first and what it holds is removed afterwards, entries before tombstones,
//! so that at every moment somebody says of each backup what it was.

use std::collections::BTreeSet;

use emberkeep_format::{EnvelopeKind, LedgerLabel, LedgerRecord, LedgerSet, ObjectId};
use emberkeep_keys::random;
use emberkeep_model::BackupId;
use emberkeep_store::StoreError;

use super::{Ledger, MOST_DROPPED, MOST_SETS, highest, label_of, losses};
use crate::error::SweepError;
use crate::load::list_manifests;
use crate::space::Space;

/// Fewer entries than this stay as they are, unless something was deleted.
const FEW_ENTRIES: usize = 16;

/// What becomes of a ledger that misses something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fold {
    /// It is refused.
    Refuse,
    /// What is missing is taken for deleted, and what cannot be read for void.
    Accept,
}

/// Writes a set where that is worth it, or where losses are accepted, and returns the backups
/// that were taken for deleted. `fence` fails once the lease is lost.
pub(crate) fn fold(
    space: &Space,
    mode: Fold,
    fence: &dyn Fn() -> Result<(), SweepError>,
) -> Result<Vec<BackupId>, SweepError> {
    let mut ledger = Ledger::load(space)?;
    let listed = list_manifests(space)?;
    let there: BTreeSet<BackupId> = listed.into_iter().map(|(_, backup)| backup).collect();
    let missing = losses(space, &ledger, &there)?.missing;
    if mode == Fold::Refuse {
        if let Some(damage) = ledger.lost_set() {
            return Err(SweepError::LedgerDamaged(Box::new(damage)));
        }
        if !missing.is_empty() {
            return Err(SweepError::ManifestsMissing(missing.into_iter().collect()));
        }
    }
    let fresh = strangers(space, &ledger, &there)?;
    let spent = spent_tombstones(space, &ledger, &there)?;
    let is_worth_it = mode == Fold::Accept
        || ledger.entries.len() > FEW_ENTRIES
        || !spent.is_empty()
        || !fresh.is_empty()
        || !ledger.unreadable.is_empty();
    if !is_worth_it {
        return Ok(Vec::new());
    }
    let (number, set) = next(&ledger, &missing, &fresh, &spent);
    let name = space.names.ledger_set(number);
    fence()?;
    let sealed = space.seal(EnvelopeKind::LedgerSet, &name, &set.encode());
    match space.store.put_if_absent(&name, &[&sealed]) {
        Ok(()) => {}
        Err(StoreError::AlreadyExists { .. }) => return Err(SweepError::Superseded),
        Err(cause) => return Err(cause.into()),
    }
    // Checked by the winner too, as with the lease.
    if space.load(EnvelopeKind::LedgerSet, &name, LedgerSet::decode)? != set {
        return Err(SweepError::Superseded);
    }
    fence()?;
    let entries = ledger.entries.keys();
    let mut folded: Vec<String> = entries.map(|r| space.names.ledger_entry(*r)).collect();
    let tombstones = spent.iter().map(|label| space.names.tombstone(*label));
    let older = ledger.sets.iter().map(|set| space.names.ledger_set(*set));
    let last: Vec<String> = tombstones
        .chain(older)
        .chain(ledger.unreadable.iter().cloned())
        .collect();
    folded.retain(|name| !last.contains(name));
    space.store.delete_many(&folded)?;
    space.store.delete_many(&last)?;
    Ok(missing.into_iter().collect())
}

/// Finds backups that are there and that the ledger does not list: they are older than it, or
/// their entries are lost.
fn strangers(
    space: &Space,
    ledger: &Ledger,
    there: &BTreeSet<BackupId>,
) -> Result<BTreeSet<LedgerLabel>, SweepError> {
    let listed: BTreeSet<BackupId> = ledger.live().iter().map(|r| r.label.backup).collect();
    let mut fresh = BTreeSet::new();
    for backup in there.difference(&listed) {
        let label = label_of(space, *backup)?;
        // One whose deletion was begun stays deleted for the ledger.
        fresh.extend(label.filter(|label| !ledger.is_gone(label)));
    }
    Ok(fresh)
}

/// Returns the tombstones whose manifests are gone.
fn spent_tombstones(
    space: &Space,
    ledger: &Ledger,
    there: &BTreeSet<BackupId>,
) -> Result<BTreeSet<LedgerLabel>, SweepError> {
    let mut spent = BTreeSet::new();
    for label in &ledger.gone {
        let stands =
            there.contains(&label.backup) && label_of(space, label.backup)? == Some(*label);
        if !stands {
            spent.insert(*label);
        }
    }
    Ok(spent)
}

/// Makes the set that follows, with its number.
fn next(
    ledger: &Ledger,
    missing: &BTreeSet<BackupId>,
    fresh: &BTreeSet<LedgerLabel>,
    spent: &BTreeSet<LedgerLabel>,
) -> (u64, LedgerSet) {
    let number = highest(ledger) + 1;
    let mut live = ledger.due();
    let (mut lineage, mut dropped) = (Vec::new(), BTreeSet::new());
    let mut known: BTreeSet<LedgerRecord> = ledger.entries.keys().copied().collect();
    if let Some((at, set)) = &ledger.set {
        lineage.clone_from(&set.lineage);
        lineage.push((*at, set.id));
        dropped.clone_from(&set.dropped);
        known.extend(&set.live);
    }
    let is_lost = |record: &LedgerRecord| missing.contains(&record.label.backup);
    dropped.extend(live.iter().filter(|record| is_lost(record)));
    live.retain(|record| !is_lost(record));
    for label in spent {
        let records = known.iter().filter(|record| record.label == *label);
        let before = dropped.len();
        dropped.extend(records);
        if dropped.len() == before && !ledger.dropped.contains(label) {
            // It was never entered, or its writer is about to enter it.
            dropped.insert(LedgerRecord {
                number,
                label: *label,
            });
        }
    }
    let listed: BTreeSet<LedgerLabel> = live.iter().map(|record| record.label).collect();
    let fresh = fresh.difference(&listed).copied();
    live.extend(fresh.map(|label| LedgerRecord { number: 0, label }));
    while dropped.len() > MOST_DROPPED {
        dropped.pop_first();
    }
    let surplus = lineage.len().saturating_sub(MOST_SETS);
    lineage.drain(..surplus);
    let id = ObjectId(random());
    let set = LedgerSet {
        id,
        lineage,
        live,
        dropped,
    };
    (number, set)
}
