//! Vaults that take in by themselves what is in none: volumes, servers, file systems.

use std::collections::BTreeMap;

use emberkeep_catalog::{InventoryQuery, VaultQuery, VolumeQuery};
use emberkeep_model::{Gib, ObjectType, ProjectId, ProtectType, ResourceId, VaultStatus};
use emberkeep_plan::{BindingVault, Schedule, Unprotected, auto_bind};

use crate::access::on_behalf;
use crate::error::chain;
use crate::vault::resources::resource_word;
use crate::{Fault, NewResource, Service, ServiceError};

impl Service {
    /// Puts what is unprotected into the vaults that take such things in by themselves.
    pub async fn bind_unprotected(&self) -> Result<(), ServiceError> {
        let vaults = self.catalog.vaults(&VaultQuery::default()).await?.items;
        let mut kinds: Vec<(ProjectId, ObjectType)> = vaults
            .into_iter()
            .filter(|vault| vault.auto_bind)
            .map(|vault| (vault.project_id, vault.object_type))
            .collect();
        kinds.sort();
        kinds.dedup();
        for (project, kind) in kinds {
            self.bind_unprotected_of(&project, kind).await?;
        }
        Ok(())
    }

    /// Does so for one kind of thing of one project.
    pub(crate) async fn bind_unprotected_of(
        &self,
        project: &ProjectId,
        kind: ObjectType,
    ) -> Result<(), ServiceError> {
        let query = VaultQuery {
            project: Some(project.clone()),
            object_type: Some(kind),
            protect_type: Some(ProtectType::Backup),
            status: Some(VaultStatus::Available),
            ..VaultQuery::default()
        };
        let vaults = self.catalog.vaults(&query).await?.items;
        let mut takers = Vec::new();
        for vault in vaults.iter().filter(|vault| vault.auto_bind) {
            let policy = self.backup_policy_of(vault.id).await?;
            let Some(next_run) = policy
                .filter(|policy| policy.enabled)
                .and_then(|policy| Schedule::of(&policy).ok())
                .and_then(|schedule| schedule.next_runs(self.now()).next())
            else {
                continue;
            };
            let allocated = self.usage_of(vault.id).await?.allocated;
            takers.push(BindingVault {
                id: vault.id,
                free: u64::from(vault.size.0).saturating_sub(u64::from(allocated.0)),
                rules: vault.bind_rules.clone(),
                next_run,
            });
        }
        if takers.is_empty() {
            return Ok(());
        }
        let loose = self.unprotected(project, kind).await?;
        for (resource_id, vault) in auto_bind(takers, &loose) {
            let Some(vault) = vaults.iter().find(|v| v.id == vault) else {
                continue;
            };
            let caller = on_behalf(&vault.user_id, vault);
            let resource = NewResource {
                id: resource_id.to_string(),
                kind: resource_word(kind).into(),
                name: None,
                choice: Default::default(),
            };
            match self.add_resources(&caller, vault.id, vec![resource]).await {
                Ok(_) => {
                    tracing::info!(vault_id = %vault.id, %resource_id, "a vault took a resource in");
                }
                // Somebody changed the vault or the resource meanwhile: the next look sees it.
                Err(refusal) if refusal.fault() != Fault::Internal => {
                    tracing::info!(vault_id = %vault.id, %resource_id, error = chain(&refusal), "a vault could not take a resource in");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Lists what a project has of a kind that is in no vault and could be put into one now.
    async fn unprotected(
        &self,
        project: &ProjectId,
        kind: ObjectType,
    ) -> Result<Vec<Unprotected>, ServiceError> {
        let mut loose = Vec::new();
        for (id, size, tags) in self.usable(project, kind).await? {
            if self.catalog.vault_resource(id).await?.is_none() {
                loose.push(Unprotected { id, size, tags });
            }
        }
        Ok(loose)
    }

    async fn usable(
        &self,
        project: &ProjectId,
        kind: ObjectType,
    ) -> Result<Vec<(ResourceId, Gib, BTreeMap<String, String>)>, ServiceError> {
        use emberkeep_model::VolumeStatus as S;
        let fit = |status| matches!(status, S::Available | S::InUse | S::BackingUp);
        let mut found = Vec::new();
        match kind {
            ObjectType::Disk => {
                let query = VolumeQuery {
                    project: Some(project.clone()),
                    ..VolumeQuery::default()
                };
                let volumes = self.catalog.volumes(&query).await?.items;
                let volumes = volumes.into_iter().filter(|volume| fit(volume.status));
                found.extend(volumes.map(|v| (v.id.into(), v.size, v.metadata)));
            }
            ObjectType::Server => {
                let query = InventoryQuery {
                    project: Some(project.clone()),
                    ..InventoryQuery::default()
                };
                for server in self.catalog.servers(&query).await?.items {
                    let volumes = self.volumes_of(server.id).await?;
                    // One without volumes has nothing to protect yet.
                    if !volumes.is_empty() && volumes.iter().all(|volume| fit(volume.status)) {
                        let size = volumes.iter().map(|volume| volume.size.0).sum();
                        found.push((server.id.into(), Gib(size), server.metadata));
                    }
                }
            }
            ObjectType::Turbo => {
                let query = InventoryQuery {
                    project: Some(project.clone()),
                    ..InventoryQuery::default()
                };
                let systems = self.catalog.file_systems(&query).await?.items;
                found.extend(
                    systems
                        .into_iter()
                        .map(|s| (s.id.into(), s.size, s.metadata)),
                );
            }
        }
        Ok(found)
    }
}
