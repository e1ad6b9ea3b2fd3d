//! `emberkeep export`: a backup as a volume over NBD, served by the service.

use clap::Args;
use emberkeep_model::ByteCount;
use emberkeep_sdk::native_types::Export;

use crate::connect::ConnectArgs;
use crate::error::CliError;
use crate::lookup;
use crate::output::{Column, Output, OutputArgs, column};

const EXAMPLES: &str = "\
Examples:
  emberkeep export monday                 prints the address once; anyone who has it can read
  nbdcopy $(emberkeep export monday -o value) disk.img
  emberkeep export monday --writable      writes are gone when the export ends
  emberkeep export monday --instant       a volume to use at once: writes stay, the rest comes in behind
  emberkeep export --list
  emberkeep export --end ID

The service has to listen for NBD (`nbd_listen`). Exports end with the service,\nbut for instant restores, which go on when it starts again.";

/// Options of `export`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    output: OutputArgs,
    /// Name or id of the backup
    #[arg(required_unless_present_any = ["list", "end"])]
    backup: Option<String>,
    /// Accept writes; they are discarded when the export ends
    #[arg(long, requires = "backup")]
    writable: bool,
    /// Instant restore: accept and keep writes while the remaining data is restored in the background
    #[arg(long, requires = "backup", conflicts_with = "writable")]
    instant: bool,
    /// List active exports of the project
    #[arg(long, conflicts_with_all = ["backup", "end"])]
    list: bool,
    /// End this export
    #[arg(long, value_name = "ID", conflicts_with = "backup")]
    end: Option<String>,
}

const LIST: &[Column<Export>] = &[
    column("id", "ID", |export| export.id.clone()),
    column("writable", "Writable", |export| export.writable.to_string()),
    column("filled_bytes", "Filled", filled),
    column("backup_id", "Backup", |export| export.backup_id.to_string()),
];

/// Tells how far an instant restore is.
fn filled(export: &Export) -> String {
    match (export.complete, export.filled_bytes) {
        (Some(true), _) => "complete".to_owned(),
        (_, Some(bytes)) => format!("{} of {}", ByteCount(bytes), ByteCount(export.size_bytes)),
        (_, None) => String::new(),
    }
}

/// Runs `export`.
pub(crate) async fn run(args: ExportArgs, connect: ConnectArgs) -> Result<(), CliError> {
    let output = Output::new(&args.output);
    let connection = connect.open().await?;
    let native = connection.native();
    if let Some(id) = &args.end {
        native.end_export(id).await?;
        return output.done(
            &format!("export {id} has ended"),
            id,
            &serde_json::json!({"ended": id}),
        );
    }
    let Some(wanted) = &args.backup else {
        return output.list(LIST, &native.exports().await?);
    };
    let backup = lookup::backup(&connection, wanted).await?;
    let export = if args.instant {
        native.begin_instant_restore(&backup.id).await?
    } else {
        native.begin_export(&backup.id, args.writable).await?
    };
    let Some(uri) = &export.uri else {
        return Err(CliError::failed(format!(
            "the service returned no address for export {}",
            export.id
        )));
    };
    let words = format!(
        "backup {} is served as export {}\n{uri}",
        backup.id, export.id
    );
    output.done(&words, uri, &export)
}
