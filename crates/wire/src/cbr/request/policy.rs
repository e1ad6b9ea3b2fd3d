//! What clients ask for about policies (`cbr-v3.md §2.5`).

use emberkeep_model::{Limit, OperationDefinition, OperationType, PolicyId, VaultId};

use super::word;
use crate::cbr::form::{Fields, Refused, Text, body};

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
        let map = body(bytes)?;
        let policy = Fields::wrapped(&map, "policy")?;
        Ok(Self {
            name: policy.wanted("name", Text::Name)?,
            enabled: policy.flag("enabled")?.unwrap_or(true),
            operation_type: word(&policy, "operation_type", &["backup", "replication"])?
                .ok_or_else(|| policy.missing("operation_type"))?,
            definition: definition(&policy)?
                .ok_or_else(|| policy.missing("operation_definition"))?,
            patterns: patterns(&policy)?.ok_or_else(|| policy.missing("trigger"))?,
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
        let map = body(bytes)?;
        let policy = Fields::wrapped(&map, "policy")?;
        Ok(Self {
            name: policy.text("name", Text::Name)?,
            enabled: policy.flag("enabled")?,
            operation_type: word(&policy, "operation_type", &["backup", "replication"])?,
            definition: definition(&policy)?,
            patterns: patterns(&policy)?,
        })
    }
}

fn definition(policy: &Fields<'_>) -> Result<Option<OperationDefinition>, Refused> {
    let Some(given) = policy.object("operation_definition")? else {
        return Ok(None);
    };
    let number = |name: &str| -> Result<Option<i32>, Refused> {
        let range = i64::from(i32::MIN)..=i64::from(i32::MAX);
        Ok(given
            .whole(name, range)?
            .and_then(|n| i32::try_from(n).ok()))
    };
    let limit = |name: &str| Ok::<_, Refused>(number(name)?.map(Limit));
    let project = given.text("destination_project_id", Text::Any(64))?;
    Ok(Some(OperationDefinition {
        max_backups: limit("max_backups")?,
        retention_duration_days: limit("retention_duration_days")?,
        day_backups: limit("day_backups")?,
        week_backups: limit("week_backups")?,
        month_backups: limit("month_backups")?,
        year_backups: limit("year_backups")?,
        timezone: given.text("timezone", Text::Any(64))?,
        destination_region: given
            .text("destination_region", Text::Any(255))?
            .filter(|region| !region.is_empty()),
        destination_project_id: project
            .filter(|id| !id.is_empty())
            .map(|id| {
                id.parse()
                    .map_err(|error| given.refuse("destination_project_id", error))
            })
            .transpose()?,
        full_backup_interval: number("full_backup_interval")?,
    }))
}

fn patterns(policy: &Fields<'_>) -> Result<Option<Vec<String>>, Refused> {
    let Some(trigger) = policy.object("trigger")? else {
        return Ok(None);
    };
    let properties = trigger
        .object("properties")?
        .ok_or_else(|| trigger.missing("properties"))?;
    let patterns = properties
        .texts("pattern")?
        .ok_or_else(|| properties.missing("pattern"))?;
    Ok(Some(patterns))
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
    /// Reads the body; Huawei's clients may name the one policy in a list.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        let top = Fields::top(&map);
        let listed = top.texts("add_policy_ids")?;
        let policy_id = match (top.id("policy_id")?, listed.as_deref()) {
            (Some(id), None) => id,
            (None, Some([one])) => crate::cbr::uuid("add_policy_ids", one)?,
            (None, None) => return Err(top.missing("policy_id")),
            (None, Some(_)) => return Err(top.refuse("add_policy_ids", "must name one policy")),
            (Some(_), Some(_)) => {
                return Err(top.refuse("add_policy_ids", "cannot go with policy_id"));
            }
        };
        Ok(Self {
            policy_id,
            destination_vault_id: top.id("destination_vault_id")?,
        })
    }
}
