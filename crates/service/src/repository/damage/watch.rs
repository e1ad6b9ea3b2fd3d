//! The worker that looks into damage which was met, and heals what can be read again.

use std::time::Duration;

use async_trait::async_trait;
use emberkeep_engine::Run;

use crate::Service;
use crate::error::chain;
use crate::task::supervisor::{Desk, Worker};

/// Damaged backups are looked at again after so long at most.
const LOOK: Duration = Duration::from_secs(600);
/// And after so long at least: a look may walk the maps of a whole project.
const REST: Duration = Duration::from_secs(5);

/// The worker that looks into damage which was met, and makes backups available again that can be
/// read in full.
pub(crate) struct DamageWatch {
    pub(crate) service: Service,
}

#[async_trait]
impl Worker for DamageWatch {
    fn name(&self) -> String {
        "damage".to_owned()
    }

    async fn run(&self, desk: Desk) {
        while !desk.is_stopping() {
            desk.begin();
            let run = Run::new();
            let looking = self.service.look_at_damage(&run);
            tokio::pin!(looking);
            let outcome = tokio::select! {
                outcome = &mut looking => outcome,
                () = desk.stopped() => {
                    run.cancel();
                    looking.await
                }
            };
            let problem = outcome.err().map(|error| chain(&error));
            if let Some(error) = &problem {
                tracing::error!(error, "damage could not be looked into; it is tried again");
            }
            desk.end(problem.as_deref());
            tokio::select! {
                () = desk.stopped() => {}
                () = tokio::time::sleep(REST) => {}
            }
            tokio::select! {
                () = desk.stopped() => {}
                () = self.service.damage.woken() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }
}
