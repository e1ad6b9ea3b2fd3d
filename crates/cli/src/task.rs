//! `emberkeep task`: what is going on, how far it has come, and why it failed.
//!
//! Of other clouds than Emberkeep it shows the operation log of their CBR service.

pub(crate) mod shown;

use clap::{Args, Subcommand};
use emberkeep_model::ByteCount;
use emberkeep_sdk::native_types::{Task, Worker};
use emberkeep_sdk::{SdkError, TaskFilter, TaskId, cbr};
use serde_json::json;

use crate::connect::ConnectArgs;
use crate::error::CliError;
use crate::lookup;
use crate::output::{Column, Output, OutputArgs, column, moment, or_dash, time};
use crate::wait::{self, Patience};
use shown::Shown;

/// Options of `task`.
#[derive(Debug, Args)]
pub(crate) struct TaskArgs {
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List tasks, newest first
    List {
        /// List only tasks in this status: waiting, running, success, failed, …
        #[arg(long)]
        status: Option<String>,
        /// Maximum number of tasks, newest first
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
    },
    /// Show one task
    Show {
        /// Id of the task
        task: String,
    },
    /// Cancel a task
    Cancel {
        /// Id of the task
        task: String,
    },
    /// List background workers of the service (administrators only)
    Workers,
    /// Follow a task until it ends; exits with its failure
    Watch {
        /// Id of the task
        task: String,
        /// Stop watching after this many seconds (exit code 5); the task continues
        #[arg(long, value_name = "SECONDS")]
        timeout: Option<u64>,
    },
}

const LIST: &[Column<Shown>] = &[
    column("id", "ID", |task| task.id().to_string()),
    column("kind", "Kind", Shown::kind),
    column("status", "Status", Shown::status),
    column("progress", "Progress", |task| {
        format!("{} %", task.percent())
    }),
    column("about", "About", subject),
];

const WORKERS: &[Column<Worker>] = &[
    column("name", "Name", |worker| worker.name.clone()),
    column("state", "State", |worker| worker.state.to_string()),
    column("runs", "Runs", |worker| worker.runs.to_string()),
    column("last_run", "Last run", |worker| {
        time(worker.last_run.as_deref())
    }),
    column("restarts", "Restarts", |worker| worker.restarts.to_string()),
    column("last_error", "Last error", |worker| {
        or_dash(worker.last_error.as_deref())
    }),
];

const SHOW: &[Column<Shown>] = &[
    column("id", "ID", |task| task.id().to_string()),
    column("kind", "Kind", Shown::kind),
    column("status", "Status", Shown::status),
    column("reason", "Reason", |task| or_dash(task.reason().as_deref())),
    column("notes", "Notes", |task| match task {
        Shown::Own(task) => or_dash(Some(&task.notes.join("\n"))),
        Shown::Cloud(_) => or_dash(None),
    }),
    column("progress", "Progress", |task| match task {
        Shown::Own(task) => {
            let progress = &task.progress;
            format!(
                "{} %: {} of {}, {}/s",
                progress.percent,
                ByteCount(progress.bytes_done),
                ByteCount(progress.bytes_total),
                ByteCount(progress.bytes_per_sec),
            )
        }
        Shown::Cloud(_) => format!("{} %", task.percent()),
    }),
    column("about", "About", subject),
    column("request_id", "Request", |task| match task {
        Shown::Own(task) => task.request_id.clone(),
        Shown::Cloud(task) => or_dash(Some(&task.extra_info.common.request_id)),
    }),
    column("created_at", "Created", |task| match task {
        Shown::Own(task) => time(Some(&task.created_at)),
        Shown::Cloud(task) => moment(Some(&task.created_at)),
    }),
    column("started_at", "Started", |task| match task {
        Shown::Own(task) => time(task.started_at.as_deref()),
        Shown::Cloud(task) => moment(task.started_at.as_ref()),
    }),
    column("ended_at", "Ended", |task| match task {
        Shown::Own(task) => time(task.ended_at.as_deref()),
        Shown::Cloud(task) => moment(task.ended_at.as_ref()),
    }),
];

fn subject(task: &Shown) -> String {
    match task {
        Shown::Own(task) => about(task),
        Shown::Cloud(task) => logged(task),
    }
}

/// An operation log names what it is about in a part of its own for each kind of work.
fn logged(task: &cbr::Task) -> String {
    let extra = &task.extra_info;
    let backup = extra.backup.as_ref().map(|it| it.backup_name.clone());
    let restored = extra.restore.as_ref().map(|it| it.backup_name.clone());
    let deleted = extra.delete.as_ref().map(|it| it.backup_name.clone());
    let named = |noun: &str, name: Option<String>| {
        name.filter(|name| !name.is_empty())
            .map(|name| format!("{noun} {name}"))
    };
    let parts: Vec<_> = [
        named("backup", backup.or(restored).or(deleted)),
        named("vault", task.vault_name.clone()),
    ]
    .into_iter()
    .flatten()
    .collect();
    or_dash(Some(&parts.join(", ")))
}

fn about(task: &Task) -> String {
    let thing = |noun: &str, id: String, name: Option<&String>| {
        format!(
            "{noun} {}",
            name.filter(|name| !name.is_empty()).unwrap_or(&id)
        )
    };
    let parts: Vec<_> = [
        task.backup
            .as_ref()
            .map(|it| thing("backup", it.id.to_string(), it.name.as_ref())),
        task.volume
            .as_ref()
            .map(|it| thing("volume", it.id.to_string(), it.name.as_ref())),
        task.vault
            .as_ref()
            .map(|it| thing("vault", it.id.to_string(), it.name.as_ref())),
    ]
    .into_iter()
    .flatten()
    .collect();
    or_dash(Some(&parts.join(", ")))
}

/// Runs `task`.
pub(crate) async fn run(args: TaskArgs, connect: ConnectArgs) -> Result<(), CliError> {
    let output = Output::new(&args.output);
    let connection = connect.open().await?;
    match args.verb {
        Verb::List { status, limit } => {
            let limit = Some(usize::from(limit));
            let filter = TaskFilter {
                status,
                limit,
                ..TaskFilter::default()
            };
            output.list(LIST, &shown::list(&connection, &filter).await?)
        }
        Verb::Workers => output.list(WORKERS, &connection.native().workers().await?),
        Verb::Show { task } => output.record(SHOW, &shown::shown(&connection, &id(task)?).await?),
        Verb::Cancel { task } => {
            let id = id(task)?;
            match connection.native().cancel_task(&id).await {
                Err(SdkError::BadAnswer { .. }) => {
                    return Err(CliError::refused(
                        "this cloud has no way of stopping a task",
                    ));
                }
                asked => asked?,
            }
            output.done(
                &format!("task {id} is asked to stop"),
                id.as_str(),
                &json!({"task_id": id, "cancel_asked": true}),
            )
        }
        Verb::Watch { task, timeout } => {
            let task = wait::task(&connection, &id(task)?, Patience::new(timeout)).await?;
            output.record(SHOW, &task)?;
            succeeded(&task)
        }
    }
}

/// Tasks have no names: what is no id names none.
fn id(text: String) -> Result<TaskId, CliError> {
    if lookup::is_id(&text) {
        return Ok(TaskId(text));
    }
    Err(CliError::not_found(format!("no task has the id '{text}'"))
        .hint("`emberkeep task list` shows what there is"))
}

/// Turns the end of a task into the end of a command.
pub(crate) fn succeeded(task: &Shown) -> Result<(), CliError> {
    if task.succeeded() {
        return Ok(());
    }
    Err(CliError::failed(format!(
        "task {} ({}) is {}: {}",
        task.id(),
        task.kind(),
        task.status(),
        task.reason()
            .unwrap_or_else(|| "it gives no reason".to_owned())
    )))
}
