//! What is put right at start-up, before requests are taken.

use std::sync::Arc;

use emberkeep_model::{TaskId, TaskState};

use crate::{Service, ServiceError};

impl Service {
    /// Prepares a catalogue that this process has to itself: makes the default volume type, ends the
    /// leases of the process before, so that its tasks go on at once, settles what none of them is about, and
    /// removes leftovers.
    pub async fn recover(&self) -> Result<(), ServiceError> {
        self.ensure_default_type().await?;
        let released = self.catalog.release_leases("", self.now()).await?;
        if released > 0 {
            tracing::info!(tasks = released, "tasks that were interrupted go on");
        }
        self.recover_imports().await?;
        self.settle_left_behind().await?;
        self.release_leftovers().await?;
        self.count_damaged().await?;
        self.resume_exports().await
    }

    /// Lets frozen volumes go whose task has ended.
    async fn release_leftovers(&self) -> Result<(), ServiceError> {
        let provider = Arc::clone(&self.volumes);
        let freezes = self
            .blocking("listing frozen volumes", move || provider.freezes())
            .await?;
        for freeze in freezes {
            // Those of a server's volumes have the names of their backups behind the task's.
            let owner = freeze.split('.').next().unwrap_or_default();
            let task = match owner.parse::<TaskId>() {
                Ok(id) => self.catalog.task(id).await?,
                Err(_) => None,
            };
            let state = task.map(|task| task.state);
            if state.as_ref().is_none_or(TaskState::has_ended) {
                let provider = Arc::clone(&self.volumes);
                let backed_up = state == Some(TaskState::Succeeded);
                self.blocking("releasing a frozen volume", move || match backed_up {
                    true => provider.release_backed_up(&freeze),
                    false => provider.release(&freeze),
                })
                .await?;
            }
        }
        Ok(())
    }
}
