//! Volumes that fail, tear, stall or die at any call, and stores that stall at any call while
//! others go on: what was reported stands, nothing wrong is ever reported.
//!
//! Death at any call to the store stands in `crash.rs`, of the whole process in `kill.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test may panic"
)]

use crate::support;

use std::ops::Range;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use emberkeep_engine::{CheckOptions, ProjectRepository, Run, SweepOptions};
use emberkeep_model::ByteCount;
use emberkeep_store::{
    Counted, Fault, FaultPlan, FaultyStore, Listed, Moment, ObjectStore, StoreError, list_all,
};
use emberkeep_volumes::{
    ChangeSet, Extent, RestoreTarget, SourceSnapshot, TargetState, VolumeError,
};
use support::*;

/// What befalls a call to a volume.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mishap {
    Fails,
    /// Half of it happens, then it fails.
    Tears,
    /// It takes its time and works.
    Stalls,
    /// It fails, and so do all that follow.
    Dies,
}

const ALL: [Mishap; 4] = [Mishap::Fails, Mishap::Tears, Mishap::Stalls, Mishap::Dies];

/// Lets the n-th call come to grief.
struct Fate {
    mishap: Mishap,
    at: u64,
    calls: AtomicU64,
    struck: AtomicBool,
}

impl Fate {
    fn new(mishap: Mishap, at: u64) -> Self {
        Self {
            mishap,
            at,
            calls: AtomicU64::new(0),
            struck: AtomicBool::new(false),
        }
    }

    fn failed() -> VolumeError {
        VolumeError::io("a volume", std::io::Error::other("a planned fault"))
    }

    /// Does a call, `half` of it, or none.
    fn meet<T>(
        &self,
        half: impl FnOnce(),
        whole: impl FnOnce() -> Result<T, VolumeError>,
    ) -> Result<T, VolumeError> {
        let call = self.calls.fetch_add(1, SeqCst) + 1;
        let dead = self.mishap == Mishap::Dies && call > self.at;
        if call != self.at && !dead {
            return whole();
        }
        self.struck.store(true, SeqCst);
        match self.mishap {
            Mishap::Stalls => {
                std::thread::sleep(Duration::from_millis(5));
                return whole();
            }
            Mishap::Tears => half(),
            Mishap::Fails | Mishap::Dies => {}
        }
        Err(Self::failed())
    }
}

struct FatedSource(Source, Arc<Fate>);

impl SourceSnapshot for FatedSource {
    fn size(&self) -> ByteCount {
        self.0.size()
    }
    fn extents(
        &self,
        range: Range<u64>,
        since: Option<&str>,
    ) -> Result<(ChangeSet, Vec<Extent>), VolumeError> {
        self.1.meet(|| {}, || self.0.extents(range, since))
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), VolumeError> {
        let cell = Mutex::new(buf);
        let half = || {
            let mut buf = cell.lock().unwrap();
            let half = buf.len() / 2;
            self.0.read_at(offset, &mut buf[..half]).unwrap();
        };
        self.1
            .meet(half, || self.0.read_at(offset, &mut cell.lock().unwrap()))
    }
}

struct FatedTarget<'a>(&'a Target, Arc<Fate>);

impl RestoreTarget for FatedTarget<'_> {
    fn size(&self) -> ByteCount {
        self.0.size()
    }
    fn state(&self) -> TargetState {
        self.0.state()
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), VolumeError> {
        self.1.meet(|| {}, || self.0.read_at(offset, buf))
    }
    fn write_at(&self, offset: u64, buf: &[u8]) -> Result<(), VolumeError> {
        let half = || self.0.write_at(offset, &buf[..buf.len() / 2]).unwrap();
        self.1.meet(half, || self.0.write_at(offset, buf))
    }
    fn zero(&self, range: Range<u64>) -> Result<(), VolumeError> {
        let middle = range.start + (range.end - range.start) / 2;
        let half = || self.0.zero(range.start..middle).unwrap();
        self.1.meet(half, || self.0.zero(range.clone()))
    }
    fn finish(&self) -> Result<(), VolumeError> {
        self.1.meet(|| {}, || self.0.finish())
    }
}

/// All that is there comes back, and two sweeps leave nothing else.
fn settled(project: &ProjectRepository, want: &[(u128, &[u8])], what: &str) {
    for (n, bytes) in want {
        if project.manifest(id(*n)).is_ok() {
            restores(project, *n, bytes);
        }
    }
    for _ in 0..2 {
        project.sweep(SweepOptions::default(), &Run::new()).unwrap();
    }
    let idle = project.sweep(SweepOptions::default(), &Run::new()).unwrap();
    assert_eq!((idle.deleted_packs, idle.dead_packs), (0, 0), "{what}");
    let report = project
        .check(CheckOptions { read_data: true }, &Run::new())
        .unwrap();
    assert!(report.problems.is_empty(), "{what}: {:?}", report.problems);
    for (n, bytes) in want {
        if project.manifest(id(*n)).is_ok() {
            restores(project, *n, bytes);
        }
    }
    assert_eq!(report.unlisted, 0, "{what}");
}

#[test]
fn a_source_that_comes_to_grief_at_any_call_makes_no_wrong_backup() {
    let fixture = Fixture::new();
    let (old, new) = (mixed(MIB, 1), mixed(2 * MIB, 2));
    fixture.backup(1, &old);
    for mishap in ALL {
        for call in 1.. {
            let what = format!("{mishap:?} {call}");
            let project = fixture.through(copy(&*fixture.store));
            let fate = Arc::new(Fate::new(mishap, call));
            let source = FatedSource(Source(new.clone()), fate.clone());
            let reported = project.backup(&source, request(2), &Run::new()).is_ok();
            let struck = fate.struck.load(SeqCst);
            assert_eq!(reported, !struck || mishap == Mishap::Stalls, "{what}");
            assert_eq!(project.manifest(id(2)).is_ok(), reported, "{what}");
            settled(&project, &[(1, &old), (2, &new)], &what);
            if !struck {
                assert!(call > 3, "{what}: it was never met");
                break;
            }
        }
    }
}

#[test]
fn a_target_that_comes_to_grief_at_any_call_is_never_called_finished() {
    let fixture = Fixture::new();
    let bytes = mixed(2 * MIB, 2);
    fixture.backup(1, &bytes);
    for (fresh, mishap) in [true, false].into_iter().flat_map(|f| ALL.map(|m| (f, m))) {
        for call in 1.. {
            let what = format!("{mishap:?} {call}, fresh: {fresh}");
            let target = if fresh {
                Target::fresh(bytes.len())
            } else {
                Target::used(vec![0xa5; bytes.len()])
            };
            let fate = Arc::new(Fate::new(mishap, call));
            let fated = FatedTarget(&target, fate.clone());
            let reported = fixture.project.restore(id(1), &fated, &Run::new()).is_ok();
            let struck = fate.struck.load(SeqCst);
            // What the target held may fail to be read: then it is written, unseen.
            let unhurt = !struck || mishap == Mishap::Stalls;
            assert!(reported || !unhurt, "{what}");
            if reported {
                assert!(target.finished() == bytes, "{what}");
            } else {
                assert!(!*target.finished.lock().unwrap(), "{what}");
                // The next attempt writes over what the first one left.
                let half = Target::used(target.bytes.lock().unwrap().clone());
                fixture.project.restore(id(1), &half, &Run::new()).unwrap();
                assert!(half.finished() == bytes, "{what}: again");
            }
            if !struck {
                assert!(call > 3, "{what}: it was never met");
                break;
            }
        }
    }
    fixture.restores(1, &bytes);
}

/// Something that happens while a call stalls.
type Meanwhile = Box<dyn FnOnce() + Send>;

/// Stalls at one call, for as long as it takes others to do something.
struct Stalling {
    inner: Arc<dyn ObjectStore>,
    calls: AtomicU64,
    at: u64,
    meanwhile: Mutex<Option<Meanwhile>>,
}

impl Stalling {
    fn call<T>(&self, act: impl FnOnce(&dyn ObjectStore) -> T) -> T {
        if self.calls.fetch_add(1, SeqCst) + 1 == self.at {
            let meanwhile = self.meanwhile.lock().unwrap().take();
            meanwhile.unwrap()();
        }
        act(&*self.inner)
    }
}

impl ObjectStore for Stalling {
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

/// Stalls `act` at every call to the store while `meanwhile` is done beside it. `act` is always
/// to succeed, and what was there to be right.
fn stalled(
    fixture: &Fixture,
    act: impl Fn(&ProjectRepository, &str),
    meanwhile: impl Fn(&ProjectRepository, &dyn ObjectStore) + Clone + Send + 'static,
    want: &[(u128, &[u8])],
) {
    for call in 1.. {
        let store = copy(&*fixture.store);
        let stalling = Arc::new(Stalling {
            inner: store.clone(),
            calls: AtomicU64::new(0),
            at: u64::MAX,
            meanwhile: Mutex::new(None),
        });
        let project = fixture.through(stalling);
        drop(project);
        let beside = fixture.through(store.clone());
        // Opening a repository takes calls of its own, two for each and one for the project.
        let opening = 3;
        let (other, happens) = (beside.clone(), meanwhile.clone());
        let below = store.clone();
        let stalling = Arc::new(Stalling {
            inner: store,
            calls: AtomicU64::new(0),
            at: opening + call,
            meanwhile: Mutex::new(Some(Box::new(move || happens(&other, &*below)))),
        });
        let project = fixture.through(stalling.clone());
        act(&project, &format!("call {call}"));
        drop(project);
        settled(&beside, want, &format!("stalled at call {call}"));
        if stalling.meanwhile.lock().unwrap().is_some() {
            assert!(call > 3, "only {call} calls");
            break;
        }
    }
}

#[test]
fn whatever_stalls_others_go_on_and_nothing_is_lost() {
    let fixture = Fixture::new();
    let shared = noise(MIB, 5);
    let dead = [shared.clone(), noise(MIB, 6)].concat();
    let kept = [noise(MIB, 7), shared.clone()].concat();
    fixture.backup(1, &dead);
    fixture.backup(2, &kept);
    fixture.backup(3, &noise(MIB, 9));
    fixture.project.delete(id(3)).unwrap();
    let want: &[(u128, &[u8])] = &[(1, &dead), (2, &kept), (4, &dead)];
    let sweep = |project: &ProjectRepository| {
        project.sweep(SweepOptions::default(), &Run::new()).unwrap();
    };
    let drop_and_sweep = move |project: &ProjectRepository, _: &dyn ObjectStore| {
        project.delete(id(1)).unwrap();
        sweep(project);
        sweep(project);
    };
    // A backup that leans on what others delete and sweep.
    let bytes = dead.clone();
    stalled(
        &fixture,
        |project, what| {
            let made = project.backup(&Source(bytes.clone()), request(4), &Run::new());
            assert!(made.is_ok(), "{what}: {made:?}");
        },
        drop_and_sweep,
        want,
    );
    // A restore of what others delete and sweep.
    stalled(
        &fixture,
        |project, what| {
            let target = Target::fresh(dead.len());
            match project.restore(id(1), &target, &Run::new()) {
                Ok(_) => assert!(target.finished() == dead, "{what}"),
                // It was gone before the restore had its session or its manifest.
                Err(emberkeep_engine::RestoreError::NoSuchBackup(_)) => {}
                Err(other) => panic!("{what}: {other:?}"),
            }
        },
        drop_and_sweep,
        want,
    );
    // The same, where an older condemnation is finished, which waits for nobody of today.
    stalled(
        &fixture,
        |project, what| {
            let target = Target::fresh(dead.len());
            match project.restore(id(1), &target, &Run::new()) {
                Ok(_) => assert!(target.finished() == dead, "{what}"),
                Err(emberkeep_engine::RestoreError::NoSuchBackup(_)) => {}
                Err(other) => panic!("{what}: {other:?}"),
            }
            match project.reader(id(1)) {
                Ok(reader) => {
                    let mut bytes = vec![0; dead.len()];
                    match reader.read(0, &mut bytes) {
                        Ok(()) => assert!(bytes == dead, "{what}"),
                        Err(emberkeep_engine::RestoreError::NoSuchBackup(_)) => {}
                        Err(other) => panic!("{what}: {other:?}"),
                    }
                }
                Err(emberkeep_engine::RestoreError::NoSuchBackup(_)) => {}
                Err(other) => panic!("{what}: {other:?}"),
            }
        },
        move |project: &ProjectRepository, store: &dyn ObjectStore| {
            project.delete(id(1)).unwrap();
            // As if their sessions were not: what an older condemnation does not wait for.
            for object in list_all(store, "p/").unwrap() {
                if object.name.contains("/sessions/") {
                    store.delete_many(&[object.name]).unwrap();
                }
            }
            sweep(project);
            sweep(project);
        },
        want,
    );
    // A sweep, while others make a backup that needs what it is about to free.
    let again = noise(MIB, 9);
    let want_again: &[(u128, &[u8])] = &[(1, &dead), (2, &kept), (4, &again)];
    let bytes = again.clone();
    stalled(
        &fixture,
        |project, what| {
            let swept = project.sweep(SweepOptions::default(), &Run::new());
            assert!(swept.is_ok(), "{what}: {swept:?}");
        },
        move |project: &ProjectRepository, _: &dyn ObjectStore| {
            let made = project.backup(&Source(bytes.clone()), request(4), &Run::new());
            made.unwrap();
        },
        want_again,
    );
    // A sweep, while others sweep: one of the two does it.
    stalled(
        &fixture,
        |project, what| match project.sweep(SweepOptions::default(), &Run::new()) {
            Ok(_) | Err(emberkeep_engine::SweepError::Busy(_)) => {}
            Err(other) => panic!("{what}: {other:?}"),
        },
        |project: &ProjectRepository, _: &dyn ObjectStore| {
            let _ = project.sweep(SweepOptions::default(), &Run::new());
        },
        want,
    );
}

#[test]
fn one_failure_of_the_store_is_an_error_or_nothing_and_trying_again_works() {
    let fixture = Fixture::new();
    let shared = noise(MIB, 5);
    let (old, new) = (
        [shared.clone(), noise(MIB, 6)].concat(),
        [noise(MIB, 7), shared].concat(),
    );
    fixture.backup(1, &old);
    fixture.backup(2, &new);
    fixture.backup(3, &noise(MIB, 8));
    fixture.project.delete(id(3)).unwrap();
    type Act<'a> = Box<dyn Fn(&ProjectRepository) -> bool + 'a>;
    let acts: [(&str, Act<'_>); 3] = [
        (
            "restore",
            Box::new(|project| {
                let target = Target::used(vec![7; old.len()]);
                let done = project.restore(id(1), &target, &Run::new()).is_ok();
                assert_eq!(done, *target.finished.lock().unwrap());
                assert!(!done || target.finished() == old);
                done
            }),
        ),
        ("delete", Box::new(|project| project.delete(id(1)).is_ok())),
        (
            "sweep",
            Box::new(|project| project.sweep(SweepOptions::default(), &Run::new()).is_ok()),
        ),
    ];
    for (what, act) in acts {
        for moment in [Moment::Before, Moment::After] {
            for call in 1.. {
                let what = format!("{what} {moment:?} {call}");
                let plan = FaultPlan::new(Counted::All);
                let store = copy(&*fixture.store);
                let faulty = FaultyStore::new(Shared(store.clone()), plan.clone());
                let project = fixture.through(Arc::new(faulty));
                plan.arm(Some(Fault::once(call, moment)));
                let done = act(&project);
                let struck = plan.struck();
                assert!(done || struck, "{what}");
                assert!(done || act(&project), "{what}: not even again");
                settled(&fixture.through(store), &[(1, &old), (2, &new)], &what);
                if !struck {
                    break;
                }
            }
        }
    }
}
