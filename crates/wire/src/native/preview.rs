//! What a policy would do: its next runs and the fate of every present backup.

use emberkeep_model as model;
use serde::{Deserialize, Serialize};

/// What is asked about a policy, as it is or changed; what is none stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct PolicyTrial {
    /// The rules to try.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation_definition: Option<model::OperationDefinition>,
    /// The patterns to try.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<Vec<String>>,
    /// The time zone to try, e.g. `Europe/Berlin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

/// The time zone of a policy's patterns and periods: `PUT /policies/{id}/zone`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PolicyZone {
    /// Its name, e.g. `Europe/Berlin`; none for UTC.
    pub zone: Option<String>,
}

/// What a policy would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PolicyPreview {
    /// Its next runs.
    pub next_runs: Vec<String>,
    /// What becomes of each backup in its vaults, by vault, resource and age.
    pub backups: Vec<BackupFate>,
}

/// What becomes of one backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BackupFate {
    /// The backup.
    pub id: model::BackupId,
    /// Its name.
    pub name: Option<String>,
    /// The vault it is in.
    pub vault_id: Option<model::VaultId>,
    /// The volume it is of.
    pub volume_id: model::VolumeId,
    /// When it was made.
    pub created_at: String,
    /// Whether it stays.
    pub keep: bool,
    /// Why, for people: `monthly 2 of 6`, `older than 30 days`.
    pub reasons: Vec<String>,
}
