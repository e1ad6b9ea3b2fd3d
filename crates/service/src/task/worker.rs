//! The workers: claim tasks, do them, settle what became of them.
//!
//! A crash at any moment leaves a task whose lease runs out; whoever claims it next
//! does it again from the start. So every step may run twice, and start-up recovery
//! and lease expiry are one code path.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use emberkeep_catalog::{Change, Renewal, Row};
use emberkeep_engine::Run;
use emberkeep_model::{Progress, Task, TaskId, TaskState, Timestamp};
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::error::chain;
use crate::exports::watch::ExportWatch;
use crate::policy::retention_worker::RetentionWorker;
use crate::policy::scheduler::{Reconciler, Reconciling};
use crate::race::racing;
use crate::repository::damage::watch::DamageWatch;
use crate::repository::verification::Scrub;
use crate::task::kind::{AnyKind, Ending};
use crate::task::kinds::kind_of;
use crate::task::outcome::{Failure, Stop, Verdict};
use crate::task::supervisor::{Desk, GaveUp, Supervisor, Worker};
use crate::{Service, ServiceError};

/// How often a running task renews its lease and notes its progress.
const HEARTBEAT: Duration = Duration::from_millis(1000);
/// How often idle workers look for tasks whose time has come.
const LOOK: Duration = Duration::from_millis(1000);
const TASK_PANICS: &str = "emberkeep_task_panics_total";
/// A task that waits for another looks again after so long.
const RETRY: Duration = Duration::from_secs(2);
/// A task that was claimed so often without ending is given up.
const MAX_CLAIMS: u64 = 20;

/// The running workers of this process.
pub struct Workers {
    supervisor: Supervisor,
}

impl Workers {
    /// Starts all that runs in the background of a service.
    pub fn start(service: Service) -> Self {
        let mut supervisor = Supervisor::new(Arc::clone(&service.workers));
        for reconciler in Reconciler::ALL {
            supervisor.start(Reconciling {
                service: service.clone(),
                reconciler,
            });
        }
        supervisor.start(RetentionWorker {
            service: service.clone(),
        });
        supervisor.start(Scrub {
            service: service.clone(),
        });
        supervisor.start(DamageWatch {
            service: service.clone(),
        });
        if service.exports.is_some() {
            supervisor.start(ExportWatch {
                service: service.clone(),
            });
        }
        supervisor.start(Claiming { service });
        Self { supervisor }
    }

    /// Waits until a worker could not be kept running.
    pub async fn gave_up(&self) -> GaveUp {
        self.supervisor.gave_up().await
    }

    /// Stops claiming, lets running tasks end within the grace time, hands the others over.
    pub async fn stop(self) {
        self.supervisor.stop().await;
    }
}

/// Claims tasks and does them.
struct Claiming {
    service: Service,
}

#[async_trait]
impl Worker for Claiming {
    fn name(&self) -> String {
        "tasks".to_owned()
    }

    async fn run(&self, desk: Desk) {
        // Of an earlier run that broke off, nobody will settle what is still under way.
        self.service.interrupt_runs();
        let worker = format!("worker-{}", Uuid::new_v4());
        claim_loop(self.service.clone(), worker, desk).await;
    }
}

async fn claim_loop(service: Service, worker: String, desk: Desk) {
    let mut stopping = desk.stopping();
    let mut tasks = JoinSet::new();
    while !*stopping.borrow() {
        desk.begin();
        let mut problem = None;
        while tasks.len() < service.settings.workers {
            let now = service.now();
            let until = now.plus_secs(service.settings.lease_secs);
            match service.catalog.claim_task(&worker, now, until).await {
                Ok(Some(task)) => {
                    let stopping = stopping.clone();
                    tasks.spawn(service.clone().work_on(task, stopping));
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::error!(%error, "tasks cannot be claimed");
                    problem = Some(chain(&error));
                    break;
                }
            }
        }
        desk.end(problem.as_deref());
        tokio::select! {
            _ = stopping.changed() => {}
            () = service.nudge.notified() => {}
            Some(ended) = tasks.join_next(), if !tasks.is_empty() => report_panic(ended),
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    let grace = Duration::from_secs(service.settings.grace_secs);
    let drained = tokio::time::timeout(grace, async {
        while let Some(ended) = tasks.join_next().await {
            report_panic(ended);
        }
    });
    if drained.await.is_err() {
        service.interrupt_runs();
        while let Some(ended) = tasks.join_next().await {
            report_panic(ended);
        }
    }
}

fn report_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        metrics::counter!(TASK_PANICS).increment(1);
        tracing::error!(%error, "a task's worker ended badly; the task is taken up again when its lease runs out");
    }
}

/// What the heartbeat tells the work.
#[derive(Default)]
struct Signals {
    lost: AtomicBool,
    cancelled: AtomicBool,
    late: AtomicBool,
}

impl Signals {
    /// Stops the work if its time is up.
    fn check_deadline(&self, deadline: Option<Timestamp>, now: Timestamp, run: &Run) {
        if deadline.is_some_and(|deadline| deadline <= now) {
            self.late.store(true, Ordering::Release);
            run.cancel();
        }
    }
}

/// What became of a task whose work here is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settlement {
    /// It has ended, as its row says.
    Settled,
    /// It waits to be claimed again, or somebody has claimed it already.
    Requeued,
}

impl Service {
    /// Interrupts what runs here, for a shutdown.
    fn interrupt_runs(&self) {
        let runs = self
            .runs
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        for run in runs.values() {
            run.cancel();
        }
    }

    /// Returns when a task has taken longer than it may, counted from its first attempt. What
    /// operation logs do not show has no limit: a sweep that never came to its end would never
    /// free anything, and an adoption waits for that of its parent.
    fn deadline(&self, kind: &dyn AnyKind, task: &Task) -> Option<Timestamp> {
        let limited = kind.is_time_limited();
        let hours = i64::from(self.settings.task_timeout_hours);
        let begun = task.started_at.filter(|_| limited && hours > 0)?;
        Some(begun.plus_secs(hours * 3600))
    }

    /// Says that a task has taken longer than it may.
    fn timeout(&self) -> Failure {
        let hours = self.settings.task_timeout_hours;
        let unit = if hours == 1 { "hour" } else { "hours" };
        Failure {
            reason: format!("it took longer than {hours} {unit}"),
            late: true,
        }
    }

    /// Does one claimed task and settles it.
    async fn work_on(self, task: Task, stopping: watch::Receiver<bool>) {
        let kind = kind_of(&task.work);
        let run = Run::default();
        let signals = Signals::default();
        let deadline = self.deadline(kind.as_ref(), &task);
        self.register_run(task.id, &run);
        if task.cancel_asked {
            signals.cancelled.store(true, Ordering::Release);
            run.cancel();
        }
        // Between two attempts its time may have come.
        signals.check_deadline(deadline, self.now(), &run);
        let guard = RunGuard {
            service: &self,
            task: task.id,
            run: &run,
        };
        // Beside the work and not on its own: it cannot end without the work noticing.
        let beat = heartbeat(&self, &task, deadline, &run, &signals);
        tracing::info!(task_id = %task.id, request_id = %task.request_id, work = task.work.word(), generation = task.generation, "task begun");
        let acted = if task.generation > MAX_CLAIMS {
            Err(Stop::Failed(format!(
                "it was interrupted {MAX_CLAIMS} times"
            )))
        } else {
            tokio::select! {
                acted = kind.act(&self, &task, &run) => acted,
                never = beat => match never {},
            }
        };
        drop(guard);
        if signals.lost.load(Ordering::Acquire) {
            tracing::warn!(task_id = %task.id, "somebody else has the task now");
            return;
        }
        let progress = run_progress(&run, Progress::default(), 0.0);
        let done = acted.is_ok();
        let cancelled = signals.cancelled.load(Ordering::Acquire);
        let ending = match acted {
            Ok(ending) => Ok(ending),
            Err(Stop::Failed(reason)) => Ok(kind.failed(Failure {
                reason,
                late: false,
            })),
            Err(Stop::Cancelled) if cancelled => Ok(kind.cancelled()),
            Err(Stop::Cancelled) if signals.late.load(Ordering::Acquire) => {
                Ok(kind.failed(self.timeout()))
            }
            Err(Stop::Cancelled) if *stopping.borrow() => Err(Duration::ZERO),
            // Cancelled through this process, before the heartbeat noticed.
            Err(Stop::Cancelled) => Ok(kind.cancelled()),
            Err(Stop::NotYet) => Err(RETRY),
        };
        let settled = match ending {
            Ok(ending) => self.settle(&task, ending.as_ref(), progress).await,
            Err(pause) => self.requeue(&task, pause).await,
        };
        match settled {
            Ok(Settlement::Settled) => kind.clean_up(&self, &task, done).await,
            // Whoever goes on with it needs what it holds, a frozen volume for one.
            Ok(Settlement::Requeued) => {}
            Err(error) => {
                tracing::error!(task_id = %task.id, error = chain(&error), "a task could not be settled; it is taken up again");
            }
        }
    }

    /// Writes what became of a task, together with every row it concerns.
    async fn settle(
        &self,
        task: &Task,
        ending: &dyn Ending,
        progress: Progress,
    ) -> Result<Settlement, ServiceError> {
        let verdict = &ending.verdict();
        let settlement = racing(|| async {
            let Some(mut row) = self.still_ours(task).await? else {
                return Ok(Settlement::Requeued);
            };
            let mut changes = ending.rows(self, &mut row).await?;
            row.state = match verdict {
                Verdict::Done(_) => TaskState::Succeeded,
                Verdict::Failed(failure) => {
                    let reason = failure.reason.clone();
                    match failure.late {
                        true => TaskState::TimedOut { reason },
                        false => TaskState::Failed { reason },
                    }
                }
                Verdict::Cancelled => TaskState::Cancelled,
            };
            row.progress = progress;
            if matches!(verdict, Verdict::Done(_)) {
                row.progress.bytes_done = row.progress.bytes_total;
            }
            row.ended_at = Some(self.now());
            row.updated_at = self.now();
            changes.push(Change::Save(Row::Task(row)));
            self.commit(changes).await.map(|()| Settlement::Settled)
        })
        .await?;
        if settlement == Settlement::Requeued {
            return Ok(settlement);
        }
        match verdict {
            Verdict::Done(_) => {
                tracing::info!(task_id = %task.id, work = task.work.word(), "task done")
            }
            Verdict::Failed(failure) => {
                tracing::warn!(task_id = %task.id, work = task.work.word(), reason = failure.reason, "task failed");
            }
            Verdict::Cancelled => {
                tracing::info!(task_id = %task.id, work = task.work.word(), "task cancelled")
            }
        }
        Ok(settlement)
    }

    /// Lets a task wait again: for another process after a shutdown, or until something else has ended.
    async fn requeue(&self, task: &Task, pause: Duration) -> Result<Settlement, ServiceError> {
        let secs = i64::try_from(pause.as_secs()).unwrap_or(i64::MAX);
        racing(|| async {
            let Some(mut row) = self.still_ours(task).await? else {
                return Ok(Settlement::Requeued);
            };
            row.state = TaskState::Waiting;
            row.not_before = self.now().plus_secs(secs);
            row.updated_at = self.now();
            self.commit(vec![Change::Save(Row::Task(row))]).await?;
            Ok(Settlement::Requeued)
        })
        .await
    }

    /// Returns the task's row if the claim it was begun under still stands.
    pub(crate) async fn still_ours(&self, task: &Task) -> Result<Option<Task>, ServiceError> {
        let row = self.catalog.task(task.id).await?;
        Ok(row.filter(|row| {
            row.generation == task.generation && matches!(row.state, TaskState::Running(_))
        }))
    }
}

/// Ends a run when its task's work is over, also when nothing waits for it any more.
struct RunGuard<'a> {
    service: &'a Service,
    task: TaskId,
    run: &'a Run,
}

impl Drop for RunGuard<'_> {
    fn drop(&mut self) {
        self.run.cancel();
        self.service.forget_run(self.task);
    }
}

/// Keeps the lease of one task alive and its progress known; never ends by itself.
async fn heartbeat(
    service: &Service,
    task: &Task,
    deadline: Option<Timestamp>,
    run: &Run,
    signals: &Signals,
) -> Infallible {
    let mut last = Progress::default();
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        let progress = run_progress(run, last, HEARTBEAT.as_secs_f64());
        last = progress;
        let now = service.now();
        let until = now.plus_secs(service.settings.lease_secs);
        match service
            .catalog
            .renew_task(task.id, task.generation, now, until, progress)
            .await
        {
            Ok(Renewal::Held {
                cancel_asked: false,
            }) => {}
            Ok(Renewal::Held { cancel_asked: true }) => {
                signals.cancelled.store(true, Ordering::Release);
                run.cancel();
            }
            Ok(Renewal::Lost) => {
                signals.lost.store(true, Ordering::Release);
                run.cancel();
                return std::future::pending().await;
            }
            Err(error) => {
                tracing::warn!(task_id = %task.id, %error, "a lease could not be renewed")
            }
        }
        signals.check_deadline(deadline, now, run);
    }
}

/// Reads a run's counters; the rate is smoothed over the last few beats.
fn run_progress(run: &Run, last: Progress, secs: f64) -> Progress {
    let counted = run.progress();
    let moved = counted.done.saturating_sub(last.bytes_done);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate for people"
    )]
    let bytes_per_sec = if secs > 0.0 {
        let now = moved as f64 / secs;
        if last.bytes_per_sec == 0 {
            now as u64
        } else {
            (last.bytes_per_sec as f64 * 0.7 + now * 0.3) as u64
        }
    } else {
        0
    };
    Progress {
        bytes_done: counted.done,
        bytes_total: counted.total,
        bytes_per_sec,
    }
}
