//! The index in memory: sorted runs as they were stored, about 49 bytes a chunk.
//!
//! Nothing is decoded or sorted when a repository is opened: entries stay in the memory that
//! their runs were decrypted in. Only small runs are merged, so that there are few to ask.

mod chunks;
mod run;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};

use emberkeep_format::{ChunkId, IndexEntries, IndexEntry, PackId, PackRecord};

use crate::packs::RUN_ENTRIES;
pub(crate) use chunks::Chunks;
use run::Sorted;

/// So many runs are kept apart however small they are.
const FEW_RUNS: usize = 4;

/// What is known of a pack beside its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Standing {
    /// A sweep is about to delete it.
    pub(crate) condemned: bool,
    /// It is not in the store, or has another size there.
    pub(crate) missing: bool,
    /// A check found damage in it; part of it may be sound.
    pub(crate) damaged: bool,
}

/// Where chunks lie. Packs are sorted by id.
#[derive(Debug, Default)]
pub(crate) struct Index {
    packs: Vec<PackRecord>,
    standing: Vec<Standing>,
    runs: Vec<Sorted>,
}

/// Collects runs into an [`Index`].
#[derive(Default)]
pub(crate) struct Gatherer {
    packs: Vec<PackRecord>,
    places: HashMap<PackId, u32>,
    runs: Vec<(IndexEntries, Vec<u32>)>,
}

impl Gatherer {
    /// Adds the packs and entries of one run.
    pub(crate) fn add(&mut self, packs: &[PackRecord], entries: IndexEntries) {
        let places = packs
            .iter()
            .map(|record| {
                *self.places.entry(record.pack).or_insert_with(|| {
                    self.packs.push(*record);
                    place(self.packs.len() - 1)
                })
            })
            .collect();
        if !entries.is_empty() {
            self.runs.push((entries, places));
        }
    }

    /// Adds entries that lie in memory, in whatever order.
    pub(crate) fn add_entries(&mut self, packs: &[PackRecord], mut entries: Vec<IndexEntry>) {
        entries.sort_unstable();
        entries.dedup();
        let mut run = IndexEntries::with_capacity(entries.len());
        entries.iter().for_each(|entry| run.push(entry));
        self.add(packs, run);
    }

    /// Tells whether a run named the pack.
    pub(crate) fn knows(&self, pack: PackId) -> bool {
        self.places.contains_key(&pack)
    }

    /// Makes one index of all.
    pub(crate) fn finish(self) -> Index {
        let Self { packs, runs, .. } = self;
        let mut order: Vec<usize> = (0..packs.len()).collect();
        order.sort_unstable_by_key(|at| packs[*at].pack);
        let mut rank = vec![0; packs.len()];
        for (new, old) in order.iter().enumerate() {
            rank[*old] = place(new);
        }
        let runs = runs.into_iter().map(|(entries, mut places)| {
            places.iter_mut().for_each(|at| *at = rank[*at as usize]);
            Sorted::new(entries, Some(places))
        });
        let mut runs = merge_small(runs.collect());
        let mut base = 0;
        for run in &mut runs {
            run.base = base;
            base += run.len();
            run.make_filter();
        }
        Index {
            standing: vec![Standing::default(); packs.len()],
            packs: order.into_iter().map(|at| packs[at]).collect(),
            runs,
        }
    }
}

/// Merges the smallest runs, as long as there are more than a few and what comes out is no larger
/// than a run may be: each backup writes one, and each is asked for every chunk.
fn merge_small(runs: Vec<Sorted>) -> Vec<Sorted> {
    let mut runs: Vec<Option<Sorted>> = runs.into_iter().map(Some).collect();
    let size = |run: &Option<Sorted>| run.as_ref().map_or(0, Sorted::len);
    let mut smallest: BinaryHeap<_> = runs
        .iter()
        .enumerate()
        .map(|(at, run)| Reverse((size(run), at)))
        .collect();
    while smallest.len() > FEW_RUNS {
        let (Some(Reverse((first, a))), Some(Reverse((second, b)))) =
            (smallest.pop(), smallest.pop())
        else {
            break;
        };
        if first + second > RUN_ENTRIES {
            break;
        }
        if let (Some(one), Some(other)) = (runs[a].take(), runs[b].take()) {
            runs[b] = Some(one.merge(&other));
            smallest.push(Reverse((first + second, b)));
        }
    }
    runs.into_iter().flatten().collect()
}

fn place(at: usize) -> u32 {
    u32::try_from(at).expect("a project has fewer than four thousand million packs")
}

impl Index {
    /// Returns the packs, sorted by id.
    pub(crate) fn packs(&self) -> &[PackRecord] {
        &self.packs
    }

    /// Returns the number of entries.
    pub(crate) fn len(&self) -> usize {
        self.runs.last().map_or(0, |run| run.base + run.len())
    }

    /// Returns all entries, by place; one that two runs have comes twice.
    pub(crate) fn entries(&self) -> impl Iterator<Item = IndexEntry> {
        let runs = self.runs.iter();
        runs.flat_map(|run| (0..run.len()).map(|at| run.get(at)))
    }

    /// Returns the entry at a place, which is less than their number.
    pub(crate) fn entry(&self, at: usize) -> IndexEntry {
        let run = self.runs.partition_point(|run| run.base <= at) - 1;
        self.runs[run].get(at - self.runs[run].base)
    }

    /// Goes over all chunks, in the order of their ids.
    pub(crate) fn chunks(&self) -> Chunks<'_> {
        Chunks::new(&self.runs)
    }

    /// Returns the standing of the pack an entry points to.
    pub(crate) fn standing(&self, pack: u32) -> Standing {
        self.standing[pack as usize]
    }

    /// Tells whether every pack is there and stays.
    pub(crate) fn is_sound(&self) -> bool {
        self.standing.iter().all(|s| *s == Standing::default())
    }

    /// Notes which packs a sweep is about to delete.
    pub(crate) fn condemn(&mut self, is_condemned: impl Fn(PackId) -> bool) {
        for (record, standing) in self.packs.iter().zip(&mut self.standing) {
            standing.condemned = is_condemned(record.pack);
        }
    }

    /// Notes in which packs a check found damage: what is met again is stored again.
    pub(crate) fn distrust(&mut self, damaged: &BTreeSet<PackId>) {
        for (record, standing) in self.packs.iter().zip(&mut self.standing) {
            standing.damaged = damaged.contains(&record.pack);
        }
    }

    /// Notes which packs are not in the store as they were written.
    pub(crate) fn compare_with(&mut self, listed: &[(PackId, u64)]) {
        let sizes: BTreeMap<PackId, u64> = listed.iter().copied().collect();
        for (record, standing) in self.packs.iter().zip(&mut self.standing) {
            standing.missing = sizes.get(&record.pack) != Some(&u64::from(record.size));
        }
    }

    /// Returns the place of a chunk's first entry.
    pub(crate) fn position(&self, id: &ChunkId) -> Option<usize> {
        let mut runs = self.runs.iter();
        runs.find_map(|run| run.find(id).map(|at| run.base + at))
    }

    /// Returns every place of a chunk, run by run; one that two runs have comes twice.
    fn each_location(&self, id: &ChunkId) -> impl Iterator<Item = IndexEntry> {
        let runs = self.runs.iter();
        runs.filter_map(|run| Some((run, run.find(id)?)))
            .flat_map(|(run, first)| run.twins(first))
    }

    /// Returns every place of a chunk, sorted by pack.
    pub(crate) fn locations(&self, id: &ChunkId) -> Vec<IndexEntry> {
        let mut found: Vec<_> = self.each_location(id).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Returns the place that a reader should try first.
    pub(crate) fn best(&self, id: &ChunkId) -> Option<IndexEntry> {
        self.each_location(id).min_by_key(|entry| {
            let standing = self.standing(entry.pack);
            (
                standing.missing,
                standing.condemned,
                standing.damaged,
                entry.pack,
            )
        })
    }

    /// Returns a place that a new backup may rely on.
    pub(crate) fn reliable(&self, id: &ChunkId) -> Option<IndexEntry> {
        self.each_location(id)
            .find(|entry| self.standing(entry.pack) == Standing::default())
    }
}

#[cfg(test)]
mod tests {
    use emberkeep_format::{Encoding, PackKind, TocEntry};

    use super::*;

    fn entry(id: [u8; 32], pack: u32) -> IndexEntry {
        let toc = TocEntry {
            id: ChunkId(id),
            offset: 48,
            sealed_len: 20,
            plain_len: 4,
            encoding: Encoding::Raw,
        };
        IndexEntry::new(pack, &toc)
    }

    fn record(n: u8) -> PackRecord {
        PackRecord {
            pack: PackId([n; 16]),
            size: 100,
            kind: PackKind::Data,
        }
    }

    #[test]
    fn every_chunk_is_found_and_no_other() {
        for count in [0u64, 1, 2, 3, 100, 5000] {
            // Uniform at first, then all in one corner, where guesses are worst.
            for spread in [true, false] {
                let id = |n: u64| {
                    let mut id = [0xff; 32];
                    let head = if spread {
                        n.wrapping_mul(0x9e37_79b9_7f4a_7c15)
                    } else {
                        n
                    };
                    id[..8].copy_from_slice(&head.to_be_bytes());
                    id
                };
                let mut gatherer = Gatherer::default();
                let entries: Vec<_> = (0..count).map(|n| entry(id(2 * n + 1), 0)).collect();
                gatherer.add_entries(&[record(1)], entries);
                let index = gatherer.finish();
                for n in 0..2 * count + 2 {
                    let want = n % 2 == 1 && n < 2 * count;
                    let found = index.position(&ChunkId(id(n)));
                    assert_eq!(found.is_some(), want, "{n} of {count}");
                }
            }
        }
    }

    #[test]
    fn many_runs_are_as_one() {
        for (runs, each) in [(1, 0), (1, 500), (3, 100), (40, 60)] {
            let id = |n: u64| {
                let mut id = [7; 32];
                let spread = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                id[..8].copy_from_slice(&spread.to_be_bytes());
                id[8..16].copy_from_slice(&spread.rotate_left(17).to_le_bytes());
                ChunkId(id)
            };
            let mut gatherer = Gatherer::default();
            let mut want = BTreeMap::new();
            for run in 0..runs {
                // Half of them are in the next run too, in another pack.
                let numbers = run * each / 2..run * each / 2 + each;
                let pack = u8::try_from(100 - run).unwrap();
                let entries: Vec<_> = numbers.map(|n| entry(id(n).0, 0)).collect();
                for entry in &entries {
                    let packs: &mut BTreeSet<_> = want.entry(entry.id).or_default();
                    packs.insert(PackId([pack; 16]));
                }
                gatherer.add_entries(&[record(pack)], entries.clone());
                // As after a crash: a run that says the same again.
                gatherer.add_entries(&[record(pack)], entries);
            }
            let index = gatherer.finish();
            assert!(index.runs.len() <= FEW_RUNS);
            assert_eq!(index.entries().count(), index.len());
            let named = |places: &[IndexEntry]| {
                let packs = places
                    .iter()
                    .map(|place| index.packs()[place.pack as usize].pack);
                packs.collect::<Vec<_>>()
            };
            let mut chunks = index.chunks();
            for (id, packs) in &want {
                let (at, places) = chunks.next().unwrap();
                assert_eq!(index.position(id), Some(at));
                assert_eq!(index.entry(at).id, *id);
                assert_eq!(named(places), Vec::from_iter(packs.iter().copied()));
                assert_eq!(index.locations(id), places);
                assert_eq!(index.best(id), Some(places[0]));
            }
            assert!(chunks.next().is_none());
            for n in runs * each..runs * each + 1000 {
                assert_eq!(index.position(&id(n)), None);
            }
        }
    }

    #[test]
    fn runs_merge_and_the_lowest_sound_pack_wins() {
        let mut gatherer = Gatherer::default();
        let both = || vec![entry([1; 32], 0), entry([1; 32], 1)];
        gatherer.add_entries(&[record(9), record(3)], both());
        gatherer.add_entries(&[record(3), record(5)], both());
        let mut index = gatherer.finish();
        let id = ChunkId([1; 32]);
        assert_eq!(index.locations(&id).len(), 3);
        let pack = |entry: Option<IndexEntry>| entry.map(|e| e.pack);
        assert_eq!(pack(index.best(&id)), Some(0));
        assert!(pack(index.reliable(&id)).is_some());
        index.condemn(|pack| pack == PackId([3; 16]));
        assert_eq!(pack(index.best(&id)), Some(1));
        assert!(matches!(pack(index.reliable(&id)), Some(1 | 2)));
        index.compare_with(&[(PackId([3; 16]), 100), (PackId([5; 16]), 99)]);
        assert_eq!(pack(index.reliable(&id)), None);
        assert_eq!(pack(index.best(&id)), Some(0));
    }
}
