//! Reads and writes the chunked backups of Cinder's own drivers (`cinder-backup.md §4`):
//! `posix`, `nfs`, `glusterfs`, `swift`, `s3` and `gcs` share one format.
//!
//! Everything blocks and works on its own threads; nothing here knows of tasks, users or the
//! catalogue. Foreign bytes are distrusted: whatever they hold, the answer is a backup's true
//! content or an error that names the object and the place, never a write outside the target.
//! Start at `port.rs`, then `chain.rs`, which finds out what of which backup is to be read.

mod chain;
mod compression;
mod decode;
mod directory;
mod emit;
mod encode;
mod error;
mod find;
mod json;
mod layers;
#[cfg(any(test, feature = "vectors"))]
pub mod memory;
mod metadata;
mod names;
mod pool;
mod port;
#[cfg(any(test, feature = "vectors"))]
mod python_random;
#[cfg(any(feature = "s3", feature = "swift"))]
mod remote;
mod restore;
#[cfg(feature = "s3")]
mod s3;
mod sha_list;
mod source;
#[cfg(feature = "swift")]
mod swift;
#[cfg(any(test, feature = "vectors"))]
pub mod vectors;
mod verify;
mod volume_meta;
mod write;

pub use chain::{Chain, Layer};
pub use compression::{Compression, UnknownCompression};
pub use directory::DirectoryRepository;
pub use error::{ChunkedError, DescriptionFault, ForeignError, ObjectFault};
pub use find::{Found, find, find_in};
pub use metadata::{BackupMetadata, Entry, METADATA_LIMIT, OBJECTS_LIMIT};
pub use pool::READ_MEMORY_PER_THREAD;
pub use port::{ForeignObjects, ForeignSink, Location, SinkObject, Watch};
pub use restore::{RestoreReport, restore};
#[cfg(feature = "s3")]
pub use s3::{S3Repository, S3Settings};
pub use source::{CACHE_BYTES, ChainSource};
#[cfg(feature = "swift")]
pub use swift::{SwiftAuth, SwiftRepository};
pub use verify::{VerifyReport, verify, verify_image};
pub use volume_meta::{Fields, VolumeFacts, VolumeMeta, VolumeMetaError};
pub use write::{
    BackupHeader, WRITE_MEMORY_PER_THREAD, WriteOptions, WriteReport, write, write_incremental,
};
