//! Cutting: chunks and zero blocks cover everything, whatever the bytes.
#![no_main]

use emberkeep_format::{BLOCK, ChunkerSpec, Cutter, is_zero};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    // A byte of input for each block, so that short inputs make long volumes.
    let mut data = Vec::with_capacity(input.len() * BLOCK);
    for (at, byte) in input.iter().enumerate() {
        data.resize((at + 1) * BLOCK, *byte);
    }
    data.truncate(data.len().saturating_sub(input.len() % BLOCK));
    let spec = ChunkerSpec::AlignedCdc {
        min: 16 << 10,
        avg: 64 << 10,
        max: 256 << 10,
    };
    let mut rebuilt = vec![0; data.len()];
    let mut end = 0;
    for (at, chunk) in Cutter::new(spec, 7).segments(&data) {
        assert!(at >= end && at % BLOCK == 0 && (1..=256 << 10).contains(&chunk.len()));
        assert!(chunk.chunks(BLOCK).all(|block| !is_zero(block)));
        rebuilt[at..at + chunk.len()].copy_from_slice(chunk);
        end = at + chunk.len();
    }
    assert!(rebuilt == data);
});
