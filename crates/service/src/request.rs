//! What callers ask for, after the wires have parsed it.

use std::collections::BTreeMap;

use emberkeep_model::{
    BackupId, Gib, ObjectType, PolicyId, ProtectType, ResourceId, ServerId, SnapshotId, Tag,
    VaultId, VolumeChoice, VolumeId,
};

/// A volume to be made.
#[derive(Debug, Clone, Default)]
pub struct NewVolume {
    /// Its name.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Its size; may be left out where the source tells it.
    pub size: Option<Gib>,
    /// Name or id of its type; the default type if left out.
    pub volume_type: Option<String>,
    /// Its zone.
    pub availability_zone: Option<String>,
    /// Make it from this snapshot.
    pub snapshot_id: Option<SnapshotId>,
    /// Clone this volume.
    pub source_volume_id: Option<VolumeId>,
    /// The tenant's own pairs.
    pub metadata: BTreeMap<String, String>,
}

/// Changes of names, texts and pairs; what is none stays.
#[derive(Debug, Clone, Default)]
pub struct Edit {
    /// The new name; `Some(None)` clears it.
    pub name: Option<Option<String>>,
    /// The new text; `Some(None)` clears it.
    pub description: Option<Option<String>>,
    /// The whole new set of pairs.
    pub metadata: Option<BTreeMap<String, String>>,
}

/// How a volume is deleted.
#[derive(Debug, Clone, Copy, Default)]
pub struct DeleteVolume {
    /// Its snapshots too.
    pub cascade: bool,
    /// Whatever its status (for administrators).
    pub force: bool,
}

/// A lasting snapshot to be taken.
#[derive(Debug, Clone)]
pub struct NewSnapshot {
    /// Of which volume.
    pub volume_id: VolumeId,
    /// Its name.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Also of a volume in use.
    pub force: bool,
    /// The tenant's own pairs.
    pub metadata: BTreeMap<String, String>,
}

/// A backup to be made through Block Storage (`cinder-backup.md §3.2`).
#[derive(Debug, Clone)]
pub struct NewBackup {
    /// Of which volume.
    pub volume_id: VolumeId,
    /// From this snapshot of it.
    pub snapshot_id: Option<SnapshotId>,
    /// Its name.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Kept as given; if it names a vault of the project, the backup goes into that vault.
    pub container: Option<String>,
    /// Its zone.
    pub availability_zone: Option<String>,
    /// Start from the newest backup's map, and refuse if there is none.
    pub incremental: bool,
    /// Also of a volume in use.
    pub force: bool,
    /// The tenant's own pairs.
    pub metadata: BTreeMap<String, String>,
}

/// Where a backup is restored to.
#[derive(Debug, Clone)]
pub enum RestoreTo {
    /// A volume made for it.
    New {
        /// Its name; `restore_backup_<id>` if left out.
        name: Option<String>,
    },
    /// A volume that is there.
    Existing(VolumeId),
}

/// A vault to be made (`cbr-v3.md §2.2`). The wire has checked form; the service checks the rest.
#[derive(Debug, Clone)]
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

/// A resource to be put into a vault.
#[derive(Debug, Clone)]
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

/// Changes of a vault; what is none stays.
#[derive(Debug, Clone, Default)]
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

/// A run over a vault to be made (`cbr-v3.md §2.3`).
#[derive(Debug, Clone)]
pub struct NewCheckpoint {
    /// Which vault.
    pub vault_id: VaultId,
    /// Base name of the backups; one is made if left out.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Start from each resource's newest backup.
    pub incremental: bool,
    /// Made by a schedule.
    pub automatic: bool,
    /// Resources by their ids as given, some with a choice of volumes for this run alone; empty
    /// means all.
    pub resources: Vec<(String, Option<VolumeChoice>)>,
    /// The policy it is made for; the vault's own if it is automatic and none is named.
    pub policy_id: Option<PolicyId>,
    /// Days to keep, if limited.
    pub retention_days: Option<u32>,
}

/// Where a backup is restored to through CBR.
#[derive(Debug, Clone, Default)]
pub struct CbrRestore {
    /// The volume, if one was named.
    pub volume_id: Option<VolumeId>,
    /// The server, if one was named.
    pub server_id: Option<ServerId>,
    /// What was named without saying of which kind it is.
    pub resource_id: Option<ResourceId>,
    /// Which backup of a server's volume goes to which volume; to those they are of, if empty.
    pub mappings: Vec<(BackupId, VolumeId)>,
}
