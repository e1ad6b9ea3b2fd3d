//! The worker that sees to it that NBD connections are accepted.

use std::time::Duration;

use async_trait::async_trait;

use crate::Service;
use crate::task::supervisor::{Desk, Worker};

/// How often it is looked whether connections are accepted.
const ACCEPT_LOOK: Duration = Duration::from_secs(5);

/// The worker that sees to it that NBD connections are accepted.
pub(crate) struct ExportWatch {
    pub(crate) service: Service,
}

#[async_trait]
impl Worker for ExportWatch {
    fn name(&self) -> String {
        "nbd".to_owned()
    }

    async fn run(&self, desk: Desk) {
        let Some(server) = &self.service.exports else {
            return desk.stopped().await;
        };
        let mut known = server.server.mishaps();
        while !desk.is_stopping() {
            desk.begin();
            let mishaps = server.server.mishaps();
            let problem = (mishaps > known).then_some("accepting connections panicked");
            known = mishaps;
            desk.end(problem);
            tokio::select! {
                () = desk.stopped() => {}
                () = tokio::time::sleep(ACCEPT_LOOK) => {}
            }
            assert!(
                server.server.is_accepting() || desk.is_stopping(),
                "connections are not accepted any more"
            );
        }
    }
}
