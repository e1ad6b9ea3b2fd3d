//! Reads bodies about copies in other regions (`cbr-v3.md §2.3`, `§2.4`).

use emberkeep_model::command::{Destination, ReplicateBackup, ReplicateVault};
use emberkeep_model::{BackupId, VaultId};

use super::ours;
use crate::cbr::ask;
use crate::cbr::form::Refused;

fn destination(asked: ask::NewReplication) -> Result<Destination, Refused> {
    Ok(Destination {
        project: ours("destination_project_id", asked.destination_project_id)?,
        region: asked.destination_region,
        vault: ours("destination_vault_id", asked.destination_vault_id)?,
    })
}

/// Reads `POST /checkpoints/replicate`.
pub fn vault_replication(bytes: &[u8]) -> Result<ReplicateVault, Refused> {
    let asked = ask::VaultReplication::read(bytes)?;
    Ok(ReplicateVault {
        vault_id: ours("vault_id", asked.vault_id)?,
        automatic: asked.to.auto_trigger.unwrap_or(false),
        to: destination(asked.to)?,
    })
}

/// Reads `POST /backups/{id}/replicate`.
pub fn backup_replication(bytes: &[u8]) -> Result<ReplicateBackup, Refused> {
    let mut asked = ask::NewReplication::read(bytes)?;
    Ok(ReplicateBackup {
        name: asked.name.take(),
        description: asked.description.take(),
        to: destination(asked)?,
    })
}

/// Reads `POST /checkpoints/sync`: a vault for copies.
pub fn vault_to_sync(bytes: &[u8]) -> Result<VaultId, Refused> {
    ours("vault_id", ask::VaultToSync::read(bytes)?.vault_id)
}

/// Reads `POST /backups/sync`: copies.
pub fn backups_to_sync(bytes: &[u8]) -> Result<Vec<BackupId>, Refused> {
    let asked = ask::BackupsToSync::read(bytes)?.sync.into_iter();
    asked.map(|one| ours("backup_id", one.backup_id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VAULT: &str = "2f1d7b1e-59a4-4b50-8d7d-9a9d3b1c5e02";
    const PROJECT: &str = "5b1e9d0c7a3f4e2d8c6b0a1f2e3d4c5b";

    #[test]
    fn destinations_are_read_strictly() {
        let body = |project: &str, region: &str, vault: &str| {
            format!(
                r#"{{"replicate": {{"vault_id": "{VAULT}", "destination_project_id": "{project}",
                "destination_region": "{region}", "destination_vault_id": "{vault}"}}}}"#
            )
        };
        let read = vault_replication(body(PROJECT, "eu-de.2_x", VAULT).as_bytes()).unwrap();
        assert_eq!((read.to.project.as_str(), read.automatic), (PROJECT, false));
        for (what, bad) in [
            ("project", body("no project", "eu-de", VAULT)),
            ("region", body(PROJECT, "eu de", VAULT)),
            ("vault", body(PROJECT, "eu-de", "none")),
            ("nothing", "{}".to_owned()),
        ] {
            assert!(vault_replication(bad.as_bytes()).is_err(), "{what}");
            assert!(backup_replication(bad.as_bytes()).is_err(), "{what}");
        }
        for (bad, good) in [
            (
                r#"{"sync": []}"#,
                format!(r#"{{"sync": [{{"backup_id": "{VAULT}"}}]}}"#),
            ),
            (
                r#"{"sync": [{}]}"#,
                format!(r#"{{"sync": [{{"backup_id": "{VAULT}", "bucket_name": "x"}}]}}"#),
            ),
        ] {
            assert!(backups_to_sync(bad.as_bytes()).is_err(), "{bad}");
            assert!(backups_to_sync(good.as_bytes()).is_ok(), "{good}");
        }
    }
}
