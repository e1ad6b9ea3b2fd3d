//! What each kind of task does (`act`, slow, may run twice) and which rows follow
//! from how it ended (`rows_after`, quick, read and written together).

use emberkeep_catalog::{Change, Row};
use emberkeep_engine::Run;
use emberkeep_model::{
    Backup, BackupEvent, BackupId, BackupRefused, BackupState, CheckpointId, MessageAction,
    MessageDetail, ObjectType, ProtectStatus, ResourceId, Sealed, SourceFacts, Synced, Task,
    VolumeId, Work,
};
use emberkeep_plan::checkpoint_status;

use crate::error::chain;
use crate::foreign::work::Finding;
use crate::messages::About;
use crate::query::BackupQuery;
use crate::race::racing;
use crate::{Service, ServiceError};

/// Why a task's work stopped short.
pub(crate) enum Stop {
    /// It cannot be done, for this reason.
    Failed(String),
    /// The run was told to stop.
    Cancelled,
    /// Something else has to end first.
    NotYet,
}

/// What a task's work has found out.
pub(crate) enum Facts {
    /// Nothing that rows depend on.
    Nothing,
    /// A backup's manifest is durable.
    Sealed(Sealed),
    /// What was found of a backup that lies elsewhere.
    Found(Box<Finding>),
    /// It was restored from elsewhere; this is what its volume was like.
    Restored(Option<Box<SourceFacts>>),
    /// Something dead could not be freed yet.
    SweepAgain,
    /// What the stores of other regions hold.
    Synced(Synced),
}

/// What a backup is claimed for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted {
    Copy,
    /// To be written to this volume.
    Restore(VolumeId),
    Delete,
}

impl Wanted {
    pub(crate) fn by(self, state: &BackupState) -> bool {
        use BackupState as S;
        match (self, state) {
            (Self::Copy, S::Queued | S::Copying)
            | (Self::Delete, S::DeleteQueued | S::Deleting) => true,
            (Self::Restore(to), S::RestoreQueued { target, .. } | S::Restoring { target, .. }) => {
                *target == to
            }
            (Self::Copy | Self::Restore(_) | Self::Delete, _) => false,
        }
    }
}

/// How a task ended.
pub(crate) enum Verdict {
    /// Well.
    Done(Facts),
    /// Badly.
    Failed(Failure),
    /// By request.
    Cancelled,
}

/// Why a task ended badly.
pub(crate) struct Failure {
    /// For people.
    pub(crate) reason: String,
    /// It was stopped because it took too long.
    pub(crate) late: bool,
}

impl From<ServiceError> for Stop {
    fn from(error: ServiceError) -> Self {
        Self::Failed(chain(&error))
    }
}

impl From<BackupRefused> for Stop {
    fn from(refused: BackupRefused) -> Self {
        Self::Failed(refused.to_string())
    }
}

impl Service {
    /// Does the slow part of a task.
    pub(crate) async fn act(&self, task: &Task, run: &Run) -> Result<Facts, Stop> {
        if task.work.stores_data() {
            self.check_space()?;
        }
        match &task.work {
            Work::CreateVolume { volume_id, source } => {
                self.act_create_volume(*volume_id, source).await
            }
            Work::ExtendVolume { volume_id, size } => self.act_extend(*volume_id, *size).await,
            Work::DeleteVolume { volume_id } => self.act_delete_volume(*volume_id).await,
            Work::CreateSnapshot { snapshot_id } => self.act_snapshot(*snapshot_id).await,
            Work::DeleteSnapshot { snapshot_id } => self.act_delete_snapshot(*snapshot_id).await,
            Work::Backup { backup_id } => self.act_backup(task, *backup_id, run).await,
            Work::Restore {
                backup_id,
                volume_id,
                fresh,
            } => {
                self.act_restore(task, *backup_id, *volume_id, *fresh, run)
                    .await
            }
            Work::DeleteBackup { backup_id } => self.act_delete_backup(*backup_id).await,
            Work::ImportBackup { backup_id } => self.act_import(*backup_id).await,
            Work::AdoptBackup { backup_id } => self.act_adopt(*backup_id, run).await,
            Work::Replicate { backup_id, .. } => self.act_replicate(task, *backup_id, run).await,
            Work::SyncReplicas { vault_id, .. } => self.act_sync(task, *vault_id).await,
            Work::RemoveResources {
                vault_id,
                resource_ids,
                ..
            } => {
                self.act_empty_vault(task, *vault_id, Some(resource_ids))
                    .await
            }
            Work::DeleteVault { vault_id, .. } => self.act_empty_vault(task, *vault_id, None).await,
            Work::MoveExpiry { .. } => Ok(Facts::Nothing),
            Work::Sweep => self.act_sweep(task, run).await,
        }
    }

    /// Returns the rows that follow from how a task ended, the task's own excepted.
    pub(crate) async fn rows_after(
        &self,
        task: &Task,
        verdict: &Verdict,
    ) -> Result<Vec<Change>, ServiceError> {
        let mut changes = self.rows_of_work(task, verdict).await?;
        if matches!(verdict, Verdict::Failed(_)) {
            changes.extend(self.inventory_message(task));
        }
        Ok(changes)
    }

    /// Tells the project about a volume or snapshot that could not be dealt with. Those about
    /// backups go with their rows, which may have moved on.
    fn inventory_message(&self, task: &Task) -> Option<Change> {
        let (about, action) = match &task.work {
            Work::CreateVolume { volume_id, .. } => {
                (About::Volume(*volume_id), MessageAction::CreateVolume)
            }
            Work::ExtendVolume { volume_id, .. } => {
                (About::Volume(*volume_id), MessageAction::ExtendVolume)
            }
            Work::CreateSnapshot { snapshot_id } => {
                (About::Snapshot(*snapshot_id), MessageAction::CreateSnapshot)
            }
            Work::DeleteSnapshot { snapshot_id } => {
                (About::Snapshot(*snapshot_id), MessageAction::DeleteSnapshot)
            }
            Work::DeleteVolume { .. }
            | Work::Backup { .. }
            | Work::Restore { .. }
            | Work::DeleteBackup { .. }
            | Work::ImportBackup { .. }
            | Work::AdoptBackup { .. }
            | Work::Replicate { .. }
            | Work::SyncReplicas { .. }
            | Work::RemoveResources { .. }
            | Work::DeleteVault { .. }
            | Work::MoveExpiry { .. }
            | Work::Sweep => return None,
        };
        let unknown = MessageDetail::Unknown;
        Some(self.message(&task.project_id, &task.request_id, about, action, unknown))
    }

    async fn rows_of_work(
        &self,
        task: &Task,
        verdict: &Verdict,
    ) -> Result<Vec<Change>, ServiceError> {
        match &task.work {
            Work::CreateVolume { volume_id, .. } => self.rows_created(*volume_id, verdict).await,
            Work::ExtendVolume { volume_id, size } => {
                self.rows_extended(*volume_id, *size, verdict).await
            }
            Work::DeleteVolume { volume_id } => self.rows_volume_deleted(*volume_id, verdict).await,
            Work::CreateSnapshot { snapshot_id } => self.rows_snapshot(*snapshot_id, verdict).await,
            Work::DeleteSnapshot { snapshot_id } => {
                self.rows_snapshot_deleted(*snapshot_id, verdict).await
            }
            Work::Backup { backup_id } => self.rows_backed_up(task, *backup_id, verdict).await,
            Work::Restore {
                backup_id,
                volume_id,
                fresh,
            } => {
                self.rows_restored(task, *backup_id, *volume_id, *fresh, verdict)
                    .await
            }
            Work::DeleteBackup { backup_id } => {
                self.rows_backup_deleted(task, *backup_id, verdict).await
            }
            Work::ImportBackup { backup_id } => self.rows_imported(*backup_id, verdict).await,
            Work::AdoptBackup { backup_id } => self.rows_adopted(*backup_id, verdict).await,
            Work::Replicate { backup_id, .. } => self.rows_replicated(*backup_id, verdict).await,
            Work::SyncReplicas { .. } | Work::MoveExpiry { .. } => Ok(Vec::new()),
            Work::RemoveResources {
                vault_id,
                resource_ids,
                ..
            } => self.rows_removed(*vault_id, resource_ids, verdict).await,
            Work::DeleteVault { vault_id, .. } => self.rows_vault_deleted(*vault_id, verdict).await,
            Work::Sweep => self.rows_swept(task, verdict).await,
        }
    }

    /// Lets go what a settled task held outside the catalogue; `done` if it succeeded.
    pub(crate) async fn tidy(&self, task: &Task, done: bool) {
        if matches!(task.work, Work::Restore { .. }) && task.object_type == ObjectType::Turbo {
            self.release_freeze(task, false).await;
        }
        if let (Work::Backup { .. } | Work::Replicate { .. } | Work::Restore { .. }, true) =
            (&task.work, done)
        {
            // What was stored anew, or could be read after all, may heal what is damaged.
            self.damage.look_again();
        }
        // A backup that was hurt while it was being restored is shown as damaged only now.
        if let Work::Restore { .. } = task.work
            && let Err(error) = self.count_damaged().await
        {
            tracing::warn!(
                error = chain(&error),
                "damaged backups could not be counted"
            );
        }
        if let Work::Backup { .. } = task.work {
            self.release_freeze(task, done).await;
            self.retain_after_backup(task.vault_id).await;
        }
        if let Work::Replicate { backup_id, .. } = task.work {
            self.retain_after_copy(backup_id).await;
        }
    }

    /// Marks a backup as being worked on and returns it, unless it is no longer wanted: what was
    /// to be copied may be on its way out by now.
    pub(crate) async fn claim_backup(&self, id: BackupId, wanted: Wanted) -> Result<Backup, Stop> {
        let claimed = racing(|| async {
            let mut backup = self
                .catalog
                .backup(id)
                .await?
                .ok_or(ServiceError::NoSuchBackup(id))?;
            if !wanted.by(&backup.state) || backup.take(BackupEvent::Claimed, self.now()).is_err() {
                return Ok(Err(backup.state.word()));
            }
            self.commit(vec![Change::Save(Row::Backup(backup.clone()))])
                .await?;
            backup.revision += 1;
            Ok(Ok(backup))
        })
        .await?;
        claimed.map_err(|state| Stop::Failed(format!("the backup is {state} by now")))
    }

    /// Returns the change of the status that a resource has in its vault, if it is in one.
    pub(crate) async fn protect_status(
        &self,
        resource: impl Into<ResourceId>,
        status: ProtectStatus,
    ) -> Result<Vec<Change>, ServiceError> {
        let found = self.catalog.vault_resource(resource.into()).await?;
        Ok(found
            .filter(|resource| resource.status != ProtectStatus::Removing)
            .map(|mut resource| {
                resource.status = status;
                Change::Save(Row::VaultResource(resource))
            })
            .into_iter()
            .collect())
    }

    /// Returns the change of a checkpoint's status, given that `changed` of its backups stand as
    /// they do here. The row is saved even if the status stays: of two backups that end
    /// at once, one loses the race, looks again and sees the other.
    pub(crate) async fn checkpoint_after(
        &self,
        checkpoint: Option<CheckpointId>,
        changed: &[Backup],
    ) -> Result<Option<Change>, ServiceError> {
        let Some(id) = checkpoint else {
            return Ok(None);
        };
        let Some(mut row) = self.catalog.checkpoint(id).await? else {
            return Ok(None);
        };
        let query = BackupQuery {
            checkpoint: Some(id),
            with_deleted: true,
            ..BackupQuery::default()
        };
        let stored = self.catalog.backups(&query).await?.items;
        let states: Vec<BackupState> = stored
            .into_iter()
            .map(|b| match changed.iter().find(|c| c.id == b.id) {
                Some(changed) => changed.state.clone(),
                None => b.state,
            })
            .collect();
        row.status = checkpoint_status(&states);
        row.updated_at = Some(self.now());
        Ok(Some(Change::Save(Row::Checkpoint(row))))
    }
}
