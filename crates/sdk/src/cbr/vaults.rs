//! Vaults and what is in them (`cbr-v3.md §2.2`).

use emberkeep_wire::cbr::ask::{
    ResourcesToAdd, ResourcesToMigrate, ResourcesToRemove, ResourcesToSet,
};
use emberkeep_wire::cbr::word::ResourceAction;
use emberkeep_wire::cbr::{ResourcesAdded, ResourcesMigrated, ResourcesRemoved, ResourcesSet};

use super::{AddResource, Cbr, NewVault, Vault, VaultChange, VaultQuery, only_named, there};
use crate::connection::Call;
use crate::error::SdkError;
use crate::ids::{ResourceId, VaultId};
use crate::pages::{Pages, Turning};
use crate::wait::Wait;

impl Cbr {
    /// Lists the project's vaults.
    pub fn vaults(&self, query: &VaultQuery) -> Pages<Vault> {
        self.pages(Turning::Offset, query.of(Call::get(["vaults"])))
    }

    /// Shows one vault.
    pub async fn vault(&self, id: &VaultId) -> Result<Vault, SdkError> {
        self.one(Call::get(["vaults", id.as_str()])).await
    }

    /// Finds a vault by its id or its name; none if there is none.
    pub async fn find_vault(&self, name_or_id: &str) -> Result<Option<Vault>, SdkError> {
        if let Some(found) = there(self.vault(&VaultId::from(name_or_id)).await)? {
            return Ok(Some(found));
        }
        let named = self.vaults(&VaultQuery::named(name_or_id)).all().await?;
        only_named("vault", name_or_id, named, |vault| &vault.name)
    }

    /// Makes a vault.
    pub async fn create_vault(&self, new: &NewVault) -> Result<Vault, SdkError> {
        self.one(Call::post(["vaults"], new)).await
    }

    /// Changes a vault.
    pub async fn update_vault(
        &self,
        id: &VaultId,
        change: &VaultChange,
    ) -> Result<Vault, SdkError> {
        let call = Call::put(["vaults", id.as_str()], change);
        self.one(call).await
    }

    /// Deletes a vault with all its backups.
    pub async fn delete_vault(&self, id: &VaultId) -> Result<(), SdkError> {
        self.done(Call::delete(["vaults", id.as_str()])).await
    }

    /// Waits until a vault is ready.
    pub async fn wait_for_vault(&self, id: &VaultId, wait: Wait) -> Result<Vault, SdkError> {
        wait.until_status(&["available"], async || self.vault(id).await)
            .await
    }

    /// Puts resources into a vault; returns the ids of those that are in it now.
    pub async fn associate_resources(
        &self,
        id: &VaultId,
        resources: &[AddResource],
    ) -> Result<Vec<ResourceId>, SdkError> {
        let path = ["vaults", id.as_str(), "addresources"];
        let resources = resources.to_vec();
        let call = Call::post(path, &ResourcesToAdd { resources });
        let added: ResourcesAdded = self.whole(call).await?;
        Ok(added.add_resource_ids)
    }

    /// Takes resources out of a vault, with all their backups in it. It takes its time: those
    /// under way stay in [`Vault::resources`] as `removing`.
    pub async fn dissociate_resources(
        &self,
        id: &VaultId,
        resources: &[ResourceId],
    ) -> Result<Vec<ResourceId>, SdkError> {
        let path = ["vaults", id.as_str(), "removeresources"];
        let resource_ids = resources.to_vec();
        let call = Call::post(path, &ResourcesToRemove { resource_ids });
        let removed: ResourcesRemoved = self.whole(call).await?;
        Ok(removed.remove_resource_ids)
    }

    /// Moves resources with all their backups to another vault.
    pub async fn migrate_resources(
        &self,
        id: &VaultId,
        destination: &VaultId,
        resources: &[ResourceId],
    ) -> Result<Vec<ResourceId>, SdkError> {
        let path = ["vaults", id.as_str(), "migrateresources"];
        let body = ResourcesToMigrate {
            destination_vault_id: destination.clone(),
            resource_ids: resources.to_vec(),
        };
        let moved: ResourcesMigrated = self.whole(Call::post(path, &body)).await?;
        Ok(moved.migrated_resources)
    }

    /// Takes resources out of scheduled runs (Huawei).
    pub async fn suspend_resources(
        &self,
        id: &VaultId,
        resources: &[ResourceId],
    ) -> Result<Vec<ResourceId>, SdkError> {
        self.set_resources(id, resources, ResourceAction::Suspend)
            .await
    }

    /// Takes resources into scheduled runs again (Huawei).
    pub async fn resume_resources(
        &self,
        id: &VaultId,
        resources: &[ResourceId],
    ) -> Result<Vec<ResourceId>, SdkError> {
        self.set_resources(id, resources, ResourceAction::Unsuspend)
            .await
    }

    async fn set_resources(
        &self,
        id: &VaultId,
        resources: &[ResourceId],
        action: ResourceAction,
    ) -> Result<Vec<ResourceId>, SdkError> {
        let path = ["vaults", id.as_str(), "set-resources"];
        let body = ResourcesToSet {
            resource_ids: resources.to_vec(),
            action,
        };
        let set: ResourcesSet = self.whole(Call::put(path, &body)).await?;
        Ok(set.set_resource_ids)
    }
}
