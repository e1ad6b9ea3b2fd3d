//! Tags of vaults, as CBR lists them (`cbr-v3.md §2.8`). Server and clients share these shapes;
//! one tag is [`emberkeep_model::Tag`].

use emberkeep_model::Tag;
use serde::{Deserialize, Serialize};

use super::Vault;
use crate::ids::VaultId;
use crate::lenient;

/// A key with all its values among the vaults of a project.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct ProjectTag {
    /// The key.
    #[serde(deserialize_with = "lenient::text")]
    pub key: String,
    /// Its values; one cloud writes a single one without a list around it.
    #[serde(deserialize_with = "lenient::one_or_many")]
    pub values: Vec<String>,
}

/// A vault found by its tags.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct TaggedVault {
    /// Its id.
    pub resource_id: VaultId,
    /// Its name.
    #[serde(deserialize_with = "lenient::text")]
    pub resource_name: String,
    /// Its tags.
    #[serde(deserialize_with = "lenient::or_default")]
    pub tags: Vec<Tag>,
    /// The vault itself.
    #[serde(deserialize_with = "lenient::or_default")]
    pub resource_detail: TaggedVaultDetail,
}

/// The vault behind a [`TaggedVault`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct TaggedVaultDetail {
    /// The vault.
    pub vault: Vault,
}
