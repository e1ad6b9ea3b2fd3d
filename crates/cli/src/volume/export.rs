//! `emberkeep volume export`: writes a volume to a raw image here, holes left as holes.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use clap::Args;
use emberkeep_model::ByteCount;
use emberkeep_sdk::{Connection, VolumeExport};
use emberkeep_volumes::{FileTarget, RestoreTarget, TargetState, VolumeError};
use serde_json::json;

use crate::error::CliError;
use crate::lookup;
use crate::output::Output;
use crate::progress::Bar;

/// Options of `volume export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The volume's name or id
    volume: String,
    /// File to write, or a block device of sufficient size
    file: PathBuf,
    /// Overwrite an existing file
    #[arg(long)]
    force: bool,
}

/// Runs `volume export`.
pub(crate) async fn run(
    args: ExportArgs,
    connection: &Connection,
    output: &Output,
) -> Result<(), CliError> {
    let volume = lookup::volume(connection, &args.volume).await?;
    let place = Place::at(&args.file, args.force)?;
    let mut export = connection.native().export_volume(&volume.id).await?;
    let size = export.size();
    let target = place
        .open(size)
        .map_err(|error| CliError::failed_by("opening the file", &error))?;
    let written = copy(&mut export, target.as_ref(), size).await?;
    drop(target);
    place.settle(&args.file)?;
    let file = args.file.display().to_string();
    output.done(
        &format!(
            "volume {} written to {file}: {}, of which {} data",
            volume.id,
            ByteCount(size),
            ByteCount(written)
        ),
        &file,
        &json!({"volume_id": volume.id, "file": file, "size_bytes": size, "data_bytes": written}),
    )
}

async fn copy(
    export: &mut VolumeExport,
    target: &dyn RestoreTarget,
    size: u64,
) -> Result<u64, CliError> {
    let failed = |error: VolumeError| CliError::failed_by("writing the file", &error);
    let bar = Bar::new("exporting", size);
    let mut written = 0;
    let mut at = 0;
    while let Some((offset, bytes)) = export.next().await? {
        let length = bytes.len() as u64;
        // Writing waits for the disk: other work must not stand still meanwhile.
        tokio::task::block_in_place(|| {
            fill(target, at, offset)?;
            target.write_at(offset, &bytes)
        })
        .map_err(failed)?;
        written += length;
        at = offset + length;
        bar.set(at, size);
    }
    tokio::task::block_in_place(|| {
        fill(target, at, size)?;
        target.finish()
    })
    .map_err(failed)?;
    Ok(written)
}

/// Makes a hole read as zeroes; a new file does already.
fn fill(target: &dyn RestoreTarget, from: u64, to: u64) -> Result<(), VolumeError> {
    match target.state() {
        TargetState::HoldsData if from < to => target.zero(from..to),
        _ => Ok(()),
    }
}

/// Where an export is written, and what becomes of what is there.
pub(crate) enum Place {
    New(PathBuf),
    /// Written beside the old file and put in its place at the end.
    Beside(PathBuf),
    Device(PathBuf),
}

impl Place {
    /// Looks at what is there; nothing of it is touched yet.
    pub(crate) fn at(file: &Path, force: bool) -> Result<Self, CliError> {
        match fs::metadata(file) {
            Err(_) => Ok(Self::New(file.to_owned())),
            Ok(_) if !force => {
                Err(CliError::refused(format!("{} exists", file.display()))
                    .hint("--force replaces it"))
            }
            Ok(meta) if meta.file_type().is_block_device() => Ok(Self::Device(file.to_owned())),
            Ok(meta) if meta.is_file() => {
                let mut beside = file.as_os_str().to_owned();
                beside.push(format!(".new-{}", std::process::id()));
                Ok(Self::Beside(beside.into()))
            }
            Ok(_) => Err(CliError::refused(format!(
                "{} is neither a file nor a block device",
                file.display()
            ))),
        }
    }

    /// Returns the new file that is written; none where a device is.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::New(path) | Self::Beside(path) => Some(path),
            Self::Device(_) => None,
        }
    }

    /// Opens it for raw bytes.
    pub(crate) fn open(&self, size: u64) -> Result<Box<dyn RestoreTarget>, VolumeError> {
        Ok(match self {
            Self::New(path) | Self::Beside(path) => {
                Box::new(FileTarget::create_new(path, ByteCount(size))?)
            }
            Self::Device(path) => {
                let target = FileTarget::open_existing(path)?;
                if target.size().0 < size {
                    return Err(VolumeError::OutOfRange {
                        what: path.display().to_string(),
                        reason: format!(
                            "it holds {}, the volume {}",
                            target.size(),
                            ByteCount(size)
                        ),
                    });
                }
                Box::new(target)
            }
        })
    }

    /// Puts what was written in the place of what was there.
    pub(crate) fn settle(&self, file: &Path) -> Result<(), CliError> {
        match self {
            Self::New(_) | Self::Device(_) => Ok(()),
            Self::Beside(path) => fs::rename(path, file).map_err(|cause| {
                CliError::failed_by(format_args!("replacing {}", file.display()), &cause)
            }),
        }
    }
}
