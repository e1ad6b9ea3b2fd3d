//! Objects that are not what is recorded of them.

use emberkeep_chunked::memory::MemoryObjects;
use emberkeep_chunked::{ChainSource, Compression, verify};
use emberkeep_volumes::SourceSnapshot;
use serde_json::{Value, json};

use crate::bad_input::{SIZE, edit, entry, repository};
use crate::support::{OBJECT, chain, location, restored};

/// Changes the stored bytes of a data object.
fn damage(objects: &MemoryObjects, number: u32, change: impl FnOnce(&mut Vec<u8>)) {
    let place = location(0);
    let (container, name) = (place.container(), place.object_name(number));
    let mut bytes = objects.get(container, &name).expect("an object");
    change(&mut bytes);
    objects.put(container, &name, bytes);
}

/// What is done to the stored bytes of the second object, and what has to be said.
type Damage = (&'static str, fn(&mut Vec<u8>), &'static str);

const DAMAGES: [Damage; 6] = [
    ("emptied", Vec::clear, ""),
    ("cut by a byte", |bytes| bytes.truncate(bytes.len() - 1), ""),
    ("cut in half", |bytes| bytes.truncate(bytes.len() / 2), ""),
    (
        "one byte more",
        |bytes| bytes.push(0),
        "goes on after the recorded 32768 bytes",
    ),
    (
        "a second stream after the first",
        |bytes| bytes.extend_from_within(..),
        "goes on after the recorded 32768 bytes",
    ),
    (
        "a flipped bit",
        |bytes| {
            let at = bytes.len() / 2;
            bytes[at] ^= 0x10;
        },
        "",
    ),
];

const ALL: [Compression; 4] = [
    Compression::None,
    Compression::Zlib,
    Compression::Bz2,
    Compression::Zstd,
];

#[test]
fn damaged_objects_are_named() {
    for compression in ALL {
        for (what, change, words) in DAMAGES {
            let what = format!("{compression}, {what}");
            let objects = repository(compression);
            damage(&objects, 2, change);
            let (report, after) = restored(&objects, 0, vec![0xA5; SIZE]);
            let told = report.expect_err(&what).to_string();
            assert!(told.contains("-00002 at offset"), "{what}: {told}");
            assert!(told.contains(words), "{what}: {told}");
            assert_eq!(after.len(), SIZE, "{what}");
            let report = verify(&objects, &location(0), &()).expect(&what);
            assert_eq!((report.sound, report.problems.len()), (3, 1), "{what}");
            assert!(
                report.problems[0].to_string().contains("-00002 at offset"),
                "{what}"
            );
            let chain = chain(&objects, 0).expect(&what);
            let source = ChainSource::new(chain, &objects, None).expect(&what);
            let read = source.read_at(0, &mut vec![0; SIZE]);
            assert!(read.is_err(), "{what}: read at random");
        }
    }
}

#[test]
fn lying_lengths_and_digests_are_found() {
    type Case = (&'static str, fn(&mut Value), &'static str);
    let cases: [Case; 5] = [
        (
            "too short",
            |j| entry(j, 4)["length"] = json!(1695),
            "goes on after the recorded 1695",
        ),
        (
            "far too short",
            |j| entry(j, 4)["length"] = json!(1),
            "goes on after the recorded 1 ",
        ),
        ("too long", |j| entry(j, 2)["length"] = json!(32_769), ""),
        (
            "another digest",
            |j| entry(j, 2)["md5"] = json!("0".repeat(32)),
            "MD5",
        ),
        (
            "another offset within",
            |j| entry(j, 4)["md5"] = entry(j, 1)["md5"].clone(),
            "MD5",
        ),
    ];
    for compression in ALL {
        for (what, change, words) in cases {
            let objects = repository(compression);
            edit(&objects, 0, |json| {
                // Room for an object to be longer than it is.
                entry(json, 3)["offset"] = json!(65_537);
                entry(json, 3)["length"] = json!(32_767);
                change(json);
                if entry(json, 2)["length"] == json!(OBJECT) {
                    entry(json, 3)["offset"] = json!(65_536);
                    entry(json, 3)["length"] = json!(OBJECT);
                } else {
                    json["objects"].as_array_mut().expect("a list").remove(2);
                }
            });
            let (report, after) = restored(&objects, 0, vec![0xA5; SIZE]);
            let told = report.expect_err(what).to_string();
            assert!(
                told.contains(" at offset "),
                "{compression}, {what}: {told}"
            );
            assert!(told.contains(words), "{compression}, {what}: {told}");
            assert_eq!(after.len(), SIZE);
        }
    }
}

#[test]
fn bombs_stop_at_the_recorded_length() {
    // 64 MiB of zeroes where 32 KiB are recorded.
    let bomb = MemoryObjects::default();
    let disks = emberkeep_testkit::MemoryProvider::new();
    disks.set(crate::support::volume(), vec![0; 64 << 20]);
    for compression in [Compression::Zlib, Compression::Bz2, Compression::Zstd] {
        let source =
            emberkeep_volumes::VolumeProvider::open_source(&disks, crate::support::volume())
                .expect("a source");
        let mut options = crate::support::options(compression);
        options.object_size = 64 << 20;
        let n = compression as usize + 10;
        let header = crate::support::header(n);
        emberkeep_chunked::write(&*source, &bomb, &location(n), (&header, options), &())
            .expect("a bomb");
        let bytes = bomb
            .get(location(n).container(), &location(n).object_name(1))
            .expect("a bomb");
        let objects = repository(compression);
        damage(&objects, 2, |stored| *stored = bytes);
        edit(&objects, 0, |json| entry(json, 2)["md5"] = json!(null));
        let (report, _) = restored(&objects, 0, vec![0xA5; SIZE]);
        let told = report.expect_err("a bomb").to_string();
        assert!(
            told.contains("-00002 at offset 32768: it goes on after the recorded 32768"),
            "{compression}: {told}"
        );
    }
}

#[test]
fn a_window_larger_than_our_memory_is_refused() {
    // A zstd frame whose header asks for a window of 2 GiB, followed by an empty block.
    let frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00];
    let objects = repository(Compression::Zstd);
    damage(&objects, 2, |stored| *stored = frame);
    let (report, _) = restored(&objects, 0, vec![0xA5; SIZE]);
    let told = report.expect_err("a large window").to_string();
    assert!(told.contains("cannot be decompressed as zstd"), "{told}");
}
