//! One sorted run of the index in memory: entries as they were stored, with a filter in front.

use emberkeep_format::{ChunkId, IndexEntries, IndexEntry};

/// Corrections of a guess before it is searched around.
const GUESSES: usize = 3;

/// Entries sorted by chunk.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    entries: IndexEntries,
    /// The places of its packs in the table of all; none where entries have these already.
    places: Option<Vec<u32>>,
    filter: Filter,
    /// How many entries the runs before it have.
    pub(super) base: usize,
}

impl Sorted {
    pub(super) fn new(entries: IndexEntries, places: Option<Vec<u32>>) -> Self {
        Self {
            entries,
            places,
            filter: Filter::default(),
            base: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns an entry, with its pack's place in the table of all.
    pub(super) fn get(&self, at: usize) -> IndexEntry {
        let mut entry = self.entries.get(at);
        if let Some(places) = &self.places {
            entry.pack = places[entry.pack as usize];
        }
        entry
    }

    pub(super) fn id(&self, at: usize) -> ChunkId {
        self.entries.id(at)
    }

    pub(super) fn make_filter(&mut self) {
        self.filter = Filter::of(&self.entries);
    }

    /// Returns the place of a chunk's first entry.
    ///
    /// Ids are uniform, so the place is guessed from the id, the guess is corrected by what
    /// is found there, and the rest is found by widening steps: a few probes, whatever the size.
    pub(super) fn find(&self, id: &ChunkId) -> Option<usize> {
        let head = head(id);
        if !self.filter.may_have(id, head) {
            return None;
        }
        let last = self.len().checked_sub(1)?;
        let mut guess = scale(head, self.len());
        for _ in 0..GUESSES {
            let found = self.entries.head(guess);
            let off = scale(head.abs_diff(found), self.len());
            if off == 0 {
                break;
            }
            guess = if found < head {
                (guess + off).min(last)
            } else {
                guess.saturating_sub(off)
            };
        }
        let before = |at: usize| {
            let found = self.entries.head(at);
            found < head || (found == head && self.entries.id(at) < *id)
        };
        let (mut low, mut high) = (guess, guess);
        let mut step = 4;
        if before(guess) {
            while high <= last && before(high) {
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
        high = high.min(self.len());
        while low < high {
            let middle = low.midpoint(high);
            if before(middle) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        (low <= last && self.id(low) == *id).then_some(low)
    }

    /// Returns the entries of the chunk whose first one is at `first`.
    pub(super) fn twins(&self, first: usize) -> impl Iterator<Item = IndexEntry> {
        let id = self.id(first);
        (first..self.len())
            .take_while(move |at| self.id(*at) == id)
            .map(|at| self.get(at))
    }

    /// Makes one run of two.
    pub(super) fn merge(&self, other: &Self) -> Self {
        let mut entries = IndexEntries::with_capacity(self.len() + other.len());
        let (mut a, mut b) = (0, 0);
        while a < self.len() && b < other.len() {
            if self.id(a) <= other.id(b) {
                entries.push(&self.get(a));
                a += 1;
            } else {
                entries.push(&other.get(b));
                b += 1;
            }
        }
        (a..self.len()).for_each(|at| entries.push(&self.get(at)));
        (b..other.len()).for_each(|at| entries.push(&other.get(at)));
        Self::new(entries, None)
    }
}

/// Returns the first bytes of an id, in the order of ids.
fn head(id: &ChunkId) -> u64 {
    id.0.first_chunk()
        .map_or(0, |head| u64::from_be_bytes(*head))
}

/// Returns the place that belongs to a number among all numbers, among so many places.
fn scale(number: u64, places: usize) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "below the number of places"
    )]
    let at = ((u128::from(number) * places as u128) >> 64) as usize;
    at
}

/// Bits of one block of a filter: one line of the cache.
const BLOCK: usize = 512;
/// Bits set for an id.
const BITS: u32 = 5;

/// Says of ids that are not in a run that they are not, but for about one in thirty. One byte an
/// entry; blocks come in the order of ids, so that it is filled in one go.
#[derive(Debug, Default)]
struct Filter {
    blocks: Vec<[u64; BLOCK / 64]>,
}

impl Filter {
    fn of(entries: &IndexEntries) -> Self {
        let mut blocks = vec![[0; BLOCK / 64]; entries.len().div_ceil(BLOCK / 8)];
        for at in 0..entries.len() {
            let id = entries.id(at);
            let block = scale(entries.head(at), blocks.len());
            each_bit(&id, |word, bit| blocks[block][word] |= bit);
        }
        Self { blocks }
    }

    fn may_have(&self, id: &ChunkId, head: u64) -> bool {
        let Some(block) = self.blocks.get(scale(head, self.blocks.len())) else {
            return false;
        };
        let mut all = true;
        each_bit(id, |word, bit| all &= block[word] & bit != 0);
        all
    }
}

/// Calls with the word and the bit of each of an id's bits in its block. They come from other
/// bytes than the block itself.
fn each_bit(id: &ChunkId, mut with: impl FnMut(usize, u64)) {
    let mut source = [0; 8];
    source.copy_from_slice(&id.0[8..16]);
    let mut source = u64::from_le_bytes(source);
    for _ in 0..BITS {
        let [low, high, ..] = source.to_le_bytes();
        with(usize::from(high & 7), 1 << (low & 63));
        source >>= 11;
    }
}
