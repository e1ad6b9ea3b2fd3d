//! Writes a file or a block device.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use emberkeep_model::ByteCount;
use rustix::fs::{FallocateFlags, OFlags};
use rustix::io::Errno;

use super::{Medium, check_range, claim, rename_to_free_name, sync_parent};
use crate::zero::ZEROES;
use crate::{RestoreTarget, TargetState, VolumeError};

/// What every device's and file system's blocks divide.
const ALIGNMENT: usize = 4096;
/// Less goes through the page cache, which gathers it.
const WORTH: usize = 128 << 10;

/// The same file, opened to be written past the page cache: it is written once and made
/// durable at the end, so the cache would cost a copy of every byte and help nobody.
#[derive(Debug)]
struct Direct {
    file: Option<File>,
    /// Some file systems open a file so and refuse to write it.
    refused: AtomicBool,
}

impl Direct {
    fn of(file: &File) -> Self {
        // Not by its path, which may lead elsewhere by now.
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let flags = OFlags::DIRECT | OFlags::NONBLOCK;
        let file = File::options()
            .write(true)
            .custom_flags(flags.bits().cast_signed())
            .open(path);
        Self {
            file: file.ok(),
            refused: AtomicBool::new(false),
        }
    }

    /// Writes as much as can be written so and returns how much that is.
    fn write(&self, offset: u64, buf: &[u8]) -> io::Result<usize> {
        let lies_well = buf.len() >= WORTH
            && buf.len().is_multiple_of(ALIGNMENT)
            && offset.is_multiple_of(ALIGNMENT as u64)
            && buf.as_ptr().align_offset(ALIGNMENT) == 0;
        let Some(file) = self.file.as_ref().filter(|_| lies_well) else {
            return Ok(0);
        };
        let mut written = 0;
        while written < buf.len() && !self.refused.load(Relaxed) {
            match file.write_at(&buf[written..], offset + written as u64) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                // What was cut off in the middle of a block is left to the cache.
                Ok(count) if !count.is_multiple_of(ALIGNMENT) => {
                    return Ok(written + count);
                }
                Ok(count) => written += count,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) if cause.kind() == io::ErrorKind::InvalidInput => {
                    self.refused.store(true, Relaxed);
                }
                Err(cause) => return Err(cause),
            }
        }
        Ok(written)
    }
}

/// A file or block device that a restore writes.
#[derive(Debug)]
pub struct FileTarget {
    file: File,
    direct: Direct,
    what: String,
    medium: Medium,
    size: u64,
    state: TargetState,
    /// Where the file has to go once it is whole; none if it is there already.
    unfinished: Mutex<Option<Unfinished>>,
}

/// A new file that has not got its name yet.
#[derive(Debug)]
struct Unfinished {
    partial: PathBuf,
    place: PathBuf,
}

impl FileTarget {
    /// Makes a new sparse file of `size` bytes.
    ///
    /// It is called `<path>.partial` until [`RestoreTarget::finish`] gives it
    /// its name, and is removed if it is dropped before. What a killed process
    /// left under that name is used again.
    pub fn create_new(path: impl AsRef<Path>, size: ByteCount) -> Result<Self, VolumeError> {
        let place = path.as_ref().to_owned();
        let what = place.display().to_string();
        if place.symlink_metadata().is_ok() {
            return Err(VolumeError::Exists { what });
        }
        let mut partial = place.clone().into_os_string();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let failed = |cause: std::io::Error| {
            // The directory is what is missing, and what whoever asked has named.
            let directory = partial.parent().filter(|one| !one.as_os_str().is_empty());
            match (cause.kind(), directory) {
                (std::io::ErrorKind::NotFound, Some(directory)) if !directory.exists() => {
                    VolumeError::io(format!("the directory {}", directory.display()), cause)
                }
                _ => VolumeError::io(partial.display().to_string(), cause),
            }
        };
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
            .open(&partial)
            .map_err(failed)?;
        if !claim(&file, &partial).map_err(failed)? {
            return Err(VolumeError::Exists {
                what: partial.display().to_string(),
            });
        }
        let target = Self {
            medium: Medium::File,
            size: size.0,
            state: TargetState::Zeroed,
            unfinished: Mutex::new(Some(Unfinished {
                partial: partial.clone(),
                place,
            })),
            what,
            direct: Direct::of(&file),
            file,
        };
        target
            .file
            .set_len(0)
            .and_then(|()| target.file.set_len(size.0))
            .map_err(failed)?;
        Ok(target)
    }

    /// Opens a file or block device that holds data. A device in use, e.g. a
    /// mounted one, is refused.
    pub fn open_existing(path: impl AsRef<Path>) -> Result<Self, VolumeError> {
        let path = path.as_ref();
        Self::open_as(path, path.display().to_string(), TargetState::HoldsData)
    }

    /// Opens it under the name that errors shall give it.
    pub(crate) fn open_as(
        path: &Path,
        what: String,
        state: TargetState,
    ) -> Result<Self, VolumeError> {
        let medium = Medium::of(path, &what)?;
        let failed = |cause| VolumeError::io(&what, cause);
        let flags = match medium {
            Medium::File => OFlags::empty(),
            // Without O_CREAT, O_EXCL asks the kernel whether someone uses the device.
            Medium::Device => OFlags::EXCL,
        };
        let file = File::options()
            .read(true)
            .write(true)
            .custom_flags(flags.bits().cast_signed())
            .open(path)
            .map_err(failed)?;
        let size = medium.size(&file).map_err(failed)?;
        Ok(Self {
            direct: Direct::of(&file),
            file,
            what,
            medium,
            size,
            state,
            unfinished: Mutex::new(None),
        })
    }

    fn failed(&self, cause: io::Error) -> VolumeError {
        VolumeError::io(format!("writing {}", self.what), cause)
    }

    /// Ends a new file where its content does.
    pub(crate) fn cut(&self, end: u64) -> Result<(), VolumeError> {
        self.file.set_len(end).map_err(|cause| self.failed(cause))
    }

    fn write_zeroes(&self, range: Range<u64>) -> io::Result<()> {
        let mut at = range.start;
        while at < range.end {
            let length = usize::try_from(range.end - at)
                .unwrap_or(usize::MAX)
                .min(ZEROES.len());
            self.file.write_all_at(&ZEROES[..length], at)?;
            at += length as u64;
        }
        Ok(())
    }

    /// Gives a new file its name, durably.
    fn name(&self) -> io::Result<()> {
        let mut unfinished = self
            .unfinished
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(new) = &*unfinished {
            rename_to_free_name(&new.partial, &new.place)?;
            let place = new.place.clone();
            *unfinished = None;
            sync_parent(&place)?;
        }
        Ok(())
    }
}

impl RestoreTarget for FileTarget {
    fn size(&self) -> ByteCount {
        ByteCount(self.size)
    }

    fn state(&self) -> TargetState {
        self.state
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), VolumeError> {
        check_range(&self.what, offset, buf.len() as u64, self.size)?;
        self.file
            .read_exact_at(buf, offset)
            .map_err(|cause| VolumeError::io(format!("reading {}", self.what), cause))
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> Result<(), VolumeError> {
        check_range(&self.what, offset, buf.len() as u64, self.size)?;
        self.direct
            .write(offset, buf)
            .and_then(|written| {
                self.file
                    .write_all_at(&buf[written..], offset + written as u64)
            })
            .map_err(|cause| self.failed(cause))
    }

    fn zero(&self, range: Range<u64>) -> Result<(), VolumeError> {
        let length = range.end.saturating_sub(range.start);
        check_range(&self.what, range.start, length, self.size)?;
        if length == 0 {
            return Ok(());
        }
        let punched = match self.medium {
            Medium::File => {
                let how = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                rustix::fs::fallocate(&self.file, how, range.start, length)
            }
            // What a device returns for discarded blocks is its own affair.
            Medium::Device => Err(Errno::OPNOTSUPP),
        };
        match punched {
            Ok(()) => Ok(()),
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INTR) => self.write_zeroes(range),
            Err(cause) => Err(cause.into()),
        }
        .map_err(|cause| self.failed(cause))
    }

    fn finish(&self) -> Result<(), VolumeError> {
        self.file.sync_all().map_err(|cause| self.failed(cause))?;
        self.name().map_err(|cause| match cause.kind() {
            io::ErrorKind::AlreadyExists => VolumeError::Exists {
                what: self.what.clone(),
            },
            _ => self.failed(cause),
        })
    }
}

impl Drop for FileTarget {
    fn drop(&mut self) {
        let unfinished = self
            .unfinished
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(new) = unfinished {
            let _ = fs::remove_file(&new.partial);
        }
    }
}
