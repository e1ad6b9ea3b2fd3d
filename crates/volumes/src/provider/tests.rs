use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};

use super::*;
use crate::conformance;

fn volume() -> VolumeId {
    VolumeId(uuid::Uuid::from_u128(1))
}

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().expect("scratch")
}

#[test]
fn conforms() {
    let scratch = scratch();
    let count = std::cell::Cell::new(0);
    conformance::provider(|| {
        count.set(count.get() + 1);
        let dir = scratch.path().join(count.get().to_string());
        Box::new(FileProvider::open(dir).expect("open"))
    });
    for entry in fs::read_dir(scratch.path()).expect("read_dir") {
        let unfinished = entry.expect("entry").path().join(UNFINISHED);
        assert_eq!(
            fs::read_dir(unfinished).expect("read_dir").count(),
            0,
            "nothing is left over"
        );
    }
}

#[test]
fn only_the_owner_may_read() {
    let scratch = scratch();
    let provider = FileProvider::open(scratch.path().join("data")).expect("open");
    provider.create(volume(), ByteCount(10)).expect("create");
    provider.freeze(volume(), "f").expect("freeze");
    let mode = |path: &Path| fs::metadata(path).expect("meta").permissions().mode() & 0o777;
    assert_eq!(mode(&provider.path(volume()).expect("path")), 0o600);
    assert_eq!(mode(&provider.freeze_path("f").expect("path")), 0o600);
    assert_eq!(mode(&provider.root.join(VOLUMES)), 0o700);
}

#[test]
fn what_a_dead_writer_left_is_removed() {
    let scratch = scratch();
    let provider = FileProvider::open(scratch.path()).expect("open");
    let leftover = scratch.path().join(UNFINISHED).join("1.0");
    fs::write(&leftover, b"half a volume").expect("write");
    let writing = provider
        .write_new(volume(), ByteCount(1 << 20))
        .expect("begin");
    FileProvider::open(scratch.path()).expect("open again");
    assert!(!leftover.exists(), "the dead writer's file goes");
    writing.write_at(0, b"x").expect("write");
    writing.finish().expect("the living writer's file stays");
    assert_eq!(provider.size(volume()).expect("size"), ByteCount(1 << 20));
}

#[test]
fn a_new_volume_exists_once_it_is_finished() {
    let scratch = scratch();
    let provider = FileProvider::open(scratch.path()).expect("open");
    let new = provider
        .write_new(volume(), ByteCount(100_000))
        .expect("begin");
    new.write_at(0, &[1; 5000]).expect("write");
    assert!(provider.size(volume()).is_err(), "not yet");
    drop(new);
    assert!(provider.size(volume()).is_err(), "given up");
    assert_eq!(
        fs::read_dir(scratch.path().join(UNFINISHED))
            .expect("read_dir")
            .count(),
        0
    );

    let new = provider
        .write_new(volume(), ByteCount(100_000))
        .expect("begin");
    new.write_at(0, &[1; 5000]).expect("write");
    new.write_at(0, &[0; 4096]).expect("zeroes over data");
    assert!(matches!(
        new.write_at(99_999, b"xx"),
        Err(VolumeError::OutOfRange { .. })
    ));
    let rival = provider.write_new(volume(), ByteCount(1)).expect("begin");
    new.finish().expect("finish");
    assert!(
        matches!(rival.finish(), Err(VolumeError::Exists { .. })),
        "the first stays"
    );
    let mut got = vec![9; 5001];
    provider
        .open_source(volume())
        .expect("open")
        .read_at(0, &mut got)
        .expect("read");
    assert_eq!(got, [vec![0; 4096], vec![1; 904], vec![0]].concat());
}

#[test]
fn an_import_is_sparse_even_where_zeroes_were_written() {
    let scratch = scratch();
    let provider = FileProvider::open(scratch.path().join("data")).expect("open");
    let image = scratch.path().join("image");
    let size = 8 << 20;
    let file = File::create(&image).expect("image");
    file.write_all_at(&vec![0; size], 0).expect("write");
    file.write_all_at(&[7; 10_000], 5_000_000).expect("write");
    let source = FileSource::open(&image).expect("source");
    let grown = ByteCount(size as u64 + 1000);
    provider.import(volume(), &source, grown).expect("import");
    let meta = fs::metadata(provider.path(volume()).expect("path")).expect("meta");
    assert_eq!(meta.len(), grown.0);
    assert!(meta.blocks() * 512 < 100_000, "{} blocks", meta.blocks());
    let mut want = fs::read(&image).expect("read");
    want.resize(size + 1000, 0);
    assert!(fs::read(provider.path(volume()).expect("path")).expect("read") == want);
    let too_small = provider.import(VolumeId(uuid::Uuid::from_u128(2)), &source, ByteCount(1));
    assert!(
        matches!(too_small, Err(VolumeError::OutOfRange { .. })),
        "{too_small:?}"
    );
}
