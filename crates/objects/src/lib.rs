//! Cinder's versioned backup objects, their primitives and backup records (`cinder-backup.md §1`).
//!
//! Objects behave as Cinder's do to the letter, coercions and error texts included, because both ends of
//! the message bus and of a record must agree. No I/O here, no clock, no random numbers: what needs a
//! database goes through the port in `store.rs`, whose adapter also says what time it is.
//!
//! Start at `class.rs`, the tables of fields; `object.rs` is what all objects share,
//! `backup.rs` and `lifecycle.rs` are the object this is about.

mod backup;
mod class;
mod compatible;
#[cfg(feature = "testing")]
pub mod conformance;
mod context;
mod data;
mod datetime;
mod device;
mod error;
mod field;
mod json;
mod key;
mod lifecycle;
mod list;
mod memory;
mod object;
mod primitive;
mod python;
mod query;
mod record;
mod row;
mod serializer;
mod status;
mod store;
mod value;
#[cfg(feature = "vectors")]
pub mod vectors;
mod version;
mod volume;

pub use backup::NameTemplate;
pub use class::{ClassInfo, FieldInfo, Kind, class_named};
pub use compatible::{CURRENT_CAP, Manifest};
pub use data::{
    AnyObject, Backup, BackupDeviceInfo, BackupImport, BackupList, Context, Foreign, Metadata,
    ReadDeleted, Snapshot, Value, Volume,
};
pub use datetime::{DateTime, TimeError};
pub use device::{Device, LegacyDevice, LegacyDeviceInfo};
pub use error::{
    CapError, CoerceError, ErrorClass, ObjectError, PrimitiveError, RecordError, StoreError,
};
pub use json::{Dict, Json, JsonError, MAX_DEPTH};
pub use key::{Field, FieldValue, Key};
pub use lifecycle::{Condition, ConditionalUpdate, ReadDeletedScope};
pub use list::ListQuery;
pub use memory::MemoryBackups;
pub use object::VersionedObject;
pub use query::{BackupQuery, Direction, Filter, Selection};
pub use record::{MAX_RECORD_BYTES, decode_record};
pub use row::{BackupRow, Cell, Column};
pub use serializer::ObjectSerializer;
pub use status::BackupStatus;
pub use store::BackupStore;
