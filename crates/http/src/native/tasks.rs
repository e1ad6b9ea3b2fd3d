//! Every kind of slow work, as it goes; and the sweep.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use emberkeep_model::{BackupId, CheckpointId, TaskId, VaultId, VolumeId, Work};
use emberkeep_service::ServiceError;
use emberkeep_service::query::{Paging, TaskQuery};
use emberkeep_wire::native::{PAGE_LIMIT, Task, TaskBegun, TaskPage};
use serde::Deserialize;

use super::edge::{Call, CallFor, CallOn, Refusal, invalid};
use crate::App;
use crate::param::{Kind, Param, may};

/// The states of a task, by our own words.
const STATES: [&str; 7] = [
    "waiting",
    "running",
    "succeeded",
    "failed",
    "timed_out",
    "cancelled",
    "skipped",
];

/// What the query may hold.
pub(super) const PARAMS: &[Param] = &[
    may("kind", Kind::List(&Work::WORDS)),
    may("status", Kind::List(&STATES)),
    may("volume_id", Kind::Uuid),
    may("backup_id", Kind::Uuid),
    may("vault_id", Kind::Uuid),
    may("checkpoint_id", Kind::Uuid),
    may("limit", Kind::Whole(1, PAGE_LIMIT as i64)),
    may("offset", Kind::Whole(0, 1000)),
    may("marker", Kind::Uuid),
];

/// Which tasks are wanted; `kind` and `status` may list several words with commas.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    kind: Option<String>,
    status: Option<String>,
    volume_id: Option<VolumeId>,
    backup_id: Option<BackupId>,
    vault_id: Option<VaultId>,
    checkpoint_id: Option<CheckpointId>,
    limit: Option<u32>,
    #[serde(default)]
    offset: u64,
    marker: Option<TaskId>,
}

impl Asked {
    fn query(self) -> Result<TaskQuery, ServiceError> {
        Ok(TaskQuery {
            work: words("kind", self.kind.as_deref(), &Work::WORDS)?,
            states: words("status", self.status.as_deref(), &STATES)?,
            volume: self.volume_id,
            backup: self.backup_id,
            vault: self.vault_id,
            checkpoint: self.checkpoint_id,
            paging: paging(self.limit, self.offset, self.marker)?,
            ..TaskQuery::default()
        })
    }
}

/// Returns the page that is meant, with the total.
pub(super) fn paging<Id>(
    limit: Option<u32>,
    offset: u64,
    marker: Option<Id>,
) -> Result<Paging<Id>, ServiceError> {
    let limit = limit.unwrap_or(PAGE_LIMIT);
    if !(1..=PAGE_LIMIT).contains(&limit) {
        return Err(invalid("limit", format!("must be 1 to {PAGE_LIMIT}")));
    }
    if i64::try_from(offset).is_err() {
        return Err(invalid("offset", "is beyond every list"));
    }
    Ok(Paging {
        limit: Some(limit),
        offset,
        marker,
        with_total: true,
        max_bytes: None,
    })
}

fn words(
    field: &'static str,
    given: Option<&str>,
    known: &[&'static str],
) -> Result<Vec<&'static str>, ServiceError> {
    let words = given
        .unwrap_or_default()
        .split(',')
        .filter(|word| !word.is_empty());
    words
        .map(|word| {
            known
                .iter()
                .find(|known| **known == word)
                .copied()
                .ok_or_else(|| invalid(field, format!("must be some of {}", known.join(", "))))
        })
        .collect()
}

pub(super) async fn list(
    State(app): State<App>,
    CallFor(call, asked): CallFor<Asked>,
) -> Result<Json<TaskPage>, Refusal> {
    let query = asked.query().map_err(|error| call.refuse(error))?;
    let found = app
        .service
        .tasks(&call.caller, query)
        .await
        .map_err(|error| call.refuse(error))?;
    Ok(Json(TaskPage {
        tasks: found.items.iter().map(Task::of).collect(),
        count: found.total.unwrap_or_default(),
    }))
}

pub(super) async fn show(
    State(app): State<App>,
    CallOn(call, id): CallOn<TaskId>,
) -> Result<Json<Task>, Refusal> {
    let task = app
        .service
        .task(&call.caller, id)
        .await
        .map_err(|error| call.refuse(error))?;
    Ok(Json(Task::of(&task)))
}

pub(super) async fn cancel(
    State(app): State<App>,
    CallOn(call, id): CallOn<TaskId>,
) -> Result<StatusCode, Refusal> {
    app.service
        .cancel_task(&call.caller, id)
        .await
        .map_err(|error| call.refuse(error))?;
    Ok(StatusCode::ACCEPTED)
}

pub(super) async fn sweep(
    State(app): State<App>,
    call: Call,
) -> Result<(StatusCode, Json<TaskBegun>), Refusal> {
    let task_id = app
        .service
        .sweep(&call.caller)
        .await
        .map_err(|error| call.refuse(error))?;
    Ok((StatusCode::ACCEPTED, Json(TaskBegun { task_id })))
}
