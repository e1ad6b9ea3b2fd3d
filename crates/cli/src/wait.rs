//! Waiting for something slow to end: asks again and again, shows a line meanwhile.

use std::time::{Duration, Instant};

use clap::Args;
use emberkeep_sdk::{Connection, TaskFilter, TaskId};

use crate::error::CliError;
use crate::progress::Bar;
use crate::task::shown::{Shown, shown, tasks};

/// The first pause between two questions; each next one is longer, up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(2);

/// Whether to wait for the end, and for how long.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct WaitArgs {
    /// Wait for completion, with a progress bar on a terminal
    #[arg(long)]
    pub(crate) wait: bool,
    /// Stop waiting after this many seconds (exit code 5); the task continues
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
async fn unless_interrupted<T>(
    connection: &Connection,
    what: &str,
    filter: Option<&TaskFilter>,
    work: impl Future<Output = Result<T, CliError>>,
) -> Result<T, CliError> {
    tokio::select! {
        done = work => done,
        Ok(()) = tokio::signal::ctrl_c() => {
            let running = match filter {
                Some(filter) => running(connection, filter).await,
                None => Vec::new(),
            };
            Err(left_alone(what, &running))
        }
    }
}

/// Finds what goes on, for somebody who wants to be gone: no answer in time is no task.
async fn running(connection: &Connection, filter: &TaskFilter) -> Vec<TaskId> {
    let asked = tokio::time::timeout(LAST_PAUSE, tasks(connection, filter)).await;
    let found = asked.ok().flatten().unwrap_or_default();
    found
        .iter()
        .filter(|task| task.goes_on())
        .map(Shown::id)
        .collect()
}

/// Says that it goes on, and how to come back to it or to stop it.
fn left_alone(what: &str, tasks: &[TaskId]) -> CliError {
    let mut hint = "the service goes on with it".to_owned();
    if tasks.is_empty() {
        hint += "; `emberkeep task list` shows how far it has come";
    }
    for id in tasks {
        hint += &format!(
            "\n  to come back:  emberkeep task watch {id}\n  to stop it:    emberkeep task cancel {id}"
        );
    }
    CliError::failed(format!("{what}: no longer waited for")).hint(hint)
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
    let work = asking(connection, what, filter.clone(), patience, ask);
    unless_interrupted(connection, what, filter.as_ref(), work).await
}

async fn asking<T>(
    connection: &Connection,
    what: &str,
    mut filter: Option<TaskFilter>,
    mut patience: Patience,
    mut ask: impl AsyncFnMut() -> Result<Option<T>, CliError>,
) -> Result<T, CliError> {
    let bar = Bar::waiting(what);
    loop {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        if let Some(wanted) = &filter {
            match tasks(connection, wanted).await {
                Some(tasks) => {
                    if let Some(task) = tasks.iter().find(|task| task.goes_on()) {
                        task.show(&bar);
                    }
                }
                // A cloud that tells nothing of its work is asked once.
                None => filter = None,
            }
        }
        patience.pause(what).await?;
    }
}

/// Waits for several things at once, each with a line of its own; returns what became of each.
pub(crate) async fn all<T>(
    works: impl IntoIterator<Item = impl Future<Output = Result<T, CliError>>>,
) -> Vec<Result<T, CliError>> {
    futures_util::future::join_all(works).await
}

/// Makes one end of several: the one failure, or how many there were with the words of each.
pub(crate) fn together(what: &str, of: usize, mut errors: Vec<CliError>) -> Result<(), CliError> {
    match errors.len() {
        0 => Ok(()),
        1 if of == 1 => Err(errors.remove(0)),
        failed => {
            let words: Vec<_> = errors.iter().map(ToString::to_string).collect();
            Err(errors
                .remove(0)
                .instead(format!("{what}: {failed} of {of} failed"))
                .hint(words.join("\n  ")))
        }
    }
}

/// Follows one task to its end.
pub(crate) async fn task(
    connection: &Connection,
    id: &TaskId,
    mut patience: Patience,
) -> Result<Shown, CliError> {
    let what = format!("task {id}");
    let work = async {
        let bar = Bar::waiting(&what);
        loop {
            let task = shown(connection, id).await?;
            if !task.goes_on() {
                return Ok(task);
            }
            task.show(&bar);
            patience.pause(&what).await?;
        }
    };
    tokio::select! {
        done = work => done,
        Ok(()) = tokio::signal::ctrl_c() => Err(left_alone(&what, std::slice::from_ref(id))),
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

    #[test]
    fn who_goes_away_is_told_how_to_come_back() {
        let told = left_alone("backing up", &[TaskId::from("t-1")]).to_string();
        insta::assert_snapshot!(told, @r"
        backing up: no longer waited for
          the service goes on with it
          to come back:  emberkeep task watch t-1
          to stop it:    emberkeep task cancel t-1
        ");
    }

    #[test]
    fn several_ends_become_one() {
        let failed = |name: &str| CliError::timed_out(format!("{name} is late"));
        assert!(together("backing up", 2, vec![]).is_ok());
        let one = together("backing up", 1, vec![failed("a")]).unwrap_err();
        assert_eq!(one.to_string(), "a is late");
        let two = together("backing up", 3, vec![failed("a"), failed("b")]).unwrap_err();
        assert_eq!(two.status(), ExitStatus::TimedOut);
        assert_eq!(
            two.to_string(),
            "backing up: 2 of 3 failed\n  a is late\n  b is late"
        );
    }
}
