//! Python's random bytes, of which the images of the test vectors are made: the Mersenne
//! Twister, seeded from a text as `random.Random(text)` does.

use aws_lc_rs::digest::{SHA512, digest};

const N: usize = 624;
const M: usize = 397;

/// `random.Random`.
pub(crate) struct PythonRandom {
    state: [u32; N],
    index: usize,
}

impl PythonRandom {
    /// Seeds with a text: its bytes and their SHA-512, taken as one large number.
    pub(crate) fn new(seed: &str) -> Self {
        let mut bytes = seed.as_bytes().to_vec();
        bytes.extend_from_slice(digest(&SHA512, seed.as_bytes()).as_ref());
        bytes.reverse();
        let key: Vec<u32> = bytes
            .chunks(4)
            .map(|word| {
                let mut padded = [0; 4];
                padded[..word.len()].copy_from_slice(word);
                u32::from_le_bytes(padded)
            })
            .collect();
        let mut random = Self {
            state: [0; N],
            index: N,
        };
        random.init(19_650_218);
        random.init_by_array(&key);
        random
    }

    fn init(&mut self, seed: u32) {
        let mut last = seed;
        self.state[0] = seed;
        for (number, word) in (1_u32..).zip(&mut self.state[1..]) {
            last = 1_812_433_253_u32
                .wrapping_mul(last ^ (last >> 30))
                .wrapping_add(number);
            *word = last;
        }
    }

    fn init_by_array(&mut self, key: &[u32]) {
        let state = &mut self.state;
        let mut at = 1;
        let mixed = |state: &[u32; N], at: usize, factor: u32| {
            let last = state[at - 1];
            state[at] ^ (last ^ (last >> 30)).wrapping_mul(factor)
        };
        let next = |state: &mut [u32; N], at: usize| {
            if at + 1 < N {
                return at + 1;
            }
            state[0] = state[N - 1];
            1
        };
        for (number, word) in (0_u32..).zip(key).cycle().take(N.max(key.len())) {
            state[at] = mixed(state, at, 1_664_525)
                .wrapping_add(*word)
                .wrapping_add(number);
            at = next(state, at);
        }
        for _ in 1..N {
            let number = u32::try_from(at).expect("below 624");
            state[at] = mixed(state, at, 1_566_083_941).wrapping_sub(number);
            at = next(state, at);
        }
        state[0] = 0x8000_0000;
    }

    fn word(&mut self) -> u32 {
        if self.index == N {
            for at in 0..N {
                let joined =
                    (self.state[at] & 0x8000_0000) | (self.state[(at + 1) % N] & 0x7fff_ffff);
                let twist = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[at] = self.state[(at + M) % N] ^ (joined >> 1) ^ twist;
            }
            self.index = 0;
        }
        let mut word = self.state[self.index];
        self.index += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    /// `randbytes`: the last word gives its upper bytes where not all are wanted.
    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 3);
        while bytes.len() < length {
            let wanted = (length - bytes.len()).min(4);
            let word = self.word().to_le_bytes();
            bytes.extend_from_slice(&word[4 - wanted..]);
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::digest::SHA256;

    use super::*;

    /// Results of Python 3.11.
    #[test]
    fn bytes_are_pythons() {
        for (seed, length, want) in [
            ("img-101", 11, "5dccaa27554d2ebda5e3e5"),
            ("img-0", 4, "845a8464"),
            ("", 6, "2059d1f55874"),
        ] {
            assert_eq!(
                hex::encode(PythonRandom::new(seed).bytes(length)),
                want,
                "{seed}"
            );
        }
        let many = PythonRandom::new("img-101").bytes(5001);
        assert_eq!(
            hex::encode(digest(&SHA256, &many)),
            "87336cb3bf1e496faa48e65615e515576bce61da92da28bba3184b533907d4e0"
        );
    }
}
