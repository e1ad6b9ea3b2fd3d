//! `emberkeep policy preview`: what a policy will do, or would do if it were otherwise.

use clap::Args;
use emberkeep_sdk::Connection;
use emberkeep_sdk::native_types::{PolicyPreview, PolicyTrial};
use serde::Serialize;
use serde_json::json;

use super::KeepArgs;
use crate::error::CliError;
use crate::lookup;
use crate::output::{Column, Output, column, or_dash, time};

/// Options of `policy preview`.
#[derive(Debug, Args)]
pub(super) struct PreviewArgs {
    /// The policy's name or id
    policy: String,
    /// Schedule to try instead of the present one; repeatable
    #[arg(long = "at", value_name = "RULE")]
    at: Vec<String>,
    /// Time zone to try, e.g. Europe/Berlin
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    #[command(flatten)]
    keep: KeepArgs,
}

/// One thing that happens: a run, or what becomes of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Line {
    what: &'static str,
    at: String,
    id: Option<String>,
    name: Option<String>,
    vault_id: Option<String>,
    volume_id: Option<String>,
    reasons: Vec<String>,
}

const LINES: &[Column<Line>] = &[
    column("what", "What", |line| line.what.to_owned()),
    column("at", "At (UTC)", |line| time(Some(&line.at))),
    column("name", "Backup", |line| or_dash(line.name.as_deref())),
    column("volume_id", "Volume", |line| {
        or_dash(line.volume_id.as_deref())
    }),
    column("reasons", "Reasons", |line| {
        or_dash(Some(&line.reasons.join(", ")))
    }),
];

/// Runs `policy preview`.
pub(super) async fn run(
    args: PreviewArgs,
    connection: &Connection,
    output: &Output,
) -> Result<(), CliError> {
    let policy = lookup::policy(connection, &args.policy).await?;
    let mut trial = PolicyTrial {
        pattern: (!args.at.is_empty()).then_some(args.at),
        zone: args.zone,
        ..PolicyTrial::default()
    };
    let keep = args.keep.definition();
    if keep != Default::default() {
        // What is tried replaces the rules as a whole, as an update does; where copies go stays.
        let mut rules = keep;
        let now = &policy.operation_definition;
        rules.destination_region.clone_from(&now.destination_region);
        rules
            .destination_project_id
            .clone_from(&now.destination_project_id);
        let rules = serde_json::from_value(json!(rules));
        trial.operation_definition =
            Some(rules.map_err(|error| CliError::refused(error.to_string()))?);
    }
    let preview = connection
        .native()
        .preview_policy(&policy.id, &trial)
        .await?;
    output.list(LINES, &lines(preview))
}

/// Puts the runs before the backups, in the order in which they were told.
fn lines(preview: PolicyPreview) -> Vec<Line> {
    let runs = preview.next_runs.into_iter().map(|at| Line {
        what: "run",
        at,
        id: None,
        name: None,
        vault_id: None,
        volume_id: None,
        reasons: Vec::new(),
    });
    let backups = preview.backups.into_iter().map(|fate| Line {
        what: if fate.keep { "keep" } else { "drop" },
        at: fate.created_at,
        id: Some(fate.id.to_string()),
        name: fate.name,
        vault_id: fate.vault_id.map(|id| id.to_string()),
        volume_id: Some(fate.volume_id.to_string()),
        reasons: fate.reasons,
    });
    runs.chain(backups).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_come_first_and_each_backup_has_its_fate() {
        let preview = serde_json::from_value(json!({
            "next_runs": ["2027-03-01T01:00:00Z"],
            "backups": [
                {"id": "e3b1f5c4-8d2a-4b7e-9f60-0a1b2c3d4e5f", "name": "a", "vault_id": null,
                 "volume_id": "b0a7c1d2-3e4f-4a5b-8c6d-7e8f9a0b1c2d", "created_at": "2027-02-01T01:00:00Z",
                 "keep": false, "reasons": ["older than 30 days"]},
            ],
        }))
        .unwrap();
        let lines = lines(preview);
        let told: Vec<_> = lines
            .iter()
            .map(|line| (line.what, line.at.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                ("run", "2027-03-01T01:00:00Z"),
                ("drop", "2027-02-01T01:00:00Z")
            ]
        );
        assert_eq!(lines[1].reasons, ["older than 30 days"]);
    }
}
