//! Tasks: operation logs (`cbr-v3.md §2.6`).

use std::collections::HashMap;

use axum::extract::State;
use axum::response::Response;
use emberkeep_model::{BackupId, Caller, Task, TaskId, Work};
use emberkeep_service::ServiceError;
use emberkeep_service::query::TaskQuery;
use emberkeep_wire::cbr as wire;

use super::edge::{Call, keyed, page, paging};
use super::refusal::Refusal;
use super::replicate::complete;
use crate::App;

pub(super) async fn list(State(app): State<App>, mut call: Call) -> Result<Response, Refusal> {
    let asked = wire::TaskList::parse(&call.query()?)?;
    if asked.never {
        return page::<wire::Task, _>(&[], 0, &asked.page);
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
    page(&tasks, found.total.unwrap_or_default(), &asked.page)
}

pub(super) async fn show(State(app): State<App>, call: Call) -> Result<Response, Refusal> {
    let id: TaskId = call.id()?;
    let task = app.service.task(&call.caller, id).await?;
    let made = how_made(&app, &call.caller, std::slice::from_ref(&task)).await?;
    let incremental = backup_of(&task).and_then(|id| made.get(&id).copied());
    match wire::Task::of(&task, incremental) {
        Some(mut shown) if task.project_id == call.caller.project_id => {
            complete(&app, &call.caller, &task, &mut shown).await?;
            keyed(&shown)
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

/// Tells which of the backups that tasks made are incremental.
async fn how_made(
    app: &App,
    caller: &Caller,
    tasks: &[Task],
) -> Result<HashMap<BackupId, bool>, Refusal> {
    let ids = tasks.iter().filter_map(backup_of).collect();
    Ok(app.service.how_made(caller, ids).await?)
}
