//! `emberkeep checkpoint`: one run over a vault, one backup for each of its volumes.

use clap::{Args, Subcommand};
use emberkeep_sdk::cbr::{Backup, BackupQuery, Checkpoint, NewCheckpoint, Parameters};
use emberkeep_sdk::{CheckpointId, Connection, TaskFilter};
use serde::Serialize;

use crate::connect::ConnectArgs;
use crate::error::CliError;
use crate::lookup;
use crate::output::{Column, Output, OutputArgs, column, moment, or_dash};
use crate::wait::{self, Patience, WaitArgs};

/// Options of `checkpoint`.
#[derive(Debug, Args)]
pub(crate) struct CheckpointArgs {
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Back up all resources of one or more vaults now
    Create {
        /// The vaults' names or ids
        #[arg(required = true, value_name = "VAULT")]
        vaults: Vec<String>,
        /// Name prefix of the backups
        #[arg(long)]
        name: Option<String>,
        /// Free text
        #[arg(long)]
        description: Option<String>,
        /// Make full backups instead of incremental ones
        #[arg(long)]
        full: bool,
        /// Back up only this volume of the vault (name or id); repeatable
        #[arg(long = "volume", value_name = "VOLUME")]
        volumes: Vec<String>,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Show one checkpoint with its backups
    Show {
        /// Id of the checkpoint
        checkpoint: String,
    },
}

/// A checkpoint with the backups it made.
#[derive(Debug, Serialize)]
struct View {
    #[serde(flatten)]
    checkpoint: Checkpoint,
    backups: Vec<Backup>,
}

const LIST: &[Column<View>] = &[
    column("id", "ID", |view| view.checkpoint.id.to_string()),
    column("vault", "Vault", |view| view.checkpoint.vault.name.clone()),
    column("status", "Status", |view| {
        view.checkpoint.status.to_string()
    }),
    column("backups", "Backups", |view| view.backups.len().to_string()),
];

const SHOW: &[Column<View>] = &[
    column("id", "ID", |view| view.checkpoint.id.to_string()),
    column("vault", "Vault", |view| {
        format!(
            "{} {}",
            view.checkpoint.vault.id, view.checkpoint.vault.name
        )
    }),
    column("status", "Status", |view| {
        view.checkpoint.status.to_string()
    }),
    column("backups", "Backups", |view| {
        let lines: Vec<_> = view
            .backups
            .iter()
            .map(|backup| {
                format!(
                    "{}  {}  {}",
                    backup.id,
                    or_dash(Some(&backup.name)),
                    backup.status
                )
            })
            .collect();
        or_dash(Some(&lines.join("\n")))
    }),
    column("skipped", "Skipped", |view| {
        let lines: Vec<_> = view
            .checkpoint
            .vault
            .skipped_resources
            .iter()
            .map(|entry| format!("{}  {}", entry.id, entry.reason))
            .collect();
        or_dash(Some(&lines.join("\n")))
    }),
    column("created_at", "Created", |view| {
        moment(Some(&view.checkpoint.created_at))
    }),
];

/// Runs `checkpoint`.
pub(crate) async fn run(args: CheckpointArgs, connect: ConnectArgs) -> Result<(), CliError> {
    let output = Output::new(&args.output);
    let connection = connect.open().await?;
    match args.verb {
        Verb::Create {
            vaults,
            name,
            description,
            full,
            volumes,
            wait,
        } => {
            let parameters = Parameters {
                name,
                description,
                incremental: Some(!full),
                resources: lookup::volumes(&connection, &volumes)
                    .await?
                    .into_iter()
                    .map(Into::into)
                    .collect(),
                ..Parameters::default()
            };
            create(&connection, &vaults, &parameters, wait, &output).await
        }
        Verb::Show { checkpoint } => {
            if !lookup::is_id(&checkpoint) {
                return Err(CliError::not_found(format!(
                    "no checkpoint has the id '{checkpoint}'"
                ))
                .hint(
                    "runs have no names; `emberkeep task list -c checkpoint_id` shows their ids",
                ));
            }
            let checkpoint = connection
                .cbr()
                .checkpoint(&CheckpointId::from(checkpoint.as_str()))
                .await?;
            output.record(SHOW, &view(&connection, checkpoint).await?)
        }
    }
}

/// Begins a run over each vault, and waits for all of them together if that is asked for.
async fn create(
    connection: &Connection,
    vaults: &[String],
    parameters: &Parameters,
    wait: WaitArgs,
    output: &Output,
) -> Result<(), CliError> {
    // All are looked up before anything is begun: a slip of the pen leaves nothing half done.
    let mut ids = Vec::with_capacity(vaults.len());
    for vault in vaults {
        ids.push(lookup::vault(connection, vault).await?.id);
    }
    let mut begun = Vec::with_capacity(ids.len());
    let mut errors = Vec::new();
    for (vault, vault_id) in vaults.iter().zip(ids) {
        let new = NewCheckpoint {
            vault_id,
            parameters: parameters.clone(),
        };
        match connection.cbr().create_checkpoint(&new).await {
            Ok(checkpoint) => begun.push(checkpoint),
            Err(error) => {
                errors.push(CliError::from(error).doing(format_args!("backing up vault '{vault}'")))
            }
        }
    }
    let patience = wait.patience();
    let ends = wait::all(begun.into_iter().map(async |begun| {
        if !wait.wait {
            return view(connection, begun).await;
        }
        let skipped = begun.vault.skipped_resources.clone();
        let mut checkpoint = finished(connection, &begun.id, patience).await?;
        // Only the first answer is sure to say what was left out.
        if checkpoint.vault.skipped_resources.is_empty() {
            checkpoint.vault.skipped_resources = skipped;
        }
        view(connection, checkpoint).await
    }))
    .await;
    let mut views = Vec::with_capacity(ends.len());
    for end in ends {
        match end {
            Ok(view) => views.push(view),
            Err(error) => errors.push(error),
        }
    }
    match (vaults.len(), views.as_slice()) {
        (1, [only]) => output.record(SHOW, only)?,
        (1, _) | (_, []) => {}
        _ => output.list(LIST, &views)?,
    }
    wait::together("backing up", vaults.len(), errors)
}

async fn view(connection: &Connection, checkpoint: Checkpoint) -> Result<View, CliError> {
    let query = BackupQuery::of_checkpoint(&checkpoint.id);
    let backups = connection.cbr().backups(&query).all().await?;
    Ok(View {
        checkpoint,
        backups,
    })
}

/// Waits until every backup of a run is made; a run with one in error is a failure.
pub(crate) async fn finished(
    connection: &Connection,
    id: &CheckpointId,
    patience: Patience,
) -> Result<Checkpoint, CliError> {
    let api = connection.cbr();
    let filter = TaskFilter {
        checkpoint_id: Some(id.clone()),
        ..TaskFilter::default()
    };
    wait::until(
        connection,
        "backing up",
        Some(filter),
        patience,
        async || {
            let checkpoint = api.checkpoint(id).await?;
            match checkpoint.status.as_str() {
                "available" => Ok(Some(checkpoint)),
                "protecting" => Ok(None),
                status => Err(CliError::failed(format!("checkpoint {id} is {status}"))
                    .hint("`emberkeep task list` shows why")),
            }
        },
    )
    .await
}
