//! The vault, as CBR shows it (`cbr-v3.md §2.1`).

use emberkeep_model as model;
use emberkeep_model::{ByteCount, ObjectType, ProtectType, Tag, VaultStatus};
use serde::{Deserialize, Serialize};

use super::{ENTERPRISE_PROJECT, Word, provider_id, resource_type};
use crate::time;

/// A vault. Keys that may be null are `Option`s that are always written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the key it is named for")]
pub struct Vault {
    pub id: model::VaultId,
    pub name: String,
    pub description: Option<String>,
    pub project_id: model::ProjectId,
    pub user_id: Option<model::UserId>,
    pub enterprise_project_id: Word,
    pub provider_id: Word,
    pub created_at: String,
    pub auto_bind: bool,
    pub auto_expand: bool,
    pub bind_rules: BindRules,
    pub smn_notify: bool,
    pub threshold: u8,
    pub locked: bool,
    pub sys_lock_source_service: Option<String>,
    pub backup_policy_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub backup_name_prefix: Option<String>,
    pub tags: Vec<Tag>,
    pub resources: Vec<VaultResource>,
    pub billing: Billing,
}

/// Which resources a vault takes in by itself: never null, `{}` for all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindRules {
    /// Those with any of these.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub tags: Vec<Tag>,
}

/// What a vault holds and costs: never null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the key it is named for")]
pub struct Billing {
    /// Capacity in GB.
    pub size: u32,
    /// Sum of the sizes of its resources, in GB.
    pub allocated: u32,
    /// Stored, in MB.
    pub used: u64,
    pub status: Word,
    pub protect_type: Word,
    pub object_type: Word,
    pub consistent_level: Word,
    pub charging_mode: Word,
    pub cloud_type: Word,
    pub spec_code: Word,
    pub order_id: Option<String>,
    pub product_id: Option<String>,
    pub storage_unit: Option<String>,
    pub frozen_scene: Option<String>,
}

/// A resource in a vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the key it is named for")]
pub struct VaultResource {
    pub id: model::VolumeId,
    pub name: String,
    #[serde(rename = "type")]
    pub kind: Word,
    /// In GB.
    pub size: u32,
    pub protect_status: Word,
    /// Stored, in MB.
    pub backup_size: u64,
    pub backup_count: u64,
    pub extra_info: ResourceExtra,
    #[serde(default)]
    pub auto_protect: bool,
}

/// What is special about a resource: nothing for a disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceExtra {}

impl Vault {
    /// Shows a vault and what it holds.
    pub fn of(
        vault: &model::Vault,
        usage: &model::VaultUsage,
        resources: &[(model::VaultResource, model::ResourceUsage)],
    ) -> Self {
        Self {
            id: vault.id,
            name: vault.name.clone(),
            description: vault.description.clone(),
            project_id: vault.project_id.clone(),
            user_id: Some(vault.user_id.clone()),
            enterprise_project_id: ENTERPRISE_PROJECT.into(),
            provider_id: provider_id(vault.object_type).into(),
            created_at: time::naive(vault.created_at),
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
                size: vault.size.0,
                allocated: usage.allocated.0,
                used: megabytes(usage.used),
                status: status(vault.status).into(),
                protect_type: protect_type(vault.protect_type).into(),
                object_type: object_type(vault.object_type).into(),
                consistent_level: "crash_consistent".into(),
                charging_mode: "post_paid".into(),
                cloud_type: "public".into(),
                spec_code: spec_code(vault.object_type, vault.protect_type).into(),
                order_id: None,
                product_id: None,
                storage_unit: None,
                frozen_scene: None,
            },
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
            id: resource.volume_id,
            name: resource.name.clone().unwrap_or_default(),
            kind: resource_type(kind).into(),
            size: resource.size.0,
            protect_status: protect_status(resource.status).into(),
            backup_size: megabytes(stored.used),
            backup_count: stored.backups,
            extra_info: ResourceExtra {},
            auto_protect: resource.auto_protect,
        }
    }
}

/// Rounds up, so that what holds something never shows nothing.
pub(super) fn megabytes(bytes: ByteCount) -> u64 {
    bytes.0.div_ceil(1 << 20)
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
