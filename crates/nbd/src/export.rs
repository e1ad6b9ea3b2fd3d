//! What a server serves.

use std::error::Error;
use std::ops::Range;
use std::sync::Arc;

use crate::protocol::{BlockSizes, WireError};

/// Why an export did not do what a client asked for.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// It cannot be written.
    #[error("the export is read-only")]
    ReadOnly,
    /// There is no room.
    #[error("no space left")]
    NoSpace(#[source] Box<dyn Error + Send + Sync>),
    /// What lies behind it failed.
    #[error("the medium failed")]
    Medium(#[source] Box<dyn Error + Send + Sync>),
}

impl ExportError {
    /// Returns what the client is told.
    pub fn wire(&self) -> WireError {
        match self {
            Self::ReadOnly => WireError::PERM,
            Self::NoSpace(_) => WireError::NOSPC,
            Self::Medium(_) => WireError::IO,
        }
    }
}

/// What is known of a stretch without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StretchKind {
    /// May hold anything.
    Data,
    /// Reads as zeroes and takes no room.
    Hole,
}

/// A stretch of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// How many bytes, never 0.
    pub length: u64,
    /// What is known of them.
    pub kind: StretchKind,
}

/// One volume that is served. Ranges were checked before any call; calls come from many
/// threads at once. What one connection has flushed is durable for all.
pub trait Export: Send + Sync {
    /// Returns the size in bytes, which stays.
    fn size(&self) -> u64;

    /// Tells whether writes are taken.
    fn is_writable(&self) -> bool {
        false
    }

    /// Returns the sizes that go well.
    fn block_sizes(&self) -> BlockSizes {
        BlockSizes {
            preferred: 64 << 10,
            ..BlockSizes::default()
        }
    }

    /// Fills `buf` from `offset`.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ExportError>;

    /// Tells what is known of the beginning of a range that is not empty: at least one
    /// stretch, one after the other, none beyond its end.
    fn stretches(&self, range: Range<u64>) -> Result<Vec<Stretch>, ExportError>;

    /// Writes all of `buf` at `offset`.
    fn write_at(&self, _offset: u64, _buf: &[u8]) -> Result<(), ExportError> {
        Err(ExportError::ReadOnly)
    }

    /// Makes a range zero; `room` says whether it may become a hole.
    fn zero(&self, _range: Range<u64>, _room: Room) -> Result<(), ExportError> {
        Err(ExportError::ReadOnly)
    }

    /// Takes note that nobody needs what a range holds.
    fn trim(&self, range: Range<u64>) -> Result<(), ExportError> {
        self.zero(range, Room::Release)
    }

    /// Makes everything that was written durable.
    fn flush(&self) -> Result<(), ExportError> {
        Ok(())
    }
}

/// What becomes of the room of what is made zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// It may be given back.
    Release,
    /// It must stay, so that writing there later cannot fail for want of space.
    Keep,
}

/// All that a server serves.
pub trait Exports: Send + Sync {
    /// Returns the export of that name.
    fn open(&self, name: &str) -> Option<Arc<dyn Export>>;

    /// Returns the names that anyone who asks may know.
    fn names(&self) -> Vec<String>;
}

/// One export, under its name and as the default.
pub struct SingleExport {
    name: String,
    export: Arc<dyn Export>,
}

impl SingleExport {
    /// Serves `export` under `name`.
    pub fn new(name: impl Into<String>, export: Arc<dyn Export>) -> Self {
        Self {
            name: name.into(),
            export,
        }
    }
}

impl Exports for SingleExport {
    fn open(&self, name: &str) -> Option<Arc<dyn Export>> {
        (name.is_empty() || name == self.name).then(|| self.export.clone())
    }

    fn names(&self) -> Vec<String> {
        vec![self.name.clone()]
    }
}
