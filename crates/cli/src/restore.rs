//! `emberkeep restore`: a backup that lies in a vault, back onto what it is of or another one of its kind.

use clap::Args;
use emberkeep_sdk::cbr::word::{ObjectType, ResourceType, TaskKind, TaskStatus};
use emberkeep_sdk::cbr::{Backup, Mapping, RestoreTarget, TaskQuery};
use emberkeep_sdk::{Connection, TaskFilter, TaskId, VolumeId};
use serde_json::json;

use crate::connect::ConnectArgs;
use crate::dry_run::DryRun;
use crate::error::CliError;
use crate::lookup;
use crate::output::{Output, OutputArgs};
use crate::share::in_vault;
use crate::wait::{self, WaitArgs};

const EXAMPLES: &str = "\
Examples:
  emberkeep restore monday --wait               onto the disk that it is of
  emberkeep restore monday --volume web2 --wait
  emberkeep restore homes --filesystem homes2 --wait
  emberkeep restore monday --dry-run            only say what would be overwritten

To a new volume: `emberkeep backup restore monday --name web-again`.";

/// Options of `restore`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RestoreArgs {
    #[command(flatten)]
    output: OutputArgs,
    /// The backup's name or id
    backup: String,
    /// Onto this volume (name or id) instead of the one that it is of; what it holds is lost
    #[arg(long)]
    volume: Option<String>,
    /// A server's backup: onto the disks of this server (name or id) instead of its own
    #[arg(long, conflicts_with = "volume")]
    server: Option<String>,
    /// A file system's backup: onto this file system (name or id) instead of its own; its files
    /// are replaced
    #[arg(long, conflicts_with_all = ["volume", "server"])]
    filesystem: Option<String>,
    /// A server's backup: which disk's backup goes onto which disk, both by id; may be given several times
    #[arg(long = "map", value_name = "BACKUP=VOLUME", conflicts_with_all = ["volume", "filesystem"])]
    mappings: Vec<String>,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    dry_run: DryRun,
}

/// Runs `restore`.
pub(crate) async fn run(args: RestoreArgs, connect: ConnectArgs) -> Result<(), CliError> {
    let output = Output::new(&args.output);
    let connection = connect.open().await?;
    let api = connection.cbr();
    let backup = api
        .backup(&in_vault(&connection, &args.backup).await?)
        .await?;
    let (kind, noun, key) = match backup.resource_type {
        ResourceType::Server => (ObjectType::Server, "server", "server_id"),
        ResourceType::Turbo => (ObjectType::Turbo, "file system", "filesystem_id"),
        _ => (ObjectType::Disk, "volume", "volume_id"),
    };
    let named = match kind {
        ObjectType::Server => &args.server,
        ObjectType::Turbo => &args.filesystem,
        _ => &args.volume,
    };
    let given = [&args.server, &args.filesystem, &args.volume];
    if named.is_none() && given.iter().any(|it| it.is_some()) {
        return Err(CliError::usage(format!(
            "backup '{}' is of a {noun} and goes onto a {noun} only",
            args.backup
        )));
    }
    let onto = match named {
        Some(name) => lookup::resource(&connection, &kind, name).await?,
        None => backup.resource_id.clone(),
    };
    let mappings = args.mappings.iter().map(|text| mapping(text));
    let target = match kind {
        ObjectType::Server => RestoreTarget {
            mappings: mappings.collect::<Result<_, _>>()?,
            ..RestoreTarget::server(&onto)
        },
        ObjectType::Turbo => RestoreTarget::file_system(&onto),
        _ => RestoreTarget::volume(&VolumeId::from(&onto)),
    };
    let told = |done: bool, task: Option<&str>| json!({"backup_id": backup.id, key: onto, "task_id": task, "done": done});
    if args.dry_run.dry_run {
        let words = format!(
            "would overwrite {noun} {onto} with backup {} of '{}', {}",
            backup.id, backup.resource_name, backup.resource_size
        );
        return output.done(&words, onto.as_str(), &told(false, None));
    }
    let earlier = match args.wait.wait {
        true => restores(&connection, &backup).await,
        false => None,
    };
    let task = api
        .restore_backup(&backup.id, &target)
        .await
        .map_err(|error| {
            CliError::from(error).doing(format_args!("restoring backup '{}'", args.backup))
        })?;
    let id = task.as_ref().map(TaskId::as_str);
    if !args.wait.wait {
        let words = format!("restore of backup {} to {noun} {onto} begun", backup.id);
        return output.done(&words, onto.as_str(), &told(false, id));
    }
    let filter = TaskFilter {
        backup_id: Some(backup.id.clone()),
        ..TaskFilter::default()
    };
    let patience = args.wait.patience();
    let mut named = task.clone();
    wait::until(
        &connection,
        "restoring",
        Some(filter),
        patience,
        async || {
            // A cloud that names no task shows it in its log, a moment later.
            if named.is_none()
                && let Some(earlier) = &earlier
            {
                let all = restores(&connection, &backup).await.unwrap_or_default();
                named = all.into_iter().find(|id| !earlier.contains(id));
                if named.is_none() {
                    return Ok(None);
                }
            }
            let Some(id) = &named else {
                // One that has no log either shows the end of it at the backup.
                let status = api.backup(&backup.id).await?.status;
                return Ok((status == "available").then_some(()));
            };
            let task = api.task(id).await?;
            match task.status {
                TaskStatus::Success => Ok(Some(())),
                TaskStatus::Failed | TaskStatus::Timeout | TaskStatus::Skipped => {
                    Err(CliError::failed(format!(
                        "restoring backup {}: task {id} is {}: {}",
                        backup.id, task.status, task.error_info.message
                    )))
                }
                TaskStatus::Waiting | TaskStatus::Running | TaskStatus::Other(_) => Ok(None),
            }
        },
    )
    .await?;
    let words = format!("backup {} restored to {noun} {onto}", backup.id);
    output.done(&words, onto.as_str(), &told(true, id))
}

/// Lists the newest restores of a backup, where the cloud keeps a log of them.
async fn restores(connection: &Connection, backup: &Backup) -> Option<Vec<TaskId>> {
    const ENOUGH: usize = 100;
    let query = TaskQuery {
        operation_type: Some(TaskKind::Restore),
        resource_id: Some(backup.resource_id.clone()),
        ..TaskQuery::default()
    };
    let newest = connection.cbr().tasks(&query).at_most(ENOUGH);
    let found = newest.all().await.ok()?.into_iter();
    // Some clouds leave out which backup it is of; that it is of this resource is known.
    let of_it = found.filter(|task| match &task.extra_info.restore {
        Some(restore) => restore.backup_id == backup.id || restore.backup_id.as_str().is_empty(),
        None => true,
    });
    Some(of_it.map(|task| task.id).collect())
}

/// Reads `BACKUP=VOLUME`.
fn mapping(text: &str) -> Result<Mapping, CliError> {
    let (backup, volume) = text
        .split_once('=')
        .ok_or_else(|| CliError::usage(format!("'{text}' is not BACKUP=VOLUME")))?;
    Ok(Mapping {
        backup_id: backup.into(),
        volume_id: volume.into(),
    })
}
