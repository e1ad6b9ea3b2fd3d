//! Tags of vaults, and vaults by their tags (`cbr-v3.md §2.8`).

use emberkeep_model::Tag;
use emberkeep_wire::cbr::ask::{TagSearch, TagSet, TagsAction};
use emberkeep_wire::cbr::word::SearchAction;
use emberkeep_wire::cbr::{TaggedCount, TaggedVaults};

use super::{Cbr, ProjectTag, TagQuery, TaggedVault};
use crate::connection::Call;
use crate::error::SdkError;
use crate::ids::VaultId;

/// The most that is given at once.
const PAGE: u32 = 1000;

impl Cbr {
    /// Lists a vault's tags.
    pub async fn tags(&self, vault: &VaultId) -> Result<Vec<Tag>, SdkError> {
        self.one(Call::get(["vault", vault.as_str(), "tags"])).await
    }

    /// Lists the keys in use among the project's vaults, each with its values.
    pub async fn project_tags(&self) -> Result<Vec<ProjectTag>, SdkError> {
        self.one(Call::get(["vault", "tags"])).await
    }

    /// Adds a tag to a vault, or gives it another value.
    pub async fn set_tag(&self, vault: &VaultId, tag: &Tag) -> Result<(), SdkError> {
        let path = ["vault", vault.as_str(), "tags"];
        self.done(Call::post(path, &TagSet { tag: tag.clone() }))
            .await
    }

    /// Adds several tags at once, all or none.
    pub async fn set_tags(&self, vault: &VaultId, tags: &[Tag]) -> Result<(), SdkError> {
        let path = ["vault", vault.as_str(), "tags", "action"];
        self.done(Call::post(path, &TagsAction::Create(tags.to_vec())))
            .await
    }

    /// Takes a tag off a vault; one that is not there is an error with some clouds.
    pub async fn delete_tag(&self, vault: &VaultId, key: &str) -> Result<(), SdkError> {
        self.done(Call::delete(["vault", vault.as_str(), "tags", key]))
            .await
    }

    /// Takes several tags off a vault at once; those that are not there do not matter.
    pub async fn delete_tags(&self, vault: &VaultId, keys: &[&str]) -> Result<(), SdkError> {
        let path = ["vault", vault.as_str(), "tags", "action"];
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        self.done(Call::post(path, &TagsAction::Delete(keys))).await
    }

    /// Finds vaults by their tags.
    pub async fn tagged_vaults(&self, query: &TagQuery) -> Result<Vec<TaggedVault>, SdkError> {
        let mut found = Vec::new();
        loop {
            let search = TagSearch {
                action: SearchAction::Filter,
                limit: Some(PAGE),
                offset: Some(found.len() as u64),
                filter: query.clone(),
            };
            let page: TaggedVaults = self.whole(by_tags(&search)).await?;
            let full = page.resources.len() >= PAGE as usize;
            found.extend(page.resources);
            if !full {
                return Ok(found);
            }
        }
    }

    /// Counts vaults by their tags.
    pub async fn count_tagged_vaults(&self, query: &TagQuery) -> Result<u64, SdkError> {
        let search = TagSearch {
            action: SearchAction::Count,
            limit: None,
            offset: None,
            filter: query.clone(),
        };
        let count: TaggedCount = self.whole(by_tags(&search)).await?;
        Ok(count.total_count)
    }
}

fn by_tags(search: &TagSearch) -> Call {
    Call::post(["vault", "resource_instances", "action"], search)
}
