//! Where chunks end: aligned content-defined cutting, started anew at every window.

use twox_hash::XxHash3_64;
use xxhash_rust::const_xxh3::const_custom_default_secret;

use crate::{ChunkerSpec, is_zero};

/// Chunks start and end on multiples of this, counted from the window's start.
pub const BLOCK: usize = 4096;

/// What one block means for the chunk that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The block is zero: the chunk ends before it and the block is not stored.
    Zero,
    /// The block belongs to the chunk, which goes on.
    Extend,
    /// The block belongs to the chunk and is its last.
    Cut,
}

/// Decides block by block where chunks end. The key makes cuts reveal nothing of the content.
#[derive(Clone)]
pub struct Cutter {
    secret: [u8; 192],
    threshold: u64,
    min: usize,
    max: usize,
    open: usize,
}

impl Cutter {
    /// Prepares to cut by `spec` with the project's seed.
    pub fn new(spec: ChunkerSpec, seed: u64) -> Self {
        let ChunkerSpec::AlignedCdc { min, avg, max } = spec;
        // A block ends a chunk with probability BLOCK / (avg - min).
        let blocks = u64::from(avg - min) / BLOCK as u64;
        Self {
            secret: const_custom_default_secret(seed),
            threshold: u64::MAX / blocks.max(1),
            min: min as usize,
            max: max as usize,
            open: 0,
        }
    }

    /// Forgets the open chunk: the window ended, or a hole follows.
    pub fn restart(&mut self) {
        self.open = 0;
    }

    /// Judges the next block; only the last one of a volume may be shorter than [`BLOCK`].
    pub fn judge(&mut self, block: &[u8]) -> Verdict {
        if is_zero(block) {
            self.open = 0;
            return Verdict::Zero;
        }
        self.open += block.len();
        let cut = self.open >= self.max
            || (self.open >= self.min && hash(block, &self.secret) < self.threshold);
        if cut {
            self.open = 0;
            Verdict::Cut
        } else {
            Verdict::Extend
        }
    }

    /// Cuts one whole stretch of data; what the engine does slice by slice.
    pub fn segments<'a>(&'a mut self, data: &'a [u8]) -> Segments<'a> {
        self.restart();
        Segments {
            cutter: self,
            data,
            at: 0,
        }
    }
}

/// Hashes a block, with the widest registers that this processor has.
fn hash(block: &[u8], secret: &[u8; 192]) -> u64 {
    XxHash3_64::oneshot_with_secret(secret, block).expect("the secret is longer than the shortest")
}

/// The chunks of a stretch of data, as (offset, bytes); zero blocks are left out.
pub struct Segments<'a> {
    cutter: &'a mut Cutter,
    data: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Segments<'a> {
    type Item = (usize, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let mut start = self.at;
        while self.at < self.data.len() {
            let end = (self.at + BLOCK).min(self.data.len());
            let verdict = self.cutter.judge(&self.data[self.at..end]);
            let before = self.at;
            self.at = end;
            match verdict {
                Verdict::Extend => {}
                Verdict::Cut => return Some((start, &self.data[start..end])),
                Verdict::Zero if start < before => return Some((start, &self.data[start..before])),
                Verdict::Zero => start = end,
            }
        }
        (start < self.at).then(|| (start, &self.data[start..self.at]))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use xxhash_rust::xxh3::xxh3_64_with_seed;

    use super::*;

    const SPEC: ChunkerSpec = ChunkerSpec::AlignedCdc {
        min: 16384,
        avg: 65536,
        max: 262_144,
    };

    fn noise(len: usize, mut state: u64) -> Vec<u8> {
        (0..len)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                (state >> 56) as u8
            })
            .collect()
    }

    #[test]
    fn the_secret_is_the_seed_in_another_form() {
        let cutter = Cutter::new(SPEC, 77);
        let block = noise(BLOCK, 5);
        assert_eq!(hash(&block, &cutter.secret), xxh3_64_with_seed(&block, 77));
    }

    #[test]
    fn sizes_keep_their_bounds_and_their_mean() {
        let data = noise(64 << 20, 3);
        let mut cutter = Cutter::new(SPEC, 9);
        let sizes: Vec<usize> = cutter
            .segments(&data)
            .map(|(_, chunk)| chunk.len())
            .collect();
        assert_eq!(sizes.iter().sum::<usize>(), data.len());
        let (last, rest) = sizes.split_last().unwrap();
        assert!(
            rest.iter()
                .all(|size| (16384..=262_144).contains(size) && size % BLOCK == 0)
        );
        assert!(*last <= 262_144);
        let mean = data.len() / sizes.len();
        assert!((48_000..80_000).contains(&mean), "mean {mean}");
    }

    #[test]
    fn an_inserted_block_moves_few_cuts() {
        let data = noise(8 << 20, 11);
        let mut shifted = data[..1 << 20].to_vec();
        shifted.extend(noise(BLOCK, 99));
        shifted.extend(&data[1 << 20..]);
        let mut cutter = Cutter::new(SPEC, 1);
        let old: std::collections::HashSet<Vec<u8>> =
            cutter.segments(&data).map(|(_, c)| c.to_vec()).collect();
        let new: usize = cutter
            .segments(&shifted)
            .filter(|(_, c)| !old.contains(*c))
            .map(|(_, c)| c.len())
            .sum();
        assert!(new < 1 << 20, "{new} bytes changed");
    }

    proptest! {
        #[test]
        fn chunks_and_zero_blocks_cover_everything(
            blocks in prop::collection::vec(0u8..4, 0..200), tail in 0usize..BLOCK, seed: u64
        ) {
            let mut data = Vec::new();
            for (i, kind) in blocks.iter().enumerate() {
                match kind { 0 => data.extend([0; BLOCK]), _ => data.extend(noise(BLOCK, i as u64 + 7)) }
            }
            data.extend(noise(tail, 1));
            let mut cutter = Cutter::new(SPEC, seed);
            let mut rebuilt = vec![0; data.len()];
            let mut end = 0;
            for (at, chunk) in cutter.segments(&data) {
                prop_assert!(at >= end && at % BLOCK == 0 && !chunk.is_empty());
                prop_assert!(chunk.chunks(BLOCK).all(|block| !is_zero(block)));
                rebuilt[at..at + chunk.len()].copy_from_slice(chunk);
                end = at + chunk.len();
            }
            prop_assert!(rebuilt == data);
        }
    }
}
