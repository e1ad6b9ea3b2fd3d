//! Writing a backup to a volume.

use std::sync::Arc;

use emberkeep_catalog::{Change, Row};
use emberkeep_engine::{RestoreError, Run};
use emberkeep_model::{
    Backup, BackupEvent, BackupId, MessageAction, MessageDetail, ProtectStatus, Task, Volume,
    VolumeId, VolumeStatus,
};
use emberkeep_volumes::TargetState;

use super::{Facts, Stop, Verdict, Wanted};
use crate::backups::RESTORED_NAME;
use crate::messages::About;
use crate::worker::chain;
use crate::{Service, ServiceError};

impl Service {
    pub(super) async fn act_restore(
        &self,
        backup_id: BackupId,
        volume_id: VolumeId,
        fresh: bool,
        run: &Run,
    ) -> Result<Facts, Stop> {
        let backup = self
            .claim_backup(backup_id, Wanted::Restore(volume_id))
            .await?;
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
        let (repository, run) = (self.repository.clone(), run.clone());
        let (project, content) = backup.content();
        let project = project.clone();
        let written = tokio::task::spawn_blocking(move || {
            let project = repository
                .project(project.as_str())
                .map_err(RestoreError::from)?;
            project.restore(content, target.as_ref(), &run)
        })
        .await;
        match written {
            Ok(Ok(_)) => Ok(Facts::Nothing),
            Ok(Err(RestoreError::Cancelled)) => Err(Stop::Cancelled),
            Ok(Err(error)) => Err(Stop::Failed(chain(&error))),
            Err(panicked) => Err(Stop::Failed(format!("the restore ended badly: {panicked}"))),
        }
    }

    pub(super) async fn rows_restored(
        &self,
        task: &Task,
        backup_id: BackupId,
        volume_id: VolumeId,
        fresh: bool,
        verdict: &Verdict,
    ) -> Result<Vec<Change>, ServiceError> {
        let mut changes = Vec::new();
        let found = self.catalog.backup(backup_id).await?;
        if let Some(mut backup) = found.clone()
            // An administrator may have moved it on meanwhile.
            && Wanted::Restore(volume_id).by(&backup.state)
            && backup.take(BackupEvent::RestoreEnded, self.now()).is_ok()
        {
            if let Verdict::Failed(reason) = verdict {
                backup.fail_reason = Some(reason.clone());
                changes.push(self.message(
                    &backup.project_id,
                    &task.request_id,
                    About::Backup(backup_id),
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
            if let (Verdict::Done(_), Some(backup)) = (verdict, &found) {
                put_back(&mut volume, backup);
            }
            changes.push(Change::Save(Row::Volume(volume)));
        }
        changes.extend(self.protect_status(volume_id, protect).await?);
        Ok(changes)
    }
}

/// Makes a restored volume say what the backed up one said (`cinder-backup.md §3.3`).
fn put_back(volume: &mut Volume, backup: &Backup) {
    const SOURCE: &str = "src_backup_id";
    let id = backup.id.to_string();
    if let Some(source) = &backup.cinder.source {
        volume.metadata = source.metadata.clone();
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
