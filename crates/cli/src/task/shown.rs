//! A task as any cloud shows it: Emberkeep's own with bytes and rates, else CBR's operation log.

use emberkeep_sdk::cbr::word::TaskStatus;
use emberkeep_sdk::{Connection, SdkError, TaskFilter, TaskId, cbr, native_types};
use serde::Serialize;

use crate::error::CliError;
use crate::progress::Bar;

/// A task. Serialised it is what its service says.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Shown {
    /// Emberkeep's.
    Own(Box<native_types::Task>),
    /// Any cloud's.
    Cloud(Box<cbr::Task>),
}

impl Shown {
    /// Returns its id.
    pub(crate) fn id(&self) -> TaskId {
        match self {
            Self::Own(task) => task.id.into(),
            Self::Cloud(task) => task.id.clone(),
        }
    }

    /// Returns what it does, in its service's word.
    pub(super) fn kind(&self) -> String {
        match self {
            Self::Own(task) => task.kind.to_string(),
            Self::Cloud(task) => task.operation_type.to_string(),
        }
    }

    /// Returns how it stands, in its service's word.
    pub(super) fn status(&self) -> String {
        match self {
            Self::Own(task) => task.status.to_string(),
            Self::Cloud(task) => task.status.to_string(),
        }
    }

    /// Returns why it failed, where that is known.
    pub(super) fn reason(&self) -> Option<String> {
        match self {
            Self::Own(task) => task.reason.clone(),
            Self::Cloud(task) => Some(task.error_info.message.clone()).filter(|it| !it.is_empty()),
        }
    }

    /// Returns how far it has come.
    pub(super) fn percent(&self) -> u8 {
        match self {
            Self::Own(task) => task.progress.percent,
            Self::Cloud(task) => task.extra_info.common.progress,
        }
    }

    /// Tells whether it has not ended yet.
    pub(crate) fn goes_on(&self) -> bool {
        match self {
            Self::Own(task) => matches!(&*task.status, "waiting" | "running"),
            Self::Cloud(task) => matches!(task.status, TaskStatus::Waiting | TaskStatus::Running),
        }
    }

    /// Tells whether it has ended well.
    pub(crate) fn succeeded(&self) -> bool {
        match self {
            Self::Own(task) => task.status == "succeeded",
            Self::Cloud(task) => task.status == TaskStatus::Success,
        }
    }

    /// Shows on a line how far it has come.
    pub(crate) fn show(&self, bar: &Bar) {
        match self {
            Self::Own(task) => bar.set(task.progress.bytes_done, task.progress.bytes_total),
            Self::Cloud(task) => bar.percent(task.extra_info.common.progress),
        }
    }
}

/// Finds one task: of Emberkeep's own, else of the cloud's operation log.
pub(crate) async fn shown(connection: &Connection, id: &TaskId) -> Result<Shown, CliError> {
    let refused = match connection.native().task(id).await {
        Ok(task) => return Ok(Shown::Own(Box::new(task))),
        Err(error) if is_elsewhere(&error) => error,
        Err(error) => return Err(error.into()),
    };
    match connection.cbr().task(id).await {
        Ok(task) => Ok(Shown::Cloud(Box::new(task))),
        Err(SdkError::NoService { .. }) => Err(refused.into()),
        Err(error) => Err(error.into()),
    }
}

/// Lists what goes on and went on, newest first; none if the cloud tells nothing of it.
pub(crate) async fn tasks(connection: &Connection, filter: &TaskFilter) -> Option<Vec<Shown>> {
    list(connection, filter).await.ok()
}

/// Lists what goes on and went on, newest first.
pub(super) async fn list(
    connection: &Connection,
    filter: &TaskFilter,
) -> Result<Vec<Shown>, CliError> {
    let refused = match connection.native().tasks(filter).await {
        Ok(tasks) => {
            return Ok(tasks.into_iter().map(Box::new).map(Shown::Own).collect());
        }
        Err(error) if is_elsewhere(&error) => error,
        Err(error) => return Err(error.into()),
    };
    // A volume or backup is what a task of the log is about, not what the log can be asked for.
    if filter.volume_id.is_some() || filter.backup_id.is_some() {
        return Err(refused.into());
    }
    let query = cbr::TaskQuery {
        status: filter.status.as_deref().map(Into::into),
        vault_id: filter.vault_id.clone(),
        ..cbr::TaskQuery::default()
    };
    let most = filter.limit.unwrap_or(50);
    let pages = connection.cbr().tasks(&query).at_most(most);
    match pages.page_size(most.min(1000)).all().await {
        Ok(tasks) => Ok(tasks.into_iter().map(Box::new).map(Shown::Cloud).collect()),
        Err(SdkError::NoService { .. }) => Err(refused.into()),
        Err(error) => Err(error.into()),
    }
}

/// Tells whether an answer is that of something that is not Emberkeep, or does not know the task.
fn is_elsewhere(error: &SdkError) -> bool {
    match error {
        SdkError::Refused { refusal } => refusal.status < 500 || refusal.status == 501,
        SdkError::BadAnswer { .. } => true,
        _ => false,
    }
}
