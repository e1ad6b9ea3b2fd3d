//! What lists can be narrowed by. What is none does not matter.

use super::word;
use crate::connection::Call;
use crate::ids::{
    BackupId, CheckpointId, MemberId, PolicyId, ProjectId, ResourceId, TaskId, VaultId,
};

/// Which vaults to list (`cbr-v3.md §2.2`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VaultQuery {
    /// Those with one of these ids.
    pub ids: Vec<VaultId>,
    /// Those called exactly so.
    pub name: Option<String>,
    /// Those that protect this.
    pub object_type: Option<word::ObjectType>,
    /// Those for this.
    pub protect_type: Option<word::ProtectType>,
    /// Those that lie there.
    pub cloud_type: Option<word::CloudType>,
    /// Those in this status.
    pub status: Option<word::VaultStatus>,
    /// Those that this policy is bound to.
    pub policy_id: Option<PolicyId>,
    /// Those that hold one of these.
    pub resource_ids: Vec<ResourceId>,
    /// Those of this enterprise project (Huawei).
    pub enterprise_project_id: Option<String>,
}

impl VaultQuery {
    /// Asks for those called exactly so.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            ..Self::default()
        }
    }

    pub(super) fn of(&self, call: Call) -> Call {
        let call = self
            .ids
            .iter()
            .fold(call, |call, id| call.query("id", Some(id)));
        call.query("name", self.name.as_ref())
            .query("object_type", self.object_type.as_ref())
            .query("protect_type", self.protect_type.as_ref())
            .query("cloud_type", self.cloud_type.as_ref())
            .query("status", self.status.as_ref())
            .query("policy_id", self.policy_id.as_ref())
            .query("resource_ids", commas(&self.resource_ids))
            .query("enterprise_project_id", self.enterprise_project_id.as_ref())
    }
}

/// Which backups to list (`cbr-v3.md §2.4`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BackupQuery {
    /// Those called so.
    pub name: Option<String>,
    /// Those of this run.
    pub checkpoint_id: Option<CheckpointId>,
    /// Those in this vault.
    pub vault_id: Option<VaultId>,
    /// Those of this resource.
    pub resource_id: Option<ResourceId>,
    /// Those of a resource called so.
    pub resource_name: Option<String>,
    /// Those of this kind of resource.
    pub resource_type: Option<word::ResourceType>,
    /// Those of resources in this zone.
    pub resource_az: Option<String>,
    /// Those of the disks of this server's backup.
    pub parent_id: Option<BackupId>,
    /// Those that came to be here so.
    pub image_type: Option<word::ImageType>,
    /// Those in one of these statuses.
    pub statuses: Vec<word::BackupStatus>,
    /// Those made at this time or later, e.g. `2026-03-01T12:00:00Z`.
    pub start_time: Option<String>,
    /// Those made at this time or before.
    pub end_time: Option<String>,
    /// Whose: `private` (one's own, unless said otherwise), `shared` by others, `all_granted`.
    pub own_type: Option<String>,
    /// Of what others share: those that were answered so.
    pub member_status: Option<word::MemberStatus>,
    /// Those in vaults that are at least so full, in percent.
    pub used_percent: Option<u8>,
    /// Those in dedicated clouds.
    pub dec: Option<bool>,
    /// The order: keys such as `created_at:desc,name:asc`.
    pub sort: Option<String>,
    /// Those built on the one before, or not (Huawei).
    pub incremental: Option<bool>,
    /// Whether to tell of copies in other regions (Huawei).
    pub show_replication: Option<bool>,
    /// Those of this enterprise project (Huawei).
    pub enterprise_project_id: Option<String>,
}

impl BackupQuery {
    /// Asks for those of one run.
    pub fn of_checkpoint(id: &CheckpointId) -> Self {
        Self {
            checkpoint_id: Some(id.clone()),
            ..Self::default()
        }
    }

    /// Asks for those in one vault.
    pub fn in_vault(id: &VaultId) -> Self {
        Self {
            vault_id: Some(id.clone()),
            ..Self::default()
        }
    }

    pub(super) fn of(&self, call: Call) -> Call {
        let call = self
            .statuses
            .iter()
            .fold(call, |call, status| call.query("status", Some(status)));
        call.query("name", self.name.as_ref())
            .query("checkpoint_id", self.checkpoint_id.as_ref())
            .query("vault_id", self.vault_id.as_ref())
            .query("resource_id", self.resource_id.as_ref())
            .query("resource_name", self.resource_name.as_ref())
            .query("resource_type", self.resource_type.as_ref())
            .query("resource_az", self.resource_az.as_ref())
            .query("parent_id", self.parent_id.as_ref())
            .query("image_type", self.image_type.as_ref())
            .query("start_time", self.start_time.as_ref())
            .query("end_time", self.end_time.as_ref())
            .query("own_type", self.own_type.as_ref())
            .query("member_status", self.member_status.as_ref())
            .query("used_percent", self.used_percent)
            .query("dec", self.dec)
            .query("sort", self.sort.as_ref())
            .query("incremental", self.incremental)
            .query("show_replication", self.show_replication)
            .query("enterprise_project_id", self.enterprise_project_id.as_ref())
    }
}

/// Which policies to list (`cbr-v3.md §2.5`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyQuery {
    /// Those that do this.
    pub operation_type: Option<word::OperationType>,
    /// Those bound to this vault.
    pub vault_id: Option<VaultId>,
}

impl PolicyQuery {
    pub(super) fn of(&self, call: Call) -> Call {
        call.query("operation_type", self.operation_type.as_ref())
            .query("vault_id", self.vault_id.as_ref())
    }
}

/// Which tasks to list (`cbr-v3.md §2.6`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskQuery {
    /// The one with this id; the Python client sends it, services pay no heed to it.
    pub operation_log_id: Option<TaskId>,
    /// Those of this project; as `operation_log_id`.
    pub project_id: Option<ProjectId>,
    /// Those that do this.
    pub operation_type: Option<word::TaskKind>,
    /// Those in this status.
    pub status: Option<word::TaskStatus>,
    /// Those about this vault.
    pub vault_id: Option<VaultId>,
    /// Those about a vault called so.
    pub vault_name: Option<String>,
    /// Those about this resource.
    pub resource_id: Option<ResourceId>,
    /// Those about a resource called so.
    pub resource_name: Option<String>,
    /// Those about this kind of resource, as an id.
    pub provider_id: Option<String>,
    /// Those asked for at this time or later.
    pub start_time: Option<String>,
    /// Those asked for at this time or before.
    pub end_time: Option<String>,
    /// Those of this enterprise project (Huawei).
    pub enterprise_project_id: Option<String>,
}

impl TaskQuery {
    pub(super) fn of(&self, call: Call) -> Call {
        call.query("operation_log_id", self.operation_log_id.as_ref())
            .query("project_id", self.project_id.as_ref())
            .query("operation_type", self.operation_type.as_ref())
            .query("status", self.status.as_ref())
            .query("vault_id", self.vault_id.as_ref())
            .query("vault_name", self.vault_name.as_ref())
            .query("resource_id", self.resource_id.as_ref())
            .query("resource_name", self.resource_name.as_ref())
            .query("provider_id", self.provider_id.as_ref())
            .query("start_time", self.start_time.as_ref())
            .query("end_time", self.end_time.as_ref())
            .query("enterprise_project_id", self.enterprise_project_id.as_ref())
    }
}

/// Which sharings of a backup to list (`cbr-v3.md §2.7`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberQuery {
    /// The record with this id.
    pub id: Option<MemberId>,
    /// Those with this project.
    pub dest_project_id: Option<ProjectId>,
    /// Those with an image made of them, called so by id.
    pub image_id: Option<String>,
    /// Those answered so.
    pub status: Option<word::MemberStatus>,
    /// Those put into this vault of the receiver.
    pub vault_id: Option<VaultId>,
    /// Those made at this time.
    pub created_at: Option<String>,
    /// Those last answered at this time.
    pub updated_at: Option<String>,
    /// The order: keys such as `created_at:desc`.
    pub sort: Option<String>,
}

impl MemberQuery {
    pub(super) fn of(&self, call: Call) -> Call {
        call.query("id", self.id.as_ref())
            .query("dest_project_id", self.dest_project_id.as_ref())
            .query("image_id", self.image_id.as_ref())
            .query("status", self.status.as_ref())
            .query("vault_id", self.vault_id.as_ref())
            .query("created_at", self.created_at.as_ref())
            .query("updated_at", self.updated_at.as_ref())
            .query("sort", self.sort.as_ref())
    }
}

/// Which of what could be protected to list (`cbr-v3.md §2.10`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProtectableQuery {
    /// The one with this id.
    pub id: Option<ResourceId>,
    /// Those called so.
    pub name: Option<String>,
    /// Those in this status of their own service.
    pub status: Option<String>,
    /// The disks of this server.
    pub server_id: Option<ResourceId>,
}

impl ProtectableQuery {
    pub(super) fn of(&self, call: Call) -> Call {
        call.query("id", self.id.as_ref())
            .query("name", self.name.as_ref())
            .query("status", self.status.as_ref())
            .query("server_id", self.server_id.as_ref())
    }
}

fn commas(ids: &[ResourceId]) -> Option<String> {
    let texts: Vec<_> = ids.iter().map(ResourceId::as_str).collect();
    (!texts.is_empty()).then(|| texts.join(","))
}

/// Whose use of storage to list; what is none does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StorageUsageQuery {
    /// This resource's.
    pub resource_id: Option<ResourceId>,
    /// That of resources of this kind.
    pub resource_type: Option<word::ResourceType>,
}
