//! `emberkeep policy`: when backups are made by themselves, and how long they stay.

mod preview;

use clap::{ArgAction, Args, Subcommand};
use emberkeep_sdk::cbr::{NewPolicy, OperationDefinition, Policy, PolicyChange, PolicyQuery, word};
use serde_json::json;

use crate::connect::ConnectArgs;
use crate::dry_run::{self, Doomed, DryRun};
use crate::error::CliError;
use crate::lookup;
use crate::output::{Column, Output, OutputArgs, column, moment, or_dash};

const EXAMPLES: &str = "\
Examples:
  emberkeep policy create nightly --at 'FREQ=DAILY;INTERVAL=1;BYHOUR=1' --keep 14
  emberkeep policy create office --at 'FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR;BYHOUR=20' --keep-days 30
  emberkeep policy create long --at 'FREQ=DAILY;BYHOUR=2' --daily 7 --weekly 4 --monthly 12 --timezone UTC+01:00
  emberkeep policy bind nightly disks
  emberkeep policy update nightly --enabled false
  emberkeep policy preview nightly
  emberkeep policy preview nightly --keep 7 --at 'FREQ=DAILY;BYHOUR=22' --zone Europe/Berlin

Times are in UTC.";

/// Options of `policy`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PolicyArgs {
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the project's policies
    List {
        /// List only policies bound to this vault (name or id)
        #[arg(long)]
        vault: Option<String>,
    },
    /// Show one policy
    Show {
        /// Name or id
        policy: String,
    },
    /// Create a policy
    Create {
        /// Name
        name: String,
        /// Schedule, e.g. FREQ=DAILY;INTERVAL=1;BYHOUR=1; repeatable
        #[arg(long = "at", value_name = "RULE", required = true)]
        at: Vec<String>,
        #[command(flatten)]
        keep: KeepArgs,
        /// Create a replication policy; needs --to-region and --to-project
        #[arg(long, requires_all = ["to_region", "to_project"])]
        replicate: bool,
        /// Destination region
        #[arg(long, value_name = "REGION")]
        to_region: Option<String>,
        /// Id of the project in the destination region
        #[arg(long, value_name = "PROJECT_ID")]
        to_project: Option<String>,
        /// Create the policy disabled
        #[arg(long)]
        disabled: bool,
    },
    /// Update a policy; retention options replace all previous ones
    Update {
        /// Name or id
        policy: String,
        /// The new name
        #[arg(long)]
        name: Option<String>,
        /// Enable or disable schedule and retention
        #[arg(long, value_name = "true|false", action = ArgAction::Set)]
        enabled: Option<bool>,
        /// New schedule, replacing the present one; repeatable
        #[arg(long = "at", value_name = "RULE")]
        at: Vec<String>,
        #[command(flatten)]
        keep: KeepArgs,
    },
    /// Show the next ten runs, and what becomes of every present backup and why; nothing is changed
    Preview(preview::PreviewArgs),
    /// Delete policies; the backups they made are kept
    Delete {
        /// Names or ids
        #[arg(required = true)]
        policies: Vec<String>,
        #[command(flatten)]
        dry_run: DryRun,
    },
    /// Bind a policy to a vault, replacing one of the same kind
    Bind {
        /// The policy's name or id
        policy: String,
        /// The vault's name or id
        vault: String,
        /// Replication only: id of the destination vault
        #[arg(long, value_name = "VAULT_ID")]
        to_vault: Option<String>,
    },
    /// Unbind a policy from a vault
    Unbind {
        /// The policy's name or id
        policy: String,
        /// The vault's name or id
        vault: String,
    },
}

/// How long backups are kept; for ever if nothing is said.
#[derive(Debug, Clone, Default, Args)]
struct KeepArgs {
    /// Keep this many automatic backups of each resource
    #[arg(long = "keep", value_name = "N", conflicts_with = "keep_days")]
    keep: Option<i32>,
    /// Keep automatic backups for this many days
    #[arg(long, value_name = "DAYS", conflicts_with_all = ["daily", "weekly", "monthly", "yearly"])]
    keep_days: Option<i32>,
    /// Keep the last backup of each day for this many days
    #[arg(long, value_name = "N", requires = "timezone")]
    daily: Option<i32>,
    /// Keep the last backup of each week for this many weeks
    #[arg(long, value_name = "N", requires = "timezone")]
    weekly: Option<i32>,
    /// Keep the last backup of each month for this many months
    #[arg(long, value_name = "N", requires = "timezone")]
    monthly: Option<i32>,
    /// Keep the last backup of each year for this many years
    #[arg(long, value_name = "N", requires = "timezone")]
    yearly: Option<i32>,
    /// Time zone of those days and weeks, e.g. UTC+02:00
    #[arg(long, value_name = "UTC±hh:mm")]
    timezone: Option<String>,
}

impl KeepArgs {
    fn definition(self) -> OperationDefinition {
        OperationDefinition {
            max_backups: self.keep,
            retention_duration_days: self.keep_days,
            day_backups: self.daily,
            week_backups: self.weekly,
            month_backups: self.monthly,
            year_backups: self.yearly,
            timezone: self.timezone,
            ..OperationDefinition::default()
        }
    }
}

const LIST: &[Column<Policy>] = &[
    column("id", "ID", |policy| policy.id.to_string()),
    column("name", "Name", |policy| policy.name.clone()),
    column("operation_type", "Operation", |policy| {
        policy.operation_type.to_string()
    }),
    column("enabled", "Enabled", |policy| yes_no(policy.enabled)),
    column("operation_definition", "Retention", keeps),
];

const SHOW: &[Column<Policy>] = &[
    column("id", "ID", |policy| policy.id.to_string()),
    column("name", "Name", |policy| policy.name.clone()),
    column("operation_type", "Operation", |policy| {
        policy.operation_type.to_string()
    }),
    column("enabled", "Enabled", |policy| yes_no(policy.enabled)),
    column("trigger", "At (UTC)", |policy| {
        policy.trigger.properties.pattern.join("\n")
    }),
    column("operation_definition", "Retention", keeps),
    column("destination_region", "Destination region", |policy| {
        or_dash(policy.operation_definition.destination_region.as_deref())
    }),
    column("associated_vaults", "Vaults", |policy| {
        let ids: Vec<_> = policy
            .associated_vaults
            .iter()
            .map(|bound| bound.vault_id.as_str())
            .collect();
        or_dash(Some(&ids.join("\n")))
    }),
    column("start_time", "Created", |policy| {
        moment(policy.trigger.properties.start_time.as_ref())
    }),
];

fn yes_no(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

/// Says what a policy keeps; 0 and −1 are no limits.
fn keeps(policy: &Policy) -> String {
    let kept = &policy.operation_definition;
    let parts: Vec<_> = [
        (kept.max_backups, "backups"),
        (kept.retention_duration_days, "days"),
        (kept.day_backups, "daily"),
        (kept.week_backups, "weekly"),
        (kept.month_backups, "monthly"),
        (kept.year_backups, "yearly"),
    ]
    .into_iter()
    .filter_map(|(number, what)| {
        let number = number.filter(|number| *number > 0)?;
        Some(format!("{number} {what}"))
    })
    .collect();
    if parts.is_empty() {
        "all".to_owned()
    } else {
        parts.join(", ")
    }
}

/// Runs `policy`.
pub(crate) async fn run(args: PolicyArgs, connect: ConnectArgs) -> Result<(), CliError> {
    let output = Output::new(&args.output);
    let connection = connect.open().await?;
    let api = connection.cbr();
    match args.verb {
        Verb::List { vault } => {
            let vault_id = match &vault {
                Some(name) => Some(lookup::vault(&connection, name).await?.id),
                None => None,
            };
            let query = PolicyQuery {
                vault_id,
                ..PolicyQuery::default()
            };
            output.list(LIST, &api.policies(&query).all().await?)
        }
        Verb::Show { policy } => output.record(SHOW, &lookup::policy(&connection, &policy).await?),
        Verb::Create {
            name,
            at,
            keep,
            replicate,
            to_region,
            to_project,
            disabled,
        } => {
            let mut new = NewPolicy::backup(name, at);
            new.operation_definition = keep.definition();
            new.enabled = disabled.then_some(false);
            if replicate {
                new.operation_type = word::OperationType::Replication;
                new.operation_definition.destination_region = to_region;
                new.operation_definition.destination_project_id = to_project.map(Into::into);
            }
            output.record(SHOW, &api.create_policy(&new).await?)
        }
        Verb::Update {
            policy,
            name,
            enabled,
            at,
            keep,
        } => {
            let id = lookup::policy(&connection, &policy).await?.id;
            let keep = keep.definition();
            let change = PolicyChange {
                name,
                enabled,
                operation_definition: (keep != OperationDefinition::default()).then_some(keep),
                pattern: (!at.is_empty()).then_some(at),
                operation_type: None,
            };
            output.record(SHOW, &api.update_policy(&id, &change).await?)
        }
        Verb::Preview(args) => preview::run(args, &connection, &output).await,
        Verb::Delete { policies, dry_run } => {
            let mut found = Vec::with_capacity(policies.len());
            for name in &policies {
                found.push(lookup::policy(&connection, name).await?);
            }
            if dry_run.dry_run {
                let doomed: Vec<_> = found
                    .iter()
                    .map(|policy| {
                        let bound = policy.associated_vaults.len();
                        let words = format!("'{}', bound to {bound} vaults", policy.name);
                        Doomed::new(&policy.id, words)
                    })
                    .collect();
                return dry_run::tell(&output, "policy", &doomed);
            }
            for policy in &found {
                api.delete_policy(&policy.id).await?;
            }
            let ids: Vec<_> = found.iter().map(|policy| policy.id.as_str()).collect();
            let words: Vec<_> = ids
                .iter()
                .map(|id| format!("policy {id}: deleted"))
                .collect();
            output.done(&words.join("\n"), &ids.join("\n"), &json!({"deleted": ids}))
        }
        Verb::Bind {
            policy,
            vault,
            to_vault,
        } => {
            let policy = lookup::policy(&connection, &policy).await?.id;
            let vault = lookup::vault(&connection, &vault).await?.id;
            let to_vault = to_vault.map(Into::into);
            let bound = api.bind_policy(&vault, &policy, to_vault.as_ref()).await?;
            let words = format!("policy {policy} is bound to vault {vault}");
            output.done(&words, policy.as_str(), &bound)
        }
        Verb::Unbind { policy, vault } => {
            let policy = lookup::policy(&connection, &policy).await?.id;
            let vault = lookup::vault(&connection, &vault).await?.id;
            let bound = api.unbind_policy(&vault, &policy).await?;
            let words = format!("policy {policy} is not bound to vault {vault} any more");
            output.done(&words, policy.as_str(), &bound)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_said() {
        for (definition, want) in [
            (OperationDefinition::default(), "all"),
            (
                OperationDefinition {
                    max_backups: Some(-1),
                    retention_duration_days: Some(0),
                    ..OperationDefinition::default()
                },
                "all",
            ),
            (
                OperationDefinition {
                    max_backups: Some(14),
                    day_backups: Some(7),
                    ..OperationDefinition::default()
                },
                "14 backups, 7 daily",
            ),
        ] {
            let policy = Policy {
                operation_definition: definition,
                ..Policy::default()
            };
            assert_eq!(keeps(&policy), want);
        }
    }
}
