//! The index in memory: one sorted array, 48 bytes a chunk.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::RangeInclusive;

use emberkeep_format::{ChunkId, IndexEntry, PackId, PackRecord};

use crate::space::worker_count;

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

/// Where chunks lie. Entries are sorted by chunk, then pack; packs by id.
#[derive(Debug, Default)]
pub(crate) struct Index {
    packs: Vec<PackRecord>,
    standing: Vec<Standing>,
    entries: Vec<IndexEntry>,
}

/// Collects runs into an [`Index`].
#[derive(Default)]
pub(crate) struct Gatherer {
    packs: Vec<PackRecord>,
    places: HashMap<PackId, u32>,
    entries: Vec<IndexEntry>,
}

impl Gatherer {
    /// Makes room for runs that take so many bytes in the store. Growing by doubling
    /// would cost as much again as the index.
    pub(crate) fn expect(&mut self, stored_bytes: u64) {
        let entries = usize::try_from(stored_bytes).unwrap_or(0) / size_of::<IndexEntry>();
        self.entries.reserve_exact(entries);
    }

    /// Adds the packs and entries of one run.
    pub(crate) fn add(&mut self, packs: &[PackRecord], entries: &[IndexEntry]) {
        let places: Vec<u32> = packs
            .iter()
            .map(|record| {
                *self.places.entry(record.pack).or_insert_with(|| {
                    self.packs.push(*record);
                    place(self.packs.len() - 1)
                })
            })
            .collect();
        self.entries.extend(entries.iter().map(|entry| {
            let mut entry = *entry;
            entry.pack = places[entry.pack as usize];
            entry
        }));
    }

    /// Tells whether a run named the pack.
    pub(crate) fn knows(&self, pack: PackId) -> bool {
        self.places.contains_key(&pack)
    }

    /// Sorts everything.
    pub(crate) fn finish(self) -> Index {
        let Self {
            packs, mut entries, ..
        } = self;
        let mut order: Vec<usize> = (0..packs.len()).collect();
        order.sort_unstable_by_key(|at| packs[*at].pack);
        let mut rank = vec![0; packs.len()];
        for (new, old) in order.iter().enumerate() {
            rank[*old] = place(new);
        }
        for entry in &mut entries {
            entry.pack = rank[entry.pack as usize];
        }
        sort(&mut entries, 0..=u64::MAX, worker_count());
        entries.dedup();
        Index {
            standing: vec![Standing::default(); packs.len()],
            packs: order.into_iter().map(|at| packs[at]).collect(),
            entries,
        }
    }
}

/// Sorts entries whose heads lie in `heads` in place. Ids are uniform: splitting by their value
/// halves the work for two threads, and the first bytes decide nearly every comparison.
fn sort(entries: &mut [IndexEntry], heads: RangeInclusive<u64>, threads: usize) {
    const WORTH_A_THREAD: usize = 1 << 16;
    if threads < 2 || entries.len() < WORTH_A_THREAD {
        entries.sort_unstable_by(|a, b| head(&a.id).cmp(&head(&b.id)).then_with(|| a.cmp(b)));
        return;
    }
    let middle = heads.start().midpoint(*heads.end());
    let (mut low, mut high) = (0, entries.len());
    while low < high {
        if head(&entries[low].id) <= middle {
            low += 1;
        } else {
            high -= 1;
            entries.swap(low, high);
        }
    }
    let (below, above) = entries.split_at_mut(low);
    std::thread::scope(|scope| {
        scope.spawn(|| sort(below, *heads.start()..=middle, threads / 2));
        sort(above, middle.saturating_add(1)..=*heads.end(), threads / 2);
    });
}

/// Returns the first bytes of an id, in the order of ids.
fn head(id: &ChunkId) -> u64 {
    id.0.first_chunk()
        .map_or(0, |head| u64::from_be_bytes(*head))
}

fn place(at: usize) -> u32 {
    u32::try_from(at).expect("a project has fewer than four thousand million packs")
}

impl Index {
    /// Returns the packs, sorted by id.
    pub(crate) fn packs(&self) -> &[PackRecord] {
        &self.packs
    }

    /// Returns all entries, sorted by chunk, then pack.
    pub(crate) fn entries(&self) -> &[IndexEntry] {
        &self.entries
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
    ///
    /// Ids are uniform, so the place is guessed from the id and found by widening
    /// steps around the guess: a few probes, whatever the size.
    pub(crate) fn position(&self, id: &ChunkId) -> Option<usize> {
        let entries = &self.entries;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "below the length of the array"
        )]
        let guess = ((u128::from(head(id)) * entries.len() as u128) >> 64) as usize;
        let before = |at: usize| entries.get(at).is_some_and(|entry| entry.id < *id);
        let (mut low, mut high) = (guess, guess);
        let mut step = 8;
        if before(guess) {
            while before(high) {
                low = high + 1;
                high += step;
                step *= 2;
            }
        } else {
            while low > 0 && !before(low - 1) {
                high = low;
                low = low.saturating_sub(step);
                step *= 2;
            }
        }
        let high = high.min(entries.len());
        let low = low.min(high);
        let at = low + entries[low..high].partition_point(|entry| entry.id < *id);
        entries
            .get(at)
            .is_some_and(|entry| entry.id == *id)
            .then_some(at)
    }

    /// Returns every place of a chunk.
    pub(crate) fn locations(&self, id: &ChunkId) -> &[IndexEntry] {
        let Some(start) = self.position(id) else {
            return &[];
        };
        let count = self.entries[start..]
            .iter()
            .take_while(|entry| entry.id == *id)
            .count();
        &self.entries[start..start + count]
    }

    /// Returns the place that a reader should try first.
    pub(crate) fn best(&self, id: &ChunkId) -> Option<&IndexEntry> {
        self.locations(id).iter().min_by_key(|entry| {
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
    pub(crate) fn reliable(&self, id: &ChunkId) -> Option<&IndexEntry> {
        self.locations(id)
            .iter()
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
                gatherer.add(&[record(1)], &entries);
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
    fn sorting_with_many_threads_is_sorting() {
        for threads in [1, 2, 3, 8] {
            let mut entries: Vec<_> = (0..300_000_u64)
                .map(|n| {
                    let mut id = [0; 32];
                    let spread = (n % 200_000).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                    id[..8].copy_from_slice(&spread.to_be_bytes());
                    entry(id, u32::try_from(n / 200_000).unwrap())
                })
                .collect();
            let mut want = entries.clone();
            want.sort_unstable();
            sort(&mut entries, 0..=u64::MAX, threads);
            assert!(entries == want, "{threads} threads");
        }
    }

    #[test]
    fn runs_merge_and_the_lowest_sound_pack_wins() {
        let mut gatherer = Gatherer::default();
        gatherer.add(
            &[record(9), record(3)],
            &[entry([1; 32], 0), entry([1; 32], 1)],
        );
        gatherer.add(
            &[record(3), record(5)],
            &[entry([1; 32], 0), entry([1; 32], 1)],
        );
        let mut index = gatherer.finish();
        let id = ChunkId([1; 32]);
        assert_eq!(index.locations(&id).len(), 3);
        let pack = |entry: Option<&IndexEntry>| entry.map(|e| e.pack);
        assert_eq!(pack(index.reliable(&id)), Some(0));
        index.condemn(|pack| pack == PackId([3; 16]));
        assert_eq!(pack(index.reliable(&id)), Some(1));
        index.compare_with(&[(PackId([3; 16]), 100), (PackId([5; 16]), 99)]);
        assert_eq!(pack(index.reliable(&id)), None);
        assert_eq!(pack(index.best(&id)), Some(0));
    }
}
