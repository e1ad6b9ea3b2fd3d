//! What clients ask for, as the service takes it: bodies that were read, with our words and ids and
//! with what holds where nothing was said. Form was checked when they were read (`ask.rs`),
//! everything else is checked where the facts are.

mod policy;
mod replicate;
mod tag;

use std::fmt::Display;
use std::str::FromStr;

use emberkeep_model::{
    BackupId, IncludedVolume, ObjectType, ProtectType, ResourceId, ServerId, Tag, VaultId,
    VolumeChoice, VolumeId,
};
use emberkeep_model::{MemberStatus, Timestamp};
use uuid::Uuid;

pub use policy::{PolicyBound, PolicyCreate, PolicyUpdate};
pub use replicate::{ReplicateBackup, ReplicateTo, ReplicateVault, SyncBackups, SyncVault};
pub use tag::TagQuery;

use super::form::Refused;
use super::word::ResourceAction;
use super::{ResourceExtra, ask};

/// A resource named in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceGiven {
    /// Its id, as given.
    pub id: String,
    /// Its type, as given.
    pub kind: String,
    /// A name for it.
    pub name: Option<String>,
    /// Which disks of a server are meant; none if nothing is said.
    pub choice: Option<VolumeChoice>,
}

/// `POST /vaults`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultCreate {
    /// Its name.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// What it protects.
    pub object_type: ObjectType,
    /// What it is for.
    pub protect_type: ProtectType,
    /// Its capacity in GB, as given.
    pub size: i64,
    /// Resources to begin with.
    pub resources: Vec<ResourceGiven>,
    /// A policy to bind.
    pub backup_policy_id: Option<Uuid>,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// Takes in resources by itself.
    pub auto_bind: bool,
    /// Which ones.
    pub bind_rules: Vec<Tag>,
    /// Grows by itself.
    pub auto_expand: bool,
    /// Locked from the start.
    pub locked: bool,
    /// Notify when `threshold` is passed.
    pub smn_notify: bool,
    /// Percent of capacity.
    pub threshold: u8,
    /// Put before the names of automatic backups.
    pub backup_name_prefix: Option<String>,
}

impl VaultCreate {
    /// Reads the body.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let asked = ask::NewVault::read(bytes)?;
        let billing = asked.billing;
        Ok(Self {
            name: asked.name,
            description: asked.description,
            object_type: ours("object_type", billing.object_type.as_str())?,
            protect_type: ours("protect_type", billing.protect_type.as_str())?,
            size: billing.size.0.into(),
            resources: given(asked.resources)?,
            backup_policy_id: maybe_ours("backup_policy_id", asked.backup_policy_id)?,
            tags: asked.tags,
            auto_bind: asked.auto_bind.unwrap_or(false),
            bind_rules: asked.bind_rules.unwrap_or_default().tags,
            auto_expand: asked.auto_expand.unwrap_or(false),
            locked: asked.locked.unwrap_or(false),
            smn_notify: asked.smn_notify.unwrap_or(true),
            threshold: asked.threshold.unwrap_or(80),
            backup_name_prefix: asked.backup_name_prefix,
        })
    }
}

/// `PUT /vaults/{id}`: what is none stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the field of `VaultCreate`")]
pub struct VaultUpdate {
    pub name: Option<String>,
    pub size: Option<i64>,
    pub auto_bind: Option<bool>,
    pub bind_rules: Option<Vec<Tag>>,
    pub auto_expand: Option<bool>,
    pub smn_notify: Option<bool>,
    pub threshold: Option<u8>,
    pub locked: Option<bool>,
}

impl VaultUpdate {
    /// Reads the body.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let asked = ask::VaultChange::read(bytes)?;
        Ok(Self {
            name: asked.name,
            size: asked.size.map(|size| size.0.into()),
            auto_bind: asked.auto_bind,
            bind_rules: asked.bind_rules.map(|rules| rules.tags),
            auto_expand: asked.auto_expand,
            smn_notify: asked.smn_notify,
            threshold: asked.threshold,
            locked: asked.locked,
        })
    }
}

/// `POST /vaults/{id}/addresources`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddResources {
    /// What to put in; at least one.
    pub resources: Vec<ResourceGiven>,
}

impl AddResources {
    /// Reads the body.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let asked = ask::ResourcesToAdd::read(bytes)?;
        Ok(Self {
            resources: given(asked.resources)?,
        })
    }
}

/// `POST /vaults/{id}/removeresources`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoveResources {
    /// What to take out, as given, each once; at least one.
    pub resource_ids: Vec<String>,
}

impl RemoveResources {
    /// Reads the body.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let asked = ask::ResourcesToRemove::read(bytes)?;
        Ok(Self {
            resource_ids: as_given(asked.resource_ids),
        })
    }
}

/// `POST /vaults/{id}/migrateresources`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrateResources {
    /// Where to.
    pub destination_vault_id: VaultId,
    /// What, as given.
    pub resource_ids: Vec<String>,
}

impl MigrateResources {
    /// Reads the body.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let asked = ask::ResourcesToMigrate::read(bytes)?;
        Ok(Self {
            destination_vault_id: ours("destination_vault_id", asked.destination_vault_id)?,
            resource_ids: as_given(asked.resource_ids),
        })
    }
}

/// `PUT /vaults/{id}/set-resources`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetResources {
    /// Which, as given.
    pub resource_ids: Vec<String>,
    /// Scheduled runs leave them out.
    pub suspend: bool,
}

impl SetResources {
    /// Reads the body.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let asked = ask::ResourcesToSet::read(bytes)?;
        Ok(Self {
            resource_ids: as_given(asked.resource_ids),
            suspend: asked.action == ResourceAction::Suspend,
        })
    }
}

/// `PUT /vaults/{id}/update-backup-expiration-time`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpirationUpdate {
    /// The day, as given.
    pub day: String,
    /// Its end.
    pub expires_at: Timestamp,
}

impl ExpirationUpdate {
    /// Reads the body.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let asked = ask::ExpiryMove::read(bytes)?;
        Ok(Self {
            expires_at: asked.ends()?,
            day: asked.day,
        })
    }
}

/// `PUT /backups/{id}/members/{member_id}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberAnswer {
    /// What the receiver says.
    pub status: MemberStatus,
    /// The vault that takes it.
    pub vault_id: Option<VaultId>,
}

impl MemberAnswer {
    /// Reads the body.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let asked = ask::MemberChange::read(bytes)?;
        Ok(Self {
            status: ours("status", asked.status.as_str())?,
            vault_id: maybe_ours("vault_id", asked.vault_id)?,
        })
    }
}

/// `POST /checkpoints`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointCreate {
    /// Which vault.
    pub vault_id: VaultId,
    /// Base name of the backups.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Start from each resource's newest backup.
    pub incremental: bool,
    /// Counts as made by a schedule.
    pub automatic: bool,
    /// Which resources, as given, each once, some with the disks that are meant in this run
    /// alone; empty means all.
    pub resources: Vec<(String, Option<VolumeChoice>)>,
    /// The policy it runs for.
    pub policy_id: Option<Uuid>,
    /// Days to keep.
    pub retention_days: Option<u32>,
}

impl CheckpointCreate {
    /// Reads the body.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let asked = ask::NewCheckpoint::read(bytes)?;
        let how = asked.parameters;
        let named = how.resources.into_iter().map(|id| Ok((id.0, None)));
        let detailed = how.resource_details.into_iter().map(|resource| {
            let choice = resource.extra_info.as_ref().map(choice).transpose()?;
            Ok((resource.id.0, choice))
        });
        Ok(Self {
            vault_id: ours("vault_id", asked.vault_id)?,
            name: how.name,
            description: how.description,
            incremental: how.incremental.unwrap_or(true),
            automatic: how.auto_trigger.unwrap_or(false),
            resources: named.chain(detailed).collect::<Result<_, Refused>>()?,
            policy_id: maybe_ours("policy_id", how.policy_id)?,
            retention_days: how
                .retention_duration_days
                .and_then(|days| u32::try_from(days).ok()),
        })
    }
}

/// `POST /backups/{id}/restore`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreAsked {
    /// The volume to write to, if one is named.
    pub volume_id: Option<VolumeId>,
    /// The server to write to, if one is named.
    pub server_id: Option<ServerId>,
    /// What to write to, of whatever kind (Huawei).
    pub resource_id: Option<ResourceId>,
    /// Which backup of a server's disk goes to which disk.
    pub mappings: Vec<(BackupId, VolumeId)>,
}

impl RestoreAsked {
    /// Reads the body. Whether a server is started again is not ours to do.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let asked = ask::RestoreTarget::read(bytes)?;
        let mappings = asked.mappings.into_iter().map(|mapping| {
            Ok((
                ours("backup_id", mapping.backup_id)?,
                ours("volume_id", mapping.volume_id)?,
            ))
        });
        Ok(Self {
            mappings: mappings.collect::<Result<_, Refused>>()?,
            volume_id: maybe_ours("volume_id", asked.volume_id)?,
            server_id: maybe_ours("server_id", asked.server_id)?,
            resource_id: maybe_ours("resource_id", asked.resource_id)?,
        })
    }
}

fn given(resources: Vec<ask::AddResource>) -> Result<Vec<ResourceGiven>, Refused> {
    let given = resources.into_iter().map(|resource| {
        Ok(ResourceGiven {
            choice: resource.extra_info.as_ref().map(choice).transpose()?,
            id: resource.id.0,
            kind: resource.kind.to_string(),
            name: resource.name,
        })
    });
    given.collect()
}

fn choice(extra: &ResourceExtra) -> Result<VolumeChoice, Refused> {
    let exclude = extra.exclude_volumes.iter();
    let include = extra.include_volumes.iter().map(|volume| {
        Ok(IncludedVolume {
            id: ours("include_volumes", &volume.id)?,
            os_version: volume.os_version.clone(),
        })
    });
    Ok(VolumeChoice {
        exclude: exclude
            .map(|id| ours("exclude_volumes", id))
            .collect::<Result<_, _>>()?,
        include: include.collect::<Result<_, Refused>>()?,
    })
}

fn as_given(ids: Vec<crate::ids::ResourceId>) -> Vec<String> {
    ids.into_iter().map(|id| id.0).collect()
}

/// Turns an id or a word that was read into one of ours, which reading has made sure of.
fn ours<T: FromStr>(field: &str, read: impl Display) -> Result<T, Refused> {
    let text = read.to_string();
    text.parse()
        .map_err(|_| Refused::field(field, format_args!("'{text}' is not known here")))
}

fn maybe_ours<T: FromStr>(field: &str, read: Option<impl Display>) -> Result<Option<T>, Refused> {
    read.map(|read| ours(field, read)).transpose()
}

#[cfg(test)]
mod tests;
