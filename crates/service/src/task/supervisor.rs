//! The supervisor: no background work ends without being noticed and started again.
//!
//! Whatever runs for as long as the process is a [`Worker`]. One that returns before it is told to
//! stop, or panics, is started again after a pause that grows. One that keeps failing makes the
//! whole process end, so that its supervisor acts ([`Supervisor::gave_up`]).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use emberkeep_model::{Progress, WorkerState, WorkerStatus};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::Instant;

use crate::Clock;

/// The pause before the first restart; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A worker that ran for so long is taken to be well again.
const STEADY: Duration = Duration::from_secs(60);
/// So many restarts in a row are tried; together they take about half a minute.
const MOST_RESTARTS: u32 = 9;

const RESTARTS: &str = "emberkeep_worker_restarts_total";
const ERRORS: &str = "emberkeep_worker_errors_total";
const UP: &str = "emberkeep_worker_up";
const LAST_RUN: &str = "emberkeep_worker_last_run_timestamp_seconds";
const LAST_ERROR: &str = "emberkeep_worker_last_error_timestamp_seconds";

/// Something that runs as long as the process.
#[async_trait]
pub trait Worker: Send + Sync + 'static {
    /// Returns its name, unique in the process.
    fn name(&self) -> String;

    /// Runs until told to stop through `desk`; returning earlier is a failure.
    async fn run(&self, desk: Desk);
}

/// How all workers of a process fare.
pub struct WorkerTable {
    clock: Arc<dyn Clock>,
    rows: Mutex<BTreeMap<String, WorkerStatus>>,
}

impl WorkerTable {
    /// Makes an empty table.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            rows: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, WorkerStatus>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists all workers by name.
    pub fn all(&self) -> Vec<WorkerStatus> {
        self.lock().values().cloned().collect()
    }

    fn change(&self, name: &str, act: impl FnOnce(&mut WorkerStatus)) {
        let mut rows = self.lock();
        let row = rows
            .entry(name.to_owned())
            .or_insert_with(|| WorkerStatus::new(name));
        act(row);
        let up = f64::from(u8::from(row.state.is_well()));
        metrics::gauge!(UP, "worker" => name.to_owned()).set(up);
    }

    fn note_error(&self, name: &str, text: &str) {
        let now = self.clock.now();
        self.change(name, |row| {
            row.last_error = Some(text.to_owned());
            row.last_error_at = Some(now);
        });
        metrics::counter!(ERRORS, "worker" => name.to_owned()).increment(1);
        metrics::gauge!(LAST_ERROR, "worker" => name.to_owned()).set(seconds(now));
    }
}

impl fmt::Debug for WorkerTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all()).finish()
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds fit")]
fn seconds(at: emberkeep_model::Timestamp) -> f64 {
    (at.0 / 1_000_000) as f64
}

/// Where a worker learns that it is to stop, and says what it does.
#[derive(Clone)]
pub struct Desk {
    name: String,
    table: Arc<WorkerTable>,
    stopping: watch::Receiver<bool>,
}

impl Desk {
    /// Tells whether the worker is to stop.
    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Waits until the worker is to stop.
    pub async fn stopped(&self) {
        let mut stopping = self.stopping.clone();
        // An error means that the supervisor is gone, which is a stop as well.
        let _gone = stopping.wait_for(|stop| *stop).await;
    }

    /// Returns what tells of the stop, for what the worker starts itself.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.clone()
    }

    /// Says that a turn begins.
    pub fn begin(&self) {
        self.table
            .change(&self.name, |row| row.state = WorkerState::Busy);
    }

    /// Says how far the turn has come.
    pub fn progress(&self, progress: Progress) {
        self.table
            .change(&self.name, |row| row.progress = Some(progress));
    }

    /// Says that the turn has ended, and what went wrong if anything did.
    pub fn end(&self, error: Option<&str>) {
        if let Some(text) = error {
            self.table.note_error(&self.name, text);
        }
        let now = self.table.clock.now();
        self.table.change(&self.name, |row| {
            row.state = WorkerState::Idle;
            row.progress = None;
            row.runs += 1;
            row.last_run = Some(now);
        });
        metrics::gauge!(LAST_RUN, "worker" => self.name.clone()).set(seconds(now));
    }
}

/// Why the process has to end: a worker could not be kept running.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the background worker {name} keeps failing: {error}")]
pub struct GaveUp {
    /// The worker.
    pub name: String,
    /// How it ended last.
    pub error: String,
}

/// Keeps workers running until it is stopped.
pub struct Supervisor {
    table: Arc<WorkerTable>,
    stop: watch::Sender<bool>,
    gave_up: Arc<watch::Sender<Option<GaveUp>>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Supervisor {
    /// Makes one that notes in `table` how its workers fare.
    pub fn new(table: Arc<WorkerTable>) -> Self {
        Self {
            table,
            stop: watch::Sender::new(false),
            gave_up: Arc::new(watch::Sender::new(None)),
            tasks: Vec::new(),
        }
    }

    /// Starts a worker and keeps it running.
    pub fn start(&mut self, worker: impl Worker) {
        let worker: Arc<dyn Worker> = Arc::new(worker);
        let desk = Desk {
            name: worker.name(),
            table: Arc::clone(&self.table),
            stopping: self.stop.subscribe(),
        };
        let gave_up = Arc::clone(&self.gave_up);
        let keeping = tokio::spawn(keep_running(worker, desk, gave_up));
        self.tasks.push(keeping);
    }

    /// Waits until a worker could not be kept running.
    pub async fn gave_up(&self) -> GaveUp {
        let mut gave_up = self.gave_up.subscribe();
        let found = gave_up.wait_for(Option::is_some).await;
        match found.ok().and_then(|found| found.clone()) {
            Some(gave_up) => gave_up,
            // The sender lives as long as we do.
            None => std::future::pending().await,
        }
    }

    /// Tells the workers to stop, and does not wait for it.
    pub fn tell_stop(&self) {
        self.stop.send_replace(true);
    }

    /// Tells the workers to stop and returns when all have.
    pub async fn stop(mut self) {
        self.tell_stop();
        // They stay in `self`: dropping this future ends them.
        for keeping in &mut self.tasks {
            if let Err(error) = keeping.await {
                tracing::error!(%error, "a worker's supervisor ended badly");
            }
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        for keeping in &self.tasks {
            keeping.abort();
        }
    }
}

/// Ends a task when it is dropped.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn keep_running(
    worker: Arc<dyn Worker>,
    desk: Desk,
    gave_up: Arc<watch::Sender<Option<GaveUp>>>,
) {
    let (name, table) = (desk.name.clone(), Arc::clone(&desk.table));
    let mut in_a_row = 0;
    loop {
        let begun = Instant::now();
        table.change(&name, |row| {
            row.state = WorkerState::Idle;
            row.progress = None;
        });
        let running = {
            let (worker, desk) = (Arc::clone(&worker), desk.clone());
            tokio::spawn(async move { worker.run(desk).await })
        };
        let guard = AbortOnDrop(running.abort_handle());
        let ended = running.await;
        drop(guard);
        let error = match ended {
            Ok(()) if desk.is_stopping() => break,
            Ok(()) => "it ended without being told to".to_owned(),
            Err(panic) => panic_text(panic),
        };
        table.note_error(&name, &error);
        if desk.is_stopping() {
            tracing::error!(worker = name, error, "a background worker ended badly");
            break;
        }
        if begun.elapsed() >= STEADY {
            in_a_row = 0;
        }
        in_a_row += 1;
        if in_a_row > MOST_RESTARTS {
            tracing::error!(
                worker = name,
                error,
                "a background worker keeps failing; the service stops"
            );
            table.change(&name, |row| row.state = WorkerState::Failed);
            gave_up.send_replace(Some(GaveUp { name, error }));
            return;
        }
        let pause = pause_before(in_a_row);
        tracing::error!(
            worker = name,
            error,
            pause_ms = pause.as_millis(),
            "a background worker ended and is started again"
        );
        table.change(&name, |row| {
            row.state = WorkerState::Restarting;
            row.restarts += 1;
        });
        metrics::counter!(RESTARTS, "worker" => name.clone()).increment(1);
        tokio::select! {
            () = desk.stopped() => break,
            () = tokio::time::sleep(pause) => {}
        }
    }
    table.change(&name, |row| row.state = WorkerState::Stopped);
}

/// Returns how long to wait before the `n`-th restart in a row, from 1.
fn pause_before(n: u32) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << (n - 1).min(16));
    doubled.min(LONGEST_PAUSE)
}

fn panic_text(ended: tokio::task::JoinError) -> String {
    match ended.try_into_panic() {
        Ok(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            format!("it panicked: {}", text.as_deref().unwrap_or("no message"))
        }
        Err(cancelled) => cancelled.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    use super::*;
    use crate::SystemClock;

    /// How a worker of the test ends its first runs.
    #[derive(Clone, Copy)]
    enum End {
        Panic,
        Return,
    }

    struct Shaky {
        end: End,
        times: u32,
        runs: Arc<AtomicU32>,
    }

    #[async_trait]
    impl Worker for Shaky {
        fn name(&self) -> String {
            "shaky".to_owned()
        }

        async fn run(&self, desk: Desk) {
            desk.begin();
            if self.runs.fetch_add(1, SeqCst) < self.times {
                match self.end {
                    End::Panic => panic!("out of luck"),
                    End::Return => return,
                }
            }
            desk.end(None);
            desk.stopped().await;
        }
    }

    fn table() -> Arc<WorkerTable> {
        Arc::new(WorkerTable::new(Arc::new(SystemClock)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_ends_is_started_again() {
        for (end, error) in [
            (End::Panic, "it panicked: out of luck"),
            (End::Return, "it ended without being told to"),
        ] {
            let (table, runs) = (table(), Arc::new(AtomicU32::new(0)));
            let mut supervisor = Supervisor::new(Arc::clone(&table));
            supervisor.start(Shaky {
                end,
                times: 3,
                runs: Arc::clone(&runs),
            });
            tokio::time::sleep(Duration::from_secs(30)).await;
            let status = table.all().remove(0);
            assert_eq!((runs.load(SeqCst), status.restarts), (4, 3), "{error}");
            assert_eq!(status.state, WorkerState::Idle, "{error}");
            assert_eq!(status.last_error.as_deref(), Some(error));
            assert_eq!((status.runs, status.last_run.is_some()), (1, true));
            supervisor.stop().await;
            assert_eq!(table.all()[0].state, WorkerState::Stopped, "{error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_keeps_failing_ends_the_process() {
        let (table, runs) = (table(), Arc::new(AtomicU32::new(0)));
        let mut supervisor = Supervisor::new(Arc::clone(&table));
        supervisor.start(Shaky {
            end: End::Panic,
            times: u32::MAX,
            runs: Arc::clone(&runs),
        });
        let gave_up = supervisor.gave_up().await;
        assert_eq!(
            gave_up.to_string(),
            "the background worker shaky keeps failing: it panicked: out of luck"
        );
        assert_eq!(runs.load(SeqCst), MOST_RESTARTS + 1);
        assert_eq!(table.all()[0].state, WorkerState::Failed);
        assert!(!table.all()[0].state.is_well());
        supervisor.stop().await;
    }

    #[test]
    fn pauses_grow_up_to_a_limit() {
        let pauses: Vec<_> = (1..=9).map(|n| pause_before(n).as_millis()).collect();
        assert_eq!(
            pauses,
            [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]
        );
    }
}
