//! Keyed BLAKE3 of many chunks at once.
//!
//! BLAKE3 hashes kibibytes side by side, as many as the processor's registers hold, and then joins
//! pairs of hashes up to the root. Within one chunk of some tens of KiB the registers stay half
//! empty: at its end, where few kibibytes are left, and on every level of pairs. Here pairs of
//! all chunks are joined together, and an end is filled up rather than hashed in ever smaller parts.
//! The ids are the same as if each chunk had been hashed alone.

use blake3::IncrementCounter;
use blake3::platform::{MAX_SIMD_DEGREE, Platform};

use crate::ids::{ChunkId, ChunkIdKey};

/// Bytes of one leaf of the tree.
const LEAF: usize = 1024;
/// Bytes of a hash within the tree.
const HASH: usize = 32;
/// Most inputs that are hashed side by side.
const LANES: usize = MAX_SIMD_DEGREE;

// Domains, as BLAKE3's paper numbers them.
const CHUNK_START: u8 = 1;
const CHUNK_END: u8 = 2;
const PARENT: u8 = 4;
const ROOT: u8 = 8;
const KEYED_HASH: u8 = 16;

/// Turns many chunks into ids; keeps its memory from one call to the next.
pub struct ChunkHasher {
    key: ChunkIdKey,
    words: [u32; 8],
    platform: Platform,
    /// Hashes of one level of all trees, and of the next.
    level: Vec<u8>,
    next: Vec<u8>,
    trees: Vec<Tree>,
    roots: Pairs,
}

/// What is left to be joined of one chunk.
struct Tree {
    chunk: usize,
    /// Hashes before its own on this level.
    start: usize,
    count: usize,
}

/// Pairs of hashes to be joined, and where the results belong.
#[derive(Default)]
struct Pairs {
    bytes: Vec<u8>,
    targets: Vec<usize>,
}

impl ChunkHasher {
    /// Prepares to hash under a project's key.
    pub fn new(key: ChunkIdKey) -> Self {
        let (words, _) = key.bytes().as_chunks::<4>();
        let mut key_words = [0; 8];
        for (word, bytes) in key_words.iter_mut().zip(words) {
            *word = u32::from_le_bytes(*bytes);
        }
        Self {
            words: key_words,
            key,
            platform: Platform::detect(),
            level: Vec::new(),
            next: Vec::new(),
            trees: Vec::new(),
            roots: Pairs::default(),
        }
    }

    /// Writes the ids of `chunks` to `ids`, in their order.
    pub fn ids<'c>(&mut self, chunks: impl IntoIterator<Item = &'c [u8]>, ids: &mut Vec<ChunkId>) {
        ids.clear();
        self.level.clear();
        self.trees.clear();
        for chunk in chunks {
            let (leaves, rest) = chunk.as_chunks::<LEAF>();
            if leaves.len() < 2 || !rest.is_empty() {
                ids.push(self.key.id(chunk));
                continue;
            }
            self.trees.push(Tree {
                chunk: ids.len(),
                start: self.level.len() / HASH,
                count: leaves.len(),
            });
            ids.push(ChunkId([0; 32]));
            self.leaves(leaves);
        }
        while !self.trees.is_empty() {
            self.join();
        }
        let roots = std::mem::take(&mut self.roots);
        self.parents(&roots.bytes, ROOT, |at, hash| {
            ids[roots.targets[at]] = ChunkId(*hash);
        });
        self.roots = roots;
        self.roots.bytes.clear();
        self.roots.targets.clear();
    }

    /// Hashes a chunk's leaves.
    fn leaves(&mut self, leaves: &[[u8; LEAF]]) {
        let degree = self.platform.simd_degree().min(LANES);
        let whole = leaves.len() / degree * degree;
        let rest = leaves.len() - whole;
        let flags = (KEYED_HASH, CHUNK_START, CHUNK_END);
        let start = self.level.len();
        // What is hashed to fill up comes to nothing.
        let filled = if rest > degree / 2 { degree } else { rest };
        self.level.resize(start + (whole + filled) * HASH, 0);
        let mut at = 0;
        while at < whole + filled {
            let count = degree.min(whole + filled - at);
            let mut inputs = [&leaves[leaves.len() - 1]; LANES];
            for (input, leaf) in inputs.iter_mut().zip(&leaves[at..]) {
                *input = leaf;
            }
            self.platform.hash_many(
                &inputs[..count],
                &self.words,
                at as u64,
                IncrementCounter::Yes,
                flags.0,
                flags.1,
                flags.2,
                &mut self.level[start + at * HASH..start + (at + count) * HASH],
            );
            at += count;
        }
        self.level.truncate(start + leaves.len() * HASH);
    }

    /// Joins the pairs of one level of all trees; those that have come to one pair are done.
    fn join(&mut self) {
        let Self {
            level,
            next,
            trees,
            roots,
            ..
        } = self;
        let mut pairs = Pairs {
            bytes: std::mem::take(next),
            targets: Vec::new(),
        };
        pairs.bytes.clear();
        let mut carried = Vec::new();
        let mut end = 0;
        trees.retain_mut(|tree| {
            let hashes = &level[tree.start * HASH..(tree.start + tree.count) * HASH];
            if tree.count == 2 {
                roots.bytes.extend_from_slice(hashes);
                roots.targets.push(tree.chunk);
                return false;
            }
            let (start, joined) = (end, tree.count / 2);
            pairs.bytes.extend_from_slice(&hashes[..joined * 2 * HASH]);
            pairs.targets.extend(start..start + joined);
            end = start + joined;
            if tree.count % 2 == 1 {
                let (last, _) = hashes[joined * 2 * HASH..].as_chunks::<HASH>();
                carried.push((end, last[0]));
                end += 1;
            }
            tree.start = start;
            tree.count = end - start;
            true
        });
        let mut above = std::mem::take(level);
        above.clear();
        above.resize(end * HASH, 0);
        self.parents(&pairs.bytes, 0, |at, hash| {
            let target = pairs.targets[at] * HASH;
            above[target..target + HASH].copy_from_slice(hash);
        });
        for (at, hash) in carried {
            above[at * HASH..(at + 1) * HASH].copy_from_slice(&hash);
        }
        self.level = above;
        self.next = pairs.bytes;
    }

    /// Joins pairs that lie one after the other.
    fn parents(&self, pairs: &[u8], more: u8, mut with: impl FnMut(usize, &[u8; HASH])) {
        let (pairs, _) = pairs.as_chunks::<{ 2 * HASH }>();
        let mut out = [0; LANES * HASH];
        for (group, some) in pairs.chunks(LANES).enumerate() {
            let mut inputs = [&some[0]; LANES];
            for (input, pair) in inputs.iter_mut().zip(some) {
                *input = pair;
            }
            self.platform.hash_many(
                &inputs[..some.len()],
                &self.words,
                0,
                IncrementCounter::No,
                KEYED_HASH | PARENT | more,
                0,
                0,
                &mut out,
            );
            let (hashes, _) = out.as_chunks::<HASH>();
            for (at, hash) in hashes[..some.len()].iter().enumerate() {
                with(group * LANES + at, hash);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_chunks_hashed_alone() {
        let mut data = vec![0; 600 << 10];
        blake3::Hasher::new().finalize_xof().fill(&mut data);
        let key = ChunkIdKey::new([9; 32]);
        let mut hasher = ChunkHasher::new(key.clone());
        let mut ids = vec![ChunkId([1; 32])];
        hasher.ids([], &mut ids);
        assert!(ids.is_empty());
        // Twice, so that nothing is left over from the first time.
        for _ in 0..2 {
            for lengths in [
                vec![0, 1, 1023, 1024, 1025, 2047, 2048, 2049, 3072, 4096],
                (0..=64).map(|kib| kib << 10).collect(),
                vec![262_144; 2],
                vec![16_384, 69_632, 4096, 200_704, 20_480, 5000, 45_056],
                vec![2048],
            ] {
                let chunks: Vec<&[u8]> = lengths
                    .iter()
                    .enumerate()
                    .map(|(at, length)| &data[at * 997..at * 997 + length])
                    .collect();
                hasher.ids(chunks.iter().copied(), &mut ids);
                let alone: Vec<ChunkId> = chunks.iter().map(|chunk| key.id(chunk)).collect();
                assert!(ids == alone, "{lengths:?}");
            }
        }
    }
}
