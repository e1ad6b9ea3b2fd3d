//! The reader of chunked backups' descriptions: whatever `_metadata`, `_sha256file` and objects hold, a restore
//! ends in an image or an error and writes nothing outside the volume; entries ascend and name no other place.
//!
//! `cargo xtask fuzz chunked_metadata`
#![no_main]

use emberkeep_chunked::memory::MemoryObjects;
use emberkeep_chunked::{BackupMetadata, Chain, Location, VolumeMeta, restore, verify, verify_image};
use emberkeep_testkit::MemoryProvider;
use emberkeep_volumes::{TargetState, VolumeProvider};
use libfuzzer_sys::fuzz_target;

const CONTAINER: &str = "c";
const PREFIX: &str = "p";
/// Enough for a few objects; what reaches beyond is an error.
const SIZE: usize = 64 << 10;

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first() else {
        return;
    };
    let location = Location::new(CONTAINER, PREFIX).expect("plain names");
    // Two texts may follow one another: the description and the list of hashes.
    let cut = bytes.iter().position(|byte| *byte == 0);
    let (description, hashes) = match cut {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &b""[..]),
    };
    let Ok(metadata) = BackupMetadata::parse(description, &location, 64) else {
        return;
    };
    let mut end = 0;
    for entry in &metadata.objects {
        assert!(entry.offset >= end && entry.length > 0);
        end = entry.end();
        let name = metadata.object_name(entry);
        assert!(name.starts_with(PREFIX) && !name.split('/').any(|part| part == ".."));
    }
    if let Some(text) = &metadata.volume_meta
        && let Ok(meta) = VolumeMeta::parse(text)
    {
        let again = VolumeMeta::parse(&meta.to_text()).expect("a text of our own");
        assert_eq!(again.size(), meta.size());
    }
    let objects = MemoryObjects::default();
    objects.put(CONTAINER, &location.metadata_name(), description.to_vec());
    if choice & 1 == 1 {
        objects.put(CONTAINER, &location.sha256_name(), hashes.to_vec());
    }
    for (n, entry) in (0_u8..).zip(&metadata.objects) {
        // The object is as long as it should be, or else some of the input.
        let length = usize::try_from(entry.length).unwrap_or(SIZE).min(2 * SIZE);
        let stored = if choice & 2 == 2 { vec![n; length] } else { hashes.to_vec() };
        objects.put(CONTAINER, &metadata.object_name(entry), stored);
    }
    let Ok(chain) = Chain::load(&objects, &location, |_| Ok(None)) else {
        return;
    };
    let disks = MemoryProvider::new();
    let volume = metadata.volume_id;
    disks.set(volume, vec![0xA5; SIZE]);
    let target = disks.open_target(volume, TargetState::HoldsData).expect("a target");
    let restored = restore(&chain, &objects, &*target, &());
    let after = disks.bytes(volume).expect("the volume");
    assert_eq!(after.len(), SIZE);
    if let Ok(report) = restored {
        assert!(chain.end().0 <= SIZE as u64);
        let dealt_with = report.written_bytes + report.zero_bytes + report.uncovered_bytes;
        assert_eq!(dealt_with, chain.end().0);
    }
    if chain.end().0 <= SIZE as u64 {
        let _ = verify(&objects, &location, &());
        if choice & 1 == 1 {
            let _ = verify_image(&chain, &objects, &());
        }
    }
});
