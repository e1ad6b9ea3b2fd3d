//! What clients ask for about policies (`cbr-v3.md §2.5`).

use emberkeep_model::{Limit, OperationDefinition, OperationType, PolicyId, VaultId};

use super::{maybe_ours, ours};
use crate::cbr::form::Refused;
use crate::cbr::{self, ask};

/// `POST /policies`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyCreate {
    /// Its name.
    pub name: String,
    /// Whether it runs and deletes.
    pub enabled: bool,
    /// What it does.
    pub operation_type: OperationType,
    /// How long backups stay.
    pub definition: OperationDefinition,
    /// When it runs, as given.
    pub patterns: Vec<String>,
}

impl PolicyCreate {
    /// Reads the body. What patterns and numbers mean together is checked where they are used.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let asked = ask::NewPolicy::read(bytes)?;
        Ok(Self {
            name: asked.name,
            enabled: asked.enabled.unwrap_or(true),
            operation_type: ours("operation_type", asked.operation_type)?,
            definition: definition(asked.operation_definition)?,
            patterns: asked.pattern,
        })
    }
}

/// `PUT /policies/{id}`: what is none stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the field of `PolicyCreate`")]
pub struct PolicyUpdate {
    pub name: Option<String>,
    pub enabled: Option<bool>,
    /// What the client takes it for; that never changes.
    pub operation_type: Option<OperationType>,
    pub definition: Option<OperationDefinition>,
    pub patterns: Option<Vec<String>>,
}

impl PolicyUpdate {
    /// Reads the body.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let asked = ask::PolicyChange::read(bytes)?;
        Ok(Self {
            name: asked.name,
            enabled: asked.enabled,
            operation_type: maybe_ours("operation_type", asked.operation_type)?,
            definition: asked.operation_definition.map(definition).transpose()?,
            patterns: asked.pattern,
        })
    }
}

fn definition(asked: cbr::OperationDefinition) -> Result<OperationDefinition, Refused> {
    let limit = |number: Option<i32>| number.map(Limit);
    Ok(OperationDefinition {
        max_backups: limit(asked.max_backups),
        retention_duration_days: limit(asked.retention_duration_days),
        day_backups: limit(asked.day_backups),
        week_backups: limit(asked.week_backups),
        month_backups: limit(asked.month_backups),
        year_backups: limit(asked.year_backups),
        timezone: asked.timezone,
        destination_region: asked.destination_region,
        destination_project_id: maybe_ours("destination_project_id", asked.destination_project_id)?,
        full_backup_interval: asked.full_backup_interval,
    })
}

/// `POST /vaults/{id}/associatepolicy` and `/dissociatepolicy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyBound {
    /// The policy.
    pub policy_id: PolicyId,
    /// The vault that takes the replicas.
    pub destination_vault_id: Option<VaultId>,
}

impl PolicyBound {
    /// Reads the body.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let asked = ask::PolicyBinding::read(bytes)?;
        Ok(Self {
            policy_id: ours("policy_id", asked.policy_id)?,
            destination_vault_id: maybe_ours("destination_vault_id", asked.destination_vault_id)?,
        })
    }
}
