//! `emberkeep task`: what is going on, how far it has come, and why it failed.

use clap::{Args, Subcommand};
use emberkeep_model::ByteCount;
use emberkeep_sdk::native_types::Task;
use emberkeep_sdk::{TaskFilter, TaskId};
use serde_json::json;

use crate::connect::ConnectArgs;
use crate::error::CliError;
use crate::lookup;
use crate::output::{Column, Output, OutputArgs, column, or_dash, time};
use crate::wait::{self, Patience};

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
        /// Only those in this status: waiting, running, succeeded, failed, cancelled or skipped
        #[arg(long)]
        status: Option<String>,
        /// Show this many at most, the newest
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
    },
    /// Show one task
    Show {
        /// Its id
        task: String,
    },
    /// Ask a task to stop
    Cancel {
        /// Its id
        task: String,
    },
    /// Follow a task to its end; its failure is the command's
    Watch {
        /// Its id
        task: String,
        /// Stop watching after so many seconds (exit code 5); the task goes on
        #[arg(long, value_name = "SECONDS")]
        timeout: Option<u64>,
    },
}

const LIST: &[Column<Task>] = &[
    column("id", "ID", |task| task.id.to_string()),
    column("kind", "Kind", |task| task.kind.to_string()),
    column("status", "Status", |task| task.status.to_string()),
    column("progress", "Done", |task| {
        format!("{} %", task.progress.percent)
    }),
    column("about", "About", about),
];

const SHOW: &[Column<Task>] = &[
    column("id", "ID", |task| task.id.to_string()),
    column("kind", "Kind", |task| task.kind.to_string()),
    column("status", "Status", |task| task.status.to_string()),
    column("reason", "Because", |task| or_dash(task.reason.as_deref())),
    column("progress", "Done", |task| {
        let progress = &task.progress;
        format!(
            "{} %: {} of {}, {}/s",
            progress.percent,
            ByteCount(progress.bytes_done),
            ByteCount(progress.bytes_total),
            ByteCount(progress.bytes_per_sec),
        )
    }),
    column("about", "About", about),
    column("request_id", "Request", |task| task.request_id.clone()),
    column("created_at", "Asked for", |task| {
        time(Some(&task.created_at))
    }),
    column("started_at", "Begun", |task| {
        time(task.started_at.as_deref())
    }),
    column("ended_at", "Ended", |task| time(task.ended_at.as_deref())),
];

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
    let api = connection.native();
    match args.verb {
        Verb::List { status, limit } => {
            let limit = Some(usize::from(limit));
            let filter = TaskFilter {
                status,
                limit,
                ..TaskFilter::default()
            };
            output.list(LIST, &api.tasks(&filter).await?)
        }
        Verb::Show { task } => output.record(SHOW, &api.task(&id(task)?).await?),
        Verb::Cancel { task } => {
            let id = id(task)?;
            api.cancel_task(&id).await?;
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
pub(crate) fn succeeded(task: &Task) -> Result<(), CliError> {
    if task.status == "succeeded" {
        return Ok(());
    }
    Err(CliError::failed(format!(
        "task {} ({}) is {}: {}",
        task.id,
        task.kind,
        task.status,
        task.reason.as_deref().unwrap_or("it gives no reason")
    )))
}
