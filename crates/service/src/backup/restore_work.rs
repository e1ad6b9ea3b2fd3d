//! Writing a backup to a volume.

use std::sync::Arc;

use async_trait::async_trait;
use emberkeep_catalog::{Change, Row};
use emberkeep_engine::{RestoreError, Run};
use emberkeep_model::{
    Backup, BackupEvent, BackupId, BackupState, DamageFinder, MessageAction, MessageDetail,
    ObjectType, ProtectStatus, Sealed, SourceFacts, Task, Volume, VolumeId, VolumeStatus,
};
use emberkeep_volumes::TargetState;

use crate::backup::restored::Restored;
use crate::backup::restores::RESTORED_NAME;
use crate::error::chain;
use crate::messages::About;
use crate::task::kind::TaskKind;
use crate::task::outcome::{Stop, Verdict, Wanted};
use crate::{Service, ServiceError};

/// Writes a backup to a volume, a server or a file system.
#[derive(Debug, Clone)]
pub(crate) struct RestoreBackup {
    pub(crate) backup_id: BackupId,
    pub(crate) volume_id: VolumeId,
    /// The volume was made for this restore and holds nothing yet.
    pub(crate) fresh: bool,
}

#[async_trait]
impl TaskKind for RestoreBackup {
    type Found = Restored;
    const STORES_DATA: bool = true;
    const CANCELLABLE: bool = true;
    const TIME_LIMITED: bool = true;

    async fn act(&self, service: &Service, task: &Task, run: &Run) -> Result<Restored, Stop> {
        service.act_restore(task, self, run).await
    }

    async fn rows(
        &self,
        service: &Service,
        task: &mut Task,
        verdict: &Verdict<Restored>,
    ) -> Result<Vec<Change>, ServiceError> {
        service.rows_restored(task, self, verdict).await
    }

    async fn clean_up(&self, service: &Service, task: &Task, done: bool) {
        if task.object_type == ObjectType::Turbo {
            service.release_freeze(task, false).await;
        }
        if done {
            // What could be read after all may be whole again.
            service.damage.look_again();
        }
        // A backup that was hurt while it was being restored is shown as damaged only now.
        if let Err(error) = service.count_damaged().await {
            let error = chain(&error);
            tracing::warn!(error, "damaged backups could not be counted");
        }
    }
}

impl Service {
    pub(crate) async fn act_restore(
        &self,
        task: &Task,
        kind: &RestoreBackup,
        run: &Run,
    ) -> Result<Restored, Stop> {
        let (volume_id, fresh) = (kind.volume_id, kind.fresh);
        let backup = self
            .claim_backup(kind.backup_id, Wanted::Restore(volume_id))
            .await?;
        match backup.cbr.kind {
            ObjectType::Disk => self.write_volume(&backup, volume_id, fresh, run).await,
            ObjectType::Server => {
                self.act_restore_server(task, &backup, run).await?;
                Ok(Restored::AsRecorded)
            }
            ObjectType::Turbo => {
                self.act_restore_file_system(task, &backup, run).await?;
                Ok(Restored::AsRecorded)
            }
        }
    }

    /// Writes a backup to a volume.
    pub(crate) async fn write_volume(
        &self,
        backup: &Backup,
        volume_id: VolumeId,
        fresh: bool,
        run: &Run,
    ) -> Result<Restored, Stop> {
        let volume = self
            .catalog
            .volume(volume_id)
            .await
            .map_err(ServiceError::from)?;
        let size = volume
            .ok_or(ServiceError::NoSuchVolume(volume_id))?
            .size
            .bytes();
        let provider = Arc::clone(&self.volumes);
        let target = self
            .blocking("opening the volume to restore to", move || {
                if fresh {
                    // Made anew at every attempt: only what was just made reads as zeroes.
                    provider.delete(volume_id)?;
                    provider.create(volume_id, size)?;
                    provider.open_target(volume_id, TargetState::Zeroed)
                } else {
                    provider.open_target(volume_id, TargetState::HoldsData)
                }
            })
            .await?;
        if backup.foreign().is_some() {
            return self.restore_foreign(backup, target, run).await;
        }
        let (place, copy) = (self.place_of(backup)?, run.clone());
        let (_, content) = backup.content();
        let written = tokio::task::spawn_blocking(move || {
            let project = place.open().map_err(RestoreError::from)?;
            project.restore(content, target.as_ref(), &copy)
        })
        .await;
        match written {
            Ok(Ok(_)) => Ok(Restored::AsRecorded),
            Ok(Err(RestoreError::Cancelled)) => Err(Stop::Cancelled),
            Ok(Err(error)) => {
                self.damage_of_restore(backup, &error, DamageFinder::Restore, run)
                    .await;
                Err(Stop::Failed(chain(&error)))
            }
            Err(panicked) => Err(Stop::Failed(format!("the restore ended badly: {panicked}"))),
        }
    }

    pub(crate) async fn rows_restored(
        &self,
        task: &Task,
        kind: &RestoreBackup,
        verdict: &Verdict<Restored>,
    ) -> Result<Vec<Change>, ServiceError> {
        let (volume_id, fresh) = (kind.volume_id, kind.fresh);
        let found = self.catalog.backup(kind.backup_id).await?;
        match found {
            Some(whole) if !whole.is_of_volume() => {
                self.rows_whole_restored(task, whole, volume_id, verdict)
                    .await
            }
            found => {
                self.rows_volume_restored(task, found, volume_id, fresh, verdict)
                    .await
            }
        }
    }

    /// Returns the rows that follow from how the restore of a server or file system ended.
    async fn rows_whole_restored(
        &self,
        task: &Task,
        mut whole: Backup,
        target: VolumeId,
        verdict: &Verdict<Restored>,
    ) -> Result<Vec<Change>, ServiceError> {
        let protect = match verdict {
            Verdict::Done(_) => ProtectStatus::Available,
            Verdict::Failed(_) | Verdict::Cancelled => ProtectStatus::Error,
        };
        let mut changes = self.rows_parts_restored(task, &whole, verdict).await?;
        changes.extend(self.protect_status(target, protect).await?);
        // An administrator may have moved it on meanwhile.
        if Wanted::Restore(target).by(&whole.state)
            && whole.take(BackupEvent::RestoreEnded, self.now()).is_ok()
        {
            if let Verdict::Failed(failure) = verdict
                && whole.damage.is_none()
            {
                whole.fail_reason = Some(failure.reason.clone());
            }
            changes.push(Change::Save(Row::Backup(whole)));
        }
        Ok(changes)
    }

    /// Returns the rows that follow from how the writing of one volume ended.
    pub(crate) async fn rows_volume_restored(
        &self,
        task: &Task,
        found: Option<Backup>,
        volume_id: VolumeId,
        fresh: bool,
        verdict: &Verdict<Restored>,
    ) -> Result<Vec<Change>, ServiceError> {
        let mut changes: Vec<Change> = self
            .restore_given_up(found.as_ref())
            .await?
            .into_iter()
            .collect();
        if let Some(mut backup) = found.clone()
            // An administrator may have moved it on meanwhile.
            && Wanted::Restore(volume_id).by(&backup.state)
            && backup.take(BackupEvent::RestoreEnded, self.now()).is_ok()
        {
            if let Verdict::Failed(failure) = verdict {
                // Damage has been noted with its reason, which stays until it is healed.
                if backup.damage.is_none() {
                    backup.fail_reason = Some(failure.reason.clone());
                }
                changes.push(self.message(
                    &backup.project_id,
                    &task.request_id,
                    About::Backup(backup.id),
                    MessageAction::RestoreBackup,
                    MessageDetail::RestoreDriverError,
                ));
            }
            changes.push(Change::Save(Row::Backup(backup)));
        }
        let (status, protect) = match verdict {
            Verdict::Done(_) => (VolumeStatus::Available, ProtectStatus::Available),
            Verdict::Failed(_) if fresh => (VolumeStatus::Error, ProtectStatus::Error),
            Verdict::Failed(_) => (VolumeStatus::ErrorRestoring, ProtectStatus::Error),
            // What is half written is not to be trusted.
            Verdict::Cancelled => (VolumeStatus::Error, ProtectStatus::Error),
        };
        if let Some(mut volume) = self.catalog.volume(volume_id).await? {
            volume.status = status;
            volume.updated_at = Some(self.now());
            if let (Verdict::Done(facts), Some(backup)) = (verdict, &found) {
                let source = match facts {
                    Restored::Elsewhere(source) => source.as_deref(),
                    Restored::AsRecorded => backup.cinder.source.as_ref(),
                };
                put_back(&mut volume, backup, source);
            }
            changes.push(Change::Save(Row::Volume(volume)));
        }
        changes.extend(self.protect_status(volume_id, protect).await?);
        Ok(changes)
    }

    /// Returns the change of a backup that was said to be in error while it was being restored, which stops
    /// that: once it has stopped the backup is as good as before, as Cinder has it.
    async fn restore_given_up(
        &self,
        found: Option<&Backup>,
    ) -> Result<Option<Change>, ServiceError> {
        let said = |backup: &&Backup| matches!(backup.state, BackupState::Failed { .. });
        let Some(backup) = found.filter(said) else {
            return Ok(None);
        };
        let sealed = match backup.foreign() {
            Some(_) => Some(Sealed::unread(self.now())),
            None => self.sealed_of(backup).await?,
        };
        let mut backup = backup.clone();
        let event = sealed.map(BackupEvent::ResetToAvailable);
        let taken = event.is_some_and(|event| backup.take(event, self.now()).is_ok());
        Ok(taken.then_some(Change::Save(Row::Backup(backup))))
    }
}

/// Makes a restored volume say what the backed up one said (`cinder-backup.md §3.3`).
fn put_back(volume: &mut Volume, backup: &Backup, source: Option<&SourceFacts>) {
    const SOURCE: &str = "src_backup_id";
    let id = backup.id.to_string();
    if let Some(source) = source {
        // What the source had none of was not kept, and leaves the target's as it is.
        if !source.metadata.is_empty() {
            volume.metadata = source.metadata.clone();
        }
        let nameless = volume
            .name
            .as_ref()
            .is_none_or(|name| name.is_empty() || name.starts_with(RESTORED_NAME));
        // A name that says where it came from is better than none.
        if nameless && source.name.is_some() {
            volume.name.clone_from(&source.name);
            volume.description.clone_from(&source.description);
        }
        if !source.image_metadata.is_empty() {
            volume.image_metadata = source.image_metadata.clone();
        }
        volume.bootable |= source.bootable;
    }
    let other = volume
        .metadata
        .get(SOURCE)
        .is_some_and(|known| *known != id);
    if volume.id != backup.volume_id || other {
        volume.metadata.insert(SOURCE.into(), id);
    }
}
