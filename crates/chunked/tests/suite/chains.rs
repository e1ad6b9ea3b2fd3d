//! Laws: whatever a volume went through, every backup of it comes back as it was.

use crate::support::{self, chain, header, location, options, put, restored, volume};
use emberkeep_chunked::memory::MemoryObjects;
use emberkeep_chunked::{
    BackupMetadata, ChainSource, ChunkedError, Compression, OBJECTS_LIMIT, Watch, verify,
    verify_image, write,
};
use emberkeep_model::ByteCount;
use emberkeep_testkit::MemoryProvider;
use emberkeep_volumes::{VolumeProvider, conformance};
use proptest::prelude::*;

#[derive(Debug, Clone)]
struct Change {
    at: usize,
    length: usize,
    /// 0 makes zeroes, 255 what does not compress.
    kind: u8,
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let kind = prop_oneof![Just(0), Just(255), 1..255_u8];
    let change = (0..200_000_usize, 1..60_000_usize, kind);
    prop::collection::vec(
        change.prop_map(|(at, length, kind)| Change { at, length, kind }),
        0..4,
    )
}

fn apply(image: &mut [u8], changes: &[Change]) {
    for change in changes {
        let at = change.at % image.len();
        let end = image.len().min(at + change.length);
        let mut x = u32::try_from(change.at).expect("small") | 1;
        for byte in &mut image[at..end] {
            *byte = if change.kind == 255 {
                x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                x.to_le_bytes()[3]
            } else {
                change.kind
            };
        }
    }
}

fn compressions() -> impl Strategy<Value = Compression> {
    prop_oneof![
        Just(Compression::None),
        Just(Compression::Gzip),
        Just(Compression::Bzip2),
        Just(Compression::Zstd),
    ]
}

/// As many cases as `PROPTEST_CASES` says, else `usual`.
fn config(usual: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    let cases = match std::env::var_os("PROPTEST_CASES") {
        Some(_) => default.cases,
        None => usual,
    };
    ProptestConfig { cases, ..default }
}

proptest! {
    #![proptest_config(config(40))]

    #[test]
    fn every_backup_comes_back(
        size in 1..200_000_usize,
        steps in prop::collection::vec((changes(), compressions()), 1..6),
    ) {
        let objects = MemoryObjects::default();
        let mut image = vec![0; size];
        let mut images = Vec::new();
        for (n, (changes, compression)) in steps.iter().enumerate() {
            apply(&mut image, changes);
            put(&objects, n, &image, *compression);
            images.push(image.clone());
        }
        for (n, image) in images.iter().enumerate() {
            let (report, after) = restored(&objects, n, vec![0xA5; size]);
            let report = report.expect("over junk");
            prop_assert!(&after == image, "backup {} over junk", n);
            prop_assert_eq!(report.written_bytes + report.zero_bytes, size as u64);
            prop_assert_eq!(report.uncovered_bytes, 0);
            let (report, after) = restored(&objects, n, vec![0; size]);
            report.expect("over zeroes");
            prop_assert!(&after == image, "backup {} over zeroes", n);
            let chain = chain(&objects, n).expect("a chain");
            verify_image(&chain, &objects, &()).expect("the image's hashes");
            let source = ChainSource::new(chain, &objects, None).expect("a source");
            conformance::source(&source, image);
            let report = verify(&objects, &location(n), &()).expect("verified");
            prop_assert!(report.is_sound() && report.unlisted.is_empty() && report.sha256_file);
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,200}", cut in 0..2000_usize, flips in prop::collection::vec((0..2000_usize, any::<u8>()), 0..8)) {
        let _ = BackupMetadata::parse(text.as_bytes(), &location(0), OBJECTS_LIMIT);
        let objects = MemoryObjects::default();
        put(&objects, 0, &[1; 100_000], Compression::Zlib);
        let place = location(0);
        for name in [place.metadata_name(), place.sha256_name()] {
            let mut bytes = objects.get(place.container(), &name).expect("an object");
            for (at, byte) in &flips {
                let at = at % bytes.len();
                bytes[at] = *byte;
            }
            if cut < 500 {
                bytes.truncate(cut);
            }
            objects.put(place.container(), &name, bytes);
        }
        // Whatever is read of it, the volume is not written outside.
        let (_, after) = restored(&objects, 0, vec![0xA5; 100_000]);
        prop_assert_eq!(after.len(), 100_000);
        if let Ok(chain) = chain(&objects, 0) {
            let _ = verify_image(&chain, &objects, &());
        }
    }

    #[test]
    fn no_object_makes_a_decoder_panic(
        compression in compressions(),
        flips in prop::collection::vec((any::<usize>(), any::<u8>()), 1..6),
        cut in any::<usize>(),
    ) {
        let image: Vec<u8> = (0..100_000_usize).map(|at| ((at * at) >> 9).to_le_bytes()[0]).collect();
        let objects = MemoryObjects::default();
        put(&objects, 0, &image, compression);
        let place = location(0);
        let name = place.object_name(2);
        let stored = objects.get(place.container(), &name).expect("an object");
        let mut bytes = stored.clone();
        for (at, byte) in flips {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        bytes.truncate(1 + cut % (2 * bytes.len()));
        let changed = bytes != stored;
        objects.put(place.container(), &name, bytes);
        let (report, after) = restored(&objects, 0, vec![0xA5; image.len()]);
        // Bits that mean nothing may change; bytes of the image may not.
        prop_assert!(report.is_err() || after == image);
        prop_assert!(changed || report.is_ok());
    }
}

/// What descriptions are made of, and what they should not be made of.
const SCRAPS: [&str; 24] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "null",
    "-1",
    "0",
    "1e400",
    "1.0",
    "18446744073709551616",
    "9223372036854775807",
    "\"offset\":",
    "\"length\": 1",
    "\"md5\":",
    "\\u0000",
    "\\ud800",
    "/../",
    "\"objects\": []",
    "\"version\": \"1.0.0\"",
    "\u{e9}",
];

proptest! {
    #![proptest_config(config(2000))]

    #[test]
    fn what_is_read_of_a_description_is_fit_for_use(
        entries in 0..5_u64,
        cuts in prop::collection::vec((any::<usize>(), 0..12_usize, 0..SCRAPS.len()), 0..4),
    ) {
        let place = location(0);
        let objects: Vec<_> = (0..entries)
            .map(|n| {
                let name = place.object_name(u32::try_from(n).expect("few") + 1);
                serde_json::json!({name: {"compression": "zlib", "length": 10, "md5": "0".repeat(32), "offset": 10 * n}})
            })
            .collect();
        let json = serde_json::json!({
            "backup_id": support::backup(0).to_string(), "volume_id": volume().to_string(),
            "backup_name": "n", "created_at": "2024-04-01 02:02:03+00:00", "objects": objects,
            "parent_id": null, "version": "1.0.0", "volume_meta": "{}",
        });
        let mut text = json.to_string().into_bytes();
        for (at, length, scrap) in &cuts {
            let at = at % (text.len() + 1);
            let end = text.len().min(at + length);
            text.splice(at..end, SCRAPS[*scrap].bytes());
        }
        match BackupMetadata::parse(&*text, &place, 4) {
            Ok(read) => {
                prop_assert!(read.objects.len() <= 4);
                let mut end = 0;
                for entry in &read.objects {
                    let name = read.object_name(entry);
                    prop_assert!(entry.offset >= end && entry.length > 0);
                    prop_assert!(name.starts_with(place.prefix()) && !name.contains("/../"));
                    end = entry.end();
                }
                prop_assert_eq!(end, read.end());
            }
            Err(error) => {
                prop_assert!(!error.to_string().is_empty());
                prop_assert!(!cuts.is_empty() || entries > 4);
            }
        }
    }
}

#[test]
fn superseded_objects_are_not_read() {
    let objects = MemoryObjects::default();
    put(&objects, 0, &[1; 100_000], Compression::Zlib);
    put(&objects, 1, &[2; 100_000], Compression::Zlib);
    let place = location(0);
    for number in 1..=4 {
        objects.put(
            place.container(),
            &place.object_name(number),
            b"junk".to_vec(),
        );
    }
    let (report, after) = restored(&objects, 1, vec![0xA5; 120_000]);
    let report = report.expect("nothing of the parent is needed");
    assert_eq!((report.objects, report.superseded), (4, 4));
    assert!(after[..100_000].iter().all(|byte| *byte == 2));
    assert!(
        after[100_000..].iter().all(|byte| *byte == 0xA5),
        "beyond the image"
    );
}

#[test]
fn what_no_object_holds_is_left_alone() {
    let objects = MemoryObjects::default();
    put(&objects, 0, &[1; 100_000], Compression::Zlib);
    let place = location(0);
    let text = objects
        .get(place.container(), &place.metadata_name())
        .expect("a description");
    let mut json: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    json["objects"].as_array_mut().expect("a list").remove(1);
    objects.put(
        place.container(),
        &place.metadata_name(),
        json.to_string().into_bytes(),
    );
    let mut want = vec![1; 100_000];
    want[32_768..65_536].fill(0xA5);
    let (report, after) = restored(&objects, 0, vec![0xA5; 100_000]);
    assert_eq!(report.expect("a hole is no fault").uncovered_bytes, 32_768);
    assert!(after == want, "over junk");
    want[32_768..65_536].fill(0);
    want.resize(110_000, 0);
    let chain = chain(&objects, 0).expect("a chain");
    let source = ChainSource::new(chain, &objects, Some(ByteCount(110_000))).expect("a source");
    conformance::source(&source, &want);
    let report = verify(&objects, &place, &()).expect("verified");
    assert_eq!(report.unlisted, [place.object_name(2)]);
}

#[test]
fn the_description_comes_last_and_failures_leave_nothing() {
    let disks = MemoryProvider::new();
    let mut image = vec![0; 300_000];
    apply(
        &mut image,
        &[Change {
            at: 10,
            length: 70_000,
            kind: 255,
        }],
    );
    disks.set(volume(), image);
    let source = disks.open_source(volume()).expect("a source");
    let (header, place) = (header(0), location(0));
    for compression in [Compression::None, Compression::Zlib, Compression::Zstd] {
        let what = (&header, options(compression));
        let sink = MemoryObjects::default();
        let report = write(&*source, &sink, &place, what, &()).expect("a backup");
        assert_eq!(report.object_count, 10);
        assert_eq!(report.data_bytes, 300_000);
        let finished = sink.finished();
        assert_eq!(finished.len(), 12);
        assert_eq!(finished[10..], [place.sha256_name(), place.metadata_name()]);
        let stored: usize = (1..=10)
            .map(|n| {
                sink.get(place.container(), &place.object_name(n))
                    .expect("stored")
                    .len()
            })
            .sum();
        assert_eq!(report.stored_bytes, stored as u64);
        for room in 0..12 {
            let sink = MemoryObjects::default();
            sink.fail_after(room);
            let failed = write(&*source, &sink, &place, what, &());
            assert!(
                matches!(failed, Err(ChunkedError::Foreign(_))),
                "{room}: {failed:?}"
            );
            assert_eq!(sink.names(), [""; 0], "{compression}, after {room} objects");
        }
    }
}

/// Stops at once.
struct Stop;

impl Watch for Stop {
    fn is_cancelled(&self) -> bool {
        true
    }
}

#[test]
fn everything_can_be_cancelled() {
    let objects = MemoryObjects::default();
    put(&objects, 0, &[1; 100_000], Compression::Zlib);
    let chain = chain(&objects, 0).expect("a chain");
    let disks = MemoryProvider::new();
    disks.set(volume(), vec![0xA5; 100_000]);
    let target = disks
        .open_target(volume(), emberkeep_volumes::TargetState::HoldsData)
        .expect("a target");
    let source = disks.open_source(volume()).expect("a source");
    let sink = MemoryObjects::default();
    let header = header(1);
    let written = write(
        &*source,
        &sink,
        &location(1),
        (&header, options(Compression::Zlib)),
        &Stop,
    );
    for (what, outcome) in [
        (
            "restore",
            emberkeep_chunked::restore(&chain, &objects, &*target, &Stop).map(drop),
        ),
        ("verify", verify(&objects, &location(0), &Stop).map(drop)),
        ("verify_image", verify_image(&chain, &objects, &Stop)),
        ("write", written.map(drop)),
    ] {
        assert!(
            matches!(outcome, Err(ChunkedError::Cancelled)),
            "{what}: {outcome:?}"
        );
    }
    assert_eq!(sink.names(), [""; 0]);
    assert!(
        disks
            .bytes(volume())
            .expect("a volume")
            .iter()
            .all(|byte| *byte == 0xA5)
    );
}
