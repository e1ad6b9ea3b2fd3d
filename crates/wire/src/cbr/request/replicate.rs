//! What clients ask for about copies in other regions (`cbr-v3.md §2.3`, `§2.4`).

use emberkeep_model::{BackupId, ProjectId, VaultId};

use super::ours;
use crate::cbr::ask;
use crate::cbr::form::Refused;

/// `POST /checkpoints/replicate`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicateVault {
    /// The vault whose backups are copied.
    pub vault_id: VaultId,
    /// Where to.
    pub to: ReplicateTo,
    /// A policy stands behind it: retention rules apply to the copies.
    pub automatic: bool,
}

/// `POST /backups/{id}/replicate`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicateBackup {
    /// Where to.
    pub to: ReplicateTo,
    /// The copy's name; that of the backup if none.
    pub name: Option<String>,
    /// The copy's description.
    pub description: Option<String>,
}

/// Where copies are to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicateTo {
    /// The project there.
    pub project_id: ProjectId,
    /// The region.
    pub region: String,
    /// The vault for copies.
    pub vault_id: VaultId,
}

impl ReplicateTo {
    fn of(asked: ask::NewReplication) -> Result<Self, Refused> {
        Ok(Self {
            project_id: ours("destination_project_id", asked.destination_project_id)?,
            region: asked.destination_region,
            vault_id: ours("destination_vault_id", asked.destination_vault_id)?,
        })
    }
}

impl ReplicateVault {
    /// Reads the body.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let asked = ask::VaultReplication::read(bytes)?;
        Ok(Self {
            vault_id: ours("vault_id", asked.vault_id)?,
            automatic: asked.to.auto_trigger.unwrap_or(false),
            to: ReplicateTo::of(asked.to)?,
        })
    }
}

impl ReplicateBackup {
    /// Reads the body.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let mut asked = ask::NewReplication::read(bytes)?;
        Ok(Self {
            name: asked.name.take(),
            description: asked.description.take(),
            to: ReplicateTo::of(asked)?,
        })
    }
}

/// `POST /checkpoints/sync`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncVault {
    /// The vault for copies whose rows are brought in line with the regions' stores.
    pub vault_id: VaultId,
}

impl SyncVault {
    /// Reads the body.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let asked = ask::VaultToSync::read(bytes)?;
        Ok(Self {
            vault_id: ours("vault_id", asked.vault_id)?,
        })
    }
}

/// `POST /backups/sync`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncBackups {
    /// The copies that are to be looked at.
    pub backup_ids: Vec<BackupId>,
}

impl SyncBackups {
    /// Reads the body.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let asked = ask::BackupsToSync::read(bytes)?.sync.into_iter();
        let ids = asked.map(|one| ours("backup_id", one.backup_id));
        Ok(Self {
            backup_ids: ids.collect::<Result<_, _>>()?,
        })
    }
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
        let read = ReplicateVault::parse(body(PROJECT, "eu-de.2_x", VAULT).as_bytes()).unwrap();
        assert_eq!(
            (read.to.project_id.as_str(), read.automatic),
            (PROJECT, false)
        );
        for (what, bad) in [
            ("project", body("no project", "eu-de", VAULT)),
            ("region", body(PROJECT, "eu de", VAULT)),
            ("vault", body(PROJECT, "eu-de", "none")),
            ("nothing", "{}".to_owned()),
        ] {
            assert!(ReplicateVault::parse(bad.as_bytes()).is_err(), "{what}");
            assert!(ReplicateBackup::parse(bad.as_bytes()).is_err(), "{what}");
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
            assert!(SyncBackups::parse(bad.as_bytes()).is_err(), "{bad}");
            assert!(SyncBackups::parse(good.as_bytes()).is_ok(), "{good}");
        }
    }
}
