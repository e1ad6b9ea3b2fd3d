//! Vault → checkpoint → wait → restore, against the cloud that `OS_CLOUD` or `OS_*` name:
//!
//! ```text
//! OS_CLOUD=emberkeep cargo run -p emberkeep-sdk --example checkpoint -- <volume name or id>
//! ```
//!
//! It takes the vault that the volume is in, or makes one, takes a restore point, and brings that
//! back into the same volume: what is written in between is lost.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use emberkeep_sdk::cbr::{BackupQuery, NewCheckpoint, NewVault, RestoreTarget, VaultQuery};
use emberkeep_sdk::{CloudConfig, Connection, Gib, OsArgs, Wait};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to be told if nobody reads it.
            let _ = writeln!(std::io::stderr(), "checkpoint: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let wanted = std::env::args()
        .nth(1)
        .ok_or("which volume? give its name or id")?;
    let cloud = Connection::open(CloudConfig::discover(&OsArgs::from_env())?).await?;
    let volume = cloud
        .block_storage()
        .find_volume(&wanted)
        .await?
        .ok_or("there is no such volume")?;
    let mut out = std::io::stdout();

    let api = cloud.cbr();
    let holding = VaultQuery {
        resource_ids: vec![(&volume.id).into()],
        ..VaultQuery::default()
    };
    let vault = match api.vaults(&holding).first().await? {
        Some(vault) => vault,
        None => {
            let room = Gib(volume.size.0.saturating_mul(2).max(10));
            let new = NewVault::for_disks("example", room).holding([&volume.id]);
            api.create_vault(&new).await?
        }
    };
    writeln!(out, "vault {} of {}", vault.id, vault.billing.size)?;

    let mut new = NewCheckpoint::of(&vault.id).named("before-upgrade");
    new.parameters.resources = vec![(&volume.id).into()];
    let begun = api.create_checkpoint(&new).await?;
    for left_out in &begun.vault.skipped_resources {
        writeln!(out, "left out: {} ({})", left_out.id, left_out.reason)?;
    }
    let patience = Wait::timeout(Duration::from_secs(3600)).watched(|glance| {
        // Whether this line is seen does not matter.
        let _ = writeln!(std::io::stderr(), "{}: {}", glance.what, glance.status);
    });
    let checkpoint = api.wait_for_checkpoint(&begun.id, patience).await?;
    writeln!(out, "checkpoint {} is {}", checkpoint.id, checkpoint.status)?;

    let query = BackupQuery::of_checkpoint(&checkpoint.id);
    let backup = api
        .backups(&query)
        .first()
        .await?
        .ok_or("the checkpoint has no backup")?;
    let target = RestoreTarget::volume(&volume.id);
    match api.restore_backup(&backup.id, &target).await? {
        Some(task) => {
            api.wait_for_task(&task, Wait::for_ever()).await?;
        }
        // A cloud that names no task shows the end of it at the backup.
        None => {
            api.wait_for_backup(&backup.id, Wait::for_ever()).await?;
        }
    }
    writeln!(out, "backup {} is back in volume {}", backup.id, volume.id)?;
    Ok(())
}
