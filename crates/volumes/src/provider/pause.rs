//! Keeps writers away from several volume files while they are frozen together.
//!
//! A file has no way to pause whoever writes it, so this is an agreement: an advisory lock
//! (`flock`) on each volume's file, held exclusively from before the first of them is frozen until
//! after the last. A writer that holds a shared lock on its volumes' files while it writes what
//! belongs together finds all of it or none of it in the backup. For one that takes no lock the
//! freezes are merely made one right after the other, before anything is copied: reflinks within
//! milliseconds of each other, where the file system has them; whole copies in turn elsewhere.

use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long we wait for writers in all. One that never lets go, because it holds its lock for
/// another purpose, must not keep backups from being made.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often we look.
const LOOK: Duration = Duration::from_millis(5);

/// The locks; dropped, writers go on.
#[derive(Debug)]
pub(super) struct Paused {
    _files: Vec<File>,
}

impl Paused {
    /// Waits for the writers of all files, in the order of their names, so that two who do this
    /// do not wait for each other. A file that cannot be opened fails when it is frozen.
    pub(super) fn take(paths: &[PathBuf]) -> Self {
        let mut paths = paths.to_vec();
        paths.sort();
        paths.dedup();
        let until = Instant::now() + PATIENCE;
        let files = paths.iter().filter_map(|path| File::open(path).ok());
        let files = files.filter(|file| is_ours(file, until)).collect();
        Self { _files: files }
    }
}

fn is_ours(file: &File, until: Instant) -> bool {
    loop {
        match file.try_lock() {
            Ok(()) => return true,
            Err(TryLockError::Error(_)) => return false,
            Err(TryLockError::WouldBlock) if Instant::now() >= until => return false,
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOOK),
        }
    }
}
