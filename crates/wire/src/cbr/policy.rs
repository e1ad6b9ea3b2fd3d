//! The policy, as CBR shows it (`cbr-v3.md §2.5`). Server and clients share these shapes.

use emberkeep_model as model;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Word, word};
use crate::ids::{PolicyId, ProjectId, VaultId};
use crate::lenient;
use crate::time::{self, Moment};

/// A schedule with a retention, applied to any number of vaults.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Policy {
    /// Its id.
    pub id: PolicyId,
    /// Its name; need not be unique.
    #[serde(deserialize_with = "lenient::text")]
    pub name: String,
    /// Whether it runs and deletes.
    #[serde(deserialize_with = "lenient::flag")]
    pub enabled: bool,
    /// What it does; never changes.
    pub operation_type: word::OperationType,
    /// How long its backups are kept, and where replicas go.
    #[serde(deserialize_with = "lenient::or_default")]
    pub operation_definition: OperationDefinition,
    /// When it runs.
    #[serde(deserialize_with = "lenient::or_default")]
    pub trigger: Trigger,
    /// The vaults it is bound to.
    #[serde(deserialize_with = "lenient::or_default")]
    pub associated_vaults: Vec<AssociatedVault>,
    /// Who made it up: the tenant, or an organisation (Huawei).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_type: Option<Word>,
    /// What other clouds say besides.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// How long backups are kept, and where replicas go. What was not sent is left out; 0 and −1
/// mean "not set" alike. Days and numbers of backups may not be limited both.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct OperationDefinition {
    /// Automatic backups to keep for each resource, 1–99999.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::maybe_number"
    )]
    pub max_backups: Option<i32>,
    /// Days to keep an automatic backup, 1–99999; fixed for a backup when it is made.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::maybe_number"
    )]
    pub retention_duration_days: Option<i32>,
    /// Days whose last backup is kept, 0–100.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::maybe_number"
    )]
    pub day_backups: Option<i32>,
    /// Weeks whose last backup is kept, 0–100.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::maybe_number"
    )]
    pub week_backups: Option<i32>,
    /// Months whose last backup is kept, 0–100.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::maybe_number"
    )]
    pub month_backups: Option<i32>,
    /// Years whose last backup is kept, 0–100.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::maybe_number"
    )]
    pub year_backups: Option<i32>,
    /// Where those days and weeks begin: `UTC±hh:mm`; needed with any of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// The region replicas go to; needed for replication.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination_region: Option<String>,
    /// The project there; needed for replication.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::maybe"
    )]
    pub destination_project_id: Option<ProjectId>,
    /// Incremental backups between two full ones; −1 for never a full one again (Huawei).
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::maybe_number"
    )]
    pub full_backup_interval: Option<i32>,
}

/// When a policy runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Trigger {
    /// Its id.
    #[serde(deserialize_with = "lenient::text")]
    pub id: String,
    /// Always `default`.
    #[serde(deserialize_with = "lenient::word")]
    pub name: Word,
    /// Always `time`.
    #[serde(rename = "type", deserialize_with = "lenient::word")]
    pub kind: Word,
    /// The schedule.
    #[serde(deserialize_with = "lenient::or_default")]
    pub properties: TriggerProperties,
}

/// A schedule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct TriggerProperties {
    /// 1–24 rules such as `FREQ=WEEKLY;BYDAY=MO,TU;BYHOUR=14;BYMINUTE=00`, in UTC.
    #[serde(deserialize_with = "lenient::one_or_many")]
    pub pattern: Vec<String>,
    /// When the policy was made; rules with an interval count from that day.
    #[serde(deserialize_with = "lenient::maybe")]
    pub start_time: Option<Moment>,
}

/// A vault that a policy is bound to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct AssociatedVault {
    /// The vault.
    pub vault_id: VaultId,
    /// The vault that takes the replicas.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::maybe"
    )]
    pub destination_vault_id: Option<VaultId>,
}

impl Policy {
    /// Shows a policy and the vaults it is bound to.
    pub fn of(policy: &model::Policy, bindings: &[model::PolicyBinding]) -> Self {
        let start = time::naive(policy.created_at);
        // A space, and whole seconds.
        let start = start
            .split('.')
            .next()
            .unwrap_or_default()
            .replace('T', " ");
        Self {
            id: policy.id.into(),
            name: policy.name.clone(),
            enabled: policy.enabled,
            operation_type: policy.operation_type.as_str().into(),
            operation_definition: OperationDefinition::of(&policy.definition),
            trigger: Trigger {
                id: policy.id.to_string(),
                name: "default".into(),
                kind: "time".into(),
                properties: TriggerProperties {
                    pattern: policy.patterns.clone(),
                    start_time: Some(start.into()),
                },
            },
            associated_vaults: bindings
                .iter()
                .map(|binding| AssociatedVault {
                    vault_id: binding.vault_id.into(),
                    destination_vault_id: binding.destination_vault_id.map(Into::into),
                })
                .collect(),
            policy_type: None,
            more: Map::new(),
        }
    }
}

impl OperationDefinition {
    /// Shows a definition as it was sent.
    pub fn of(sent: &model::OperationDefinition) -> Self {
        let number = |limit: Option<model::Limit>| limit.map(|limit| limit.0);
        Self {
            max_backups: number(sent.max_backups),
            retention_duration_days: number(sent.retention_duration_days),
            day_backups: number(sent.day_backups),
            week_backups: number(sent.week_backups),
            month_backups: number(sent.month_backups),
            year_backups: number(sent.year_backups),
            timezone: sent.timezone.clone(),
            destination_region: sent.destination_region.clone(),
            destination_project_id: sent.destination_project_id.as_ref().map(Into::into),
            full_backup_interval: sent.full_backup_interval,
        }
    }
}
