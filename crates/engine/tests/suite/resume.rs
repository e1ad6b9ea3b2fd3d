//! Going on after a death in the middle of a backup.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test may panic"
)]

use crate::support;

use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use emberkeep_engine::{
    BackupRequest, CheckOptions, ProjectRepository, Repository, Run, SweepOptions,
};
use emberkeep_keys::MasterKey;
use emberkeep_model::ByteCount;
use emberkeep_store::LocalStore;
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

fn open(dir: &str) -> ProjectRepository {
    let store = Arc::new(LocalStore::open(dir).unwrap());
    let repository = Repository::open(store, &MasterKey::from_bytes([42; 32])).unwrap();
    repository.project("project-a").unwrap()
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

const STORE: &str = "EMBERKEEP_RESUME_STORE";
const READ: &str = "EMBERKEEP_RESUME_READ";

/// What is in flight when a process dies: less than one window a worker.
fn in_flight() -> u64 {
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    workers.clamp(1, 8) as u64 * 16 * MIB as u64
}

/// Kills the process without warning once so much has been read.
struct Killing {
    source: Source,
    read: AtomicU64,
    limit: u64,
}

impl SourceSnapshot for Killing {
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
            std::process::Command::new("kill")
                .args(["-9", &std::process::id().to_string()])
                .status()
                .unwrap();
        }
        self.source.read_at(offset, buf)
    }
}

fn spooled(dir: &Path) -> usize {
    std::fs::read_dir(dir.join("tmp/spool")).map_or(0, Iterator::count)
}

#[test]
fn a_killed_process_costs_less_than_a_window_a_worker() {
    let bytes = volume();
    if let (Ok(dir), Ok(limit)) = (std::env::var(STORE), std::env::var(READ)) {
        let fixture = open(&dir);
        let source = Killing {
            source: Source(bytes),
            read: AtomicU64::new(0),
            limit: limit.parse().unwrap(),
        };
        fixture
            .backup(&source, resumable(1, "frozen"), &Run::new())
            .unwrap();
        unreachable!("the process was killed");
    }
    let scratch = tempfile::tempdir().unwrap();
    let data = 256 * MIB as u64;
    // Once early on, once at 60 %, and once more in the attempt after that.
    for limits in [
        &[data / 10][..],
        &[data / 10 * 6],
        &[data / 10 * 6, data / 5],
    ] {
        let dir = scratch.path().join(format!("{limits:?}"));
        Fixture::on(Arc::new(LocalStore::create(&dir).unwrap()));
        for limit in limits {
            let child = Command::new(std::env::current_exe().unwrap())
                .args([
                    "--exact",
                    "resume::a_killed_process_costs_less_than_a_window_a_worker",
                ])
                .env(STORE, &dir)
                .env(READ, limit.to_string())
                .output()
                .unwrap();
            assert!(!child.status.success());
        }
        assert!(spooled(&dir) > 0);
        let project = open(dir.to_str().unwrap());
        let again = Failing::new(&bytes, u64::MAX);
        project
            .backup(&again, resumable(1, "frozen"), &Run::new())
            .unwrap();
        let read = again.read.load(Relaxed);
        let twice = limits.iter().sum::<u64>() + read - data;
        assert!(
            twice < in_flight() * limits.len() as u64,
            "{limits:?}: {twice} bytes were read twice"
        );
        restores(&project, 1, &bytes);
        assert_eq!(spooled(&dir), 0);
        let checked = project.check(CheckOptions { read_data: true }, &Run::new());
        assert!(checked.unwrap().problems.is_empty());
    }
}

#[test]
fn what_was_spooled_for_another_instant_or_damaged_is_left_alone() {
    let scratch = tempfile::tempdir().unwrap();
    let bytes = volume();
    for what in ["damaged", "cut off", "another instant", "deleted"] {
        let dir = scratch.path().join(what);
        let fixture = Fixture::on(Arc::new(LocalStore::create(&dir).unwrap()));
        let dying = Failing::new(&bytes, 100 * MIB as u64);
        let died = fixture
            .project
            .backup(&dying, resumable(1, "monday"), &Run::new());
        assert!(died.is_err());
        assert!(spooled(&dir) > 0, "{what}");
        let mut now = bytes.clone();
        let mut instant = "monday";
        for entry in std::fs::read_dir(dir.join("tmp/spool")).unwrap() {
            let path = entry.unwrap().path();
            let mut stored = std::fs::read(&path).unwrap();
            match what {
                "damaged" => stored
                    .iter_mut()
                    .skip(5000)
                    .step_by(9999)
                    .for_each(|b| *b ^= 1),
                "cut off" => stored.truncate(stored.len() / 2),
                _ => {}
            }
            std::fs::write(path, stored).unwrap();
        }
        if what == "another instant" {
            now[3] ^= 1;
            instant = "tuesday";
        }
        if what == "deleted" {
            fixture.project.delete(id(1)).unwrap();
            assert_eq!(spooled(&dir), 0);
        }
        fixture
            .project
            .backup(&Source(now.clone()), resumable(1, instant), &Run::new())
            .unwrap();
        restores(&fixture.project, 1, &now);
        assert_eq!(spooled(&dir), 0, "{what}");
    }
}
