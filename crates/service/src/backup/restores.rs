//! Restores of volumes: to one that is there, or to one made for it (`cinder-backup.md §3.3`).

use emberkeep_catalog::{Change, Row};
use emberkeep_model::{
    Backup, BackupEvent, BackupId, BackupState, Caller, ProtectStatus, Volume, VolumeStatus, Work,
};

use crate::race::racing;
use crate::refusal::Refusal;
use crate::switches::Binary;
use crate::{NewVolume, Restore, RestoreTo, Service, ServiceError};

impl Service {
    /// Asks for a backup to be written to a volume (`cinder-backup.md §3.3`).
    pub async fn restore_backup(
        &self,
        caller: &Caller,
        id: BackupId,
        to: RestoreTo,
    ) -> Result<Restore, ServiceError> {
        racing(|| async {
            let backup = self.visible_backup(caller, id).await?;
            self.allow(caller, "backup:restore")?;
            if !matches!(backup.state, BackupState::Available(_)) {
                return Err(not_restorable(&backup));
            }
            // Cinder looks only after it has made the new volume, which then stays.
            self.must_be_on(Binary::Backup).await?;
            match &to {
                RestoreTo::Existing(target) => {
                    let volume = self.visible_volume(caller, *target).await?;
                    if volume.status != VolumeStatus::Available {
                        return Err(ServiceError::RestoreTargetStatus {
                            id: volume.id,
                            status: volume.status.as_str(),
                        });
                    }
                    self.begin_restore(caller, backup, volume).await
                }
                RestoreTo::New { name } => {
                    let new = NewVolume {
                        name: Some(
                            name.clone()
                                .unwrap_or_else(|| format!("{RESTORED_NAME}{}", backup.id)),
                        ),
                        description: Some("auto-created_from_restore_from_backup".into()),
                        ..NewVolume::default()
                    };
                    let status = VolumeStatus::RestoringBackup;
                    self.restore_to_new(caller, backup, &new, status).await
                }
            }
        })
        .await
    }

    /// Makes a volume and puts a backup on it; the volume is `creating` meanwhile.
    pub(crate) async fn create_volume_from_backup(
        &self,
        caller: &Caller,
        id: BackupId,
        new: NewVolume,
    ) -> Result<Volume, ServiceError> {
        racing(|| async {
            let backup = self.visible_backup(caller, id).await?;
            self.allow(caller, "backup:restore")?;
            if !matches!(backup.state, BackupState::Available(_)) {
                return Err(Refusal::SourceBackupStatus.into());
            }
            self.must_be_on(Binary::Backup).await?;
            let status = VolumeStatus::Creating;
            Ok(self
                .restore_to_new(caller, backup, &new, status)
                .await?
                .volume)
        })
        .await
    }

    async fn restore_to_new(
        &self,
        caller: &Caller,
        backup: Backup,
        new: &NewVolume,
        status: VolumeStatus,
    ) -> Result<Restore, ServiceError> {
        let mut volume = self.new_volume(caller, new, backup.size).await?;
        volume.status = status;
        let _turn = self.quota_turn(&volume.project_id).await;
        let reserved = self.reserve_volume(&volume).await?;
        self.write_restore(caller, backup, volume, Target::Fresh(Box::new(reserved)))
            .await
    }

    /// Begins a restore onto a volume that is there and free.
    pub(crate) async fn begin_restore(
        &self,
        caller: &Caller,
        backup: Backup,
        mut volume: Volume,
    ) -> Result<Restore, ServiceError> {
        if volume.size < backup.size {
            return Err(ServiceError::RestoreTargetTooSmall {
                id: volume.id,
                have: volume.size.0,
                need: backup.size.0,
            });
        }
        volume.previous_status = Some(volume.status);
        volume.status = VolumeStatus::RestoringBackup;
        volume.updated_at = Some(self.now());
        self.write_restore(caller, backup, volume, Target::Existing)
            .await
    }

    /// Refuses to restore a part of a server's backup while something goes on with the whole: its
    /// task would take the part's restore for its own.
    async fn refuse_while_whole_busy(&self, part: &Backup) -> Result<(), ServiceError> {
        let Some(id) = part.cbr.part_of else {
            return Ok(());
        };
        let whole = self.catalog.backup(id).await?;
        match whole {
            Some(whole) if whole.state.is_busy() => Err(not_restorable(&whole)),
            Some(_) | None => Ok(()),
        }
    }

    async fn write_restore(
        &self,
        caller: &Caller,
        mut backup: Backup,
        volume: Volume,
        target: Target,
    ) -> Result<Restore, ServiceError> {
        self.refuse_frozen(&backup).await?;
        self.chain_is_whole(&backup).await?;
        self.refuse_while_whole_busy(&backup).await?;
        backup
            .take(BackupEvent::RestoreAsked { target: volume.id }, self.now())
            .map_err(|refused| ServiceError::BackupNotRestorable {
                id: backup.id,
                state: refused.state,
            })?;
        let work = Work::Restore {
            backup_id: backup.id,
            volume_id: volume.id,
            fresh: matches!(target, Target::Fresh(_)),
        };
        let mut task = self.backup_task(caller, &backup, work);
        task.volume_id = Some(volume.id);
        task.volume_name = volume.name.clone();
        if volume.project_id != backup.project_id {
            // A shared backup: what its receiver does is theirs to see, not where its owner keeps it.
            task.project_id = volume.project_id.clone();
            task.vault_id = None;
            task.checkpoint_id = None;
        } else if let Some(vault) = backup.vault_id {
            task.vault_name = self.catalog.vault(vault).await?.map(|v| v.name);
        }
        let task_id = task.id;
        let row = Row::Volume(volume.clone());
        let mut changes = vec![
            Change::Save(Row::Backup(backup.clone())),
            Change::Insert(Row::Task(task)),
        ];
        match target {
            Target::Fresh(reserved) => changes.extend([Change::Insert(row), *reserved]),
            Target::Existing => changes.push(Change::Save(row)),
        }
        changes.extend(
            self.protect_status(volume.id, ProtectStatus::Restoring)
                .await?,
        );
        self.commit(changes).await?;
        Ok(Restore {
            backup,
            volume,
            task_id,
        })
    }
}

/// What a volume that nobody named is called after a restore; the source's own name replaces it.
pub(crate) const RESTORED_NAME: &str = "restore_backup_";

/// What is restored to.
enum Target {
    /// A volume made for it, with the change that its quota asks for.
    Fresh(Box<Change>),
    /// A volume that is there.
    Existing,
}

/// Words the refusal of a backup that cannot be restored as it stands.
pub(crate) fn not_restorable(backup: &Backup) -> ServiceError {
    ServiceError::BackupNotRestorable {
        id: backup.id,
        state: backup.state.word(),
    }
}
