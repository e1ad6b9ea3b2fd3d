//! Tags of vaults (`cbr-v3.md §2.8`).

use std::collections::{BTreeMap, BTreeSet};

use emberkeep_catalog::{Change, Row};
use emberkeep_model::{Caller, Role, Tag, VaultId, VaultStatus};

use crate::access::require;
use crate::error::vault_status;
use crate::query::VaultQuery;
use crate::race::racing;
use crate::{CbrError, Service, ServiceError, VaultUse};

/// Tags that a vault has at most.
const MAX_TAGS: usize = 20;

impl Service {
    /// Lists the tags of a vault.
    pub async fn vault_tags(&self, caller: &Caller, id: VaultId) -> Result<Vec<Tag>, ServiceError> {
        let vault = self.own_vault(caller, id).await?;
        require(caller, Role::Reader, "cbr:vaults:getTags")?;
        Ok(vault.tags)
    }

    /// Sets tags of a vault, all or none; a key that is there gets the new value.
    pub async fn set_vault_tags(
        &self,
        caller: &Caller,
        id: VaultId,
        tags: Vec<Tag>,
    ) -> Result<(), ServiceError> {
        self.change_tags(caller, id, "cbr:vaults:setTags", |present| {
            for tag in &tags {
                match present.iter_mut().find(|known| known.key == tag.key) {
                    Some(known) => known.value.clone_from(&tag.value),
                    None => present.push(tag.clone()),
                }
            }
            if present.len() > MAX_TAGS {
                return Err(CbrError::TooManyTags { most: MAX_TAGS }.into());
            }
            Ok(())
        })
        .await
    }

    /// Takes tags from a vault; those that are not there are fine.
    pub async fn clear_vault_tags(
        &self,
        caller: &Caller,
        id: VaultId,
        keys: Vec<String>,
    ) -> Result<(), ServiceError> {
        self.change_tags(caller, id, "cbr:vaults:deleteTags", |present| {
            present.retain(|tag| !keys.contains(&tag.key));
            Ok(())
        })
        .await
    }

    /// Takes one tag from a vault, which must be there.
    pub async fn delete_vault_tag(
        &self,
        caller: &Caller,
        id: VaultId,
        key: &str,
    ) -> Result<(), ServiceError> {
        self.change_tags(caller, id, "cbr:vaults:deleteTags", |present| {
            let before = present.len();
            present.retain(|tag| tag.key != key);
            if present.len() == before {
                return Err(CbrError::NoSuchTag(key.to_owned()).into());
            }
            Ok(())
        })
        .await
    }

    async fn change_tags(
        &self,
        caller: &Caller,
        id: VaultId,
        rule: &'static str,
        change: impl Fn(&mut Vec<Tag>) -> Result<(), ServiceError> + Sync,
    ) -> Result<(), ServiceError> {
        racing(|| async {
            let mut vault = self.own_vault(caller, id).await?;
            require(caller, Role::Member, rule)?;
            if !matches!(vault.status, VaultStatus::Available | VaultStatus::Lock) {
                return Err(vault_status(&vault, VaultUse::Change));
            }
            change(&mut vault.tags)?;
            vault.updated_at = Some(self.now());
            self.commit(vec![Change::Save(Row::Vault(vault))]).await
        })
        .await
    }

    /// Lists every key among the project's vaults with all its values.
    pub async fn project_tags(
        &self,
        caller: &Caller,
    ) -> Result<BTreeMap<String, BTreeSet<String>>, ServiceError> {
        require(caller, Role::Reader, "cbr:vaults:listProjectTags")?;
        let query = VaultQuery {
            project: Some(caller.project_id.clone()),
            ..VaultQuery::default()
        };
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for tag in self
            .catalog
            .vaults(&query)
            .await?
            .items
            .into_iter()
            .flat_map(|vault| vault.tags)
        {
            found.entry(tag.key).or_default().insert(tag.value);
        }
        Ok(found)
    }
}
