//! `emberkeep backup adopt`: makes backups that Cinder wrote our own.

use clap::Args;
use emberkeep_sdk::{Connection, TaskId};
use serde_json::{Value, json};

use crate::error::CliError;
use crate::lookup;
use crate::output::Output;
use crate::wait::{self, WaitArgs};

/// Options of `backup adopt`.
#[derive(Debug, Args)]
pub(super) struct AdoptArgs {
    /// Names or ids; their parents are adopted with them
    #[arg(required = true)]
    backups: Vec<String>,
    #[command(flatten)]
    wait: WaitArgs,
}

/// Runs `backup adopt`.
pub(super) async fn run(
    args: AdoptArgs,
    connection: &Connection,
    output: &Output,
) -> Result<(), CliError> {
    let mut begun: Vec<(String, TaskId)> = Vec::new();
    for name in &args.backups {
        let backup = lookup::backup(connection, name).await?;
        let tasks = connection.native().adopt_backup(&backup.id).await;
        let tasks = tasks
            .map_err(|error| CliError::from(error).doing(format_args!("adopting '{name}'")))?;
        for task in tasks {
            if !begun.iter().any(|(_, known)| *known == task) {
                begun.push((name.clone(), task));
            }
        }
    }
    if args.wait.wait {
        for (name, task) in &begun {
            let ended = wait::task(connection, task, args.wait.patience()).await?;
            if !ended.succeeded() {
                let task = connection.native().task(task).await?;
                let reason = task.reason.as_deref().unwrap_or(&task.status);
                return Err(CliError::failed(format!(
                    "'{name}' was not adopted: {reason}"
                )));
            }
        }
    }
    let ids: Vec<_> = begun.iter().map(|(_, task)| task.to_string()).collect();
    let (count, verb) = (
        ids.len(),
        if args.wait.wait {
            "adopted"
        } else {
            "being adopted"
        },
    );
    let words = match count {
        1 => format!("1 backup {verb}"),
        _ => format!("{count} backups {verb}"),
    };
    let json = json!({
        "task_ids": ids.iter().map(|id| Value::from(id.as_str())).collect::<Vec<_>>(),
        "done": args.wait.wait,
    });
    output.done(&words, &ids.join("\n"), &json)
}
