//! Why a foreign backup cannot be read or written, naming the object and the place.

use std::io;

use emberkeep_model::{BackupId, VolumeId};
use emberkeep_volumes::VolumeError;

/// What can go wrong between us and the place where objects lie.
#[derive(Debug, thiserror::Error)]
pub enum ForeignError {
    /// There is no such object.
    #[error("{name} does not exist")]
    Missing {
        /// Container and name.
        name: String,
    },
    /// An object would be overwritten.
    #[error("{name} exists already")]
    Exists {
        /// Container and name.
        name: String,
    },
    /// A name that could lead elsewhere is never looked up.
    #[error("'{name}' is refused as a name: {reason}")]
    BadName {
        /// The name or container.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The place failed.
    #[error("{name}: {cause}")]
    Io {
        /// Container and name.
        name: String,
        /// Its answer.
        #[source]
        cause: io::Error,
    },
}

impl ForeignError {
    /// Wraps an I/O error, telling what is missing and what is taken apart from the rest.
    pub fn io(name: impl Into<String>, cause: io::Error) -> Self {
        let name = name.into();
        match cause.kind() {
            io::ErrorKind::NotFound => Self::Missing { name },
            io::ErrorKind::AlreadyExists => Self::Exists { name },
            _ => Self::Io { name, cause },
        }
    }
}

/// What is wrong with a `_metadata` or `_sha256file` object as a whole.
#[derive(Debug, thiserror::Error)]
pub enum DescriptionFault {
    /// It is not the JSON that it should be, or larger than we read.
    #[error("{0}")]
    Json(#[source] serde_json::Error),
    /// A field is not there.
    #[error("it has no '{0}'")]
    NoField(&'static str),
    /// A field holds something else than it should.
    #[error("its '{field}' is {found}")]
    BadField {
        /// The field.
        field: &'static str,
        /// What it holds instead.
        found: String,
    },
    /// Only version 1.0.0 of the format exists.
    #[error("it is of version '{0}', and only 1.0.0 is known")]
    Version(String),
    /// It describes another backup than the one it was read for.
    #[error("it describes backup {found}, not {wanted}")]
    OtherBackup {
        /// The backup it describes.
        found: BackupId,
        /// The backup that was asked for.
        wanted: BackupId,
    },
    /// A chain is of one volume.
    #[error("it is of volume {found}, while its child is of volume {wanted}")]
    OtherVolume {
        /// The volume it is of.
        found: VolumeId,
        /// The volume of the backup that names it as its parent.
        wanted: VolumeId,
    },
    /// It lists more objects than we keep in memory.
    #[error("more than {limit} objects are listed in the backup and those it builds on")]
    TooManyObjects {
        /// How many may be listed.
        limit: usize,
    },
    /// Hashes and volume are not of one size.
    #[error("it holds {found} hashes of {block} bytes, but the volume takes {wanted}")]
    HashCount {
        /// Hashes there are.
        found: u64,
        /// Hashes there should be.
        wanted: u64,
        /// Bytes of one block.
        block: u64,
    },
    /// An incremental backup can only use the block size of its parent.
    #[error("its hashes are of {found} bytes each, not of {wanted}")]
    BlockSize {
        /// The parent's block size.
        found: u64,
        /// The block size asked for.
        wanted: u64,
    },
}

/// What is wrong with one data object or with its entry in the list.
#[derive(Debug, thiserror::Error)]
pub enum ObjectFault {
    /// Its entry lacks a field.
    #[error("its entry has no '{0}'")]
    NoField(&'static str),
    /// Its entry holds something else than it should.
    #[error("its entry says {found} for '{field}'")]
    BadField {
        /// The field.
        field: &'static str,
        /// What it holds instead.
        found: String,
    },
    /// An entry names one object.
    #[error("its entry names more than one object")]
    TwoNames,
    /// The name is not one of this backup's.
    #[error("its name does not begin with that of its backup")]
    ForeignName,
    /// The name could lead out of the repository.
    #[error("its name is refused: {0}")]
    UnsafeName(&'static str),
    /// Nobody knows how to decompress it.
    #[error("its compression '{0}' is unknown")]
    UnknownCompression(String),
    /// Entries follow one another through the volume.
    #[error("it overlaps or precedes the entry before it, which ends at {previous_end}")]
    OutOfOrder {
        /// Where the entry before it ends.
        previous_end: u64,
    },
    /// It would be written beyond the end.
    #[error("it reaches to {end}, beyond the end of the volume at {size}")]
    BeyondEnd {
        /// Where it ends.
        end: u64,
        /// Where the volume ends.
        size: u64,
    },
    /// It is listed but not there.
    #[error("it does not exist")]
    Missing,
    /// It ends before its recorded length is reached.
    #[error("it ends after {found} of {length} bytes")]
    TooShort {
        /// Bytes there are.
        found: u64,
        /// Bytes recorded.
        length: u64,
    },
    /// The compressed stream breaks off before its own end.
    #[error("its compressed stream breaks off")]
    Truncated,
    /// It goes on after its recorded length.
    #[error("it goes on after the recorded {length} bytes")]
    TooLong {
        /// Bytes recorded.
        length: u64,
    },
    /// It cannot be decompressed.
    #[error("it cannot be decompressed as {framing}: {cause}")]
    Corrupt {
        /// How it should be compressed.
        framing: &'static str,
        /// What the decoder says.
        #[source]
        cause: io::Error,
    },
    /// The bytes are others than those that were backed up.
    #[error("its MD5 is {found}, but {wanted} is recorded")]
    Md5 {
        /// The digest of what is there.
        found: String,
        /// The digest recorded.
        wanted: String,
    },
    /// It could not be read.
    #[error("{0}")]
    Io(#[source] io::Error),
}

/// Why a chunked backup cannot be read, restored or written.
#[derive(Debug, thiserror::Error)]
pub enum ChunkedError {
    /// A description cannot be used.
    #[error("object {object}: {fault}")]
    Description {
        /// The `_metadata` or `_sha256file` object.
        object: String,
        /// What is wrong with it.
        #[source]
        fault: DescriptionFault,
    },
    /// A data object, or what is said of it, cannot be used.
    #[error("object {object}{}: {fault}", at(*.offset))]
    Object {
        /// The data object.
        object: String,
        /// The offset in the volume up to which all is well; none if that is not known.
        offset: Option<u64>,
        /// What is wrong with it.
        #[source]
        fault: ObjectFault,
    },
    /// The chain breaks off.
    #[error("backup {backup} builds on backup {parent}, which is not here")]
    NoParent {
        /// The incremental backup.
        backup: BackupId,
        /// The backup it needs.
        parent: BackupId,
    },
    /// A backup builds on itself.
    #[error("backup {backup} is its own ancestor")]
    Cycle {
        /// The backup at which the circle closes.
        backup: BackupId,
    },
    /// Who was asked for a parent could not answer.
    #[error("looking for backup {parent}")]
    Resolver {
        /// The parent.
        parent: BackupId,
        /// Why there was no answer.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The image differs from the hashes of its blocks, though each object is whole.
    #[error(
        "object {object}: the block of {length} bytes at offset {offset} has another SHA-256 than recorded"
    )]
    Block {
        /// The `_sha256file` object.
        object: String,
        /// Where the block lies in the volume.
        offset: u64,
        /// Its length.
        length: u64,
    },
    /// A writer was asked for something that the format cannot hold.
    #[error("{0}")]
    BadOptions(&'static str),
    /// The place where the objects lie failed.
    #[error(transparent)]
    Foreign(#[from] ForeignError),
    /// The volume failed.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// It was asked to stop.
    #[error("cancelled")]
    Cancelled,
}

fn at(offset: Option<u64>) -> String {
    offset.map_or_else(String::new, |offset| format!(" at offset {offset}"))
}
