//! Tasks: operation logs (`cbr-v3.md §2.6`).

use std::collections::HashMap;

use axum::extract::State;
use axum::response::Response;
use emberkeep_model::{BackupId, Caller, Task, TaskId, Timestamp, Work};
use emberkeep_service::query::{BackupQuery, TaskQuery};
use emberkeep_service::{Reach, ServiceError};
use emberkeep_wire::cbr as wire;

use super::edge::{Call, page, paging, wrapped};
use super::refusal::Refusal;
use super::replicate::complete;
use crate::App;

/// A task is written together with its backup: how far their times may be apart.
const APART_SECS: i64 = 60;

pub(super) async fn list(State(app): State<App>, mut call: Call) -> Result<Response, Refusal> {
    let asked = wire::TaskList::parse(&call.query()?)?;
    if asked.never {
        return page::<wire::Task, _>("operation_logs", &[], 0, &asked.page);
    }
    let query = TaskQuery {
        work: asked.work,
        states: asked.states,
        object_type: asked.kind,
        volume: asked.resource_id.map(Into::into),
        volume_name: asked.resource_name,
        vault: asked.vault_id,
        vault_name: asked.vault_name,
        created_from: asked.start_time,
        created_to: asked.end_time,
        paging: paging(&asked.page),
        ..TaskQuery::default()
    };
    let found = app.service.tasks(&call.caller, query).await?;
    let made = how_made(&app, &call.caller, &found.items).await?;
    let shown =
        |task: &Task| wire::Task::of(task, backup_of(task).and_then(|id| made.get(&id).copied()));
    let mut tasks = Vec::with_capacity(found.items.len());
    for task in &found.items {
        if let Some(mut shown) = shown(task) {
            complete(&app, &call.caller, task, &mut shown).await?;
            tasks.push(shown);
        }
    }
    page(
        "operation_logs",
        &tasks,
        found.total.unwrap_or_default(),
        &asked.page,
    )
}

pub(super) async fn show(State(app): State<App>, call: Call) -> Result<Response, Refusal> {
    let id: TaskId = call.id()?;
    let task = app.service.task(&call.caller, id).await?;
    let made = how_made(&app, &call.caller, std::slice::from_ref(&task)).await?;
    let incremental = backup_of(&task).and_then(|id| made.get(&id).copied());
    match wire::Task::of(&task, incremental) {
        Some(mut shown) if task.project_id == call.caller.project_id => {
            complete(&app, &call.caller, &task, &mut shown).await?;
            wrapped("operation_log", &shown)
        }
        // Other kinds of work, and other projects' tasks, are not CBR's to show.
        _ => Err(ServiceError::NoSuchTask(id).into()),
    }
}

/// Returns the backup that a task makes.
fn backup_of(task: &Task) -> Option<BackupId> {
    match task.work {
        Work::Backup { backup_id } => Some(backup_id),
        _ => None,
    }
}

/// Tells which of the backups that tasks made are incremental; all in one look.
async fn how_made(
    app: &App,
    caller: &Caller,
    tasks: &[Task],
) -> Result<HashMap<BackupId, bool>, Refusal> {
    let times = || {
        tasks
            .iter()
            .filter(|task| backup_of(task).is_some())
            .map(|task| task.created_at)
    };
    let (Some(first), Some(last)): (Option<Timestamp>, Option<Timestamp>) =
        (times().min(), times().max())
    else {
        return Ok(HashMap::new());
    };
    let query = BackupQuery {
        created_from: Some(first.plus_secs(-APART_SECS)),
        created_to: Some(last.plus_secs(APART_SECS)),
        ..BackupQuery::default()
    };
    let backups = app.service.backups(caller, query, Reach::Own).await?.items;
    Ok(backups
        .iter()
        .map(|backup| (backup.id, backup.is_incremental()))
        .collect())
}
