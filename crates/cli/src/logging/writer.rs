//! Where log lines go: to standard error as long as it takes them, and nowhere if it does not.
//!
//! A log that cannot be written never fails, blocks or ends the caller: a full disk, a reader
//! that has gone away and one that stands still cost the lines, which are counted, and nothing
//! else. Once lines can be written again, one says how many are missing.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tracing_subscriber::fmt::MakeWriter;

const LOST: &str = "emberkeep_log_lines_lost_total";

/// A pipe that is ready takes so many bytes without blocking (PIPE_BUF).
const PIECE: usize = 4096;
/// A reader that stands still is waited for so long, once.
const PATIENCE: Duration = Duration::from_millis(200);

/// Writes lines to a file descriptor, and counts those that it does not take.
#[derive(Debug)]
pub(super) struct LossyLog<F> {
    to: F,
    state: Mutex<State>,
    /// Lines lost since the start.
    lost: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    /// Lines lost that no line has told of yet.
    untold: u64,
    /// The last line was not taken.
    stalled: bool,
    /// Only part of the last line was taken.
    torn: bool,
}

/// Writes one line.
#[derive(Debug)]
pub(super) struct Line<'a, F>(&'a LossyLog<F>);

impl<F: AsFd> LossyLog<F> {
    pub(super) fn new(to: F) -> Self {
        Self {
            to,
            state: Mutex::default(),
            lost: AtomicU64::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self, line: &[u8]) {
        let mut state = self.lock();
        let mut text = Vec::new();
        if state.torn {
            text.push(b'\n');
        }
        if state.untold > 0 {
            let told = format!("log: {} lines could not be written\n", state.untold);
            text.extend_from_slice(told.as_bytes());
        }
        text.extend_from_slice(line);
        let patience = if state.stalled {
            Duration::ZERO
        } else {
            PATIENCE
        };
        match write_all(self.to.as_fd(), &text, patience) {
            Ok(()) => *state = State::default(),
            Err(taken) => {
                state.stalled = true;
                state.torn |= taken > 0;
                state.untold += 1;
                let lost = self.lost.fetch_add(1, Relaxed) + 1;
                metrics::counter!(LOST).absolute(lost);
            }
        }
    }
}

/// Writes all of `text`, or returns how many bytes were taken.
fn write_all(to: BorrowedFd<'_>, text: &[u8], patience: Duration) -> Result<(), usize> {
    let mut taken = 0;
    while taken < text.len() {
        if !is_ready(to, patience) {
            return Err(taken);
        }
        let end = text.len().min(taken + PIECE);
        match rustix::io::write(to, &text[taken..end]) {
            Ok(0) => return Err(taken),
            Ok(count) => taken += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return Err(taken),
        }
    }
    Ok(())
}

/// Waits until a write does not block. What cannot be waited for, such as a file, is ready.
fn is_ready(to: BorrowedFd<'_>, patience: Duration) -> bool {
    let timeout = Timespec {
        tv_sec: 0,
        tv_nsec: patience.subsec_nanos().into(),
    };
    let mut fds = [PollFd::from_borrowed_fd(to, PollFlags::OUT)];
    match poll(&mut fds, Some(&timeout)) {
        Ok(0) => false,
        // An error or a closed end is found by the write.
        Ok(_) | Err(_) => true,
    }
}

impl<F: AsFd> Write for Line<'_, F> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.line(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a, F: AsFd + 'a> MakeWriter<'a> for LossyLog<F> {
    type Writer = Line<'a, F>;

    fn make_writer(&'a self) -> Self::Writer {
        Line(self)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;
    use std::time::Instant;

    use super::*;

    fn write<F: AsFd>(log: &LossyLog<F>, line: &str) {
        let written = log.make_writer().write_all(line.as_bytes());
        assert!(written.is_ok(), "{line}: a log never fails");
    }

    #[test]
    fn lines_that_are_not_taken_are_counted_and_told_of_later() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        let log = LossyLog::new(File::create(&path).expect("a file"));
        write(&log, "one\n");
        log.lock().untold = 3;
        write(&log, "two\n");
        let text = std::fs::read_to_string(&path).expect("readable");
        assert_eq!(text, "one\nlog: 3 lines could not be written\ntwo\n");
    }

    #[test]
    fn a_full_disk_and_a_closed_descriptor_cost_the_lines_alone() {
        let full = File::options().write(true).open("/dev/full");
        let read_only = File::open("/dev/null");
        for (name, file) in [("full", full), ("not writable", read_only)] {
            let log = LossyLog::new(file.expect("there"));
            for _ in 0..5 {
                write(&log, "a line\n");
            }
            assert_eq!(log.lost.load(Relaxed), 5, "{name}");
        }
    }

    #[test]
    fn a_reader_that_left_or_stands_still_blocks_nobody() {
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        let log = LossyLog::new(writer);
        write(&log, "a line\n");
        assert_eq!(log.lost.load(Relaxed), 1, "the reader left");

        let (mut reader, writer) = io::pipe().expect("a pipe");
        let log = LossyLog::new(writer);
        let line = format!("{}\n", "x".repeat(9_999));
        let begun = Instant::now();
        for _ in 0..200 {
            write(&log, &line);
        }
        let lost = log.lost.load(Relaxed);
        assert!((150..200).contains(&lost), "{lost} of 200 lines were lost");
        assert!(begun.elapsed() < Duration::from_secs(30), "nobody waited");
        // Once it reads again, it learns what it has missed.
        let mut heard = vec![0; 1 << 20];
        let count = reader.read(&mut heard).expect("readable");
        assert!(count > 0);
        write(&log, "after all\n");
        drop(log);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).expect("text");
        let told = format!("\nlog: {lost} lines could not be written\nafter all\n");
        assert!(rest.ends_with(&told), "{rest:.200}");
    }
}
