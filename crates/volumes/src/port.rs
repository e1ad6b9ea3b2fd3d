//! The ports through which the engine reads and writes volumes.
//!
//! Three roles, so that the end of a snapshot's life is explicit: a
//! [`VolumeProvider`] freezes a volume into a [`SourceSnapshot`], which is read
//! in parallel and then released; a [`RestoreTarget`] is written out of order.
//! All calls block: they run on worker threads, never on an async executor.

use std::ops::Range;
use std::path::Path;

use crate::tree::{TreeReport, TreeTarget};
use emberkeep_model::{ByteCount, SnapshotId, VolumeId};

/// What can go wrong between us and a volume, worded for the task that asked.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// The volume's bytes are not where they should be.
    #[error("{what} does not exist")]
    Missing {
        /// The volume, snapshot or file meant.
        what: String,
    },
    /// Something is there already and would be overwritten.
    #[error("{what} exists already")]
    Exists {
        /// The volume, snapshot or file meant.
        what: String,
    },
    /// The device that holds volumes is full.
    #[error("no space left while writing {what}")]
    NoSpace {
        /// The volume, snapshot or file meant.
        what: String,
    },
    /// A size or range does not fit the volume.
    #[error("{what}: {reason}")]
    OutOfRange {
        /// The volume, snapshot or file meant.
        what: String,
        /// What does not fit, with the figures.
        reason: String,
    },
    /// An image file cannot be understood.
    #[error("{what} cannot be read as {format}: {reason}")]
    BadImage {
        /// The image file.
        what: String,
        /// The format it was read as.
        format: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The operating system refused.
    #[error("{what}: {cause}")]
    Io {
        /// The file and the operation, e.g. `reading volume X`.
        what: String,
        /// The system's answer.
        #[source]
        cause: std::io::Error,
    },
}

impl VolumeError {
    /// Wraps an I/O error, telling a full device apart from the rest.
    pub fn io(what: impl Into<String>, cause: std::io::Error) -> Self {
        let what = what.into();
        match cause.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                Self::NoSpace { what }
            }
            std::io::ErrorKind::NotFound => Self::Missing { what },
            _ => Self::Io { what, cause },
        }
    }
}

/// What a source knows of one stretch of a volume without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtentKind {
    /// May hold anything: read it.
    Data,
    /// Reads as zeroes: do not read it.
    Zero,
    /// The same bytes as in the lineage that was asked about.
    Unchanged,
}

/// One stretch of a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// First byte.
    pub offset: u64,
    /// Length in bytes, never 0.
    pub length: u64,
    /// What is known of it.
    pub kind: ExtentKind,
}

/// How the extents of a source were learnt; stored in the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeSet {
    /// Every data extent has to be read; no extent may be `Unchanged`.
    FullScan {
        /// Why nothing better is known.
        reason: String,
    },
    /// `Unchanged` extents are relative to the lineage that was asked about.
    Since {
        /// The lineage named by the caller.
        lineage: String,
    },
}

/// A volume at one instant, readable by many threads until it is released.
pub trait SourceSnapshot: Send + Sync {
    /// Returns the exact size in bytes.
    fn size(&self) -> ByteCount;

    /// Returns the opaque name of this instant, by which a later run can ask
    /// what has changed since; none where the source keeps no track.
    fn lineage(&self) -> Option<String> {
        None
    }

    /// Returns a name that no other instant of any volume has, if this one can be opened again
    /// as it is: a run that was interrupted then goes on where it stopped.
    fn instant(&self) -> Option<String> {
        self.lineage()
    }

    /// Lists what is known of `range`, in order, without gaps or overlaps,
    /// covering it exactly. `since` is a lineage stored with the parent.
    fn extents(
        &self,
        range: Range<u64>,
        since: Option<&str>,
    ) -> Result<(ChangeSet, Vec<Extent>), VolumeError>;

    /// Fills `buf` from `offset`; never short, callable in parallel.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), VolumeError>;
}

/// What a target holds before the first write. Only [`TargetState::Zeroed`]
/// lets a restore leave zeroes unwritten; there is no other way to skip them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetState {
    /// New: every byte reads as zero.
    Zeroed,
    /// May hold old data everywhere: zeroes must be written.
    HoldsData,
}

/// A volume being written by one restore, out of order and in parallel.
pub trait RestoreTarget: Send + Sync {
    /// Returns the size in bytes; at least that of the backup.
    fn size(&self) -> ByteCount;

    /// Tells what the target held before this restore.
    fn state(&self) -> TargetState;

    /// Reads what the target holds now, so that equal data can be left alone.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), VolumeError>;

    /// Writes all of `buf` at `offset`.
    fn write_at(&self, offset: u64, buf: &[u8]) -> Result<(), VolumeError>;

    /// Makes `range` read as zeroes, releasing its space where it can.
    fn zero(&self, range: Range<u64>) -> Result<(), VolumeError>;

    /// Makes everything written durable. Success may be reported only after it.
    fn finish(&self) -> Result<(), VolumeError>;
}

/// Keeps volumes and snapshots of them. Blocking; safe to call from many threads.
pub trait VolumeProvider: Send + Sync {
    /// Makes an empty, sparse volume that reads as zeroes; durable on return.
    fn create(&self, volume: VolumeId, size: ByteCount) -> Result<(), VolumeError>;

    /// Makes a volume with the bytes of a snapshot, grown to `size`.
    fn create_from_snapshot(
        &self,
        volume: VolumeId,
        snapshot: SnapshotId,
        size: ByteCount,
    ) -> Result<(), VolumeError>;

    /// Makes a volume with the bytes of another, grown to `size`.
    fn create_from_volume(
        &self,
        volume: VolumeId,
        source: VolumeId,
        size: ByteCount,
    ) -> Result<(), VolumeError>;

    /// Grows a volume; the new bytes read as zeroes. Never shrinks.
    fn grow(&self, volume: VolumeId, size: ByteCount) -> Result<(), VolumeError>;

    /// Removes a volume's bytes; a missing one is fine.
    fn delete(&self, volume: VolumeId) -> Result<(), VolumeError>;

    /// Returns the exact size of a volume.
    fn size(&self, volume: VolumeId) -> Result<ByteCount, VolumeError>;

    /// Takes a lasting snapshot; durable on return, harmless when run twice.
    fn snapshot(&self, volume: VolumeId, snapshot: SnapshotId) -> Result<(), VolumeError>;

    /// Removes a snapshot's bytes; a missing one is fine.
    fn delete_snapshot(&self, snapshot: SnapshotId) -> Result<(), VolumeError>;

    /// Opens a lasting snapshot for reading.
    fn open_snapshot(&self, snapshot: SnapshotId) -> Result<Box<dyn SourceSnapshot>, VolumeError>;

    /// Freezes a volume for one run, named by `freeze`; the same name freezes
    /// once, so that a run that starts again reads the same instant.
    fn freeze(
        &self,
        volume: VolumeId,
        freeze: &str,
    ) -> Result<Box<dyn SourceSnapshot>, VolumeError>;

    /// Freezes volumes together, each under a name of its own: all of one instant as far as the
    /// provider can say it, or none of them. A set that is complete already is opened, so that a
    /// run that starts again reads the same instant; an incomplete one is let go and frozen anew.
    fn freeze_together(
        &self,
        volumes: &[(VolumeId, String)],
    ) -> Result<Vec<Box<dyn SourceSnapshot>>, VolumeError> {
        freeze_in_turn(self, volumes)
    }

    /// Writes the tree of files below `root`/`path` as one image under the name `freeze`; the same
    /// name does so once. Nothing is told of a tree that was written before.
    fn freeze_tree(
        &self,
        root: &Path,
        path: &Path,
        freeze: &str,
    ) -> Result<(Box<dyn SourceSnapshot>, TreeReport), VolumeError> {
        let _ = freeze;
        Err(no_trees(&root.join(path)))
    }

    /// Makes room under the name `freeze` for an image of a tree that is to be restored.
    fn tree_image(
        &self,
        freeze: &str,
        size: ByteCount,
    ) -> Result<Box<dyn RestoreTarget>, VolumeError> {
        let _ = size;
        Err(no_trees(Path::new(freeze)))
    }

    /// Makes a directory hold exactly the tree of the image under the name `freeze`.
    fn unpack_tree(&self, freeze: &str, target: &TreeTarget) -> Result<TreeReport, VolumeError> {
        let _ = freeze;
        Err(no_trees(&target.root.join(&target.path)))
    }

    /// Opens what an earlier [`freeze`](Self::freeze) of that name holds, if it was completed.
    fn reopen_freeze(&self, freeze: &str) -> Result<Option<Box<dyn SourceSnapshot>>, VolumeError>;

    /// Lets a freeze go; harmless when run twice.
    fn release(&self, freeze: &str) -> Result<(), VolumeError>;

    /// Lets a freeze go whose backup stands; harmless when run twice. Where the provider can tell
    /// two instants of a volume apart, it keeps this one for as long as it is the last.
    fn release_backed_up(&self, freeze: &str) -> Result<(), VolumeError> {
        self.release(freeze)
    }

    /// Names the freezes that exist, for the janitor.
    fn freezes(&self) -> Result<Vec<String>, VolumeError>;

    /// Opens a volume for writing. `state` is what the caller knows of it.
    fn open_target(
        &self,
        volume: VolumeId,
        state: TargetState,
    ) -> Result<Box<dyn RestoreTarget>, VolumeError>;

    /// Opens a volume for reading as it is now, for export.
    fn open_source(&self, volume: VolumeId) -> Result<Box<dyn SourceSnapshot>, VolumeError>;

    /// Returns the path where the volume's bytes lie, for file-backed ones.
    fn path(&self, volume: VolumeId) -> Option<std::path::PathBuf>;
}

/// Words the refusal of a provider that has no directories to back up.
fn no_trees(path: &Path) -> VolumeError {
    let cause = std::io::Error::new(
        std::io::ErrorKind::Unsupported,
        "this provider keeps no trees of files",
    );
    VolumeError::io(path.display().to_string(), cause)
}

/// Freezes volumes one right after the other; see [`VolumeProvider::freeze_together`].
pub(crate) fn freeze_in_turn<P: VolumeProvider + ?Sized>(
    provider: &P,
    volumes: &[(VolumeId, String)],
) -> Result<Vec<Box<dyn SourceSnapshot>>, VolumeError> {
    let mut frozen = Vec::with_capacity(volumes.len());
    for (_, freeze) in volumes {
        frozen.extend(provider.reopen_freeze(freeze)?);
    }
    if frozen.len() == volumes.len() {
        return Ok(frozen);
    }
    drop(frozen);
    let release = || {
        volumes
            .iter()
            .try_for_each(|(_, freeze)| provider.release(freeze))
    };
    release()?;
    let frozen: Result<Vec<_>, _> = volumes
        .iter()
        .map(|(volume, freeze)| provider.freeze(*volume, freeze))
        .collect();
    if frozen.is_err() {
        release()?;
    }
    frozen
}
