//! Going on after a death in the middle of a backup.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test may panic"
)]

mod support;

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use emberkeep_engine::{BackupRequest, Run, SweepOptions};
use emberkeep_model::ByteCount;
use emberkeep_volumes::{ChangeSet, Extent, SourceSnapshot, VolumeError};
use support::*;

const NOW: SweepOptions = SweepOptions {
    dry_run: false,
    wait: Duration::ZERO,
};

/// A source that counts what is read of it, and fails after so many bytes.
struct Failing {
    source: Source,
    read: AtomicU64,
    limit: u64,
}

impl Failing {
    fn new(bytes: &[u8], limit: u64) -> Self {
        Self {
            source: Source(bytes.to_vec()),
            read: AtomicU64::new(0),
            limit,
        }
    }
}

impl SourceSnapshot for Failing {
    fn size(&self) -> ByteCount {
        self.source.size()
    }

    fn extents(
        &self,
        range: Range<u64>,
        since: Option<&str>,
    ) -> Result<(ChangeSet, Vec<Extent>), VolumeError> {
        self.source.extents(range, since)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), VolumeError> {
        let before = self.read.fetch_add(buf.len() as u64, Relaxed);
        if before + buf.len() as u64 > self.limit {
            let cause = std::io::Error::other("the power failed");
            return Err(VolumeError::io("the volume", cause));
        }
        self.source.read_at(offset, buf)
    }
}

fn resumable(n: u128, instant: &str) -> BackupRequest {
    BackupRequest {
        instant: Some(instant.to_owned()),
        ..request(n)
    }
}

/// 256 MiB that do not compress, and zero windows between.
fn volume() -> Vec<u8> {
    let mut bytes = noise(320 * MIB, 3);
    bytes[64 * MIB..128 * MIB].fill(0);
    bytes
}

#[test]
fn the_next_attempt_goes_on_where_the_last_one_died() {
    let fixture = Fixture::new();
    let bytes = volume();
    let dying = Failing::new(&bytes, 200 * MIB as u64);
    let died = fixture
        .project
        .backup(&dying, resumable(1, "frozen"), &Run::new());
    assert!(died.is_err());
    assert!(!fixture.names("/progress/").is_empty());
    // A sweep leaves what was stored to the next attempt.
    fixture.project.sweep(NOW, &Run::new()).unwrap();

    let again = Failing::new(&bytes, u64::MAX);
    let made = fixture
        .project
        .backup(&again, resumable(1, "frozen"), &Run::new())
        .unwrap();
    // What was in flight is lost: packs being filled, sent or not yet noted, and open windows.
    let read = again.read.load(Relaxed);
    let want = 256 * MIB as u64;
    assert!(
        read < want - 60 * MIB as u64,
        "{read} bytes were read again"
    );
    assert_eq!(made.manifest.statistics.data_bytes, want);
    restores(&fixture.project, 1, &bytes);
    assert!(fixture.names("/progress/").is_empty());
    let plain = fixture.backup(2, &bytes);
    assert_eq!(plain.root, made.manifest.root);
    assert_eq!(plain.statistics.new_chunks, 0, "an index names all packs");
    let swept = fixture.project.sweep(NOW, &Run::new()).unwrap();
    restores(&fixture.project, 1, &bytes);
    assert!(swept.freed_bytes < 100 * MIB as u64);
}

#[test]
fn another_instant_starts_anew() {
    let fixture = Fixture::new();
    let bytes = volume();
    let dying = Failing::new(&bytes, 200 * MIB as u64);
    let died = fixture
        .project
        .backup(&dying, resumable(1, "monday"), &Run::new());
    assert!(died.is_err());
    let mut changed = bytes.clone();
    changed[5] ^= 1;
    let other = Failing::new(&changed, u64::MAX);
    fixture
        .project
        .backup(&other, resumable(1, "tuesday"), &Run::new())
        .unwrap();
    assert_eq!(other.read.load(Relaxed), 256 * MIB as u64);
    restores(&fixture.project, 1, &changed);
}

#[test]
fn packs_that_went_meanwhile_are_stored_again() {
    let fixture = Fixture::new();
    let bytes = volume();
    let dying = Failing::new(&bytes, 200 * MIB as u64);
    let died = fixture
        .project
        .backup(&dying, resumable(1, "frozen"), &Run::new());
    assert!(died.is_err());
    let lost = fixture.names("/packs/").remove(0);
    fixture.store.delete_many(&[lost]).unwrap();
    let again = Failing::new(&bytes, u64::MAX);
    fixture
        .project
        .backup(&again, resumable(1, "frozen"), &Run::new())
        .unwrap();
    restores(&fixture.project, 1, &bytes);
}
