//! `emberkeep backup export-record` and `import-record`: what travels is where a backup lies, not
//! the backup.

use std::path::{Path, PathBuf};

use clap::Args;
use emberkeep_sdk::Connection;
use emberkeep_sdk::block_storage::BackupRecord;
use serde_json::{Value, json};

use super::{SHOW, finished};
use crate::error::CliError;
use crate::lookup;
use crate::output::Output;
use crate::wait::WaitArgs;

/// Options of `backup import-record`.
#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// The class path of the driver that wrote the backup
    #[arg(required_unless_present = "file")]
    service: Option<String>,
    /// Record printed by export-record
    #[arg(required_unless_present = "file")]
    url: Option<String>,
    /// Read both from a file written by `export-record -o json`
    #[arg(long, conflicts_with_all = ["service", "url"])]
    file: Option<PathBuf>,
    #[command(flatten)]
    wait: WaitArgs,
}

/// Runs `backup export-record`.
pub(super) async fn export(
    name: &str,
    connection: &Connection,
    output: &Output,
) -> Result<(), CliError> {
    let backup = lookup::backup(connection, name).await?;
    let record = connection.block_storage().export_backup(&backup.id).await;
    let record = record.map_err(|error| {
        CliError::from(error).doing(format_args!("exporting the record of '{name}'"))
    })?;
    let (service, url) = (&record.backup_service, &record.backup_url);
    let words = format!("backup_service  {service}\nbackup_url      {url}");
    output.done(&words, url, &json!(record))
}

/// Runs `backup import-record`.
pub(super) async fn import(
    args: ImportArgs,
    connection: &Connection,
    output: &Output,
) -> Result<(), CliError> {
    let record = match (args.file, args.service, args.url) {
        (Some(file), _, _) => read(&file)?,
        (None, Some(backup_service), Some(backup_url)) => BackupRecord {
            backup_service,
            backup_url,
        },
        (None, _, _) => return Err(CliError::refused("give a service and a record, or --file")),
    };
    let api = connection.block_storage();
    let id = api
        .import_backup(&record)
        .await
        .map_err(|error| CliError::from(error).doing("importing a record"))?;
    let backup = if args.wait.wait {
        finished(connection, &id, args.wait.patience()).await?
    } else {
        api.backup(&id).await?
    };
    output.record(SHOW, &backup)
}

/// Reads a record: alone, or under the name that both wires give it.
fn read(file: &Path) -> Result<BackupRecord, CliError> {
    let text = std::fs::read_to_string(file)
        .map_err(|cause| CliError::failed_by(format_args!("reading {}", file.display()), &cause))?;
    let unreadable = || {
        CliError::refused(format!("{} holds no record", file.display()))
            .hint("it must be JSON with `backup_service` and `backup_url`")
    };
    let value: Value = serde_json::from_str(&text).map_err(|_| unreadable())?;
    let record = value.get("backup-record").unwrap_or(&value);
    let field = |name: &str| record.get(name).and_then(Value::as_str).map(str::to_owned);
    match (field("backup_service"), field("backup_url")) {
        (Some(backup_service), Some(backup_url)) => Ok(BackupRecord {
            backup_service,
            backup_url,
        }),
        _ => Err(unreadable()),
    }
}
