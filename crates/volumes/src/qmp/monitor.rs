//! A connection to QEMU's monitor: one JSON object a line, one question at a time.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::VolumeError;

/// The longest line; a list of nodes with bitmaps takes some KiB.
const MAX_LINE: u64 = 16 << 20;
/// How long QEMU may take to answer. Whoever else has the monitor keeps us waiting.
const SILENCE: Duration = Duration::from_secs(60);
/// How often it is asked whether something is over.
const POLL: Duration = Duration::from_millis(20);

/// Why QEMU did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum QmpError {
    /// The monitor cannot be reached, or fell silent.
    #[error("QEMU's monitor does not answer")]
    Connection(#[from] io::Error),
    /// It answers, but not as a monitor does.
    #[error("this is not QEMU's monitor: {0}")]
    Unexpected(&'static str),
    /// It says no.
    #[error("QEMU refuses {command}: {message}")]
    Refused {
        /// What it was asked.
        command: String,
        /// Why, in its own words.
        message: String,
    },
    /// There is no such node.
    #[error("QEMU has no block node '{0}'")]
    NoSuchNode(String),
    /// A job failed.
    #[error("QEMU's job {job} failed: {message}")]
    Job {
        /// The job.
        job: String,
        /// Why.
        message: String,
    },
    /// Something takes too long.
    #[error("QEMU takes too long: {0}")]
    Late(&'static str),
}

impl QmpError {
    pub(super) fn into_volume_error(self, what: &str) -> VolumeError {
        match self {
            Self::NoSuchNode(_) => VolumeError::Missing {
                what: what.to_owned(),
            },
            cause => VolumeError::io(what, io::Error::other(cause)),
        }
    }
}

/// A monitor that was greeted.
pub(super) struct Monitor {
    reader: BufReader<UnixStream>,
}

impl Monitor {
    pub(super) fn connect(socket: &Path) -> Result<Self, QmpError> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.set_write_timeout(Some(SILENCE))?;
        let mut monitor = Self {
            reader: BufReader::new(stream),
        };
        if monitor.line()?.get("QMP").is_none() {
            return Err(QmpError::Unexpected("it does not greet as one"));
        }
        monitor.ask("qmp_capabilities", json!({}))?;
        Ok(monitor)
    }

    /// Asks, and returns the answer; events that come between are left aside.
    pub(super) fn ask(&mut self, command: &str, arguments: Value) -> Result<Value, QmpError> {
        let mut question = json!({"execute": command, "arguments": arguments}).to_string();
        question.push('\n');
        self.reader.get_mut().write_all(question.as_bytes())?;
        loop {
            let mut line = self.line()?;
            if let Some(answer) = line.get_mut("return") {
                return Ok(answer.take());
            }
            if let Some(error) = line.get("error") {
                return Err(QmpError::Refused {
                    command: command.to_owned(),
                    message: error["desc"]
                        .as_str()
                        .unwrap_or("it does not say why")
                        .to_owned(),
                });
            }
            if line.get("event").is_none() {
                return Err(QmpError::Unexpected("it says what nobody asked"));
            }
        }
    }

    /// Asks again and again until something has come about.
    pub(super) fn wait(
        &mut self,
        what: &'static str,
        patience: Duration,
        mut done: impl FnMut(&mut Self) -> Result<bool, QmpError>,
    ) -> Result<(), QmpError> {
        let deadline = Instant::now() + patience;
        while !done(self)? {
            if Instant::now() >= deadline {
                return Err(QmpError::Late(what));
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Waits for a job to end, and dismisses it.
    pub(super) fn conclude(&mut self, job: &str, patience: Duration) -> Result<(), QmpError> {
        let mut failed = None;
        self.wait("a job does not end", patience, |monitor| {
            let jobs = monitor.ask("query-jobs", json!({}))?;
            let jobs = jobs.as_array().map(Vec::as_slice).unwrap_or_default();
            let found = jobs.iter().find(|entry| entry["id"] == job);
            failed = found
                .and_then(|entry| entry["error"].as_str())
                .map(str::to_owned);
            Ok(found.is_none_or(|entry| entry["status"] == "concluded"))
        })?;
        self.ask("job-dismiss", json!({"id": job}))?;
        match failed {
            None => Ok(()),
            Some(message) => Err(QmpError::Job {
                job: job.to_owned(),
                message,
            }),
        }
    }

    fn line(&mut self) -> Result<Value, QmpError> {
        let mut line = Vec::new();
        let mut limited = self.reader.by_ref().take(MAX_LINE);
        limited.read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            return Err(QmpError::Connection(io::ErrorKind::UnexpectedEof.into()));
        }
        serde_json::from_slice(&line).map_err(|_| QmpError::Unexpected("it does not speak JSON"))
    }
}
