//! What quickstart tells while it works.

use std::path::Path;
use std::time::Instant;

use emberkeep_model::ByteCount;

use super::image::WorkDir;
use crate::error::CliError;
use crate::output::print;
use crate::repo::ratio;

/// The steps told so far, and what has to be cleaned up when they are over.
pub(super) struct Story {
    steps: u32,
    begun: Instant,
    work: Option<WorkDir>,
}

impl Story {
    /// Says what is going to happen.
    pub(super) fn begin() -> Result<Self, CliError> {
        print(
            "emberkeep quickstart: back up a disk, change it, bring it back, compare every byte\n\n",
        )?;
        Ok(Self {
            steps: 0,
            begun: Instant::now(),
            work: None,
        })
    }

    /// Keeps a directory until the end.
    pub(super) fn keep(&mut self, work: WorkDir) {
        self.work = Some(work);
    }

    /// Tells of a step that is done.
    pub(super) fn step(&mut self, what: &str, words: &str, begun: Instant) -> Result<(), CliError> {
        self.steps += 1;
        let seconds = begun.elapsed().as_secs_f64();
        print(&format!(
            "{:>2}  {what:<11} {words}  ({seconds:.1} s)\n",
            self.steps
        ))
    }

    /// Sums up.
    pub(super) fn end(&mut self, volumes: u64, data: u64, stored: u64) -> Result<(), CliError> {
        self.work = None;
        print(&format!(
            "\ndone in {:.1} s: 2 restore points of {} in all, {} of it data, take {} ({} of the data)\n",
            self.begun.elapsed().as_secs_f64(),
            ByteCount(volumes),
            ByteCount(data),
            ByteCount(stored),
            ratio(data, stored),
        ))
    }

    /// Says how to go on with the service that is left running.
    pub(super) fn leave_running(&self, url: &str, data_dir: &Path) -> Result<(), CliError> {
        let dir = data_dir.display();
        print(&format!(
            "\nThe service goes on until Ctrl-C.\n\
             \n  console    {url}/console   (user and password: {dir}/clouds.yaml)\n  \
             openstack  OS_CLIENT_CONFIG_FILE={dir}/clouds.yaml OS_CLOUD=emberkeep openstack volume backup list\n  \
             emberkeep  emberkeep --data-dir {dir} backup list\n"
        ))
    }
}

/// Says something between steps.
pub(super) fn note(words: &str) -> Result<(), CliError> {
    print(&format!("    {words}\n"))
}
