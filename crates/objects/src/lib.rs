//! Cinder's versioned backup objects, their primitives and backup records (`cinder-backup.md §1`).
//!
//! Objects behave as Cinder's do to the letter, coercions and error texts included, because both ends of
//! the message bus and of a record must agree. No I/O here, no clock, no random numbers: what needs a
//! database goes through the port in `database/store.rs`, whose adapter also says what time it is.
//!
//! Two halves: records and primitives, which the product needs, and `database`, which makes objects live in
//! rows and is a feature.
//!
//! Start at `class.rs`, the tables of fields; `object.rs` is what all objects share,
//! `backup.rs` and `database/lifecycle.rs` are the object this is about.

mod backup;
mod class;
mod compatible;
#[cfg(feature = "testing")]
pub mod conformance;
mod context;
mod data;
#[cfg(feature = "database")]
mod database;
mod datetime;
mod device;
mod error;
mod field;
mod json;
mod key;
mod list;
mod object;
mod primitive;
mod python;
mod record;
mod serializer;
mod status;
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
#[cfg(feature = "database")]
pub use database::{
    lifecycle::{Condition, ConditionalUpdate, ReadDeletedScope},
    list::ListQuery,
    memory::MemoryBackups,
    query::{BackupQuery, Direction, Filter, Selection},
    row::{BackupRow, Cell, Column},
    store::BackupStore,
};
pub use datetime::{DateTime, TimeError};
pub use device::{Device, LegacyDevice, LegacyDeviceInfo};
pub use error::{
    CapError, CoerceError, ErrorClass, ObjectError, PrimitiveError, RecordError, StoreError,
};
pub use json::{Dict, Json, JsonError, MAX_DEPTH};
pub use key::{Field, FieldValue, Key};
pub use object::VersionedObject;
pub use record::{MAX_RECORD_BYTES, decode_record};
pub use serializer::ObjectSerializer;
pub use status::BackupStatus;
