//! The worker that deletes backups whose time is over.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::Service;
use crate::error::chain;
use crate::task::supervisor::{Desk, Worker};

/// How often all vaults are looked at; one that has changed is looked at at once.
const ALL_EVERY: Duration = Duration::from_secs(60 * 60);

/// Looks at all vaults every hour and at those that have changed in between.
pub(crate) struct RetentionWorker {
    pub(crate) service: Service,
}

#[async_trait]
impl Worker for RetentionWorker {
    fn name(&self) -> String {
        "retention".to_owned()
    }

    async fn run(&self, desk: Desk) {
        let mut all_at = Instant::now();
        while !desk.is_stopping() {
            desk.begin();
            let changed = self.service.retention.take();
            let outcome = if all_at <= Instant::now() {
                all_at = Instant::now() + ALL_EVERY;
                self.service.retain_all().await
            } else {
                self.service.retain_in(changed).await
            };
            let problem = outcome.err().map(|error| chain(&error));
            if let Some(error) = &problem {
                tracing::error!(error, "retention failed; it is tried again");
            }
            desk.end(problem.as_deref());
            tokio::select! {
                () = desk.stopped() => {}
                () = self.service.retention.changed() => {}
                () = tokio::time::sleep_until(all_at) => {}
            }
        }
    }
}
