//! Commands about vaults.

use crate::{ObjectType, PolicyId, ProtectType, Tag, Timestamp, VaultId, VolumeChoice};

/// Creates a vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVault {
    /// Its name.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// What it protects.
    pub object_type: ObjectType,
    /// What it is for.
    pub protect_type: ProtectType,
    /// Its capacity in GiB, as given.
    pub size: i64,
    /// Grows by itself when full.
    pub auto_expand: bool,
    /// Takes in unprotected resources by itself.
    pub auto_bind: bool,
    /// Which ones.
    pub bind_rules: Vec<Tag>,
    /// Its own tags.
    pub tags: Vec<Tag>,
    /// Locked from the start.
    pub locked: bool,
    /// Notify when `threshold` is passed.
    pub smn_notify: bool,
    /// Percent of capacity.
    pub threshold: u8,
    /// Put before the names of automatic backups.
    pub backup_name_prefix: Option<String>,
    /// The backup policy to bind.
    pub backup_policy_id: Option<PolicyId>,
    /// Resources to begin with.
    pub resources: Vec<NewResource>,
}

/// Adds a resource to a vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewResource {
    /// Its id as given; must name something of the vault's kind.
    pub id: String,
    /// Its type as given, e.g. `OS::Cinder::Volume`.
    pub kind: String,
    /// A name to use instead of its own.
    pub name: Option<String>,
    /// Which volumes of a server are meant.
    pub choice: VolumeChoice,
}

/// Changes a vault.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VaultEdit {
    /// The new name.
    pub name: Option<String>,
    /// The new capacity in GiB, as given.
    pub size: Option<i64>,
    /// See [`NewVault::auto_expand`].
    pub auto_expand: Option<bool>,
    /// See [`NewVault::auto_bind`].
    pub auto_bind: Option<bool>,
    /// See [`NewVault::bind_rules`].
    pub bind_rules: Option<Vec<Tag>>,
    /// See [`NewVault::locked`].
    pub locked: Option<bool>,
    /// See [`NewVault::smn_notify`].
    pub smn_notify: Option<bool>,
    /// See [`NewVault::threshold`].
    pub threshold: Option<u8>,
}

/// Moves resources and their backups to another vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrateResources {
    /// The vault that takes them.
    pub destination_vault_id: VaultId,
    /// Their ids, as given.
    pub resource_ids: Vec<String>,
}

/// Excludes resources from scheduled runs, or includes them again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuspendResources {
    /// Their ids, as given.
    pub resource_ids: Vec<String>,
    /// Scheduled runs leave them out.
    pub suspend: bool,
}

/// Moves the day on which a vault's backups expire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveExpiry {
    /// The day, as given.
    pub day: String,
    /// Its end.
    pub expires_at: Timestamp,
}
