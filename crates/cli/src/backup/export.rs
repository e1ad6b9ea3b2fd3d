//! `emberkeep backup export`: a backup as an image, or as Cinder's own drivers would have written it.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args, ValueEnum};
use emberkeep_model::ByteCount;
use emberkeep_sdk::{Connection, VolumeExport};
use emberkeep_volumes::{FileSource, FileTarget, Qcow2Target, RestoreTarget, TargetState};
use serde_json::json;

use super::chunked::{self, ChunkedArgs};
use crate::error::CliError;
use crate::lookup;
use crate::output::Output;
use crate::progress::Bar;
use crate::volume::export::Place;

/// What a backup is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// The volume's bytes, with holes where it had zeroes
    Raw,
    /// QEMU's image format
    Qcow2,
    /// A full backup in the format of Cinder's chunked drivers, with a record to import
    CinderChunked,
}

/// Options of `backup export`.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// The backup's name or id
    backup: String,
    /// The file to write; for cinder-chunked the directory that holds Cinder's containers
    path: PathBuf,
    /// What to write
    #[arg(long, value_enum, default_value_t = Format::Raw)]
    format: Format,
    /// Replace the image that is there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    chunked: ChunkedArgs,
}

/// Runs `backup export`.
pub(super) async fn run(
    args: ExportArgs,
    connection: &Connection,
    output: &Output,
) -> Result<(), CliError> {
    let backup = lookup::backup(connection, &args.backup).await?;
    let failed = |error| CliError::from(error).doing(format_args!("exporting '{}'", args.backup));
    let begun = Instant::now();
    if args.format == Format::CinderChunked {
        let origin = connection.native().backup_origin(&backup.id).await;
        let origin = origin.map_err(failed)?;
        // Every option is looked at before anything is fetched.
        let plan = args.chunked.plan(&args.path, &origin)?;
        let read = connection.native().read_backup(&backup.id).await;
        let source = fetched(read.map_err(failed)?, &args.path).await?;
        let written = tokio::task::block_in_place(|| chunked::write(&plan, &source, &origin))?;
        return written.tell(output, begun.elapsed());
    }
    let place = Place::at(&args.path, args.force)?;
    let mut read = connection
        .native()
        .read_backup(&backup.id)
        .await
        .map_err(failed)?;
    let size = read.size();
    let target: Box<dyn RestoreTarget> = match (args.format, place.file()) {
        (Format::Qcow2, Some(file)) => Box::new(
            Qcow2Target::create_new(file, ByteCount(size))
                .map_err(|error| CliError::failed_by("opening the file", &error))?,
        ),
        (Format::Qcow2, None) => {
            return Err(CliError::refused(format!(
                "{} is a device; only raw bytes go there",
                args.path.display()
            )));
        }
        (Format::Raw | Format::CinderChunked, _) => place
            .open(size)
            .map_err(|error| CliError::failed_by("opening the file", &error))?,
    };
    let written = copy(&mut read, target.as_ref()).await?;
    drop(target);
    place.settle(&args.path)?;
    let file = args.path.display().to_string();
    let seconds = begun.elapsed().as_secs_f64();
    let words = format!(
        "backup {} written to {file}: {}, of which {} data, in {seconds:.1} s",
        backup.id,
        ByteCount(size),
        ByteCount(written)
    );
    let json = json!({
        "backup_id": backup.id,
        "file": file,
        "size_bytes": size,
        "data_bytes": written,
        "seconds": seconds,
    });
    output.done(&words, &file, &json)
}

/// Writes what comes; what does not come is zero.
async fn copy(read: &mut VolumeExport, target: &dyn RestoreTarget) -> Result<u64, CliError> {
    let failed = |error| CliError::failed_by("writing the file", &error);
    let size = read.size();
    if target.state() == TargetState::HoldsData {
        tokio::task::block_in_place(|| target.zero(0..size)).map_err(failed)?;
    }
    let bar = Bar::new("exporting", size);
    let mut written = 0;
    while let Some((offset, bytes)) = read.next().await? {
        // Writing waits for the disk: other work must not stand still meanwhile.
        tokio::task::block_in_place(|| target.write_at(offset, &bytes)).map_err(failed)?;
        written += bytes.len() as u64;
        bar.set(written, size);
    }
    tokio::task::block_in_place(|| target.finish()).map_err(failed)?;
    Ok(written)
}

/// Fetches a backup into a file without a name beside where it is to go: chunks are written from
/// the beginning on, and it comes in any order.
async fn fetched(mut read: VolumeExport, beside: &Path) -> Result<FileSource, CliError> {
    let name = format!(".emberkeep-export-{}.img", std::process::id());
    let path = beside.join(name);
    let failed = |error| CliError::failed_by("keeping the backup for a while", &error);
    let target = FileTarget::create_new(&path, ByteCount(read.size())).map_err(failed)?;
    copy(&mut read, &target).await?;
    drop(target);
    let source = FileSource::open(&path).map_err(failed);
    // It lives as long as it is open.
    std::fs::remove_file(&path).map_err(|cause| {
        CliError::failed_by(format_args!("removing {}", path.display()), &cause)
    })?;
    source
}
