//! Looks for damage and names the backups that it hurts.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use emberkeep_format::{
    ChunkId, Decompressor, EnvelopeKind, FormatError, IndexEntry, Manifest, PACK_TRAILER_LEN,
    PackHeader, PackTrailer, SessionKind, TocEntry, decode_toc, verify_checksum,
};
use emberkeep_model::BackupId;
use emberkeep_store::StoreError;

use crate::damage::{Damage, DamageCause, ReadError};
use crate::error::CheckError;
use crate::index::Index;
use crate::load::{condemned_packs, damaged_packs, list_manifests, load_condemned, load_index};
use crate::reader::{ChunkReader, open_verified};
use crate::run::Run;
use crate::session::Session;
use crate::space::{Space, worker_count};
use crate::tree::{Walk, read_pages};

/// Packs read at once; each takes its size in memory.
const READERS: usize = 3;

/// How deep a check goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CheckOptions {
    /// Read and verify every byte of every pack, not the structure alone.
    pub read_data: bool,
}

/// One damaged place and what it means.
#[derive(Debug)]
pub struct Problem {
    /// The place and what is wrong there.
    pub damage: Damage,
    /// Backups that cannot be fully restored because of it, or whose chunks lie in the pack.
    pub backups: Vec<BackupId>,
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
    /// Packs there are.
    pub packs: u64,
    /// Distinct chunks that the index knows.
    pub chunks: u64,
    /// Bytes of packs that were read and verified.
    pub read_bytes: u64,
}

pub(crate) fn check(
    space: &Arc<Space>,
    options: CheckOptions,
    run: &Run,
) -> Result<CheckReport, CheckError> {
    let session = Session::start_reading(space, SessionKind::Check)?;
    let mut findings = Findings::default();
    let mut manifests = Vec::new();
    for (name, id) in list_manifests(space).map_err(store_error)? {
        match space.load_if_there(EnvelopeKind::Manifest, &name, Manifest::decode) {
            Ok(found) => manifests.extend(found),
            Err(ReadError::Damaged(damage)) => {
                findings.add(*damage, [id]);
            }
            Err(cause) => return Err(store_error(cause)),
        }
    }
    let condemned = condemned_packs(&load_condemned(space).map_err(store_error)?);
    let loaded = load_index(space).map_err(store_error)?;
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
            bad.packs.insert(
                as_u32(at),
                findings.keep(Damage {
                    object,
                    offset: None,
                    cause,
                }),
            );
        }
    }
    let mut report = CheckReport {
        backups: manifests.len() as u64,
        packs: packs.len() as u64,
        chunks: index.entries().chunk_by(|a, b| a.id == b.id).count() as u64,
        ..CheckReport::default()
    };
    if options.read_data {
        report.read_bytes = read_packs(space, &index, run, &mut bad, &mut findings)?;
        if let Err(cause) = mark_damaged(space, &index, &bad) {
            tracing::warn!(%cause, "damaged packs could not be marked");
        }
    }
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
    report.problems = findings.into_problems();
    Ok(report)
}

fn store_error(cause: ReadError) -> CheckError {
    match cause {
        ReadError::Store(cause) => CheckError::Store(cause),
        damaged @ ReadError::Damaged(_) => CheckError::Repository(damaged.into()),
    }
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
}

impl Findings {
    fn add(&mut self, damage: Damage, backups: impl IntoIterator<Item = BackupId>) -> usize {
        let said = format!("{damage} {}", damage.cause);
        let at = match self.said.get(&said) {
            Some(at) => *at,
            None => {
                let at = self.keep(damage);
                self.said.insert(said, at);
                at
            }
        };
        self.all[at].1.extend(backups);
        at
    }

    /// Adds damage whose victims are found later and returns its place.
    fn keep(&mut self, damage: Damage) -> usize {
        self.all.push((damage, BTreeSet::new()));
        self.all.len() - 1
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
            .map(|(damage, backups)| Problem {
                damage,
                backups: backups.into_iter().collect(),
                lost: Vec::new(),
            })
            .collect();
        for ((at, backup), mut ranges) in self.lost {
            ranges.sort_unstable_by_key(|range| range.start);
            ranges.dedup();
            let lost = ranges.into_iter().map(|range| LostRange { backup, range });
            problems[at].lost.extend(lost);
        }
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
}

impl Bad {
    fn at(&self, entry: &IndexEntry) -> Option<usize> {
        let whole = self.packs.get(&entry.pack);
        whole
            .or_else(|| self.chunks.get(&(entry.pack, entry.offset)))
            .copied()
    }
}

/// Marks the packs in which something is bad, so that later backups store anew what they meet
/// of them, and takes the marks off those that are whole.
fn mark_damaged(space: &Space, index: &Index, bad: &Bad) -> Result<(), StoreError> {
    let marked = damaged_packs(space)?;
    let mut found: BTreeSet<u32> = bad.chunks.keys().map(|(pack, _)| *pack).collect();
    found.extend(bad.packs.keys().chain(bad.shells.keys()));
    let mut whole = Vec::new();
    for (at, record) in index.packs().iter().enumerate() {
        let name = space.names.damaged_pack(record.pack);
        let is_bad = found.contains(&as_u32(at));
        if is_bad && !marked.contains(&record.pack) {
            space.store.put(&name, &[])?;
        } else if !is_bad && marked.contains(&record.pack) {
            whole.push(name);
        }
    }
    if !whole.is_empty() {
        space.store.delete_many(&whole)?;
    }
    Ok(())
}

/// Reads every pack and notes what is bad in it.
fn read_packs(
    space: &Space,
    index: &Index,
    run: &Run,
    bad: &mut Bad,
    findings: &mut Findings,
) -> Result<u64, CheckError> {
    let mut order: Vec<u32> = (0..as_u32(index.entries().len())).collect();
    order.sort_unstable_by_key(|at| {
        let entry = &index.entries()[*at as usize];
        (entry.pack, entry.offset)
    });
    let groups: Vec<&[u32]> = order
        .chunk_by(|a, b| index.entries()[*a as usize].pack == index.entries()[*b as usize].pack)
        .filter(|group| {
            !index
                .standing(index.entries()[group[0] as usize].pack)
                .missing
        })
        .collect();
    run.begin(
        index
            .packs()
            .iter()
            .map(|record| u64::from(record.size))
            .sum(),
    );
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    let read = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..worker_count().min(READERS))
            .map(|_| {
                scope.spawn(|| -> Result<u64, CheckError> {
                    let mut decoder = Decompressor::new().map_err(CheckError::Decompressor)?;
                    let mut read = 0;
                    while let Some(group) = groups.get(next.fetch_add(1, Relaxed)) {
                        let entries = group.iter().map(|at| index.entries()[*at as usize]);
                        let outcome = read_pack(
                            space,
                            index,
                            &entries.collect::<Vec<_>>(),
                            &mut decoder,
                            run,
                        )?;
                        read += outcome.size;
                        run.add_read(outcome.size);
                        run.add_done(outcome.size);
                        found
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .push(outcome);
                    }
                    Ok(read)
                })
            })
            .collect();
        readers
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .sum::<Result<u64, _>>()
    })?;
    let mut outcomes = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcomes.sort_unstable_by_key(|outcome| outcome.pack);
    for outcome in outcomes {
        for (offset, damage) in outcome.chunks {
            bad.chunks
                .insert((outcome.pack, offset), findings.keep(damage));
        }
        if let Some(damage) = outcome.whole {
            bad.packs.insert(outcome.pack, findings.keep(damage));
        }
        if let Some(damage) = outcome.shell {
            bad.shells.insert(outcome.pack, findings.keep(damage));
        }
    }
    Ok(read)
}

/// What reading one pack brought to light.
struct PackOutcome {
    pack: u32,
    size: u64,
    whole: Option<Damage>,
    shell: Option<Damage>,
    chunks: Vec<(u32, Damage)>,
}

fn read_pack(
    space: &Space,
    index: &Index,
    entries: &[IndexEntry],
    decoder: &mut Decompressor,
    run: &Run,
) -> Result<PackOutcome, CheckError> {
    let pack = entries[0].pack;
    let record = index.packs()[pack as usize];
    let object = space.names.pack(record.pack);
    let damage = |offset: Option<u64>, cause: DamageCause| Damage {
        object: object.clone(),
        offset,
        cause,
    };
    let mut outcome = PackOutcome {
        pack,
        size: 0,
        whole: None,
        shell: None,
        chunks: Vec::new(),
    };
    let mut bytes = match space.store.get(&object).map_err(ReadError::from_store) {
        Ok(bytes) => bytes,
        Err(ReadError::Damaged(found)) => {
            outcome.whole = Some(*found);
            return Ok(outcome);
        }
        Err(cause) => return Err(store_error(cause)),
    };
    outcome.size = bytes.len() as u64;
    if bytes.len() != record.size as usize {
        let cause = DamageCause::Size {
            have: outcome.size,
            want: record.size.into(),
        };
        outcome.whole = Some(damage(None, cause));
        return Ok(outcome);
    }
    let key = space.keys.pack(record.pack);
    let sound = verify_checksum(&bytes).and_then(|()| open_toc(space, record.pack, &mut bytes));
    for entry in entries {
        if run.is_cancelled() {
            return Err(CheckError::Cancelled);
        }
        let toc = entry.toc();
        let range = entry.offset as usize..entry.offset as usize + entry.sealed_len as usize;
        let opened = match &sound {
            Ok(contents)
                if contents
                    .binary_search_by_key(&toc.offset, |t| t.offset)
                    .is_ok_and(|at| contents[at] == toc) =>
            {
                open_verified(space, &key, decoder, &toc, &mut bytes[range]).map(|_| ())
            }
            Ok(_) => Err(FormatError::Malformed {
                what: "index entry",
                reason: "the pack's table of contents does not have it",
            }),
            // Where the pack is damaged, its chunks may still be whole.
            Err(_) => open_verified(space, &key, decoder, &toc, &mut bytes[range]).map(|_| ()),
        };
        if let Err(cause) = opened {
            outcome.chunks.push((
                entry.offset,
                damage(Some(entry.offset.into()), cause.into()),
            ));
        }
    }
    if let (Err(cause), true) = (sound, outcome.chunks.is_empty()) {
        outcome.shell = Some(damage(None, cause.into()));
    }
    Ok(outcome)
}

fn open_toc(
    space: &Space,
    pack: emberkeep_format::PackId,
    bytes: &mut [u8],
) -> Result<Vec<TocEntry>, FormatError> {
    let header = PackHeader::decode(bytes)?;
    space.expect_header(&header, pack)?;
    let end = bytes.len() - PACK_TRAILER_LEN;
    let trailer = PackTrailer::decode(&bytes[end..], bytes.len() as u64)?;
    // On a copy: opening works in place, and the chunks are looked at afterwards.
    let mut sealed = bytes[trailer.toc_offset as usize..end].to_vec();
    decode_toc(&space.keys.pack(pack), &header, &trailer, &mut sealed)
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
        let hurt_before = findings.hurt(backup);
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
        if findings.hurt(backup) == hurt_before {
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
        let before = findings.hurt(backup);
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
            Ok(()) if findings.hurt(backup) == before => {
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
    let all_bad = places.iter().all(|entry| bad.at(entry).is_some());
    for entry in places {
        if let Some(at) = bad.at(entry).filter(|_| all_bad) {
            findings.all[at].1.insert(backup);
            lose(findings, at);
        }
        if let Some(at) = bad.shells.get(&entry.pack) {
            findings.all[*at].1.insert(backup);
        }
    }
}

impl Findings {
    /// Counts the findings that hurt a backup.
    fn hurt(&self, backup: BackupId) -> usize {
        self.all
            .iter()
            .filter(|(_, backups)| backups.contains(&backup))
            .count()
    }
}
