//! Runs over a vault, and restores of what they made (`cbr-v3.md §2.3`, `§2.4`).

use emberkeep_model as model;
use serde::Serialize;
use serde_json::Value;

use super::{BACKUP_DESCRIPTION, MAX_RESOURCES};
use crate::cbr::form::{Fields, Refused, Text, body};
use crate::cbr::{Parameters, ResourceDetails, ResourceExtra};
use crate::ids::{BackupId, PolicyId, ResourceId, VaultId, VolumeId};

/// A run over a vault to be made (`cbr-v3.md §2.3`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NewCheckpoint {
    /// Which vault.
    pub vault_id: VaultId,
    /// How.
    pub parameters: Parameters,
}

impl NewCheckpoint {
    /// Asks for a run over all of a vault, building on each resource's newest backup.
    pub fn of(vault: &VaultId) -> Self {
        Self {
            vault_id: vault.clone(),
            parameters: Parameters::default(),
        }
    }

    /// Reads the body.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        let checkpoint = Fields::wrapped(&map, "checkpoint")?;
        let parameters = checkpoint.object("parameters")?;
        // The Ansible module puts these one level too high; what `parameters` has goes before.
        let holder = |name: &str| {
            parameters
                .as_ref()
                .filter(|fields| fields.value(name).is_some())
                .unwrap_or(&checkpoint)
        };
        let auto_trigger = holder("auto_trigger").flag("auto_trigger")?;
        let resources = holder("resources").texts("resources")?.unwrap_or_default();
        let resource_details = if resources.is_empty() {
            detailed(holder("resource_details"))?
        } else {
            Vec::new()
        };
        if resources.len().max(resource_details.len()) > MAX_RESOURCES {
            return Err(holder("resources").refuse(
                "resources",
                format_args!("must name at most {MAX_RESOURCES}"),
            ));
        }
        let vault_id = checkpoint.id::<model::VaultId>("vault_id")?;
        Ok(Self {
            vault_id: vault_id
                .ok_or_else(|| checkpoint.missing("vault_id"))?
                .into(),
            parameters: Parameters {
                name: holder("name").text("name", Text::Name)?,
                description: holder("description")
                    .text("description", Text::Free(BACKUP_DESCRIPTION))?,
                auto_trigger,
                incremental: holder("incremental").flag("incremental")?,
                resources: resources.into_iter().map(Into::into).collect(),
                resource_details,
                policy_id: holder("policy_id")
                    .id::<model::PolicyId>("policy_id")?
                    .map(PolicyId::from),
                retention_duration_days: retention_days(
                    holder("retention_duration_days"),
                    auto_trigger == Some(true),
                )?,
            },
        })
    }

    /// Gives its backups a base name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.parameters.name = Some(name.into());
        self
    }
}

/// Reads the resources of a run that come with details, each once; one alone may do without the
/// list.
fn detailed(fields: &Fields<'_>) -> Result<Vec<ResourceDetails>, Refused> {
    let items = match fields.value("resource_details") {
        Some(Value::Object(_)) => fields.object("resource_details")?.into_iter().collect(),
        _ => fields.objects("resource_details")?.unwrap_or_default(),
    };
    let mut named: Vec<ResourceDetails> = Vec::with_capacity(items.len());
    let mut seen = std::collections::HashSet::new();
    for item in items {
        let extra_info = match item.object("extra_info")? {
            Some(extra) => Some(ResourceExtra::read(&extra)?),
            None => None,
        };
        let id = item.wanted("id", Text::Filled(255))?;
        let kind = item.wanted("type", Text::Filled(255))?;
        let name = item
            .text("name", Text::Any(255))?
            .filter(|name| !name.is_empty());
        if seen.insert(id.clone()) {
            named.push(ResourceDetails {
                id: id.into(),
                name,
                resource_type: kind.into(),
                extra_info,
            });
        }
    }
    Ok(named)
}

/// Reads how many days are kept; −1 is for ever.
fn retention_days(fields: &Fields<'_>, automatic: bool) -> Result<Option<i32>, Refused> {
    const NAME: &str = "retention_duration_days";
    let days = match fields.whole(NAME, -1..=36_500)? {
        None => return Ok(None),
        Some(-1) => return Ok(Some(-1)),
        Some(0) => return Err(fields.refuse(NAME, "must be -1 or 1 to 36500")),
        Some(days) => days,
    };
    if automatic {
        return Err(fields.refuse(NAME, "cannot be set when auto_trigger is true"));
    }
    Ok(i32::try_from(days).ok())
}

/// What a backup is restored to (`cbr-v3.md §2.4`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RestoreTarget {
    /// The disk, for a disk's backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_id: Option<VolumeId>,
    /// The server, for a server's backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_id: Option<ResourceId>,
    /// The target of any kind (Huawei).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_id: Option<ResourceId>,
    /// Which disk's backup goes to which disk of the server; the original ones if none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mappings: Vec<Mapping>,
    /// Whether the server is started afterwards; it is, unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_on: Option<bool>,
}

impl RestoreTarget {
    /// Reads the body.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        let restore = Fields::wrapped(&map, "restore")?;
        let power_on = restore.flag("power_on")?;
        let mut mappings = Vec::new();
        for mapping in restore.objects("mappings")?.unwrap_or_default() {
            let backup = mapping.id::<model::BackupId>("backup_id")?;
            let volume = mapping.id::<model::VolumeId>("volume_id")?;
            mappings.push(Mapping {
                backup_id: backup.ok_or_else(|| mapping.missing("backup_id"))?.into(),
                volume_id: volume.ok_or_else(|| mapping.missing("volume_id"))?.into(),
            });
        }
        Ok(Self {
            volume_id: restore.id::<model::VolumeId>("volume_id")?.map(Into::into),
            server_id: restore
                .id::<model::ServerId>("server_id")?
                .map(|id| ResourceId(id.to_string())),
            resource_id: restore
                .id::<model::ResourceId>("resource_id")?
                .map(Into::into),
            mappings,
            power_on,
        })
    }

    /// Restores a disk.
    pub fn volume(id: &VolumeId) -> Self {
        Self {
            volume_id: Some(id.clone()),
            ..Self::default()
        }
    }

    /// Restores a server.
    pub fn server(id: &ResourceId) -> Self {
        Self {
            server_id: Some(id.clone()),
            ..Self::default()
        }
    }

    /// Restores a file system, whose files are replaced. The clouds restore no file system in
    /// place; Emberkeep does.
    pub fn file_system(id: &ResourceId) -> Self {
        Self {
            resource_id: Some(id.clone()),
            ..Self::default()
        }
    }
}

/// Where one disk of a server's backup goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Mapping {
    /// The backup of the disk: a child of the server's.
    pub backup_id: BackupId,
    /// The disk of the server.
    pub volume_id: VolumeId,
}

/// A backup's new name (Huawei).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rename {
    /// The name: 1–64 letters, digits, `_` and `-`.
    pub name: String,
}

impl Rename {
    /// Reads the body.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        let name = Fields::wrapped(&map, "backup")?.wanted("name", Text::Name)?;
        Ok(Self { name })
    }
}
