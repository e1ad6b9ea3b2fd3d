//! Files that have not got their name yet.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use emberkeep_model::ByteCount;

use crate::file::{check_range, claim, rename_to_free_name, sync_parent};
use crate::zero::data_runs;
use crate::{ExtentKind, SourceSnapshot, VolumeError};

/// Bytes read at once while copying; a bound on memory.
const STEP_BYTES: u64 = 1 << 20;

/// Bytes whose extents are asked for at once, so that a fragmented source cannot fill the memory.
const EXTENTS_STEP_BYTES: u64 = 1 << 30;

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A file being written, removed unless it is completed.
#[derive(Debug)]
pub(super) struct Unfinished {
    file: File,
    path: PathBuf,
    place: PathBuf,
    what: String,
    completed: bool,
}

impl Unfinished {
    /// Makes an empty file in `dir` that shall go to `place`.
    pub(super) fn create(dir: &Path, place: PathBuf, what: String) -> Result<Self, VolumeError> {
        loop {
            let count = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = dir.join(format!("{}.{count}", std::process::id()));
            let made = File::options()
                .read(true)
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path);
            let claimed = made.and_then(|file| Ok(claim(&file, &path)?.then_some(file)));
            match claimed {
                Ok(Some(file)) => {
                    return Ok(Self {
                        file,
                        path,
                        place,
                        what,
                        completed: false,
                    });
                }
                // Someone cleaned up between our making it and our claiming it.
                Ok(None) => {}
                // Left by a process of our id, or one of another container.
                Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {}
                Err(cause) => return Err(VolumeError::io(what, cause)),
            }
        }
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Makes the bytes durable, then gives the file its name, durably.
    pub(super) fn complete(mut self) -> Result<(), VolumeError> {
        let failed = |cause: std::io::Error| match cause.kind() {
            ErrorKind::AlreadyExists => VolumeError::Exists {
                what: self.what.clone(),
            },
            _ => VolumeError::io(&self.what, cause),
        };
        self.file.sync_all().map_err(failed)?;
        rename_to_free_name(&self.path, &self.place).map_err(failed)?;
        let synced = sync_parent(&self.place).map_err(failed);
        self.completed = true;
        synced
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.completed {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes files in `dir` that nobody is writing. What cannot be removed takes
/// room and does no harm, so nothing here is an error.
pub(super) fn remove_leftovers(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        let is_left_over = File::open(&path).and_then(|file| claim(&file, &path));
        if is_left_over.is_ok_and(|left| left) {
            let _ = fs::remove_file(&path);
        }
    }
}

/// A volume being written, which exists once it is finished.
#[derive(Debug)]
pub struct NewVolume {
    unfinished: Unfinished,
    size: ByteCount,
}

impl NewVolume {
    pub(super) fn begin(unfinished: Unfinished, size: ByteCount) -> Result<Self, VolumeError> {
        let sized = unfinished.file.set_len(size.0);
        sized.map_err(|cause| VolumeError::io(&unfinished.what, cause))?;
        Ok(Self { unfinished, size })
    }

    /// Returns the size in bytes.
    pub fn size(&self) -> ByteCount {
        self.size
    }

    /// Writes all of `buf` at `offset`; what is never written reads as zero.
    pub fn write_at(&self, offset: u64, buf: &[u8]) -> Result<(), VolumeError> {
        let what = &self.unfinished.what;
        check_range(what, offset, buf.len() as u64, self.size.0)?;
        let wrote = self.unfinished.file.write_all_at(buf, offset);
        wrote.map_err(|cause| VolumeError::io(format!("writing {what}"), cause))
    }

    /// Makes the volume, durably.
    pub fn finish(self) -> Result<(), VolumeError> {
        self.unfinished.complete()
    }

    /// Copies what a source holds other than zeroes.
    pub(super) fn copy_from(&self, source: &dyn SourceSnapshot) -> Result<(), VolumeError> {
        let size = source.size().0;
        let mut buf = Vec::new();
        let mut at = 0;
        while at < size {
            let end = size.min(at + EXTENTS_STEP_BYTES);
            let (_, extents) = source.extents(at..end, None)?;
            for extent in extents
                .iter()
                .filter(|extent| extent.kind != ExtentKind::Zero)
            {
                self.copy_extent(
                    source,
                    extent.offset..extent.offset + extent.length,
                    &mut buf,
                )?;
            }
            at = end;
        }
        Ok(())
    }

    fn copy_extent(
        &self,
        source: &dyn SourceSnapshot,
        range: std::ops::Range<u64>,
        buf: &mut Vec<u8>,
    ) -> Result<(), VolumeError> {
        let mut at = range.start;
        while at < range.end {
            let length = STEP_BYTES.min(range.end - at);
            buf.resize(usize::try_from(length).unwrap_or_default(), 0);
            source.read_at(at, buf)?;
            for run in data_runs(buf) {
                self.write_at(at + run.start as u64, &buf[run])?;
            }
            at += length;
        }
        Ok(())
    }
}
