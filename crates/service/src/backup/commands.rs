//! Backups through Block Storage: made, listed, changed, restored, deleted
//! (`cinder-backup.md §3.2–3.4`). Nothing is copied here: each use case checks,
//! then writes rows and a task in one go.

use std::sync::Arc;

use emberkeep_catalog::{
    BackupField, BackupQuery, Change, Direction, Page, Paging, Row, VaultQuery,
};
use emberkeep_model::{
    Backup, BackupEvent, BackupId, BackupState, Caller, CinderFacts, MessageAction, MessageDetail,
    ObjectType, ProjectId, Sealed, Snapshot, SnapshotStatus, SourceFacts, Task, TaskId, Timestamp,
    Vault, VaultId, Volume, VolumeId, VolumeStatus, Work,
};
use emberkeep_plan::{Candidate, choose_parent};
use uuid::Uuid;

use crate::messages::About;
use crate::pairs;
use crate::quotas::Need;
use crate::race::racing;
use crate::refusal::Refusal;
use crate::switches::Binary;
use crate::{Edit, NewBackup, Reach, Service, ServiceError};

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
        pairs::check_new(&new.metadata)?;
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
        let whose = (caller.project_id.clone(), caller.user_id.clone());
        let mut backup = Backup::new(BackupId(Uuid::new_v4()), whose, volume.id, now);
        backup.volume_name.clone_from(&volume.name);
        backup.snapshot_id = new.snapshot_id;
        backup.vault_id = vault.as_ref().map(|v| v.id);
        backup.parent_id = parent_id;
        backup.name.clone_from(&new.name);
        backup.description.clone_from(&new.description);
        backup.container.clone_from(&new.container);
        backup.availability_zone.clone_from(&new.availability_zone);
        backup.metadata.clone_from(&new.metadata);
        backup.size = volume.size;
        backup.data_timestamp = snapshot.as_ref().map_or(now, |s| s.created_at);
        backup.updated_at = Some(now);
        backup.cinder = cinder_facts(&volume);
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
            MessageDetail::ScheduleError,
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
        // Two rows decide, however many backups there are: the newest, and the one that is
        // available with the latest data.
        let newest = BackupQuery {
            project: Some(project.clone()),
            volumes: vec![volume],
            replicas: Some(false),
            paging: Paging {
                limit: Some(1),
                ..Paging::default()
            },
            ..BackupQuery::default()
        };
        let latest = BackupQuery {
            states: vec![BackupState::Available(Sealed::unread(Timestamp(0))).word()],
            taken_before: snapshot_created_at,
            sort: vec![
                (BackupField::DataTimestamp, Direction::Descending),
                (BackupField::CreatedAt, Direction::Descending),
                (BackupField::Id, Direction::Descending),
            ],
            ..newest.clone()
        };
        let mut rows = self.catalog.backups(&newest).await?.items;
        for row in self.catalog.backups(&latest).await?.items {
            if rows.iter().all(|newest| newest.id != row.id) {
                rows.push(row);
            }
        }
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
    pub async fn backup(&self, caller: &Caller, id: BackupId) -> Result<Arc<Backup>, ServiceError> {
        let backup = self.seen_backup(caller, id).await?;
        self.allow(caller, "backup:get")?;
        Ok(backup)
    }

    /// Lists backups.
    pub async fn backups(
        &self,
        caller: &Caller,
        mut query: BackupQuery,
        reach: Reach,
    ) -> Result<Page<Arc<Backup>>, ServiceError> {
        self.allow(caller, "backup:get_all")?;
        query.project = Self::reach(caller, reach, query.project.take());
        query.with_deleted = false;
        query.kind = Some(ObjectType::Disk);
        if let Some(marker) = query.paging.marker {
            self.seen_backup(caller, marker).await?;
        }
        Ok(self.catalog.backups_seen(&query).await?)
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
                pairs::check_change(&backup.metadata, &metadata)?;
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
                BackupState::Available(_) | BackupState::Damaged(_) | BackupState::Failed { .. }
            ) {
                return Err(ServiceError::BackupNotDeletable {
                    id,
                    state: backup.state.word(),
                });
            }
            self.refuse_kept(&backup).await?;
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
