//! The tables of classes and their fields (`cinder-backup.md §1.1`, `§1.2`), in serialised order.

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// The string form of anything; meant for UUIDs.
    Uuid,
    /// An integer.
    Int,
    /// Yes or no.
    Bool,
    /// A point in time.
    Time,
    /// Strings under strings.
    Dict,
    /// One of these strings.
    Enum(&'static [&'static str]),
    /// An object of this class.
    Object(&'static str),
    /// A list of objects of this class.
    Objects(&'static str),
}

/// A field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldInfo {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it takes null.
    pub nullable: bool,
    /// What it is when nothing is said; only yes-or-no fields have one.
    pub default: Option<bool>,
}

const fn field(name: &'static str, kind: Kind) -> FieldInfo {
    FieldInfo {
        name,
        kind,
        nullable: true,
        default: None,
    }
}

impl FieldInfo {
    const fn required(mut self) -> Self {
        self.nullable = false;
        self
    }

    const fn or(mut self, default: bool) -> Self {
        self.default = Some(default);
        self
    }
}

/// A class of objects.
#[derive(Debug, PartialEq, Eq)]
pub struct ClassInfo {
    /// Its name on the wire.
    pub name: &'static str,
    /// The newest version we know, the one new objects have.
    pub version: &'static str,
    /// Where Cinder keeps it.
    pub module: &'static str,
    /// Its fields.
    pub fields: &'static [FieldInfo],
    /// What is computed from them: part of dict-style access, never serialised.
    pub extra: &'static [&'static str],
    /// Dicts whose edits in place count as changes.
    pub tracked: &'static [&'static str],
    /// Fields that a database row does not fill by itself.
    pub optional: &'static [&'static str],
    /// Whether it is nothing but a list.
    pub is_list: bool,
}

impl ClassInfo {
    /// Returns the place of a field.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }
}

/// Finds a field's place while compiling: a key with a wrong name does not build.
pub(crate) const fn place(fields: &[FieldInfo], name: &str) -> usize {
    let mut at = 0;
    while at < fields.len() {
        if same(fields[at].name.as_bytes(), name.as_bytes()) {
            return at;
        }
        at += 1;
    }
    panic!("no such field")
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

use Kind::{Bool, Dict, Enum, Int, Object, Objects, Text, Time, Uuid};

const BACKUP_STATUS: &[&str] = &[
    "error",
    "error_deleting",
    "creating",
    "available",
    "deleting",
    "deleted",
    "restoring",
];

const SNAPSHOT_STATUS: &[&str] = &[
    "error",
    "available",
    "creating",
    "deleting",
    "deleted",
    "updating",
    "error_deleting",
    "unmanaging",
    "backing-up",
    "restoring",
];

const ATTACH_STATUS: &[&str] = &[
    "attached",
    "attaching",
    "detached",
    "reserved",
    "error_attaching",
    "error_detaching",
    "deleted",
];

pub(crate) const BACKUP_FIELDS: &[FieldInfo] = &[
    field("id", Uuid).required(),
    field("user_id", Text).required(),
    field("project_id", Text).required(),
    field("volume_id", Uuid).required(),
    field("host", Text),
    field("availability_zone", Text),
    field("container", Text),
    field("parent_id", Text),
    field("parent", Object("Backup")),
    field("status", Enum(BACKUP_STATUS)),
    field("fail_reason", Text),
    field("size", Int),
    field("display_name", Text),
    field("display_description", Text),
    field("service_metadata", Text),
    field("service", Text),
    field("object_count", Int),
    field("temp_volume_id", Text),
    field("temp_snapshot_id", Text),
    field("num_dependent_backups", Int),
    field("snapshot_id", Text),
    field("data_timestamp", Time),
    field("restore_volume_id", Text),
    field("metadata", Dict),
    field("encryption_key_id", Text),
    field("created_at", Time),
    field("updated_at", Time),
    field("deleted_at", Time),
    field("deleted", Bool).or(false),
];

const BACKUP_EXTRA: &[&str] = &["name", "is_incremental", "has_dependent_backups"];

pub(crate) static BACKUP: ClassInfo = ClassInfo {
    name: "Backup",
    version: "1.7",
    module: "cinder.objects.backup",
    fields: BACKUP_FIELDS,
    extra: BACKUP_EXTRA,
    tracked: &["metadata"],
    optional: &["metadata", "parent"],
    is_list: false,
};

pub(crate) static BACKUP_IMPORT: ClassInfo = ClassInfo {
    name: "BackupImport",
    version: "1.7",
    module: "cinder.objects.backup",
    fields: BACKUP_FIELDS,
    extra: BACKUP_EXTRA,
    tracked: &["metadata"],
    optional: &["metadata", "parent"],
    is_list: false,
};

pub(crate) const DEVICE_FIELDS: &[FieldInfo] = &[
    field("volume", Object("Volume")),
    field("snapshot", Object("Snapshot")),
    field("secure_enabled", Bool).required().or(false),
];

pub(crate) static DEVICE: ClassInfo = ClassInfo {
    name: "BackupDeviceInfo",
    version: "1.0",
    module: "cinder.objects.backup",
    fields: DEVICE_FIELDS,
    extra: &["is_snapshot", "device_obj"],
    tracked: &[],
    optional: &[],
    is_list: false,
};

pub(crate) const LIST_FIELDS: &[FieldInfo] = &[field("objects", Objects("Backup")).required()];

pub(crate) static BACKUP_LIST: ClassInfo = ClassInfo {
    name: "BackupList",
    version: "1.0",
    module: "cinder.objects.backup",
    fields: LIST_FIELDS,
    extra: &[],
    tracked: &[],
    optional: &[],
    is_list: true,
};

pub(crate) const VOLUME_FIELDS: &[FieldInfo] = &[
    field("id", Uuid).required(),
    field("_name_id", Uuid),
    field("ec2_id", Uuid),
    field("user_id", Text),
    field("project_id", Text),
    field("use_quota", Bool).required().or(true),
    field("snapshot_id", Uuid),
    field("cluster_name", Text),
    field("cluster", Object("Cluster")),
    field("host", Text),
    field("size", Int),
    field("availability_zone", Text),
    field("status", Text),
    field("attach_status", Enum(ATTACH_STATUS)),
    field("migration_status", Text),
    field("scheduled_at", Time),
    field("launched_at", Time),
    field("terminated_at", Time),
    field("display_name", Text),
    field("display_description", Text),
    field("provider_id", Text),
    field("provider_location", Text),
    field("provider_auth", Text),
    field("provider_geometry", Text),
    field("volume_type_id", Uuid),
    field("source_volid", Uuid),
    field("encryption_key_id", Uuid),
    field("consistencygroup_id", Uuid),
    field("group_id", Uuid),
    field("deleted", Bool).or(false),
    field("bootable", Bool).or(false),
    field("multiattach", Bool).or(false),
    field("replication_status", Text),
    field("replication_extended_status", Text),
    field("replication_driver_data", Text),
    field("previous_status", Text),
    field("metadata", Dict),
    field("admin_metadata", Dict),
    field("glance_metadata", Dict),
    field("volume_type", Object("VolumeType")),
    field("volume_attachment", Object("VolumeAttachmentList")),
    field("consistencygroup", Object("ConsistencyGroup")),
    field("snapshots", Object("SnapshotList")),
    field("group", Object("Group")),
    field("service_uuid", Text),
    field("shared_targets", Bool).or(true),
    field("created_at", Time),
    field("updated_at", Time),
    field("deleted_at", Time),
];

pub(crate) static VOLUME: ClassInfo = ClassInfo {
    name: "Volume",
    version: "1.9",
    module: "cinder.objects.volume",
    fields: VOLUME_FIELDS,
    extra: &[
        "name",
        "name_id",
        "volume_metadata",
        "volume_admin_metadata",
        "volume_glance_metadata",
    ],
    tracked: &["metadata", "admin_metadata", "glance_metadata"],
    optional: &[
        "metadata",
        "admin_metadata",
        "glance_metadata",
        "volume_type",
        "volume_attachment",
        "consistencygroup",
        "snapshots",
        "cluster",
        "group",
    ],
    is_list: false,
};

pub(crate) const SNAPSHOT_FIELDS: &[FieldInfo] = &[
    field("id", Uuid).required(),
    field("user_id", Text),
    field("project_id", Text),
    field("use_quota", Bool).required().or(true),
    field("volume_id", Uuid),
    field("cgsnapshot_id", Uuid),
    field("group_snapshot_id", Uuid),
    field("status", Enum(SNAPSHOT_STATUS)),
    field("progress", Text),
    field("volume_size", Int),
    field("display_name", Text),
    field("display_description", Text),
    field("encryption_key_id", Uuid),
    field("volume_type_id", Uuid),
    field("provider_location", Text),
    field("provider_id", Text),
    field("metadata", Dict).required(),
    field("provider_auth", Text),
    field("volume", Object("Volume")),
    field("cgsnapshot", Object("CGSnapshot")),
    field("group_snapshot", Object("GroupSnapshot")),
    field("created_at", Time),
    field("updated_at", Time),
    field("deleted_at", Time),
    field("deleted", Bool).or(false),
];

pub(crate) static SNAPSHOT: ClassInfo = ClassInfo {
    name: "Snapshot",
    version: "1.6",
    module: "cinder.objects.snapshot",
    fields: SNAPSHOT_FIELDS,
    extra: &["name", "volume_name"],
    tracked: &["metadata"],
    optional: &["volume", "metadata", "cgsnapshot", "group_snapshot"],
    is_list: false,
};

/// The classes whose fields we know.
pub(crate) static KNOWN: [&ClassInfo; 6] = [
    &BACKUP,
    &BACKUP_IMPORT,
    &DEVICE,
    &BACKUP_LIST,
    &VOLUME,
    &SNAPSHOT,
];

/// The classes that may travel inside those; what they hold passes through as it is.
pub(crate) static FOREIGN: [(&str, &str); 31] = [
    ("CGSnapshot", "1.1"),
    ("CGSnapshotList", "1.0"),
    ("CleanupRequest", "1.0"),
    ("Cluster", "1.1"),
    ("ClusterList", "1.0"),
    ("ConsistencyGroup", "1.4"),
    ("ConsistencyGroupList", "1.1"),
    ("Group", "1.2"),
    ("GroupList", "1.0"),
    ("GroupSnapshot", "1.0"),
    ("GroupSnapshotList", "1.0"),
    ("GroupType", "1.0"),
    ("GroupTypeList", "1.0"),
    ("LogLevel", "1.0"),
    ("LogLevelList", "1.0"),
    ("ManageableSnapshot", "1.0"),
    ("ManageableSnapshotList", "1.0"),
    ("ManageableVolume", "1.0"),
    ("ManageableVolumeList", "1.0"),
    ("QualityOfServiceSpecs", "1.0"),
    ("QualityOfServiceSpecsList", "1.0"),
    ("RequestSpec", "1.5"),
    ("Service", "1.6"),
    ("ServiceList", "1.1"),
    ("SnapshotList", "1.0"),
    ("VolumeAttachment", "1.3"),
    ("VolumeAttachmentList", "1.1"),
    ("VolumeList", "1.1"),
    ("VolumeProperties", "1.1"),
    ("VolumeType", "1.3"),
    ("VolumeTypeList", "1.1"),
];

/// Returns the table of a class whose fields we know.
pub fn class_named(name: &str) -> Option<&'static ClassInfo> {
    KNOWN.into_iter().find(|class| class.name == name)
}

/// Returns the newest version of any class Cinder has.
pub(crate) fn known_version(name: &str) -> Option<(&'static str, &'static str)> {
    class_named(name)
        .map(|class| (class.name, class.version))
        .or_else(|| FOREIGN.into_iter().find(|(known, _)| *known == name))
}

/// Tells whether a field of this kind holds objects.
pub(crate) fn holds_objects(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Object(name) | Kind::Objects(name) => Some(name),
        _ => None,
    }
}
