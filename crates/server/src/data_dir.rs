//! The data directory: one process at a time, private to its owner.
//!
//! `lock` names the process that has it; `catalogue.db`, `repository/`, `volumes/`,
//! `snapshots/`, `frozen/`, `master.key` and `clouds.yaml` are what it keeps.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// It cannot be made or written.
    #[error(
        "the data directory {path} cannot be used; it must be a directory that this user may write"
    )]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// The system's answer.
        #[source]
        cause: io::Error,
    },
    /// Another process has it.
    #[error(
        "the data directory {path} is in use by another emberkeep process ({holder}); stop that one first"
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Who has it.
        holder: String,
    },
}

/// A data directory that this process has to itself until it is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the directory if need be and takes it.
    pub fn take(path: &Path) -> Result<Self, DataDirError> {
        let unusable = |cause| DataDirError::Unusable {
            path: path.to_owned(),
            cause,
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(unusable)?;
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join("lock"))
            .map_err(unusable)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                // Only for the message: what cannot be read stays unsaid.
                lock.read_to_string(&mut holder).unwrap_or_default();
                let holder = match holder.trim() {
                    "" => "unknown".to_owned(),
                    pid => format!("process {pid}"),
                };
                return Err(DataDirError::InUse {
                    path: path.to_owned(),
                    holder,
                });
            }
            Err(errno) => return Err(unusable(errno.into())),
        }
        let note = |lock: &mut File| -> io::Result<()> {
            lock.set_len(0)?;
            lock.rewind()?;
            writeln!(lock, "{}", std::process::id())
        };
        note(&mut lock).map_err(unusable)?;
        let path = fs::canonicalize(path).map_err(unusable)?;
        Ok(Self { path, _lock: lock })
    }

    /// Returns the directory's absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file that only the owner may read, whole or not at all.
    pub fn write_private(&self, name: &str, text: &str) -> Result<(), DataDirError> {
        let target = self.path.join(name);
        let temporary = self.path.join(format!(".{name}.new"));
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&temporary)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, &target)?;
            File::open(&self.path)?.sync_all()
        };
        write().map_err(|cause| DataDirError::Unusable {
            path: target.clone(),
            cause,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_second_taker_is_refused_and_told_who_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataDir::take(dir.path()).unwrap();
        match DataDir::take(dir.path()) {
            Err(DataDirError::InUse { holder, .. }) => {
                assert_eq!(holder, format!("process {}", std::process::id()));
            }
            other => panic!("{other:?}"),
        }
        drop(first);
        DataDir::take(dir.path()).unwrap();
    }

    #[test]
    fn a_file_in_its_place_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "x").unwrap();
        assert!(matches!(
            DataDir::take(&path),
            Err(DataDirError::Unusable { .. })
        ));
    }

    #[test]
    fn private_files_are_private() {
        let dir = tempfile::tempdir().unwrap();
        let taken = DataDir::take(dir.path()).unwrap();
        taken.write_private("clouds.yaml", "a").unwrap();
        taken.write_private("clouds.yaml", "b").unwrap();
        let path = dir.path().join("clouds.yaml");
        assert_eq!(fs::read_to_string(&path).unwrap(), "b");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}
