//! Reading a backup anywhere, without restoring it.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test may panic"
)]

use crate::support;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use emberkeep_engine::{RestoreError, Run, SweepOptions};
use emberkeep_model::ByteCount;
use emberkeep_store::{Listed, MemoryStore, ObjectStore, StoreError};
use emberkeep_volumes::{ChangeSet, Extent, ExtentKind, SourceSnapshot, VolumeError, conformance};
use support::*;

/// A store that counts what is read from it.
#[derive(Default)]
struct Metered {
    inner: MemoryStore,
    bytes: AtomicU64,
    reads: AtomicU64,
}

impl Metered {
    fn note(&self, read: Result<Vec<u8>, StoreError>) -> Result<Vec<u8>, StoreError> {
        self.reads.fetch_add(1, Relaxed);
        if let Ok(bytes) = &read {
            self.bytes.fetch_add(bytes.len() as u64, Relaxed);
        }
        read
    }
}

impl ObjectStore for Metered {
    fn put_if_absent(&self, name: &str, parts: &[&[u8]]) -> Result<(), StoreError> {
        self.inner.put_if_absent(name, parts)
    }
    fn put(&self, name: &str, parts: &[&[u8]]) -> Result<(), StoreError> {
        self.inner.put(name, parts)
    }
    fn get(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        self.note(self.inner.get(name))
    }
    fn get_range(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        self.note(self.inner.get_range(name, range))
    }
    fn head(&self, name: &str) -> Result<Option<u64>, StoreError> {
        self.inner.head(name)
    }
    fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Listed>, StoreError> {
        self.inner.list(prefix, after, limit)
    }
    fn delete_many(&self, names: &[String]) -> Result<(), StoreError> {
        self.inner.delete_many(names)
    }
    fn describe(&self) -> String {
        self.inner.describe()
    }
}

#[test]
fn a_backup_is_a_source_like_any_other() {
    let fixture = Fixture::new();
    for (n, size) in [0, 1, 4097, 16 * MIB - 1, 40 * MIB + 7]
        .into_iter()
        .enumerate()
    {
        let bytes = mixed(size, n as u64);
        fixture.backup(n as u128, &bytes);
        let reader = fixture.project.reader(id(n as u128)).unwrap();
        conformance::source(&reader, &bytes);
    }
    let missing = fixture.project.reader(id(99)).unwrap_err();
    assert!(
        matches!(missing, RestoreError::NoSuchBackup(_)),
        "{missing}"
    );
}

#[test]
fn what_was_read_once_is_not_fetched_again() {
    let store = Arc::new(Metered::default());
    let fixture = Fixture::on(store.clone());
    let bytes = noise(24 * MIB, 5);
    fixture.backup(1, &bytes);
    let reader = fixture.project.reader(id(1)).unwrap();
    let before = store.bytes.load(Relaxed);
    // Four readers, each reading on in small pieces, as a copying client does.
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let (reader, bytes) = (&reader, &bytes);
            scope.spawn(move || {
                let mut buf = vec![0; 64 * KIB];
                for (i, part) in bytes.chunks(buf.len()).enumerate() {
                    if i / 4 % 4 == worker {
                        reader.read((i * 64 * KIB) as u64, &mut buf).unwrap();
                        assert!(buf == part, "piece {i}");
                    }
                }
            });
        }
    });
    let fetched = store.bytes.load(Relaxed) - before;
    let most = (bytes.len() + bytes.len() / 20) as u64;
    assert!(fetched <= most, "{fetched} fetched for {}", bytes.len());
    let again = store.bytes.load(Relaxed);
    reader.read(5, &mut vec![0; 20 * MIB]).unwrap();
    assert_eq!(store.bytes.load(Relaxed), again, "all of it was kept");
}

/// A volume of 16 TiB with a little data at its ends and in its middle.
struct Vast;

const TIB: u64 = 1 << 40;
const ISLANDS: [u64; 3] = [0, 8 * TIB + 4096, 16 * TIB - MIB as u64];

fn island(at: u64) -> Range<u64> {
    at..at + MIB as u64
}

impl SourceSnapshot for Vast {
    fn size(&self) -> ByteCount {
        ByteCount(16 * TIB)
    }

    fn extents(
        &self,
        range: Range<u64>,
        _: Option<&str>,
    ) -> Result<(ChangeSet, Vec<Extent>), VolumeError> {
        let mut extents = Vec::new();
        let mut at = range.start;
        let mut push = |until: u64, kind| {
            let until = until.min(range.end);
            if until > at {
                extents.push(Extent {
                    offset: at,
                    length: until - at,
                    kind,
                });
                at = until;
            }
        };
        for start in ISLANDS {
            push(start, ExtentKind::Zero);
            push(island(start).end, ExtentKind::Data);
        }
        push(range.end, ExtentKind::Zero);
        let reason = "a test".to_owned();
        Ok((ChangeSet::FullScan { reason }, extents))
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), VolumeError> {
        for (i, byte) in buf.iter_mut().enumerate() {
            let at = offset + i as u64;
            let inside = ISLANDS.iter().any(|start| island(*start).contains(&at));
            *byte = if inside { (at % 253) as u8 + 1 } else { 0 };
        }
        Ok(())
    }
}

#[test]
fn a_vast_volume_is_read_where_it_has_data_and_told_where_not() {
    let store = Arc::new(Metered::default());
    let fixture = Fixture::on(store.clone());
    let made = fixture.project.backup(&Vast, request(1), &Run::new());
    made.unwrap();
    let before = store.reads.load(Relaxed);
    let reader = fixture.project.reader(id(1)).unwrap();
    let data = reader.data(0..16 * TIB).unwrap();
    // Data is told at the grain of blocks.
    let want: Vec<_> = ISLANDS.map(island).to_vec();
    assert_eq!(data, want);
    let mut buf = vec![0xAA; 3 * MIB];
    for at in [0, 8 * TIB - MIB as u64, 3 * TIB, 16 * TIB - 3 * MIB as u64] {
        let mut want = vec![0; buf.len()];
        Vast.read_at(at, &mut want).unwrap();
        reader.read(at, &mut buf).unwrap();
        assert!(buf == want, "at {at}");
    }
    let requests = store.reads.load(Relaxed) - before;
    assert!(requests < 60, "{requests} requests for three islands");
}

#[test]
fn damage_is_told_and_the_rest_can_be_read() {
    let fixture = Fixture::new();
    let bytes = noise(40 * MIB, 3);
    fixture.backup(1, &bytes);
    let mut hurt = 0;
    for name in fixture.names("/packs/") {
        let mut stored = fixture.store.get(&name).unwrap();
        if stored.len() > 20 * MIB {
            stored[1000] ^= 1;
            fixture
                .store
                .delete_many(std::slice::from_ref(&name))
                .unwrap();
            fixture.store.put_if_absent(&name, &[&stored]).unwrap();
            hurt += 1;
        }
    }
    assert_eq!(hurt, 1, "one pack has most of it");
    let reader = fixture.project.reader(id(1)).unwrap();
    let mut failed = 0;
    let mut buf = vec![0; MIB];
    for (i, part) in bytes.chunks(MIB).enumerate() {
        match reader.read((i * MIB) as u64, &mut buf) {
            Ok(()) => assert!(buf == part, "MiB {i}"),
            Err(cause) => {
                assert!(
                    matches!(cause, RestoreError::BackupDamaged { .. }),
                    "{cause}"
                );
                failed += 1;
            }
        }
    }
    assert!((1..=2).contains(&failed), "{failed} MiB cannot be read");
}

#[test]
fn a_backup_that_is_deleted_and_swept_is_read_on() {
    let fixture = Fixture::new();
    let bytes = mixed(20 * MIB, 8);
    fixture.backup(1, &bytes);
    let reader = fixture.project.reader(id(1)).unwrap();
    fixture.project.delete(id(1)).unwrap();
    let swept = fixture.project.sweep(SweepOptions::default(), &Run::new());
    swept.unwrap();
    let mut all = vec![0; bytes.len()];
    reader.read(0, &mut all).unwrap();
    assert!(all == bytes);
    drop(reader);
    let swept = fixture.project.sweep(SweepOptions::default(), &Run::new());
    swept.unwrap();
    assert!(
        fixture.names("/packs/").is_empty(),
        "nothing holds it any more"
    );
}
