//! The row of a task, and the statements by which workers take tasks up and keep them.

use emberkeep_model::{Lease, Progress, Task, TaskId, TaskState, Timestamp, Work};

use super::row::{Cells, Stored};
use super::statement::Statement;
use super::value::{Bind, Field};

impl Stored for Task {
    const TABLE: &'static str = "tasks";
    const NOUN: &'static str = "task";
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "project_id",
        "user_id",
        "request_id",
        "kind",
        "work",
        "state",
        "worker",
        "lease_until",
        "reason",
        "generation",
        "bytes_done",
        "bytes_total",
        "bytes_per_sec",
        "cancel_asked",
        "not_before",
        "object_type",
        "volume_id",
        "volume_name",
        "backup_id",
        "backup_name",
        "vault_id",
        "vault_name",
        "checkpoint_id",
        "policy_id",
        "notes",
        "created_at",
        "started_at",
        "updated_at",
        "ended_at",
        "revision",
    ];

    fn binds(&self) -> Vec<Bind> {
        let (lease, reason) = facts(&self.state);
        vec![
            self.id.to_bind(),
            self.project_id.to_bind(),
            self.user_id.to_bind(),
            self.request_id.to_bind(),
            self.work.word().to_owned().to_bind(),
            self.work.to_bind(),
            self.state.word().to_owned().to_bind(),
            lease.map(|l| l.worker.clone()).to_bind(),
            lease.map(|l| l.until).to_bind(),
            reason.cloned().to_bind(),
            self.generation.to_bind(),
            self.progress.bytes_done.to_bind(),
            self.progress.bytes_total.to_bind(),
            self.progress.bytes_per_sec.to_bind(),
            self.cancel_asked.to_bind(),
            self.not_before.to_bind(),
            self.object_type.to_bind(),
            self.volume_id.to_bind(),
            self.volume_name.to_bind(),
            self.backup_id.to_bind(),
            self.backup_name.to_bind(),
            self.vault_id.to_bind(),
            self.vault_name.to_bind(),
            self.checkpoint_id.to_bind(),
            self.policy_id.to_bind(),
            self.notes.to_bind(),
            self.created_at.to_bind(),
            self.started_at.to_bind(),
            self.updated_at.to_bind(),
            self.ended_at.to_bind(),
            self.revision.to_bind(),
        ]
    }

    fn from_cells(cells: &mut Cells<'_>) -> Result<Self, String> {
        Ok(Self {
            id: cells.take("id")?,
            project_id: cells.take("project_id")?,
            user_id: cells.take("user_id")?,
            request_id: cells.take("request_id")?,
            work: work(cells)?,
            state: state(cells)?,
            generation: cells.take("generation")?,
            progress: Progress {
                bytes_done: cells.take("bytes_done")?,
                bytes_total: cells.take("bytes_total")?,
                bytes_per_sec: cells.take("bytes_per_sec")?,
            },
            cancel_asked: cells.take("cancel_asked")?,
            not_before: cells.take("not_before")?,
            object_type: cells.take("object_type")?,
            volume_id: cells.take("volume_id")?,
            volume_name: cells.take("volume_name")?,
            backup_id: cells.take("backup_id")?,
            backup_name: cells.take("backup_name")?,
            vault_id: cells.take("vault_id")?,
            vault_name: cells.take("vault_name")?,
            checkpoint_id: cells.take("checkpoint_id")?,
            policy_id: cells.take("policy_id")?,
            notes: cells.take("notes")?,
            created_at: cells.take("created_at")?,
            started_at: cells.take("started_at")?,
            updated_at: cells.take("updated_at")?,
            ended_at: cells.take("ended_at")?,
            revision: cells.take("revision")?,
        })
    }
}

/// Returns the lease and the reason, where the state has them.
fn facts(state: &TaskState) -> (Option<&Lease>, Option<&String>) {
    match state {
        TaskState::Running(lease) => (Some(lease), None),
        TaskState::Failed { reason }
        | TaskState::TimedOut { reason }
        | TaskState::Skipped { reason } => (None, Some(reason)),
        TaskState::Waiting | TaskState::Succeeded | TaskState::Cancelled => (None, None),
    }
}

fn work(cells: &mut Cells<'_>) -> Result<Work, String> {
    let kind: String = cells.take("kind")?;
    let work: Work = cells.take("work")?;
    if work.word() == kind {
        Ok(work)
    } else {
        Err(format!("kind: '{kind}', but the work is '{}'", work.word()))
    }
}

/// Puts a state together again; each must have exactly its own facts.
fn state(cells: &mut Cells<'_>) -> Result<TaskState, String> {
    use TaskState as S;
    let word: String = cells.take("state")?;
    let worker = cells.take("worker")?;
    let until = cells.take("lease_until")?;
    let reason = cells.take("reason")?;
    match (word.as_str(), worker, until, reason) {
        ("waiting", None, None, None) => Ok(S::Waiting),
        ("running", Some(worker), Some(until), None) => Ok(S::Running(Lease { worker, until })),
        ("succeeded", None, None, None) => Ok(S::Succeeded),
        ("failed", None, None, Some(reason)) => Ok(S::Failed { reason }),
        ("timed_out", None, None, Some(reason)) => Ok(S::TimedOut { reason }),
        ("cancelled", None, None, None) => Ok(S::Cancelled),
        ("skipped", None, None, Some(reason)) => Ok(S::Skipped { reason }),
        (word, ..) => Err(format!(
            "state '{word}' is unknown or has not the facts it must have"
        )),
    }
}

/// Takes the best claimable task, fewest running tasks of the project first, then oldest.
///
/// A task is passed over while another with a live lease is about the same volume or backup, or sweeps the
/// same project. `lease_until` is the first instant at which a lease is no longer live.
pub(crate) fn claim(worker: &str, now: Timestamp, lease_until: Timestamp) -> Statement {
    // Ended tasks pile up by the hundred thousand: each part must walk an index of those that have not
    // ended. The few live leases are gathered once, and counted once by project. One NOT EXISTS for each
    // reason to wait: joined by OR they could use no index, and each waiting task would meet each lease.
    let text = format!(
        "WITH held AS MATERIALIZED (SELECT project_id, kind, volume_id, backup_id FROM tasks \
         WHERE state = 'running' AND lease_until > $3), \
         busy AS MATERIALIZED (SELECT project_id, COUNT(*) AS n FROM held GROUP BY project_id), \
         free AS (SELECT id, project_id, kind, volume_id, backup_id, created_at FROM tasks \
         WHERE state = 'waiting' AND not_before <= $3 \
         UNION ALL SELECT id, project_id, kind, volume_id, backup_id, created_at FROM tasks \
         WHERE state = 'running' AND lease_until <= $3) \
         UPDATE tasks SET state = 'running', worker = $1, lease_until = $2, generation = generation + 1, \
         revision = revision + 1, started_at = COALESCE(started_at, $3), updated_at = $3 \
         WHERE id = (SELECT f.id FROM free f LEFT JOIN busy b ON b.project_id = f.project_id \
         WHERE NOT EXISTS (SELECT 1 FROM held h WHERE h.volume_id = f.volume_id) \
         AND NOT EXISTS (SELECT 1 FROM held h WHERE h.backup_id = f.backup_id) \
         AND NOT EXISTS (SELECT 1 FROM held h WHERE h.kind = 'sweep' AND f.kind = 'sweep' \
         AND h.project_id = f.project_id) \
         ORDER BY COALESCE(b.n, 0), f.created_at, f.id LIMIT 1) \
         RETURNING {}",
        Task::COLUMNS.join(", ")
    );
    Statement {
        max_bytes: None,
        text,
        binds: vec![
            worker.to_owned().to_bind(),
            lease_until.to_bind(),
            now.to_bind(),
        ],
    }
}

/// Renews a lease that is still held; returns whether a cancel was asked for.
pub(crate) fn renew(
    id: TaskId,
    generation: u64,
    now: Timestamp,
    lease_until: Timestamp,
    progress: Progress,
) -> Statement {
    Statement {
        max_bytes: None,
        text: "UPDATE tasks SET lease_until = $3, updated_at = $4, bytes_done = $5, bytes_total = $6, \
               bytes_per_sec = $7 WHERE id = $1 AND generation = $2 AND state = 'running' \
               RETURNING cancel_asked"
            .to_owned(),
        binds: vec![
            id.to_bind(),
            generation.to_bind(),
            lease_until.to_bind(),
            now.to_bind(),
            progress.bytes_done.to_bind(),
            progress.bytes_total.to_bind(),
            progress.bytes_per_sec.to_bind(),
        ],
    }
}

/// Ends live leases by the beginning of their worker's name; returns a row for each.
pub(crate) fn release(prefix: &str, now: Timestamp) -> Statement {
    Statement {
        max_bytes: None,
        // Not LIKE: a prefix may hold its wildcards, and SQLite's ignores case.
        text: "UPDATE tasks SET lease_until = $2, updated_at = $2, revision = revision + 1 \
               WHERE state = 'running' AND lease_until > $2 \
               AND SUBSTR(worker, 1, LENGTH($1)) = $1 RETURNING id"
            .to_owned(),
        binds: vec![prefix.to_owned().to_bind(), now.to_bind()],
    }
}

/// Asks that a task that has not ended be cancelled; returns a row if there was one.
pub(crate) fn ask_cancel(id: TaskId, now: Timestamp) -> Statement {
    Statement {
        max_bytes: None,
        text: "UPDATE tasks SET cancel_asked = TRUE, updated_at = $2, revision = revision + 1 \
               WHERE id = $1 AND state IN ('waiting', 'running') RETURNING id"
            .to_owned(),
        binds: vec![id.to_bind(), now.to_bind()],
    }
}
