//! What the repository has already, and what this run is about to add.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};

use emberkeep_format::{ChunkId, PackId};

use crate::index::{Index, Standing};

/// Answers, for all workers, whether a chunk has to be stored.
pub(crate) struct Known {
    index: Index,
    /// Packs of the index that this backup leans on.
    used: Vec<AtomicBool>,
    /// Chunks that a worker of this run took on; if that fails, so does the run.
    claimed: Mutex<HashSet<ChunkId, BuildHasherDefault<IdHasher>>>,
    /// Chunks among them that are certain to be stored: an earlier attempt had them finished.
    salvaged: OnceLock<HashSet<ChunkId>>,
}

impl Known {
    pub(crate) fn new(index: Index) -> Self {
        let used = index
            .packs()
            .iter()
            .map(|_| AtomicBool::new(false))
            .collect();
        Self {
            index,
            used,
            claimed: Mutex::default(),
            salvaged: OnceLock::new(),
        }
    }

    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    /// Leans on a chunk that the repository has; tells whether it does.
    pub(crate) fn has(&self, id: &ChunkId) -> bool {
        let Some(entry) = self.index.reliable(id) else {
            return self.salvaged.get().is_some_and(|set| set.contains(id));
        };
        let used = &self.used[entry.pack as usize];
        // Mostly set already, and writing would take the cache line from the others.
        if !used.load(Relaxed) {
            used.store(true, Relaxed);
        }
        true
    }

    /// Notes, once, which chunks are on their way before any window is looked at.
    pub(crate) fn salvage(&self, chunks: HashSet<ChunkId>) {
        let _ = self.salvaged.set(chunks);
    }

    /// Leans on every sound pack: parts of a map were taken over without a look at
    /// what lies below them.
    pub(crate) fn lean_on_all(&self) {
        for (at, used) in self.used.iter().enumerate() {
            let at = u32::try_from(at).expect("packs are counted in 32 bits");
            if self.index.standing(at) == Standing::default() {
                used.store(true, Relaxed);
            }
        }
    }

    /// Tells whether the caller must store the chunk: nobody has, and nobody else will.
    pub(crate) fn claim(&self, id: ChunkId) -> bool {
        if self.has(&id) {
            return false;
        }
        self.claimed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id)
    }

    /// Returns a pack this backup leans on that is not there any more.
    pub(crate) fn first_vanished(&self, there: &[(PackId, u64)]) -> Option<PackId> {
        let there: HashSet<PackId> = there.iter().map(|(pack, _)| *pack).collect();
        let used = self.index.packs().iter().zip(&self.used);
        used.filter(|(_, used)| used.load(Relaxed))
            .map(|(record, _)| record.pack)
            .find(|pack| !there.contains(pack))
    }
}

/// Ids are uniform already: their first bytes are as good as any hash of them.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(head) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*head);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
