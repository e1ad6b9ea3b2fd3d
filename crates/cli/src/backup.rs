//! `emberkeep backup`: one volume at one instant, made, restored and deleted.

use clap::{Args, Subcommand};
use emberkeep_sdk::block_storage::{Backup, BackupQuery, NewBackup, RestoreTo};
use emberkeep_sdk::{BackupId, Connection, TaskFilter, cbr};
use serde_json::json;

use crate::connect::ConnectArgs;
use crate::dry_run::{self, Doomed, DryRun};
use crate::error::CliError;
use crate::lookup;
use crate::output::{Column, Output, OutputArgs, column, moment, or_dash};
use crate::volume::{deleted, settled};
use crate::wait::{self, Patience, WaitArgs};

const EXAMPLES: &str = "\
Examples:
  emberkeep backup create web --name monday --wait
  emberkeep backup create web --name tuesday --incremental --wait
  emberkeep backup restore monday --name web-as-of-monday --wait
  emberkeep backup restore monday --volume web --wait
  emberkeep backup delete monday";

/// Options of `backup`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BackupArgs {
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the project's backups, newest first
    List {
        /// Only those of this volume (name or id)
        #[arg(long)]
        volume: Option<String>,
        /// Only those in this vault (name or id)
        #[arg(long)]
        vault: Option<String>,
        /// Only those in this status
        #[arg(long)]
        status: Option<String>,
    },
    /// Show one backup
    Show {
        /// Its name or id
        backup: String,
    },
    /// Back up a volume
    Create(CreateArgs),
    /// Bring a backup back: to a new volume, or over an existing one
    Restore(RestoreArgs),
    /// Delete backups; no other backup needs them
    Delete {
        /// Their names or ids
        #[arg(required = true)]
        backups: Vec<String>,
        #[command(flatten)]
        wait: WaitArgs,
        #[command(flatten)]
        dry_run: DryRun,
    },
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// The volume's name or id
    volume: String,
    /// The backup's name
    #[arg(long)]
    name: Option<String>,
    /// Free text
    #[arg(long)]
    description: Option<String>,
    /// Start from the volume's newest backup (it is not needed afterwards)
    #[arg(long)]
    incremental: bool,
    /// From this snapshot of the volume (name or id)
    #[arg(long)]
    snapshot: Option<String>,
    /// Keep it in this vault (name or id)
    #[arg(long)]
    vault: Option<String>,
    /// Also of a volume in use
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    wait: WaitArgs,
}

#[derive(Debug, Args)]
struct RestoreArgs {
    /// The backup's name or id
    backup: String,
    /// Over this volume (name or id); what it holds is lost
    #[arg(long, conflicts_with = "name")]
    volume: Option<String>,
    /// To a new volume of this name
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    wait: WaitArgs,
}

const LIST: &[Column<Backup>] = &[
    column("id", "ID", |backup| backup.id.to_string()),
    column("name", "Name", |backup| or_dash(backup.name.as_deref())),
    column("size", "Size", |backup| backup.size.to_string()),
    column("status", "Status", |backup| backup.status.clone()),
    column("is_incremental", "Incremental", |backup| {
        yes_no(backup.is_incremental)
    }),
];

const SHOW: &[Column<Backup>] = &[
    column("id", "ID", |backup| backup.id.to_string()),
    column("name", "Name", |backup| or_dash(backup.name.as_deref())),
    column("description", "Description", |backup| {
        or_dash(backup.description.as_deref())
    }),
    column("volume_id", "Volume", |backup| backup.volume_id.to_string()),
    column("snapshot_id", "Snapshot", |backup| {
        or_dash(backup.snapshot_id.as_ref().map(|id| id.as_str()))
    }),
    column("container", "Container", |backup| {
        or_dash(backup.container.as_deref())
    }),
    column("size", "Size", |backup| backup.size.to_string()),
    column("status", "Status", |backup| backup.status.clone()),
    column("fail_reason", "Failed because", |backup| {
        or_dash(backup.fail_reason.as_deref())
    }),
    column("is_incremental", "Incremental", |backup| {
        yes_no(backup.is_incremental)
    }),
    column("data_timestamp", "Data of", |backup| {
        moment(backup.data_timestamp.as_ref())
    }),
    column("created_at", "Created", |backup| {
        moment(backup.created_at.as_ref())
    }),
];

fn yes_no(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

/// Runs `backup`.
pub(crate) async fn run(args: BackupArgs, connect: ConnectArgs) -> Result<(), CliError> {
    let output = Output::new(&args.output);
    let connection = connect.open().await?;
    match args.verb {
        Verb::List {
            volume,
            vault,
            status,
        } => {
            list(
                volume.as_deref(),
                vault.as_deref(),
                status.as_deref(),
                &connection,
                &output,
            )
            .await
        }
        Verb::Show { backup } => output.record(SHOW, &lookup::backup(&connection, &backup).await?),
        Verb::Create(args) => create(args, &connection, &output).await,
        Verb::Restore(args) => restore(args, &connection, &output).await,
        Verb::Delete {
            backups,
            wait,
            dry_run,
        } => {
            let mut found = Vec::with_capacity(backups.len());
            for name in &backups {
                found.push(lookup::backup(&connection, name).await?);
            }
            if dry_run.dry_run {
                let doomed: Vec<_> = found.iter().map(doomed).collect();
                return dry_run::tell(&output, "backup", &doomed);
            }
            delete(&found, wait, &connection, &output).await
        }
    }
}

async fn list(
    volume: Option<&str>,
    vault: Option<&str>,
    status: Option<&str>,
    connection: &Connection,
    output: &Output,
) -> Result<(), CliError> {
    let volume = match volume {
        Some(name) => Some(lookup::volume(connection, name).await?.id),
        None => None,
    };
    let query = BackupQuery {
        volume_id: volume,
        status: status.map(str::to_owned),
        ..BackupQuery::default()
    };
    let mut backups = connection.block_storage().backups(&query).all().await?;
    if let Some(name) = vault {
        let vault = lookup::vault(connection, name).await?;
        let query = cbr::BackupQuery::in_vault(&vault.id);
        let inside = connection.cbr().backups(&query).all().await?;
        backups.retain(|backup| inside.iter().any(|other| other.id == backup.id));
    }
    output.list(LIST, &backups)
}

async fn create(
    args: CreateArgs,
    connection: &Connection,
    output: &Output,
) -> Result<(), CliError> {
    let api = connection.block_storage();
    let volume = lookup::volume(connection, &args.volume).await?;
    let snapshot_id = match &args.snapshot {
        Some(name) => Some(lookup::snapshot(connection, name).await?.id),
        None => None,
    };
    let container = match &args.vault {
        Some(name) => Some(lookup::vault(connection, name).await?.id.to_string()),
        None => None,
    };
    let new = NewBackup {
        volume_id: volume.id,
        snapshot_id,
        name: args.name,
        description: args.description,
        container,
        incremental: args.incremental,
        force: args.force,
        ..NewBackup::default()
    };
    let id = api.create_backup(&new).await.map_err(|error| {
        CliError::from(error).doing(format_args!("backing up volume '{}'", args.volume))
    })?;
    let backup = if args.wait.wait {
        finished(connection, &id, args.wait.patience()).await?
    } else {
        api.backup(&id).await?
    };
    output.record(SHOW, &backup)
}

/// Waits until a backup is made; one in error is a failure.
async fn finished(
    connection: &Connection,
    id: &BackupId,
    patience: Patience,
) -> Result<Backup, CliError> {
    let api = connection.block_storage();
    let filter = TaskFilter {
        backup_id: Some(id.clone()),
        ..TaskFilter::default()
    };
    wait::until(
        connection,
        "backing up",
        Some(filter),
        patience,
        async || {
            let backup = api.backup(id).await?;
            match backup.status.as_str() {
                "available" => Ok(Some(backup)),
                "error" => {
                    let reason = backup
                        .fail_reason
                        .as_deref()
                        .unwrap_or("the service gives no reason");
                    Err(CliError::failed(format!("backup {id} failed: {reason}")))
                }
                _ => Ok(None),
            }
        },
    )
    .await
}

async fn restore(
    args: RestoreArgs,
    connection: &Connection,
    output: &Output,
) -> Result<(), CliError> {
    let api = connection.block_storage();
    let backup = lookup::backup(connection, &args.backup).await?;
    let to = match &args.volume {
        Some(name) => RestoreTo::Volume(lookup::volume(connection, name).await?.id),
        None => RestoreTo::NewVolume(args.name),
    };
    let started = api.restore_backup(&backup.id, &to).await.map_err(|error| {
        CliError::from(error).doing(format_args!("restoring backup '{}'", args.backup))
    })?;
    let mut words = format!(
        "restore of backup {} to volume {} begun",
        started.backup_id, started.volume_id
    );
    if args.wait.wait {
        settled(
            connection,
            &started.volume_id,
            "restoring",
            args.wait.patience(),
        )
        .await?;
        words = format!(
            "backup {} restored to volume {}",
            started.backup_id, started.volume_id
        );
    }
    let json = json!({
        "backup_id": started.backup_id,
        "volume_id": started.volume_id,
        "volume_name": started.volume_name,
        "done": args.wait.wait,
    });
    output.done(&words, started.volume_id.as_str(), &json)
}

fn doomed(backup: &Backup) -> Doomed {
    let name = or_dash(backup.name.as_deref());
    let words = format!(
        "'{name}' of volume {}, {}, {}",
        backup.volume_id, backup.size, backup.status
    );
    Doomed::new(&backup.id, words)
}

async fn delete(
    backups: &[Backup],
    wait: WaitArgs,
    connection: &Connection,
    output: &Output,
) -> Result<(), CliError> {
    let api = connection.block_storage();
    let patience = wait.patience();
    let ids: Vec<_> = backups.iter().map(|backup| backup.id.clone()).collect();
    for id in &ids {
        api.delete_backup(id)
            .await
            .map_err(|error| CliError::from(error).doing(format_args!("deleting backup {id}")))?;
    }
    for id in ids.iter().filter(|_| wait.wait) {
        wait::until(connection, "deleting", None, patience, async || {
            match api.backup(id).await {
                Err(error) if error.is_not_found() => Ok(Some(())),
                Err(error) => Err(error.into()),
                Ok(backup)
                    if matches!(
                        backup.status.as_str(),
                        "error" | "error_deleting" | "available"
                    ) =>
                {
                    Err(CliError::failed(format!(
                        "backup {id} could not be deleted: it is {} again",
                        backup.status
                    )))
                }
                Ok(_) => Ok(None),
            }
        })
        .await?;
    }
    deleted(output, "backup", wait, &ids)
}
