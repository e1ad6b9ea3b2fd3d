//! The ledger: which backups there must be.
//!
//! A backup exists if its manifest does, so that a manifest that is lost leaves nothing behind
//! that could be missed. Therefore a writer enters each backup here once its manifest stands, and
//! puts a tombstone here before a manifest goes. Nobody waits for anybody: objects of different
//! writers have different names, and what is missing is looked up twice, before and after the
//! manifests were listed, so that what others do meanwhile is never taken for a loss.

mod fold;
mod position;

use std::collections::{BTreeMap, BTreeSet};

use emberkeep_format::{
    EnvelopeKind, LedgerEntry, LedgerLabel, LedgerRecord, LedgerSet, Manifest, Tombstone,
};
use emberkeep_model::BackupId;
use emberkeep_store::{Listed, StoreError, list_all};

use crate::damage::{Damage, DamageCause, ReadError};
use crate::space::{Space, now};

pub(crate) use fold::{Fold, fold};
pub use position::{LedgerPosition, NoPosition};

/// Sweeps remove entries while we read them; so often we look again before giving up.
const TRIES: usize = 20;
/// Entries that a new one names: more than are ever made at the same moment.
const NAMED: usize = 64;
/// Deleted backups that a set remembers.
const MOST_DROPPED: usize = 4096;
/// Sets that a set remembers.
const MOST_SETS: usize = 1024;

/// The ledger as it was read.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// What was entered since the set; an entry that cannot be read names no others.
    entries: BTreeMap<LedgerRecord, LedgerEntry>,
    /// What was deleted since the set.
    gone: BTreeSet<LedgerLabel>,
    /// The set that counts, with its number.
    set: Option<(u64, LedgerSet)>,
    /// Labels of what the set says was deleted.
    dropped: BTreeSet<LedgerLabel>,
    /// Numbers of all sets.
    sets: BTreeSet<u64>,
    /// Objects that cannot be read, other than the set that counts.
    damaged: Vec<Damage>,
    /// Names of these.
    unreadable: Vec<String>,
    /// The set that counts is lost: what it said is not known.
    lost_set: Option<Damage>,
}

impl Ledger {
    /// Reads the ledger.
    pub(crate) fn load(space: &Space) -> Result<Self, ReadError> {
        let list = || list_all(&*space.store, &space.names.ledger());
        for _ in 1..TRIES {
            match Self::read(space, &list()?) {
                // A sweep has put it into a set that our listing does not have.
                Err(cause) if cause.is_missing() => {}
                read => return read,
            }
        }
        Self::read(space, &list()?)
    }

    fn read(space: &Space, listed: &[Listed]) -> Result<Self, ReadError> {
        let mut ledger = Self::default();
        for object in listed {
            let name = &object.name;
            if let Some(label) = named(name, &space.names.tombstones()) {
                let read = space.load(EnvelopeKind::Tombstone, name, Tombstone::decode);
                if ledger.sound(name, read)?.is_some() {
                    ledger.gone.insert(label);
                }
            } else if let Some(record) = named(name, &space.names.ledger_entries()) {
                let read = space.load(EnvelopeKind::LedgerEntry, name, LedgerEntry::decode);
                let entry = ledger.sound(name, read)?;
                ledger.entries.insert(record, entry.unwrap_or_default());
            } else if let Some(number) = named(name, &space.names.ledger_sets()) {
                ledger.sets.insert(number);
            }
        }
        if let Some(highest) = ledger.sets.last().copied() {
            let name = space.names.ledger_set(highest);
            match space.load(EnvelopeKind::LedgerSet, &name, LedgerSet::decode) {
                Ok(set) => ledger.set = Some((highest, set)),
                Err(ReadError::Damaged(damage))
                    if !matches!(damage.cause, DamageCause::Missing) =>
                {
                    ledger.lost_set = Some(*damage);
                }
                Err(cause) => return Err(cause),
            }
        }
        let seen = ledger.entries.values().map(|entry| entry.set).max();
        if let Some(seen) = seen.filter(|seen| ledger.sets.last() < Some(seen) && *seen > 0) {
            ledger.lost_set = Some(Damage {
                object: space.names.ledger_set(seen),
                offset: None,
                cause: DamageCause::Missing,
            });
        }
        let dropped = ledger.set.iter().flat_map(|(_, set)| &set.dropped);
        ledger.dropped = dropped.map(|record| record.label).collect();
        Ok(ledger)
    }

    /// Takes note of an object that cannot be read; one that is gone is the reader's failure.
    fn sound<T>(&mut self, name: &str, read: Result<T, ReadError>) -> Result<Option<T>, ReadError> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(ReadError::Damaged(damage)) if !matches!(damage.cause, DamageCause::Missing) => {
                self.damaged.push(*damage);
                self.unreadable.push(name.to_owned());
                Ok(None)
            }
            Err(cause) => Err(cause),
        }
    }

    /// Returns the set that counts and is lost, if so.
    pub(crate) fn lost_set(&mut self) -> Option<Damage> {
        self.lost_set.take()
    }

    /// Returns what cannot be read, other than the set that counts.
    pub(crate) fn damaged(&mut self) -> Vec<Damage> {
        std::mem::take(&mut self.damaged)
    }

    fn is_gone(&self, label: &LedgerLabel) -> bool {
        self.gone.contains(label) || self.dropped.contains(label)
    }

    /// Returns the backups that were deleted, as far as is remembered.
    pub(crate) fn deleted(&self) -> BTreeSet<BackupId> {
        let gone = self.gone.iter().chain(&self.dropped);
        let gone: BTreeSet<BackupId> = gone.map(|label| label.backup).collect();
        let due: BTreeSet<BackupId> = self.due().iter().map(|r| r.label.backup).collect();
        gone.difference(&due).copied().collect()
    }

    /// Returns the backups that must be there.
    fn live(&self) -> BTreeSet<LedgerRecord> {
        let set = self.set.iter().flat_map(|(_, set)| &set.live);
        set.chain(self.entries.keys())
            .filter(|record| !self.is_gone(&record.label))
            .copied()
            .collect()
    }

    /// Tells whether a record that somebody saw is still accounted for.
    fn accounts_for(&self, record: &LedgerRecord) -> bool {
        let in_set = |set: &LedgerSet| {
            let oldest = set.dropped.first().map_or(0, |oldest| oldest.number);
            let is_forgotten = set.dropped.len() >= MOST_DROPPED && record.number < oldest;
            set.live.contains(record) || is_forgotten
        };
        self.entries.contains_key(record)
            || self.is_gone(&record.label)
            || self.set.as_ref().is_some_and(|(_, set)| in_set(set))
    }

    /// Returns entries that others name and that are gone without a trace.
    fn gaps(&self) -> BTreeSet<LedgerRecord> {
        let named = self.entries.values().flat_map(|entry| &entry.before);
        named
            .filter(|record| !self.accounts_for(record))
            .copied()
            .collect()
    }

    /// Returns every record that a backup must be there for, whether its entry is or not.
    fn due(&self) -> BTreeSet<LedgerRecord> {
        let mut due = self.live();
        due.extend(self.gaps());
        due
    }

    /// Counts the backups of those that are there which the ledger does not list.
    pub(crate) fn unlisted(&self, there: &BTreeSet<BackupId>) -> usize {
        let listed: BTreeSet<BackupId> = self.live().iter().map(|r| r.label.backup).collect();
        there.difference(&listed).count()
    }
}

/// What the ledger says of the manifests that there are.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    /// Backups that must be there and have no manifest.
    pub(crate) missing: BTreeSet<BackupId>,
    /// Entries that are gone, of backups that are there.
    pub(crate) entries: BTreeSet<LedgerRecord>,
}

/// Compares the manifests that there are with what the ledger said before they were listed. What
/// seems to be missing is looked up again: a tombstone stands before its manifest goes.
pub(crate) fn losses(
    space: &Space,
    before: &Ledger,
    there: &BTreeSet<BackupId>,
) -> Result<Losses, ReadError> {
    let is_missing = |record: &&LedgerRecord| !there.contains(&record.label.backup);
    let (due, gaps) = (before.due(), before.gaps());
    let mut losses = Losses::default();
    if gaps.is_empty() && !due.iter().any(|record| is_missing(&record)) {
        return Ok(losses);
    }
    let after = Ledger::load(space)?;
    let (still_due, still_gaps) = (after.due(), after.gaps());
    let missing = due.intersection(&still_due).filter(is_missing);
    losses.missing = missing.map(|record| record.label.backup).collect();
    let entries = gaps.intersection(&still_gaps);
    losses.entries = entries.filter(|r| !is_missing(r)).copied().collect();
    Ok(losses)
}

/// Reads what follows a prefix in a name.
fn named<T: std::str::FromStr>(name: &str, prefix: &str) -> Option<T> {
    name.strip_prefix(prefix)?.parse().ok()
}

/// Enters a backup whose manifest stands; `listed` are the ledger's objects, as they were seen
/// not long ago.
pub(crate) fn enter(
    space: &Space,
    listed: &[Listed],
    label: LedgerLabel,
) -> Result<(), StoreError> {
    let names = listed.iter().map(|object| object.name.as_str());
    let (entries, sets) = (space.names.ledger_entries(), space.names.ledger_sets());
    let mut before: BTreeSet<LedgerRecord> = names
        .clone()
        .filter_map(|name| named(name, &entries))
        .collect();
    let set = names.filter_map(|name| named::<u64>(name, &sets)).max();
    let set = set.unwrap_or(0);
    let highest = before.last().map_or(0, |last| last.number).max(set);
    let record = LedgerRecord {
        number: highest + 1,
        label,
    };
    while before.len() > NAMED {
        before.pop_first();
    }
    let name = space.names.ledger_entry(record);
    let entry = LedgerEntry { set, before };
    let sealed = space.seal(EnvelopeKind::LedgerEntry, &name, &entry.encode());
    match space.store.put_if_absent(&name, &[&sealed]) {
        Ok(()) | Err(StoreError::AlreadyExists { .. }) => Ok(()),
        Err(cause) => Err(cause),
    }
}

/// Enters a backup that was found complete, unless that was done: its writer may have died
/// in between.
pub(crate) fn ensure(space: &Space, backup: BackupId) -> Result<(), ReadError> {
    let Some(label) = label_of(space, backup)? else {
        return Ok(());
    };
    let listed = list_all(&*space.store, &space.names.ledger())?;
    let ledger = Ledger::load(space)?;
    let is_known = ledger.is_gone(&label) || ledger.live().iter().any(|r| r.label == label);
    if !is_known {
        enter(space, &listed, label)?;
    }
    Ok(())
}

/// Returns the label of a backup as it is there; none if it is not, or cannot be read.
fn label_of(space: &Space, backup: BackupId) -> Result<Option<LedgerLabel>, ReadError> {
    let name = space.names.manifest(backup);
    match space.load_if_there(EnvelopeKind::Manifest, &name, Manifest::decode) {
        Ok(found) => Ok(found.map(|manifest| LedgerLabel {
            backup,
            session: manifest.session,
        })),
        Err(ReadError::Damaged(_)) => Ok(None),
        Err(cause) => Err(cause),
    }
}

/// Notes that a backup is about to be deleted; comes before its manifest goes.
pub(crate) fn bury(space: &Space, label: LedgerLabel) -> Result<(), StoreError> {
    let name = space.names.tombstone(label);
    let tombstone = Tombstone { at: now() };
    let sealed = space.seal(EnvelopeKind::Tombstone, &name, &tombstone.encode());
    match space.store.put_if_absent(&name, &[&sealed]) {
        Ok(()) | Err(StoreError::AlreadyExists { .. }) => Ok(()),
        Err(cause) => Err(cause),
    }
}

/// Notes that a backup is about to be deleted, as whatever the ledger knows it. Tells whether it
/// was known.
pub(crate) fn bury_all(space: &Space, backup: BackupId) -> Result<bool, ReadError> {
    // Also where it is not entered yet: its writer may be about to.
    let mut labels: BTreeSet<LedgerLabel> = label_of(space, backup)?.into_iter().collect();
    if labels.is_empty() {
        let due = Ledger::load(space)?.due();
        let known = due.iter().map(|record| record.label);
        labels.extend(known.filter(|label| label.backup == backup));
    }
    for label in &labels {
        bury(space, *label)?;
    }
    Ok(!labels.is_empty())
}

/// Returns the highest number that anything in the ledger has or names.
fn highest(ledger: &Ledger) -> u64 {
    let entries = ledger.entries.iter();
    let numbers = entries.flat_map(|(record, entry)| [record.number, entry.set]);
    numbers
        .chain(ledger.sets.last().copied())
        .max()
        .unwrap_or(0)
}
