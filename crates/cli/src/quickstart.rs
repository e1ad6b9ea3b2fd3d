//! `emberkeep quickstart`: the whole of it once, on real input, with every byte compared.

mod change;
mod compare;
mod image;
mod story;
mod tree;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use emberkeep_model::{ByteCount, Gib};
use emberkeep_sdk::cbr::{AddResource, BackupQuery, NewCheckpoint, NewVault, RestoreTarget};
use emberkeep_sdk::native_types::BackupBytes;
use emberkeep_sdk::{BackupId, CheckpointId, Connection, VaultId, VolumeId};
use emberkeep_server::{Config, ConfigArgs, DEFAULT_LISTEN, Running, StartError};
use emberkeep_volumes::{FileSource, SourceSnapshot, open_image};

use crate::connect::{ConnectArgs, DEFAULT_DATA_DIR, own_cloud};
use crate::error::CliError;
use crate::logging::LogArgs;
use crate::serve::{ended, not_started};
use crate::wait::{self, Patience};
use crate::{checkpoint, task, volume};
use story::Story;

/// No step on an image of sensible size takes longer.
const STEP_LIMIT_SECS: u64 = 6 * 3600;

const EXAMPLES: &str = "\
It starts the service in a data directory (./emberkeep-data unless told otherwise), makes a
small disk image or takes yours, imports it, makes a vault, takes a checkpoint, changes the
volume, takes a second one, restores the first and compares every byte with the original.
Then the service goes on until Ctrl-C, unless --exit is given.

Examples:
  emberkeep quickstart
  emberkeep quickstart --image disk.qcow2 --exit";

/// Options of `quickstart`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct QuickstartArgs {
    /// Disk image (raw or qcow2) to use instead of a generated one; read-only
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// Size of the generated image in MiB
    #[arg(long, value_name = "N", default_value_t = 256, conflicts_with = "image",
        value_parser = clap::value_parser!(u64).range(32..=65536))]
    size_mib: u64,
    /// Where to listen [default: 127.0.0.1:8776, or a free port if that one is taken]
    #[arg(long, value_name = "ADDRESS:PORT", env = "EMBERKEEP_LISTEN")]
    listen: Option<String>,
    /// Stop the service at the end instead of leaving it running
    #[arg(long)]
    exit: bool,
    #[command(flatten)]
    log: LogArgs,
}

/// Runs `quickstart`.
pub(crate) async fn run(args: QuickstartArgs, connect: ConnectArgs) -> Result<(), CliError> {
    if connect.os_cloud.is_some() {
        return Err(CliError::usage(
            "quickstart runs its own service; --os-cloud names another",
        ));
    }
    args.log.start("warn")?;
    let data_dir = connect
        .data_dir
        .unwrap_or_else(|| PathBuf::from(DEFAULT_DATA_DIR));
    let mut story = Story::begin()?;
    let begun = Instant::now();
    let running = start(&data_dir, args.listen).await?;
    let told = story.step(
        "service",
        &format!(
            "{}, data in {}",
            running.url(),
            running.data_dir().display()
        ),
        begun,
    );
    let done = match told {
        Ok(()) => tokio::select! {
            done = tell(&mut story, &running, args.image, args.size_mib) => done,
            _ = tokio::signal::ctrl_c() => Err(CliError::failed("interrupted")),
        },
        Err(error) => Err(error),
    };
    if let Err(error) = done {
        running.shutdown().await;
        return Err(error.doing("quickstart"));
    }
    if args.exit {
        running.shutdown().await;
        return Ok(());
    }
    if let Err(error) = story.leave_running(running.url(), running.data_dir()) {
        running.shutdown().await;
        return Err(error);
    }
    ended(running.stopped().await)
}

/// Starts the service; a port taken by somebody else is no obstacle unless it was asked for.
async fn start(data_dir: &Path, listen: Option<String>) -> Result<Running, CliError> {
    let chosen = listen.is_some();
    let config = |listen: Option<String>| {
        let args = ConfigArgs {
            data_dir: Some(data_dir.to_owned()),
            listen,
            ..ConfigArgs::default()
        };
        Config::load(args).map_err(|error| CliError::failed_by("the configuration", &error))
    };
    match emberkeep_server::start(config(listen)?).await {
        Ok(running) => Ok(running),
        Err(StartError::Listen { cause, .. })
            if !chosen && cause.kind() == io::ErrorKind::AddrInUse =>
        {
            story::note(&format!(
                "{DEFAULT_LISTEN} is taken; using a free port instead"
            ))?;
            let free = config(Some("127.0.0.1:0".to_owned()))?;
            emberkeep_server::start(free)
                .await
                .map_err(|error| not_started(&error))
        }
        Err(error) => Err(not_started(&error)),
    }
}

/// All the steps between start and stop.
async fn tell(
    story: &mut Story,
    running: &Running,
    given: Option<PathBuf>,
    size_mib: u64,
) -> Result<(), CliError> {
    let connection = Connection::open(own_cloud(running.data_dir())?).await?;
    let name = format!(
        "quickstart-{}",
        jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S")
    );

    let begun = Instant::now();
    let work = image::WorkDir::make(running.data_dir())?;
    let (path, words) = match given {
        Some(path) => (path, "yours".to_owned()),
        None => blocking(move || image::make(&work, size_mib << 20).map(|made| (made, work)))
            .await
            .map(|(made, work)| {
                story.keep(work);
                (made.path, made.words)
            })?,
    };
    let original = {
        let path = path.clone();
        blocking(move || {
            open_image(&path, None).map_err(|error| CliError::failed(error.to_string()))
        })
        .await?
    };
    let original: Arc<dyn SourceSnapshot> = Arc::from(original);
    story.step(
        "image",
        &format!("{}: {}, {words}", path.display(), original.size()),
        begun,
    )?;

    let begun = Instant::now();
    let imported = volume::send(&connection, &path, None, Some(name.clone()), None).await?;
    let volume = imported.volume_id;
    let api = connection.block_storage();
    let size = api.volume(&volume).await?.size;
    story.step(
        "import",
        &format!(
            "volume {name}: {size}, {} sent, holes left out",
            ByteCount(imported.sent)
        ),
        begun,
    )?;

    let begun = Instant::now();
    let mut new = NewVault::for_disks(name.clone(), Gib(size.0.max(5) * 2));
    new.description = Some("made by quickstart".to_owned());
    let vault = connection.cbr().create_vault(&new).await?;
    connection
        .cbr()
        .associate_resources(&vault.id, &[AddResource::from(&volume)])
        .await?;
    story.step(
        "vault",
        &format!("{name}: {}, holds the volume", vault.billing.size),
        begun,
    )?;

    let begun = Instant::now();
    let first = take(&connection, &vault.id, "first").await?;
    story.step("checkpoint", &cost("first", &first.bytes), begun)?;

    let begun = Instant::now();
    let file = connection
        .native()
        .volume_path(&volume)
        .await?
        .ok_or_else(|| {
            CliError::failed("the volume is not kept in a file, so it cannot be changed from here")
        })?;
    let data = first.bytes.data;
    let changed = {
        let file = file.clone();
        blocking(move || change::change(&file, data)).await?
    };
    story.step("change", &changed.words(data), begun)?;

    let begun = Instant::now();
    let second = take(&connection, &vault.id, "second").await?;
    story.step("checkpoint", &cost("second", &second.bytes), begun)?;

    let begun = Instant::now();
    restore(&connection, &first.id, &volume).await?;
    story.step("restore", "the first one, into the same volume", begun)?;

    let begun = Instant::now();
    let compared = blocking(move || {
        let restored =
            FileSource::open(&file).map_err(|error| CliError::failed(error.to_string()))?;
        compare::compare(original.as_ref(), &restored)
    })
    .await?;
    story.step(
        "compare",
        &format!("{}: every byte as in the image", ByteCount(compared)),
        begun,
    )?;

    let stored = first.bytes.stored + second.bytes.stored;
    story.end(
        2 * size.bytes().0,
        first.bytes.data + second.bytes.data,
        stored,
    )
}

/// A backup that was made, and what it cost.
struct Taken {
    id: BackupId,
    bytes: BackupBytes,
}

async fn take(connection: &Connection, vault: &VaultId, name: &str) -> Result<Taken, CliError> {
    let new = NewCheckpoint::of(vault).named(name);
    let begun = connection.cbr().create_checkpoint(&new).await?;
    let id: CheckpointId = begun.id;
    checkpoint::finished(connection, &id, Patience::new(Some(STEP_LIMIT_SECS))).await?;
    let query = BackupQuery::of_checkpoint(&id);
    let backups = connection.cbr().backups(&query).all().await?;
    let [backup] = backups.as_slice() else {
        return Err(CliError::failed(format!(
            "checkpoint {id} made {} backups, not 1",
            backups.len()
        )));
    };
    let costs = connection.native().backups(Some(vault), None).await?;
    let bytes = costs
        .iter()
        .find(|cost| cost.id.to_string() == backup.id.0)
        .and_then(|cost| cost.bytes)
        .ok_or_else(|| CliError::failed(format!("backup {} is not complete", backup.id)))?;
    Ok(Taken {
        id: backup.id.clone(),
        bytes,
    })
}

async fn restore(
    connection: &Connection,
    backup: &BackupId,
    target: &VolumeId,
) -> Result<(), CliError> {
    let patience = Patience::new(Some(STEP_LIMIT_SECS));
    let to = RestoreTarget::volume(target);
    if let Some(id) = connection.cbr().restore_backup(backup, &to).await? {
        task::succeeded(&wait::task(connection, &id, patience).await?)?;
    }
    volume::settled(connection, target, "restoring", patience)
        .await
        .map(drop)
}

fn cost(which: &str, bytes: &BackupBytes) -> String {
    format!(
        "{which}: {} read, {} new, {} stored",
        ByteCount(bytes.read),
        ByteCount(bytes.new),
        ByteCount(bytes.stored),
    )
}

/// Runs what waits for disks on a thread of its own.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CliError> + Send + 'static,
) -> Result<T, CliError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|cause| CliError::failed_by("a step broke off", &cause))?
}
