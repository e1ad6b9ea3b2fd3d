//! Repositories in directories: those of the `posix`, `nfs` and `glusterfs` drivers, and
//! buckets whose objects were copied to files.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rustix::fs::{CWD, OFlags, RenameFlags};

use crate::error::ForeignError;
use crate::names::check_path;
use crate::port::{ForeignObjects, ForeignSink, SinkObject};

/// The modes that Cinder gives, whatever the umask says.
const FILE_MODE: u32 = 0o660;
const DIRECTORY_MODE: u32 = 0o770;

/// What a file is called until it is whole. It must not begin like any backup's objects do.
const UNFINISHED: &str = ".emberkeep-unfinished-";

/// A directory whose subdirectories are containers.
///
/// Whatever names say, nothing outside of it is read or written: symbolic links that lead
/// out of it are refused.
#[derive(Debug, Clone)]
pub struct DirectoryRepository {
    root: PathBuf,
}

impl DirectoryRepository {
    /// Opens the directory that Cinder's `backup_posix_path` names, or a mounted share.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ForeignError> {
        let path = path.as_ref();
        let failed = |cause| ForeignError::io(path.display().to_string(), cause);
        let root = path.canonicalize().map_err(failed)?;
        if !root.is_dir() {
            return Err(failed(io::ErrorKind::NotADirectory.into()));
        }
        Ok(Self { root })
    }

    /// Returns the directory.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Returns the directory and the file name of an object; the directory may be missing.
    fn place(&self, container: &str, name: &str) -> Result<(PathBuf, String), ForeignError> {
        let shown = shown(container, name);
        let refused = |reason| ForeignError::BadName {
            name: shown.clone(),
            reason,
        };
        check_path(&shown).map_err(refused)?;
        let (dir, file) = shown.rsplit_once('/').unwrap_or(("", &shown));
        let dir = self.root.join(dir);
        // The part of the path that exists decides where it leads.
        let existing = dir.ancestors().find_map(|dir| dir.canonicalize().ok());
        if existing.is_some_and(|dir| !dir.starts_with(&self.root)) {
            return Err(refused("a symbolic link in it leads out of the repository"));
        }
        Ok((dir, file.to_owned()))
    }
}

fn shown(container: &str, name: &str) -> String {
    if container.is_empty() {
        name.to_owned()
    } else {
        format!("{container}/{name}")
    }
}

impl ForeignObjects for DirectoryRepository {
    fn list(
        &self,
        container: &str,
        prefix: &str,
        each: &mut dyn FnMut(&str, u64),
    ) -> Result<(), ForeignError> {
        let (dir, file_prefix) = self.place(container, prefix)?;
        let failed = |cause| ForeignError::io(dir.display().to_string(), cause);
        let entries = match fs::read_dir(&dir) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(failed)?,
        };
        let above = prefix.strip_suffix(&file_prefix).unwrap_or("");
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| name.starts_with(&file_prefix)) else {
                continue;
            };
            match entry.metadata() {
                Ok(meta) if meta.is_file() => each(&format!("{above}{name}"), meta.len()),
                Ok(_) => {}
                // Removed since the directory was read.
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
                Err(cause) => return Err(failed(cause)),
            }
        }
        Ok(())
    }

    fn open(&self, container: &str, name: &str) -> Result<Box<dyn Read + Send>, ForeignError> {
        let (dir, file) = self.place(container, name)?;
        let failed = |cause| ForeignError::io(shown(container, name), cause);
        // Without waiting for the other end of a pipe.
        let file = File::options()
            .read(true)
            .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
            .open(dir.join(file))
            .map_err(failed)?;
        if !file.metadata().map_err(failed)?.is_file() {
            let cause = io::Error::new(io::ErrorKind::InvalidInput, "it is not a file");
            return Err(failed(cause));
        }
        Ok(Box::new(file))
    }
}

impl ForeignSink for DirectoryRepository {
    fn create(&self, container: &str, name: &str) -> Result<Box<dyn SinkObject>, ForeignError> {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let (dir, file) = self.place(container, name)?;
        let failed = |cause| ForeignError::io(shown(container, name), cause);
        make_directories(&self.root, &dir).map_err(failed)?;
        let place = dir.join(file);
        if place.symlink_metadata().is_ok() {
            return Err(failed(io::ErrorKind::AlreadyExists.into()));
        }
        let serial = SERIAL.fetch_add(1, Relaxed);
        let unfinished = dir.join(format!("{UNFINISHED}{}-{serial}", std::process::id()));
        // What stands there is of a dead process that had our number.
        let _ = fs::remove_file(&unfinished);
        let file = File::create_new(&unfinished).map_err(failed)?;
        let object = DirectoryObject {
            file,
            unfinished: Some(unfinished),
            place,
        };
        object
            .file
            .set_permissions(Permissions::from_mode(FILE_MODE))
            .map_err(failed)?;
        Ok(Box::new(object))
    }

    fn remove(&self, container: &str, name: &str) -> Result<(), ForeignError> {
        let (dir, file) = self.place(container, name)?;
        match fs::remove_file(dir.join(file)) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                Err(ForeignError::io(shown(container, name), cause))
            }
            _ => Ok(()),
        }
    }
}

/// Makes `dir` and what is missing above it, durably.
fn make_directories(root: &Path, dir: &Path) -> io::Result<()> {
    if dir.is_dir() || dir == root {
        return Ok(());
    }
    let parent = dir.parent().unwrap_or(root);
    make_directories(root, parent)?;
    match DirBuilder::new().mode(DIRECTORY_MODE).create(dir) {
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        other => other?,
    }
    fs::set_permissions(dir, Permissions::from_mode(DIRECTORY_MODE))?;
    sync_directory(parent)
}

fn sync_directory(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// A file under an unfinished name.
struct DirectoryObject {
    file: File,
    unfinished: Option<PathBuf>,
    place: PathBuf,
}

impl Write for DirectoryObject {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.file.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl SinkObject for DirectoryObject {
    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.file.sync_all()?;
        if let Some(unfinished) = &self.unfinished {
            rename_to_free_name(unfinished, &self.place)?;
            self.unfinished = None;
        }
        self.place.parent().map_or(Ok(()), sync_directory)
    }
}

/// Renames a file, failing with `AlreadyExists` where the new name is taken.
fn rename_to_free_name(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system can: NFS, for one. A link never replaces either.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            fs::hard_link(from, to)?;
            fs::remove_file(from)
        }
        other => Ok(other?),
    }
}

impl Drop for DirectoryObject {
    fn drop(&mut self) {
        if let Some(unfinished) = &self.unfinished {
            let _ = fs::remove_file(unfinished);
        }
    }
}
