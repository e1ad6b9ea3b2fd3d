//! What copies and restores for longer than a task may is ended, whoever works on it.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use crate::common;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::SeqCst};
use std::time::Duration;

use common::{House, caller, of, until};
use emberkeep_model::{
    BackupId, BackupState, Caller, Role, Task, TaskState, Timestamp, VolumeId, VolumeStatus,
};
use emberkeep_service::query::TaskQuery;
use emberkeep_service::{Clock, RestoreTo};
use emberkeep_store::{Listed, LocalStore, ObjectStore, StoreError};
use emberkeep_volumes::VolumeProvider;

const MIB: usize = 1 << 20;
const HOUR: i64 = 3600;
const LATE: &str = "it took longer than 2 hours";

/// A clock that stands until it is moved.
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(SeqCst))
    }
}

impl Hand {
    fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(1_772_409_600_000_000)))
    }

    fn move_on(&self, secs: i64) {
        self.0.fetch_add(secs * 1_000_000, SeqCst);
    }
}

/// A store to which nothing can be written while it is shut.
struct Gated {
    inner: LocalStore,
    shut: AtomicBool,
    waited_for: AtomicBool,
}

impl Gated {
    fn pass(&self) {
        while self.shut.load(SeqCst) {
            self.waited_for.store(true, SeqCst);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl ObjectStore for Gated {
    fn put_if_absent(&self, name: &str, parts: &[&[u8]]) -> Result<(), StoreError> {
        self.pass();
        self.inner.put_if_absent(name, parts)
    }
    fn put(&self, name: &str, parts: &[&[u8]]) -> Result<(), StoreError> {
        self.pass();
        self.inner.put(name, parts)
    }
    fn get(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        self.inner.get(name)
    }
    fn get_range(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        self.inner.get_range(name, range)
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

/// Builds a house whose tasks may take two hours.
async fn house(clock: &Arc<Hand>, dir: tempfile::TempDir, store: Arc<dyn ObjectStore>) -> House {
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    House::over(dir, store, clock, |settings| {
        settings.task_timeout_hours = 2;
    })
    .await
}

fn member() -> Caller {
    caller("alpha", Role::Member)
}

/// Returns the newest task about a backup.
async fn task_of(house: &House, backup: BackupId) -> Task {
    let query = TaskQuery {
        backup: Some(backup),
        ..TaskQuery::default()
    };
    let found = house.service.tasks(&member(), query).await.unwrap();
    found.items.into_iter().next().unwrap()
}

/// Waits for the newest task about a backup to end, which must be for its time.
async fn ends_late(house: &House, backup: BackupId) -> Task {
    let look = || task_of(house, backup);
    let ended = until("the task to end", look, |task| task.state.has_ended()).await;
    let reason = LATE.to_owned();
    assert_eq!(ended.state, TaskState::TimedOut { reason });
    assert!(ended.ended_at.is_some());
    ended
}

/// Looks for everything that a backup which took too long has to leave as a failed one does.
async fn failed_and_gone(house: &House, volume: VolumeId, backup: BackupId) {
    let (alice, service) = (member(), &house.service);
    let row = service.backup(&alice, backup).await.unwrap();
    let reason = LATE.to_owned();
    assert_eq!(row.state, BackupState::Failed { reason });
    assert_eq!(row.fail_reason.as_deref(), Some(LATE));
    house
        .volume_is(&alice, volume, VolumeStatus::Available)
        .await;
    let frozen = || async { house.volumes.freezes().unwrap() };
    until("the frozen copy to go", frozen, Vec::is_empty).await;
    // As good as new: it can be deleted, and the volume backed up.
    service.delete_backup(&alice, backup).await.unwrap();
    house.backup_gone(&alice, backup).await;
    house.backup(&alice, of(volume)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_ended_when_its_time_is_up() {
    let (clock, dir) = (Hand::new(), tempfile::tempdir().unwrap());
    let store = Arc::new(Gated {
        inner: LocalStore::create(dir.path().join("repository")).unwrap(),
        shut: AtomicBool::new(false),
        waited_for: AtomicBool::new(false),
    });
    let over = Arc::clone(&store) as Arc<dyn ObjectStore>;
    let house = house(&clock, dir, over).await.work();
    let alice = member();
    let volume = house.volume(&alice, "data").await;
    house.write(volume.id, 0, 1, 4 * MIB);

    // Not a moment too early.
    let id = held(&house, &store, volume.id).await;
    clock.move_on(2 * HOUR - 2);
    looked_at(&house, &clock, id).await;
    store.shut.store(false, SeqCst);
    house.available(&alice, id).await;
    assert_eq!(task_of(&house, id).await.state, TaskState::Succeeded);

    house.write(volume.id, 0, 2, 4 * MIB);
    let id = held(&house, &store, volume.id).await;
    clock.move_on(2 * HOUR);
    looked_at(&house, &clock, id).await;
    store.shut.store(false, SeqCst);
    let ended = ends_late(&house, id).await;
    assert_eq!(ended.ended_at, Some(clock.now()));
    failed_and_gone(&house, volume.id, id).await;
}

/// Begins a backup that cannot write anything.
async fn held(house: &House, store: &Gated, volume: VolumeId) -> BackupId {
    store.waited_for.store(false, SeqCst);
    store.shut.store(true, SeqCst);
    let made = house.service.create_backup(&member(), of(volume)).await;
    let begun = || async { store.waited_for.load(SeqCst) };
    until("the copy to wait", begun, |begun| *begun).await;
    made.unwrap().id
}

/// Waits until the worker has looked at the time, as it does every second: once it has seen the
/// next one it has drawn its conclusions from this one.
async fn looked_at(house: &House, clock: &Hand, backup: BackupId) {
    let seen = || task_of(house, backup);
    for on in [0, 1] {
        clock.move_on(on);
        let now = clock.now();
        until("a look at the time", seen, |task| task.updated_at == now).await;
    }
}

/// Lets a worker that is never heard of again take up what waits.
async fn begin_and_die(house: &House, clock: &Hand) {
    let now = clock.now();
    let claimed = house.catalog.claim_task("dead", now, now.plus_secs(30));
    assert!(claimed.await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_all_attempts_counts() {
    let (clock, dir) = (Hand::new(), tempfile::tempdir().unwrap());
    let store = LocalStore::create(dir.path().join("repository")).unwrap();
    let house = house(&clock, dir, Arc::new(store)).await.work();
    let alice = member();
    let volume = house.volume(&alice, "data").await;
    house.write(volume.id, 0, 1, MIB);
    let kept = house.backup(&alice, of(volume.id)).await;

    // Waiting is no work: it does not count.
    let house = house.restarted().await;
    let made = house.service.create_backup(&alice, of(volume.id)).await;
    let id = made.unwrap().id;
    clock.move_on(3 * HOUR);
    begin_and_die(&house, &clock).await;
    clock.move_on(HOUR);
    begin_and_die(&house, &clock).await;
    clock.move_on(HOUR);
    let house = house.work();
    let ended = ends_late(&house, id).await;
    assert_eq!(ended.generation, 3);
    failed_and_gone(&house, volume.id, id).await;

    // So it is with a restore: the target has failed, the backup is as good as it was.
    let house = house.restarted().await;
    let to = RestoreTo::Existing(volume.id);
    let restore = house.service.restore_backup(&alice, kept.id, to).await;
    restore.unwrap();
    begin_and_die(&house, &clock).await;
    clock.move_on(2 * HOUR);
    let house = house.work();
    ends_late(&house, kept.id).await;
    house
        .volume_is(&alice, volume.id, VolumeStatus::ErrorRestoring)
        .await;
    let backup = house.available(&alice, kept.id).await;
    assert_eq!(backup.fail_reason.as_deref(), Some(LATE));
}
