//! Vaults emptied: all of one, or what it has of some resources.

use async_trait::async_trait;
use emberkeep_catalog::{Change, Key, Row};
use emberkeep_engine::Run;
use emberkeep_model::{
    Backup, BackupEvent, BackupId, BackupState, ProtectStatus, ResourceId, Task, VaultId,
    VaultStatus, Work,
};

use crate::race::racing;
use crate::task::kind::TaskKind;
use crate::task::outcome::{Stop, Verdict};
use crate::vault::commands::wholes;
use crate::{Service, ServiceError};

/// Takes resources out of a vault with all their backups in it.
#[derive(Debug, Clone)]
pub(crate) struct RemoveResources {
    pub(crate) vault_id: VaultId,
    pub(crate) resource_ids: Vec<ResourceId>,
}

#[async_trait]
impl TaskKind for RemoveResources {
    type Found = ();

    async fn act(&self, service: &Service, task: &Task, _run: &Run) -> Result<(), Stop> {
        let only = Some(self.resource_ids.as_slice());
        service.act_empty_vault(task, self.vault_id, only).await
    }

    async fn rows(
        &self,
        service: &Service,
        _task: &mut Task,
        verdict: &Verdict,
    ) -> Result<Vec<Change>, ServiceError> {
        let resources = service.catalog.vault_resources(self.vault_id).await?;
        let concerned = resources
            .into_iter()
            .filter(|r| self.resource_ids.contains(&r.resource_id));
        Ok(concerned
            .map(|mut resource| match verdict {
                Verdict::Done(_) => {
                    Change::Remove(Key::VaultResource(resource.resource_id), resource.revision)
                }
                Verdict::Failed(_) | Verdict::Cancelled => {
                    resource.status = ProtectStatus::Error;
                    Change::Save(Row::VaultResource(resource))
                }
            })
            .collect())
    }
}

/// Deletes a vault with all its backups.
#[derive(Debug, Clone)]
pub(crate) struct DeleteVault {
    pub(crate) vault_id: VaultId,
}

#[async_trait]
impl TaskKind for DeleteVault {
    type Found = ();

    async fn act(&self, service: &Service, task: &Task, _run: &Run) -> Result<(), Stop> {
        service.act_empty_vault(task, self.vault_id, None).await
    }

    async fn rows(
        &self,
        service: &Service,
        task: &mut Task,
        verdict: &Verdict,
    ) -> Result<Vec<Change>, ServiceError> {
        if let (Verdict::Failed(_), Work::DeleteVault { backups, .. }) = (verdict, &mut task.work) {
            backups.left = wholes(&service.backups_in(self.vault_id).await?);
        }
        let Some(mut vault) = service.catalog.vault(self.vault_id).await? else {
            return Ok(Vec::new());
        };
        match verdict {
            Verdict::Done(_) => {
                let resources = service.catalog.vault_resources(self.vault_id).await?;
                let mut changes: Vec<Change> = resources
                    .into_iter()
                    .map(|r| Change::Remove(Key::VaultResource(r.resource_id), r.revision))
                    .collect();
                changes.extend(service.unbind_all(self.vault_id).await?);
                changes.push(Change::Remove(Key::Vault(self.vault_id), vault.revision));
                Ok(changes)
            }
            Verdict::Failed(_) | Verdict::Cancelled => {
                vault.status = VaultStatus::Error;
                vault.updated_at = Some(service.now());
                Ok(vec![Change::Save(Row::Vault(vault))])
            }
        }
    }
}

/// Records that the expiry of backups was moved, which is done when it is asked for.
#[derive(Debug, Clone)]
pub(crate) struct MoveExpiry;

#[async_trait]
impl TaskKind for MoveExpiry {
    type Found = ();

    async fn act(&self, _service: &Service, _task: &Task, _run: &Run) -> Result<(), Stop> {
        Ok(())
    }

    async fn rows(
        &self,
        _service: &Service,
        _task: &mut Task,
        _verdict: &Verdict,
    ) -> Result<Vec<Change>, ServiceError> {
        Ok(Vec::new())
    }
}

impl Service {
    /// Deletes the backups in a vault: of the resources named, or all.
    async fn act_empty_vault(
        &self,
        task: &Task,
        vault: VaultId,
        only: Option<&[ResourceId]>,
    ) -> Result<(), Stop> {
        // What is part of a server's backup goes with it.
        let concerns = |backup: &&Backup| {
            let named = only.is_none_or(|named| named.contains(&backup.resource_id()));
            named && backup.cbr.part_of.is_none()
        };
        let mut busy = false;
        for backup in self.backups_in(vault).await?.iter().filter(concerns) {
            busy |= !self.delete_with_vault(task, backup.id).await?;
        }
        // A restore may still read one, or a deletion of its own may be under way.
        if busy { Err(Stop::NotYet) } else { Ok(()) }
    }

    /// Deletes one backup and its row; returns false while something else goes on with it.
    async fn delete_with_vault(&self, task: &Task, id: BackupId) -> Result<bool, ServiceError> {
        let asked = racing(|| async {
            let Some(backup) = self.catalog.backup(id).await? else {
                return Ok(None);
            };
            let now = self.now();
            let mut all = self.parts_of(&backup).await?;
            all.push(backup);
            for backup in &mut all {
                let asked = backup
                    .take(BackupEvent::DeleteAsked, now)
                    .and_then(|()| backup.take(BackupEvent::Claimed, now));
                // `Deleting` may be what an interrupted attempt of ours left.
                if asked.is_err() && backup.take(BackupEvent::Claimed, now).is_err() {
                    return Ok(None);
                }
                if backup.state != BackupState::Deleting {
                    return Ok(None);
                }
            }
            let rows = all.iter().cloned();
            self.commit(rows.map(|b| Change::Save(Row::Backup(b))).collect())
                .await?;
            Ok(Some(all))
        })
        .await?;
        let Some(all) = asked else {
            let left = self.catalog.backup(id).await?;
            return Ok(left.is_none_or(|b| b.deleted_at.is_some()));
        };
        for backup in &all {
            self.delete_manifest(backup).await?;
        }
        racing(|| async {
            let verdict = Verdict::Done(());
            let changes = self.rows_backup_deleted(task, id, &verdict).await?;
            self.commit(changes).await
        })
        .await?;
        Ok(true)
    }
}
