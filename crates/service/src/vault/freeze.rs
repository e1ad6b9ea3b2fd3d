//! Vaults that an administrator stops: nothing in them is made, changed, restored or deleted,
//! by hand or by a policy, until they go on (`cbr-v3.md §1.1`).

use emberkeep_catalog::{Change, Row};
use emberkeep_model::{Backup, Caller, Role, Vault, VaultId, VaultStatus};

use crate::access::require;
use crate::error::{invalid, vault_status};
use crate::race::racing;
use crate::{CbrError, Service, ServiceError, VaultUse};

/// The longest reason, in characters.
const SCENE: usize = 255;

impl Service {
    /// Freezes a vault, of whatever project. What runs in it ends as it would have.
    pub async fn freeze_vault(
        &self,
        caller: &Caller,
        id: VaultId,
        scene: Option<String>,
    ) -> Result<Vault, ServiceError> {
        if scene.as_ref().is_some_and(|s| s.chars().count() > SCENE) {
            return Err(invalid(
                "reason",
                format!("must have at most {SCENE} characters"),
            ));
        }
        self.order_vault(caller, id, "vaults:freeze", |vault| {
            if vault.status == VaultStatus::Deleting {
                return Err(vault_status(vault, VaultUse::Change));
            }
            vault.status = VaultStatus::Frozen;
            vault.frozen_scene.clone_from(&scene);
            Ok(())
        })
        .await
    }

    /// Lets a vault that is frozen, or in error, go on.
    pub async fn thaw_vault(&self, caller: &Caller, id: VaultId) -> Result<Vault, ServiceError> {
        self.order_vault(caller, id, "vaults:thaw", |vault| {
            if !matches!(
                vault.status,
                VaultStatus::Available | VaultStatus::Frozen | VaultStatus::Error
            ) {
                return Err(vault_status(vault, VaultUse::Change));
            }
            vault.status = VaultStatus::Available;
            vault.frozen_scene = None;
            Ok(())
        })
        .await
    }

    async fn order_vault(
        &self,
        caller: &Caller,
        id: VaultId,
        rule: &'static str,
        change: impl Fn(&mut Vault) -> Result<(), ServiceError> + Sync,
    ) -> Result<Vault, ServiceError> {
        racing(|| async {
            let found = self.catalog.vault(id).await?;
            let mut vault = found
                .filter(|vault| caller.sees(&vault.project_id))
                .ok_or(ServiceError::NoSuchVault(id))?;
            require(caller, Role::Admin, rule)?;
            change(&mut vault)?;
            vault.updated_at = Some(self.now());
            self.commit(vec![Change::Save(Row::Vault(vault.clone()))])
                .await?;
            Ok(vault)
        })
        .await
    }

    /// Refuses to write a backup anywhere while its vault is frozen.
    pub(crate) async fn refuse_frozen(&self, backup: &Backup) -> Result<(), ServiceError> {
        let Some(id) = backup.vault_id else {
            return Ok(());
        };
        match self.catalog.vault(id).await? {
            Some(vault) if vault.status == VaultStatus::Frozen => {
                Err(vault_status(&vault, VaultUse::Restore))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Refuses to delete by hand what its vault keeps: anything while that is frozen or goes as a
    /// whole, and in a locked one what [`Self::refuse_locked`] says.
    pub(crate) async fn refuse_kept(&self, backup: &Backup) -> Result<(), ServiceError> {
        if let Some(id) = backup.vault_id
            && let Some(vault) = self.catalog.vault(id).await?
            && matches!(vault.status, VaultStatus::Frozen | VaultStatus::Deleting)
        {
            return Err(CbrError::VaultKeeps {
                backup: backup.id,
                vault: id,
                status: vault.status.as_str(),
            }
            .into());
        }
        self.refuse_locked(backup).await
    }
}
