//! Vaults and the resources in them (`cbr-v3.md §2.2`).

use std::collections::HashSet;

use emberkeep_catalog::{BackupQuery, CatalogError, Change, Page, Row, VaultQuery};
use emberkeep_model::{
    Backup, BackupState, ByteCount, Caller, Emptied, GIB, Gib, ObjectType, ProtectStatus,
    ProtectType, ResourceId, ResourceUsage, Role, Vault, VaultId, VaultResource, VaultStatus,
    VaultUsage, VolumeChoice, Work,
};
use uuid::Uuid;

use crate::access::require;
use crate::error::{invalid, vault_status};
use crate::race::racing;
use crate::vault::resources::{Resource, Wholes, resource_word};
use crate::{
    CbrError, NewResource, NewVault, Service, ServiceError, VaultEdit, VaultUse, VaultView,
};
use emberkeep_plan::{VAULT_SIZES, is_unexpired, make_room};

/// Smallest and largest capacity of a new vault, in GiB; a vault may be shrunk down to 1.
const CREATE_SIZES: std::ops::RangeInclusive<i64> = 10..=10_485_760;
/// Resources that one vault takes.
pub(crate) const MAX_RESOURCES: usize = 256;

impl Service {
    /// Makes a vault with its first resources; nothing is made if any check fails.
    pub async fn create_vault(
        &self,
        caller: &Caller,
        new: NewVault,
    ) -> Result<VaultView, ServiceError> {
        require(caller, Role::Member, "cbr:vaults:create")?;
        racing(|| self.try_create_vault(caller, &new)).await
    }

    async fn try_create_vault(
        &self,
        caller: &Caller,
        new: &NewVault,
    ) -> Result<VaultView, ServiceError> {
        let size = vault_size(new.size, &CREATE_SIZES)?;
        let now = self.now();
        let mut vault = Vault {
            id: VaultId(Uuid::new_v4()),
            project_id: caller.project_id.clone(),
            user_id: caller.user_id.clone(),
            name: new.name.clone(),
            description: new.description.clone(),
            object_type: new.object_type,
            protect_type: new.protect_type,
            size,
            status: VaultStatus::Available,
            auto_expand: new.auto_expand,
            auto_bind: new.auto_bind,
            bind_rules: new.bind_rules.clone(),
            tags: new.tags.clone(),
            locked: new.locked,
            smn_notify: new.smn_notify,
            threshold: new.threshold,
            backup_name_prefix: new.backup_name_prefix.clone(),
            frozen_scene: None,
            created_at: now,
            updated_at: None,
            revision: 0,
        };
        let binding = self
            .first_binding(caller, &vault, new.backup_policy_id)
            .await?;
        let resources = self
            .resources_to_add(caller, &mut vault, &[], &new.resources)
            .await?;
        let mut changes = vec![Change::Insert(Row::Vault(vault.clone()))];
        changes.extend(binding);
        changes.extend(resources);
        self.commit_resources(changes).await?;
        self.vault_view(vault).await
    }

    /// Checks new resources, in the order the reference gives, and returns their rows: new ones,
    /// and those in the vault already whose choice of volumes changes. A vault that may expand is
    /// grown to hold them.
    async fn resources_to_add(
        &self,
        caller: &Caller,
        vault: &mut Vault,
        present: &[VaultResource],
        new: &[NewResource],
    ) -> Result<Vec<Change>, ServiceError> {
        let kind = vault.object_type;
        if vault.protect_type == ProtectType::Replication && !new.is_empty() {
            return Err(CbrError::VaultForCopies(vault.id).into());
        }
        let mut seen = HashSet::new();
        let mut wanted = Vec::new();
        for resource in new {
            if resource.kind != resource_word(kind) {
                return Err(ServiceError::ResourceType {
                    given: resource.kind.clone(),
                    vault: kind.as_str(),
                });
            }
            let id: ResourceId = resource
                .id
                .parse()
                .map_err(|_| invalid("resources", format!("'{}' is not an id", resource.id)))?;
            if !seen.insert(id) {
                return Err(ServiceError::ResourceTwice(id));
            }
            // Volumes are chosen of servers only.
            let choice = match kind {
                ObjectType::Server => resource.choice.clone(),
                ObjectType::Disk | ObjectType::Turbo => VolumeChoice::default(),
            };
            wanted.push((id, resource.name.clone(), choice));
        }
        let mut changes = Vec::new();
        let mut after = present.to_vec();
        for (id, name, choice) in wanted {
            // What is in this vault already is no error: clients repeat themselves, or change
            // which volumes are meant.
            if let Some(bound) = after.iter_mut().find(|r| r.resource_id == id) {
                // Soon it is not in this vault any more, whatever would be answered now.
                if bound.status == ProtectStatus::Removing {
                    return Err(ServiceError::ResourceRemoving(id));
                }
                if bound.choice == choice {
                    continue;
                }
                let found = self.resource_for_vault(caller, kind, id, &choice).await?;
                bound.size = found.size(&choice);
                bound.choice = choice;
                changes.push(Change::Save(Row::VaultResource(bound.clone())));
                continue;
            }
            if let Some(there) = self.catalog.vault_resource(id).await? {
                // Whoever may not know of it is not told where it is.
                self.resource_for_vault(caller, kind, id, &VolumeChoice::default())
                    .await?;
                return Err(ServiceError::ResourceInOtherVault {
                    resource: id,
                    vault: there.vault_id,
                });
            }
            let found = self.resource_for_vault(caller, kind, id, &choice).await?;
            let row = VaultResource {
                vault_id: vault.id,
                resource_id: id,
                name: name.or(found.name()),
                size: found.size(&choice),
                status: ProtectStatus::Available,
                auto_protect: true,
                choice,
                created_at: self.now(),
                revision: 0,
            };
            if let Resource::Server(server, _) = found {
                // Fences against a volume being added meanwhile, which would count for nothing.
                changes.push(Change::Save(Row::Server(server)));
            }
            after.push(row.clone());
            changes.push(Change::Insert(Row::VaultResource(row)));
        }
        if after.len() > MAX_RESOURCES {
            return Err(ServiceError::VaultTooManyResources);
        }
        make_room(vault, after.iter().map(|r| u64::from(r.size.0)).sum())?;
        Ok(changes)
    }

    /// Commits rows of resources; somebody else may have put one into another vault meanwhile.
    async fn commit_resources(&self, changes: Vec<Change>) -> Result<(), ServiceError> {
        match self.commit(changes).await {
            Err(ServiceError::Catalog(CatalogError::Exists { .. })) => Err(ServiceError::Busy),
            settled => settled,
        }
    }

    /// Shows one vault.
    pub async fn vault(&self, caller: &Caller, id: VaultId) -> Result<VaultView, ServiceError> {
        let vault = self.own_vault(caller, id).await?;
        require(caller, Role::Reader, "cbr:vaults:get")?;
        self.vault_view(vault).await
    }

    /// Lists the project's vaults, newest first.
    pub async fn vaults(
        &self,
        caller: &Caller,
        mut query: VaultQuery,
    ) -> Result<Page<VaultView>, ServiceError> {
        require(caller, Role::Reader, "cbr:vaults:list")?;
        query.project = Some(caller.project_id.clone());
        let page = self.catalog.vaults(&query).await?;
        let mut items = Vec::with_capacity(page.items.len());
        for vault in page.items {
            items.push(self.vault_view(vault).await?);
        }
        Ok(Page {
            items,
            total: page.total,
            is_cut: page.is_cut,
        })
    }

    /// Joins a vault with what it holds.
    pub(crate) async fn vault_view(&self, vault: Vault) -> Result<VaultView, ServiceError> {
        let resources = self.catalog.vault_resources(vault.id).await?;
        let stored = self.catalog.resource_usage(vault.id).await?;
        let usage = self.usage_of(vault.id).await?;
        let backup_policy_id = self.backup_policy_of(vault.id).await?.map(|p| p.id);
        let resources = resources
            .into_iter()
            .map(|resource| {
                let resource_id = resource.resource_id;
                let nothing = ResourceUsage {
                    resource_id,
                    used: ByteCount(0),
                    backups: 0,
                };
                let used = stored
                    .iter()
                    .find(|u| u.resource_id == resource_id)
                    .copied();
                (resource, used.unwrap_or(nothing))
            })
            .collect();
        Ok(VaultView {
            vault,
            usage,
            resources,
            backup_policy_id,
        })
    }

    pub(crate) async fn usage_of(&self, vault: VaultId) -> Result<VaultUsage, ServiceError> {
        Ok(self
            .catalog
            .vault_usage(&[vault])
            .await?
            .pop()
            .unwrap_or_default())
    }

    /// Changes a vault.
    pub async fn edit_vault(
        &self,
        caller: &Caller,
        id: VaultId,
        edit: VaultEdit,
    ) -> Result<VaultView, ServiceError> {
        let vault = racing(|| async {
            let mut vault = self.own_vault(caller, id).await?;
            require(caller, Role::Member, "cbr:vaults:update")?;
            let edit = edit.clone();
            if !matches!(vault.status, VaultStatus::Available | VaultStatus::Lock) {
                return Err(vault_status(&vault, VaultUse::Change));
            }
            if vault.locked && edit.locked == Some(false) {
                return Err(ServiceError::VaultLocked(id));
            }
            if let Some(size) = edit.size {
                if vault.status == VaultStatus::Lock {
                    return Err(vault_status(&vault, VaultUse::Change));
                }
                vault.size = self.resized(&vault, size).await?;
            }
            vault.name = edit.name.unwrap_or(vault.name);
            vault.auto_expand = edit.auto_expand.unwrap_or(vault.auto_expand);
            vault.auto_bind = edit.auto_bind.unwrap_or(vault.auto_bind);
            vault.bind_rules = edit.bind_rules.unwrap_or(vault.bind_rules);
            vault.locked = edit.locked.unwrap_or(vault.locked);
            vault.smn_notify = edit.smn_notify.unwrap_or(vault.smn_notify);
            vault.threshold = edit.threshold.unwrap_or(vault.threshold);
            vault.updated_at = Some(self.now());
            self.commit(vec![Change::Save(Row::Vault(vault.clone()))])
                .await?;
            Ok(vault)
        })
        .await?;
        self.vault_view(vault).await
    }

    /// Checks a new capacity: it must hold what is allocated and what is used.
    async fn resized(&self, vault: &Vault, size: i64) -> Result<Gib, ServiceError> {
        let size = vault_size(size, &VAULT_SIZES)?;
        let usage = self.usage_of(vault.id).await?;
        let need = u64::from(usage.allocated.0).max(usage.used.0.div_ceil(GIB));
        if size < vault.size && u64::from(size.0) < need {
            return Err(ServiceError::VaultCapacity { need, have: size.0 });
        }
        Ok(size)
    }

    /// Asks for a vault to be deleted with all backups in it.
    pub async fn delete_vault(&self, caller: &Caller, id: VaultId) -> Result<(), ServiceError> {
        racing(|| async {
            let mut vault = self.own_vault(caller, id).await?;
            require(caller, Role::Member, "cbr:vaults:delete")?;
            if !matches!(vault.status, VaultStatus::Available | VaultStatus::Error) {
                return Err(vault_status(&vault, VaultUse::Change));
            }
            let held = self.backups_in(id).await?;
            if held.iter().any(|b| b.state.is_busy()) {
                return Err(ServiceError::VaultBusy(id));
            }
            let now = self.now();
            if vault.locked && held.iter().any(|b| is_unexpired(b, now)) {
                return Err(CbrError::VaultDeleteLocked(id).into());
            }
            vault.status = VaultStatus::Deleting;
            vault.updated_at = Some(self.now());
            let work = Work::DeleteVault {
                vault_id: id,
                backups: Emptied {
                    total: Some(wholes(&held)),
                    left: 0,
                },
            };
            let mut task = self.new_task(caller, work);
            task.vault_id = Some(id);
            task.vault_name = Some(vault.name.clone());
            task.object_type = vault.object_type;
            self.commit(vec![
                Change::Save(Row::Vault(vault)),
                Change::Insert(Row::Task(task)),
            ])
            .await
        })
        .await
    }

    /// Lists all backups in a vault that are not deleted.
    pub(crate) async fn backups_in(&self, vault: VaultId) -> Result<Vec<Backup>, ServiceError> {
        let query = BackupQuery {
            vault: Some(vault),
            ..BackupQuery::default()
        };
        Ok(self.catalog.backups(&query).await?.items)
    }

    /// Puts resources into a vault, all or none; those in it already are fine.
    pub async fn add_resources(
        &self,
        caller: &Caller,
        id: VaultId,
        new: Vec<NewResource>,
    ) -> Result<Vec<ResourceId>, ServiceError> {
        racing(|| async {
            let mut vault = self.own_vault(caller, id).await?;
            require(caller, Role::Member, "cbr:vaults:addResources")?;
            if !matches!(vault.status, VaultStatus::Available | VaultStatus::Lock) {
                return Err(vault_status(&vault, VaultUse::Change));
            }
            let present = self.catalog.vault_resources(id).await?;
            let rows = self
                .resources_to_add(caller, &mut vault, &present, &new)
                .await?;
            vault.updated_at = Some(self.now());
            // Saving the vault's row makes concurrent additions lose the race, so that
            // together they cannot pass its capacity.
            let mut changes = vec![Change::Save(Row::Vault(vault))];
            changes.extend(rows);
            self.commit_resources(changes).await?;
            Ok(new.iter().filter_map(|r| r.id.parse().ok()).collect())
        })
        .await
    }

    /// Takes resources out of a vault; their backups in it are deleted in a task.
    pub async fn remove_resources(
        &self,
        caller: &Caller,
        id: VaultId,
        ids: Vec<String>,
    ) -> Result<Vec<ResourceId>, ServiceError> {
        racing(|| async {
            let mut vault = self.own_vault(caller, id).await?;
            require(caller, Role::Member, "cbr:vaults:removeResources")?;
            if vault.locked {
                return Err(ServiceError::VaultLocked(id));
            }
            if !matches!(vault.status, VaultStatus::Available | VaultStatus::Lock) {
                return Err(vault_status(&vault, VaultUse::Change));
            }
            let present = self.catalog.vault_resources(id).await?;
            let backups = self.backups_in(id).await?;
            let mut resource_ids: Vec<ResourceId> = Vec::new();
            let mut names = Vec::new();
            let mut changes = Vec::new();
            for text in &ids {
                let mut resource = resource_named(&present, text)?.clone();
                if resource_ids.contains(&resource.resource_id) {
                    continue;
                }
                refuse_busy(&resource, &backups)?;
                resource_ids.push(resource.resource_id);
                names.push(resource.name.clone());
                resource.status = ProtectStatus::Removing;
                changes.push(Change::Save(Row::VaultResource(resource)));
            }
            let work = Work::RemoveResources {
                vault_id: id,
                resource_ids: resource_ids.clone(),
                names,
            };
            let mut task = self.new_task(caller, work);
            task.vault_id = Some(id);
            task.vault_name = Some(vault.name.clone());
            task.object_type = vault.object_type;
            changes.push(Change::Insert(Row::Task(task)));
            vault.updated_at = Some(self.now());
            changes.push(Change::Save(Row::Vault(vault)));
            self.commit(changes).await?;
            Ok(resource_ids)
        })
        .await
    }
}

/// Finds the resource that a client named by its id.
pub(crate) fn resource_named<'a>(
    present: &'a [VaultResource],
    text: &str,
) -> Result<&'a VaultResource, ServiceError> {
    let id: Option<ResourceId> = text.parse().ok();
    present
        .iter()
        .find(|r| Some(r.resource_id) == id)
        .ok_or_else(|| ServiceError::ResourceNotInVault(text.to_owned()))
}

fn refuse_busy(resource: &VaultResource, backups: &[Backup]) -> Result<(), ServiceError> {
    let id = resource.resource_id;
    if resource.status == ProtectStatus::Removing {
        return Err(ServiceError::ResourceRemoving(id));
    }
    let busy = |b: &&Backup| {
        matches!(
            b.state,
            BackupState::Queued
                | BackupState::Copying
                | BackupState::RestoreQueued { .. }
                | BackupState::Restoring { .. }
        )
    };
    let wholes = Wholes::of(backups);
    if backups
        .iter()
        .filter(|b| wholes.resource(b) == id)
        .any(|b| busy(&b))
    {
        return Err(ServiceError::ResourceBusy(id));
    }
    Ok(())
}

/// Counts backups; a server's is one, whatever it is made of.
pub(crate) fn wholes(backups: &[Backup]) -> u64 {
    let whole = backups.iter().filter(|backup| backup.cbr.part_of.is_none());
    whole.count() as u64
}

fn vault_size(size: i64, range: &std::ops::RangeInclusive<i64>) -> Result<Gib, ServiceError> {
    u32::try_from(size)
        .ok()
        .filter(|_| range.contains(&size))
        .map(Gib)
        .ok_or(ServiceError::VaultSize(size))
}
