//! Writing a backup to a volume.

use std::sync::Arc;

use emberkeep_catalog::{Change, Row};
use emberkeep_engine::{RestoreError, Run};
use emberkeep_model::{BackupEvent, BackupId, ProtectStatus, VolumeId, VolumeStatus};
use emberkeep_volumes::TargetState;

use super::{Facts, Stop, Verdict};
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
        let backup = self.claim_backup(backup_id).await?;
        let size = backup.size.bytes();
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
        let project = backup.project_id.clone();
        let written = tokio::task::spawn_blocking(move || {
            let project = repository
                .project(project.as_str())
                .map_err(RestoreError::from)?;
            project.restore(backup_id, target.as_ref(), &run)
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
        backup_id: BackupId,
        volume_id: VolumeId,
        fresh: bool,
        verdict: &Verdict,
    ) -> Result<Vec<Change>, ServiceError> {
        let mut changes = Vec::new();
        let source = match self.catalog.backup(backup_id).await? {
            Some(mut backup) => {
                let source = backup.volume_id;
                if backup.take(BackupEvent::RestoreEnded, self.now()).is_ok() {
                    if let Verdict::Failed(reason) = verdict {
                        backup.fail_reason = Some(reason.clone());
                    }
                    changes.push(Change::Save(Row::Backup(backup)));
                }
                Some(source)
            }
            None => None,
        };
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
            if matches!(verdict, Verdict::Done(_)) && source != Some(volume_id) {
                volume
                    .metadata
                    .insert("src_backup_id".into(), backup_id.to_string());
            }
            changes.push(Change::Save(Row::Volume(volume)));
        }
        changes.extend(self.protect_status(volume_id, protect).await?);
        Ok(changes)
    }
}
