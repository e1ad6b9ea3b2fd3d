//! The rarer things done with vaults (`cbr-v3.md §2.2`, `§2.10`): moves, sums, pauses, expiry.

use std::collections::BTreeMap;

use emberkeep_catalog::{BackupQuery, Change, Row};
use emberkeep_model::{
    Backup, BackupState, ByteCount, Caller, GIB, ObjectType, ProjectId, ProtectStatus, ResourceId,
    Role, TaskId, TaskState, Vault, VaultId, VaultStatus, Work,
};

use crate::access::require;
use crate::error::{invalid, vault_status};
use crate::query::VaultQuery;
use crate::race::racing;
use crate::vault::commands::resource_named;
use crate::vault::resources::Wholes;
use crate::{CbrError, MoveExpiry, Service, ServiceError, VaultUse};
use emberkeep_plan::make_room;

/// What is stored of one resource over all vaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageUsage {
    /// The resource.
    pub resource_id: ResourceId,
    /// What that is.
    pub kind: ObjectType,
    /// Its name when it was last backed up.
    pub name: Option<String>,
    /// Backups of it.
    pub backups: u64,
    /// Bytes stored for them.
    pub used: ByteCount,
}

impl Service {
    /// Moves resources with all their backups to another vault.
    pub async fn migrate_resources(
        &self,
        caller: &Caller,
        from: VaultId,
        to: VaultId,
        ids: Vec<String>,
    ) -> Result<Vec<ResourceId>, ServiceError> {
        racing(|| async {
            let mut source = self.own_vault(caller, from).await?;
            require(caller, Role::Member, "cbr:vaults:migrateResources")?;
            let mut target = match self.own_vault(caller, to).await {
                Err(ServiceError::NoSuchVault(id)) => {
                    return Err(CbrError::NoSuchDestination(id).into());
                }
                found => found?,
            };
            for vault in [&source, &target] {
                if !matches!(vault.status, VaultStatus::Available | VaultStatus::Lock) {
                    return Err(vault_status(vault, VaultUse::Change));
                }
            }
            if from == to
                || source.object_type != target.object_type
                || source.protect_type != target.protect_type
            {
                return Err(CbrError::DestinationKind(to).into());
            }
            let backups = self.backups_in(from).await?;
            let there = self.backups_in(to).await?;
            for (vault, backups) in [(from, &backups), (to, &there)] {
                let resources = self.catalog.vault_resources(vault).await?;
                let removing = resources
                    .iter()
                    .any(|resource| resource.status == ProtectStatus::Removing);
                if removing || backups.iter().any(|b| b.state.is_busy()) {
                    return Err(ServiceError::VaultBusy(vault));
                }
            }
            for vault in [&source, &target] {
                if vault.locked {
                    return Err(ServiceError::VaultLocked(vault.id));
                }
            }
            let present = self.catalog.vault_resources(from).await?;
            let mut moved: Vec<ResourceId> = Vec::new();
            let mut changes = Vec::new();
            let mut need = 0;
            for text in &ids {
                let mut resource = resource_named(&present, text)?.clone();
                if moved.contains(&resource.resource_id) {
                    continue;
                }
                moved.push(resource.resource_id);
                need += u64::from(resource.size.0);
                resource.vault_id = to;
                changes.push(Change::Save(Row::VaultResource(resource)));
            }
            let usage = self
                .catalog
                .vault_usage(&[to])
                .await?
                .pop()
                .unwrap_or_default();
            let wholes = Wholes::of(&backups);
            let goes = |backup: &Backup| moved.contains(&wholes.resource(backup));
            let stored: u64 = backups
                .iter()
                .filter(|b| goes(b) && b.cbr.kind != ObjectType::Server)
                .map(|b| b.state.sealed().map_or(0, |sealed| sealed.stored.0))
                .sum();
            let allocated = u64::from(usage.allocated.0) + need;
            let used = usage.used.0.saturating_add(stored).div_ceil(GIB);
            // What is stored has to fit, too: a vault is not overfilled by moving things there.
            if make_room(&mut target, allocated.max(used)).is_err() {
                return Err(CbrError::DestinationFull { vault: to, need }.into());
            }
            let count = self.catalog.vault_resources(to).await?.len();
            if count + moved.len() > crate::vault::commands::MAX_RESOURCES {
                return Err(ServiceError::VaultTooManyResources);
            }
            for mut backup in backups {
                if moved.contains(&wholes.resource(&backup)) {
                    backup.vault_id = Some(to);
                    changes.push(Change::Save(Row::Backup(backup)));
                }
            }
            for vault in [&mut source, &mut target] {
                vault.updated_at = Some(self.now());
                changes.push(Change::Save(Row::Vault(vault.clone())));
            }
            self.commit(changes).await?;
            Ok(moved)
        })
        .await
    }

    /// Says whether scheduled runs leave resources out.
    pub async fn suspend_resources(
        &self,
        caller: &Caller,
        id: VaultId,
        ids: Vec<String>,
        suspend: bool,
    ) -> Result<Vec<ResourceId>, ServiceError> {
        racing(|| async {
            let vault = self.own_vault(caller, id).await?;
            require(caller, Role::Member, "cbr:vaults:update")?;
            if !matches!(vault.status, VaultStatus::Available | VaultStatus::Lock) {
                return Err(vault_status(&vault, VaultUse::Change));
            }
            let present = self.catalog.vault_resources(id).await?;
            let mut set: Vec<ResourceId> = Vec::new();
            let mut changes = Vec::new();
            for text in &ids {
                let mut resource = resource_named(&present, text)?.clone();
                if !set.contains(&resource.resource_id) {
                    set.push(resource.resource_id);
                    resource.auto_protect = !suspend;
                    changes.push(Change::Save(Row::VaultResource(resource)));
                }
            }
            self.commit(changes).await?;
            Ok(set)
        })
        .await
    }

    /// Changes when notices go out, for every vault of the project.
    pub async fn update_vaults(
        &self,
        caller: &Caller,
        smn_notify: Option<bool>,
        threshold: Option<u8>,
    ) -> Result<Vec<VaultId>, ServiceError> {
        require(caller, Role::Member, "cbr:vaults:update")?;
        racing(|| async {
            let vaults = self.vaults_of(&caller.project_id).await?;
            let ids = vaults.iter().map(|vault| vault.id).collect();
            let now = self.now();
            let changes = vaults.into_iter().map(|mut vault| {
                vault.smn_notify = smn_notify.unwrap_or(vault.smn_notify);
                vault.threshold = threshold.unwrap_or(vault.threshold);
                vault.updated_at = Some(now);
                Change::Save(Row::Vault(vault))
            });
            self.commit(changes.collect()).await?;
            Ok(ids)
        })
        .await
    }

    /// Moves the expiry of the vault's backups that have one; returns how many those are. In a
    /// locked vault it only moves on, never back.
    pub async fn move_expiry(
        &self,
        caller: &Caller,
        id: VaultId,
        to: &MoveExpiry,
    ) -> Result<(u64, TaskId), ServiceError> {
        let expires_at = to.expires_at;
        racing(|| async {
            let vault = self.own_vault(caller, id).await?;
            require(caller, Role::Member, "cbr:vaults:update")?;
            if !matches!(vault.status, VaultStatus::Available | VaultStatus::Lock) {
                return Err(vault_status(&vault, VaultUse::Change));
            }
            // All of them would be gone at once, which is what deleting is for.
            if expires_at <= self.now() {
                return Err(invalid("expect_expiration_date", "is over already"));
            }
            let mut changes = Vec::new();
            for mut backup in self.backups_in(id).await? {
                let Some(before) = backup.cbr.expires_at else {
                    continue;
                };
                if vault.locked && expires_at < before {
                    return Err(ServiceError::VaultLocked(id));
                }
                backup.cbr.expires_at = Some(expires_at);
                changes.push(Change::Save(Row::Backup(backup)));
            }
            let backups = changes.len() as u64;
            let work = Work::MoveExpiry {
                vault_id: id,
                backups,
                day: to.day.clone(),
            };
            let mut task = self.new_task(caller, work);
            task.state = TaskState::Succeeded;
            task.started_at = Some(task.created_at);
            task.ended_at = Some(task.created_at);
            task.object_type = vault.object_type;
            task.vault_id = Some(id);
            task.vault_name = Some(vault.name);
            let task_id = task.id;
            changes.push(Change::Insert(Row::Task(task)));
            self.commit(changes).await?;
            Ok((backups, task_id))
        })
        .await
    }

    /// Sums the capacity and the use of all the project's vaults.
    pub async fn vaults_summary(&self, caller: &Caller) -> Result<(u64, ByteCount), ServiceError> {
        require(caller, Role::Reader, "cbr:vaults:list")?;
        let vaults = self.vaults_of(&caller.project_id).await?;
        let ids: Vec<_> = vaults.iter().map(|vault| vault.id).collect();
        let used = self.catalog.vault_usage(&ids).await?;
        Ok((
            vaults.iter().map(|vault| u64::from(vault.size.0)).sum(),
            ByteCount(used.iter().map(|usage| usage.used.0).sum()),
        ))
    }

    async fn vaults_of(&self, project: &ProjectId) -> Result<Vec<Vault>, ServiceError> {
        let query = VaultQuery {
            project: Some(project.clone()),
            ..VaultQuery::default()
        };
        Ok(self.catalog.vaults(&query).await?.items)
    }

    /// Sums what is stored of each resource of the project, by id.
    pub async fn storage_usage(&self, caller: &Caller) -> Result<Vec<StorageUsage>, ServiceError> {
        require(caller, Role::Reader, "cbr:vaults:list")?;
        let query = BackupQuery {
            project: Some(caller.project_id.clone()),
            in_vaults_only: true,
            ..BackupQuery::default()
        };
        let mut sums: BTreeMap<ResourceId, StorageUsage> = BTreeMap::new();
        let all = self.catalog.backups(&query).await?.items;
        let wholes = Wholes::of(&all);
        // Newest first, so the first name met is the latest.
        for backup in &all {
            let id = wholes.resource(backup);
            let is_part = backup.cbr.part_of.is_some();
            let sum = sums.entry(id).or_insert_with(|| StorageUsage {
                resource_id: id,
                kind: if is_part {
                    ObjectType::Server
                } else {
                    backup.cbr.kind
                },
                name: None,
                backups: 0,
                used: ByteCount(0),
            });
            if !is_part {
                sum.name = sum.name.take().or_else(|| backup.volume_name.clone());
                if backup.state != BackupState::Deleting {
                    sum.backups += 1;
                }
            }
            // What a server's backup stores are its parts.
            if backup.cbr.kind != ObjectType::Server {
                sum.used.0 += backup.state.sealed().map_or(0, |sealed| sealed.stored.0);
            }
        }
        Ok(sums.into_values().collect())
    }
}
