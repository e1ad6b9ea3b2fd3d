//! The service: its ports and what every use case shares.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use emberkeep_catalog::{Catalog, Change, Row};
use emberkeep_engine::{Repository, Run};
use emberkeep_model::{
    Backup, BackupId, Caller, Checkpoint, CheckpointId, ProjectId, Snapshot, SnapshotId, Task,
    TaskId, Timestamp, Vault, VaultId, Volume, VolumeId, Work, WorkerStatus,
};
use emberkeep_volumes::VolumeProvider;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::quotas::defaults::TURNS;
use crate::settings::Settings;
use crate::{Clock, ServiceError};

/// Whose things a list shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Those of the caller's project.
    Own,
    /// Those of all projects, for an administrator; for others the same as [`Reach::Own`].
    AllProjects,
}

/// Every use case, over the ports. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) repository: Repository,
    pub(crate) volumes: Arc<dyn VolumeProvider>,
    pub(crate) regions: Arc<crate::Regions>,
    /// Where the drivers of Cinder keep backups.
    pub(crate) foreign: Arc<[crate::ForeignRepository]>,
    /// Serves backups over NBD, where the operator wants that.
    pub(crate) exports: Option<Arc<crate::ExportServer>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: Arc<Settings>,
    /// Wakes the workers when a task was written.
    pub(crate) nudge: Arc<Notify>,
    /// Wakes the reconcilers when something was changed that they look at.
    pub(crate) reconcile: Arc<Notify>,
    /// How the background workers fare.
    pub(crate) workers: Arc<crate::WorkerTable>,
    /// What the damage worker has to look into.
    pub(crate) damage: Arc<crate::repository::damage::queue::DamageQueue>,
    /// The vaults that retention looks at next.
    pub(crate) retention: Arc<crate::policy::retention_queue::RetentionQueue>,
    /// The runs of this process, for their live progress and for cancelling.
    pub(crate) runs: Arc<Mutex<HashMap<TaskId, Run>>>,
    /// Copies of the catalog in the repository, where the operator wants them.
    pub(crate) catalog_copies: Option<Arc<crate::CatalogCopies>>,
    /// How much space is free, where somebody looks.
    pub(crate) space: Option<Arc<dyn crate::Space>>,
    /// Whoever adds to a project takes its turn; see `quotas.rs`.
    pub(crate) turns: Arc<[tokio::sync::Mutex<()>; TURNS]>,
}

impl Service {
    /// Joins the ports.
    pub fn new(
        catalog: Arc<dyn Catalog>,
        repository: Repository,
        volumes: Arc<dyn VolumeProvider>,
        clock: Arc<dyn Clock>,
        settings: Settings,
    ) -> Self {
        let workers = Arc::new(crate::WorkerTable::new(Arc::clone(&clock)));
        Self {
            catalog,
            repository,
            volumes,
            regions: Arc::default(),
            foreign: Arc::from([]),
            exports: None,
            clock,
            settings: Arc::new(settings),
            nudge: Arc::new(Notify::new()),
            reconcile: Arc::new(Notify::new()),
            workers,
            damage: Arc::default(),
            retention: Arc::default(),
            runs: Arc::new(Mutex::new(HashMap::new())),
            catalog_copies: None,
            space: None,
            turns: Arc::default(),
        }
    }

    /// Returns what the operator chose.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns how the background workers of this process fare.
    pub fn worker_table(&self) -> &Arc<crate::WorkerTable> {
        &self.workers
    }

    /// Lists the background workers of this process, for administrators.
    pub fn list_workers(&self, caller: &Caller) -> Result<Vec<WorkerStatus>, ServiceError> {
        self.allow(caller, "workers:get_all")?;
        Ok(self.workers.all())
    }

    /// Returns this instant.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Makes the changes together and wakes the workers if a task is among them.
    pub(crate) async fn commit(&self, changes: Vec<Change>) -> Result<(), ServiceError> {
        self.check_space_for(&changes)?;
        let wakes = changes
            .iter()
            .any(|change| matches!(change, Change::Insert(Row::Task(_))));
        self.catalog.apply(changes).await?;
        if wakes {
            self.nudge.notify_one();
        }
        Ok(())
    }

    /// Begins a task for `caller`; its references are filled in by the use case.
    pub(crate) fn new_task(&self, caller: &Caller, work: Work) -> Task {
        Task::new(TaskId(Uuid::new_v4()), caller, work, self.now())
    }

    /// Returns a volume the caller may know of.
    pub(crate) async fn visible_volume(
        &self,
        caller: &Caller,
        id: VolumeId,
    ) -> Result<Volume, ServiceError> {
        let found = self.catalog.volume(id).await?;
        found
            .filter(|volume| caller.sees(&volume.project_id))
            .ok_or(ServiceError::NoSuchVolume(id))
    }

    /// Returns a snapshot the caller may know of.
    pub(crate) async fn visible_snapshot(
        &self,
        caller: &Caller,
        id: SnapshotId,
    ) -> Result<Snapshot, ServiceError> {
        let found = self.catalog.snapshot(id).await?;
        found
            .filter(|snapshot| caller.sees(&snapshot.project_id))
            .ok_or(ServiceError::NoSuchSnapshot(id))
    }

    /// Returns a backup of a volume that the caller may know of, deleted ones excepted. Those of
    /// servers and file systems are CBR's alone.
    pub(crate) async fn visible_backup(
        &self,
        caller: &Caller,
        id: BackupId,
    ) -> Result<Backup, ServiceError> {
        let found = self.catalog.backup(id).await?;
        found
            .filter(|backup| shows(caller, backup))
            .ok_or(ServiceError::NoSuchBackup(id))
    }

    /// Returns such a backup for whoever only looks at it.
    pub(crate) async fn seen_backup(
        &self,
        caller: &Caller,
        id: BackupId,
    ) -> Result<Arc<Backup>, ServiceError> {
        let found = self.catalog.backup_seen(id).await?;
        found
            .filter(|backup| shows(caller, backup))
            .ok_or(ServiceError::NoSuchBackup(id))
    }

    /// Returns a vault of the caller's own project.
    pub(crate) async fn own_vault(
        &self,
        caller: &Caller,
        id: VaultId,
    ) -> Result<Vault, ServiceError> {
        let found = self.catalog.vault(id).await?;
        found
            .filter(|vault| vault.project_id == caller.project_id)
            .ok_or(ServiceError::NoSuchVault(id))
    }

    /// Returns a checkpoint of the caller's own project.
    pub(crate) async fn own_checkpoint(
        &self,
        caller: &Caller,
        id: CheckpointId,
    ) -> Result<Checkpoint, ServiceError> {
        let found = self.catalog.checkpoint(id).await?;
        found
            .filter(|checkpoint| checkpoint.project_id == caller.project_id)
            .ok_or(ServiceError::NoSuchCheckpoint(id))
    }

    /// Refuses unless the caller may do what `rule` is about. Call it only after visibility is settled.
    pub(crate) fn allow(&self, caller: &Caller, rule: &'static str) -> Result<(), ServiceError> {
        self.settings.policy.check(caller, rule)
    }

    /// Tells whether the caller may see whose a backup is: its project, and its user.
    pub fn may_see_owners(&self, caller: &Caller) -> bool {
        let rule = "backup:backup_project_attribute";
        self.settings.policy.allows(caller, rule)
    }

    /// Tells whether the caller may see where a file system lies on the service's host.
    pub fn may_see_host_paths(&self, caller: &Caller) -> bool {
        let rule = "file_system:host_path";
        self.settings.policy.allows(caller, rule)
    }

    /// Tells whether the caller may see, with the limits of a project, how much of them is used.
    pub fn may_see_usage(&self, caller: &Caller) -> bool {
        let rule = "limits_extension:used_limits";
        self.settings.policy.allows(caller, rule)
    }

    /// Tells a run of this process to stop.
    pub(crate) fn cancel_run(&self, task: TaskId) {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(run) = runs.get(&task) {
            run.cancel();
        }
    }

    /// Returns the project a list is restricted to.
    pub(crate) fn reach(
        caller: &Caller,
        reach: Reach,
        asked: Option<ProjectId>,
    ) -> Option<ProjectId> {
        match reach {
            Reach::AllProjects if caller.is_admin() => asked,
            Reach::AllProjects | Reach::Own => Some(caller.project_id.clone()),
        }
    }

    /// Notes a run of this process.
    pub(crate) fn register_run(&self, task: TaskId, run: &Run) {
        self.runs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(task, run.clone());
    }

    /// Forgets a run of this process.
    pub(crate) fn forget_run(&self, task: TaskId) {
        self.runs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&task);
    }
}

/// Tells whether Block Storage shows a backup to the caller.
fn shows(caller: &Caller, backup: &Backup) -> bool {
    backup.deleted_at.is_none() && backup.is_of_volume() && caller.sees(&backup.project_id)
}
