//! Answers that are no view of one thing: pages, what was begun, what was changed (`cbr-v3.md §2.2`–`§2.8`). Server and
//! clients share these shapes.

use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{TaggedVault, Word};
use crate::ids::{BackupId, PolicyId, ProjectId, ResourceId, TaskId, VaultId};
use crate::keyed::{COUNT, Many};
use crate::lenient;

/// One page of a list. Serialised, it is the body of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page<'a, T> {
    /// What stands on it.
    pub items: &'a [T],
    /// How many there are on all pages.
    pub count: u64,
    /// How many fit on it and how many were passed over, where a list says so.
    pub cut: Option<(u32, u64)>,
}

impl<T: Many + Serialize> Serialize for Page<'_, T> {
    fn serialize<S: Serializer>(&self, sink: S) -> Result<S::Ok, S::Error> {
        let mut body = sink.serialize_map(None)?;
        body.serialize_entry(T::LIST_KEY, self.items)?;
        body.serialize_entry(COUNT, &self.count)?;
        if let Some((limit, offset)) = self.cut {
            body.serialize_entry("limit", &limit)?;
            body.serialize_entry("offset", &offset)?;
        }
        body.end()
    }
}

#[cfg(feature = "schema")]
impl<T: Many + schemars::JsonSchema> schemars::JsonSchema for Page<'_, T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Page_{}", T::LIST_KEY).into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let items = generator.subschema_for::<Vec<T>>();
        schemars::json_schema!({
            "type": "object",
            "properties": {
                T::LIST_KEY: items,
                COUNT: {"type": "integer", "minimum": 0},
                "limit": {"type": "integer", "minimum": 0},
                "offset": {"type": "integer", "minimum": 0},
            },
            "required": [T::LIST_KEY, COUNT],
        })
    }
}

/// What a vault holds after resources were put into it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ResourcesAdded {
    /// Those that are in it now, of those given.
    #[serde(deserialize_with = "lenient::or_default")]
    pub add_resource_ids: Vec<ResourceId>,
}

/// What leaves a vault.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ResourcesRemoved {
    /// Which resources.
    #[serde(deserialize_with = "lenient::or_default")]
    pub remove_resource_ids: Vec<ResourceId>,
}

/// What went to another vault.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ResourcesMigrated {
    /// Which resources.
    #[serde(deserialize_with = "lenient::or_default")]
    pub migrated_resources: Vec<ResourceId>,
}

/// What scheduled runs leave out now, or take in again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ResourcesSet {
    /// Which resources.
    #[serde(deserialize_with = "lenient::or_default")]
    pub set_resource_ids: Vec<ResourceId>,
}

/// Which vaults a change of all of them has reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VaultsUpdated {
    /// Their ids.
    #[serde(deserialize_with = "lenient::or_default")]
    pub updated_vaults_id: Vec<VaultId>,
}

/// A restore that was begun; one of the clouds says nothing at all (`cbr-v3.md §2.4`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct RestoreBegun {
    /// The task that does it.
    pub job_id: Option<TaskId>,
}

/// A policy that is bound to a vault now, or is not any more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Bound {
    /// The vault.
    pub vault_id: VaultId,
    /// The policy.
    pub policy_id: PolicyId,
    /// The vault that takes the replicas.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::maybe"
    )]
    pub destination_vault_id: Option<VaultId>,
}

/// Answers that a policy was bound.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PolicyAssociated {
    /// What to what.
    pub associate_policy: Bound,
}

/// Answers that a policy was taken off a vault.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PolicyDissociated {
    /// What from what.
    pub dissociate_policy: Bound,
}

/// Copies in another region that were begun (`cbr-v3.md §2.3`, `§2.4`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Replication {
    /// The vault whose backups are copied; of a whole vault only.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::maybe"
    )]
    pub vault_id: Option<VaultId>,
    /// What is copied; of a whole vault only.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::maybe"
    )]
    pub backups: Option<Vec<Replicated>>,
    /// The backup that is copied; of a single one only.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::maybe"
    )]
    pub backup_id: Option<BackupId>,
    /// The record of its copy; of a single one only.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::maybe"
    )]
    pub replication_record_id: Option<String>,
    /// The project here.
    pub project_id: ProjectId,
    /// What kind of thing is copied.
    #[serde(deserialize_with = "lenient::word")]
    pub provider_id: Word,
    /// The region here.
    #[serde(deserialize_with = "lenient::text")]
    pub source_region: String,
    /// The project there.
    pub destination_project_id: ProjectId,
    /// The region there.
    #[serde(deserialize_with = "lenient::text")]
    pub destination_region: String,
    /// The vault there.
    pub destination_vault_id: VaultId,
    /// What other clouds say besides.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// One backup that is being copied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Replicated {
    /// The backup.
    pub backup_id: BackupId,
    /// The record of its copy.
    #[serde(deserialize_with = "lenient::text")]
    pub replication_record_id: String,
}

/// A look at what became of a vault's copies, begun.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct VaultSync {
    /// The vault.
    pub vault_id: VaultId,
    /// The task that looks.
    pub operation_log_id: TaskId,
}

/// A look at what became of one copy, begun.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct BackupSync {
    /// The copy.
    pub backup_id: BackupId,
    /// The task that looks.
    pub operation_log_id: TaskId,
}

/// Vaults found by their tags.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TaggedVaults {
    /// A page of them.
    #[serde(deserialize_with = "lenient::or_default")]
    pub resources: Vec<TaggedVault>,
    /// How many there are on all pages.
    #[serde(default, deserialize_with = "lenient::number")]
    pub total_count: u64,
}

/// How many vaults have such tags.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TaggedCount {
    /// So many.
    #[serde(deserialize_with = "lenient::number")]
    pub total_count: u64,
}
