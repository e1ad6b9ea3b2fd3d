//! Every decoder of the format: no input makes one panic, and what has one spelling keeps it.
//!
//! `cargo +nightly fuzz run decoders -- -max_total_time=600`. The same laws are tested with
//! random and mutated bytes beside each decoder.
#![no_main]

use emberkeep_format::{
    Condemnation, Decompressor, Descriptor, Encoding, IndexRun, Lease, Manifest, Node,
    PackHeader, PackTrailer, Page, Progress, SessionRecord, encode_run, verify_checksum,
};
use libfuzzer_sys::fuzz_target;

const WINDOW: u32 = 16 << 20;

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first() else {
        return;
    };
    match choice % 13 {
        0 => {
            if let Ok(page) = Page::decode(bytes, WINDOW) {
                assert_eq!(page.encode(), bytes);
            }
        }
        1 => {
            if let Ok(node) = Node::decode(bytes, choice / 13) {
                assert_eq!(node.encode(), bytes);
            }
        }
        2 => {
            if let Ok(run) = IndexRun::decode(bytes) {
                assert_eq!(encode_run(&run.packs, &run.entries), bytes);
            }
        }
        3 => {
            if let Ok(record) = Progress::decode(bytes) {
                assert_eq!(record.encode(), bytes);
            }
        }
        4 => {
            if let Ok(manifest) = Manifest::decode(bytes) {
                assert_eq!(Manifest::decode(&manifest.encode()).ok(), Some(manifest));
            }
        }
        5 => drop(Descriptor::decode(bytes)),
        6 => drop(PackHeader::decode(bytes)),
        7 => drop(PackTrailer::decode(bytes, bytes.len() as u64)),
        8 => drop(verify_checksum(bytes)),
        9 => drop(SessionRecord::decode(bytes)),
        10 => drop(Condemnation::decode(bytes)),
        11 => drop(Lease::decode(bytes)),
        _ => {
            if let Ok(mut decoder) = Decompressor::new() {
                let plain = decoder.decode(bytes, Encoding::Zstd, 1 << 16);
                assert!(plain.is_err() || plain.is_ok_and(|plain| plain.len() == 1 << 16));
            }
        }
    }
});
