//! What an administrator says of vaults.

use emberkeep_model as model;
use serde::{Deserialize, Serialize};

/// `POST /vaults/{id}/freeze`; for administrators.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct VaultFreeze {
    /// Why, up to 255 characters; CBR shows it as `frozen_scene`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How a vault stands after it was frozen or thawed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VaultStanding {
    /// Its id.
    pub id: model::VaultId,
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub project_id: model::ProjectId,
    /// `frozen` or `available`.
    pub status: String,
    /// Why it is frozen.
    pub frozen_scene: Option<String>,
}

impl VaultStanding {
    /// Shows how a vault stands.
    pub fn of(vault: &model::Vault) -> Self {
        Self {
            id: vault.id,
            name: vault.name.clone(),
            project_id: vault.project_id.clone(),
            status: vault.status.as_str().to_owned(),
            frozen_scene: vault.frozen_scene.clone(),
        }
    }
}
