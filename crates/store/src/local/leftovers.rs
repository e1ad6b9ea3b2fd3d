//! Names of unfinished files, which tell whether their writer still lives.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// Age at which a file of a writer that we cannot see is taken for left over.
///
/// Such a writer ran before a reboot, or runs in another container or on
/// another machine. Should it live after all, its put fails and harms nothing.
const UNSEEN_WRITER_AGE: Duration = Duration::from_secs(60 * 60);

/// Tells the files of one process apart, across all stores that it has open.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// The names of this process's unfinished files: `<boot>.<pid namespace>.<pid>.<start>.<count>`.
#[derive(Debug)]
pub(super) struct TempNames {
    /// Boot id and pid namespace: where a process id means something.
    pub(super) realm: String,
    process: String,
}

impl TempNames {
    pub(super) fn of_this_process() -> io::Result<Self> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        let namespace = fs::metadata("/proc/self/ns/pid")?.ino();
        let pid = std::process::id();
        let start = start_of(pid)?.unwrap_or_default();
        Ok(Self {
            realm: format!("{}.{namespace}", boot.trim()),
            process: format!("{pid}.{start}"),
        })
    }

    pub(super) fn next(&self) -> String {
        let count = NEXT.fetch_add(1, Ordering::Relaxed);
        format!("{}.{}.{count}", self.realm, self.process)
    }

    /// Tells whether the writer of the file is sure to be gone; none where we cannot see.
    fn is_dead(&self, name: &str) -> Option<bool> {
        let process = name.strip_prefix(&self.realm)?.strip_prefix('.')?;
        let mut fields = process.split('.');
        let pid = fields.next()?.parse().ok()?;
        let start: u64 = fields.next()?.parse().ok()?;
        let now = start_of(pid).ok()?;
        Some(now != Some(start))
    }
}

/// Returns when a process started, in clock ticks since boot; none if there is no such process.
fn start_of(pid: u32) -> io::Result<Option<u64>> {
    let stat = match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(cause),
    };
    // The second field is the program's name in brackets and may hold anything;
    // the start time is the 22nd, so the 20th after the bracket.
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let start = after_name
        .split_whitespace()
        .nth(19)
        .and_then(|field| field.parse().ok());
    start
        .map(Some)
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Removes files in `tmp` whose writers are gone. What cannot be removed takes
/// room and does no harm, so nothing here is an error.
pub(super) fn remove_leftovers(tmp: &Path, names: &TempNames) {
    let Ok(entries) = fs::read_dir(tmp) else {
        return;
    };
    for entry in entries.flatten() {
        let is_left_over = match entry
            .file_name()
            .to_str()
            .and_then(|name| names.is_dead(name))
        {
            Some(dead) => dead,
            None => entry
                .metadata()
                .and_then(|meta| meta.modified())
                .is_ok_and(is_old),
        };
        if is_left_over {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn is_old(modified: SystemTime) -> bool {
    modified.elapsed().is_ok_and(|age| age > UNSEEN_WRITER_AGE)
}
