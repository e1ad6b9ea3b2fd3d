use std::fs;
use std::os::unix::fs::FileExt;

use emberkeep_model::ByteCount;

use super::*;
use crate::{
    ChangeSet, Extent, ExtentKind, RestoreTarget, SourceSnapshot, TargetState, conformance,
};

const MIB: u64 = 1 << 20;

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().expect("scratch")
}

#[test]
fn sources_conform() {
    let scratch = scratch();
    let path = scratch.path().join("image");
    let mut content = vec![0; 1_000_001];
    content[200_000..300_000].fill(1);
    content[1_000_000] = 2;
    for (what, content) in [
        ("sparse", content),
        ("all data", vec![3; 70_000]),
        ("all zero", vec![0; 70_000]),
    ] {
        let file = File::create(&path).expect(what);
        file.set_len(content.len() as u64).expect(what);
        for run in crate::zero::data_runs(&content) {
            file.write_all_at(&content[run.clone()], run.start as u64)
                .expect(what);
        }
        conformance::source(&FileSource::open(&path).expect(what), &content);
    }
}

#[test]
fn targets_conform() {
    let scratch = scratch();
    let path = scratch.path().join("image");
    let new = FileTarget::create_new(&path, ByteCount(2 * MIB + 77)).expect("create");
    assert_eq!(new.state(), TargetState::Zeroed);
    conformance::target(&new);
    let existing = FileTarget::open_existing(&path).expect("open");
    assert_eq!(
        (existing.state(), existing.size()),
        (TargetState::HoldsData, ByteCount(2 * MIB + 77))
    );
    conformance::target(&existing);
}

#[test]
fn holes_are_told_and_not_read() {
    let scratch = scratch();
    let path = scratch.path().join("image");
    let file = File::create(&path).expect("create");
    file.set_len(64 * MIB).expect("size");
    file.write_all_at(&[1; 65536], 32 * MIB).expect("write");
    let (changes, extents) = FileSource::open(&path)
        .expect("open")
        .extents(0..64 * MIB, None)
        .expect("extents");
    let data: Vec<&Extent> = extents
        .iter()
        .filter(|e| e.kind == ExtentKind::Data)
        .collect();
    assert!(data.len() <= 1, "one stretch of data: {extents:?}");
    assert!(
        data.iter().map(|e| e.length).sum::<u64>() <= MIB,
        "holes are known: {extents:?}"
    );
    assert_eq!(
        changes,
        ChangeSet::FullScan {
            reason: "this source keeps no change tracking".to_owned()
        }
    );
}

#[test]
fn a_shrunken_file_is_an_error_and_not_zeroes() {
    let scratch = scratch();
    let path = scratch.path().join("image");
    fs::write(&path, vec![1; 100_000]).expect("write");
    let source = FileSource::open(&path).expect("open");
    File::options()
        .write(true)
        .open(&path)
        .expect("open")
        .set_len(50_000)
        .expect("shrink");
    for (what, got) in [
        ("extents", source.extents(0..100_000, None).err()),
        ("read", source.read_at(40_000, &mut [0; 20_000]).err()),
    ] {
        let got = got.expect(what);
        assert!(
            got.to_string().contains("shrank from 100000 to 50000"),
            "{what}: {got}"
        );
    }
    source
        .read_at(0, &mut [0; 50_000])
        .expect("what is left can be read");
}

#[test]
fn only_files_and_devices_are_opened() {
    let scratch = scratch();
    let fifo = scratch.path().join("fifo");
    rustix::fs::mknodat(
        CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .expect("mknod");
    for path in [scratch.path(), &fifo, Path::new("/dev/null")] {
        let errors = [
            FileSource::open(path).err(),
            FileTarget::open_existing(path).err(),
        ];
        for error in errors.map(|e| e.expect("refused").to_string()) {
            assert!(
                error.contains("neither a file nor a block device"),
                "{}: {error}",
                path.display()
            );
        }
    }
    let missing = scratch.path().join("missing");
    assert!(matches!(
        FileSource::open(&missing),
        Err(VolumeError::Missing { .. })
    ));
    assert!(matches!(
        FileTarget::open_existing(&missing),
        Err(VolumeError::Missing { .. })
    ));
    assert!(!missing.exists(), "opening makes nothing");
}

#[test]
fn a_new_file_gets_its_name_when_it_is_whole() {
    let scratch = scratch();
    let (path, partial) = (
        scratch.path().join("out.img"),
        scratch.path().join("out.img.partial"),
    );
    let target = FileTarget::create_new(&path, ByteCount(MIB)).expect("create");
    assert!(partial.exists() && !path.exists(), "being written");
    let rival = FileTarget::create_new(&path, ByteCount(MIB));
    assert!(
        matches!(rival, Err(VolumeError::Exists { .. })),
        "one at a time"
    );
    drop(rival);
    drop(target);
    assert!(!partial.exists() && !path.exists(), "given up");

    fs::write(&partial, vec![9; 2 << 20]).expect("what a killed process left");
    let target = FileTarget::create_new(&path, ByteCount(MIB)).expect("create");
    target.write_at(5, b"x").expect("write");
    target.finish().expect("finish");
    drop(target);
    assert!(!partial.exists() && path.exists(), "finished");
    let mut want = vec![0; 1 << 20];
    want[5] = b'x';
    assert!(
        fs::read(&path).expect("read") == want,
        "nothing of the leftover"
    );

    let taken = FileTarget::create_new(&path, ByteCount(MIB));
    assert!(
        matches!(taken, Err(VolumeError::Exists { .. })),
        "never over another file"
    );
    let late = scratch.path().join("late");
    let target = FileTarget::create_new(&late, ByteCount(1)).expect("create");
    fs::write(&late, b"someone else's").expect("write");
    assert!(matches!(target.finish(), Err(VolumeError::Exists { .. })));
    drop(target);
    assert_eq!(fs::read(&late).expect("read"), b"someone else's");
    assert!(!scratch.path().join("late.partial").exists());
}

#[test]
fn large_writes_past_the_cache_and_small_ones_meet() {
    const SIZE: usize = 3 << 20;
    let dir = scratch();
    let path = dir.path().join("volume");
    let room: Vec<u8> = (0..4_u32 << 20)
        .map(|at| at.to_le_bytes()[1] ^ 0x5a)
        .collect();
    let start = room.as_ptr().align_offset(4096);
    let mut want = vec![0; SIZE];
    let target = FileTarget::create_new(&path, ByteCount(SIZE as u64)).unwrap();
    for (offset, skip, length) in [
        // Aligned in both, over nothing; small; at an odd place; from odd memory; over what is there.
        (0, 0, 1 << 20),
        (1 << 20, 0, 8192),
        ((1 << 20) + 8192 + 77, 0, 300_000),
        (2 << 20, 5, 512 << 10),
        (512 << 10, 4096, 1 << 20),
        (SIZE - 700_001, 0, 700_001),
    ] {
        let bytes = &room[start + skip..start + skip + length];
        target.write_at(offset as u64, bytes).unwrap();
        want[offset..offset + length].copy_from_slice(bytes);
        let mut back = vec![0; length];
        target.read_at(offset as u64, &mut back).unwrap();
        assert!(back == bytes, "{length} bytes at {offset}");
    }
    target.finish().unwrap();
    assert!(std::fs::read(&path).unwrap() == want);
}
