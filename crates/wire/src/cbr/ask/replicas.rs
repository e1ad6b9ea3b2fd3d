//! Copies in other regions (`cbr-v3.md §2.3`, `§2.4`).

use emberkeep_model as model;
use serde::Serialize;

use crate::cbr::form::{Fields, Refused, Text, body};
use crate::ids::{BackupId, ProjectId, VaultId};

/// A copy in another region to be made (`cbr-v3.md §2.3`, `§2.4`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewReplication {
    /// The project there.
    pub destination_project_id: ProjectId,
    /// The region.
    pub destination_region: String,
    /// A vault for replicas there.
    pub destination_vault_id: VaultId,
    /// The name of the copy; of a single backup only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Free text; of a single backup only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it counts as made by a policy; of a whole vault only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_trigger: Option<bool>,
    /// Whether it goes a faster way (Huawei).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_acceleration: Option<bool>,
}

impl NewReplication {
    /// Reads the body about a single backup.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        let fields = Fields::wrapped(&map, "replicate")?;
        Ok(Self {
            name: fields.text("name", Text::Name)?,
            description: fields.text("description", Text::Free(255))?,
            ..Self::destination(&fields)?
        })
    }

    fn destination(fields: &Fields<'_>) -> Result<Self, Refused> {
        let region = fields.wanted("destination_region", Text::Any(255))?;
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if !region.chars().all(fits) {
            return Err(fields.refuse(
                "destination_region",
                "takes letters, digits, dots, '_' and '-'",
            ));
        }
        let project: model::ProjectId = fields
            .wanted("destination_project_id", Text::Filled(64))?
            .parse()
            .map_err(|error| fields.refuse("destination_project_id", error))?;
        let vault = fields.id::<model::VaultId>("destination_vault_id")?;
        Ok(Self {
            destination_project_id: project.into(),
            destination_region: region,
            destination_vault_id: vault
                .ok_or_else(|| fields.missing("destination_vault_id"))?
                .into(),
            name: None,
            description: None,
            auto_trigger: None,
            enable_acceleration: fields.unused("enable_acceleration"),
        })
    }
}

/// A copy in another region of all backups of a vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VaultReplication {
    /// Which vault.
    pub vault_id: VaultId,
    /// Where to.
    #[serde(flatten)]
    pub to: NewReplication,
}

impl VaultReplication {
    /// Reads the body.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        let fields = Fields::wrapped(&map, "replicate")?;
        Ok(Self {
            vault_id: vault_id(&fields)?,
            to: NewReplication {
                auto_trigger: fields.flag("auto_trigger")?,
                ..NewReplication::destination(&fields)?
            },
        })
    }
}

/// A vault for copies whose backups are to be brought in line with the regions' stores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VaultToSync {
    /// Which.
    pub vault_id: VaultId,
    /// Whether it counts as done by a policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_trigger: Option<bool>,
}

impl VaultToSync {
    /// Reads the body.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        let fields = Fields::wrapped(&map, "sync")?;
        let auto_trigger = fields.flag("auto_trigger")?;
        Ok(Self {
            vault_id: vault_id(&fields)?,
            auto_trigger,
        })
    }
}

/// Copies that are to be brought in line with the regions' stores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackupsToSync {
    /// At least one.
    pub sync: Vec<BackupToSync>,
}

/// A copy that is to be brought in line with its region's store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackupToSync {
    /// Which.
    pub backup_id: BackupId,
}

impl BackupsToSync {
    /// Reads the body.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        let top = Fields::top(&map);
        let items = top.objects("sync")?.ok_or_else(|| top.missing("sync"))?;
        if items.is_empty() {
            return Err(top.refuse("sync", "must name a backup"));
        }
        let sync = items.iter().map(|item| {
            let id = item.id::<model::BackupId>("backup_id")?;
            Ok(BackupToSync {
                backup_id: id.ok_or_else(|| item.missing("backup_id"))?.into(),
            })
        });
        Ok(Self {
            sync: sync.collect::<Result<_, _>>()?,
        })
    }
}

fn vault_id(fields: &Fields<'_>) -> Result<VaultId, Refused> {
    let id = fields.id::<model::VaultId>("vault_id")?;
    Ok(id.ok_or_else(|| fields.missing("vault_id"))?.into())
}
