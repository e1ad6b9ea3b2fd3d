//! The CBR wire: what its bodies and queries may say, and how our nouns look on it.
//!
//! Both requests (`ask.rs`) and answers are plain serde structs, the same for server and clients.
//! Requests are read field by field so that a refusal names the field; answers are written
//! exactly and read leniently, since other clouds write numbers as text and null for nothing.
//! Start at `vault.rs`.

mod answer;
pub mod ask;
mod backup;
#[cfg(feature = "schema")]
pub mod bodies;
mod checkpoint;
mod code;
mod form;
mod member;
mod metadata;
mod policy;
mod protectable;
mod query;
pub mod request;
mod size;
mod tag;
mod task;
#[cfg(test)]
mod tests;
mod usage;
mod vault;
pub mod word;

use std::borrow::Cow;

use emberkeep_model::ObjectType;
use serde::{Deserialize, Serialize};

pub use answer::{
    BackupSync, Bound, Page, PolicyAssociated, PolicyDissociated, Replicated, Replication,
    ResourcesAdded, ResourcesMigrated, ResourcesRemoved, ResourcesSet, RestoreBegun, TaggedCount,
    TaggedVaults, VaultSync, VaultsUpdated,
};
pub use backup::{
    AppConsistency, Backup, ExtendInfo, OsImage, ReplicationExtra, ReplicationRecord,
};
pub use checkpoint::{
    Checkpoint, CheckpointExtra, CheckpointResource, CheckpointVault, Parameters, ResourceDetails,
    SkippedResource,
};
pub use code::Code;
pub use form::{Refused, uuid};
pub use member::Member;
pub use metadata::BackupMetadata;
pub use policy::{AssociatedVault, OperationDefinition, Policy, Trigger, TriggerProperties};
pub use protectable::{
    AttachedDisk, DiskDetail, FileSystemDetail, Instance, Protectable, ServerDetail,
};
pub use query::{
    BackupList, BackupSort, Limits, MemberList, MemberSort, Order, PolicyList, ProtectableList,
    TaskList, UsageList, VaultList,
};
pub use request::TagQuery;
pub use size::Mib;
pub use tag::{ProjectTag, TaggedVault, TaggedVaultDetail};
pub use task::{
    BackupDetail, CommonDetail, DeleteDetail, ErrorInfo, ExpirationDetail, RemoveDetail,
    ReplicationDetail, RestoreDetail, SyncDetail, Task, TaskExtra, TaskResource, VaultDeleteDetail,
};
pub use usage::{
    ExpiryMoved, Features, ReplicationRegion, StorageUsage, StorageUsagePage, VaultsSummary,
};
pub use vault::{
    Billing, BillingExtra, BindRules, IncludeVolume, ResourceExtra, Vault, VaultResource,
};

crate::keyed::keys! {
    one {
        Vault: "vault",
        Checkpoint: "checkpoint",
        Backup: "backup",
        Policy: "policy",
        Task: "operation_log",
        Member: "member",
        Instance: "instance",
        Replication: "replication",
        VaultSync: "sync",
    }
    many {
        Vault: "vaults",
        Backup: "backups",
        Policy: "policies",
        Task: "operation_logs",
        Member: "members",
        Instance: "instances",
        emberkeep_model::Tag: "tags",
        ProjectTag: "tags",
        TaggedVault: "resources",
        StorageUsage: "storage_usage",
        ReplicationRegion: "regions",
        BackupSync: "sync",
    }
}

/// A word of the protocol: one of ours when written, any when read.
pub type Word = Cow<'static, str>;

/// The type of the resources of a disk vault.
pub const VOLUME_TYPE: &str = "OS::Cinder::Volume";

/// The one enterprise project there is.
pub const ENTERPRISE_PROJECT: &str = "0";

/// The most entries a page has, and how many it has unless asked for fewer.
pub const PAGE_LIMIT: u32 = 1000;

/// Returns the provider id of an object type (`cbr-v3.md §0`).
pub fn provider_id(kind: ObjectType) -> &'static str {
    match kind {
        ObjectType::Server => "0daac4c5-6707-4851-97ba-169e36266b66",
        ObjectType::Disk => "d1603440-187d-4516-af25-121250c7cc97",
        ObjectType::Turbo => "3f3c3220-245c-4805-b811-758870015881",
    }
}

/// Returns the type that the resources of a vault have.
pub fn resource_type(kind: ObjectType) -> &'static str {
    match kind {
        ObjectType::Server => "OS::Nova::Server",
        ObjectType::Disk => VOLUME_TYPE,
        ObjectType::Turbo => "OS::Sfs::Turbo",
    }
}

/// The body of every refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// `BackupService.NNNN` or `APIGW.NNNN`.
    pub error_code: Word,
    /// What is wrong, for people.
    pub error_msg: String,
}

/// Returns what [`versions`] looks like.
#[cfg(feature = "schema")]
pub fn versions_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let link = serde_json::json!({
        "type": "object",
        "properties": {"href": {"type": "string"}, "rel": {"type": "string"}},
        "required": ["href", "rel"],
    });
    schemars::json_schema!({
        "type": "object",
        "properties": {"versions": {"type": "array", "items": {
            "type": "object",
            "properties": {
                "id": {"type": "string"},
                "status": {"type": "string"},
                "links": {"type": "array", "items": link},
            },
            "required": ["id", "status", "links"],
        }}},
        "required": ["versions"],
    })
}

/// The document that says which versions there are.
pub fn versions(base: &str) -> serde_json::Value {
    serde_json::json!({"versions": [{
        "id": "v3",
        "status": "CURRENT",
        "links": [{"href": format!("{base}/v3"), "rel": "self"}],
    }]})
}
