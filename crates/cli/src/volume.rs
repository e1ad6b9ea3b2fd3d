//! `emberkeep volume`: what lies on the service's volumes, and how to get it in and out.

pub(crate) mod export;
mod import;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use emberkeep_model::Gib;
use emberkeep_sdk::block_storage::{NewVolume, Volume, VolumeQuery};
use emberkeep_sdk::{Connection, TaskFilter, VolumeId};
use serde_json::json;

use crate::connect::ConnectArgs;
use crate::dry_run::{self, Doomed, DryRun};
use crate::error::CliError;
use crate::lookup;
use crate::output::{Column, Output, OutputArgs, column, moment, or_dash};
use crate::wait::{self, Patience, WaitArgs};
pub(crate) use import::send;

const EXAMPLES: &str = "\
Examples:
  emberkeep volume create --size 10 data
  emberkeep volume import disk.qcow2 --name web
  emberkeep volume export web web.raw
  emberkeep volume list -o json";

/// Options of `volume`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct VolumeArgs {
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the project's volumes
    List {
        /// List only this name
        #[arg(long)]
        name: Option<String>,
    },
    /// Show one volume
    Show {
        /// Name or id
        volume: String,
    },
    /// Create a volume: empty, from a snapshot, or as a clone of another volume
    Create(CreateArgs),
    /// Import a disk image (raw or qcow2) from this machine as a new volume
    Import(import::ImportArgs),
    /// Export a volume to a sparse raw image file on this machine
    Export(export::ExportArgs),
    /// Print the path of a file-backed volume
    ///
    /// With the data directory at hand this works without the service too, given an id.
    Path {
        /// Name or id
        volume: String,
    },
    /// Delete volumes
    Delete {
        /// Names or ids
        #[arg(required = true)]
        volumes: Vec<String>,
        #[command(flatten)]
        wait: WaitArgs,
        #[command(flatten)]
        dry_run: DryRun,
    },
    /// Extend a volume
    Extend {
        /// Name or id
        volume: String,
        /// The new size in GiB
        #[arg(value_name = "GIB", value_parser = clap::value_parser!(u32).range(1..))]
        size: u32,
        #[command(flatten)]
        wait: WaitArgs,
    },
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// Name
    name: Option<String>,
    /// Size in GiB; optional with a source
    #[arg(long, value_name = "GIB", value_parser = clap::value_parser!(u32).range(1..), required_unless_present_any = ["snapshot", "source"])]
    size: Option<u32>,
    /// Create it from this snapshot (name or id)
    #[arg(long, conflicts_with = "source")]
    snapshot: Option<String>,
    /// Clone this volume (name or id)
    #[arg(long, value_name = "VOLUME")]
    source: Option<String>,
    /// Volume type
    #[arg(long = "type", value_name = "NAME")]
    volume_type: Option<String>,
    /// Free text
    #[arg(long)]
    description: Option<String>,
    #[command(flatten)]
    wait: WaitArgs,
}

const LIST: &[Column<Volume>] = &[
    column("id", "ID", |volume| volume.id.to_string()),
    column("name", "Name", |volume| or_dash(volume.name.as_deref())),
    column("size", "Size", |volume| volume.size.to_string()),
    column("status", "Status", |volume| volume.status.clone()),
];

const SHOW: &[Column<Volume>] = &[
    column("id", "ID", |volume| volume.id.to_string()),
    column("name", "Name", |volume| or_dash(volume.name.as_deref())),
    column("description", "Description", |volume| {
        or_dash(volume.description.as_deref())
    }),
    column("size", "Size", |volume| volume.size.to_string()),
    column("status", "Status", |volume| volume.status.clone()),
    column("volume_type", "Type", |volume| {
        or_dash(volume.volume_type.as_deref())
    }),
    column("bootable", "Bootable", |volume| {
        or_dash(volume.bootable.map(|yes| yes.to_string()).as_deref())
    }),
    column("snapshot_id", "Source snapshot", |volume| {
        or_dash(volume.snapshot_id.as_ref().map(|id| id.as_str()))
    }),
    column("source_volid", "Source volume", |volume| {
        or_dash(volume.source_volume_id.as_ref().map(|id| id.as_str()))
    }),
    column("created_at", "Created", |volume| {
        moment(volume.created_at.as_ref())
    }),
];

/// Runs `volume`.
pub(crate) async fn run(args: VolumeArgs, connect: ConnectArgs) -> Result<(), CliError> {
    let output = Output::new(&args.output);
    if let Verb::Path { volume } = &args.verb {
        return path(volume, &connect, &output).await;
    }
    let connection = connect.open().await?;
    let api = connection.block_storage();
    match args.verb {
        Verb::List { name } => {
            let query = VolumeQuery {
                name,
                ..VolumeQuery::default()
            };
            output.list(LIST, &api.volumes(&query).all().await?)
        }
        Verb::Show { volume } => output.record(SHOW, &lookup::volume(&connection, &volume).await?),
        Verb::Create(args) => create(args, &connection, &output).await,
        Verb::Import(args) => import::run(args, &connection, &output).await,
        Verb::Export(args) => export::run(args, &connection, &output).await,
        Verb::Path { .. } => Ok(()),
        Verb::Delete {
            volumes,
            wait,
            dry_run,
        } => {
            let mut found = Vec::with_capacity(volumes.len());
            for name in &volumes {
                found.push(lookup::volume(&connection, name).await?);
            }
            if dry_run.dry_run {
                let doomed: Vec<_> = found.iter().map(doomed).collect();
                return dry_run::tell(&output, "volume", &doomed);
            }
            delete(&found, wait, &connection, &output).await
        }
        Verb::Extend { volume, size, wait } => {
            let volume = lookup::volume(&connection, &volume).await?;
            api.extend_volume(&volume.id, Gib(size)).await?;
            let mut volume = api.volume(&volume.id).await?;
            if wait.wait {
                volume = settled(&connection, &volume.id, "extending", wait.patience()).await?;
            }
            output.record(SHOW, &volume)
        }
    }
}

async fn create(
    args: CreateArgs,
    connection: &Connection,
    output: &Output,
) -> Result<(), CliError> {
    let mut new = NewVolume {
        name: args.name,
        description: args.description,
        size: args.size.map(Gib),
        volume_type: args.volume_type,
        ..NewVolume::default()
    };
    if let Some(name) = &args.snapshot {
        new.snapshot_id = Some(lookup::snapshot(connection, name).await?.id);
    }
    if let Some(name) = &args.source {
        new.source_volume_id = Some(lookup::volume(connection, name).await?.id);
    }
    let mut volume = connection.block_storage().create_volume(&new).await?;
    if args.wait.wait {
        volume = settled(
            connection,
            &volume.id,
            "making the volume",
            args.wait.patience(),
        )
        .await?;
    }
    output.record(SHOW, &volume)
}

fn doomed(volume: &Volume) -> Doomed {
    let name = or_dash(volume.name.as_deref());
    let words = format!("'{name}', {}, {}", volume.size, volume.status);
    Doomed::new(&volume.id, words)
}

async fn delete(
    volumes: &[Volume],
    wait: WaitArgs,
    connection: &Connection,
    output: &Output,
) -> Result<(), CliError> {
    let api = connection.block_storage();
    let patience = wait.patience();
    let ids: Vec<_> = volumes.iter().map(|volume| volume.id.clone()).collect();
    for id in &ids {
        api.delete_volume(id)
            .await
            .map_err(|error| CliError::from(error).doing(format_args!("deleting volume {id}")))?;
    }
    if wait.wait {
        for id in &ids {
            wait::until(connection, "deleting", None, patience, async || {
                match api.volume(id).await {
                    Err(error) if error.is_not_found() => Ok(Some(())),
                    Err(error) => Err(error.into()),
                    Ok(volume) if volume.status.starts_with("error") => Err(CliError::failed(
                        format!("volume {id} could not be deleted"),
                    )),
                    Ok(_) => Ok(None),
                }
            })
            .await?;
        }
    }
    deleted(output, "volume", wait, &ids)
}

/// Says what was deleted, or that its deletion has begun.
pub(crate) fn deleted<I: std::fmt::Display>(
    output: &Output,
    noun: &str,
    wait: WaitArgs,
    ids: &[I],
) -> Result<(), CliError> {
    let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
    let how = if wait.wait {
        "deleted"
    } else {
        "deletion begun"
    };
    let words: Vec<_> = ids.iter().map(|id| format!("{noun} {id}: {how}")).collect();
    output.done(
        &words.join("\n"),
        &ids.join("\n"),
        &json!({"deleted": ids, "done": wait.wait}),
    )
}

/// Tells of what was deleted at once.
pub(crate) fn gone<I: std::fmt::Display>(
    output: &Output,
    noun: &str,
    ids: &[I],
) -> Result<(), CliError> {
    let wait = WaitArgs {
        wait: true,
        ..WaitArgs::default()
    };
    deleted(output, noun, wait, ids)
}

/// Waits until nothing goes on with a volume; a status of error is a failure.
pub(crate) async fn settled(
    connection: &Connection,
    id: &VolumeId,
    what: &str,
    patience: Patience,
) -> Result<Volume, CliError> {
    let api = connection.block_storage();
    let filter = TaskFilter {
        volume_id: Some(id.clone()),
        ..TaskFilter::default()
    };
    wait::until(connection, what, Some(filter), patience, async || {
        let volume = api.volume(id).await?;
        match volume.status.as_str() {
            "available" | "in-use" => Ok(Some(volume)),
            status if status.starts_with("error") => Err(CliError::failed(format!(
                "{what}: volume {id} is now {status}"
            ))
            .hint("`emberkeep task list` shows why")),
            _ => Ok(None),
        }
    })
    .await
}

async fn path(wanted: &str, connect: &ConnectArgs, output: &Output) -> Result<(), CliError> {
    let print = |path: PathBuf| {
        let text = path.display().to_string();
        output.done(&text, &text, &json!({"path": text}))
    };
    if let Some(path) = connect
        .local_data_dir()
        .and_then(|dir| on_disk(&dir, wanted))
    {
        return print(path);
    }
    let connection = connect.open().await?;
    let volume = lookup::volume(&connection, wanted).await?;
    match connection.native().volume_path(&volume.id).await? {
        Some(path) => print(path),
        None => Err(CliError::refused(format!(
            "volume {} is not kept in a file",
            volume.id
        ))),
    }
}

/// Looks into a data directory on this machine, which needs no service.
fn on_disk(data_dir: &std::path::Path, id: &str) -> Option<PathBuf> {
    if !lookup::is_id(id) {
        return None;
    }
    let path = data_dir.join("volumes").join(format!("{id}.raw"));
    path.is_file()
        .then(|| std::path::absolute(&path).unwrap_or(path))
}
