//! The checkpoint, as CBR shows it (`cbr-v3.md §2.3`). Server and clients share these shapes.

use emberkeep_model as model;
use emberkeep_model::{CheckpointStatus, Gib, ObjectType};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::code;
use super::size::{Mib, gib_text, mib_text};
use super::vault::{ResourceExtra, protect_status};
use super::{Word, provider_id, resource_type, word};
use crate::ids::{CheckpointId, PolicyId, ProjectId, ResourceId, VaultId};
use crate::lenient;
use crate::time::Moment;

/// One run over a vault: a restore point of each of its resources.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Checkpoint {
    /// Its id.
    pub id: CheckpointId,
    /// Whose it is.
    pub project_id: ProjectId,
    /// How it stands: `available` once every backup of it is good.
    pub status: word::CheckpointStatus,
    /// When it was asked for.
    pub created_at: Moment,
    /// What it was asked for with; some clouds forget it after the first answer.
    #[serde(deserialize_with = "lenient::or_default")]
    pub extra_info: CheckpointExtra,
    /// The vault, with what took part and what was left out.
    #[serde(deserialize_with = "lenient::or_default")]
    pub vault: CheckpointVault,
    /// The request's own words, where a cloud gives them back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Parameters>,
    /// What other clouds say besides.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// How a run is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Parameters {
    /// The base name of its backups, 1–64 characters; the service makes one up if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Free text, up to 255 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether the backups count as automatic: then retention rules apply to them.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::maybe_flag"
    )]
    pub auto_trigger: Option<bool>,
    /// Whether each resource's newest backup is built on (the default), or all is read anew.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::maybe_flag"
    )]
    pub incremental: Option<bool>,
    /// Which resources of the vault; all if neither this nor `resource_details` names any.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "lenient::or_default"
    )]
    pub resources: Vec<ResourceId>,
    /// The same, with which disks of each.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "lenient::one_or_many"
    )]
    pub resource_details: Vec<ResourceDetails>,
    /// The policy of an automatic run (Huawei).
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::maybe"
    )]
    pub policy_id: Option<PolicyId>,
    /// Days to keep the backups, −1 for ever; not for automatic ones (Huawei).
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::maybe_number"
    )]
    pub retention_duration_days: Option<i32>,
}

/// A resource that is to take part, with which disks of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct ResourceDetails {
    /// Its id.
    pub id: ResourceId,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is.
    #[serde(rename = "type")]
    pub resource_type: word::ResourceType,
    /// Which disks of a server, for this run alone.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::maybe"
    )]
    pub extra_info: Option<ResourceExtra>,
}

/// What a run was asked for with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct CheckpointExtra {
    /// The base name of its backups, without the number of each.
    #[serde(deserialize_with = "lenient::text")]
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// In days; -1 for ever.
    #[serde(deserialize_with = "lenient::number")]
    pub retention_duration: i64,
}

/// The vault of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct CheckpointVault {
    /// Its id.
    pub id: VaultId,
    /// Its name.
    #[serde(deserialize_with = "lenient::text")]
    pub name: String,
    /// The kind of resource, as an id (`§0`).
    #[serde(deserialize_with = "lenient::word")]
    pub provider_id: Word,
    /// What takes part.
    #[serde(deserialize_with = "lenient::or_default", alias = "resource")]
    pub resources: Vec<CheckpointResource>,
    /// What was left out; left out itself by some clouds but in the first answer.
    #[serde(deserialize_with = "lenient::or_default")]
    pub skipped_resources: Vec<SkippedResource>,
}

/// A resource that takes part. Numbers are text on this wire: clients break on anything else.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct CheckpointResource {
    /// Its id.
    pub id: ResourceId,
    /// Its name.
    #[serde(deserialize_with = "lenient::text")]
    pub name: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: word::ResourceType,
    /// What goes on with it.
    pub protect_status: word::ProtectStatus,
    /// Its size, in GB.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    #[serde(with = "gib_text")]
    pub resource_size: Option<Gib>,
    /// What its backups take, in MB.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    #[serde(with = "mib_text")]
    pub backup_size: Option<Mib>,
    /// How many backups of it the vault holds.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    #[serde(
        serialize_with = "lenient::maybe_as_text",
        deserialize_with = "lenient::maybe_number"
    )]
    pub backup_count: Option<u64>,
    /// Which disks of a server are backed up; JSON in a text.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    #[serde(
        serialize_with = "lenient::object_as_text",
        deserialize_with = "lenient::object_or_text"
    )]
    pub extra_info: ResourceExtra,
}

/// A resource that was left out, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct SkippedResource {
    /// Its id.
    pub id: ResourceId,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: word::ResourceType,
    /// Its name.
    #[serde(deserialize_with = "lenient::text")]
    pub name: String,
    /// `BackupService.NNNN`: what stood against it.
    #[serde(deserialize_with = "lenient::word")]
    pub code: Word,
    /// The same in words.
    #[serde(deserialize_with = "lenient::word")]
    pub reason: Word,
}

impl Checkpoint {
    /// Shows a run with the vault it is of and what that holds, if it is still there.
    pub fn of(
        checkpoint: &model::Checkpoint,
        vault: Option<&model::Vault>,
        resources: &[(model::VaultResource, model::ResourceUsage)],
    ) -> Self {
        let object = vault.map_or(ObjectType::Disk, |vault| vault.object_type);
        let now = |id: model::ResourceId| {
            resources
                .iter()
                .find(|(resource, _)| resource.resource_id == id)
        };
        let idle = match checkpoint.status {
            CheckpointStatus::Protecting => model::ProtectStatus::Protecting,
            CheckpointStatus::Available
            | CheckpointStatus::Error
            | CheckpointStatus::Deleting
            | CheckpointStatus::Deleted => model::ProtectStatus::Available,
        };
        let taken = checkpoint.resources.iter().map(|resource| {
            let (status, size, count) = now(resource.resource_id)
                .map_or((idle, Mib(0), 0), |(now, stored)| {
                    (now.status, stored.used.into(), stored.backups)
                });
            CheckpointResource {
                id: resource.resource_id.into(),
                name: resource.name.clone().unwrap_or_default(),
                kind: resource_type(object).into(),
                protect_status: protect_status(status).into(),
                resource_size: Some(resource.size),
                backup_size: Some(size),
                backup_count: Some(count),
                extra_info: ResourceExtra::of(&resource.choice),
            }
        });
        let skipped = checkpoint.skipped.iter().map(|resource| SkippedResource {
            id: resource.resource_id.into(),
            kind: resource_type(object).into(),
            name: resource.name.clone().unwrap_or_default(),
            code: code::skipped(resource.reason).into(),
            reason: resource.reason.sentence(object).into(),
        });
        Self {
            id: checkpoint.id.into(),
            project_id: (&checkpoint.project_id).into(),
            status: status(checkpoint.status).into(),
            created_at: checkpoint.created_at.into(),
            extra_info: CheckpointExtra {
                name: checkpoint.name.clone(),
                description: checkpoint.description.clone(),
                retention_duration: checkpoint.retention_days.map_or(-1, i64::from),
            },
            vault: CheckpointVault {
                id: checkpoint.vault_id.into(),
                name: vault.map(|vault| vault.name.clone()).unwrap_or_default(),
                provider_id: provider_id(object).into(),
                resources: taken.collect(),
                skipped_resources: skipped.collect(),
            },
            parameters: None,
            more: Map::new(),
        }
    }
}

fn status(status: CheckpointStatus) -> &'static str {
    match status {
        CheckpointStatus::Protecting => "protecting",
        CheckpointStatus::Available => "available",
        CheckpointStatus::Error => "error",
        CheckpointStatus::Deleting => "deleting",
        CheckpointStatus::Deleted => "deleted",
    }
}
