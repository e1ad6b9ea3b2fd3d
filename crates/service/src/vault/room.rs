//! The room in vaults: what their resources take of it, and what is stored (`cbr-v3.md §2.2`).
//!
//! The sizes of a vault's resources may not pass its capacity: what would is refused before
//! anything is done, or the vault grows if it may. What is stored may pass it only by the backup
//! that fills it: a vault that may expand grows at that moment, any other takes no more backups.

use emberkeep_catalog::{Change, Row};
use emberkeep_model::{ByteCount, Gib, ProtectType, Vault, VaultId, VaultStatus, VolumeId};
use emberkeep_plan::{expanded, make_room, sum_with};

use crate::error::vault_status;
use crate::{Service, ServiceError, VaultUse};

impl Service {
    /// Refuses a vault that cannot take a backup now.
    pub(crate) async fn vault_takes_backups(&self, vault: &Vault) -> Result<(), ServiceError> {
        if !matches!(vault.status, VaultStatus::Available | VaultStatus::Lock) {
            return Err(vault_status(vault, VaultUse::BackUp));
        }
        if vault.protect_type != ProtectType::Backup {
            return Err(ServiceError::VaultKind(vault.id));
        }
        if self.usage_of(vault.id).await?.used >= vault.size.bytes() {
            return Err(ServiceError::VaultFull(vault.id));
        }
        Ok(())
    }

    /// Returns the change of a vault that may expand when `stored` more comes into it: filled by
    /// that, it grows to 1.25 times its size, as often as it must. One that was full already,
    /// before it was allowed to expand, stays as it is.
    pub(crate) async fn vault_filled(
        &self,
        vault: Option<VaultId>,
        stored: ByteCount,
    ) -> Result<Option<Change>, ServiceError> {
        let Some(id) = vault else { return Ok(None) };
        let found = self.catalog.vault(id).await?;
        let Some(mut vault) = found.filter(|vault| vault.auto_expand) else {
            return Ok(None);
        };
        let used = self.usage_of(id).await?.used;
        if used >= vault.size.bytes() {
            return Ok(None);
        }
        let after = ByteCount(used.0.saturating_add(stored.0));
        let grown = expanded(vault.size, after);
        if grown != vault.size {
            tracing::info!(vault_id = %id, from_gib = vault.size.0, to_gib = grown.0, "a full vault grows");
            vault.size = grown;
            vault.updated_at = Some(self.now());
        }
        // Saved in any case: of two backups that fill it together one loses the race, and then
        // sees what the other has stored.
        Ok(Some(Change::Save(Row::Vault(vault))))
    }

    /// Makes room for a volume that is to grow: its own in a vault, or its server's. Refuses what
    /// the vault has no room for. The room is taken at once; see [`Self::volume_sized`].
    pub(crate) async fn room_for_growth(
        &self,
        id: VolumeId,
        size: Gib,
    ) -> Result<Vec<Change>, ServiceError> {
        let mut changes = Vec::new();
        if let Some(mut resource) = self.catalog.vault_resource(id.into()).await?
            && let Some(mut vault) = self.catalog.vault(resource.vault_id).await?
        {
            let others = self.catalog.vault_resources(vault.id).await?;
            make_room(&mut vault, sum_with(&others, resource.resource_id, size))?;
            resource.size = size;
            // Saved in any case: of two that grow at once one loses the race and looks again.
            changes.push(Change::Save(Row::Vault(vault)));
            changes.push(Change::Save(Row::VaultResource(resource)));
        }
        changes.extend(self.server_room_for_growth(id, size).await?);
        Ok(changes)
    }

    /// Returns the changes by which vaults count a volume as large as it is now, whether it has
    /// grown or could not.
    pub(crate) async fn volume_sized(
        &self,
        id: VolumeId,
        size: Gib,
    ) -> Result<Vec<Change>, ServiceError> {
        let mut changes = Vec::new();
        let found = self.catalog.vault_resource(id.into()).await?;
        if let Some(mut resource) = found.filter(|resource| resource.size != size) {
            resource.size = size;
            changes.push(Change::Save(Row::VaultResource(resource)));
        }
        changes.extend(self.server_sized(id, size).await?);
        Ok(changes)
    }
}
