//! The data of all objects, which refer to each other: a value may be an object, and an object holds values.
//! What they do stands in the files that are named for them.

use crate::class::{ClassInfo, VOLUME_FIELDS};
use crate::datetime::DateTime;
use crate::json::Json;

/// A value as Python sees it, before a field makes it fit.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `None`
    Null,
    /// `True` or `False`
    Bool(bool),
    /// An integer.
    Int(i128),
    /// A longer integer, in digits.
    Huge(Box<str>),
    /// A float.
    Float(f64),
    /// A string.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// A dict in order; nothing keeps its keys from being other than strings.
    Dict(Vec<(Value, Value)>),
    /// A time.
    Time(DateTime),
    /// An object.
    Object(Box<AnyObject>),
}

/// What a set field holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Item {
    Null,
    Text(String),
    Int(i64),
    Bool(bool),
    Time(DateTime),
    Dict(Metadata),
    Object(Box<AnyObject>),
    Objects(Vec<AnyObject>),
}

/// Names and texts in order; equality ignores the order.
#[derive(Debug, Clone, Default, Eq)]
pub struct Metadata(pub(crate) Vec<(String, String)>);

/// The inside of an object.
#[derive(Debug, Clone)]
pub struct Core {
    pub(crate) class: &'static ClassInfo,
    pub(crate) version: String,
    pub(crate) context: Option<Context>,
    pub(crate) slots: Vec<Option<Item>>,
    /// One bit for each field: none of the classes has more than 64.
    pub(crate) changed: u64,
    /// The tracked dicts as they were when changes were last reset.
    pub(crate) originals: Vec<(usize, Item)>,
}

const _: () = assert!(VOLUME_FIELDS.len() <= 64, "a bit for each field");

/// An object of a class whose fields we do not know; it passes through as it came.
#[derive(Debug, Clone)]
pub struct Foreign {
    pub(crate) name: &'static str,
    pub(crate) version: String,
    pub(crate) data: Json,
    pub(crate) changes: Vec<String>,
}

/// Any object that travels.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each variant is the class it is named for")]
pub enum AnyObject {
    Backup(Backup),
    BackupImport(BackupImport),
    BackupList(BackupList),
    BackupDeviceInfo(BackupDeviceInfo),
    Volume(Volume),
    Snapshot(Snapshot),
    Foreign(Foreign),
}

/// Whether deleted rows are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReadDeleted {
    /// Only rows that are not deleted.
    #[default]
    No,
    /// All rows.
    Yes,
    /// Only deleted rows.
    Only,
}

/// The caller on whose behalf an object acts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Context {
    /// The user.
    pub user_id: Option<String>,
    /// The project.
    pub project_id: Option<String>,
    /// Whether the caller is an administrator.
    pub is_admin: bool,
    /// Whether deleted rows are seen.
    pub read_deleted: ReadDeleted,
}

/// One backup of a volume, versions 1.0 to 1.7.
#[derive(Debug, Clone)]
pub struct Backup {
    pub(crate) core: Core,
}

/// A backup that is being imported: the same, but it may be created with an id of its own.
///
/// It is promoted to a [`Backup`] simply by being loaded as one later.
#[derive(Debug, Clone)]
pub struct BackupImport(pub(crate) Backup);

/// A volume, versions 1.0 to 1.9.
#[derive(Debug, Clone)]
pub struct Volume {
    pub(crate) core: Core,
}

/// A snapshot of a volume, versions 1.0 to 1.6.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub(crate) core: Core,
}

/// The volume or snapshot to read a backup from, version 1.0.
#[derive(Debug, Clone)]
pub struct BackupDeviceInfo {
    pub(crate) core: Core,
}

/// A list of backups, version 1.0.
#[derive(Debug, Clone)]
pub struct BackupList {
    pub(crate) core: Core,
}
