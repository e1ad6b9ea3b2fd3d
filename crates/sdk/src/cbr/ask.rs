//! What is sent: each the body of one request, without what was not said.

use emberkeep_model::{Gib, Tag};
use emberkeep_wire::cbr::{
    BillingExtra, BindRules, OperationDefinition, Parameters, ResourceExtra, TriggerProperties,
    word,
};
use serde::{Serialize, Serializer};

use crate::ids::{BackupId, PolicyId, ProjectId, ResourceId, VaultId, VolumeId};

/// A vault to be made (`cbr-v3.md §2.2`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewVault {
    /// Its name: 1–64 letters, digits, `_` and `-`.
    pub name: String,
    /// Free text, up to 64 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its capacity and kind.
    pub billing: NewBilling,
    /// What it protects from the beginning.
    pub resources: Vec<AddResource>,
    /// A backup policy to bind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_policy_id: Option<PolicyId>,
    /// Its tags, 20 at most.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// Whether unprotected resources are taken in at scheduled runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_bind: Option<bool>,
    /// Which ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind_rules: Option<BindRules>,
    /// Whether it grows by itself when full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_expand: Option<bool>,
    /// Whether automatic backups are kept until they expire; cannot be undone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked: Option<bool>,
    /// Whether passing `threshold` is notified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smn_notify: Option<bool>,
    /// Use in percent of the capacity from which notices go out, 1–100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<u8>,
    /// The enterprise project (Huawei).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enterprise_project_id: Option<String>,
    /// What the names of automatic backups begin with (Huawei).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_name_prefix: Option<String>,
}

impl NewVault {
    /// Asks for a vault for disks.
    pub fn for_disks(name: impl Into<String>, size: Gib) -> Self {
        Self::new(name, word::ObjectType::Disk, size)
    }

    /// Asks for a vault for servers.
    pub fn for_servers(name: impl Into<String>, size: Gib) -> Self {
        Self::new(name, word::ObjectType::Server, size)
    }

    /// Asks for a vault for backups of the given kind.
    pub fn new(name: impl Into<String>, object_type: word::ObjectType, size: Gib) -> Self {
        Self {
            name: name.into(),
            description: None,
            billing: NewBilling::new(object_type, size),
            resources: Vec::new(),
            backup_policy_id: None,
            tags: Vec::new(),
            auto_bind: None,
            bind_rules: None,
            auto_expand: None,
            locked: None,
            smn_notify: None,
            threshold: None,
            enterprise_project_id: None,
            backup_name_prefix: None,
        }
    }

    /// Adds resources to begin with.
    #[must_use]
    pub fn holding<R: Into<AddResource>>(mut self, resources: impl IntoIterator<Item = R>) -> Self {
        self.resources.extend(resources.into_iter().map(Into::into));
        self
    }
}

/// Capacity and kind of a vault to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewBilling {
    /// The capacity, 10–10485760 GB.
    pub size: Gib,
    /// What it protects.
    pub object_type: word::ObjectType,
    /// What it is for.
    pub protect_type: word::ProtectType,
    /// How consistent its backups are.
    pub consistent_level: word::ConsistentLevel,
    /// Where it lies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud_type: Option<word::CloudType>,
    /// How it is paid for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charging_mode: Option<word::ChargingMode>,
    /// The unit of what is paid in advance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period_type: Option<word::PeriodType>,
    /// How many of those.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period_num: Option<u32>,
    /// Whether what is paid in advance is renewed by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_auto_renew: Option<bool>,
    /// Whether an order is paid by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_auto_pay: Option<bool>,
    /// Where the console goes on after an order was paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub console_url: Option<String>,
    /// Orders that belong together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra_info: Option<BillingExtra>,
    /// Whether it lies in several zones (Huawei).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_multi_az: Option<bool>,
}

impl NewBilling {
    /// Asks for room for backups, consistent as after a power cut.
    pub fn new(object_type: word::ObjectType, size: Gib) -> Self {
        Self {
            size,
            object_type,
            protect_type: word::ProtectType::Backup,
            consistent_level: word::ConsistentLevel::Crash,
            cloud_type: None,
            charging_mode: None,
            period_type: None,
            period_num: None,
            is_auto_renew: None,
            is_auto_pay: None,
            console_url: None,
            extra_info: None,
            is_multi_az: None,
        }
    }
}

/// A resource to be put into a vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AddResource {
    /// Its id.
    pub id: ResourceId,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: word::ResourceType,
    /// A name for it; the cloud's own if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Which disks of a server are backed up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra_info: Option<ResourceExtra>,
}

impl AddResource {
    /// Names a resource.
    pub fn new(id: impl Into<ResourceId>, kind: word::ResourceType) -> Self {
        Self {
            id: id.into(),
            kind,
            name: None,
            extra_info: None,
        }
    }
}

impl From<VolumeId> for AddResource {
    fn from(id: VolumeId) -> Self {
        Self::new(id, word::ResourceType::Volume)
    }
}

impl From<&VolumeId> for AddResource {
    fn from(id: &VolumeId) -> Self {
        Self::new(id, word::ResourceType::Volume)
    }
}

/// Changes of a vault; what is none stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VaultChange {
    /// The new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The new capacity, 1–10485760 GB.
    #[serde(
        rename = "billing",
        skip_serializing_if = "Option::is_none",
        serialize_with = "in_billing"
    )]
    pub size: Option<Gib>,
    /// Whether unprotected resources are taken in at scheduled runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_bind: Option<bool>,
    /// Which ones; no tags means all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind_rules: Option<BindRulesChange>,
    /// Whether it grows by itself when full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_expand: Option<bool>,
    /// Whether passing `threshold` is notified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smn_notify: Option<bool>,
    /// Use in percent of the capacity from which notices go out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<u8>,
    /// Locks it; cannot be undone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked: Option<bool>,
}

/// Changes of all vaults of a project at once (Huawei); what is none stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VaultsChange {
    /// Whether passing `threshold` is notified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smn_notify: Option<bool>,
    /// Use in percent of the capacity from which notices go out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<u8>,
}

fn in_billing<S: Serializer>(size: &Option<Gib>, sink: S) -> Result<S::Ok, S::Error> {
    sink.collect_map(size.iter().map(|size| ("size", size)))
}

/// New rules of what a vault takes in by itself. An empty list is written: it clears them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct BindRulesChange {
    /// Resources with any of these.
    pub tags: Vec<Tag>,
}

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

    /// Gives its backups a base name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.parameters.name = Some(name.into());
        self
    }
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

/// A policy to be made (`cbr-v3.md §2.5`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewPolicy {
    /// Its name: 1–64 letters, digits, `_` and `-`.
    pub name: String,
    /// What it does.
    pub operation_type: word::OperationType,
    /// How long its backups are kept, and where replicas go.
    pub operation_definition: OperationDefinition,
    /// When it runs: rules such as `FREQ=DAILY;INTERVAL=1;BYHOUR=1;BYMINUTE=00`, in UTC.
    #[serde(rename = "trigger", serialize_with = "in_trigger")]
    pub pattern: Vec<String>,
    /// Whether it runs; it does, unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

impl NewPolicy {
    /// Asks for backups at the given times, kept for ever.
    pub fn backup<S: Into<String>>(
        name: impl Into<String>,
        pattern: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            name: name.into(),
            operation_type: word::OperationType::Backup,
            operation_definition: OperationDefinition::default(),
            pattern: pattern.into_iter().map(Into::into).collect(),
            enabled: None,
        }
    }
}

/// Changes of a policy; what is none stays. What it does cannot change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PolicyChange {
    /// The new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether it runs and deletes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The whole of the new retention.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation_definition: Option<OperationDefinition>,
    /// The whole of the new schedule.
    #[serde(
        rename = "trigger",
        skip_serializing_if = "Option::is_none",
        serialize_with = "in_trigger_if_any"
    )]
    pub pattern: Option<Vec<String>>,
}

#[derive(Serialize)]
struct TriggerAsked<'a> {
    properties: PatternAsked<'a>,
}

/// [`TriggerProperties`] without the time, which is the service's to say.
#[derive(Serialize)]
struct PatternAsked<'a> {
    pattern: &'a [String],
}

fn in_trigger<S: Serializer>(pattern: &[String], sink: S) -> Result<S::Ok, S::Error> {
    let properties = PatternAsked { pattern };
    TriggerAsked { properties }.serialize(sink)
}

fn in_trigger_if_any<S: Serializer>(
    pattern: &Option<Vec<String>>,
    sink: S,
) -> Result<S::Ok, S::Error> {
    match pattern {
        Some(pattern) => in_trigger(pattern, sink),
        None => sink.serialize_none(),
    }
}

impl From<TriggerProperties> for PolicyChange {
    /// Takes over the schedule of another policy.
    fn from(schedule: TriggerProperties) -> Self {
        Self {
            pattern: Some(schedule.pattern),
            ..Self::default()
        }
    }
}

/// What the receiver of a shared backup says to it (`cbr-v3.md §2.7`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberAnswer {
    /// Takes it, into this vault of the receiver's.
    Accept(VaultId),
    /// Does not want it.
    Reject,
}

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
