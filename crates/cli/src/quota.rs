//! `emberkeep quota`: what a project may have, and what it has.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use emberkeep_sdk::block_storage::QuotaUsage;
use emberkeep_sdk::{Connection, ProjectId};
use serde::Serialize;

use crate::connect::ConnectArgs;
use crate::error::CliError;
use crate::lookup;
use crate::output::{Column, Output, OutputArgs, column};

const EXAMPLES: &str = "\
Examples:
  emberkeep quota show
  emberkeep quota set backups=50 backup_gigabytes=5000 --project alpha

-1 is as much as the project wants.";

/// Options of `quota`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct QuotaArgs {
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show a project's limits and usage
    Show {
        /// Id or name of the project [default: the one you are signed in to]
        #[arg(long)]
        project: Option<String>,
    },
    /// Set a project's limits (administrators only)
    Set {
        /// The limits
        #[arg(required = true, value_name = "KEY=N", value_parser = limit)]
        limits: Vec<(String, i64)>,
        /// Id or name of the project [default: the one you are signed in to]
        #[arg(long)]
        project: Option<String>,
    },
    /// Reset a project's limits to the defaults (administrators only)
    Reset {
        /// Id or name of the project [default: the one you are signed in to]
        #[arg(long)]
        project: Option<String>,
    },
}

/// One thing that is counted.
#[derive(Debug, Serialize)]
struct Row {
    resource: String,
    #[serde(flatten)]
    usage: QuotaUsage,
}

const LIST: &[Column<Row>] = &[
    column("resource", "Resource", |row| row.resource.clone()),
    column("limit", "Limit", |row| match row.usage.limit {
        -1 => "any".to_owned(),
        limit => limit.to_string(),
    }),
    column("in_use", "In use", |row| row.usage.in_use.to_string()),
    column("reserved", "Reserved", |row| row.usage.reserved.to_string()),
];

/// Runs `quota`.
pub(crate) async fn run(args: QuotaArgs, connect: ConnectArgs) -> Result<(), CliError> {
    let output = Output::new(&args.output);
    let connection = connect.open().await?;
    let api = connection.block_storage();
    let id = match args.verb {
        Verb::Show { project } => whose(&connection, project).await?,
        Verb::Set { limits, project } => {
            let id = whose(&connection, project).await?;
            let limits: BTreeMap<_, _> = limits.into_iter().collect();
            api.set_quotas(&id, &limits).await?;
            id
        }
        Verb::Reset { project } => {
            let id = whose(&connection, project).await?;
            api.reset_quotas(&id).await?;
            id
        }
    };
    let rows: Vec<_> = api
        .quota_usage(&id)
        .await?
        .into_iter()
        .map(|(resource, usage)| Row { resource, usage })
        .collect();
    output.list(LIST, &rows)
}

async fn whose(connection: &Connection, project: Option<String>) -> Result<ProjectId, CliError> {
    match project {
        Some(wanted) => lookup::project(connection, &wanted).await,
        None => connection
            .project_id()
            .await
            .map(ProjectId)
            .ok_or_else(|| CliError::usage("which project? give --project")),
    }
}

fn limit(text: &str) -> Result<(String, i64), String> {
    let (key, number) = text.split_once('=').ok_or("a limit is KEY=N")?;
    let number = number
        .parse()
        .ok()
        .filter(|number| *number >= -1)
        .ok_or("N is a number from -1 on")?;
    Ok((key.to_owned(), number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read() {
        assert_eq!(limit("backups=7"), Ok(("backups".to_owned(), 7)));
        assert_eq!(limit("backups=-1"), Ok(("backups".to_owned(), -1)));
        for text in ["backups", "backups=", "backups=many", "backups=-2"] {
            assert!(limit(text).is_err(), "{text}");
        }
    }
}
