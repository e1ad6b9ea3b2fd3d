//! `emberkeep backup`: one volume at one instant, made, restored and deleted.

mod adopt;
mod chunked;
mod damage;
mod export;
mod record;

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
  emberkeep backup create web db mail --name nightly --wait
  emberkeep backup restore monday --name web-as-of-monday --wait
  emberkeep backup restore monday --volume web --wait
  emberkeep backup export monday disk.qcow2 --format qcow2
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
        /// List only snapshots of this volume (name or id)
        #[arg(long)]
        volume: Option<String>,
        /// List only backups in this vault (name or id)
        #[arg(long)]
        vault: Option<String>,
        /// List only backups in this status
        #[arg(long)]
        status: Option<String>,
    },
    /// Show one backup
    Show {
        /// Name or id
        backup: String,
    },
    /// Back up a volume, or several at once
    Create(CreateArgs),
    /// Restore a backup to a new volume or over an existing one
    Restore(RestoreArgs),
    /// Adopt backups written by Cinder: copy them and their parents into the repository
    Adopt(adopt::AdoptArgs),
    /// Export a backup to this machine: as an image or in Cinder's chunked format
    Export(export::ExportArgs),
    /// Export a backup's record for import into this or another service
    ExportRecord {
        /// Name or id
        backup: String,
    },
    /// Import a backup from its record, written by Emberkeep or by Cinder
    ImportRecord(record::ImportArgs),
    /// Delete backups; no other backup depends on them
    Delete {
        /// Names or ids
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
    /// The volumes' names or ids
    #[arg(required = true, value_name = "VOLUME")]
    volumes: Vec<String>,
    /// Name of the backup; with several volumes each is named NAME-VOLUME
    #[arg(long)]
    name: Option<String>,
    /// Free text
    #[arg(long)]
    description: Option<String>,
    /// Use the volume's newest backup as parent (the new backup does not depend on it)
    #[arg(long)]
    incremental: bool,
    /// Back up this snapshot of the volume (name or id)
    #[arg(long)]
    snapshot: Option<String>,
    /// Store it in this vault (name or id)
    #[arg(long)]
    vault: Option<String>,
    /// Allow a volume that is in use
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    wait: WaitArgs,
}

#[derive(Debug, Args)]
struct RestoreArgs {
    /// The backup's name or id
    backup: String,
    /// Restore over this volume (name or id); its data is overwritten
    #[arg(long, conflicts_with = "name")]
    volume: Option<String>,
    /// Restore to a new volume of this name
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    dry_run: DryRun,
}

const LIST: &[Column<Backup>] = &[
    column("id", "ID", |backup| backup.id.to_string()),
    column("name", "Name", |backup| or_dash(backup.name.as_deref())),
    column("size", "Size", |backup| backup.size.to_string()),
    column("status", "Status", |backup| backup.status.clone()),
    column("is_incremental", "Incr.", |backup| {
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
    column("fail_reason", "Failure reason", |backup| {
        or_dash(backup.fail_reason.as_deref())
    }),
    column("is_incremental", "Incremental", |backup| {
        yes_no(backup.is_incremental)
    }),
    column("data_timestamp", "Data as of", |backup| {
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
        Verb::Show { backup } => {
            let found = lookup::backup(&connection, &backup).await?;
            match damage::of(&found, &connection).await? {
                Some(damaged) => output.record(damage::SHOW, &damaged),
                None => output.record(SHOW, &found),
            }
        }
        Verb::Create(args) => create(args, &connection, &output).await,
        Verb::Restore(args) => restore(args, &connection, &output).await,
        Verb::Adopt(args) => adopt::run(args, &connection, &output).await,
        Verb::Export(args) => export::run(args, &connection, &output).await,
        Verb::ExportRecord { backup } => record::export(&backup, &connection, &output).await,
        Verb::ImportRecord(args) => record::import(args, &connection, &output).await,
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
    let snapshot_id = match &args.snapshot {
        Some(_) if args.volumes.len() > 1 => {
            return Err(CliError::usage(
                "a snapshot is of one volume: name only that",
            ));
        }
        Some(name) => Some(lookup::snapshot(connection, name).await?.id),
        None => None,
    };
    let container = match &args.vault {
        Some(name) => Some(lookup::vault(connection, name).await?.id.to_string()),
        None => None,
    };
    // All are looked up before anything is begun: a slip of the pen leaves nothing half done.
    let volumes = lookup::volumes(connection, &args.volumes).await?;
    let mut begun = Vec::with_capacity(volumes.len());
    let mut errors = Vec::new();
    for (wanted, volume_id) in args.volumes.iter().zip(volumes) {
        let new = NewBackup {
            volume_id,
            snapshot_id: snapshot_id.clone(),
            name: each_named(args.name.as_deref(), wanted, args.volumes.len()),
            description: args.description.clone(),
            container: container.clone(),
            incremental: args.incremental,
            force: args.force,
            ..NewBackup::default()
        };
        match api.create_backup(&new).await {
            Ok(id) => begun.push(id),
            Err(error) => errors
                .push(CliError::from(error).doing(format_args!("backing up volume '{wanted}'"))),
        }
    }
    let patience = args.wait.patience();
    let ends = wait::all(begun.iter().map(async |id| {
        if args.wait.wait {
            finished(connection, id, patience).await
        } else {
            Ok(api.backup(id).await?)
        }
    }))
    .await;
    let mut backups = Vec::with_capacity(ends.len());
    for end in ends {
        match end {
            Ok(backup) => backups.push(backup),
            Err(error) => errors.push(error),
        }
    }
    match (args.volumes.len(), backups.as_slice()) {
        (1, [only]) => output.record(SHOW, only)?,
        (1, _) | (_, []) => {}
        _ => output.list(LIST, &backups)?,
    }
    wait::together("backing up", args.volumes.len(), errors)
}

/// Returns the name of the backup of one volume: that which was given, if it is the only one.
fn each_named(name: Option<&str>, volume: &str, of: usize) -> Option<String> {
    match (name, of) {
        (Some(name), 0 | 1) => Some(name.to_owned()),
        (Some(name), _) => Some(format!("{name}-{volume}")),
        (None, _) => None,
    }
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
    if args.dry_run.dry_run {
        return would_restore(&backup, &to, output);
    }
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

/// Says what a restore would write over, or make.
fn would_restore(backup: &Backup, to: &RestoreTo, output: &Output) -> Result<(), CliError> {
    let (target, words) = match to {
        RestoreTo::Volume(id) => (Some(id), format!("overwrite volume {id}")),
        RestoreTo::NewVolume(name) => {
            let name = name.as_deref().unwrap_or("a name of the service's choice");
            (None, format!("make a volume called {name}"))
        }
    };
    let words = format!(
        "would {words} from backup {} of volume {}, {}",
        backup.id, backup.volume_id, backup.size
    );
    let value = target.map_or("", |id| id.as_str());
    let json = json!({"backup_id": backup.id, "volume_id": target, "done": false});
    output.done(&words, value, &json)
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
