//! Open files of objects that are read in many ranges.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::buffer::spare_capacity;

use crate::StoreError;

/// Most files kept open. A pack that another process deletes holds its space
/// until it falls out of here.
const OPEN_FILES: usize = 32;

/// The least recently used file goes first when a new one needs its place.
#[derive(Debug, Default)]
pub(super) struct Handles {
    /// Least recently used first.
    open: Mutex<Vec<Handle>>,
}

#[derive(Debug, Clone)]
struct Handle {
    name: String,
    file: Arc<File>,
    size: u64,
    /// Device and inode. The inode cannot be given to another file while we hold this one open.
    identity: (u64, u64),
}

impl Handles {
    /// Returns the open file of an object, and its size, opening it where needed.
    ///
    /// A kept file is used only while the name still leads to it, whoever
    /// replaced or removed the object.
    pub(super) fn get(
        &self,
        name: &str,
        path: &Path,
        open: impl FnOnce() -> Result<(File, u64), StoreError>,
    ) -> Result<(Arc<File>, u64), StoreError> {
        if let Some(handle) = self.take(name)
            && fs::metadata(path).is_ok_and(|meta| (meta.dev(), meta.ino()) == handle.identity)
        {
            let (file, size) = (Arc::clone(&handle.file), handle.size);
            self.keep(handle);
            return Ok((file, size));
        }
        self.forget(name);
        let (file, size) = open()?;
        let meta = file.metadata().map_err(|cause| StoreError::Failed {
            name: name.to_owned(),
            cause,
        })?;
        let file = Arc::new(file);
        let identity = (meta.dev(), meta.ino());
        self.keep(Handle {
            name: name.to_owned(),
            file: Arc::clone(&file),
            size,
            identity,
        });
        Ok((file, size))
    }

    /// Closes the file of an object, if it is kept.
    pub(super) fn forget(&self, name: &str) {
        self.lock().retain(|handle| handle.name != name);
    }

    fn take(&self, name: &str) -> Option<Handle> {
        self.lock()
            .iter()
            .find(|handle| handle.name == name)
            .cloned()
    }

    fn keep(&self, handle: Handle) {
        let mut open = self.lock();
        open.retain(|other| other.name != handle.name);
        if open.len() >= OPEN_FILES {
            open.remove(0);
        }
        open.push(handle);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Handle>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads exactly `range` of a file to `bytes`, without zeroing new memory first.
pub(super) fn read_range(file: &File, range: Range<u64>, bytes: &mut Vec<u8>) -> io::Result<()> {
    let wanted = usize::try_from(range.end - range.start)
        .map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
    if bytes.capacity() > wanted {
        // A buffer that was used before. Reading to all of its room would read on past the range.
        bytes.resize(wanted, 0);
        return file.read_exact_at(bytes, range.start);
    }
    bytes.clear();
    bytes.try_reserve_exact(wanted)?;
    while bytes.len() < wanted {
        let missing = wanted - bytes.len();
        let offset = range.start + bytes.len() as u64;
        match rustix::io::pread(file, spare_capacity(bytes), offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            // The allocator may have given more room than was asked for.
            Ok(read) if read > missing => bytes.truncate(wanted),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(cause) => return Err(cause.into()),
        }
    }
    Ok(())
}
