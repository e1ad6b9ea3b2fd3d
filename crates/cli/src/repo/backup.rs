//! `emberkeep repo backup`: a disk image into a repository.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use clap::Args;
use emberkeep_engine::{
    BackupError, BackupRequest, Manifest, ProjectRepository, SourceRecord, UnixMicros,
};
use emberkeep_model::{BackupId, ByteCount};
use serde_json::json;
use uuid::Uuid;

use super::source::{Source, SourceArgs, default_name};
use super::{PlaceArgs, find, repository_error, store_error, watch};
use crate::error::{CliError, chain};
use crate::output::Output;

/// Options of `repo backup`.
#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// The image file (raw or qcow2) or block device, or the address of an NBD export: nbd://HOST/NAME,
    /// nbd+unix:///NAME?socket=PATH, nbds://HOST/NAME?tls-certificates=DIR; or a block node of a
    /// running QEMU, which goes on writing: qmp+unix:///NODE?socket=PATH
    image: PathBuf,
    /// Name of the backup [default: the file name without its extension]
    #[arg(long)]
    name: Option<String>,
    /// Free text
    #[arg(long)]
    description: Option<String>,
    /// Parent backup (name or id) [default: the newest one of the same image]
    #[arg(long, value_name = "BACKUP", conflicts_with = "full")]
    parent: Option<String>,
    /// Use no parent
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    source: SourceArgs,
}

/// Runs `repo backup`.
pub(super) fn run(args: BackupArgs, output: &Output) -> Result<(), CliError> {
    let project = args.place.own_project()?;
    let path = fs::canonicalize(&args.image).unwrap_or_else(|_| args.image.clone());
    let path = path.display().to_string();
    let parent = parent(&args, &path, &project)?;

    let name = args
        .name
        .clone()
        .unwrap_or_else(|| default_name(&args.image));
    let mut request = BackupRequest::new(BackupId(Uuid::new_v4()), name, now());
    request.description.clone_from(&args.description);
    request.parent = parent.as_ref().map(|manifest| manifest.backup_id);
    request.source = SourceRecord {
        path: Some(path.clone()),
        ..SourceRecord::default()
    };

    let begun = Instant::now();
    let source = Source::open(&args.image, &args.source, parent.as_ref())?;
    let done = watch::watched("backing up", |run| {
        project.backup(source.snapshot(), request, run)
    });
    source.end(done.is_ok());
    let report = done.map_err(|error| backup_error(&error, &args.image))?;
    report_backup(
        &report.manifest,
        parent.as_ref(),
        begun.elapsed().as_secs_f64(),
        output,
    )
}

/// Finds the backup to be made after: the named one, none, or the newest of the same image.
fn parent(
    args: &BackupArgs,
    path: &str,
    project: &ProjectRepository,
) -> Result<Option<Manifest>, CliError> {
    if args.full {
        return Ok(None);
    }
    let projects = std::slice::from_ref(project);
    let all = find::manifests(projects)?;
    match &args.parent {
        Some(wanted) => Ok(Some(find::one(wanted, &all)?.manifest.clone())),
        None => Ok(all
            .into_iter()
            .map(|found| found.manifest)
            .find(|manifest| manifest.source.path.as_deref() == Some(path))),
    }
}

fn report_backup(
    manifest: &Manifest,
    parent: Option<&Manifest>,
    seconds: f64,
    output: &Output,
) -> Result<(), CliError> {
    let cost = manifest.statistics;
    let after = parent.map_or_else(
        || "full".to_owned(),
        |parent| format!("after '{}' ({})", parent.name, parent.backup_id),
    );
    let words = format!(
        "backup {id} '{name}' made, {after}\n  {size} volume, {data} of it data; {read} read, {new} new, {stored} stored, in {seconds:.1} s",
        id = manifest.backup_id,
        name = manifest.name,
        size = manifest.size,
        data = ByteCount(cost.data_bytes),
        read = ByteCount(cost.read_bytes),
        new = ByteCount(cost.new_bytes),
        stored = ByteCount(cost.stored_bytes),
    );
    let json = json!({
        "id": manifest.backup_id,
        "name": manifest.name,
        "parent_id": manifest.parent,
        "size_bytes": manifest.size,
        "read_bytes": cost.read_bytes,
        "data_bytes": cost.data_bytes,
        "new_bytes": cost.new_bytes,
        "stored_bytes": cost.stored_bytes,
        "chunks": cost.chunks,
        "new_chunks": cost.new_chunks,
        "created_at": find::zulu(manifest.created_at),
        "seconds": seconds,
    });
    output.done(&words, &manifest.backup_id.to_string(), &json)
}

fn now() -> UnixMicros {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    UnixMicros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

fn backup_error(error: &BackupError, image: &Path) -> CliError {
    let told = match error {
        BackupError::Repository(error) => repository_error(error),
        BackupError::Store(error) => store_error(error),
        BackupError::NoSuchParent(_) => CliError::not_found(error.to_string()),
        BackupError::Exists(_) => CliError::refused(error.to_string()),
        BackupError::Cancelled => CliError::failed("interrupted; nothing was kept"),
        BackupError::Source(_)
        | BackupError::SessionLost
        | BackupError::KeyReplaced
        | BackupError::PackVanished(_)
        | BackupError::Compressor(_) => CliError::failed(chain(error)),
    };
    told.doing(format_args!("backing up {}", image.display()))
}
