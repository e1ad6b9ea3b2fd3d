//! Waiting for something slow to end: asks again and again, shows a bar meanwhile.

use std::time::{Duration, Instant};

use clap::Args;
use emberkeep_sdk::native_types::Task;
use emberkeep_sdk::{Connection, TaskFilter, TaskId};

use crate::error::CliError;
use crate::progress::Bar;

/// The first pause between two questions; each next one is longer, up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(2);

/// Whether to wait for the end, and for how long.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct WaitArgs {
    /// Wait until it is done, with a progress bar on a terminal
    #[arg(long)]
    pub(crate) wait: bool,
    /// Stop waiting after so many seconds (exit code 5); the work itself goes on
    #[arg(long, value_name = "SECONDS", requires = "wait")]
    pub(crate) timeout: Option<u64>,
}

impl WaitArgs {
    /// Returns the patience asked for.
    pub(crate) fn patience(self) -> Patience {
        Patience::new(self.timeout)
    }
}

/// How long to wait at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    since: Instant,
    limit: Option<Duration>,
    pause: Duration,
}

impl Patience {
    /// Starts the clock; no limit means for ever.
    pub(crate) fn new(limit_secs: Option<u64>) -> Self {
        Self {
            since: Instant::now(),
            limit: limit_secs.map(Duration::from_secs),
            pause: FIRST_PAUSE,
        }
    }

    /// Pauses before the next question, or says that the time is over.
    async fn pause(&mut self, what: &str) -> Result<(), CliError> {
        let mut pause = self.pause;
        if let Some(limit) = self.limit {
            let left = limit.saturating_sub(self.since.elapsed());
            if left.is_zero() {
                return Err(CliError::timed_out(format!(
                    "{what}: not done after {} s",
                    limit.as_secs()
                ))
                .hint("it goes on; `emberkeep task list` shows how far it has come"));
            }
            pause = pause.min(left);
        }
        tokio::time::sleep(pause).await;
        self.pause = (self.pause * 3 / 2).min(LAST_PAUSE);
        Ok(())
    }
}

/// Works until it is done or somebody presses Ctrl-C: then the service goes on without us.
pub(crate) async fn unless_interrupted<T>(
    what: &str,
    work: impl Future<Output = Result<T, CliError>>,
) -> Result<T, CliError> {
    tokio::select! {
        done = work => done,
        Ok(()) = tokio::signal::ctrl_c() => Err(CliError::failed(format!(
            "{what}: no longer waited for"
        ))
        .hint("the service goes on with it: `emberkeep task list` names it, `task watch ID` waits again, `task cancel ID` stops it")),
    }
}

/// Asks `ask` until it answers with something, showing the progress of the task that
/// `filter` finds, where the service can tell.
pub(crate) async fn until<T>(
    connection: &Connection,
    what: &str,
    filter: Option<TaskFilter>,
    patience: Patience,
    ask: impl AsyncFnMut() -> Result<Option<T>, CliError>,
) -> Result<T, CliError> {
    unless_interrupted(what, asking(connection, what, filter, patience, ask)).await
}

async fn asking<T>(
    connection: &Connection,
    what: &str,
    filter: Option<TaskFilter>,
    mut patience: Patience,
    mut ask: impl AsyncFnMut() -> Result<Option<T>, CliError>,
) -> Result<T, CliError> {
    let mut bar = None;
    let mut filter = filter;
    loop {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        if let Some(wanted) = &filter {
            match connection.native().tasks(wanted).await {
                Ok(tasks) => show(
                    &mut bar,
                    what,
                    tasks.iter().find(|task| task.status == "running"),
                ),
                // Only Emberkeep has progress; other clouds are asked once.
                Err(_) => filter = None,
            }
        }
        patience.pause(what).await?;
    }
}

/// Follows one task to its end.
pub(crate) async fn task(
    connection: &Connection,
    id: &TaskId,
    mut patience: Patience,
) -> Result<Task, CliError> {
    let what = format!("task {id}");
    unless_interrupted(&what, async {
        let mut bar = None;
        loop {
            let task = connection.native().task(id).await?;
            if !matches!(&*task.status, "waiting" | "running") {
                return Ok(task);
            }
            show(&mut bar, &task.kind, Some(&task));
            patience.pause(&task.kind).await?;
        }
    })
    .await
}

fn show(bar: &mut Option<Bar>, what: &str, task: Option<&Task>) {
    let Some(progress) = task.map(|task| task.progress) else {
        return;
    };
    if progress.bytes_total > 0 {
        bar.get_or_insert_with(|| Bar::new(what, progress.bytes_total))
            .set(progress.bytes_done, progress.bytes_total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ExitStatus;

    #[tokio::test]
    async fn patience_ends_when_it_was_said_to() {
        let mut none = Patience::new(Some(0));
        let error = none.pause("backing up").await.unwrap_err();
        assert_eq!(error.status(), ExitStatus::TimedOut);
        assert!(
            error
                .to_string()
                .starts_with("backing up: not done after 0 s"),
            "{error}"
        );
        let mut endless = Patience::new(None);
        assert!(endless.pause("backing up").await.is_ok());
        assert!(endless.pause > FIRST_PAUSE);
    }
}
