//! Vaults and the resources in them.

use serde::{Deserialize, Serialize};

use crate::words::words;
use crate::{ByteCount, Gib, ProjectId, ResourceId, Timestamp, UserId, VaultId, VolumeId};

words! {
    /// What a vault protects (`cbr-v3.md §0`).
    #[derive(Default)]
    ObjectType as "vault object type" {
        /// Servers: sets of volumes kept together.
        Server = "server",
        /// Single volumes.
        #[default]
        Disk = "disk",
        /// File systems.
        Turbo = "turbo",
    }
}

words! {
    /// What a vault is for.
    ProtectType as "vault protect type" {
        /// Backups made here.
        Backup = "backup",
        /// Replicas from another region.
        Replication = "replication",
    }
}

words! {
    /// Where a vault stands (`cbr-v3.md §1.1`).
    VaultStatus as "vault status" {
        /// Usable.
        Available = "available",
        /// A change of capacity is under way.
        Lock = "lock",
        /// An administrator has stopped it: nothing in it is made, changed, restored or deleted.
        Frozen = "frozen",
        /// Its backups and then itself are being deleted.
        Deleting = "deleting",
        /// Beyond repair.
        Error = "error",
    }
}

/// A key with a value, as the tenant set them.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Tag {
    /// 1 to 36 characters.
    pub key: String,
    /// 0 to 43 characters.
    pub value: String,
}

/// A container of backups with a capacity.
#[derive(Debug, Clone, PartialEq)]
pub struct Vault {
    /// Its id.
    pub id: VaultId,
    /// Whose it is.
    pub project_id: ProjectId,
    /// Who made it.
    pub user_id: UserId,
    /// Its name; need not be unique.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// What it protects.
    pub object_type: ObjectType,
    /// What it is for.
    pub protect_type: ProtectType,
    /// Its capacity.
    pub size: Gib,
    /// Where it stands.
    pub status: VaultStatus,
    /// Grows by itself when full.
    pub auto_expand: bool,
    /// Takes in unprotected resources by itself.
    pub auto_bind: bool,
    /// Which ones: those with any of these tags, all if empty.
    pub bind_rules: Vec<Tag>,
    /// Its own tags.
    pub tags: Vec<Tag>,
    /// Automatic backups in it cannot be deleted before they expire.
    pub locked: bool,
    /// Notify when `threshold` is passed.
    pub smn_notify: bool,
    /// Percent of capacity.
    pub threshold: u8,
    /// Put before the names of automatic backups.
    pub backup_name_prefix: Option<String>,
    /// Why it is frozen, while it is.
    pub frozen_scene: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its row last changed.
    pub updated_at: Option<Timestamp>,
    /// See [`crate::Volume::revision`].
    pub revision: u64,
}

words! {
    /// Where a resource of a vault stands (`cbr-v3.md §1.2`).
    ProtectStatus as "protect status" {
        /// Idle.
        Available = "available",
        /// Its last backup failed.
        Error = "error",
        /// A backup of it is running.
        Protecting = "protecting",
        /// It is being restored.
        Restoring = "restoring",
        /// It is leaving the vault.
        Removing = "removing",
    }
}

/// A resource in a vault. A resource is in at most one vault.
#[derive(Debug, Clone, PartialEq)]
pub struct VaultResource {
    /// The vault it is in.
    pub vault_id: VaultId,
    /// The volume, server or file system meant, as the vault's object type says.
    pub resource_id: ResourceId,
    /// Its name when it was added.
    pub name: Option<String>,
    /// Its size.
    pub size: Gib,
    /// Where it stands.
    pub status: ProtectStatus,
    /// Taken by scheduled runs.
    pub auto_protect: bool,
    /// Which volumes of a server are meant.
    pub choice: VolumeChoice,
    /// When it was added.
    pub created_at: Timestamp,
    /// See [`crate::Volume::revision`].
    pub revision: u64,
}

/// Which volumes of a server are backed up: all, unless it says something.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct VolumeChoice {
    /// The only ones, if any are named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<IncludedVolume>,
    /// Those left out, also when they are added to the server later.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<VolumeId>,
}

/// A volume of a server that is to be backed up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncludedVolume {
    /// The volume.
    pub id: VolumeId,
    /// The operating system on it, as the tenant says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
}

impl VolumeChoice {
    /// Tells whether a volume of the server is meant.
    pub fn takes(&self, volume: VolumeId) -> bool {
        let named = self.include.is_empty() || self.include.iter().any(|v| v.id == volume);
        named && !self.exclude.contains(&volume)
    }
}

/// What a vault holds, counted by the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VaultUsage {
    /// Sum of the sizes of its resources.
    pub allocated: Gib,
    /// Bytes the repository stores for its backups.
    pub used: ByteCount,
    /// Backups in it that are not deleted.
    pub backups: u64,
}

/// What a vault holds of one resource, counted by the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceUsage {
    /// The resource.
    pub resource_id: ResourceId,
    /// Bytes the repository stores for its backups.
    pub used: ByteCount,
    /// Its backups that are not deleted.
    pub backups: u64,
}
