//! Bytes for test volumes: the same seed gives the same bytes, on every machine.

/// The grain at which contents are laid out and changed.
pub const BLOCK_BYTES: usize = 4096;

/// What a volume holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing but zeroes.
    Zero,
    /// Noise, which does not compress and does not repeat.
    Random,
    /// Noise and runs of one byte by turns: about half its size when compressed.
    Compressible,
    /// Words with spaces and lines: a fifth of its size or less when compressed.
    Text,
    /// Short stretches of the other kinds far apart, as on a new disk: about nine tenths zeroes.
    Sparse,
    /// A disk in use: stretches of every kind, some of them twice.
    Disk,
}

/// Every kind, for tables of tests.
pub const KINDS: [Kind; 6] = [
    Kind::Zero,
    Kind::Random,
    Kind::Compressible,
    Kind::Text,
    Kind::Sparse,
    Kind::Disk,
];

/// Returns `size` bytes of a kind.
pub fn generate(kind: Kind, size: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; size];
    fill(kind, &mut bytes, seed);
    bytes
}

/// Overwrites all of `bytes` with a kind.
pub fn fill(kind: Kind, bytes: &mut [u8], seed: u64) {
    let mut random = Random::new(seed);
    match kind {
        Kind::Zero => bytes.fill(0),
        Kind::Random => random.fill(bytes),
        Kind::Compressible => fill_compressible(bytes, &mut random),
        Kind::Text => fill_text(bytes, &mut random),
        Kind::Sparse => fill_stretches(bytes, &mut random, 10),
        Kind::Disk => fill_stretches(bytes, &mut random, 2),
    }
}

/// Changes about `percent` of the blocks of `bytes`, at least one of them if
/// there is any and `percent` is not 0; returns how many bytes lie in them.
///
/// Changed blocks lie in short runs, as a file system leaves them.
pub fn mutate(bytes: &mut [u8], percent: u8, seed: u64) -> usize {
    let blocks = bytes.len().div_ceil(BLOCK_BYTES);
    let wanted = (blocks * usize::from(percent.min(100))).div_ceil(100);
    let mut random = Random::new(seed ^ 0x6d75_7461_7465);
    let mut is_changed = vec![false; blocks];
    let mut changed = 0;
    let mut left = wanted;
    while left > 0 {
        let start = random.below(blocks);
        let run = (1 + random.below(16)).min(blocks - start);
        for block in
            (start..start + run).filter(|block| !std::mem::replace(&mut is_changed[*block], true))
        {
            if left == 0 {
                break;
            }
            left -= 1;
            let end = bytes.len().min((block + 1) * BLOCK_BYTES);
            changed += change(&mut bytes[block * BLOCK_BYTES..end], &mut random);
        }
    }
    changed
}

/// Gives a block other bytes, surely different in the first.
fn change(block: &mut [u8], random: &mut Random) -> usize {
    let first = block[0];
    random.fill(block);
    if block[0] == first {
        block[0] = !first;
    }
    block.len()
}

fn fill_compressible(bytes: &mut [u8], random: &mut Random) {
    for pair in bytes.chunks_mut(2 * 512) {
        let (noise, run) = pair.split_at_mut(pair.len() / 2);
        random.fill(noise);
        run.fill(random.byte());
    }
}

fn fill_text(bytes: &mut [u8], random: &mut Random) {
    const WORDS: [&str; 16] = [
        "the", "volume", "of", "embers", "is", "kept", "warm", "under", "ash", "until", "someone",
        "comes", "to", "light", "it", "again",
    ];
    let mut at = 0;
    while at < bytes.len() {
        let word = WORDS[random.below(WORDS.len())].as_bytes();
        let length = word.len().min(bytes.len() - at);
        bytes[at..at + length].copy_from_slice(&word[..length]);
        at += length;
        if at < bytes.len() {
            bytes[at] = if random.below(12) == 0 { b'\n' } else { b' ' };
            at += 1;
        }
    }
}

/// Fills one in `one_in` stretches of 64 KiB to 1 MiB and leaves zeroes between them.
fn fill_stretches(bytes: &mut [u8], random: &mut Random, one_in: usize) {
    const UNIT: usize = 64 * 1024;
    bytes.fill(0);
    let mut at = 0;
    let mut is_first = true;
    while at < bytes.len() {
        let end = bytes.len().min(at + UNIT * (1 + random.below(16)));
        // The first stretch is never left out, so that no seed gives an empty volume.
        if is_first || random.below(one_in) == 0 {
            // Few seeds, so that some stretches come twice.
            let seed = random.next() % 64;
            let kind = [Kind::Random, Kind::Compressible, Kind::Text][random.below(3)];
            // A first stretch that is small against the volume keeps sparse volumes sparse.
            let end = if is_first { end.min(at + UNIT) } else { end };
            fill(kind, &mut bytes[at..end], seed);
        }
        is_first = false;
        at = end;
    }
}

/// A small generator of our own, since those of libraries change between versions (SplitMix64).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Starts from a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next number.
    #[expect(
        clippy::should_implement_trait,
        reason = "it never ends, and nothing iterates over it"
    )]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number below `bound`, which must not be 0.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap_or_default()
    }

    /// Returns a byte.
    pub fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    /// Fills `bytes` with noise.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(8) {
            let length = part.len();
            part.copy_from_slice(&self.next().to_le_bytes()[..length]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        for kind in KINDS {
            let size = 3 * (1 << 20) + 77;
            let bytes = generate(kind, size, 5);
            assert_eq!(bytes.len(), size, "{kind:?}");
            assert!(bytes == generate(kind, size, 5), "{kind:?}");
            let is_zero = bytes.iter().all(|b| *b == 0);
            assert_eq!(is_zero, kind == Kind::Zero, "{kind:?}");
            assert_eq!(
                bytes == generate(kind, size, 6),
                kind == Kind::Zero,
                "{kind:?}: another seed"
            );
            for size in [0, 1, 5, 4097] {
                assert_eq!(generate(kind, size, 1).len(), size, "{kind:?}");
            }
        }
        let start = generate(Kind::Random, 8, 0);
        assert_eq!(
            start,
            0xe220_a839_7b1d_cdaf_u64.to_le_bytes(),
            "on every machine, for ever"
        );
    }

    #[test]
    fn sparse_volumes_are_mostly_zero() {
        for seed in 0..5 {
            let bytes = generate(Kind::Sparse, 64 << 20, seed);
            let data = bytes
                .chunks(BLOCK_BYTES)
                .filter(|b| b.iter().any(|byte| *byte != 0))
                .count();
            let percent = data * 100 / (bytes.len() / BLOCK_BYTES);
            assert!((1..25).contains(&percent), "seed {seed}: {percent} %");
        }
    }

    #[test]
    fn as_much_changes_as_was_asked_for() {
        let before = generate(Kind::Disk, 1000 * BLOCK_BYTES + 10, 1);
        for (percent, blocks) in [(0, 0), (1, 11), (10, 101), (50, 501), (100, 1001)] {
            let mut after = before.clone();
            let changed = mutate(&mut after, percent, 2);
            let differ = before
                .chunks(BLOCK_BYTES)
                .zip(after.chunks(BLOCK_BYTES))
                .filter(|(a, b)| a != b);
            assert_eq!(differ.count(), blocks, "{percent} %");
            assert!(
                changed > (blocks * BLOCK_BYTES).saturating_sub(BLOCK_BYTES) || blocks == 0,
                "{percent} %"
            );
            assert!(changed <= blocks * BLOCK_BYTES, "{percent} %");
        }
        assert_eq!(mutate(&mut [], 50, 1), 0, "of nothing");
        assert_eq!(mutate(&mut [7], 1, 1), 1, "at least one");
    }
}
