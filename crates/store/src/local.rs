//! A store in a local directory: one file for each object.
//!
//! Unfinished files lie in `tmp/` and are renamed into place once they are
//! durable, so whatever stands under an object's name is whole. Directories are
//! made as needed and never removed: removing one would race with a put into it.

mod direct;
mod handles;
mod leftovers;
mod listing;

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, IoSlice, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{CWD, RenameFlags};

use crate::name::{RESERVED, check_name, check_prefix};
use crate::{Listed, ObjectStore, StoreError};
use handles::{Handles, read_range};
use leftovers::{TempNames, remove_leftovers};

/// Keeps objects as files below one directory. Several processes may share it.
#[derive(Debug)]
pub struct LocalStore {
    root: PathBuf,
    temps: TempNames,
    handles: Handles,
    /// Directories whose own entry in their parent is known to be durable. That
    /// one exists is not enough: who made it may not have synced it yet.
    durable_dirs: Mutex<HashSet<PathBuf>>,
}

impl LocalStore {
    /// Opens the store in an existing directory and removes what dead writers left unfinished.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let failed = |cause| failure(&path.display().to_string(), cause);
        let root = path.canonicalize().map_err(failed)?;
        if !fs::metadata(&root).map_err(failed)?.is_dir() {
            return Err(failed(ErrorKind::NotADirectory.into()));
        }
        let temps = TempNames::of_this_process().map_err(failed)?;
        remove_leftovers(&root.join(RESERVED), &temps);
        Ok(Self {
            root,
            temps,
            handles: Handles::default(),
            durable_dirs: Mutex::default(),
        })
    }

    /// Opens the store in a directory that is made if it is missing, with its parents.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        make_root(path).map_err(|cause| failure(&path.display().to_string(), cause))?;
        Self::open(path)
    }

    /// Returns the directory.
    pub fn path(&self) -> &Path {
        &self.root
    }

    fn put_file(&self, name: &str, parts: &[&[u8]], taken: Taken) -> Result<(), StoreError> {
        let tried = match self.try_put_file(name, parts, taken) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => {
                // Someone tidied an empty directory away since we made sure of it.
                self.durable().clear();
                self.try_put_file(name, parts, taken)
            }
            tried => tried,
        };
        tried.map_err(|cause| match cause.kind() {
            // What is not there is the store, not the object.
            ErrorKind::NotFound => StoreError::Failed {
                name: name.to_owned(),
                cause,
            },
            _ => failure(name, cause),
        })
    }

    fn try_put_file(&self, name: &str, parts: &[&[u8]], taken: Taken) -> io::Result<()> {
        let place = self.root.join(name);
        let dir = place.parent().unwrap_or(&self.root);
        let tmp = self.root.join(RESERVED);
        self.make_durable_dir(&tmp)?;
        let temp = Temp::write(tmp.join(self.temps.next()), parts)?;
        self.make_durable_dir(dir)?;
        temp.rename(&place, taken)?;
        temp.keep();
        self.handles.forget(name);
        sync_dir(dir).inspect_err(|_| {
            if taken == Taken::Refuse {
                // Nothing may be left under the name of a put that failed. What
                // a replacing put displaced is gone, so there the new bytes stay.
                let _ = fs::remove_file(&place);
            }
        })
    }

    /// Makes sure that `dir` exists and survives a crash.
    fn make_durable_dir(&self, dir: &Path) -> io::Result<()> {
        /// More directories than a repository has in one project; forgetting costs a sync, no more.
        const REMEMBERED: usize = 4096;
        if dir == self.root || self.durable().contains(dir) {
            return Ok(());
        }
        let parent = dir.parent().unwrap_or(&self.root);
        self.make_durable_dir(parent)?;
        match fs::DirBuilder::new().mode(0o700).create(dir) {
            Err(cause) if cause.kind() != ErrorKind::AlreadyExists => return Err(cause),
            _ => sync_dir(parent)?,
        }
        let mut known = self.durable();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(dir.to_owned());
        Ok(())
    }

    fn durable(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.durable_dirs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl ObjectStore for LocalStore {
    fn put_if_absent(&self, name: &str, parts: &[&[u8]]) -> Result<(), StoreError> {
        check_name(name)?;
        let taken = StoreError::AlreadyExists {
            name: name.to_owned(),
        };
        let put = match self.head(name)? {
            Some(_) => Err(taken),
            None => self.put_file(name, parts, Taken::Refuse),
        };
        if matches!(put, Err(StoreError::AlreadyExists { .. })) {
            // The loser of a race builds on the winner's object as soon as we
            // answer, and the winner may not have synced it yet.
            let place = self.root.join(name);
            sync_dir(place.parent().unwrap_or(&self.root)).map_err(|cause| failure(name, cause))?;
        }
        put
    }

    fn put(&self, name: &str, parts: &[&[u8]]) -> Result<(), StoreError> {
        check_name(name)?;
        self.put_file(name, parts, Taken::Replace)
    }

    fn get(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        check_name(name)?;
        let (file, size) = self.open_object(name)?;
        let mut bytes = Vec::new();
        read_range(&file, 0..size, &mut bytes).map_err(|cause| failure(name, cause))?;
        Ok(bytes)
    }

    fn get_range(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        let mut bytes = Vec::new();
        self.get_range_into(name, range, &mut bytes)?;
        Ok(bytes)
    }

    fn get_range_into(
        &self,
        name: &str,
        range: Range<u64>,
        into: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        check_name(name)?;
        let (file, size) = self
            .handles
            .get(name, &self.root.join(name), || self.open_object(name))?;
        if range.start > range.end || range.end > size {
            let (name, Range { start, end }) = (name.to_owned(), range);
            return Err(StoreError::OutOfRange {
                name,
                size,
                start,
                end,
            });
        }
        read_range(&file, range, into).map_err(|cause| failure(name, cause))
    }

    fn head(&self, name: &str) -> Result<Option<u64>, StoreError> {
        check_name(name)?;
        match fs::metadata(self.root.join(name)) {
            Ok(meta) => Ok(meta.is_file().then_some(meta.len())),
            Err(cause) if is_absence(&cause) => self.check_root(name).map(|()| None),
            Err(cause) => Err(failure(name, cause)),
        }
    }

    fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Listed>, StoreError> {
        check_prefix(prefix)?;
        let found = listing::list(&self.root, prefix, after, limit)?;
        if found.is_empty() {
            self.check_root(prefix)?;
        }
        Ok(found)
    }

    fn delete_many(&self, names: &[String]) -> Result<(), StoreError> {
        names.iter().try_for_each(|name| check_name(name))?;
        let mut touched: Vec<(PathBuf, &str)> = Vec::new();
        let mut first_failure = None;
        for name in names {
            let place = self.root.join(name);
            self.handles.forget(name);
            match fs::remove_file(&place) {
                Err(cause) if !is_absence(&cause) => {
                    first_failure.get_or_insert_with(|| failure(name, cause));
                }
                // Also where it was missing: who removed it may not have synced yet.
                _ => touched.extend(place.parent().map(|dir| (dir.to_owned(), name.as_str()))),
            }
        }
        touched.sort();
        touched.dedup_by(|a, b| a.0 == b.0);
        for (dir, name) in touched {
            match sync_dir(&dir) {
                Err(cause) if !is_absence(&cause) => {
                    first_failure.get_or_insert_with(|| failure(name, cause));
                }
                _ => {}
            }
        }
        first_failure.map_or(Ok(()), Err)
    }

    fn gap(&self) -> u64 {
        // A call costs what copying this much does.
        16 << 10
    }

    fn scratch(&self) -> Option<PathBuf> {
        Some(self.root.join(RESERVED))
    }

    fn describe(&self) -> String {
        self.root.display().to_string()
    }
}

impl LocalStore {
    fn open_object(&self, name: &str) -> Result<(File, u64), StoreError> {
        let absent = || match self.check_root(name) {
            Ok(()) => StoreError::NotFound {
                name: name.to_owned(),
            },
            Err(error) => error,
        };
        let failed = |cause| {
            if is_absence(&cause) {
                absent()
            } else {
                failure(name, cause)
            }
        };
        let file = File::open(self.root.join(name)).map_err(failed)?;
        let meta = file.metadata().map_err(failed)?;
        if meta.is_file() {
            Ok((file, meta.len()))
        } else {
            Err(absent())
        }
    }

    /// Fails where the whole store is gone, lest its objects are taken for deleted.
    fn check_root(&self, name: &str) -> Result<(), StoreError> {
        match fs::metadata(&self.root) {
            Ok(_) => Ok(()),
            Err(cause) => Err(StoreError::Failed {
                name: name.to_owned(),
                cause,
            }),
        }
    }
}

/// What a put does where the name is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    Refuse,
    Replace,
}

/// An unfinished file, removed unless it is kept.
struct Temp {
    path: PathBuf,
    kept: bool,
}

impl Temp {
    /// Writes a file of `parts` and makes its bytes durable.
    fn write(path: PathBuf, parts: &[&[u8]]) -> io::Result<Self> {
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        let temp = Self { path, kept: false };
        let (first, rest) = parts
            .split_first()
            .map_or((&[][..], parts), |(a, b)| (*a, b));
        let written = direct::write_start(&temp.path, first)?;
        file.seek(SeekFrom::Start(written as u64))?;
        write_parts(&mut file, &[&first[written..]])?;
        write_parts(&mut file, rest)?;
        file.sync_all()?;
        Ok(temp)
    }

    fn rename(&self, place: &Path, taken: Taken) -> io::Result<()> {
        if taken == Taken::Replace {
            return fs::rename(&self.path, place);
        }
        match rustix::fs::renameat_with(CWD, &self.path, CWD, place, RenameFlags::NOREPLACE) {
            // Not every file system can: NFS, for one. A link never replaces either.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                fs::hard_link(&self.path, place)?;
                // The object is in place; a second name in `tmp` does no harm
                // and goes with the next start.
                let _ = fs::remove_file(&self.path);
                Ok(())
            }
            other => Ok(other?),
        }
    }

    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn write_parts(file: &mut File, parts: &[&[u8]]) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = parts
        .iter()
        .filter(|part| !part.is_empty())
        .map(|part| IoSlice::new(part))
        .collect();
    let mut left = slices.as_mut_slice();
    while !left.is_empty() {
        match file.write_vectored(left) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut left, written),
            Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(())
}

/// Makes the store's own directory, and its entry in its parents, durable.
fn make_root(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let path = std::path::absolute(path)?;
    if let Some(parent) = path.parent() {
        make_root(parent)?;
        match fs::DirBuilder::new().mode(0o700).create(&path) {
            Err(cause) if cause.kind() != ErrorKind::AlreadyExists => return Err(cause),
            _ => sync_dir(parent)?,
        }
    }
    Ok(())
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Tells whether the error means that the name is not there.
fn is_absence(cause: &io::Error) -> bool {
    matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Words a system error for the caller.
fn failure(name: &str, cause: io::Error) -> StoreError {
    let name = name.to_owned();
    match cause.kind() {
        ErrorKind::NotFound => StoreError::NotFound { name },
        ErrorKind::AlreadyExists => StoreError::AlreadyExists { name },
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::NoSpace { name },
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            StoreError::Denied { name, cause }
        }
        _ => StoreError::Failed { name, cause },
    }
}

#[cfg(test)]
mod tests;
