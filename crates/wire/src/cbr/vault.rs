//! The vault, as CBR shows it (`cbr-v3.md §2.1`). Server and clients share these shapes.

use emberkeep_model as model;
use emberkeep_model::{Gib, ObjectType, ProtectType, Tag, VaultStatus};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::size::{self, Mib};
use super::{ENTERPRISE_PROJECT, Word, provider_id, resource_type, word};
use crate::ids::{PolicyId, ProjectId, ResourceId, UserId, VaultId, VolumeId};
use crate::lenient;
use crate::time::Moment;

/// A vault: a container with a capacity and one kind of resource. Keys that may be null are
/// `Option`s that are always written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Vault {
    /// Its id.
    pub id: VaultId,
    /// Its name, 1–64 characters; need not be unique.
    #[serde(deserialize_with = "lenient::text")]
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Whose it is.
    pub project_id: ProjectId,
    /// Who made it.
    pub user_id: Option<UserId>,
    /// The enterprise project; `0` is the default one (Huawei).
    #[serde(deserialize_with = "lenient::word")]
    pub enterprise_project_id: Word,
    /// The kind of resource, as an id (`§0`).
    #[serde(deserialize_with = "lenient::word")]
    pub provider_id: Word,
    /// When it was made.
    pub created_at: Moment,
    /// Whether unprotected resources are taken in at scheduled runs.
    #[serde(deserialize_with = "lenient::flag")]
    pub auto_bind: bool,
    /// Whether it grows to 1.25 times its size when full.
    #[serde(deserialize_with = "lenient::flag")]
    pub auto_expand: bool,
    /// Which resources `auto_bind` takes in.
    #[serde(deserialize_with = "lenient::or_default")]
    pub bind_rules: BindRules,
    /// Whether passing `threshold` is notified.
    #[serde(deserialize_with = "lenient::flag")]
    pub smn_notify: bool,
    /// Use in percent of the capacity from which notices go out.
    #[serde(deserialize_with = "lenient::number")]
    pub threshold: u8,
    /// Whether its automatic backups are kept until they expire; cannot be undone.
    #[serde(deserialize_with = "lenient::flag")]
    pub locked: bool,
    /// The service that locked it.
    pub sys_lock_source_service: Option<String>,
    /// The backup policy bound to it.
    #[serde(deserialize_with = "lenient::maybe")]
    pub backup_policy_id: Option<PolicyId>,
    /// What the names of automatic backups begin with (Huawei).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_name_prefix: Option<String>,
    /// Its tags.
    #[serde(deserialize_with = "lenient::or_default")]
    pub tags: Vec<Tag>,
    /// What it protects, 256 at most.
    #[serde(deserialize_with = "lenient::or_default")]
    pub resources: Vec<VaultResource>,
    /// Its capacity, use and kind.
    #[serde(deserialize_with = "lenient::or_default")]
    pub billing: Billing,
    /// What other clouds say besides.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// Which resources a vault takes in by itself: never null, `{}` for all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct BindRules {
    /// Those with any of these.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "lenient::or_default"
    )]
    pub tags: Vec<Tag>,
}

/// What a vault holds and costs: never null.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Billing {
    /// The capacity: bounds both the sizes of the resources and what is stored.
    #[serde(deserialize_with = "size::gib")]
    pub size: Gib,
    /// The sum of the sizes of its resources.
    #[serde(deserialize_with = "size::gib")]
    pub allocated: Gib,
    /// What its backups take, in MB.
    pub used: Mib,
    /// How the vault stands.
    pub status: word::VaultStatus,
    /// What it is for. The Python SDK declares the key `operation_type` for it.
    #[serde(alias = "operation_type")]
    pub protect_type: word::ProtectType,
    /// What it protects.
    pub object_type: word::ObjectType,
    /// How consistent its backups are.
    pub consistent_level: word::ConsistentLevel,
    /// How it is paid for.
    pub charging_mode: word::ChargingMode,
    /// Where it lies.
    pub cloud_type: word::CloudType,
    /// The product: kind of resource and purpose in one word (`§0`).
    #[serde(deserialize_with = "lenient::word")]
    pub spec_code: Word,
    /// The order that it was bought with.
    pub order_id: Option<String>,
    /// The product that was bought.
    pub product_id: Option<String>,
    /// The bucket it stores to.
    pub storage_unit: Option<String>,
    /// Why it is frozen.
    pub frozen_scene: Option<String>,
    /// Where the console goes on after an order was paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub console_url: Option<String>,
    /// Orders that belong together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra_info: Option<BillingExtra>,
    /// Whether an order is paid by itself.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::maybe_flag"
    )]
    pub is_auto_pay: Option<bool>,
    /// Whether what was paid in advance is renewed by itself.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::maybe_flag"
    )]
    pub is_auto_renew: Option<bool>,
    /// How many periods are paid in advance.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::maybe_number"
    )]
    pub period_num: Option<u32>,
    /// Which periods those are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period_type: Option<word::PeriodType>,
    /// Whether it lies in several zones (Huawei).
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::maybe_flag"
    )]
    pub is_multi_az: Option<bool>,
}

/// Orders that belong together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct BillingExtra {
    /// The id of the combined order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub combined_order_id: Option<String>,
    /// How many servers the combined order has.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::maybe_number"
    )]
    pub combined_order_ecs_num: Option<u32>,
}

/// A resource in a vault.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct VaultResource {
    /// Its id; a volume's in vaults for disks.
    pub id: ResourceId,
    /// Its name in the cloud, unless one was given.
    #[serde(deserialize_with = "lenient::text")]
    pub name: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: word::ResourceType,
    /// Its size.
    #[serde(deserialize_with = "size::gib")]
    pub size: Gib,
    /// What goes on with it.
    pub protect_status: word::ProtectStatus,
    /// What its backups take, in MB.
    pub backup_size: Mib,
    /// How many backups of it the vault holds.
    #[serde(deserialize_with = "lenient::number")]
    pub backup_count: u64,
    /// Which disks of a server are backed up.
    #[serde(deserialize_with = "lenient::object_or_text")]
    pub extra_info: ResourceExtra,
    /// Whether scheduled runs include it (Huawei).
    #[serde(deserialize_with = "lenient::flag")]
    pub auto_protect: bool,
}

/// Which disks of a server are backed up: all, unless it says something. Nothing for a disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct ResourceExtra {
    /// Disks to leave out, also when they are attached later.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "lenient::or_default"
    )]
    pub exclude_volumes: Vec<VolumeId>,
    /// The only disks to back up.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "lenient::or_default"
    )]
    pub include_volumes: Vec<IncludeVolume>,
}

/// A disk to back up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct IncludeVolume {
    /// Its id.
    pub id: VolumeId,
    /// The operating system on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
}

impl Vault {
    /// Shows a vault and what it holds.
    pub fn of(
        vault: &model::Vault,
        usage: &model::VaultUsage,
        resources: &[(model::VaultResource, model::ResourceUsage)],
    ) -> Self {
        Self {
            id: vault.id.into(),
            name: vault.name.clone(),
            description: vault.description.clone(),
            project_id: (&vault.project_id).into(),
            user_id: Some(vault.user_id.to_string().into()),
            enterprise_project_id: ENTERPRISE_PROJECT.into(),
            provider_id: provider_id(vault.object_type).into(),
            created_at: vault.created_at.into(),
            auto_bind: vault.auto_bind,
            auto_expand: vault.auto_expand,
            bind_rules: BindRules {
                tags: vault.bind_rules.clone(),
            },
            smn_notify: vault.smn_notify,
            threshold: vault.threshold,
            locked: vault.locked,
            sys_lock_source_service: None,
            backup_policy_id: None,
            backup_name_prefix: vault.backup_name_prefix.clone(),
            tags: vault.tags.clone(),
            resources: resources
                .iter()
                .map(|(resource, stored)| VaultResource::of(resource, stored, vault.object_type))
                .collect(),
            billing: Billing {
                size: vault.size,
                allocated: usage.allocated,
                used: usage.used.into(),
                status: status(vault.status).into(),
                protect_type: protect_type(vault.protect_type).into(),
                object_type: object_type(vault.object_type).into(),
                consistent_level: "crash_consistent".into(),
                charging_mode: "post_paid".into(),
                cloud_type: "public".into(),
                spec_code: spec_code(vault.object_type, vault.protect_type).into(),
                frozen_scene: vault.frozen_scene.clone(),
                ..Billing::default()
            },
            more: Map::new(),
        }
    }
}

impl ResourceExtra {
    /// Shows which disks of a server are meant.
    pub(super) fn of(choice: &model::VolumeChoice) -> Self {
        Self {
            exclude_volumes: choice.exclude.iter().map(|id| (*id).into()).collect(),
            include_volumes: choice
                .include
                .iter()
                .map(|volume| IncludeVolume {
                    id: volume.id.into(),
                    os_version: volume.os_version.clone(),
                })
                .collect(),
        }
    }
}

impl VaultResource {
    fn of(
        resource: &model::VaultResource,
        stored: &model::ResourceUsage,
        kind: ObjectType,
    ) -> Self {
        Self {
            id: resource.resource_id.into(),
            name: resource.name.clone().unwrap_or_default(),
            kind: resource_type(kind).into(),
            size: resource.size,
            protect_status: protect_status(resource.status).into(),
            backup_size: stored.used.into(),
            backup_count: stored.backups,
            extra_info: ResourceExtra::of(&resource.choice),
            auto_protect: resource.auto_protect,
        }
    }
}

/// Returns the word for where a resource stands.
pub(super) fn protect_status(status: model::ProtectStatus) -> &'static str {
    match status {
        model::ProtectStatus::Available => "available",
        model::ProtectStatus::Error => "error",
        model::ProtectStatus::Protecting => "protecting",
        model::ProtectStatus::Restoring => "restoring",
        model::ProtectStatus::Removing => "removing",
    }
}

fn status(status: VaultStatus) -> &'static str {
    match status {
        VaultStatus::Available => "available",
        VaultStatus::Lock => "lock",
        VaultStatus::Frozen => "frozen",
        VaultStatus::Deleting => "deleting",
        VaultStatus::Error => "error",
    }
}

fn protect_type(kind: ProtectType) -> &'static str {
    match kind {
        ProtectType::Backup => "backup",
        ProtectType::Replication => "replication",
    }
}

fn object_type(kind: ObjectType) -> &'static str {
    match kind {
        ObjectType::Server => "server",
        ObjectType::Disk => "disk",
        ObjectType::Turbo => "turbo",
    }
}

fn spec_code(object: ObjectType, protect: ProtectType) -> &'static str {
    match (object, protect) {
        (ObjectType::Server, ProtectType::Backup) => "vault.backup.server.normal",
        (ObjectType::Disk, ProtectType::Backup) => "vault.backup.volume.normal",
        (ObjectType::Turbo, ProtectType::Backup) => "vault.backup.turbo.normal",
        (ObjectType::Server, ProtectType::Replication) => "vault.replication.server.normal",
        (ObjectType::Disk, ProtectType::Replication) => "vault.replication.volume.normal",
        (ObjectType::Turbo, ProtectType::Replication) => "vault.replication.turbo.normal",
    }
}
