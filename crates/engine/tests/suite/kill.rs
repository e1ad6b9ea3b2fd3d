//! The process is killed at any call to a local store: what was reported stands.
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

use emberkeep_engine::{CheckOptions, ProjectRepository, Repository, Run, SweepOptions};
use emberkeep_keys::MasterKey;
use emberkeep_store::{Listed, LocalStore, ObjectStore, StoreError};
use support::*;

const STORE: &str = "EMBERKEEP_KILL_STORE";
const CALL: &str = "EMBERKEEP_KILL_CALL";

/// Kills the process at one call: odd ones before it takes effect, even ones after.
struct Deadly {
    inner: LocalStore,
    calls: AtomicU64,
    last: u64,
}

impl Deadly {
    fn call<T>(&self, act: impl FnOnce(&LocalStore) -> T) -> T {
        let call = self.calls.fetch_add(1, Relaxed) + 1;
        if call * 2 - 1 == self.last {
            std::process::abort();
        }
        let outcome = act(&self.inner);
        if call * 2 == self.last {
            std::process::abort();
        }
        outcome
    }
}

impl ObjectStore for Deadly {
    fn put_if_absent(&self, name: &str, parts: &[&[u8]]) -> Result<(), StoreError> {
        self.call(|inner| inner.put_if_absent(name, parts))
    }
    fn put(&self, name: &str, parts: &[&[u8]]) -> Result<(), StoreError> {
        self.call(|inner| inner.put(name, parts))
    }
    fn get(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        self.call(|inner| inner.get(name))
    }
    fn get_range(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        self.call(|inner| inner.get_range(name, range))
    }
    fn head(&self, name: &str) -> Result<Option<u64>, StoreError> {
        self.call(|inner| inner.head(name))
    }
    fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Listed>, StoreError> {
        self.call(|inner| inner.list(prefix, after, limit))
    }
    fn delete_many(&self, names: &[String]) -> Result<(), StoreError> {
        self.call(|inner| inner.delete_many(names))
    }
    fn describe(&self) -> String {
        self.inner.describe()
    }
}

fn old() -> Vec<u8> {
    [noise(MIB, 5), noise(2 * MIB, 6)].concat()
}

/// Half of the old bytes: when the old backup dies, its pack has to be moved.
fn new() -> Vec<u8> {
    [text(MIB, 7), noise(MIB, 5)].concat()
}

fn open(store: Arc<dyn ObjectStore>) -> ProjectRepository {
    let repository = Repository::open(store, &MasterKey::from_bytes([42; 32])).unwrap();
    repository.project("project-a").unwrap()
}

/// The part of the child: a backup, a delete and a sweep, noting each that was reported done.
fn work(dir: &str, last: u64) {
    let store = Deadly {
        inner: LocalStore::open(dir).unwrap(),
        calls: AtomicU64::new(0),
        last,
    };
    let project = open(Arc::new(store));
    let note = |what: &str| std::fs::write(format!("{dir}.{what}"), "").unwrap();
    project
        .backup(&Source(new()), request(2), &Run::new())
        .unwrap();
    note("backed-up");
    project.delete(id(1)).unwrap();
    note("deleted");
    project.sweep(SweepOptions::default(), &Run::new()).unwrap();
    note("swept");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let place = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &place);
        } else {
            std::fs::copy(entry.path(), place).unwrap();
        }
    }
}

#[test]
fn a_process_killed_at_any_call_breaks_no_promise() {
    if let (Ok(dir), Ok(last)) = (std::env::var(STORE), std::env::var(CALL)) {
        return work(&dir, last.parse().unwrap());
    }
    let scratch = tempfile::tempdir().unwrap();
    let base = scratch.path().join("base");
    let fixture = Fixture::on(Arc::new(LocalStore::create(&base).unwrap()));
    fixture.backup(1, &old());
    drop(fixture);
    let mut survived = 0;
    for last in 1.. {
        let dir = scratch.path().join(format!("store-{last}"));
        copy(&base, &dir);
        let child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "kill::a_process_killed_at_any_call_breaks_no_promise",
            ])
            .env(STORE, &dir)
            .env(CALL, last.to_string())
            .output()
            .unwrap();
        let noted = |what: &str| {
            let mut path = dir.clone().into_os_string();
            path.push(format!(".{what}"));
            Path::new(&path).exists()
        };
        let what = format!("killed at {last}");
        let project = open(Arc::new(LocalStore::open(&dir).unwrap()));
        let there = |n| project.manifest(id(n)).is_ok();
        if noted("backed-up") {
            restores(&project, 2, &new());
        }
        assert!(!(noted("deleted") && there(1)), "{what}");
        for _ in 0..2 {
            for (n, bytes) in [(1, old()), (2, new())] {
                if there(n) {
                    restores(&project, n, &bytes);
                }
            }
            project.sweep(SweepOptions::default(), &Run::new()).unwrap();
        }
        let idle = project.sweep(SweepOptions::default(), &Run::new()).unwrap();
        assert_eq!((idle.deleted_packs, idle.pending_packs), (0, 0), "{what}");
        let options = CheckOptions { read_data: true };
        let sound = project.check(options, &Run::new()).unwrap();
        assert!(sound.problems.is_empty(), "{what}: {:?}", sound.problems);
        drop(project);
        std::fs::remove_dir_all(&dir).unwrap();
        if child.status.success() {
            assert!(
                noted("swept"),
                "{what}: nobody was killed, nothing was done"
            );
            survived = last;
            break;
        }
        assert!(
            child.stderr.is_empty() || !String::from_utf8_lossy(&child.stderr).contains("panicked"),
            "{what}: {}",
            String::from_utf8_lossy(&child.stderr)
        );
    }
    assert!(survived > 60, "only {survived} places to die were met");
}
