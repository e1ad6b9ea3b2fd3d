//! Backups as CBR sees them: those in vaults, under CBR's own rules (`cbr-v3.md §2.4`).

use std::collections::HashMap;
use std::sync::Arc;

use emberkeep_catalog::{BackupField, BackupQuery, Change, Direction, Page, Row};
use emberkeep_model::{
    Backup, BackupEvent, BackupId, BackupState, Caller, Member, MemberStatus, ObjectType, Role,
    TaskId, VaultStatus, Volume, VolumeId, VolumeStatus,
};

use crate::access::require;
use crate::backup::restores::not_restorable;
use crate::error::{invalid, vault_status};
use crate::query::TaskQuery;
use crate::race::racing;
use crate::{BackupView, CbrError, CbrRestore, Service, ServiceError, VaultUse};

impl Service {
    /// Lists the project's backups that are in vaults.
    pub async fn cbr_backups(
        &self,
        caller: &Caller,
        mut query: BackupQuery,
    ) -> Result<Page<BackupView>, ServiceError> {
        require(caller, Role::Reader, "cbr:backups:list")?;
        // Shared ones have other owners; the query itself says whose they may be.
        query.project = match &mut query.shared {
            Some(shared) => {
                shared.with = caller.project_id.clone();
                None
            }
            None => Some(caller.project_id.clone()),
        };
        query.in_vaults_only = true;
        query.with_deleted = false;
        // The backups of a server's disks show with it, unless they are asked for.
        query.whole_only = query.part_of.is_none();
        let page = self.catalog.backups(&query).await?;
        let mut items = Vec::with_capacity(page.items.len());
        for mut backup in page.items {
            if backup.project_id != caller.project_id {
                let member = self.share_with(&backup, &caller.project_id).await?;
                backup = as_received(backup, member.as_ref());
            }
            items.push(self.backup_view(backup).await?);
        }
        Ok(Page {
            items,
            total: page.total,
            is_cut: page.is_cut,
        })
    }

    /// Shows one backup that is in a vault.
    pub async fn cbr_backup(
        &self,
        caller: &Caller,
        id: BackupId,
    ) -> Result<BackupView, ServiceError> {
        let (backup, received) = self.readable_backup(caller, id).await?;
        require(caller, Role::Reader, "cbr:backups:get")?;
        let backup = match received {
            Some(member) => as_received(backup, Some(&member)),
            None => backup,
        };
        self.backup_view(backup).await
    }

    /// Shows a server's backup that can be used, for what it remembers of the server.
    pub async fn cbr_backup_of_server(
        &self,
        caller: &Caller,
        id: BackupId,
    ) -> Result<BackupView, ServiceError> {
        let view = self.cbr_backup(caller, id).await?;
        let refused = |reason| CbrError::NoMetadata { id, reason }.into();
        if view.backup.cbr.kind != ObjectType::Server {
            return Err(refused("it is not of a server"));
        }
        match view.backup.state.sealed() {
            Some(_) => Ok(view),
            None => Err(refused("it is not available")),
        }
    }

    /// Tells of some of the project's backups, made by whichever API, whether they are incremental; a
    /// server's is if all its parts are.
    pub async fn how_made(
        &self,
        caller: &Caller,
        ids: Vec<BackupId>,
    ) -> Result<HashMap<BackupId, bool>, ServiceError> {
        require(caller, Role::Reader, "cbr:backups:list")?;
        let mut made = HashMap::new();
        for id in ids {
            let found = self.catalog.backup_seen(id).await?;
            let own = |backup: &Arc<Backup>| {
                backup.project_id == caller.project_id && backup.state != BackupState::Deleted
            };
            let Some(backup) = found.filter(own) else {
                continue;
            };
            if backup.cbr.kind != ObjectType::Server {
                made.insert(id, backup.is_incremental());
                continue;
            }
            let parts = self.parts_of(&backup).await?;
            if !parts.is_empty() {
                made.insert(id, parts.iter().all(Backup::is_incremental));
            }
        }
        Ok(made)
    }

    /// Renames a backup that is in a vault.
    pub async fn cbr_rename_backup(
        &self,
        caller: &Caller,
        id: BackupId,
        name: String,
    ) -> Result<BackupView, ServiceError> {
        let backup = racing(|| async {
            let mut backup = self.backup_in_vault(caller, id).await?;
            self.allow(caller, "backup:update")?;
            backup.name = Some(name.clone());
            backup.updated_at = Some(self.now());
            self.commit(vec![Change::Save(Row::Backup(backup.clone()))])
                .await?;
            Ok(backup)
        })
        .await?;
        self.backup_view(backup).await
    }

    /// Returns a backup in a vault that is the project's own.
    pub(crate) async fn backup_in_vault(
        &self,
        caller: &Caller,
        id: BackupId,
    ) -> Result<Backup, ServiceError> {
        match self.readable_backup(caller, id).await? {
            (backup, None) => Ok(backup),
            (_, Some(_)) => Err(ServiceError::NoSuchBackup(id)),
        }
    }

    async fn backup_view(&self, backup: Backup) -> Result<BackupView, ServiceError> {
        let mut parts = Vec::new();
        for mut part in self.parts_of(&backup).await? {
            part.vault_id = backup.vault_id;
            parts.push(self.one_backup_view(part).await?);
        }
        let mut view = self.one_backup_view(backup).await?;
        view.bootable |= parts.iter().any(|part| part.bootable);
        view.parts = parts;
        Ok(view)
    }

    async fn one_backup_view(&self, backup: Backup) -> Result<BackupView, ServiceError> {
        let bootable = match &backup.cinder.source {
            Some(source) => source.bootable,
            None if backup.is_of_volume() => {
                let volume = self.catalog.volume(backup.volume_id).await?;
                volume.is_some_and(|v| v.bootable)
            }
            None => false,
        };
        let progress = if backup.state.is_busy() {
            let query = TaskQuery {
                // What is done with a part is done by the task of the whole.
                backup: Some(backup.cbr.part_of.unwrap_or(backup.id)),
                states: vec!["waiting", "running"],
                ..TaskQuery::default()
            };
            self.tasks_now(&query)
                .await?
                .items
                .first()
                .map(|task| task.progress)
        } else {
            None
        };
        let copies = if backup.cbr.replica.is_some() {
            vec![backup.clone()]
        } else if self.regions.others.is_empty() {
            Vec::new()
        } else {
            self.copies_of(backup.id).await?
        };
        Ok(BackupView {
            backup,
            progress,
            bootable,
            copies,
            parts: Vec::new(),
        })
    }

    /// Lists the backups that are part of a server's, in the order they were made in.
    pub(crate) async fn parts_of(&self, whole: &Backup) -> Result<Vec<Backup>, ServiceError> {
        if whole.cbr.kind != ObjectType::Server {
            return Ok(Vec::new());
        }
        let query = BackupQuery {
            part_of: Some(whole.id),
            sort: vec![(BackupField::CreatedAt, Direction::Ascending)],
            ..BackupQuery::default()
        };
        Ok(self.catalog.backups(&query).await?.items)
    }

    /// Asks for a backup in a vault to be deleted.
    pub async fn cbr_delete_backup(
        &self,
        caller: &Caller,
        id: BackupId,
    ) -> Result<(), ServiceError> {
        racing(|| async {
            let backup = self.backup_in_vault(caller, id).await?;
            require(caller, Role::Member, "cbr:backups:delete")?;
            self.refuse_kept(&backup).await?;
            self.refuse_newest_of_running(&backup).await?;
            let vault_name = match backup.vault_id {
                Some(vault) => self.catalog.vault(vault).await?.map(|v| v.name),
                None => None,
            };
            let mut changes = self.deletion_with_parts(caller, backup).await?;
            for change in &mut changes {
                if let Change::Insert(Row::Task(task)) = change {
                    task.vault_name.clone_from(&vault_name);
                }
            }
            self.commit(changes).await
        })
        .await
    }

    /// The newest finished backup of a resource stays while the next one is being made.
    async fn refuse_newest_of_running(&self, backup: &Backup) -> Result<(), ServiceError> {
        let query = BackupQuery {
            project: Some(backup.project_id.clone()),
            volumes: vec![backup.volume_id],
            replicas: Some(false),
            ..BackupQuery::default()
        };
        if backup.cbr.replica.is_some() {
            return Ok(());
        }
        if self.is_being_copied(backup.id).await? {
            return Err(ServiceError::BackupInUse(backup.id));
        }
        let others = self.catalog.backups(&query).await?.items;
        let running = others
            .iter()
            .any(|b| matches!(b.state, BackupState::Queued | BackupState::Copying));
        let newest = others
            .iter()
            .find(|b| matches!(b.state, BackupState::Available(_)));
        if running && newest.is_some_and(|newest| newest.id == backup.id) {
            return Err(ServiceError::BackupInUse(backup.id));
        }
        Ok(())
    }

    /// Builds the changes that ask for the deletion of a backup and of all that is part of it.
    pub(crate) async fn deletion_with_parts(
        &self,
        caller: &Caller,
        backup: Backup,
    ) -> Result<Vec<Change>, ServiceError> {
        let parts = self.parts_of(&backup).await?;
        let (_, mut changes) = self.deletion_of(caller, backup)?;
        for mut part in parts {
            part.take(BackupEvent::DeleteAsked, self.now())
                .map_err(|refused| ServiceError::BackupNotDeletable {
                    id: part.id,
                    state: refused.state,
                })?;
            changes.push(Change::Save(Row::Backup(part)));
        }
        Ok(changes)
    }

    /// Asks for a backup in a vault to be restored: a disk's to a volume, a server's to the
    /// volumes of a server, a file system's to a file system. Returns the task that does it.
    pub async fn cbr_restore(
        &self,
        caller: &Caller,
        id: BackupId,
        to: CbrRestore,
    ) -> Result<TaskId, ServiceError> {
        racing(|| async {
            let (backup, received) = self.readable_backup(caller, id).await?;
            require(caller, Role::Member, "cbr:backups:restore")?;
            if received.is_some_and(|member| member.status != MemberStatus::Accepted) {
                return Err(CbrError::MemberUpdate("it has to be accepted first").into());
            }
            if !matches!(backup.state, BackupState::Available(_)) {
                return Err(not_restorable(&backup));
            }
            if let Some(vault_id) = backup.vault_id
                && let Some(vault) = self.catalog.vault(vault_id).await?
                && !matches!(vault.status, VaultStatus::Available | VaultStatus::Lock)
            {
                return Err(vault_status(&vault, VaultUse::Restore));
            }
            match backup.cbr.kind {
                ObjectType::Disk => {
                    let target = to.volume_id.or(to.resource_id.map(Into::into));
                    let target = target
                        .ok_or_else(|| invalid("volume_id", "names the disk to restore to"))?;
                    let volume = self.restore_target(caller, target).await?;
                    Ok(self.begin_restore(caller, backup, volume).await?.task_id)
                }
                ObjectType::Server => self.begin_server_restore(caller, backup, &to).await,
                ObjectType::Turbo => self.begin_file_system_restore(caller, backup, &to).await,
            }
        })
        .await
    }

    /// Returns a volume that a restore may write to.
    pub(crate) async fn restore_target(
        &self,
        caller: &Caller,
        id: VolumeId,
    ) -> Result<Volume, ServiceError> {
        let volume = self.visible_volume(caller, id).await?;
        match volume.status {
            VolumeStatus::Available => Ok(volume),
            VolumeStatus::BackingUp => Err(ServiceError::RestoreTargetBackingUp(id)),
            VolumeStatus::RestoringBackup => Err(ServiceError::RestoreTargetRestoring(id)),
            other => Err(ServiceError::RestoreTargetStatus {
                id,
                status: other.as_str(),
            }),
        }
    }
}

/// Shows a backup of another project as its receiver sees it: in their vault, of no run of theirs.
fn as_received(mut backup: Backup, member: Option<&Member>) -> Backup {
    backup.vault_id = member.and_then(|member| member.vault_id);
    backup
}
