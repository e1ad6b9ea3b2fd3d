//! Policies (`cbr-v3.md §2.5`).

use emberkeep_model as model;
use serde::{Serialize, Serializer};

use crate::cbr::form::{Fields, Refused, Text, body};
use crate::cbr::{OperationDefinition, TriggerProperties, uuid, word};
use crate::ids::{PolicyId, VaultId};

/// A policy to be made (`cbr-v3.md §2.5`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewPolicy {
    /// Its name: 1–64 letters, digits, `_` and `-`.
    pub name: String,
    /// What it does.
    pub operation_type: word::OperationType,
    /// How long its backups are kept, and where replicas go.
    pub operation_definition: OperationDefinition,
    /// When it runs: rules such as `FREQ=DAILY;INTERVAL=1;BYHOUR=1;BYMINUTE=00`, in UTC.
    #[serde(rename = "trigger", serialize_with = "in_trigger")]
    pub pattern: Vec<String>,
    /// Whether it runs; it does, unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

impl NewPolicy {
    /// Reads the body. What patterns and numbers mean together is checked where they are used.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        let policy = Fields::wrapped(&map, "policy")?;
        Ok(Self {
            name: policy.wanted("name", Text::Name)?,
            enabled: policy.flag("enabled")?,
            operation_type: policy
                .choice("operation_type", &["backup", "replication"])?
                .ok_or_else(|| policy.missing("operation_type"))?
                .into(),
            operation_definition: definition(&policy)?
                .ok_or_else(|| policy.missing("operation_definition"))?,
            pattern: patterns(&policy)?.ok_or_else(|| policy.missing("trigger"))?,
        })
    }

    /// Asks for backups at the given times, kept for ever.
    pub fn backup<S: Into<String>>(
        name: impl Into<String>,
        pattern: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            name: name.into(),
            operation_type: word::OperationType::Backup,
            operation_definition: OperationDefinition::default(),
            pattern: pattern.into_iter().map(Into::into).collect(),
            enabled: None,
        }
    }
}

/// Changes of a policy; what is none stays. What it does cannot change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PolicyChange {
    /// The new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether it runs and deletes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// What it is taken for; another kind is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation_type: Option<word::OperationType>,
    /// The whole of the new retention.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation_definition: Option<OperationDefinition>,
    /// The whole of the new schedule.
    #[serde(
        rename = "trigger",
        skip_serializing_if = "Option::is_none",
        serialize_with = "in_trigger_if_any"
    )]
    pub pattern: Option<Vec<String>>,
}

impl PolicyChange {
    /// Reads the body.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        let policy = Fields::wrapped(&map, "policy")?;
        Ok(Self {
            name: policy.text("name", Text::Name)?,
            enabled: policy.flag("enabled")?,
            operation_type: policy
                .choice("operation_type", &["backup", "replication"])?
                .map(Into::into),
            operation_definition: definition(&policy)?,
            pattern: patterns(&policy)?,
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
    let project = given.text("destination_project_id", Text::Any(64))?;
    let project = project.filter(|id| !id.is_empty()).map(|id| {
        id.parse::<model::ProjectId>()
            .map_err(|error| given.refuse("destination_project_id", error))
    });
    Ok(Some(OperationDefinition {
        max_backups: number("max_backups")?,
        retention_duration_days: number("retention_duration_days")?,
        day_backups: number("day_backups")?,
        week_backups: number("week_backups")?,
        month_backups: number("month_backups")?,
        year_backups: number("year_backups")?,
        timezone: given.text("timezone", Text::Any(64))?,
        destination_region: given
            .text("destination_region", Text::Any(255))?
            .filter(|region| !region.is_empty()),
        destination_project_id: project.transpose()?.map(Into::into),
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

#[derive(Serialize)]
struct TriggerAsked<'a> {
    properties: PatternAsked<'a>,
}

/// [`TriggerProperties`] without the time, which is the service's to say.
#[derive(Serialize)]
struct PatternAsked<'a> {
    pattern: &'a [String],
}

fn in_trigger<S: Serializer>(pattern: &[String], sink: S) -> Result<S::Ok, S::Error> {
    let properties = PatternAsked { pattern };
    TriggerAsked { properties }.serialize(sink)
}

fn in_trigger_if_any<S: Serializer>(
    pattern: &Option<Vec<String>>,
    sink: S,
) -> Result<S::Ok, S::Error> {
    match pattern {
        Some(pattern) => in_trigger(pattern, sink),
        None => sink.serialize_none(),
    }
}

impl From<TriggerProperties> for PolicyChange {
    /// Takes over the schedule of another policy.
    fn from(schedule: TriggerProperties) -> Self {
        Self {
            pattern: Some(schedule.pattern),
            ..Self::default()
        }
    }
}

/// A policy to be bound to a vault, or taken off it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyBinding {
    /// The policy.
    pub policy_id: PolicyId,
    /// The vault that takes the replicas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination_vault_id: Option<VaultId>,
}

impl PolicyBinding {
    /// Reads the body; Huawei's clients may name the one policy in a list.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        let top = Fields::top(&map);
        let listed = top.texts("add_policy_ids")?;
        let policy_id: model::PolicyId = match (top.id("policy_id")?, listed.as_deref()) {
            (Some(id), None) => id,
            (None, Some([one])) => uuid("add_policy_ids", one)?,
            (None, None) => return Err(top.missing("policy_id")),
            (None, Some(_)) => return Err(top.refuse("add_policy_ids", "must name one policy")),
            (Some(_), Some(_)) => {
                return Err(top.refuse("add_policy_ids", "cannot go with policy_id"));
            }
        };
        let vault = top.id::<model::VaultId>("destination_vault_id")?;
        Ok(Self {
            policy_id: policy_id.into(),
            destination_vault_id: vault.map(Into::into),
        })
    }
}
