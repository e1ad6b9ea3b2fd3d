//! Looks for damage and names the backups that it hurts.

mod read;
mod records;
mod verified;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use emberkeep_format::{
    ChunkId, EnvelopeKind, FormatError, IndexEntry, Manifest, PackId, SessionKind, UnixMicros,
};
use emberkeep_model::BackupId;
use emberkeep_store::StoreError;

use crate::damage::{Damage, DamageCause, ReadError};
use crate::error::CheckError;
use crate::index::Index;
use crate::ledger::{Ledger, losses};
use crate::load::{
    damaged_packs, list_manifests, load_condemned, load_index, load_index_and_tables,
};
use crate::reader::ChunkReader;
use crate::run::Run;
use crate::session::Session;
use crate::space::Space;
use crate::tree::{Walk, read_pages};
use read::{PackOutcome, read_packs};
use verified::VerifiedPacks;

/// How deep a check goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CheckOptions {
    /// Read and verify every byte of every pack, not the structure alone.
    pub read_data: bool,
}

/// How much a check reads, of what there is to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VerifyOptions {
    /// At most so many bytes of packs, but one pack at least; none for all.
    pub budget: Option<u64>,
    /// Only packs that were not read through for so long; none for all.
    pub older_than: Option<Duration>,
}

/// How deep a check goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Depth<'a> {
    /// What leads to the data is whole, and the packs are there with their sizes.
    Structure,
    /// And the data is read.
    Data(VerifyOptions),
    /// And the data of these packs is read.
    Packs(&'a BTreeSet<PackId>),
}

/// One damaged place and what it means.
#[derive(Debug)]
pub struct Problem {
    /// The place and what is wrong there.
    pub damage: Damage,
    /// Backups that cannot be fully restored because of it, or whose chunks lie in the pack.
    pub backups: Vec<BackupId>,
    /// Those among them that cannot be fully restored.
    pub hurt: Vec<BackupId>,
    /// Bytes of their volumes that are lost, as far as the map tells; the rest can be restored.
    pub lost: Vec<LostRange>,
}

/// Bytes of a backed-up volume that cannot be restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostRange {
    /// The backup.
    pub backup: BackupId,
    /// The bytes.
    pub range: Range<u64>,
}

/// What a check found.
#[derive(Debug, Default)]
pub struct CheckReport {
    /// Every damaged place; none means that all backups are sound as far as was looked.
    pub problems: Vec<Problem>,
    /// Backups looked at.
    pub backups: u64,
    /// Those of them that the ledger does not list: their loss would not be noticed. The next
    /// sweep enters them, unless their deletion was begun.
    pub unlisted: u64,
    /// Packs there are.
    pub packs: u64,
    /// Distinct chunks that the index knows.
    pub chunks: u64,
    /// Bytes of packs that were read and verified.
    pub read_bytes: u64,
    /// Packs that were read.
    pub read_packs: u64,
    /// Packs that no check has ever read through and found whole. Only a check that reads data knows.
    pub unverified_packs: u64,
    /// When the pack that waits longest was read through, of those that ever were.
    pub oldest_verified: Option<UnixMicros>,
}

pub(crate) fn check(
    space: &Arc<Space>,
    depth: Depth<'_>,
    run: &Run,
) -> Result<CheckReport, CheckError> {
    let session = Session::start_reading(space, SessionKind::Check)?;
    let mut findings = Findings::default();
    let mut manifests = Vec::new();
    let mut ledger = Ledger::load(space).map_err(store_error)?;
    let listed = list_manifests(space).map_err(store_error)?;
    let there: BTreeSet<BackupId> = listed.iter().map(|(_, id)| *id).collect();
    let losses = losses(space, &ledger, &there).map_err(store_error)?;
    let unlisted = ledger.unlisted(&there) as u64;
    for backup in losses.missing {
        findings.add(missing(space.names.manifest(backup)), [backup]);
    }
    for record in losses.entries {
        findings.add(missing(space.names.ledger_entry(record)), []);
    }
    for damage in ledger.damaged().into_iter().chain(ledger.lost_set()) {
        findings.add(damage, []);
    }
    for (name, id) in listed {
        match space.load_if_there(EnvelopeKind::Manifest, &name, Manifest::decode) {
            Ok(found) => manifests.extend(found),
            Err(ReadError::Damaged(damage)) => {
                findings.add(*damage, [id]);
            }
            Err(cause) => return Err(store_error(cause)),
        }
    }
    let condemned = load_condemned(space).map_err(store_error)?.packs();
    for damage in records::damaged(space).map_err(store_error)? {
        // It hurts no backup: runs that work beside it are slowed down at most.
        findings.add(damage, []);
    }
    let mut loaded = load_index(space).map_err(store_error)?;
    if loaded.damaged.is_empty() && lacks_something(space, &loaded.index, &manifests, run)? {
        loaded = load_index_and_tables(space).map_err(store_error)?;
    }
    let lost_packs = match loaded.damaged.is_empty() {
        true => loaded.from_tables,
        // That a run cannot be read is said already.
        false => BTreeSet::new(),
    };
    for damage in loaded.damaged {
        findings.add(damage, []);
    }
    let mut index = loaded.index;
    index.condemn(|pack| condemned.contains(&pack));
    // After the index: a pack that the index names was there before its run was.
    let packs = space.list_packs()?;
    index.compare_with(&packs);

    let sizes: BTreeMap<_, _> = packs.iter().copied().collect();
    let mut bad = Bad::default();
    for (at, record) in index.packs().iter().enumerate() {
        if index.standing(as_u32(at)).missing {
            let cause = match sizes.get(&record.pack) {
                Some(have) => DamageCause::Size {
                    have: *have,
                    want: record.size.into(),
                },
                None => DamageCause::Missing,
            };
            let object = space.names.pack(record.pack);
            let found = findings.keep_whole(Damage {
                object,
                offset: None,
                cause,
            });
            bad.packs.insert(as_u32(at), found);
            if index.standing(as_u32(at)).condemned {
                // A sweep that began before us deletes it, and has moved what is needed of it.
                findings.passing.insert(found);
            }
        }
    }
    let mut report = CheckReport {
        unlisted,
        backups: manifests.len() as u64,
        packs: packs.len() as u64,
        chunks: count_chunks(&index),
        ..CheckReport::default()
    };
    let reading = match depth {
        Depth::Structure => None,
        Depth::Data(options) => Some((options, None)),
        Depth::Packs(only) => Some((VerifyOptions::default(), Some(only))),
    };
    if let Some((options, only)) = reading {
        let mut verified = VerifiedPacks::load(space).map_err(store_error)?;
        let read = read_packs(space, &index, (options, only), run, &mut verified);
        // Also where it broke off: the next check goes on from there.
        verified.close(&packs);
        let found = read?;
        report.read_bytes = found.iter().map(|outcome| outcome.size).sum();
        report.read_packs = found.len() as u64;
        report.unverified_packs = packs
            .iter()
            .filter(|(id, _)| verified.last(*id).is_none())
            .count() as u64;
        report.oldest_verified = packs.iter().filter_map(|(id, _)| verified.last(*id)).min();
        let read: HashSet<u32> = found.iter().map(|outcome| outcome.pack).collect();
        for outcome in found {
            bad.note(outcome, &mut findings);
        }
        if let Err(cause) = mark_damaged(space, &index, &bad, &read) {
            tracing::warn!(%cause, "damaged packs could not be marked");
        }
    }
    bad.unnamed = index
        .packs()
        .iter()
        .zip(0..)
        .filter(|(record, _)| lost_packs.contains(&record.pack))
        .map(|(_, at)| at)
        .collect();
    let mut closure = Closure {
        space,
        index: &index,
        bad: &bad,
        clean: HashSet::new(),
        reader: ChunkReader::new(space, &index, run).map_err(CheckError::Decompressor)?,
    };
    for manifest in &manifests {
        if run.is_cancelled() {
            return Err(CheckError::Cancelled);
        }
        closure.walk(manifest, &mut findings)?;
    }
    if let Some(Err(cause)) = session.map(Session::end) {
        tracing::warn!(%cause, "the session of a finished check could not be removed");
    }
    if !findings.unnamed.is_empty() {
        let at = findings.keep(Damage {
            object: space.names.index(),
            offset: None,
            cause: DamageCause::IndexLost {
                packs: findings.unnamed.len(),
            },
        });
        findings.all[at].1 = std::mem::take(&mut findings.without_index);
        findings.shells.insert(at);
    }
    report.problems = findings.into_problems();
    Ok(report)
}

/// Tells whether the index lacks a chunk of a backup although there are packs that it does not
/// name: then they may hold it.
fn lacks_something(
    space: &Space,
    index: &Index,
    manifests: &[Manifest],
    run: &Run,
) -> Result<bool, CheckError> {
    let named: HashSet<PackId> = index.packs().iter().map(|record| record.pack).collect();
    let packs = space.list_packs()?;
    if packs.iter().all(|(pack, _)| named.contains(pack)) {
        return Ok(false);
    }
    let bad = Bad::default();
    let mut closure = Closure {
        space,
        index,
        bad: &bad,
        clean: HashSet::new(),
        reader: ChunkReader::new(space, index, run).map_err(CheckError::Decompressor)?,
    };
    let mut findings = Findings::default();
    for manifest in manifests {
        if run.is_cancelled() {
            return Err(CheckError::Cancelled);
        }
        closure.walk(manifest, &mut findings)?;
        let is_unlocated = |damage: &Damage| matches!(damage.cause, DamageCause::NoLocation(_));
        if findings.all.iter().any(|(damage, _)| is_unlocated(damage)) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn missing(object: String) -> Damage {
    Damage {
        object,
        offset: None,
        cause: DamageCause::Missing,
    }
}

fn store_error(cause: ReadError) -> CheckError {
    match cause {
        ReadError::Store(cause) => CheckError::Store(cause),
        damaged @ ReadError::Damaged(_) => CheckError::Repository(damaged.into()),
    }
}

fn count_chunks(index: &Index) -> u64 {
    let mut count = 0;
    let mut chunks = index.chunks();
    while chunks.next().is_some() {
        count += 1;
    }
    count
}

fn as_u32(at: usize) -> u32 {
    u32::try_from(at).expect("packs are counted in 32 bits")
}

/// Damaged places, with the backups they hurt.
#[derive(Default)]
struct Findings {
    all: Vec<(Damage, BTreeSet<BackupId>)>,
    /// Lost bytes, by finding and backup, in order and joined.
    lost: BTreeMap<(usize, BackupId), Vec<Range<u64>>>,
    /// Places of what was found on the way, by what it says.
    said: HashMap<String, usize>,
    /// What is damage only if it hurts somebody.
    passing: BTreeSet<usize>,
    /// What leaves every chunk readable.
    shells: BTreeSet<usize>,
    /// How often something was found to hurt: a part of a map that adds none is clean, for
    /// every backup that shares it.
    hits: u64,
    /// Packs of which nothing can be read, by name.
    whole: HashMap<String, usize>,
    /// Packs that the index has lost and backups need.
    unnamed: BTreeSet<u32>,
    /// Backups that need them.
    without_index: BTreeSet<BackupId>,
}

impl Findings {
    fn add(&mut self, damage: Damage, backups: impl IntoIterator<Item = BackupId>) -> usize {
        let at = match self.whole.get(&damage.object) {
            // It was found missing or cut before anybody tried to read it.
            Some(at) => *at,
            None => self.keep(damage),
        };
        self.hits += 1;
        self.all[at].1.extend(backups);
        at
    }

    /// Adds damage whose victims are found later and returns its place. What was found before
    /// keeps its place.
    fn keep(&mut self, damage: Damage) -> usize {
        let said = format!("{damage} {}", damage.cause);
        let place = self.said.entry(said).or_insert(self.all.len());
        if *place == self.all.len() {
            self.all.push((damage, BTreeSet::new()));
        }
        *place
    }

    /// Adds a pack of which nothing can be read.
    fn keep_whole(&mut self, damage: Damage) -> usize {
        let object = damage.object.clone();
        let at = self.keep(damage);
        self.whole.insert(object, at);
        at
    }

    /// Notes that bytes of a backup are lost because of a finding.
    fn lose(&mut self, at: usize, backup: BackupId, range: Range<u64>) {
        let ranges = self.lost.entry((at, backup)).or_default();
        match ranges.last_mut() {
            Some(last) if range.start <= last.end && range.start >= last.start => {
                last.end = last.end.max(range.end);
            }
            _ => ranges.push(range),
        }
    }

    fn into_problems(self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = self
            .all
            .into_iter()
            .enumerate()
            .map(|(at, (damage, backups))| {
                let backups: Vec<BackupId> = backups.into_iter().collect();
                Problem {
                    damage,
                    hurt: match self.shells.contains(&at) {
                        true => Vec::new(),
                        false => backups.clone(),
                    },
                    backups,
                    lost: Vec::new(),
                }
            })
            .collect();
        for ((at, backup), mut ranges) in self.lost {
            ranges.sort_unstable_by_key(|range| range.start);
            ranges.dedup();
            let lost = ranges.into_iter().map(|range| LostRange { backup, range });
            problems[at].lost.extend(lost);
        }
        let mut at = 0;
        problems.retain(|problem| {
            at += 1;
            !problem.backups.is_empty() || !self.passing.contains(&(at - 1))
        });
        problems
    }
}

/// What is known to be bad, with its place among the findings.
#[derive(Default)]
struct Bad {
    /// Packs of which nothing can be read.
    packs: HashMap<u32, usize>,
    /// Packs that are damaged outside their chunks.
    shells: HashMap<u32, usize>,
    /// Single chunks, by pack and offset.
    chunks: HashMap<(u32, u32), usize>,
    /// Packs that no index run names.
    unnamed: BTreeSet<u32>,
}

impl Bad {
    /// Takes in what reading one pack brought to light.
    fn note(&mut self, outcome: PackOutcome, findings: &mut Findings) {
        let pack = outcome.pack;
        for (offset, damage) in outcome.chunks {
            self.chunks.insert((pack, offset), findings.keep(damage));
        }
        if let Some(damage) = outcome.whole {
            self.packs.insert(pack, findings.keep_whole(damage));
        }
        if let Some(damage) = outcome.shell {
            let at = findings.keep(damage);
            findings.shells.insert(at);
            self.shells.insert(pack, at);
        }
    }

    fn at(&self, entry: &IndexEntry) -> Option<usize> {
        let whole = self.packs.get(&entry.pack);
        whole
            .or_else(|| self.chunks.get(&(entry.pack, entry.offset)))
            .copied()
    }
}

/// Marks the packs in which something is bad, so that later backups store anew what they meet
/// of them, and takes the marks off those that were read and are whole.
fn mark_damaged(
    space: &Space,
    index: &Index,
    bad: &Bad,
    read: &HashSet<u32>,
) -> Result<(), StoreError> {
    let marked = damaged_packs(space)?;
    let mut found: BTreeSet<u32> = bad.chunks.keys().map(|(pack, _)| *pack).collect();
    found.extend(bad.packs.keys().chain(bad.shells.keys()));
    let mut whole = Vec::new();
    for (at, record) in index.packs().iter().enumerate() {
        let name = space.names.damaged_pack(record.pack);
        let is_bad = found.contains(&as_u32(at)) && !index.standing(as_u32(at)).condemned;
        let is_whole = !is_bad && read.contains(&as_u32(at));
        if is_bad && !marked.contains(&record.pack) {
            space.store.put(&name, &[])?;
        } else if is_whole && marked.contains(&record.pack) {
            whole.push(name);
        }
    }
    if !whole.is_empty() {
        space.store.delete_many(&whole)?;
    }
    Ok(())
}

/// Walks backups and finds out which of them need what is bad.
struct Closure<'a> {
    space: &'a Space,
    index: &'a Index,
    bad: &'a Bad,
    /// Nodes and pages below which nothing is bad: most are shared between backups.
    clean: HashSet<ChunkId>,
    reader: ChunkReader<'a>,
}

impl Closure<'_> {
    fn walk(&mut self, manifest: &Manifest, findings: &mut Findings) -> Result<(), CheckError> {
        let backup = manifest.backup_id;
        let mut walk = Walk::new(manifest.root);
        let mut entered = Vec::new();
        let hits_before = findings.hits;
        loop {
            let (clean, index, bad) = (&self.clean, self.index, self.bad);
            let pages = walk.next_pages(&mut self.reader, &mut |id| {
                if clean.contains(&id) {
                    return Ok(false);
                }
                judge(index, bad, id, (backup, None), findings);
                entered.push(id);
                Ok::<_, ReadError>(true)
            });
            let pages = match pages {
                Ok(Some(pages)) => pages,
                Ok(None) => break,
                Err(ReadError::Damaged(damage)) => {
                    // What lies below is lost to this walk, but the rest is looked at.
                    findings.add(*damage, [backup]);
                    continue;
                }
                Err(cause) => return Err(store_error(cause)),
            };
            for (window, id) in pages {
                let length = u64::from(self.space.descriptor.window());
                let start = window.saturating_mul(length);
                let range = start..manifest.size.0.min(start.saturating_add(length));
                self.page(id, backup, range, findings)?;
            }
        }
        // A node is clean if the whole walk was: rough, but true, and most walks are.
        if findings.hits == hits_before {
            self.clean.extend(entered);
        }
        Ok(())
    }

    fn page(
        &mut self,
        id: ChunkId,
        backup: BackupId,
        range: Range<u64>,
        findings: &mut Findings,
    ) -> Result<(), CheckError> {
        if self.clean.contains(&id) {
            return Ok(());
        }
        let before = findings.hits;
        let (index, bad, window) = (self.index, self.bad, self.space.descriptor.window());
        judge(index, bad, id, (backup, Some(range.clone())), findings);
        let read = read_pages(&mut self.reader, &[id], window, |_, page| {
            for entry in &page.entries {
                let start = range.start + u64::from(entry.offset);
                let lost = start..start + u64::from(entry.length);
                judge(index, bad, entry.id, (backup, Some(lost.clone())), findings);
                let known = index.best(&entry.id);
                if known.is_some_and(|known| known.plain_len() != entry.length) {
                    let reason = "a chunk does not have the length that the page says";
                    let cause = FormatError::Malformed {
                        what: "page",
                        reason,
                    }
                    .into();
                    let object = format!("page {id}");
                    let damage = Damage {
                        object,
                        offset: None,
                        cause,
                    };
                    let at = findings.add(damage, [backup]);
                    findings.lose(at, backup, lost);
                }
            }
            Ok::<_, ReadError>(())
        });
        match read {
            Ok(()) if findings.hits == before => {
                self.clean.insert(id);
            }
            Ok(()) => {}
            Err(ReadError::Damaged(damage)) => {
                let at = findings.add(*damage, [backup]);
                findings.lose(at, backup, range);
            }
            Err(cause) => return Err(store_error(cause)),
        }
        Ok(())
    }
}

/// Notes a backup as hurt, and the bytes of it as lost, if a chunk it needs is bad in every place.
fn judge(
    index: &Index,
    bad: &Bad,
    id: ChunkId,
    (backup, range): (BackupId, Option<Range<u64>>),
    findings: &mut Findings,
) {
    let lose = |findings: &mut Findings, at| {
        if let Some(range) = &range {
            findings.lose(at, backup, range.clone());
        }
    };
    let places = index.locations(&id);
    if places.is_empty() {
        let damage = Damage {
            object: format!("chunk {id}"),
            offset: None,
            cause: DamageCause::NoLocation(id),
        };
        let at = findings.add(damage, [backup]);
        lose(findings, at);
    }
    if !places.is_empty() && places.iter().all(|entry| bad.unnamed.contains(&entry.pack)) {
        findings.hits += 1;
        findings.without_index.insert(backup);
        findings
            .unnamed
            .extend(places.iter().map(|entry| entry.pack));
    }
    let all_bad = places.iter().all(|entry| bad.at(entry).is_some());
    for entry in &places {
        if let Some(at) = bad.at(entry).filter(|_| all_bad) {
            findings.hits += 1;
            findings.all[at].1.insert(backup);
            lose(findings, at);
        }
        if let Some(at) = bad.shells.get(&entry.pack) {
            findings.hits += 1;
            findings.all[*at].1.insert(backup);
        }
    }
}
