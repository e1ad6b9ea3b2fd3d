//! A catalogue that fails, tears, stalls or dies at any of its calls while backups, restores,
//! deletes and sweeps go on: what was reported stands, and all comes to rest again.
//!
//! Every so many calls are struck each time; `EMBERKEEP_CATALOGUE_FAULTS=1 cargo test -p
//! emberkeep-service --test suite catalogue` strikes them all. Kills of the whole process at each
//! durable step, those of the catalogue among them, are `tests-e2e/suite_crash_steps.py`.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod faulty;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use emberkeep_catalog::{Catalog, SqliteCatalog};
use emberkeep_engine::{
    CheckOptions, InitOptions, ProjectRepository, Repository, Run, SweepOptions,
};
use emberkeep_keys::MasterKey;
use emberkeep_model::{
    BackupId, BackupState, ByteCount, Caller, Gib, Role, VolumeId, VolumeStatus,
};
use emberkeep_service::query::{BackupQuery, TaskQuery, VolumeQuery};
use emberkeep_service::{NewBackup, NewVolume, RestoreTo, Service, Settings, SystemClock, Workers};
use emberkeep_store::{LocalStore, ObjectStore};
use emberkeep_testkit::content::{Kind, generate};
use emberkeep_volumes::{FileProvider, RestoreTarget, TargetState, VolumeError, VolumeProvider};
use faulty::{Fate, Faulty, Mishap};

const MIB: usize = 1 << 20;
/// All that is ever written lies before it.
const WRITTEN: usize = 6 * MIB;
/// How long it takes at most until all has come to rest.
const DEADLINE: Duration = Duration::from_secs(120);
/// Rounds at a time: most of each is waiting.
const AT_ONCE: usize = 6;

fn caller() -> Caller {
    Caller {
        user_id: "0123456789abcdef0123456789abcdef".parse().unwrap(),
        project_id: "alpha".parse().unwrap(),
        roles: Role::Admin.implied().to_vec(),
        request_id: "req-11111111-2222-3333-4444-555555555555".into(),
    }
}

/// A service on a directory, with a catalogue that can come to grief.
struct Site {
    service: Service,
    catalog: Arc<dyn Catalog>,
    volumes: Arc<FileProvider>,
    repository: Repository,
    workers: Workers,
}

impl Site {
    async fn open(dir: &Path, fate: &Fate) -> Self {
        let key = MasterKey::load(&dir.join("master.key")).unwrap();
        let store: Arc<dyn ObjectStore> =
            Arc::new(LocalStore::open(dir.join("repository")).unwrap());
        let repository = Repository::open(store, &key).unwrap();
        let inner = SqliteCatalog::open(dir.join("catalogue.db")).await.unwrap();
        let catalog: Arc<dyn Catalog> = Arc::new(Faulty {
            inner: Arc::new(inner),
            fate: fate.clone(),
        });
        let volumes = Arc::new(FileProvider::open(dir).unwrap());
        let settings = Settings {
            sweep_delay_secs: 0,
            grace_secs: 1,
            lease_secs: 4,
            ..Settings::default()
        };
        let provider = Arc::clone(&volumes) as Arc<dyn VolumeProvider>;
        let service = Service::new(
            Arc::clone(&catalog),
            repository.clone(),
            provider,
            Arc::new(SystemClock),
            settings,
        );
        service.recover().await.unwrap();
        let workers = Workers::start(service.clone());
        Self {
            service,
            catalog,
            volumes,
            repository,
            workers,
        }
    }

    async fn close(self) {
        self.workers.stop().await;
    }

    fn project(&self) -> ProjectRepository {
        self.repository.project("alpha").unwrap()
    }

    fn write(&self, volume: VolumeId, offset: u64, seed: u64, size: usize) {
        let path = self.volumes.path(volume).unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        file.write_all_at(&generate(Kind::Text, size, seed), offset)
            .unwrap();
    }

    fn content(&self, volume: VolumeId) -> Vec<u8> {
        let file = std::fs::File::open(self.volumes.path(volume).unwrap()).unwrap();
        let mut bytes = vec![0; WRITTEN];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    /// Waits until no task is left; `None` where the catalogue has died meanwhile.
    async fn rest(&self, fate: &Fate) -> Option<()> {
        let begun = Instant::now();
        loop {
            let all = self.service.tasks(&caller(), TaskQuery::default()).await;
            if let Ok(tasks) = &all
                && tasks.items.iter().all(|task| task.state.has_ended())
            {
                return Some(());
            }
            if fate.is_dead() {
                return None;
            }
            assert!(
                begun.elapsed() < DEADLINE,
                "it does not come to rest: {all:?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn backup(&self, volume: VolumeId, incremental: bool) -> Option<BackupId> {
        let new = NewBackup {
            volume_id: volume,
            snapshot_id: None,
            name: None,
            description: None,
            container: None,
            availability_zone: None,
            incremental,
            force: false,
            metadata: BTreeMap::new(),
        };
        self.service
            .create_backup(&caller(), new)
            .await
            .ok()
            .map(|backup| backup.id)
    }

    /// Tells whether a backup is reported to be available.
    async fn reported(&self, backup: BackupId) -> bool {
        let found = self.service.backup(&caller(), backup).await;
        found.is_ok_and(|backup| matches!(backup.state, BackupState::Available(_)))
    }
}

/// What is there before anything goes wrong.
struct Before {
    dir: tempfile::TempDir,
    volume: VolumeId,
    /// What each backup holds.
    backups: Vec<(BackupId, Vec<u8>)>,
    /// What the volume holds.
    now: Vec<u8>,
}

async fn before() -> Before {
    let dir = tempfile::tempdir().unwrap();
    let key = MasterKey::create(&dir.path().join("master.key")).unwrap();
    let store = Arc::new(LocalStore::create(dir.path().join("repository")).unwrap());
    Repository::init(store, &key, InitOptions::default()).unwrap();
    let fate = Fate::default();
    let site = Site::open(dir.path(), &fate).await;
    let new = NewVolume {
        name: Some("data".into()),
        size: Some(Gib(1)),
        ..NewVolume::default()
    };
    let volume = site.service.create_volume(&caller(), new).await.unwrap().id;
    site.rest(&fate).await.unwrap();
    let mut backups = Vec::new();
    for (n, offset) in [(1, 0), (2, 2 * MIB)] {
        site.write(volume, offset as u64, n, 2 * MIB);
        let backup = site.backup(volume, n > 1).await.unwrap();
        site.rest(&fate).await.unwrap();
        assert!(site.reported(backup).await);
        backups.push((backup, site.content(volume)));
    }
    site.write(volume, 3 * MIB as u64, 3, 2 * MIB);
    let now = site.content(volume);
    site.close().await;
    // The database is closed by threads of its own; what is copied has to stand still.
    let begun = Instant::now();
    while dir.path().join("catalogue.db-wal").exists() && begun.elapsed() < DEADLINE {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Before {
        dir,
        volume,
        backups,
        now,
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let place = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &place);
        } else {
            // Volumes are mostly holes.
            let status = std::process::Command::new("cp")
                .args(["--sparse=always", "--preserve=mode"])
                .arg(entry.path())
                .arg(place)
                .status();
            assert!(status.unwrap().success());
        }
    }
}

/// The first bytes of a restored volume; the rest must stay untouched.
struct Prefix(Mutex<Vec<u8>>);

impl RestoreTarget for Prefix {
    fn size(&self) -> ByteCount {
        ByteCount(1 << 30)
    }
    fn state(&self) -> TargetState {
        TargetState::Zeroed
    }
    fn read_at(&self, _: u64, _: &mut [u8]) -> Result<(), VolumeError> {
        unreachable!("it is new")
    }
    fn write_at(&self, offset: u64, buf: &[u8]) -> Result<(), VolumeError> {
        let at = usize::try_from(offset).unwrap();
        self.0.lock().unwrap()[at..at + buf.len()].copy_from_slice(buf);
        Ok(())
    }
    fn zero(&self, _: Range<u64>) -> Result<(), VolumeError> {
        Ok(())
    }
    fn finish(&self) -> Result<(), VolumeError> {
        Ok(())
    }
}

fn restored(project: &ProjectRepository, backup: BackupId) -> Vec<u8> {
    let target = Prefix(Mutex::new(vec![0; WRITTEN]));
    project.restore(backup, &target, &Run::new()).unwrap();
    target.0.into_inner().unwrap()
}

/// Does everything with one mishap; returns which call was struck, and how many there were.
async fn round(before: &Before, mishap: Mishap, call: u64) -> (Option<&'static str>, u64) {
    let what = format!("{mishap:?} at call {call}");
    let dir = tempfile::tempdir().unwrap();
    copy(before.dir.path(), dir.path());
    let fate = Fate::default();
    let site = Site::open(dir.path(), &fate).await;
    fate.arm(Some((mishap, call)));
    let (one, two) = (before.backups[0].0, before.backups[1].0);

    let made = site.backup(before.volume, true).await;
    site.rest(&fate).await;
    let made_reported = match made {
        Some(made) => site.reported(made).await,
        None => false,
    };
    let target = site
        .service
        .restore_backup(&caller(), two, RestoreTo::New { name: None })
        .await;
    site.rest(&fate).await;
    let target = target.ok().map(|restore| restore.volume.id);
    let deleted = site.service.delete_backup(&caller(), one).await.is_ok();
    site.rest(&fate).await;
    let (struck, calls) = (fate.struck(), fate.told().values().sum());

    // Whatever died comes back as a new process would.
    site.close().await;
    fate.arm(None);
    let site = Site::open(dir.path(), &fate).await;
    site.rest(&fate).await.unwrap();
    judge(&site, before, made, &what).await;
    let shown = shown(&site).await;
    assert!(shown.contains(&two), "{what}: it was there all along");
    assert!(deleted || struck.is_some(), "{what}: nothing failed");
    assert!(!(deleted && shown.contains(&one)), "{what}: it was deleted");
    if let Some(made) = made.filter(|_| made_reported) {
        assert!(shown.contains(&made), "{what}: it was reported");
    }
    if let Some(target) = target {
        let volume = site.service.volume(&caller(), target).await.unwrap();
        let done = volume.status == VolumeStatus::Available;
        assert!(done || struck.is_some(), "{what}: {volume:?}");
        if done {
            assert!(
                site.content(target) == before.backups[1].1,
                "{what}: the target"
            );
        }
    }
    site.close().await;
    (struck, calls)
}

async fn shown(site: &Site) -> BTreeSet<BackupId> {
    let all = site.catalog.backups(&BackupQuery::default()).await.unwrap();
    let settled = all
        .items
        .into_iter()
        .filter(|b| matches!(b.state, BackupState::Available(_)));
    settled.map(|backup| backup.id).collect()
}

/// What is shown restores, nothing is left in the middle, and sweeps leave what is shown.
async fn judge(site: &Site, before: &Before, made: Option<BackupId>, what: &str) {
    let project = site.project();
    let shown = shown(site).await;
    let want = |id: &BackupId| {
        let older = before.backups.iter().find(|(other, _)| other == id);
        older.map_or(&before.now, |(_, bytes)| bytes)
    };
    for backup in &shown {
        assert!(
            restored(&project, *backup) == *want(backup),
            "{what}: {backup}"
        );
    }
    let all = site.catalog.backups(&BackupQuery::default()).await.unwrap();
    for backup in all.items {
        assert!(!backup.state.is_busy(), "{what}: {:?}", backup.state);
        let known =
            made == Some(backup.id) || before.backups.iter().any(|(id, _)| *id == backup.id);
        // Where the answer to the request was lost, the client does not know its name.
        assert!(known || made.is_none(), "{what}: {}", backup.id);
    }
    for volume in site
        .catalog
        .volumes(&VolumeQuery::default())
        .await
        .unwrap()
        .items
    {
        let rests = [
            VolumeStatus::Available,
            VolumeStatus::Error,
            VolumeStatus::ErrorBackingUp,
            VolumeStatus::ErrorRestoring,
        ];
        assert!(rests.contains(&volume.status), "{what}: {}", volume.status);
    }
    assert!(
        site.volumes.freezes().unwrap().is_empty(),
        "{what}: {:?}",
        site.volumes.freezes()
    );
    for _ in 0..2 {
        project.sweep(SweepOptions::default(), &Run::new()).unwrap();
    }
    let idle = project.sweep(SweepOptions::default(), &Run::new()).unwrap();
    assert_eq!((idle.deleted_packs, idle.dead_packs), (0, 0), "{what}");
    let sound = project
        .check(CheckOptions { read_data: true }, &Run::new())
        .unwrap();
    assert!(sound.problems.is_empty(), "{what}: {:?}", sound.problems);
    let stored: BTreeSet<BackupId> = project
        .manifests()
        .unwrap()
        .readable
        .iter()
        .map(|m| m.backup_id)
        .collect();
    assert!(stored.is_superset(&shown), "{what}: {stored:?}, {shown:?}");
    for backup in stored.difference(&shown) {
        // A deletion that failed leaves a backup in error, to be deleted again.
        let row = site.catalog.backup(*backup).await.unwrap().unwrap();
        let kept = matches!(row.state, BackupState::Failed { .. }) && row.deleted_at.is_none();
        assert!(kept && *backup == before.backups[0].0, "{what}: {row:?}");
        let again = site.service.delete_backup(&caller(), *backup).await;
        assert!(again.is_ok(), "{what}: {again:?}");
        site.rest(&Fate::default()).await.unwrap();
        assert!(project.manifest(*backup).is_err(), "{what}");
    }
    for backup in &shown {
        assert!(
            restored(&project, *backup) == *want(backup),
            "{what}: {backup}, swept"
        );
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

#[test]
fn whatever_the_catalogue_does_nothing_is_lost() {
    let before = runtime().block_on(before());
    let (_, calls) = runtime().block_on(round(&before, Mishap::Stalls, u64::MAX));
    assert!(calls > 60, "{calls}");
    let stride = std::env::var("EMBERKEEP_CATALOGUE_FAULTS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(17);
    let mut rounds = Vec::new();
    let kinds = [
        Mishap::Fails,
        Mishap::Tears,
        Mishap::Stalls,
        Mishap::Dies,
        Mishap::DiesAfter,
    ];
    for (n, mishap) in (0..).zip(kinds) {
        // Each kind strikes other calls, so that a coarse run still meets most kinds of call.
        let first = 1 + n * stride / 5;
        let calls = (first..=calls).step_by(usize::try_from(stride).unwrap());
        rounds.extend(calls.map(|call| (mishap, call)));
    }
    let count = rounds.len() as u64;
    let (rounds, met) = (
        Mutex::new(rounds.into_iter()),
        Mutex::new(BTreeMap::<_, u64>::new()),
    );
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = rounds.lock().unwrap().next();
                    let Some((mishap, call)) = next else { break };
                    // A runtime of its own: what is left of a round ends with it.
                    if let (Some(name), _) = runtime().block_on(round(&before, mishap, call)) {
                        *met.lock().unwrap().entry(name).or_default() += 1;
                    }
                }
            });
        }
    });
    let met = met.into_inner().unwrap();
    let struck: u64 = met.values().sum();
    println!("{count} rounds over {calls} calls, {struck} struck: {met:?}");
    assert!(met.len() > 5 && struck * 10 > count * 8, "{met:?}");
}
