//! Keeps what was used last, up to so many bytes.

use std::collections::{BTreeMap, HashMap};

use emberkeep_format::ChunkId;

/// Parsed objects by the chunk they were in.
pub(super) struct Cache<T> {
    limit: usize,
    bytes: usize,
    /// Counts uses.
    now: u64,
    entries: HashMap<ChunkId, Entry<T>>,
    /// Entries by when they were used last.
    order: BTreeMap<u64, ChunkId>,
}

struct Entry<T> {
    value: T,
    bytes: usize,
    used: u64,
}

impl<T: Clone> Cache<T> {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            bytes: 0,
            now: 0,
            entries: HashMap::new(),
            order: BTreeMap::new(),
        }
    }

    pub(super) fn has(&self, id: &ChunkId) -> bool {
        self.entries.contains_key(id)
    }

    pub(super) fn get(&mut self, id: &ChunkId) -> Option<T> {
        let entry = self.entries.get_mut(id)?;
        self.now += 1;
        self.order.remove(&entry.used);
        entry.used = self.now;
        self.order.insert(self.now, *id);
        Some(entry.value.clone())
    }

    pub(super) fn put(&mut self, id: ChunkId, value: T, bytes: usize) {
        self.now += 1;
        let used = self.now;
        let entry = Entry { value, bytes, used };
        if let Some(old) = self.entries.insert(id, entry) {
            self.order.remove(&old.used);
            self.bytes -= old.bytes;
        }
        self.order.insert(used, id);
        self.bytes += bytes;
        while self.bytes > self.limit {
            let Some((_, oldest)) = self.order.pop_first() else {
                return;
            };
            if let Some(gone) = self.entries.remove(&oldest) {
                self.bytes -= gone.bytes;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_last_stays() {
        let id = |n: u8| ChunkId([n; 32]);
        let mut cache = Cache::new(30);
        for n in 1..=3 {
            cache.put(id(n), n, 10);
        }
        assert_eq!(cache.get(&id(1)), Some(1));
        cache.put(id(4), 4, 10);
        assert_eq!(
            [1, 2, 3, 4].map(|n| cache.has(&id(n))),
            [true, false, true, true]
        );
        cache.put(id(3), 33, 15);
        assert_eq!(cache.get(&id(3)), Some(33));
        assert!(!cache.has(&id(1)) && cache.bytes <= 30);
        cache.put(id(9), 9, 100);
        assert!(!cache.has(&id(9)) && cache.bytes == 0, "too large to keep");
        assert!(cache.order.is_empty() && cache.entries.is_empty());
    }
}
