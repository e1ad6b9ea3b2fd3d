//! Free space in the data directory: the low-water mark, and a reserve for the worst day.
//!
//! The reserve is a file of allocated blocks. It is given back when less than a quarter of it is free, so that
//! sign-in, deletion and sweeps have room, and made again once that much is free above the low-water mark.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use emberkeep_service::{Desk, LowSpace, Space, Worker};
use rustix::fs::{FallocateFlags, fallocate, statvfs};

const RESERVE: &str = "reserve";
/// How often the free space is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// The space of the file system with the data directory.
#[derive(Debug)]
pub(crate) struct DiskSpace {
    dir: PathBuf,
    low_water: u64,
    reserve: u64,
}

impl DiskSpace {
    /// Looks after `dir`; sizes are in bytes, 0 for none.
    pub(crate) fn new(dir: &Path, low_water: u64, reserve: u64) -> Self {
        Self {
            dir: dir.to_owned(),
            low_water,
            reserve,
        }
    }

    /// Returns how many bytes this process may still write.
    fn free(&self) -> io::Result<u64> {
        let facts = statvfs(&self.dir)?;
        Ok(facts.f_bavail.saturating_mul(facts.f_frsize))
    }

    /// Gives the reserve back or makes it again, as the free space demands. Cheap: call it often.
    pub(crate) fn keep_reserve(&self) -> io::Result<()> {
        let free = self.free()?;
        let path = self.dir.join(RESERVE);
        let held = path.exists();
        match decide(free, held, self.low_water, self.reserve) {
            Step::Nothing => Ok(()),
            Step::Release => {
                fs::remove_file(&path)?;
                tracing::error!(
                    free_mib = free >> 20,
                    dir = %self.dir.display(),
                    "the disk is full (ENOSPC): the reserve was released; delete backups and sweep, or add space"
                );
                Ok(())
            }
            Step::Make => self.make(&path),
        }
    }

    /// Does so, logs what went wrong, if anything, and returns it.
    fn look(&self) -> Option<String> {
        let error = self.keep_reserve().err()?;
        tracing::warn!(%error, dir = %self.dir.display(), "the reserve could not be looked after");
        Some(format!("the reserve could not be looked after: {error}"))
    }

    fn make(&self, path: &Path) -> io::Result<()> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        let made = fallocate(&file, FallocateFlags::empty(), 0, self.reserve);
        if let Err(error) = made {
            drop(file);
            fs::remove_file(path)?;
            return Err(error.into());
        }
        Ok(())
    }
}

impl Space for DiskSpace {
    fn check(&self) -> Result<(), LowSpace> {
        // Unknown is not low: the write itself will tell.
        match self.free() {
            Ok(free) if free < self.low_water => Err(LowSpace {
                free,
                low_water: self.low_water,
            }),
            _ => Ok(()),
        }
    }
}

/// Keeps the reserve until the service stops.
pub(crate) struct SpaceWatch(pub(crate) Arc<DiskSpace>);

#[async_trait]
impl Worker for SpaceWatch {
    fn name(&self) -> String {
        "disk space".to_owned()
    }

    async fn run(&self, desk: Desk) {
        while !desk.is_stopping() {
            desk.begin();
            let problem = self.0.look();
            desk.end(problem.as_deref());
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = desk.stopped() => return,
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Nothing,
    Release,
    Make,
}

fn decide(free: u64, held: bool, low_water: u64, reserve: u64) -> Step {
    match held {
        true if reserve == 0 || free < reserve / 4 => Step::Release,
        false if reserve > 0 && free >= low_water.saturating_add(reserve) => Step::Make,
        _ => Step::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use emberkeep_service::{Supervisor, SystemClock, WorkerTable};

    use super::*;

    #[test]
    fn the_reserve_comes_and_goes_without_flapping() {
        for (free, held, want) in [
            (1000, false, Step::Make),
            (288, false, Step::Make),
            (287, false, Step::Nothing),
            (256, true, Step::Nothing),
            (8, true, Step::Nothing),
            (7, true, Step::Release),
            (0, true, Step::Release),
            (0, false, Step::Nothing),
            // What was just released does not make it again.
            (39, false, Step::Nothing),
        ] {
            assert_eq!(
                decide(free, held, 256, 32),
                want,
                "{free} free, held: {held}"
            );
        }
        assert_eq!(
            decide(1000, true, 256, 0),
            Step::Release,
            "not wanted any more"
        );
        assert_eq!(decide(1000, false, 256, 0), Step::Nothing);
    }

    #[test]
    fn the_reserve_is_allocated_and_low_water_refuses() {
        let dir = tempfile::tempdir().unwrap();
        let space = DiskSpace::new(dir.path(), 0, 1 << 20);
        space.keep_reserve().unwrap();
        let facts = fs::metadata(dir.path().join(RESERVE)).unwrap();
        assert!(std::os::unix::fs::MetadataExt::blocks(&facts) * 512 >= 1 << 20);
        space.check().unwrap();
        let full = DiskSpace::new(dir.path(), u64::MAX, 0);
        let low = full.check().unwrap_err();
        assert!(low.free < low.low_water);
        full.keep_reserve().unwrap();
        assert!(!dir.path().join(RESERVE).exists());
    }
    #[tokio::test]
    async fn the_worker_counts_its_looks_and_says_what_failed() {
        let dir = tempfile::tempdir().unwrap();
        for (name, path, works) in [
            ("there", dir.path().to_owned(), true),
            ("gone", dir.path().join("gone"), false),
        ] {
            let table = Arc::new(WorkerTable::new(Arc::new(SystemClock)));
            let mut supervisor = Supervisor::new(Arc::clone(&table));
            supervisor.start(SpaceWatch(Arc::new(DiskSpace::new(&path, 0, 0))));
            while table.all().iter().all(|worker| worker.runs == 0) {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            let status = table.all().remove(0);
            assert!(status.last_run.is_some(), "{name}");
            assert_eq!(status.last_error.is_none(), works, "{name}");
            supervisor.stop().await;
        }
    }
}
