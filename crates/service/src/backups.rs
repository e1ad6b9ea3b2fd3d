//! Backups through Block Storage: made, listed, changed, restored, deleted
//! (`cinder-backup.md §3.2–3.4`). Nothing is copied here: each use case checks,
//! then writes rows and a task in one go.

use emberkeep_catalog::{BackupQuery, Change, Page, Paging, Row, VaultQuery};
use emberkeep_model::{
    Backup, BackupEvent, BackupId, BackupState, Caller, CinderFacts, MessageAction, MessageDetail,
    ObjectType, ProjectId, ProtectStatus, Snapshot, SnapshotStatus, SourceFacts, Task, TaskId,
    Timestamp, Vault, VaultId, Volume, VolumeId, VolumeStatus, Work,
};
use emberkeep_plan::{Candidate, choose_parent};
use uuid::Uuid;

use crate::messages::About;
use crate::quotas::Need;
use crate::refusal::Refusal;
use crate::service::racing;
use crate::switches::Binary;
use crate::{Edit, NewBackup, NewVolume, Reach, Restore, RestoreTo, Service, ServiceError};

impl Service {
    /// Asks for a backup of a volume.
    pub async fn create_backup(
        &self,
        caller: &Caller,
        new: NewBackup,
    ) -> Result<Backup, ServiceError> {
        racing(|| self.try_create_backup(caller, &new)).await
    }

    async fn try_create_backup(
        &self,
        caller: &Caller,
        new: &NewBackup,
    ) -> Result<Backup, ServiceError> {
        let volume = self.visible_volume(caller, new.volume_id).await?;
        self.allow(caller, "backup:create")?;
        let snapshot = match new.snapshot_id {
            Some(id) => Some(self.snapshot_to_back_up(caller, &volume, id).await?),
            None => {
                volume_to_back_up(&volume, new.force)?;
                None
            }
        };
        let vault = self
            .vault_named_by(caller, new.container.as_deref())
            .await?;
        let _turn = self.quota_turn(&caller.project_id).await;
        // A vault's capacity is the quota of what is in it.
        let reserved = match vault {
            Some(_) => None,
            None => {
                let need = Need {
                    backups: 1,
                    backup_gigabytes: u64::from(volume.size.0),
                    ..Need::default()
                };
                Some(self.reserve(&caller.project_id, need).await?)
            }
        };
        let parent_id = if new.incremental {
            let taken = snapshot.as_ref().map(|s| s.created_at);
            let parent = self.parent_of(&caller.project_id, volume.id, taken).await?;
            Some(parent.ok_or(ServiceError::NoParent(volume.id))?)
        } else {
            None
        };
        let now = self.now();
        let backup = Backup {
            id: BackupId(Uuid::new_v4()),
            project_id: caller.project_id.clone(),
            user_id: caller.user_id.clone(),
            volume_id: volume.id,
            volume_name: volume.name.clone(),
            snapshot_id: new.snapshot_id,
            vault_id: vault.as_ref().map(|v| v.id),
            checkpoint_id: None,
            parent_id,
            name: new.name.clone(),
            description: new.description.clone(),
            container: new.container.clone(),
            availability_zone: new.availability_zone.clone(),
            metadata: new.metadata.clone(),
            size: volume.size,
            automatic: false,
            state: BackupState::Queued,
            fail_reason: None,
            restore_volume_id: None,
            data_timestamp: snapshot.as_ref().map_or(now, |s| s.created_at),
            created_at: now,
            updated_at: Some(now),
            deleted_at: None,
            content: None,
            cinder: cinder_facts(&volume),
            cbr: Default::default(),
            revision: 0,
        };
        if !self.is_on(Binary::Backup).await? {
            return self.no_one_backs_up(caller, backup, reserved).await;
        }
        let mut task = self.backup_task(
            caller,
            &backup,
            Work::Backup {
                backup_id: backup.id,
            },
        );
        task.vault_name = vault.as_ref().map(|v| v.name.clone());
        let mut changes = vec![
            Change::Insert(Row::Backup(backup.clone())),
            Change::Insert(Row::Task(task)),
        ];
        changes.extend(reserved);
        // Fences against the vault being deleted meanwhile.
        changes.extend(vault.map(|vault| Change::Save(Row::Vault(vault))));
        changes.push(match snapshot {
            Some(mut snapshot) => {
                snapshot.status = SnapshotStatus::BackingUp;
                Change::Save(Row::Snapshot(snapshot))
            }
            None => Change::Save(Row::Volume(backing_up(volume, now))),
        });
        self.commit(changes).await?;
        Ok(backup)
    }

    /// Notes a backup that nobody is there to make: it is answered as any other, and fails.
    async fn no_one_backs_up(
        &self,
        caller: &Caller,
        mut backup: Backup,
        reserved: Option<Change>,
    ) -> Result<Backup, ServiceError> {
        let reason = "Service not found for creating backup.".to_owned();
        backup.fail_reason = Some(reason.clone());
        backup.state = BackupState::Failed { reason };
        let mut changes = vec![Change::Insert(Row::Backup(backup.clone()))];
        changes.extend(reserved);
        changes.push(self.message(
            &backup.project_id,
            &caller.request_id,
            About::Backup(backup.id),
            MessageAction::CreateBackup,
            MessageDetail::ServiceDown,
        ));
        self.commit(changes).await?;
        Ok(backup)
    }

    async fn snapshot_to_back_up(
        &self,
        caller: &Caller,
        volume: &Volume,
        id: emberkeep_model::SnapshotId,
    ) -> Result<Snapshot, ServiceError> {
        let snapshot = self.visible_snapshot(caller, id).await?;
        if snapshot.volume_id != volume.id {
            return Err(ServiceError::SnapshotOfOtherVolume {
                volume: volume.id,
                snapshot_volume: snapshot.volume_id,
            });
        }
        if snapshot.status != SnapshotStatus::Available {
            return Err(ServiceError::BackupSnapshotStatus {
                id,
                status: snapshot.status.as_str(),
            });
        }
        Ok(snapshot)
    }

    /// Chooses the backup that an incremental one of `volume` starts from.
    pub(crate) async fn parent_of(
        &self,
        project: &ProjectId,
        volume: VolumeId,
        snapshot_created_at: Option<Timestamp>,
    ) -> Result<Option<BackupId>, ServiceError> {
        let query = BackupQuery {
            project: Some(project.clone()),
            volumes: vec![volume],
            replicas: Some(false),
            ..BackupQuery::default()
        };
        let rows = self.catalog.backups(&query).await?.items;
        let candidates: Vec<Candidate> = rows
            .iter()
            .map(|b| Candidate {
                id: b.id,
                data_timestamp: b.data_timestamp,
                available: matches!(b.state, BackupState::Available(_)),
            })
            .collect();
        Ok(choose_parent(&candidates, snapshot_created_at))
    }

    /// Finds the vault that a backup's `container` names, by id or by a name that only one has.
    /// Any other word is a plain container and is kept as given.
    async fn vault_named_by(
        &self,
        caller: &Caller,
        container: Option<&str>,
    ) -> Result<Option<Vault>, ServiceError> {
        let Some(word) = container else {
            return Ok(None);
        };
        let mut query = VaultQuery {
            project: Some(caller.project_id.clone()),
            ..VaultQuery::default()
        };
        match word.parse::<VaultId>() {
            Ok(id) => query.ids = vec![id],
            Err(_) => query.name = Some(word.to_owned()),
        }
        let mut found = self.catalog.vaults(&query).await?.items;
        let Some(vault) = found.pop().filter(|_| found.is_empty()) else {
            return Ok(None);
        };
        self.vault_takes_backups(&vault).await?;
        Ok(Some(vault))
    }

    /// Builds a task about a backup.
    pub(crate) fn backup_task(&self, caller: &Caller, backup: &Backup, work: Work) -> Task {
        let mut task = self.new_task(caller, work);
        task.project_id = backup.project_id.clone();
        task.object_type = backup.cbr.kind;
        task.volume_id = Some(backup.volume_id);
        task.volume_name = backup.volume_name.clone();
        task.backup_id = Some(backup.id);
        task.backup_name = backup.name.clone();
        task.vault_id = backup.vault_id;
        task.checkpoint_id = backup.checkpoint_id;
        task
    }

    /// Shows one backup.
    pub async fn backup(&self, caller: &Caller, id: BackupId) -> Result<Backup, ServiceError> {
        let backup = self.visible_backup(caller, id).await?;
        self.allow(caller, "backup:get")?;
        Ok(backup)
    }

    /// Lists backups.
    pub async fn backups(
        &self,
        caller: &Caller,
        mut query: BackupQuery,
        reach: Reach,
    ) -> Result<Page<Backup>, ServiceError> {
        self.allow(caller, "backup:get_all")?;
        query.project = Self::reach(caller, reach, query.project.take());
        query.with_deleted = false;
        query.kind = Some(ObjectType::Disk);
        if let Some(marker) = query.paging.marker {
            self.visible_backup(caller, marker).await?;
        }
        Ok(self.catalog.backups(&query).await?)
    }

    /// Changes a backup's name, text or pairs.
    pub async fn edit_backup(
        &self,
        caller: &Caller,
        id: BackupId,
        edit: Edit,
    ) -> Result<Backup, ServiceError> {
        racing(|| async {
            let mut backup = self.visible_backup(caller, id).await?;
            self.allow(caller, "backup:update")?;
            let edit = edit.clone();
            if let Some(name) = edit.name {
                backup.name = name;
            }
            if let Some(description) = edit.description {
                backup.description = description;
            }
            if let Some(metadata) = edit.metadata {
                backup.metadata = metadata;
            }
            backup.updated_at = Some(self.now());
            self.commit(vec![Change::Save(Row::Backup(backup.clone()))])
                .await?;
            Ok(backup)
        })
        .await
    }

    /// Asks for a backup to be deleted. Every backup is complete, so any can go on any day.
    pub async fn delete_backup(
        &self,
        caller: &Caller,
        id: BackupId,
    ) -> Result<TaskId, ServiceError> {
        racing(|| async {
            let backup = self.visible_backup(caller, id).await?;
            self.allow(caller, "backup:delete")?;
            if !matches!(
                backup.state,
                BackupState::Available(_) | BackupState::Failed { .. }
            ) {
                return Err(ServiceError::BackupNotDeletable {
                    id,
                    state: backup.state.word(),
                });
            }
            self.refuse_locked(&backup).await?;
            self.no_dependents(caller, &backup).await?;
            self.must_be_on(Binary::Backup).await?;
            let (task, changes) = self.deletion_of(caller, backup)?;
            self.commit(changes).await?;
            Ok(task)
        })
        .await
    }

    /// Refuses a backup that others were made from, where that is counted.
    pub(crate) async fn no_dependents(
        &self,
        caller: &Caller,
        backup: &Backup,
    ) -> Result<(), ServiceError> {
        // What Cinder wrote is nothing without the backups it builds on.
        if backup.foreign().is_some() && !self.foreign_children(backup.id).await?.is_empty() {
            return Err(Refusal::BackupHasDependents(backup.id).into());
        }
        if !self.settings.count_dependents {
            return Ok(());
        }
        let query = BackupQuery {
            project: Some(caller.project_id.clone()),
            parent: Some(backup.id),
            paging: Paging {
                limit: Some(1),
                ..Paging::default()
            },
            ..BackupQuery::default()
        };
        if self.catalog.backups(&query).await?.items.is_empty() {
            Ok(())
        } else {
            Err(Refusal::BackupHasDependents(backup.id).into())
        }
    }

    /// Builds the changes that ask for a backup's deletion.
    pub(crate) fn deletion_of(
        &self,
        caller: &Caller,
        mut backup: Backup,
    ) -> Result<(TaskId, Vec<Change>), ServiceError> {
        if let Some(whole) = backup.cbr.part_of {
            let part = backup.id;
            return Err(crate::CbrError::PartOfServer { part, whole }.into());
        }
        self.not_filled_from(&backup)?;
        backup
            .take(BackupEvent::DeleteAsked, self.now())
            .map_err(|refused| ServiceError::BackupNotDeletable {
                id: backup.id,
                state: refused.state,
            })?;
        let task = self.backup_task(
            caller,
            &backup,
            Work::DeleteBackup {
                backup_id: backup.id,
            },
        );
        let id = task.id;
        Ok((
            id,
            vec![
                Change::Save(Row::Backup(backup)),
                Change::Insert(Row::Task(task)),
            ],
        ))
    }

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
    pub async fn create_volume_from_backup(
        &self,
        caller: &Caller,
        id: BackupId,
        new: NewVolume,
    ) -> Result<Volume, ServiceError> {
        self.allow(caller, "volume:create")?;
        racing(|| async {
            let backup = self.visible_backup(caller, id).await?;
            self.allow(caller, "backup:restore")?;
            if !matches!(backup.state, BackupState::Available(_)) {
                return Err(not_restorable(&backup));
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

/// Refuses a volume that cannot be backed up as it stands.
fn volume_to_back_up(volume: &Volume, force: bool) -> Result<(), ServiceError> {
    match volume.status {
        VolumeStatus::Available => Ok(()),
        VolumeStatus::InUse if force => Ok(()),
        VolumeStatus::InUse => Err(ServiceError::BackupNeedsForce(volume.id)),
        other => Err(ServiceError::BackupVolumeStatus {
            id: volume.id,
            status: other.as_str(),
        }),
    }
}

/// Marks a volume as being backed up; its status before is kept.
pub(crate) fn backing_up(mut volume: Volume, now: Timestamp) -> Volume {
    volume.previous_status = Some(volume.status);
    volume.status = VolumeStatus::BackingUp;
    volume.updated_at = Some(now);
    volume
}

/// Words the refusal of a backup that cannot be restored as it stands.
pub(crate) fn not_restorable(backup: &Backup) -> ServiceError {
    ServiceError::BackupNotRestorable {
        id: backup.id,
        state: backup.state.word(),
    }
}

/// Notes what a volume is like, for a restore to put back.
pub(crate) fn cinder_facts(volume: &Volume) -> CinderFacts {
    CinderFacts {
        source: Some(SourceFacts {
            name: volume.name.clone(),
            description: volume.description.clone(),
            metadata: volume.metadata.clone(),
            image_metadata: volume.image_metadata.clone(),
            bootable: volume.bootable,
        }),
        ..CinderFacts::default()
    }
}
