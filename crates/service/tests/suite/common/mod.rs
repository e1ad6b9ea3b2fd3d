//! A whole service in a temporary directory: real catalogue, engine and volumes.
#![allow(dead_code, reason = "each test uses its part of the house")]

use std::future::Future;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use emberkeep_catalog::{Catalog, SqliteCatalog};
use emberkeep_engine::{InitOptions, Repository};
use emberkeep_keys::MasterKey;
use emberkeep_model::{
    Backup, BackupId, BackupState, Caller, Gib, Role, Volume, VolumeId, VolumeStatus,
};
use emberkeep_service::{
    Clock, NewBackup, NewVolume, Service, ServiceError, Settings, SystemClock, Workers,
};
use emberkeep_store::{LocalStore, ObjectStore};
use emberkeep_testkit::content::{Kind, generate};
use emberkeep_volumes::{FileProvider, VolumeProvider};

pub(crate) struct House {
    pub(crate) service: Service,
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) volumes: Arc<FileProvider>,
    pub(crate) repository: Repository,
    pub(crate) dir: tempfile::TempDir,
    clock: Arc<dyn Clock>,
    choose: Choose,
    workers: Option<Workers>,
}

/// What an operator would set.
type Choose = Arc<dyn Fn(&mut Settings) + Send + Sync>;

/// How long anything may take.
const DEADLINE: Duration = Duration::from_secs(60);

impl House {
    pub(crate) async fn new() -> Self {
        Self::at(Arc::new(SystemClock)).await
    }

    /// Builds one as an operator who has chosen something.
    pub(crate) async fn with(choose: impl Fn(&mut Settings) + Send + Sync + 'static) -> Self {
        let mut house = Self::new().await;
        house.choose = Arc::new(choose);
        house.restarted().await
    }

    /// Builds one with a clock of the test's own.
    pub(crate) async fn at(clock: Arc<dyn Clock>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::create(dir.path().join("repository")).unwrap();
        Self::over(dir, Arc::new(store), clock, |_| {}).await
    }

    /// Builds one in a directory and over a store of the test's own.
    pub(crate) async fn over(
        dir: tempfile::TempDir,
        store: Arc<dyn ObjectStore>,
        clock: Arc<dyn Clock>,
        choose: impl Fn(&mut Settings) + Send + Sync + 'static,
    ) -> Self {
        let key = MasterKey::create(&dir.path().join("master.key")).unwrap();
        let repository = Repository::init(store, &key, InitOptions::default()).unwrap();
        Self::build(dir, repository, clock, Arc::new(choose)).await
    }

    async fn build(
        dir: tempfile::TempDir,
        repository: Repository,
        clock: Arc<dyn Clock>,
        choose: Choose,
    ) -> Self {
        let catalog: Arc<dyn Catalog> = Arc::new(
            SqliteCatalog::open(dir.path().join("catalogue.db"))
                .await
                .unwrap(),
        );
        let volumes = Arc::new(FileProvider::open(dir.path()).unwrap());
        let mut settings = Settings {
            sweep_delay_secs: 0,
            grace_secs: 1,
            ..Settings::default()
        };
        choose(&mut settings);
        let service = Service::new(
            Arc::clone(&catalog),
            repository.clone(),
            Arc::clone(&volumes) as Arc<dyn VolumeProvider>,
            Arc::clone(&clock),
            settings,
        );
        service.recover().await.unwrap();
        Self {
            service,
            catalog,
            volumes,
            repository,
            dir,
            clock,
            choose,
            workers: None,
        }
    }

    /// Starts the workers.
    pub(crate) fn work(mut self) -> Self {
        self.workers = Some(Workers::start(self.service.clone()));
        self
    }

    /// Stops the workers and comes back as a new process would.
    pub(crate) async fn restarted(mut self) -> Self {
        if let Some(workers) = self.workers.take() {
            workers.stop().await;
        }
        let (dir, repository, clock) = (self.dir, self.repository, self.clock);
        drop((self.service, self.catalog, self.volumes));
        Self::build(dir, repository, clock, self.choose).await
    }

    pub(crate) fn path(&self, volume: VolumeId) -> PathBuf {
        self.volumes.path(volume).unwrap()
    }

    pub(crate) async fn volume(&self, caller: &Caller, name: &str) -> Volume {
        let new = NewVolume {
            name: Some(name.into()),
            size: Some(Gib(1)),
            ..NewVolume::default()
        };
        let volume = self.service.create_volume(caller, new).await.unwrap();
        self.volume_is(caller, volume.id, VolumeStatus::Available)
            .await
    }

    /// Writes data of a kind at an offset of a volume's file.
    pub(crate) fn write(&self, volume: VolumeId, offset: u64, seed: u64, size: usize) {
        let file = std::fs::OpenOptions::new()
            .write(true)
            .open(self.path(volume))
            .unwrap();
        file.write_all_at(&generate(Kind::Text, size, seed), offset)
            .unwrap();
        file.sync_all().unwrap();
    }

    pub(crate) fn content(&self, volume: VolumeId) -> blake3_hash::Hash {
        blake3_hash::of(&self.path(volume))
    }

    pub(crate) async fn volume_is(
        &self,
        caller: &Caller,
        id: VolumeId,
        want: VolumeStatus,
    ) -> Volume {
        let look = || async { self.service.volume(caller, id).await.unwrap() };
        until(&format!("volume {id} to be {want}"), look, |v| {
            v.status == want
        })
        .await
    }

    pub(crate) async fn volume_gone(&self, caller: &Caller, id: VolumeId) {
        let look = || async { self.service.volume(caller, id).await.err() };
        let gone = |e: &Option<ServiceError>| matches!(e, Some(ServiceError::NoSuchVolume(_)));
        until("the volume to go", look, gone).await;
    }

    pub(crate) async fn backup(&self, caller: &Caller, new: NewBackup) -> Backup {
        let backup = self.service.create_backup(caller, new).await.unwrap();
        self.available(caller, backup.id).await
    }

    pub(crate) async fn available(&self, caller: &Caller, id: BackupId) -> Backup {
        let look = || async { self.service.backup(caller, id).await.unwrap() };
        let settled = until("the backup to settle", look, |b| !b.state.is_busy()).await;
        assert!(
            matches!(settled.state, BackupState::Available(_)),
            "{:?} {:?}",
            settled.state,
            settled.fail_reason
        );
        Arc::unwrap_or_clone(settled)
    }

    /// Waits until a damaged backup is available again.
    pub(crate) async fn healed(&self, caller: &Caller, id: BackupId) -> Backup {
        let look = || async { self.service.backup(caller, id).await.unwrap() };
        let whole = |b: &Arc<Backup>| matches!(b.state, BackupState::Available(_));
        Arc::unwrap_or_clone(until("the backup to be healed", look, whole).await)
    }

    pub(crate) async fn backup_gone(&self, caller: &Caller, id: BackupId) {
        let look = || async { self.service.backup(caller, id).await.err() };
        let gone = |e: &Option<ServiceError>| matches!(e, Some(ServiceError::NoSuchBackup(_)));
        until("the backup to go", look, gone).await;
    }
}

pub(crate) fn caller(project: &str, role: Role) -> Caller {
    Caller {
        user_id: "0123456789abcdef0123456789abcdef".parse().unwrap(),
        project_id: project.parse().unwrap(),
        roles: role.implied().to_vec(),
        request_id: "req-11111111-2222-3333-4444-555555555555".into(),
    }
}

pub(crate) fn of(volume: VolumeId) -> NewBackup {
    NewBackup {
        volume_id: volume,
        snapshot_id: None,
        name: None,
        description: None,
        container: None,
        availability_zone: None,
        incremental: false,
        force: false,
        metadata: Default::default(),
    }
}

/// Looks again and again until something holds.
pub(crate) async fn until<T, F>(what: &str, look: impl Fn() -> F, holds: impl Fn(&T) -> bool) -> T
where
    F: Future<Output = T>,
    T: std::fmt::Debug,
{
    let begun = Instant::now();
    loop {
        let seen = look().await;
        if holds(&seen) {
            return seen;
        }
        assert!(
            begun.elapsed() < DEADLINE,
            "waited too long for {what}: {seen:?}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Hashes sparse files without reading their holes twice.
pub(crate) mod blake3_hash {
    use std::path::Path;

    pub(crate) type Hash = blake3::Hash;

    pub(crate) fn of(path: &Path) -> Hash {
        let mut hasher = blake3::Hasher::new();
        hasher
            .update_reader(std::fs::File::open(path).unwrap())
            .unwrap();
        hasher.finalize()
    }
}
