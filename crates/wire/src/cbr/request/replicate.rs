//! What clients ask for about copies in other regions (`cbr-v3.md §2.3`, `§2.4`).

use emberkeep_model::{BackupId, ProjectId, VaultId};

use crate::cbr::form::{Fields, Refused, Text, body};

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
    fn read(fields: &Fields<'_>) -> Result<Self, Refused> {
        let region = fields.wanted("destination_region", Text::Any(255))?;
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if !region.chars().all(fits) {
            return Err(fields.refuse(
                "destination_region",
                "takes letters, digits, dots, '_' and '-'",
            ));
        }
        Ok(Self {
            project_id: fields
                .wanted("destination_project_id", Text::Filled(64))?
                .parse()
                .map_err(|error| fields.refuse("destination_project_id", error))?,
            region,
            vault_id: fields
                .id("destination_vault_id")?
                .ok_or_else(|| fields.missing("destination_vault_id"))?,
        })
    }
}

impl ReplicateVault {
    /// Reads the body.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        let fields = Fields::wrapped(&map, "replicate")?;
        Ok(Self {
            vault_id: fields
                .id("vault_id")?
                .ok_or_else(|| fields.missing("vault_id"))?,
            to: ReplicateTo::read(&fields)?,
            automatic: fields.flag("auto_trigger")?.unwrap_or(false),
        })
    }
}

impl ReplicateBackup {
    /// Reads the body.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        let fields = Fields::wrapped(&map, "replicate")?;
        Ok(Self {
            to: ReplicateTo::read(&fields)?,
            name: fields.text("name", Text::Name)?,
            description: fields.text("description", Text::Free(255))?,
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
        let map = body(bytes)?;
        let fields = Fields::wrapped(&map, "sync")?;
        fields.flag("auto_trigger")?;
        Ok(Self {
            vault_id: fields
                .id("vault_id")?
                .ok_or_else(|| fields.missing("vault_id"))?,
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
        let map = body(bytes)?;
        let top = Fields::top(&map);
        let items = top.objects("sync")?.ok_or_else(|| top.missing("sync"))?;
        if items.is_empty() {
            return Err(top.refuse("sync", "must name a backup"));
        }
        let ids = items.iter().map(|item| {
            item.id("backup_id")?
                .ok_or_else(|| item.missing("backup_id"))
        });
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
