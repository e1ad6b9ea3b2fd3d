//! Volumes that lie in a file or on a block device.

mod copy;
mod frozen;
mod source;
mod target;

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::fs::{CWD, FlockOperation, RenameFlags, SeekFrom};

use crate::VolumeError;

pub(crate) use copy::{Copied, copy_sparse};
pub(crate) use frozen::{clone_of, mark_clone};
pub use source::FileSource;
pub(crate) use source::data_and_holes;
pub use target::FileTarget;

/// Where a volume's bytes may lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Medium {
    /// A regular file.
    File,
    /// A block device.
    Device,
}

impl Medium {
    /// Tells what `path` is before it is opened, since opening a pipe waits.
    pub(crate) fn of(path: &Path, what: &str) -> Result<Self, VolumeError> {
        let meta = fs::metadata(path).map_err(|cause| VolumeError::io(what, cause))?;
        Self::of_metadata(&meta).ok_or_else(|| {
            let reason = "it is neither a file nor a block device";
            let cause = io::Error::new(io::ErrorKind::InvalidInput, reason);
            VolumeError::io(what, cause)
        })
    }

    fn of_metadata(meta: &Metadata) -> Option<Self> {
        if meta.is_file() {
            Some(Self::File)
        } else {
            meta.file_type().is_block_device().then_some(Self::Device)
        }
    }

    /// Returns the exact size; the metadata of a device has none.
    fn size(self, file: &File) -> io::Result<u64> {
        match self {
            Self::File => Ok(file.metadata()?.len()),
            Self::Device => Ok(rustix::fs::seek(file, SeekFrom::End(0))?),
        }
    }
}

/// Refuses what reaches beyond `size`; returns where it ends.
pub(crate) fn check_range(
    what: &str,
    offset: u64,
    length: u64,
    size: u64,
) -> Result<u64, VolumeError> {
    offset
        .checked_add(length)
        .filter(|end| *end <= size)
        .ok_or_else(|| VolumeError::OutOfRange {
            what: what.to_owned(),
            reason: format!("{length} bytes at {offset} reach beyond its {size} bytes"),
        })
}

/// Makes the entries of a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Makes the entry of `path` in its directory durable.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => sync_dir(dir),
        _ => sync_dir(Path::new(".")),
    }
}

/// Renames a file, failing with `AlreadyExists` where the new name is taken.
pub(crate) fn rename_to_free_name(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system can: NFS, for one. A link never replaces either.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            fs::hard_link(from, to)?;
            fs::remove_file(from)
        }
        other => Ok(other?),
    }
}

/// Locks a file that is being written, and tells whether it still has its name.
///
/// The lock goes with the writer, so a file under an unfinished name that can
/// be locked is left over. It may have been renamed or removed before we got
/// the lock, hence the second look.
pub(crate) fn claim(file: &File, path: &Path) -> io::Result<bool> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok(false),
        other => other?,
    }
    let ours = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (ours.dev(), ours.ino())),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(cause) => Err(cause),
    }
}

#[cfg(test)]
mod tests;
