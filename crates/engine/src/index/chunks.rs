//! Going over all chunks of an index, whichever runs they are in.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use emberkeep_format::{ChunkId, IndexEntry};

use super::run::Sorted;

/// The chunks of an index, in the order of their ids.
pub(crate) struct Chunks<'i> {
    runs: &'i [Sorted],
    /// The next chunk of each run: its id, the run, and its place there.
    heads: BinaryHeap<Reverse<(ChunkId, usize, usize)>>,
    places: Vec<IndexEntry>,
}

impl<'i> Chunks<'i> {
    pub(super) fn new(runs: &'i [Sorted]) -> Self {
        let heads = runs.iter().enumerate();
        Self {
            runs,
            heads: heads
                .filter(|(_, run)| run.len() > 0)
                .map(|(at, run)| Reverse((run.id(0), at, 0)))
                .collect(),
            places: Vec::new(),
        }
    }

    /// Returns the next chunk: the place of its first entry, and all places that it has, sorted by pack.
    pub(crate) fn next(&mut self) -> Option<(usize, &[IndexEntry])> {
        self.places.clear();
        let Reverse((id, run, at)) = *self.heads.peek()?;
        let first = self.runs[run].base + at;
        while let Some(mut head) = self.heads.peek_mut() {
            let Reverse((next, run, at)) = *head;
            if next != id {
                break;
            }
            let run_at = run;
            let run = &self.runs[run];
            let before = self.places.len();
            self.places.extend(run.twins(at));
            let at = at + self.places.len() - before;
            if at < run.len() {
                *head = Reverse((run.id(at), run_at, at));
            } else {
                std::collections::binary_heap::PeekMut::pop(head);
            }
        }
        self.places.sort_unstable();
        self.places.dedup();
        Some((first, &self.places))
    }
}
