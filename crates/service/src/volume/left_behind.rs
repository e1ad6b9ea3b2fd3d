//! Backups that a service stopped in the middle of something and that no task is about: rows that Cinder's
//! objects wrote, or that an operator did. What we do ourselves is a task, and goes on.

use emberkeep_catalog::{BackupQuery, Change, Row, TaskQuery};
use emberkeep_model::{
    Backup, BackupEvent, BackupState, Caller, SnapshotStatus, TaskState, Volume, VolumeId, Work,
};
use emberkeep_plan::{HeldVolume, Interrupted, Outcome, after_restart};

use crate::{Service, ServiceError};

/// The states that [`Interrupted`] tells apart.
const UNSETTLED: [&str; 7] = [
    "queued",
    "copying",
    "restore-queued",
    "restoring",
    "delete-queued",
    "deleting",
    "failed",
];

/// Why a backup that was being deleted is kept: what opens it may be gone.
const NOT_DELETED: &str = "its deletion was interrupted, and the volume is encrypted";

impl Service {
    /// Settles such backups as Cinder does when its service starts (`cinder-backup.md §3.6`). Call it at
    /// start-up, before requests are taken.
    pub(crate) async fn settle_left_behind(&self) -> Result<(), ServiceError> {
        let query = BackupQuery {
            states: UNSETTLED.to_vec(),
            ..BackupQuery::default()
        };
        for backup in self.catalog.backups(&query).await?.items {
            // Parts go with their whole, copies with the region that they lie in, and what another host
            // owns is that host's.
            let theirs = backup.cbr.part_of.is_some()
                || backup.cbr.replica.is_some()
                || backup.cinder.host.is_some();
            let found = interrupted(&backup);
            let idle = matches!(
                found,
                Interrupted::Idle | Interrupted::Failed { leftovers: false }
            );
            if theirs || idle {
                continue;
            }
            if !self.is_worked_on(&backup).await? {
                self.settle_backup(backup, found).await?;
            }
        }
        Ok(())
    }

    /// Tells whether a task is about the backup, or about the vault that it is in with all its backups.
    async fn is_worked_on(&self, backup: &Backup) -> Result<bool, ServiceError> {
        let about_it = TaskQuery {
            backup: Some(backup.id),
            ..unfinished()
        };
        if !self.catalog.tasks(&about_it).await?.items.is_empty() {
            return Ok(true);
        }
        let Some(vault) = backup.vault_id else {
            return Ok(false);
        };
        let about_its_vault = TaskQuery {
            vault: Some(vault),
            ..unfinished()
        };
        Ok(!self.catalog.tasks(&about_its_vault).await?.items.is_empty())
    }

    async fn settle_backup(
        &self,
        mut backup: Backup,
        found: Interrupted,
    ) -> Result<(), ServiceError> {
        let volume = match &backup.state {
            BackupState::RestoreQueued { target, .. } | BackupState::Restoring { target, .. } => {
                self.held(*target).await?
            }
            _ => self.held(backup.volume_id).await?,
        };
        let held = volume.as_ref().map(|volume| HeldVolume {
            status: volume.status,
            previous: volume.previous_status,
        });
        let (outcome, status) = after_restart(found, held);
        tracing::warn!(backup_id = %backup.id, ?outcome, "no task goes on with it");
        let now = self.now();
        let mut changes = Vec::new();
        let event = match outcome {
            Outcome::Failed(reason) => {
                changes.extend(self.snapshot_let_go(&backup).await?);
                Some(BackupEvent::Stopped {
                    reason: reason.to_owned(),
                })
            }
            Outcome::Available => Some(BackupEvent::RestoreEnded),
            Outcome::NotDeleted => Some(BackupEvent::Stopped {
                reason: NOT_DELETED.to_owned(),
            }),
            Outcome::DeleteAgain => {
                let caller = Caller {
                    user_id: backup.user_id.clone(),
                    project_id: backup.project_id.clone(),
                    roles: Vec::new(),
                    request_id: String::new(),
                };
                let work = Work::DeleteBackup {
                    backup_id: backup.id,
                };
                let task = self.backup_task(&caller, &backup, work);
                changes.push(Change::Insert(Row::Task(task)));
                None
            }
            Outcome::DropLeftovers => {
                // The volume and the snapshot themselves were Cinder's, and are not here.
                backup.cinder.temp_volume_id = None;
                backup.cinder.temp_snapshot_id = None;
                backup.updated_at = Some(now);
                None
            }
            Outcome::Kept => None,
        };
        if let (Some(mut volume), Some(status)) = (volume, status) {
            volume.status = status;
            volume.updated_at = Some(now);
            changes.push(Change::Save(Row::Volume(volume)));
        }
        if let Some(event) = event {
            backup
                .take(event, now)
                .map_err(|error| ServiceError::Inner("settling a backup", Box::new(error)))?;
        }
        changes.extend(
            self.checkpoint_after(backup.checkpoint_id, std::slice::from_ref(&backup))
                .await?,
        );
        changes.push(Change::Save(Row::Backup(backup)));
        self.commit(changes).await
    }

    /// Returns a volume that no task is about.
    async fn held(&self, id: VolumeId) -> Result<Option<Volume>, ServiceError> {
        let about_it = TaskQuery {
            volume: Some(id),
            ..unfinished()
        };
        if !self.catalog.tasks(&about_it).await?.items.is_empty() {
            return Ok(None);
        }
        Ok(self.catalog.volume(id).await?)
    }

    /// Makes the snapshot available again that a backup was being made of.
    async fn snapshot_let_go(&self, backup: &Backup) -> Result<Option<Change>, ServiceError> {
        let Some(id) = backup.snapshot_id else {
            return Ok(None);
        };
        let snapshot = self.catalog.snapshot(id).await?;
        let held = snapshot.filter(|one| one.status == SnapshotStatus::BackingUp);
        Ok(held.map(|mut snapshot| {
            snapshot.status = SnapshotStatus::Available;
            snapshot.updated_at = Some(self.now());
            Change::Save(Row::Snapshot(snapshot))
        }))
    }
}

fn unfinished() -> TaskQuery {
    TaskQuery {
        states: vec![TaskState::Waiting.word(), "running"],
        ..TaskQuery::default()
    }
}

/// Tells what the service was at.
fn interrupted(backup: &Backup) -> Interrupted {
    match &backup.state {
        BackupState::Queued | BackupState::Copying => Interrupted::Creating,
        BackupState::RestoreQueued { .. } | BackupState::Restoring { .. } => Interrupted::Restoring,
        BackupState::DeleteQueued | BackupState::Deleting => Interrupted::Deleting {
            encrypted: backup.cinder.encryption_key_id.is_some(),
        },
        BackupState::Failed { .. } => Interrupted::Failed {
            leftovers: backup.cinder.temp_volume_id.is_some()
                || backup.cinder.temp_snapshot_id.is_some(),
        },
        BackupState::Available(_) | BackupState::Damaged(_) | BackupState::Deleted => {
            Interrupted::Idle
        }
    }
}
