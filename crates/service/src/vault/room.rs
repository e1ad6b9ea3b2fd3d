//! The room in vaults: what their resources take of it, and what is stored (`cbr-v3.md §2.2`).
//!
//! The sizes of a vault's resources may not pass its capacity: what would is refused before
//! anything is done, or the vault grows if it may. What is stored may pass it only by the backup
//! that fills it: a vault that may expand grows at that moment, any other takes no more backups.

use emberkeep_catalog::{Change, Row};
use emberkeep_model::{
    ByteCount, Gib, ProtectType, ResourceId, Vault, VaultId, VaultResource, VaultStatus, VolumeId,
};

use crate::vault::commands::{UPDATE_SIZES, vault_status};
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

/// Sums the sizes of a vault's resources, one of them taken for `size`.
pub(crate) fn sum_with(resources: &[VaultResource], changed: ResourceId, size: Gib) -> u64 {
    let sizes = resources.iter().map(|resource| {
        if resource.resource_id == changed {
            u64::from(size.0)
        } else {
            u64::from(resource.size.0)
        }
    });
    sizes.sum()
}

/// Grows a vault that may expand so that it holds resources of `need` GiB in all, or refuses.
pub(crate) fn make_room(vault: &mut Vault, need: u64) -> Result<(), ServiceError> {
    if need <= u64::from(vault.size.0) {
        return Ok(());
    }
    let grown = u32::try_from(need)
        .ok()
        .filter(|n| UPDATE_SIZES.contains(&i64::from(*n)));
    match grown.filter(|_| vault.auto_expand) {
        Some(size) => {
            vault.size = Gib(size);
            Ok(())
        }
        None => Err(ServiceError::VaultCapacity {
            need,
            have: vault.size.0,
        }),
    }
}

/// Returns the size of a vault in which so much is stored: a quarter more until it is not full,
/// and no more than a vault can have.
fn expanded(size: Gib, stored: ByteCount) -> Gib {
    let most = u32::try_from(*UPDATE_SIZES.end()).unwrap_or(u32::MAX);
    let mut size = size;
    while stored >= size.bytes() && size.0 < most {
        size = Gib(size.0.saturating_add(size.0.div_ceil(4)).min(most));
    }
    size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_vault_grows_by_quarters() {
        let gib = |n: u64| ByteCount(n << 30);
        assert_eq!(expanded(Gib(10), gib(9)), Gib(10));
        assert_eq!(expanded(Gib(10), gib(10)), Gib(13));
        assert_eq!(expanded(Gib(10), gib(13)), Gib(17));
        assert_eq!(expanded(Gib(10), gib(100)), Gib(109));
        assert_eq!(expanded(Gib(10_485_760), gib(20_000_000)), Gib(10_485_760));
    }
}
