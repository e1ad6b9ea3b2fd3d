//! What every adapter must do. Each function is one port's suite; an adapter's
//! test is one call.

use std::ops::Range;

use emberkeep_model::{ByteCount, SnapshotId, VolumeId};

use crate::{
    ChangeSet, Extent, ExtentKind, RestoreTarget, SourceSnapshot, TargetState, VolumeError,
    VolumeProvider,
};

const MIB: u64 = 1 << 20;

/// Holds a [`VolumeProvider`], and the sources and targets it hands out, to their promises.
///
/// `make` returns a new, empty provider each time.
///
/// # Panics
///
/// Panics where the provider differs from what the port promises.
pub fn provider(make: impl Fn() -> Box<dyn VolumeProvider>) {
    volumes_come_and_go(&*make());
    volumes_only_grow(&*make());
    snapshots_last(&*make());
    copies_are_independent(&*make());
    freezes_hold_one_instant(&*make());
    missing_things_are_told(&*make());

    let provider = make();
    let (volume, content) = (volume(1), content(3 * MIB + 1000));
    provider
        .create(volume, ByteCount(content.len() as u64))
        .expect("create");
    target(
        &*provider
            .open_target(volume, TargetState::Zeroed)
            .expect("target"),
    );
    let over = provider
        .open_target(volume, TargetState::HoldsData)
        .expect("target");
    target(&*over);
    over.write_at(0, &content).expect("write");
    over.finish().expect("finish");
    source(&*provider.open_source(volume).expect("source"), &content);
    source(&*provider.freeze(volume, "f").expect("freeze"), &content);
    provider.snapshot(volume, snapshot(1)).expect("snapshot");
    source(
        &*provider.open_snapshot(snapshot(1)).expect("open"),
        &content,
    );
}

/// Holds a source to its promises; `content` is what it has to read as.
///
/// # Panics
///
/// Panics where the source differs from what the port promises.
pub fn source(source: &dyn SourceSnapshot, content: &[u8]) {
    let size = content.len() as u64;
    assert_eq!(source.size(), ByteCount(size), "the exact size");
    for range in ranges_of(size) {
        let what = format!("{range:?} of {size}");
        let (changes, extents) = source.extents(range.clone(), None).expect(&what);
        assert!(
            matches!(changes, ChangeSet::FullScan { .. }),
            "{what}: nothing was asked about"
        );
        check_extents(&extents, range.clone(), content, &what);
        let strange = source
            .extents(range.clone(), Some("no such lineage"))
            .expect(&what);
        assert!(
            matches!(strange.0, ChangeSet::FullScan { .. }),
            "{what}: an unknown lineage"
        );
        check_extents(&strange.1, range.clone(), content, &what);
        let mut buf = vec![0xAA; slice(content, &range).len()];
        source.read_at(range.start, &mut buf).expect(&what);
        assert!(buf == slice(content, &range), "{what}: the bytes");
    }
    for (what, offset, length) in [
        ("past the end", size, 1),
        ("over the end", size.saturating_sub(1), 2),
        ("far", u64::MAX, 1),
    ] {
        let mut buf = vec![0; length];
        let got = source.read_at(offset, &mut buf);
        assert!(
            matches!(got, Err(VolumeError::OutOfRange { .. })),
            "read {what}: {got:?}"
        );
        let got = source.extents(
            offset..offset.saturating_add(length as u64).max(size + 1),
            None,
        );
        assert!(
            matches!(got, Err(VolumeError::OutOfRange { .. })),
            "extents {what}: {got:?}"
        );
    }
    std::thread::scope(|scope| {
        for reader in 0..4_usize {
            scope.spawn(move || {
                let mut buf = vec![0; 10_000];
                for (i, part) in content.chunks(buf.len()).enumerate().skip(reader) {
                    let offset = (i * buf.len()) as u64;
                    source
                        .read_at(offset, &mut buf[..part.len()])
                        .expect("read in parallel");
                    assert!(&buf[..part.len()] == part, "read in parallel at {offset}");
                    source
                        .extents(offset..offset + part.len() as u64, None)
                        .expect("extents in parallel");
                }
            });
        }
    });
}

/// Holds a target of at least 1 MiB to its promises; leaves it all zero.
///
/// # Panics
///
/// Panics where the target differs from what the port promises.
pub fn target(target: &dyn RestoreTarget) {
    let size = target.size().0;
    assert!(size >= MIB, "the suite needs some room");
    let read = |what: &str| {
        let mut all = vec![0xAA; to_usize(size)];
        target.read_at(0, &mut all).expect(what);
        all
    };
    if target.state() == TargetState::Zeroed {
        assert!(
            read("new").iter().all(|b| *b == 0),
            "a target that says so is zero"
        );
    }
    let want = content(size);
    std::thread::scope(|scope| {
        for writer in 0..4_usize {
            let want = &want;
            scope.spawn(move || {
                let parts: Vec<_> = want.chunks(70_000).enumerate().collect();
                for (i, part) in parts.iter().rev().filter(|(i, _)| i % 4 == writer) {
                    target
                        .write_at((i * 70_000) as u64, part)
                        .expect("write in parallel");
                }
            });
        }
    });
    assert!(read("written") == want, "what was written");
    target.finish().expect("finish");

    let mut want = want;
    for range in [
        0..1,
        4095..4097,
        8192..12288,
        100_000..400_000,
        size - 5..size,
        7..7,
    ] {
        target.zero(range.clone()).expect("zero");
        want[to_usize(range.start)..to_usize(range.end)].fill(0);
        assert!(read("zeroed") == want, "after zeroing {range:?}");
    }
    target.write_at(8192, b"again").expect("write into a hole");
    want[8192..8197].copy_from_slice(b"again");
    assert!(read("again") == want, "written again");
    target.zero(0..size).expect("zero all");
    assert!(read("all").iter().all(|b| *b == 0), "all zero");

    for (what, offset, length) in [
        ("past the end", size, 1),
        ("over the end", size - 1, 2),
        ("far", u64::MAX, 1),
    ] {
        let outside = |got: Result<(), VolumeError>, which: &str| {
            assert!(
                matches!(got, Err(VolumeError::OutOfRange { .. })),
                "{which} {what}: {got:?}"
            );
        };
        outside(target.write_at(offset, &vec![1; length]), "write");
        outside(target.read_at(offset, &mut vec![1; length]), "read");
        outside(
            target.zero(offset..offset.saturating_add(length as u64).max(size + 1)),
            "zero",
        );
    }
    assert_eq!(target.size(), ByteCount(size), "the size stays");
    target.finish().expect("finish");
    target.finish().expect("finish again");
}

fn volumes_come_and_go(provider: &dyn VolumeProvider) {
    let size = ByteCount(2 * MIB + 512);
    for round in ["first", "second"] {
        provider.create(volume(1), size).expect(round);
        assert_eq!(provider.size(volume(1)).expect(round), size, "{round}");
        assert_bytes(
            &*provider.open_source(volume(1)).expect(round),
            &vec![0; to_usize(size.0)],
            round,
        );
        let again = provider.create(volume(1), size);
        assert!(
            matches!(again, Err(VolumeError::Exists { .. })),
            "{round}: {again:?}"
        );
        write(provider, volume(1), 5, b"data");
        provider.delete(volume(1)).expect(round);
        provider.delete(volume(1)).expect("a missing one is fine");
        assert!(
            matches!(provider.size(volume(1)), Err(VolumeError::Missing { .. })),
            "{round}"
        );
    }
}

fn volumes_only_grow(provider: &dyn VolumeProvider) {
    provider.create(volume(1), ByteCount(MIB)).expect("create");
    write(provider, volume(1), MIB - 4, b"tail");
    for size in [MIB, MIB + 1, 3 * MIB] {
        provider.grow(volume(1), ByteCount(size)).expect("grow");
        assert_eq!(provider.size(volume(1)).expect("size"), ByteCount(size));
    }
    let got = provider.grow(volume(1), ByteCount(MIB));
    assert!(
        matches!(got, Err(VolumeError::OutOfRange { .. })),
        "never shrinks: {got:?}"
    );
    let mut want = vec![0; to_usize(3 * MIB)];
    want[to_usize(MIB) - 4..to_usize(MIB)].copy_from_slice(b"tail");
    assert_bytes(
        &*provider.open_source(volume(1)).expect("source"),
        &want,
        "grown",
    );
}

fn snapshots_last(provider: &dyn VolumeProvider) {
    provider.create(volume(1), ByteCount(MIB)).expect("create");
    write(provider, volume(1), 100, b"before");
    let mut want = vec![0; to_usize(MIB)];
    want[100..106].copy_from_slice(b"before");
    provider.snapshot(volume(1), snapshot(1)).expect("snapshot");
    write(provider, volume(1), 100, b"after!");
    provider
        .snapshot(volume(1), snapshot(1))
        .expect("run twice");
    provider.grow(volume(1), ByteCount(2 * MIB)).expect("grow");
    provider.delete(volume(1)).expect("delete");
    assert_bytes(
        &*provider.open_snapshot(snapshot(1)).expect("open"),
        &want,
        "the first instant",
    );
    provider.delete_snapshot(snapshot(1)).expect("delete");
    provider
        .delete_snapshot(snapshot(1))
        .expect("a missing one is fine");
    assert!(matches!(
        provider.open_snapshot(snapshot(1)).err(),
        Some(VolumeError::Missing { .. })
    ));
}

fn copies_are_independent(provider: &dyn VolumeProvider) {
    let bytes = content(2 * MIB);
    provider
        .create(volume(1), ByteCount(2 * MIB))
        .expect("create");
    write(provider, volume(1), 0, &bytes);
    provider.snapshot(volume(1), snapshot(1)).expect("snapshot");
    provider
        .create_from_snapshot(volume(2), snapshot(1), ByteCount(2 * MIB))
        .expect("from snapshot");
    provider
        .create_from_volume(volume(3), volume(1), ByteCount(4 * MIB))
        .expect("from volume");
    write(provider, volume(1), 0, &[0xEE; 5000]);
    let mut grown = bytes.clone();
    grown.resize(to_usize(4 * MIB), 0);
    assert_bytes(
        &*provider.open_source(volume(2)).expect("source"),
        &bytes,
        "from snapshot",
    );
    assert_bytes(
        &*provider.open_source(volume(3)).expect("source"),
        &grown,
        "from volume, grown",
    );
    write(provider, volume(2), 0, b"x");
    assert_bytes(
        &*provider.open_snapshot(snapshot(1)).expect("open"),
        &bytes,
        "the snapshot",
    );

    let small = ByteCount(MIB);
    for (what, got) in [
        (
            "from snapshot",
            provider.create_from_snapshot(volume(4), snapshot(1), small),
        ),
        (
            "from volume",
            provider.create_from_volume(volume(4), volume(1), small),
        ),
    ] {
        assert!(
            matches!(got, Err(VolumeError::OutOfRange { .. })),
            "too small, {what}: {got:?}"
        );
    }
    for (what, got) in [
        (
            "from snapshot",
            provider.create_from_snapshot(volume(3), snapshot(1), ByteCount(2 * MIB)),
        ),
        (
            "from volume",
            provider.create_from_volume(volume(3), volume(1), ByteCount(2 * MIB)),
        ),
    ] {
        assert!(
            matches!(got, Err(VolumeError::Exists { .. })),
            "taken, {what}: {got:?}"
        );
    }
    assert!(
        provider.size(volume(4)).is_err(),
        "nothing was left of what was refused"
    );
}

fn freezes_hold_one_instant(provider: &dyn VolumeProvider) {
    provider.create(volume(1), ByteCount(MIB)).expect("create");
    write(provider, volume(1), 0, b"one");
    let mut want = vec![0; to_usize(MIB)];
    want[..3].copy_from_slice(b"one");
    assert!(
        provider.reopen_freeze("run-1").expect("reopen").is_none(),
        "not yet frozen"
    );
    let frozen = provider.freeze(volume(1), "run-1").expect("freeze");
    write(provider, volume(1), 0, b"two");
    assert_bytes(&*frozen, &want, "frozen");
    assert_bytes(
        &*provider.freeze(volume(1), "run-1").expect("again"),
        &want,
        "frozen once",
    );
    let reopened = provider
        .reopen_freeze("run-1")
        .expect("reopen")
        .expect("some");
    assert_bytes(&*reopened, &want, "reopened");
    let mut later = want.clone();
    later[..3].copy_from_slice(b"two");
    assert_bytes(
        &*provider.freeze(volume(1), "a.run_2").expect("freeze"),
        &later,
        "another freeze",
    );
    assert_eq!(provider.freezes().expect("freezes"), ["a.run_2", "run-1"]);
    provider.release("run-1").expect("release");
    provider.release("run-1").expect("run twice");
    assert_eq!(provider.freezes().expect("freezes"), ["a.run_2"]);
    assert!(
        provider.reopen_freeze("run-1").expect("reopen").is_none(),
        "released"
    );
    provider.delete(volume(1)).expect("delete");
    let reopened = provider
        .reopen_freeze("a.run_2")
        .expect("reopen")
        .expect("some");
    assert_bytes(&*reopened, &later, "a freeze outlives the volume");
    for name in ["", "../x", "a/b", ".hidden", "a b"] {
        assert!(
            provider.reopen_freeze(name).is_err(),
            "{name:?} is no name of a freeze"
        );
        assert!(
            provider.release(name).is_err(),
            "{name:?} is no name of a freeze"
        );
    }
}

fn missing_things_are_told(provider: &dyn VolumeProvider) {
    let size = ByteCount(MIB);
    let table: [(&str, Option<VolumeError>); 9] = [
        ("size", provider.size(volume(1)).err()),
        ("grow", provider.grow(volume(1), size).err()),
        ("snapshot", provider.snapshot(volume(1), snapshot(1)).err()),
        ("open_snapshot", provider.open_snapshot(snapshot(1)).err()),
        ("freeze", provider.freeze(volume(1), "f").err()),
        (
            "open_target",
            provider.open_target(volume(1), TargetState::Zeroed).err(),
        ),
        ("open_source", provider.open_source(volume(1)).err()),
        (
            "create_from_volume",
            provider
                .create_from_volume(volume(2), volume(1), size)
                .err(),
        ),
        (
            "create_from_snapshot",
            provider
                .create_from_snapshot(volume(2), snapshot(1), size)
                .err(),
        ),
    ];
    for (what, got) in table {
        assert!(
            matches!(got, Some(VolumeError::Missing { .. })),
            "{what}: {got:?}"
        );
    }
    assert!(provider.freezes().expect("freezes").is_empty());
    assert!(
        provider.size(volume(2)).is_err(),
        "nothing was left of what failed"
    );
}

/// Checks that extents cover the range exactly and call nothing zero that is not.
fn check_extents(extents: &[Extent], range: Range<u64>, content: &[u8], what: &str) {
    let mut at = range.start;
    for extent in extents {
        assert_eq!(extent.offset, at, "{what}: no gap, no overlap");
        assert!(extent.length > 0, "{what}: no empty extent");
        at += extent.length;
        assert!(at <= range.end, "{what}: not beyond the range");
        match extent.kind {
            ExtentKind::Data => {}
            ExtentKind::Zero => {
                assert!(
                    slice(content, &(extent.offset..at)).iter().all(|b| *b == 0),
                    "{what}: zero"
                );
            }
            ExtentKind::Unchanged => panic!("{what}: unchanged since nothing"),
        }
    }
    assert_eq!(at, range.end, "{what}: all of it");
}

fn assert_bytes(source: &dyn SourceSnapshot, want: &[u8], what: &str) {
    assert_eq!(source.size(), ByteCount(want.len() as u64), "{what}: size");
    let mut got = vec![0xAA; want.len()];
    source.read_at(0, &mut got).expect(what);
    assert!(got == want, "{what}: bytes");
}

fn write(provider: &dyn VolumeProvider, volume: VolumeId, offset: u64, bytes: &[u8]) {
    let target = provider
        .open_target(volume, TargetState::HoldsData)
        .expect("target");
    target.write_at(offset, bytes).expect("write");
    target.finish().expect("finish");
}

/// Bytes with long stretches of zeroes and of data, on and off block borders.
fn content(size: u64) -> Vec<u8> {
    let mut content = vec![0; to_usize(size)];
    for (i, byte) in content.iter_mut().enumerate() {
        if i % 300_000 < 130_000 {
            *byte = (i % 251).to_le_bytes()[0];
        }
    }
    content
}

fn ranges_of(size: u64) -> Vec<Range<u64>> {
    let mut ranges = vec![0..size, 0..0, size..size];
    ranges.extend([0..1, 1..2, 4095..4097, 100_000..500_000, 131_072..262_144]);
    ranges.push(size.saturating_sub(1)..size);
    ranges.retain(|range| range.end <= size);
    ranges
}

fn slice<'a>(content: &'a [u8], range: &Range<u64>) -> &'a [u8] {
    &content[to_usize(range.start)..to_usize(range.end)]
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).expect("test volumes fit the memory")
}

fn volume(n: u8) -> VolumeId {
    format!("00000000-0000-4000-8000-{n:012}")
        .parse()
        .expect("an id")
}

fn snapshot(n: u8) -> SnapshotId {
    format!("00000000-0000-4000-9000-{n:012}")
        .parse()
        .expect("an id")
}
