//! Tags of vaults, and vaults by their tags (`cbr-v3.md §2.8`).

use emberkeep_model::Tag;
use emberkeep_wire::cbr::{TaggedCount, TaggedVaults};
use serde_json::{Value, json};

use super::{Cbr, ProjectTag, TagQuery, TaggedVault};
use crate::connection::Call;
use crate::error::SdkError;
use crate::ids::VaultId;

/// The most that is given at once.
const PAGE: usize = 1000;

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
        self.done(Call::post(path, json!({"tag": tag}))).await
    }

    /// Adds several tags at once, all or none.
    pub async fn set_tags(&self, vault: &VaultId, tags: &[Tag]) -> Result<(), SdkError> {
        let path = ["vault", vault.as_str(), "tags", "action"];
        self.done(Call::post(path, json!({"action": "create", "tags": tags})))
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
        let tags: Vec<_> = keys.iter().map(|key| json!({"key": key})).collect();
        self.done(Call::post(path, json!({"action": "delete", "tags": tags})))
            .await
    }

    /// Finds vaults by their tags.
    pub async fn tagged_vaults(&self, query: &TagQuery) -> Result<Vec<TaggedVault>, SdkError> {
        let mut found = Vec::new();
        loop {
            let mut body = json!(query);
            body["action"] = json!("filter");
            // Numbers are text here, and nowhere else.
            body["limit"] = json!(PAGE.to_string());
            body["offset"] = json!(found.len().to_string());
            let page: TaggedVaults = self.whole(by_tags(body)).await?;
            let full = page.resources.len() >= PAGE;
            found.extend(page.resources);
            if !full {
                return Ok(found);
            }
        }
    }

    /// Counts vaults by their tags.
    pub async fn count_tagged_vaults(&self, query: &TagQuery) -> Result<u64, SdkError> {
        let mut body = json!(query);
        body["action"] = json!("count");
        let count: TaggedCount = self.whole(by_tags(body)).await?;
        Ok(count.total_count)
    }
}

fn by_tags(body: Value) -> Call {
    Call::post(["vault", "resource_instances", "action"], body)
}
