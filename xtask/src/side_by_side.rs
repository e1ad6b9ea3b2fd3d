//! Programs run side by side: a few at a time, the longest first, the output of each shown whole when it ends.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::process::{say, show};

/// What a job shares with others while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    /// Runs beside any other.
    Machine,
    /// Runs beside any other that does not name the same thing.
    But(&'static str),
    /// Judges what the whole machine shows (times, memory): runs by itself.
    Nothing,
}

/// A program to run.
pub(crate) struct Job {
    pub(crate) name: String,
    /// How long it takes by itself, in seconds, as measured once: only the order depends on it.
    pub(crate) secs: u32,
    pub(crate) share: Share,
    pub(crate) command: Command,
}

/// How a job ended.
pub(crate) struct Ended {
    pub(crate) name: String,
    pub(crate) took: Duration,
    /// The lines on its standard output and standard error.
    pub(crate) lines: Vec<String>,
    pub(crate) well: bool,
}

/// What waits and what runs.
struct Queue {
    waiting: Vec<Job>,
    running: Vec<Share>,
}

impl Queue {
    /// Takes the first job that may begin now.
    fn next(&mut self, places: usize) -> Option<Job> {
        if self.running.len() >= places || self.running.contains(&Share::Nothing) {
            return None;
        }
        let taken: BTreeSet<&str> = self
            .running
            .iter()
            .filter_map(|share| match share {
                Share::But(thing) => Some(*thing),
                Share::Machine | Share::Nothing => None,
            })
            .collect();
        let at = self.waiting.iter().position(|job| match job.share {
            Share::Machine => true,
            Share::But(thing) => !taken.contains(thing),
            Share::Nothing => self.running.is_empty(),
        })?;
        let job = self.waiting.remove(at);
        self.running.push(job.share);
        Some(job)
    }
}

/// Runs all jobs, `places` at a time; `ended` sees each when it has ended and its output has been shown.
///
/// Those that share nothing come last, one by one.
pub(crate) fn run_all(
    mut jobs: Vec<Job>,
    places: usize,
    mut ended: impl FnMut(Ended) + Send,
) -> Result<()> {
    jobs.sort_by_key(|job| (job.share == Share::Nothing, std::cmp::Reverse(job.secs)));
    let queue = Mutex::new(Queue {
        waiting: jobs,
        running: Vec::new(),
    });
    let changed = Condvar::new();
    let report = Mutex::new((&mut ended, Ok(())));
    std::thread::scope(|scope| {
        for _ in 0..places.max(1) {
            scope.spawn(|| {
                while let Some(job) = wait_for_next(&queue, &changed, places.max(1)) {
                    let share = job.share;
                    let outcome = run_one(job);
                    {
                        let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
                        match outcome {
                            Ok(end) => {
                                for line in &end.lines {
                                    say(line);
                                }
                                (report.0)(end);
                            }
                            Err(error) => report.1 = Err(error),
                        }
                    }
                    let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Some(at) = queue.running.iter().position(|other| *other == share) {
                        queue.running.remove(at);
                    }
                    changed.notify_all();
                }
            });
        }
    });
    report
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .1
}

fn wait_for_next(queue: &Mutex<Queue>, changed: &Condvar, places: usize) -> Option<Job> {
    let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if queue.waiting.is_empty() {
            return None;
        }
        if let Some(job) = queue.next(places) {
            return Some(job);
        }
        queue = changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
    }
}

fn run_one(mut job: Job) -> Result<Ended> {
    let shown = show(&job.command);
    say(&format!("$ {shown}"));
    let begun = Instant::now();
    let (mut reader, writer) = std::io::pipe().context("a pipe for its output")?;
    let mut child = job
        .command
        .stdin(Stdio::null())
        .stdout(writer.try_clone().context("a pipe for its errors")?)
        .stderr(writer)
        .spawn()
        .with_context(|| format!("`{shown}` could not be started"))?;
    // Our own ends of the pipe are in the command: while they are open, the output does not end.
    drop(job.command);
    let mut said = Vec::new();
    reader.read_to_end(&mut said).context("its output")?;
    let well = child.wait()?.success();
    Ok(Ended {
        name: job.name,
        took: begun.elapsed(),
        lines: String::from_utf8_lossy(&said)
            .lines()
            .map(str::to_owned)
            .collect(),
        well,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(name: &str, secs: u32, share: Share, script: &str) -> Job {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Job {
            name: name.to_owned(),
            secs,
            share,
            command,
        }
    }

    #[test]
    fn output_and_status_belong_to_their_job() {
        let jobs = vec![
            shell("good", 1, Share::Machine, "echo one; echo two >&2"),
            shell("bad", 2, Share::Machine, "echo three; exit 3"),
        ];
        let mut seen = Vec::new();
        run_all(jobs, 2, |end| {
            seen.push((end.name, end.lines.join(" "), end.well))
        })
        .expect("runs");
        seen.sort();
        assert_eq!(
            seen,
            [
                ("bad".to_owned(), "three".to_owned(), false),
                ("good".to_owned(), "one two".to_owned(), true),
            ]
        );
        let missing = Job {
            command: Command::new("/nowhere/no-such-program"),
            ..shell("missing", 1, Share::Machine, "")
        };
        assert!(run_all(vec![missing], 2, |_| ()).is_err());
    }

    #[test]
    fn who_may_run_beside_whom() {
        let mut queue = Queue {
            waiting: vec![
                shell("loop 1", 9, Share::But("loop devices"), ""),
                shell("loop 2", 8, Share::But("loop devices"), ""),
                shell("plain", 7, Share::Machine, ""),
                shell("times", 6, Share::Nothing, ""),
            ],
            running: Vec::new(),
        };
        let names = |queue: &mut Queue, places| queue.next(places).map(|job| job.name);
        assert_eq!(names(&mut queue, 2).as_deref(), Some("loop 1"));
        assert_eq!(names(&mut queue, 2).as_deref(), Some("plain"));
        assert_eq!(names(&mut queue, 2), None, "both places are taken");
        assert_eq!(
            names(&mut queue, 3),
            None,
            "one has the loop devices, one wants the machine"
        );
        queue.running.clear();
        assert_eq!(names(&mut queue, 3).as_deref(), Some("loop 2"));
        assert_eq!(names(&mut queue, 3), None);
        queue.running.clear();
        assert_eq!(names(&mut queue, 3).as_deref(), Some("times"));
        queue.waiting.push(shell("late", 1, Share::Machine, ""));
        assert_eq!(names(&mut queue, 3), None, "the machine is its own");
    }

    #[test]
    fn every_job_runs_once_and_the_lonely_ones_last() {
        let mut jobs: Vec<Job> = (0..7)
            .map(|number| shell(&format!("{number}"), number, Share::Machine, ""))
            .collect();
        jobs.push(shell("alone", 99, Share::Nothing, ""));
        let mut seen = Vec::new();
        run_all(jobs, 3, |end| seen.push(end.name)).expect("runs");
        assert_eq!(seen.last().map(String::as_str), Some("alone"));
        seen.sort();
        assert_eq!(seen, ["0", "1", "2", "3", "4", "5", "6", "alone"]);
    }
}
