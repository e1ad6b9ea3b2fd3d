//! Loads the index from its runs, and from the packs themselves where a run is damaged.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use emberkeep_format::{
    Condemnation, EnvelopeKind, IndexEntries, IndexEntry, IndexRun, PackId, PackRecord, names,
};
use emberkeep_store::{Listed, StoreError, list_all};

use crate::damage::{Damage, ReadError};
use crate::index::{Gatherer, Index};
use crate::space::{Space, worker_count};

/// Sweeps merge runs while we read them; so often we look again before giving up.
const TRIES: usize = 20;

/// Bytes of index runs that several threads read: a thread costs as much as a small run.
const WORTH_THREADS: u64 = 4 << 20;

/// What one listing tells of a project; in a far-away store each listing takes its time.
///
/// Names come in order, so that a listing that is not of one instant still looks at
/// condemnations, then at index runs, then at packs, then at sessions, as it must.
pub(crate) struct Listing {
    objects: Vec<Listed>,
    /// Nothing follows: a larger project is listed part by part.
    is_whole: bool,
}

impl Listing {
    /// Lists everything, or the beginning.
    pub(crate) fn take(space: &Space) -> Result<Self, StoreError> {
        const MOST: usize = 1000;
        let objects = space.store.list(&space.names.root(), None, MOST)?;
        let is_whole = objects.len() < MOST;
        Ok(Self { objects, is_whole })
    }

    /// Returns the objects whose names start with `prefix`; listed now where they are not known.
    pub(crate) fn under(&self, space: &Space, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        if !self.is_whole {
            return list_all(&*space.store, prefix);
        }
        let found = self.objects.iter();
        Ok(found
            .filter(|object| object.name.starts_with(prefix))
            .cloned()
            .collect())
    }

    /// Tells whether an object is there.
    pub(crate) fn has(&self, space: &Space, name: &str) -> Result<bool, StoreError> {
        if !self.is_whole {
            return Ok(space.store.head(name)?.is_some());
        }
        let place = self
            .objects
            .binary_search_by(|object| object.name.as_str().cmp(name));
        Ok(place.is_ok())
    }
}

/// An index and the runs that it was read from.
pub(crate) struct LoadedIndex {
    pub(crate) index: Index,
    /// Every run that is contained in the index.
    pub(crate) runs: Vec<String>,
    /// Runs that could not be read; what they knew was taken from the packs.
    pub(crate) damaged: Vec<Damage>,
    /// Packs that no run names, as they say of themselves.
    pub(crate) from_tables: BTreeSet<PackId>,
}

/// When the packs' own tables of contents are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tables {
    /// Where a run cannot be read.
    WhereDamaged,
    /// Where there are packs that no run names: a run may be lost. That costs requests for each
    /// pack that another run has not indexed yet.
    WhereUnnamed,
}

/// Reads every run there is.
pub(crate) fn load_index(space: &Space) -> Result<LoadedIndex, ReadError> {
    load_index_with(space, &IndexRun::default())
}

/// Reads every run there is, and the tables of packs that none of them names.
pub(crate) fn load_index_and_tables(space: &Space) -> Result<LoadedIndex, ReadError> {
    load(space, &IndexRun::default(), None, Tables::WhereUnnamed)
}

/// Reads every run there is, and adds one that is not stored.
pub(crate) fn load_index_with(space: &Space, more: &IndexRun) -> Result<LoadedIndex, ReadError> {
    load_listed_index(space, more, None)
}

/// Reads every run there is, of those listed already if they are, and adds one that is not stored.
pub(crate) fn load_listed_index(
    space: &Space,
    more: &IndexRun,
    before: Option<Vec<Listed>>,
) -> Result<LoadedIndex, ReadError> {
    load(space, more, before, Tables::WhereDamaged)
}

/// Reads the index as [`load_listed_index`] does.
pub(crate) fn load(
    space: &Space,
    more: &IndexRun,
    mut before: Option<Vec<Listed>>,
    tables: Tables,
) -> Result<LoadedIndex, ReadError> {
    let mut gatherer = Gatherer::default();
    gatherer.add_entries(&more.packs, more.entries.clone());
    let mut seen = BTreeSet::new();
    let mut damaged = Vec::new();
    let mut tries = 0;
    'again: loop {
        let mut listed = match before.take() {
            Some(listed) => listed,
            None => list_all(&*space.store, &space.names.index())?,
        };
        listed.retain(|object| !seen.contains(&object.name));
        for (object, loaded) in load_runs(space, listed) {
            match loaded {
                Ok((packs, entries)) => gatherer.add(&packs, entries),
                // A sweep has merged it into a run that our listing does not have.
                Err(cause) if cause.is_missing() && tries < TRIES => {
                    tries += 1;
                    continue 'again;
                }
                Err(ReadError::Damaged(damage)) => {
                    tracing::warn!(%damage, "an index run cannot be read");
                    damaged.push(*damage);
                }
                Err(cause) => return Err(cause),
            }
            seen.insert(object.name);
        }
        break;
    }
    let from_tables = if tables == Tables::WhereUnnamed || !damaged.is_empty() {
        read_from_packs(space, &mut gatherer)?
    } else {
        BTreeSet::new()
    };
    Ok(LoadedIndex {
        index: gatherer.finish(),
        runs: seen.into_iter().collect(),
        damaged,
        from_tables,
    })
}

type LoadedRun = Result<(Vec<PackRecord>, IndexEntries), ReadError>;

/// Reads runs and hands them out in their order; several at once where that is worth it.
fn load_runs(
    space: &Space,
    listed: Vec<Listed>,
) -> Box<dyn Iterator<Item = (Listed, LoadedRun)> + '_> {
    let load = |object: &Listed| {
        let decode = IndexEntries::of_run;
        space.load_whole(EnvelopeKind::IndexRun, &object.name, decode)
    };
    let bytes: u64 = listed.iter().map(|object| object.size).sum();
    if bytes < WORTH_THREADS {
        return Box::new(listed.into_iter().map(move |object| {
            let loaded = load(&object);
            (object, loaded)
        }));
    }
    let next = AtomicUsize::new(0);
    let mut loaded = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..worker_count())
            .map(|_| {
                scope.spawn(|| {
                    let mut mine = Vec::new();
                    loop {
                        let at = next.fetch_add(1, Relaxed);
                        match listed.get(at) {
                            Some(object) => mine.push((at, load(object))),
                            None => return mine,
                        }
                    }
                })
            })
            .collect();
        let mut all = Vec::with_capacity(listed.len());
        for reader in readers {
            let read = reader.join();
            all.extend(read.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        all
    });
    loaded.sort_unstable_by_key(|(at, _)| *at);
    let loaded = loaded.into_iter().map(|(_, loaded)| loaded);
    Box::new(listed.into_iter().zip(loaded))
}

/// Adds what packs say of themselves that no run names, and returns them.
fn read_from_packs(space: &Space, gatherer: &mut Gatherer) -> Result<BTreeSet<PackId>, ReadError> {
    let mut read = BTreeSet::new();
    for (pack, size) in space.list_packs()? {
        if gatherer.knows(pack) {
            continue;
        }
        let (header, toc) = match space.read_toc(pack, size) {
            Ok(found) => found,
            Err(ReadError::Damaged(damage)) => {
                tracing::warn!(%damage, "a pack that no index run names cannot be read");
                continue;
            }
            Err(cause) => return Err(cause),
        };
        let Ok(size) = u32::try_from(size) else {
            continue;
        };
        read.insert(pack);
        let entries = toc.iter().map(|entry| IndexEntry::new(0, entry)).collect();
        gatherer.add_entries(
            &[PackRecord {
                pack,
                size,
                kind: header.kind,
            }],
            entries,
        );
    }
    Ok(read)
}

/// What sweeps have condemned.
#[derive(Default)]
pub(crate) struct Condemned {
    /// The condemnations, by name.
    pub(crate) sound: Vec<(String, Condemnation)>,
    /// Names of those that cannot be read: any pack may be meant.
    pub(crate) unreadable: Vec<String>,
}

impl Condemned {
    /// Returns every pack that is known to be condemned. Who only reads needs no more: a pack
    /// that goes away under it is a clear error.
    pub(crate) fn packs(&self) -> BTreeSet<PackId> {
        let all = self.sound.iter();
        all.flat_map(|(_, c)| c.packs.iter().copied()).collect()
    }
}

/// Reads the condemnations that there are.
pub(crate) fn load_condemned(space: &Space) -> Result<Condemned, ReadError> {
    read_condemned(space, list_all(&*space.store, &space.names.condemned())?)
}

/// Reads the condemnations among what was listed.
pub(crate) fn read_condemned(space: &Space, listed: Vec<Listed>) -> Result<Condemned, ReadError> {
    let mut all = Condemned::default();
    for object in listed {
        let found = space.load_if_there(
            EnvelopeKind::Condemnation,
            &object.name,
            Condemnation::decode,
        );
        match found {
            Ok(found) => all.sound.extend(found.map(|c| (object.name, c))),
            Err(ReadError::Damaged(damage)) => {
                tracing::warn!(%damage, "a condemnation cannot be read; the next sweep removes it");
                all.unreadable.push(object.name);
            }
            Err(cause) => return Err(cause),
        }
    }
    Ok(all)
}

/// Lists the packs in which a check found damage.
pub(crate) fn damaged_packs(space: &Space) -> Result<BTreeSet<PackId>, StoreError> {
    Ok(marked_packs(&list_all(
        &*space.store,
        &space.names.damaged(),
    )?))
}

/// Returns the packs whose marks were listed.
pub(crate) fn marked_packs(listed: &[Listed]) -> BTreeSet<PackId> {
    listed
        .iter()
        .filter_map(|object| names::last_segment(&object.name))
        .collect()
}

/// Lists the names of manifests.
pub(crate) fn list_manifests(
    space: &Space,
) -> Result<Vec<(String, emberkeep_model::BackupId)>, ReadError> {
    Ok(list_all(&*space.store, &space.names.manifests())?
        .into_iter()
        .filter_map(|object| {
            let id = names::last_segment(&object.name)?;
            Some((object.name, id))
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use emberkeep_format::{ChunkId, Encoding, PackKind, TocEntry};
    use emberkeep_keys::MasterKey;
    use emberkeep_store::LocalStore;

    use super::*;
    use crate::packs::store_run;
    use crate::{InitOptions, Repository};

    /// Chunks of one run, as one backup of 50 GiB leaves it.
    const RUN: u64 = 1 << 20;
    const CHUNKS_OF_A_PACK: u64 = 500;

    fn status(field: &str) -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Processor seconds of this process: on a busy machine the clock tells less.
    fn cpu() -> f64 {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        let after = stat.rsplit_once(')').unwrap().1;
        let fields: Vec<&str> = after.split_whitespace().collect();
        let ticks = |at: usize| fields[at].parse::<f64>().unwrap() / 100.0;
        ticks(11) + ticks(12)
    }

    #[test]
    #[ignore = "a measurement: cargo xtask bench index"]
    fn opening_a_large_index() {
        let chunks: u64 = std::env::var("EMBERKEEP_CHUNKS").unwrap().parse().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(LocalStore::create(dir.path()).unwrap());
        let master = MasterKey::from_bytes([1; 32]);
        let repository = Repository::init(store, &master, InitOptions::default()).unwrap();
        let space = repository.project("bench").unwrap().space;
        for first in (0..chunks).step_by(usize::try_from(RUN).unwrap()) {
            let numbers = first..chunks.min(first + RUN);
            let packs: Vec<PackRecord> = (0..RUN.div_ceil(CHUNKS_OF_A_PACK))
                .map(|n| PackRecord {
                    pack: PackId((u128::from(first) + u128::from(n)).to_be_bytes()),
                    size: 32 << 20,
                    kind: PackKind::Data,
                })
                .collect();
            let mut entries: Vec<IndexEntry> = numbers
                .map(|n| {
                    let toc = TocEntry {
                        id: space.keys.chunk_ids.id(&n.to_le_bytes()),
                        offset: 48,
                        sealed_len: 30_000,
                        plain_len: 70_000,
                        encoding: Encoding::Zstd,
                    };
                    let pack = (n - first) / CHUNKS_OF_A_PACK;
                    IndexEntry::new(u32::try_from(pack).unwrap(), &toc)
                })
                .collect();
            entries.sort_unstable();
            store_run(&space, &packs, &entries).unwrap();
        }
        let before = status("VmRSS:");
        let (begun, busy) = (Instant::now(), cpu());
        let index = load_index(&space).unwrap().index;
        let (opened, busy) = (begun.elapsed().as_secs_f64(), cpu() - busy);
        let memory = (status("VmRSS:").saturating_sub(before)) * 1024;
        assert_eq!(index.len() as u64, chunks);
        let begun = cpu();
        let probes = 1_000_000_u64;
        for n in 0..probes {
            let id = space.keys.chunk_ids.id(&(n * 2).to_le_bytes());
            assert_eq!(index.position(&id).is_some(), n * 2 < chunks, "{n}");
        }
        let probe = (cpu() - begun) * 1e9 / probes as f64;
        assert!(index.position(&ChunkId([7; 32])).is_none());
        println!(
            "{chunks} chunks: opened in {opened:.2} s ({busy:.2} of processors), {:.1} bytes a chunk, peak {} MiB, {probe:.0} ns a look-up",
            memory as f64 / chunks as f64,
            status("VmHWM:") / 1024,
        );
    }
}
