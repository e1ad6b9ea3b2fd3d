//! Reads packs through, several at once.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use emberkeep_format::{
    Decompressor, FormatError, IndexEntry, PACK_TRAILER_LEN, PackHeader, PackId, PackTrailer,
    TocEntry, UnixMicros, decode_toc, verify_checksum,
};

use super::verified::VerifiedPacks;
use super::{VerifyOptions, store_error};
use crate::damage::{Damage, DamageCause, ReadError};
use crate::error::CheckError;
use crate::index::Index;
use crate::reader::open_verified;
use crate::run::Run;
use crate::space::{Space, now, worker_count};

/// Packs read at once; each takes its size in memory.
const READERS: usize = 3;

/// Reads the packs that have waited longest, as many as the options allow, and returns what was
/// found, by place in the index.
pub(super) fn read_packs(
    space: &Space,
    index: &Index,
    (options, only): (VerifyOptions, Option<&BTreeSet<PackId>>),
    run: &Run,
    verified: &mut VerifiedPacks<'_>,
) -> Result<Vec<PackOutcome>, CheckError> {
    let order = by_pack(index);
    let pack_of = |group: &[u32]| index.entry(group[0] as usize).pack;
    let size_of = |group: &[u32]| u64::from(index.packs()[pack_of(group) as usize].size);
    let mut groups: Vec<&[u32]> = order
        .iter()
        .map(Vec::as_slice)
        .filter(|group| !group.is_empty())
        .filter(|group| {
            // What a sweep is about to delete may go while it is being read.
            let standing = index.standing(pack_of(group));
            !standing.missing && !standing.condemned
        })
        .filter(|group| {
            let pack = index.packs()[pack_of(group) as usize].pack;
            only.is_none_or(|only| only.contains(&pack))
        })
        .collect();
    choose(&mut groups, options, size_of, |group| {
        verified.last(index.packs()[pack_of(group) as usize].pack)
    });
    run.begin(groups.iter().map(|group| size_of(group)).sum());
    let next = AtomicUsize::new(0);
    let found = Mutex::new((Vec::new(), verified));
    let read = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..worker_count().min(READERS))
            .map(|_| {
                scope.spawn(|| -> Result<(), CheckError> {
                    let mut decoder = Decompressor::new().map_err(CheckError::Decompressor)?;
                    while let Some(group) = groups.get(next.fetch_add(1, Relaxed)) {
                        let entries = group.iter().map(|at| index.entry(*at as usize));
                        let mut entries: Vec<_> = entries.collect();
                        entries.sort_unstable_by_key(|entry| (entry.offset, *entry));
                        // Two runs may say the same.
                        entries.dedup();
                        let outcome = read_pack(space, index, &entries, &mut decoder, run)?;
                        run.add_read(outcome.size);
                        run.add_done(outcome.size);
                        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                        if outcome.is_whole() {
                            let pack = index.packs()[outcome.pack as usize].pack;
                            found.1.note(pack, outcome.size);
                        }
                        found.0.push(outcome);
                    }
                    Ok(())
                })
            })
            .collect();
        readers.into_iter().try_for_each(|thread| {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    });
    read?;
    let (mut outcomes, _) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcomes.sort_unstable_by_key(|outcome| outcome.pack);
    Ok(outcomes)
}

/// Returns the places of each pack's entries.
fn by_pack(index: &Index) -> Vec<Vec<u32>> {
    let mut counts = vec![0; index.packs().len()];
    for entry in index.entries() {
        counts[entry.pack as usize] += 1;
    }
    let mut groups: Vec<Vec<u32>> = counts.into_iter().map(Vec::with_capacity).collect();
    for (at, entry) in index.entries().enumerate() {
        groups[entry.pack as usize].push(super::as_u32(at));
    }
    groups
}

/// Leaves the packs that are to be read, those first that wait longest. A pack that was found
/// damaged was never found whole, so that it comes first each time until it is gone.
fn choose(
    groups: &mut Vec<&[u32]>,
    options: VerifyOptions,
    size: impl Fn(&[u32]) -> u64,
    last: impl Fn(&[u32]) -> Option<UnixMicros>,
) {
    if let Some(age) = options.older_than {
        let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
        let before = now().0.saturating_sub(age);
        groups.retain(|group| last(group).is_none_or(|at| at.0 < before));
    }
    // None comes before any time.
    groups.sort_by_key(|group| last(group));
    if let Some(budget) = options.budget {
        let mut spent = 0;
        let fits = groups.iter().take_while(|group| {
            let first = spent == 0;
            spent += size(group);
            first || spent <= budget
        });
        let count = fits.count();
        groups.truncate(count);
    }
}

/// What reading one pack brought to light.
pub(super) struct PackOutcome {
    /// Its place in the index.
    pub(super) pack: u32,
    pub(super) size: u64,
    /// Nothing in it can be read.
    pub(super) whole: Option<Damage>,
    /// It is damaged, but not in its chunks.
    pub(super) shell: Option<Damage>,
    pub(super) chunks: Vec<(u32, Damage)>,
}

impl PackOutcome {
    fn is_whole(&self) -> bool {
        self.whole.is_none() && self.shell.is_none() && self.chunks.is_empty()
    }
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
