//! Reads bodies about policies (`cbr-v3.md §2.5`).

use emberkeep_model::command::{BindPolicy, NewPolicy, PolicyEdit};
use emberkeep_model::{Limit, OperationDefinition};

use super::{maybe_ours, ours};
use crate::cbr::form::Refused;
use crate::cbr::{self, ask};

/// Reads `POST /policies`. What patterns and numbers mean together is checked by the service.
pub fn new_policy(bytes: &[u8]) -> Result<NewPolicy, Refused> {
    let asked = ask::NewPolicy::read(bytes)?;
    Ok(NewPolicy {
        name: asked.name,
        enabled: asked.enabled.unwrap_or(true),
        operation_type: ours("operation_type", asked.operation_type)?,
        definition: definition(asked.operation_definition)?,
        patterns: asked.pattern,
        zone: None,
    })
}

/// Reads `PUT /policies/{id}`.
pub fn policy_edit(bytes: &[u8]) -> Result<PolicyEdit, Refused> {
    let asked = ask::PolicyChange::read(bytes)?;
    Ok(PolicyEdit {
        name: asked.name,
        enabled: asked.enabled,
        operation_type: maybe_ours("operation_type", asked.operation_type)?,
        definition: asked.operation_definition.map(definition).transpose()?,
        patterns: asked.pattern,
        zone: None,
    })
}

/// Reads `POST /vaults/{id}/associatepolicy` and `/dissociatepolicy`.
pub fn policy_binding(bytes: &[u8]) -> Result<BindPolicy, Refused> {
    let asked = ask::PolicyBinding::read(bytes)?;
    Ok(BindPolicy {
        policy_id: ours("policy_id", asked.policy_id)?,
        destination_vault_id: maybe_ours("destination_vault_id", asked.destination_vault_id)?,
    })
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
