//! `emberkeep repo restore`: a backup to a file or a block device.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use emberkeep_engine::{Manifest, RestoreError};
use emberkeep_model::ByteCount;
use emberkeep_volumes::{FileTarget, NbdTarget, RestoreTarget, TargetState};
use serde_json::json;

use super::source::export_address;
use super::{PlaceArgs, find, repository_error, store_error, watch};
use crate::error::{CliError, chain};
use crate::output::Output;

/// Options of `repo restore`.
#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Name, id or id prefix of the backup
    backup: String,
    /// The file to write; a new one has holes where the volume had. Or the address of a writable
    /// NBD export, which needs --force
    output_file: PathBuf,
    /// Write over an existing file or block device, changing only what differs
    #[arg(long, visible_alias = "in-place")]
    force: bool,
}

/// Runs `repo restore`.
pub(super) fn run(args: RestoreArgs, output: &Output) -> Result<(), CliError> {
    let projects = args.place.projects()?;
    let all = find::manifests(&projects)?;
    let found = find::one(&args.backup, &all)?;
    let manifest = &found.manifest;
    let file = &args.output_file;
    let target = open_target(file, manifest, args.force)?;
    let begun = Instant::now();
    let report = watch::watched("restoring", |run| {
        found
            .project
            .restore(manifest.backup_id, target.as_ref(), run)
    })
    .map_err(|error| restore_error(&error, manifest, file))?;
    let seconds = begun.elapsed().as_secs_f64();
    let mut words = format!(
        "backup {} '{}' restored to {}\n  {} volume: {} written, {} there already, in {seconds:.1} s",
        manifest.backup_id,
        manifest.name,
        file.display(),
        manifest.size,
        ByteCount(report.written_bytes),
        ByteCount(report.kept_bytes),
    );
    if target.size() > manifest.size {
        words.push_str("\n  the target is larger: what lies beyond the volume's size is as it was");
    }
    let json = json!({
        "id": manifest.backup_id,
        "name": manifest.name,
        "file": file,
        "size_bytes": manifest.size,
        "written_bytes": report.written_bytes,
        "kept_bytes": report.kept_bytes,
        "zeroed_bytes": report.zeroed_bytes,
        "seconds": seconds,
    });
    output.done(&words, &file.display().to_string(), &json)
}

fn open_target(
    file: &Path,
    manifest: &Manifest,
    force: bool,
) -> Result<Box<dyn RestoreTarget>, CliError> {
    let failed = |error| CliError::failed(chain(&error));
    if let Some(address) = export_address(file)? {
        if !force {
            let words = format!("{address} may hold data");
            return Err(CliError::refused(words).hint("--force writes over it"));
        }
        let target = NbdTarget::open(&address, TargetState::HoldsData).map_err(failed)?;
        return Ok(Box::new(target));
    }
    let Ok(meta) = fs::metadata(file) else {
        return Ok(Box::new(
            FileTarget::create_new(file, manifest.size).map_err(failed)?,
        ));
    };
    if !force {
        return Err(
            CliError::refused(format!("{} exists", file.display())).hint("--force writes over it")
        );
    }
    if meta.is_file() && meta.len() < manifest.size.0 {
        OpenOptions::new()
            .write(true)
            .open(file)
            .and_then(|file| file.set_len(manifest.size.0))
            .map_err(|cause| {
                CliError::failed_by(format_args!("growing {}", file.display()), &cause)
            })?;
    }
    Ok(Box::new(FileTarget::open_existing(file).map_err(failed)?))
}

fn restore_error(error: &RestoreError, manifest: &Manifest, file: &Path) -> CliError {
    let told = match error {
        RestoreError::NoSuchBackup(_) => CliError::not_found(error.to_string()),
        RestoreError::VolumeTooSmall { .. } => CliError::refused(error.to_string()),
        RestoreError::BackupDamaged { .. } => CliError::failed(chain(error)).hint(
            "`emberkeep repo check --read-data` names everything that is hurt; nothing wrong was written",
        ),
        RestoreError::Repository(error) => repository_error(error),
        RestoreError::Store(error) => store_error(error),
        RestoreError::Cancelled => {
            CliError::failed(format!("interrupted; {} is not whole", file.display()))
        }
        RestoreError::Target(_) | RestoreError::Decompressor(_) => CliError::failed(chain(error)),
    };
    told.doing(format_args!(
        "restoring '{}' to {}",
        manifest.name,
        file.display()
    ))
}
