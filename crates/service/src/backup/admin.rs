//! What only administrators do with backups: say how one stands, and delete one whatever goes on with it.

use emberkeep_catalog::{Change, Row};
use emberkeep_engine::RepositoryError;
use emberkeep_model::{
    Backup, BackupEvent, BackupId, BackupState, ByteCount, Caller, Sealed, TaskId, TaskState,
    Timestamp, Work,
};

use crate::query::TaskQuery;
use crate::race::racing;
use crate::refusal::Refusal;
use crate::switches::Binary;
use crate::{Service, ServiceError};

impl Service {
    /// Says that a backup is available, or that it is not. What goes on with it is stopped: a
    /// volume that was being restored is then in error (`cinder-backup.md §3.3`, §3.5).
    pub async fn reset_backup(
        &self,
        caller: &Caller,
        id: BackupId,
        available: bool,
    ) -> Result<(), ServiceError> {
        let running = racing(|| async {
            let mut backup = self.visible_backup(caller, id).await?;
            self.allow(caller, "volume_extension:backup_admin_actions:reset_status")?;
            self.must_be_on(Binary::Backup).await?;
            // Nothing keeps what has failed: under a lock none may be made to have failed.
            if !available && backup.state.sealed().is_some() {
                self.refuse_kept(&backup).await?;
            }
            let event = if available {
                let sealed = match backup.state.sealed() {
                    Some(sealed) => Some(sealed),
                    // Whether it can be read is found out where it lies.
                    None if backup.foreign().is_some() => Some(Sealed::unread(self.now())),
                    None => self.sealed_of(&backup).await?,
                };
                let sealed = sealed.ok_or(Refusal::BackupWithoutContent(id))?;
                BackupEvent::ResetToAvailable(sealed)
            } else {
                BackupEvent::ResetToError
            };
            let running = backup.state.is_busy();
            backup
                .take(event, self.now())
                .map_err(|_| Refusal::BackupWithoutContent(id))?;
            let mut changes = Vec::new();
            changes.extend(
                self.checkpoint_after(backup.checkpoint_id, std::slice::from_ref(&backup))
                    .await?,
            );
            changes.push(Change::Save(Row::Backup(backup)));
            self.commit(changes).await?;
            Ok(running)
        })
        .await?;
        if running {
            self.stop_work_on(id).await?;
        }
        Ok(())
    }

    /// Deletes a backup whatever goes on with it: what is being copied or restored stops.
    pub async fn force_delete_backup(
        &self,
        caller: &Caller,
        id: BackupId,
    ) -> Result<(), ServiceError> {
        let running = racing(|| async {
            let mut backup = self.visible_backup(caller, id).await?;
            self.allow(caller, "volume_extension:backup_admin_actions:force_delete")?;
            if let Some(whole) = backup.cbr.part_of {
                return Err(crate::CbrError::PartOfServer { part: id, whole }.into());
            }
            // A lock binds administrators too, or it would be none.
            self.refuse_kept(&backup).await?;
            self.no_dependents(caller, &backup).await?;
            self.not_filled_from(&backup)?;
            self.must_be_on(Binary::Backup).await?;
            if matches!(
                backup.state,
                BackupState::DeleteQueued | BackupState::Deleting
            ) {
                return Ok(false);
            }
            let running = backup.state.is_busy() || backup.foreign().is_some();
            backup
                .take(BackupEvent::ForceDeleteAsked, self.now())
                .map_err(|refused| ServiceError::BackupNotDeletable {
                    id,
                    state: refused.state,
                })?;
            let work = Work::DeleteBackup { backup_id: id };
            // It waits for whatever works on the same backup.
            let task = self.backup_task(caller, &backup, work);
            self.commit(vec![
                Change::Save(Row::Backup(backup)),
                Change::Insert(Row::Task(task)),
            ])
            .await?;
            Ok(running)
        })
        .await?;
        if running {
            self.stop_work_on(id).await?;
        }
        Ok(())
    }

    /// Stops what copies or restores a backup.
    async fn stop_work_on(&self, id: BackupId) -> Result<(), ServiceError> {
        let query = TaskQuery {
            backup: Some(id),
            work: vec!["backup", "restore", "import_backup", "adopt_backup"],
            states: vec![TaskState::Waiting.word(), "running"],
            ..TaskQuery::default()
        };
        let tasks: Vec<TaskId> = self
            .catalog
            .tasks(&query)
            .await?
            .items
            .into_iter()
            .map(|task| task.id)
            .collect();
        for task in tasks {
            self.catalog.ask_cancel(task, self.now()).await?;
            self.cancel_run(task);
        }
        self.nudge.notify_one();
        Ok(())
    }

    /// Reads what the repository holds of a backup, if it holds it.
    pub(crate) async fn sealed_of(&self, backup: &Backup) -> Result<Option<Sealed>, ServiceError> {
        let (_, id) = backup.content();
        let place = self.place_of(backup)?;
        let own = backup.content.is_none();
        self.blocking("reading a manifest", move || {
            match place.open()?.manifest(id) {
                Ok(manifest) => Ok(Some(Sealed {
                    at: Timestamp(manifest.finished_at.0),
                    read: ByteCount(manifest.statistics.read_bytes),
                    data: ByteCount(manifest.statistics.data_bytes),
                    // What another backup brought in is not brought in again.
                    new: ByteCount(if own {
                        manifest.statistics.new_bytes
                    } else {
                        0
                    }),
                    stored: ByteCount(if own {
                        manifest.statistics.stored_bytes
                    } else {
                        0
                    }),
                })),
                Err(RepositoryError::NoSuchBackup(_)) => Ok(None),
                Err(error) => Err(error),
            }
        })
        .await
    }
}
