//! Backups as CBR sees them: those in vaults, under CBR's own rules (`cbr-v3.md §2.4`).

use emberkeep_catalog::{BackupQuery, Page};
use emberkeep_model::{
    Backup, BackupId, BackupState, Caller, Member, MemberStatus, Role, VaultStatus, VolumeStatus,
};

use crate::backups::not_restorable;
use crate::query::TaskQuery;
use crate::service::{bad, racing, require};
use crate::vaults::vault_status;
use crate::{BackupView, CbrError, CbrRestore, Edit, Restore, Service, ServiceError, VaultUse};

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

    /// Renames a backup that is in a vault.
    pub async fn cbr_rename_backup(
        &self,
        caller: &Caller,
        id: BackupId,
        name: String,
    ) -> Result<BackupView, ServiceError> {
        self.backup_in_vault(caller, id).await?;
        let edit = Edit {
            name: Some(Some(name)),
            ..Edit::default()
        };
        let backup = self.edit_backup(caller, id, edit).await?;
        self.backup_view(backup).await
    }

    async fn backup_in_vault(&self, caller: &Caller, id: BackupId) -> Result<Backup, ServiceError> {
        let backup = self.visible_backup(caller, id).await?;
        let shown = backup.vault_id.is_some() && backup.project_id == caller.project_id;
        if shown {
            Ok(backup)
        } else {
            Err(ServiceError::NoSuchBackup(id))
        }
    }

    async fn backup_view(&self, backup: Backup) -> Result<BackupView, ServiceError> {
        let volume = self.catalog.volume(backup.volume_id).await?;
        let bootable = volume.is_some_and(|v| v.bootable);
        let progress = if backup.state.is_busy() {
            let query = TaskQuery {
                backup: Some(backup.id),
                states: vec!["waiting", "running"],
                ..TaskQuery::default()
            };
            self.catalog
                .tasks(&query)
                .await?
                .items
                .first()
                .map(|task| task.progress)
        } else {
            None
        };
        Ok(BackupView {
            backup,
            progress,
            bootable,
        })
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
            self.refuse_locked(&backup).await?;
            self.refuse_newest_of_running(&backup).await?;
            let vault_name = match backup.vault_id {
                Some(vault) => self.catalog.vault(vault).await?.map(|v| v.name),
                None => None,
            };
            let (_, mut changes) = self.deletion_of(caller, backup)?;
            for change in &mut changes {
                if let emberkeep_catalog::Change::Insert(emberkeep_catalog::Row::Task(task)) =
                    change
                {
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
            ..BackupQuery::default()
        };
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

    /// Asks for a backup in a vault to be written to a volume.
    pub async fn cbr_restore(
        &self,
        caller: &Caller,
        id: BackupId,
        to: CbrRestore,
    ) -> Result<Restore, ServiceError> {
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
            let target = to
                .volume_id
                .ok_or_else(|| bad("volume_id", "names the disk to restore to"))?;
            let volume = self.visible_volume(caller, target).await?;
            match volume.status {
                VolumeStatus::Available => self.begin_restore(caller, backup, volume).await,
                VolumeStatus::BackingUp => Err(ServiceError::RestoreTargetBackingUp(target)),
                VolumeStatus::RestoringBackup => Err(ServiceError::RestoreTargetRestoring(target)),
                other => Err(ServiceError::RestoreTargetStatus {
                    id: target,
                    status: other.as_str(),
                }),
            }
        })
        .await
    }
}

/// Shows a backup of another project as its receiver sees it: in their vault, of no run of theirs.
fn as_received(mut backup: Backup, member: Option<&Member>) -> Backup {
    backup.vault_id = member.and_then(|member| member.vault_id);
    backup
}
