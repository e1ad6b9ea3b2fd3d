//! What goes on (`cbr-v3.md §2.6`).

use super::{Cbr, Task, TaskQuery};
use crate::connection::Call;
use crate::error::SdkError;
use crate::ids::TaskId;
use crate::pages::{Pages, Turning};
use crate::wait::Wait;

impl Cbr {
    /// Lists the project's tasks, newest first.
    pub fn tasks(&self, query: &TaskQuery) -> Pages<Task> {
        self.pages(Turning::Offset, query.of(Call::get(["operation-logs"])))
    }

    /// Shows one task.
    pub async fn task(&self, id: &TaskId) -> Result<Task, SdkError> {
        self.one(Call::get(["operation-logs", id.as_str()])).await
    }

    /// Waits until a task has succeeded; another end of it is an error, with its reason.
    pub async fn wait_for_task(&self, id: &TaskId, wait: Wait) -> Result<Task, SdkError> {
        wait.until_status(&["success"], async || self.task(id).await)
            .await
    }
}
