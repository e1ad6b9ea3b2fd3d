//! Who sweeps, and who relies on which packs, under schedules that shuttle chooses: at each call
//! to the store any of the others may go on.
//!
//! `EMBERKEEP_SCHEDULES=20000 cargo test -p emberkeep-engine --release --test suite schedules` tries more.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test may panic"
)]

use crate::support;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::SeqCst};
use std::thread::ThreadId;

use emberkeep_engine::{BackupError, CheckOptions, Run, SweepError, SweepOptions};
use emberkeep_store::{Listed, ObjectStore, StoreError};
use shuttle::scheduler::RandomScheduler;
use shuttle::{Config, Runner};
use support::*;

/// Lets others go on before each call, and counts who holds the sweep lease.
struct Crossroads {
    inner: Arc<dyn ObjectStore>,
    /// A put of what must not be there is a look and a put, as some servers do it.
    careless: bool,
    /// The thread on which shuttle runs all of its own; those that the engine starts just run.
    stage: ThreadId,
    holders: AtomicI64,
}

impl Crossroads {
    /// Stands before a fixture's store; to be made on shuttle's thread.
    fn new(fixture: &Fixture, careless: bool) -> Arc<Self> {
        Arc::new(Self {
            inner: fixture.store.clone(),
            careless,
            stage: std::thread::current().id(),
            holders: AtomicI64::new(0),
        })
    }

    fn call<T>(&self, act: impl FnOnce(&dyn ObjectStore) -> T) -> T {
        if std::thread::current().id() == self.stage {
            shuttle::thread::yield_now();
        }
        act(&*self.inner)
    }
}

impl ObjectStore for Crossroads {
    fn put_if_absent(&self, name: &str, parts: &[&[u8]]) -> Result<(), StoreError> {
        if self.careless {
            if self.head(name)?.is_some() {
                let name = name.to_owned();
                return Err(StoreError::AlreadyExists { name });
            }
            return self.put(name, parts);
        }
        self.call(|inner| {
            let put = inner.put_if_absent(name, parts);
            if name.contains("/locks/sweep/") && put.is_ok() {
                let others = self.holders.fetch_add(1, SeqCst);
                assert_eq!(others, 0, "two hold the lease at once");
            }
            put
        })
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
        self.call(|inner| {
            let leases = names.iter().filter(|name| name.contains("/locks/sweep/"));
            self.holders.fetch_sub(leases.count() as i64, SeqCst);
            inner.delete_many(names)
        })
    }
    fn describe(&self) -> String {
        self.inner.describe()
    }
}

fn schedules() -> usize {
    let wanted = std::env::var("EMBERKEEP_SCHEDULES");
    wanted
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(150)
}

fn run(scene: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    config.stack_size = 4 << 20;
    // A step is a call to the store; none of them waits for another.
    config.max_steps = shuttle::MaxSteps::FailAfter(1_000_000);
    Runner::new(RandomScheduler::new(schedules()), config).run(scene);
}

/// How often a sweep lost its lease to one that overwrote it.
static LOST: AtomicU64 = AtomicU64::new(0);
/// How often a sweep met another one.
static MET: AtomicU64 = AtomicU64::new(0);

fn sweep(project: &emberkeep_engine::ProjectRepository) -> bool {
    match project.sweep(SweepOptions::default(), &Run::new()) {
        Ok(_) => true,
        Err(SweepError::Busy(_)) => {
            MET.fetch_add(1, SeqCst);
            false
        }
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn one_sweeps_at_a_time_and_one_always_does() {
    run(|| {
        let fixture = Fixture::new();
        fixture.backup(1, &noise(40 * KIB, 1));
        fixture.backup(2, &noise(40 * KIB, 2));
        fixture.project.delete(id(1)).unwrap();
        let crossroads = Crossroads::new(&fixture, false);
        let project = fixture.through(crossroads.clone());
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let project = project.clone();
                shuttle::thread::spawn(move || sweep(&project))
            })
            .collect();
        let swept = threads.into_iter().map(|thread| thread.join().unwrap());
        assert!(
            swept.collect::<Vec<_>>().contains(&true),
            "all gave way to others"
        );
        assert_eq!(crossroads.holders.load(SeqCst), 0, "a lease was left");
        // What was left to the sessions of the others goes with the next one.
        assert!(sweep(&fixture.project));
        let idle = fixture.project.sweep(SweepOptions::default(), &Run::new());
        assert_eq!(idle.unwrap().dead_packs, 0);
        fixture.restores(2, &noise(40 * KIB, 2));
    });
    assert!(MET.load(SeqCst) > 0, "they never met");
}

#[test]
fn packs_that_a_backup_relies_on_outlive_every_sweep_beside_it() {
    run(|| {
        let fixture = Fixture::new();
        let shared = noise(64 * KIB, 5);
        let dead = [shared.clone(), noise(64 * KIB, 6)].concat();
        let kept = [noise(20 * KIB, 7), shared.clone()].concat();
        fixture.backup(1, &dead);
        let crossroads = Crossroads::new(&fixture, false);
        let project = fixture.through(crossroads);
        let (one, other, third) = (project.clone(), project.clone(), project.clone());
        let bytes = kept.clone();
        let backup = shuttle::thread::spawn(move || {
            match one.backup(&Source(bytes), request(2), &Run::new()) {
                Ok(_) => true,
                // It says so rather than leaving a backup that cannot be read.
                Err(BackupError::PackVanished(_) | BackupError::SessionLost) => false,
                Err(error) => panic!("{error:?}"),
            }
        });
        let bytes = dead.clone();
        let again = shuttle::thread::spawn(move || {
            other
                .backup(&Source(bytes), request(3), &Run::new())
                .is_ok()
        });
        let sweeps = shuttle::thread::spawn(move || {
            third.delete(id(1)).unwrap();
            sweep(&third);
            sweep(&third);
        });
        assert!(backup.join().unwrap(), "a living session lost its packs");
        assert!(again.join().unwrap());
        sweeps.join().unwrap();
        for _ in 0..2 {
            fixture.restores(2, &kept);
            fixture.restores(3, &dead);
            assert!(sweep(&fixture.project));
        }
        let options = CheckOptions { read_data: true };
        let report = fixture.project.check(options, &Run::new()).unwrap();
        assert!(report.problems.is_empty(), "{:?}", report.problems);
    });
}

#[test]
fn where_writers_overwrite_each_other_sweeps_lose_nothing() {
    run(|| {
        let fixture = Fixture::new();
        let shared = noise(64 * KIB, 5);
        let dead = [shared.clone(), noise(64 * KIB, 6)].concat();
        let kept = [noise(20 * KIB, 7), shared].concat();
        fixture.backup(1, &dead);
        fixture.backup(4, &noise(40 * KIB, 9));
        fixture.project.delete(id(1)).unwrap();
        let project = fixture.through(Crossroads::new(&fixture, true));
        let sweeps: Vec<_> = (0..3)
            .map(|_| {
                let project = project.clone();
                shuttle::thread::spawn(move || {
                    match project.sweep(SweepOptions::default(), &Run::new()) {
                        Ok(_) => {}
                        Err(SweepError::Busy(_)) => {}
                        // Its lease was overwritten while it held it.
                        Err(SweepError::Superseded) => {
                            LOST.fetch_add(1, SeqCst);
                        }
                        Err(other) => panic!("{other:?}"),
                    }
                })
            })
            .collect();
        let bytes = kept.clone();
        let backup =
            shuttle::thread::spawn(move || project.backup(&Source(bytes), request(2), &Run::new()));
        backup.join().unwrap().unwrap();
        for sweep in sweeps {
            sweep.join().unwrap();
        }
        for _ in 0..2 {
            fixture.restores(2, &kept);
            fixture.restores(4, &noise(40 * KIB, 9));
            assert!(sweep(&fixture.project));
        }
        let report = fixture
            .project
            .check(CheckOptions { read_data: true }, &Run::new())
            .unwrap();
        assert!(report.problems.is_empty(), "{:?}", report.problems);
        assert!(fixture.names("/locks/").is_empty());
    });
    assert!(LOST.load(SeqCst) > 0, "no lease was ever overwritten");
}
