//! Trees there and back, and images that nobody should believe.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::entry::{Entry, Kind, MAGIC, VERSION, parts};
use super::*;

/// What is to be seen of one thing: kind and mode, owner, time, size, content or target.
type Seen = (u32, u32, i64, i64, u64, Vec<u8>);

fn seen(root: &Path) -> BTreeMap<PathBuf, Seen> {
    fn walk(root: &Path, dir: &Path, found: &mut BTreeMap<PathBuf, Seen>) {
        for entry in fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            let meta = fs::symlink_metadata(&path).expect("is there");
            let content = if meta.is_symlink() {
                fs::read_link(&path)
                    .expect("a link")
                    .as_os_str()
                    .as_bytes()
                    .to_vec()
            } else if meta.is_file() {
                fs::read(&path).expect("a file")
            } else {
                Vec::new()
            };
            let size = if meta.is_dir() { 0 } else { meta.len() };
            found.insert(
                path.strip_prefix(root).expect("below").to_owned(),
                (
                    meta.mode(),
                    meta.uid(),
                    meta.mtime(),
                    meta.mtime_nsec(),
                    size,
                    content,
                ),
            );
            if meta.is_dir() {
                walk(root, &path, found);
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(root, root, &mut found);
    found
}

fn packed(root: &Path, path: &str) -> (File, TreeReport) {
    let image = tempfile::tempfile().expect("a file");
    let report = pack_tree(root, Path::new(path), &image).expect("packs");
    (image, report)
}

fn target(root: &Path, path: &str) -> TreeTarget {
    TreeTarget {
        root: root.to_owned(),
        path: path.into(),
        attempt: "1".into(),
    }
}

/// A tree with everything in it.
fn sample(root: &Path) -> PathBuf {
    let top = root.join("src");
    fs::create_dir_all(top.join("a/b/c")).expect("directories");
    fs::create_dir(top.join("empty")).expect("a directory");
    fs::write(top.join("a/plain"), b"hello").expect("a file");
    fs::write(top.join("nothing"), b"").expect("a file");
    fs::write(
        top.join("a/b/c")
            .join(OsStr::from_bytes(b"\xff\xfe name\n")),
        vec![7; 10_000],
    )
    .expect("a file");
    fs::hard_link(top.join("a/plain"), top.join("z-again")).expect("a link");
    symlink("../outside/../../etc", top.join("a/link")).expect("a link");
    symlink("nowhere", top.join(OsStr::from_bytes(b"\x80dangling"))).expect("a link");
    let sparse = File::create(top.join("sparse")).expect("a file");
    sparse.set_len(64 << 20).expect("a size");
    sparse.write_all_at(&[9; 5000], 40 << 20).expect("bytes");
    for (path, mode) in [
        ("a/plain", 0o640),
        ("nothing", 0o4755),
        ("a/b", 0o500),
        ("empty", 0o1777),
    ] {
        fs::set_permissions(top.join(path), fs::Permissions::from_mode(mode)).expect("a mode");
    }
    rustix::fs::mknodat(
        rustix::fs::CWD,
        top.join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .expect("a pipe");
    let old =
        std::time::SystemTime::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, 123_456_789);
    for path in ["a/plain", "sparse"] {
        let file = File::options()
            .write(true)
            .open(top.join(path))
            .expect("a file");
        file.set_modified(old).expect("a time");
    }
    File::open(top.join("a"))
        .and_then(|dir| dir.set_modified(old))
        .expect("a time");
    top
}

#[test]
fn a_tree_comes_back_as_it_was() {
    let root = tempfile::tempdir().expect("a directory");
    let top = sample(root.path());
    // Where the file system has attributes.
    let file = File::open(top.join("a/plain")).expect("a file");
    let has_xattrs = rustix::fs::fsetxattr(
        &file,
        c"user.note",
        b"\x00\xffvalue",
        rustix::fs::XattrFlags::empty(),
    )
    .is_ok();
    let before = seen(&top);
    let (image, report) = packed(root.path(), "src");
    assert_eq!(
        (report.files, report.directories, report.others),
        (4, 4, 3),
        "{report:?}"
    );
    assert_eq!(report.noted, 0, "{:?}", report.notes);
    assert_eq!(image.metadata().expect("an image").len() % BLOCK, 0);
    let blocks = image.metadata().expect("an image").blocks();
    assert!(
        blocks < 2000,
        "holes stay holes: {blocks} blocks of 512 bytes"
    );

    // To a new directory, and over one that holds something else.
    for name in ["new", "old"] {
        if name == "old" {
            fs::create_dir_all(root.path().join("old/a/plain")).expect("directories");
            fs::write(root.path().join("old/extra"), b"goes").expect("a file");
        }
        let report = unpack_tree(&image, &target(root.path(), name)).expect("unpacks");
        assert_eq!(report.noted, 0, "{:?}", report.notes);
        let made = root.path().join(name);
        let after = seen(&made);
        assert_eq!(
            before.keys().collect::<Vec<_>>(),
            after.keys().collect::<Vec<_>>(),
            "{name}"
        );
        for (path, was) in &before {
            assert!(after[path] == *was, "{name}: {} differs", path.display());
        }
        let inode = |path: &str| fs::metadata(made.join(path)).expect("is there").ino();
        assert_eq!(
            inode("a/plain"),
            inode("z-again"),
            "one file with two names"
        );
        let sparse = fs::metadata(made.join("sparse")).expect("is there");
        assert!(sparse.blocks() < 2000, "holes stay holes");
        if has_xattrs {
            let mut value = [0_u8; 32];
            let file = File::open(made.join("a/plain")).expect("a file");
            let length = rustix::fs::fgetxattr(&file, c"user.note", value.as_mut_slice());
            assert_eq!(&value[..length.expect("is there")], b"\x00\xffvalue");
        }
    }
    let left: Vec<_> = fs::read_dir(root.path())
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name())
        .filter(|name| name.as_bytes().starts_with(b"."))
        .collect();
    assert!(left.is_empty(), "nothing is left beside it: {left:?}");
}

#[test]
fn the_same_tree_gives_the_same_image_and_a_change_moves_whole_blocks() {
    let root = tempfile::tempdir().expect("a directory");
    sample(root.path());
    let bytes = |image: &File| {
        let mut all = vec![0; usize::try_from(image.metadata().expect("one").len()).expect("fits")];
        image.read_exact_at(&mut all, 0).expect("reads");
        all
    };
    let first = bytes(&packed(root.path(), "src").0);
    assert!(first == bytes(&packed(root.path(), "src").0));
    fs::write(root.path().join("src/a/b/before"), vec![1; 9000]).expect("a file");
    let second = bytes(&packed(root.path(), "src").0);
    // The 10 000 bytes of the file after it begin on a border before and after.
    let place = |image: &[u8]| {
        image
            .windows(10_000)
            .position(|w| w.iter().all(|b| *b == 7))
    };
    let (was, is) = (
        place(&first).expect("there"),
        place(&second).expect("there"),
    );
    assert_eq!((was % 4096, is % 4096), (0, 0));
    assert_eq!(is - was, 12_288);
}

#[test]
fn what_cannot_be_read_fails_the_whole_and_links_are_not_followed() {
    let root = tempfile::tempdir().expect("a directory");
    fs::create_dir_all(root.path().join("real/inner")).expect("directories");
    symlink("real", root.path().join("link")).expect("a link");
    let image = tempfile::tempfile().expect("a file");
    for (what, path) in [
        ("through a link", "link/inner"),
        ("a link itself", "link"),
        ("out of the root", "../"),
        ("absent", "none"),
    ] {
        assert!(
            pack_tree(root.path(), Path::new(path), &image).is_err(),
            "{what}"
        );
    }
    let (image, _) = packed(root.path(), "real");
    for (what, path) in [
        ("through a link", "link/new"),
        ("out of the root", "../escaped"),
        ("the root", ""),
        ("in what is absent", "none/new"),
    ] {
        assert!(
            unpack_tree(&image, &target(root.path(), path)).is_err(),
            "{what}"
        );
    }
    // A socket cannot be backed up; that is said.
    let _socket =
        std::os::unix::net::UnixListener::bind(root.path().join("real/sock")).expect("a socket");
    let (_, report) = packed(root.path(), "real");
    assert_eq!(report.noted, 1);
    assert!(report.notes[0].contains("socket"), "{:?}", report.notes);
    let image = tempfile::tempfile().expect("a file");
    let deep = (0..500).fold(root.path().join("real/deep"), |path, _| path.join("d"));
    fs::create_dir_all(deep).expect("directories");
    let refused = pack_tree(root.path(), Path::new("real"), &image).expect_err("too deep");
    assert!(refused.to_string().contains("too deep"), "{refused}");
}

#[test]
fn an_interrupted_attempt_is_done_again() {
    let root = tempfile::tempdir().expect("a directory");
    let top = sample(root.path());
    let (image, _) = packed(root.path(), "src");
    let before = seen(&top);
    fs::create_dir_all(root.path().join(".src.emberkeep-1/half")).expect("a leftover");
    fs::write(top.join("a/new"), b"later").expect("a file");
    unpack_tree(&image, &target(root.path(), "src")).expect("unpacks");
    assert!(seen(&top) == before);
    assert!(!root.path().join(".src.emberkeep-1").exists());
}

/// Builds an image out of entries alone.
fn image_of(entries: &[Entry], count: u64) -> File {
    let image = tempfile::tempfile().expect("a file");
    let mut bytes = Vec::new();
    for entry in entries {
        entry.write(&mut bytes);
    }
    let mut head = MAGIC.to_vec();
    head.extend_from_slice(&VERSION.to_le_bytes());
    head.extend_from_slice(&0_u32.to_le_bytes());
    for number in [2 * BLOCK, bytes.len() as u64, count] {
        head.extend_from_slice(&number.to_le_bytes());
    }
    image.write_all_at(&head, 0).expect("writes");
    image.write_all_at(&bytes, 2 * BLOCK).expect("writes");
    image
}

fn entry(path: &str, kind: Kind) -> Entry {
    Entry {
        path: path.into(),
        mode: 0o755,
        uid: 0,
        gid: 0,
        mtime: (0, 0),
        xattrs: Vec::new(),
        kind,
    }
}

#[test]
fn no_image_leads_out_of_its_target() {
    let root = tempfile::tempdir().expect("a directory");
    let outside = root.path().join("outside");
    fs::create_dir(&outside).expect("a directory");
    let file = || Kind::File {
        size: 10,
        offset: BLOCK,
    };
    let link = |to: &Path| Kind::Symlink {
        target: to.as_os_str().as_bytes().to_vec(),
    };
    let top = || entry("", Kind::Directory);
    for (what, entries) in [
        ("up", vec![top(), entry("../evil", file())]),
        ("up within", vec![top(), entry("a/../../evil", file())]),
        ("absolute", vec![top(), entry("/evil", file())]),
        ("empty part", vec![top(), entry("a//b", file())]),
        ("zero byte", vec![top(), entry("a\0b", file())]),
        (
            "through a link that it makes",
            vec![top(), entry("l", link(&outside)), entry("l/evil", file())],
        ),
        (
            "a directory in place of a link",
            vec![
                top(),
                entry("l", link(&outside)),
                entry("l", Kind::Directory),
                entry("l/evil", file()),
            ],
        ),
        ("no root", vec![entry("a", file())]),
        ("a file as root", vec![entry("", file())]),
        ("an orphan", vec![top(), entry("a/b", file())]),
        (
            "a hard link to what is no file",
            vec![
                top(),
                entry("l", link(&outside)),
                entry("h", Kind::HardLink { first: 1 }),
            ],
        ),
        (
            "a hard link to later",
            vec![
                top(),
                entry("h", Kind::HardLink { first: 2 }),
                entry("f", file()),
            ],
        ),
        (
            "content outside",
            vec![
                top(),
                entry(
                    "f",
                    Kind::File {
                        size: u64::MAX,
                        offset: BLOCK,
                    },
                ),
            ],
        ),
        (
            "content in the head",
            vec![top(), entry("f", Kind::File { size: 1, offset: 0 })],
        ),
    ] {
        let image = image_of(&entries, entries.len() as u64);
        let refused = unpack_tree(&image, &target(root.path(), "made"));
        assert!(refused.is_err(), "{what}");
        assert!(!root.path().join("made").exists(), "{what}");
        let inside = fs::read_dir(&outside).expect("a directory").count();
        assert_eq!(inside, 0, "{what}");
        assert!(!root.path().join("evil").exists(), "{what}");
    }
    for (what, image) in [
        ("fewer entries than it says", image_of(&[top()], 2)),
        ("more than can be", image_of(&[top()], u64::MAX)),
        ("empty", tempfile::tempfile().expect("a file")),
    ] {
        assert!(
            unpack_tree(&image, &target(root.path(), "made")).is_err(),
            "{what}"
        );
    }
    assert!(parts(b"a/b").is_ok());
}
