//! `emberkeep snapshot`: lasting snapshots of volumes.

use clap::{Args, Subcommand};
use emberkeep_sdk::block_storage::{NewSnapshot, Snapshot, SnapshotQuery};

use crate::connect::ConnectArgs;
use crate::dry_run::{self, Doomed, DryRun};
use crate::error::CliError;
use crate::lookup;
use crate::output::{Column, Output, OutputArgs, column, moment, or_dash};
use crate::volume::deleted;
use crate::wait::{self, WaitArgs};

/// Options of `snapshot`.
#[derive(Debug, Args)]
pub(crate) struct SnapshotArgs {
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the project's snapshots
    List {
        /// List only snapshots of this volume (name or id)
        #[arg(long)]
        volume: Option<String>,
    },
    /// Show one snapshot
    Show {
        /// Name or id
        snapshot: String,
    },
    /// Create a snapshot
    Create {
        /// The volume's name or id
        volume: String,
        /// The snapshot's name
        #[arg(long)]
        name: Option<String>,
        /// Free text
        #[arg(long)]
        description: Option<String>,
        /// Allow a volume that is in use
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Delete snapshots
    Delete {
        /// Names or ids
        #[arg(required = true)]
        snapshots: Vec<String>,
        #[command(flatten)]
        wait: WaitArgs,
        #[command(flatten)]
        dry_run: DryRun,
    },
}

const FIELDS: &[Column<Snapshot>] = &[
    column("id", "ID", |snapshot| snapshot.id.to_string()),
    column("name", "Name", |snapshot| or_dash(snapshot.name.as_deref())),
    column("size", "Size", |snapshot| snapshot.size.to_string()),
    column("status", "Status", |snapshot| snapshot.status.clone()),
];

const SHOW: &[Column<Snapshot>] = &[
    column("id", "ID", |snapshot| snapshot.id.to_string()),
    column("name", "Name", |snapshot| or_dash(snapshot.name.as_deref())),
    column("volume_id", "Volume", |snapshot| {
        snapshot.volume_id.to_string()
    }),
    column("size", "Size", |snapshot| snapshot.size.to_string()),
    column("status", "Status", |snapshot| snapshot.status.clone()),
    column("created_at", "Created", |snapshot| {
        moment(snapshot.created_at.as_ref())
    }),
];

/// Runs `snapshot`.
pub(crate) async fn run(args: SnapshotArgs, connect: ConnectArgs) -> Result<(), CliError> {
    let output = Output::new(&args.output);
    let connection = connect.open().await?;
    let api = connection.block_storage();
    match args.verb {
        Verb::List { volume } => {
            let volume = match &volume {
                Some(name) => Some(lookup::volume(&connection, name).await?.id),
                None => None,
            };
            let query = SnapshotQuery {
                volume_id: volume,
                ..SnapshotQuery::default()
            };
            output.list(FIELDS, &api.snapshots(&query).all().await?)
        }
        Verb::Show { snapshot } => {
            output.record(SHOW, &lookup::snapshot(&connection, &snapshot).await?)
        }
        Verb::Create {
            volume,
            name,
            description,
            force,
            wait,
        } => {
            let volume_id = lookup::volume(&connection, &volume).await?.id;
            let new = NewSnapshot {
                volume_id,
                name,
                description,
                force,
                ..NewSnapshot::default()
            };
            let mut snapshot = api.create_snapshot(&new).await?;
            if wait.wait {
                let id = snapshot.id.clone();
                snapshot = wait::until(
                    &connection,
                    "taking the snapshot",
                    None,
                    wait.patience(),
                    async || {
                        let snapshot = api.snapshot(&id).await?;
                        match snapshot.status.as_str() {
                            "available" => Ok(Some(snapshot)),
                            "error" => Err(CliError::failed(format!(
                                "snapshot {id} could not be taken"
                            ))),
                            _ => Ok(None),
                        }
                    },
                )
                .await?;
            }
            output.record(SHOW, &snapshot)
        }
        Verb::Delete {
            snapshots,
            wait,
            dry_run,
        } => {
            let patience = wait.patience();
            let mut ids = Vec::with_capacity(snapshots.len());
            let mut doomed = Vec::with_capacity(snapshots.len());
            for name in &snapshots {
                let found = lookup::snapshot(&connection, name).await?;
                let words = format!(
                    "'{}' of volume {}, {}",
                    or_dash(found.name.as_deref()),
                    found.volume_id,
                    found.size
                );
                doomed.push(Doomed::new(&found.id, words));
                ids.push(found.id);
            }
            if dry_run.dry_run {
                return dry_run::tell(&output, "snapshot", &doomed);
            }
            for (name, id) in snapshots.iter().zip(&ids) {
                api.delete_snapshot(id).await.map_err(|error| {
                    CliError::from(error).doing(format_args!("deleting snapshot '{name}'"))
                })?;
            }
            for id in ids.iter().filter(|_| wait.wait) {
                wait::until(&connection, "deleting", None, patience, async || match api
                    .snapshot(id)
                    .await
                {
                    Err(error) if error.is_not_found() => Ok(Some(())),
                    Err(error) => Err(error.into()),
                    Ok(snapshot) if snapshot.status.starts_with("error") => Err(CliError::failed(
                        format!("snapshot {id} could not be deleted"),
                    )),
                    Ok(_) => Ok(None),
                })
                .await?;
            }
            deleted(&output, "snapshot", wait, &ids)
        }
    }
}
