//! `emberkeep replicate`: copies of backups in another region.

use clap::{Args, Subcommand};
use emberkeep_sdk::cbr::{NewReplication, Vault};

use crate::connect::ConnectArgs;
use crate::error::CliError;
use crate::lookup;
use crate::output::{Output, OutputArgs};

const EXAMPLES: &str = "\
Examples:
  emberkeep replicate backup before-upgrade --to-region RegionTwo --to-vault copies
  emberkeep replicate vault disks --to-region RegionTwo --to-vault copies

The copying goes on in the background: `emberkeep task list` shows it. A policy does so by
itself: see `emberkeep policy create --replicate`.";

/// Options of `replicate`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ReplicateArgs {
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Replicate one backup of a vault
    Backup {
        /// Name or id
        backup: String,
        #[command(flatten)]
        to: ToArgs,
        /// Name of the replica [default: the backup's name]
        #[arg(long)]
        name: Option<String>,
    },
    /// Replicate every backup of a vault that the destination lacks
    Vault {
        /// The vault's name or id
        vault: String,
        #[command(flatten)]
        to: ToArgs,
    },
}

/// Where copies go.
#[derive(Debug, Args)]
struct ToArgs {
    /// Destination region, as named in the service's configuration
    #[arg(long, value_name = "REGION")]
    to_region: String,
    /// Destination vault for replicas (name or id)
    #[arg(long, value_name = "VAULT")]
    to_vault: String,
}

fn wanted(vault: Vault, region: String, name: Option<String>) -> NewReplication {
    NewReplication {
        destination_project_id: vault.project_id,
        destination_region: region,
        destination_vault_id: vault.id,
        name,
        description: None,
        auto_trigger: None,
        enable_acceleration: None,
    }
}

/// Runs `replicate`.
pub(crate) async fn run(args: ReplicateArgs, connect: ConnectArgs) -> Result<(), CliError> {
    let output = Output::new(&args.output);
    let connection = connect.open().await?;
    let api = connection.cbr();
    match args.what {
        What::Backup { backup, to, name } => {
            let backup = lookup::backup(&connection, &backup).await?;
            let vault = lookup::vault(&connection, &to.to_vault).await?;
            let wanted = wanted(vault, to.to_region, name);
            let id = backup.id.to_string().into();
            let begun = api.replicate_backup(&id, &wanted).await?;
            let words = format!("backup {id}: being copied to {}", wanted.destination_region);
            output.done(&words, id.as_str(), &begun)
        }
        What::Vault { vault, to } => {
            let source = lookup::vault(&connection, &vault).await?;
            let vault = lookup::vault(&connection, &to.to_vault).await?;
            let wanted = wanted(vault, to.to_region, None);
            let begun = api.replicate_vault(&source.id, &wanted).await?;
            let count = begun.backups.as_ref().map_or(0, Vec::len);
            let words = format!(
                "vault {}: {count} backups are being copied to {}",
                source.id, wanted.destination_region
            );
            output.done(&words, source.id.as_str(), &begun)
        }
    }
}
