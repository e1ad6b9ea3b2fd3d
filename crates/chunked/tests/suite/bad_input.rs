//! Whatever a repository holds, restoring it gives the true bytes or an error that names the
//! object, and nothing is written outside the volume.

use crate::support::{chain, location, put, restored};
use emberkeep_chunked::memory::MemoryObjects;
use emberkeep_chunked::{
    BackupMetadata, Compression, DirectoryRepository, ForeignObjects, Location, OBJECTS_LIMIT,
    verify_image,
};
use serde_json::{Value, json};

pub(crate) const SIZE: usize = 100_000;

/// Compressible, and different everywhere.
fn image() -> Vec<u8> {
    (0..SIZE)
        .map(|at| (at / 64 % 251).to_le_bytes()[0] | 1)
        .collect()
}

pub(crate) fn repository(compression: Compression) -> MemoryObjects {
    let objects = MemoryObjects::default();
    put(&objects, 0, &image(), compression);
    objects
}

/// Changes the description of backup `n`.
pub(crate) fn edit(objects: &MemoryObjects, n: usize, change: impl FnOnce(&mut Value)) {
    let place = location(n);
    let (container, name) = (place.container(), place.metadata_name());
    let text = objects.get(container, &name).expect("a description");
    let mut json = serde_json::from_slice(&text).expect("JSON");
    change(&mut json);
    objects.put(container, &name, json.to_string().into_bytes());
}

/// Returns what is recorded of a data object.
pub(crate) fn entry(json: &mut Value, number: u32) -> &mut Value {
    let name = location(0).object_name(number);
    &mut json["objects"][number as usize - 1][name]
}

fn rename(json: &mut Value, number: u32, name: &str) {
    let value = entry(json, number).clone();
    json["objects"][number as usize - 1] = json!({ name: value });
}

#[test]
fn bad_descriptions_are_refused_before_anything_is_written() {
    type Case = (&'static str, fn(&mut Value), &'static [&'static str]);
    let cases: &[Case] = &[
        (
            "another version",
            |j| j["version"] = json!("2.0.0"),
            &["_metadata", "version '2.0.0'"],
        ),
        (
            "no version",
            |j| drop(j.as_object_mut().expect("object").remove("version")),
            &["no 'version'"],
        ),
        (
            "no objects",
            |j| drop(j.as_object_mut().expect("object").remove("objects")),
            &["no 'objects'"],
        ),
        (
            "objects of another kind",
            |j| j["objects"] = json!({"a": 1}),
            &["_metadata", "list of objects"],
        ),
        (
            "an entry of another kind",
            |j| j["objects"][1] = json!("x"),
            &["_metadata"],
        ),
        (
            "an empty entry",
            |j| j["objects"][1] = json!({}),
            &["names no object"],
        ),
        (
            "no backup id",
            |j| j["backup_id"] = json!(null),
            &["no 'backup_id'"],
        ),
        (
            "an odd backup id",
            |j| j["backup_id"] = json!("../x"),
            &["'backup_id' is '../x'"],
        ),
        (
            "an odd parent",
            |j| j["parent_id"] = json!(7),
            &["'parent_id' is 7"],
        ),
        (
            "no length",
            |j| {
                drop(
                    entry(j, 2)
                        .as_object_mut()
                        .expect("object")
                        .remove("length"),
                )
            },
            &["-00002 at offset 32768", "no 'length'"],
        ),
        (
            "length null",
            |j| entry(j, 2)["length"] = json!(null),
            &["-00002 at offset 32768", "no 'length'"],
        ),
        (
            "length 0",
            |j| entry(j, 2)["length"] = json!(0),
            &["-00002 at offset 32768", "0 for 'length'"],
        ),
        (
            "a negative length",
            |j| entry(j, 2)["length"] = json!(-1),
            &["-00002 at offset 32768", "-1 for 'length'"],
        ),
        (
            "a broken length",
            |j| entry(j, 2)["length"] = json!(1.5),
            &["-00002", "1.5 for 'length'"],
        ),
        (
            "a length in words",
            |j| entry(j, 2)["length"] = json!("32768"),
            &["-00002", "'32768' for 'length'"],
        ),
        (
            "a length beyond all",
            |j| entry(j, 4)["length"] = json!(u64::MAX),
            &["-00004 at offset 98304", "for 'length'"],
        ),
        (
            "no offset",
            |j| {
                drop(
                    entry(j, 2)
                        .as_object_mut()
                        .expect("object")
                        .remove("offset"),
                )
            },
            &["-00002: ", "no 'offset'"],
        ),
        (
            "a negative offset",
            |j| entry(j, 2)["offset"] = json!(-32768),
            &["-00002", "-32768 for 'offset'"],
        ),
        (
            "an offset in a list",
            |j| entry(j, 2)["offset"] = json!([1, 2]),
            &["-00002", "a list for 'offset'"],
        ),
        (
            "overlapping",
            |j| entry(j, 2)["offset"] = json!(32767),
            &["-00002 at offset 32767", "ends at 32768"],
        ),
        (
            "unsorted",
            |j| j["objects"].as_array_mut().expect("list").swap(0, 1),
            &["-00001 at offset 0", "ends at 65536"],
        ),
        (
            "twice",
            |j| {
                let first = j["objects"][0].clone();
                j["objects"][1] = first;
            },
            &["-00001 at offset 0", "overlaps"],
        ),
        (
            "beyond the volume",
            |j| entry(j, 4)["offset"] = json!(99_000),
            &[
                "-00004 at offset 99000",
                "beyond the end of the volume at 100000",
            ],
        ),
        (
            "far beyond the volume",
            |j| entry(j, 4)["offset"] = json!(1_u64 << 60),
            &["-00004", "beyond the end of the volume"],
        ),
        (
            "unknown compression",
            |j| entry(j, 2)["compression"] = json!("rar"),
            &["-00002 at offset 32768", "'rar' is unknown"],
        ),
        (
            "no compression",
            |j| entry(j, 2)["compression"] = json!(null),
            &["-00002 at offset 32768", "'compression'"],
        ),
        (
            "an odd digest",
            |j| entry(j, 2)["md5"] = json!("xyz"),
            &["-00002 at offset 32768", "'xyz' for 'md5'"],
        ),
        (
            "a digest of another kind",
            |j| entry(j, 2)["md5"] = json!(5),
            &["-00002", "5 for 'md5'"],
        ),
        (
            "a foreign name",
            |j| rename(j, 2, "other-00002"),
            &[
                "other-00002 at offset 32768",
                "does not begin with that of its backup",
            ],
        ),
        (
            "the description itself",
            |j| rename(j, 2, &location(0).metadata_name()),
            &["_metadata at offset 32768"],
        ),
        (
            "the bare prefix",
            |j| rename(j, 2, location(0).prefix()),
            &["does not begin"],
        ),
        (
            "a way out",
            |j| {
                rename(
                    j,
                    2,
                    &format!("{}/../../../../etc/passwd", location(0).prefix()),
                )
            },
            &["etc/passwd at offset 32768", "leads elsewhere"],
        ),
        (
            "an absolute way out",
            |j| rename(j, 2, "/etc/passwd"),
            &["/etc/passwd", "does not begin"],
        ),
        (
            "two names",
            |j| {
                let value = entry(j, 2).clone();
                j["objects"][1]["other"] = value;
            },
            &["names more than one object"],
        ),
        (
            "an object that is not there",
            |j| rename(j, 2, &location(0).object_name(77)),
            &["-00077 at offset 32768", "does not exist"],
        ),
        (
            "its own parent",
            |j| j["parent_id"] = j["backup_id"].clone(),
            &["is its own ancestor"],
        ),
        (
            "a missing parent",
            |j| j["parent_id"] = json!("99999999-0000-4000-8000-000000000000"),
            &["builds on backup 99999999", "not here"],
        ),
    ];
    for (what, change, words) in cases {
        let objects = repository(Compression::Zlib);
        edit(&objects, 0, change);
        let (report, after) = restored(&objects, 0, vec![0xA5; SIZE]);
        let told = report.expect_err(what).to_string();
        for word in *words {
            assert!(
                told.contains(word),
                "{what}: '{told}' does not say '{word}'"
            );
        }
        assert!(after.iter().all(|byte| *byte == 0xA5), "{what}: written");
    }
}

#[test]
fn texts_that_are_no_descriptions_are_refused() {
    let place = location(0);
    let whole = repository(Compression::Zlib)
        .get(place.container(), &place.metadata_name())
        .expect("a description");
    let half = whole[..whole.len() / 2].to_vec();
    let deep = [b"[".repeat(100_000), b"]".repeat(100_000)].concat();
    let mut bom = "\u{feff}".as_bytes().to_vec();
    bom.extend_from_slice(&whole);
    let mut more = whole.clone();
    more.extend_from_slice(b" {}");
    for (what, text) in [
        ("nothing", Vec::new()),
        ("half of it", half),
        ("a list", b"[]".to_vec()),
        ("depth", deep.clone()),
        (
            "depth in a field that nobody reads",
            [b"{\"x\": ".to_vec(), deep, b"}".to_vec()].concat(),
        ),
        ("a byte order mark", bom),
        ("more than it", more),
        ("no UTF-8", b"{\"version\": \"\xff\"}".to_vec()),
        ("half a character", br#"{"backup_name": "\ud800"}"#.to_vec()),
    ] {
        let objects = repository(Compression::Zlib);
        objects.put(place.container(), &place.metadata_name(), text);
        let (report, after) = restored(&objects, 0, vec![0xA5; SIZE]);
        let told = report.expect_err(what).to_string();
        assert!(told.contains("_metadata"), "{what}: {told}");
        assert!(after.iter().all(|byte| *byte == 0xA5), "{what}: written");
    }
}

/// Endless JSON, made while it is read.
struct Endless {
    head: &'static [u8],
    again: Box<dyn FnMut(u64) -> String>,
    ready: Vec<u8>,
    made: u64,
}

impl std::io::Read for Endless {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        if self.ready.is_empty() {
            self.ready = std::mem::take(&mut self.head).to_vec();
            while self.ready.len() < 64 << 10 {
                self.ready
                    .extend_from_slice((self.again)(self.made).as_bytes());
                self.made += 1;
            }
        }
        let count = buf.len().min(self.ready.len());
        buf[..count].copy_from_slice(&self.ready[..count]);
        self.ready.drain(..count);
        Ok(count)
    }
}

#[test]
fn endless_descriptions_end() {
    type Case = (
        &'static str,
        &'static [u8],
        fn(u64) -> String,
        usize,
        &'static str,
    );
    let cases: [Case; 4] = [
        (
            "a name",
            b"{\"backup_name\": \"",
            |_| "x".repeat(1000),
            OBJECTS_LIMIT,
            "longer than",
        ),
        (
            "a number",
            b"{\"backup_name\": 1",
            |_| "1".repeat(1000),
            OBJECTS_LIMIT,
            "longer than",
        ),
        (
            "a key",
            b"{\"",
            |_| "\\n".repeat(1000),
            OBJECTS_LIMIT,
            "longer than",
        ),
        (
            "objects",
            b"{\"objects\": [",
            |n| {
                let name = location(0).object_name(u32::try_from(n).expect("few") + 1);
                json!({name: {"offset": n, "length": 1, "md5": null, "compression": "none"}})
                    .to_string()
                    + ","
            },
            10_000,
            "objects are listed",
        ),
    ];
    for (what, head, again, room, word) in cases {
        let text = Endless {
            head,
            again: Box::new(again),
            ready: Vec::new(),
            made: 0,
        };
        let told = BackupMetadata::parse(text, &location(0), room)
            .expect_err(what)
            .to_string();
        assert!(told.contains(word), "{what}: {told}");
    }
}

#[test]
fn chains_that_do_not_belong_together_are_refused() {
    let mut images = [image(), image(), image()];
    images[1][5000..9000].fill(0);
    images[2] = images[1].clone();
    images[2][60_000..61_000].fill(7);
    let make = || {
        let objects = MemoryObjects::default();
        for (n, image) in images.iter().enumerate() {
            put(&objects, n, image, Compression::Zlib);
        }
        objects
    };
    type Case = (&'static str, fn(&MemoryObjects), &'static str);
    let cases: [Case; 4] = [
        (
            "a circle of three",
            |objects| {
                edit(objects, 0, |json| {
                    json["parent_id"] = json!(crate::support::backup(2).to_string())
                })
            },
            "is its own ancestor",
        ),
        (
            "a parent that is another",
            |objects| {
                edit(objects, 1, |json| {
                    json["backup_id"] = json!(crate::support::backup(9).to_string())
                })
            },
            "describes backup 00000000-0000-4000-8000-000000000009",
        ),
        (
            "a parent of another volume",
            |objects| {
                edit(objects, 1, |json| {
                    json["volume_id"] = json!(crate::support::backup(9).to_string())
                })
            },
            "is of volume 00000000-0000-4000-8000-000000000009",
        ),
        (
            "a parent that is gone",
            |objects| {
                edit(objects, 1, |json| {
                    json["parent_id"] = json!("99999999-0000-4000-8000-000000000000")
                })
            },
            "builds on backup 99999999-0000-4000-8000-000000000000",
        ),
    ];
    for (what, change, word) in cases {
        let objects = make();
        change(&objects);
        let (report, after) = restored(&objects, 2, vec![0xA5; SIZE]);
        let told = report.expect_err(what).to_string();
        assert!(told.contains(word), "{what}: {told}");
        assert!(after.iter().all(|byte| *byte == 0xA5), "{what}: written");
    }
    // Whole backups that are not of one chain: only the hashes of the blocks tell.
    let objects = make();
    edit(&objects, 2, |json| {
        json["parent_id"] = json!(crate::support::backup(0).to_string())
    });
    let mixed = chain(&objects, 2).expect("it looks like a chain");
    let told = verify_image(&mixed, &objects, &())
        .expect_err("another image")
        .to_string();
    assert!(
        told.contains("_sha256file: the block of 4096 bytes at offset 4096"),
        "{told}"
    );
    verify_image(&chain(&make(), 2).expect("a chain"), &make(), &()).expect("the right image");
}

#[test]
fn names_and_links_never_lead_out_of_a_directory() {
    let outside = tempfile::tempdir().expect("a directory");
    std::fs::write(outside.path().join("secret"), b"secret").expect("a file");
    let root = tempfile::tempdir().expect("a directory");
    let inside = root.path().join("c");
    std::fs::create_dir(&inside).expect("a directory");
    std::fs::write(inside.join("plain"), b"plain").expect("a file");
    std::os::unix::fs::symlink(outside.path(), root.path().join("way")).expect("a link");
    std::os::unix::fs::symlink(outside.path().join("secret"), inside.join("link")).expect("a link");
    std::fs::create_dir(inside.join("directory")).expect("a directory");
    let repository = DirectoryRepository::open(root.path()).expect("a repository");
    let up = format!(
        "../{}",
        outside
            .path()
            .file_name()
            .and_then(|n| n.to_str())
            .expect("a name")
    );
    for (container, name, fits) in [
        ("c", "plain", true),
        ("", "c/plain", true),
        ("way", "secret", false),
        ("c", "link", false),
        ("c", "directory", false),
        (up.as_str(), "secret", false),
        ("c", "../../secret", false),
        ("", "/etc/passwd", false),
        ("/etc", "passwd", false),
        ("c/..", "c/plain", false),
    ] {
        let opened = repository.open(container, name);
        assert_eq!(opened.is_ok(), fits, "{container}, {name}");
        let sink: &dyn emberkeep_chunked::ForeignSink = &repository;
        if !fits {
            let created = sink.create(container, &format!("{name}.new"));
            let may = container == "c" && !name.contains("..");
            assert_eq!(created.is_ok(), may, "{container}, {name} to write");
        }
    }
    for (container, prefix) in [
        ("/etc", "p"),
        ("..", "p"),
        ("c", "../p"),
        ("c", ""),
        ("c", "/p"),
        ("a//b", "p"),
    ] {
        assert!(
            Location::new(container, prefix).is_err(),
            "{container}, {prefix}"
        );
    }
    let left: Vec<_> = std::fs::read_dir(&inside)
        .expect("a directory")
        .flatten()
        .collect();
    assert_eq!(left.len(), 3, "nothing unfinished stays behind: {left:?}");
}
