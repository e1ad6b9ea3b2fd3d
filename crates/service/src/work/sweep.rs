//! Freeing what no backup of a project names.

use std::time::Duration;

use emberkeep_catalog::Change;
use emberkeep_engine::{Run, SweepError, SweepOptions, SweepReport};
use emberkeep_model::Task;

use super::{Facts, Stop, Verdict};
use crate::worker::chain;
use crate::{Service, ServiceError};

/// How long a sweep waits for running backups before it leaves the rest to the next one.
const WAIT: Duration = Duration::from_secs(10);

impl Service {
    pub(super) async fn act_sweep(&self, task: &Task, run: &Run) -> Result<Facts, Stop> {
        // What the project has in other regions goes with what it has here.
        let project = task.project_id.as_str();
        let mut places = vec![self.place_in(None, project)?];
        for region in self.regions.others.keys() {
            places.push(self.place_in(Some(region), project)?);
        }
        let run = run.clone();
        let swept = tokio::task::spawn_blocking(move || {
            let mut total = SweepReport::default();
            for place in places {
                let project = place.open().map_err(SweepError::from)?;
                let options = SweepOptions {
                    dry_run: false,
                    wait: WAIT,
                };
                let report = project.sweep(options, &run)?;
                total.freed_bytes += report.freed_bytes;
                total.pending_packs += report.pending_packs;
            }
            Ok(total)
        })
        .await;
        match swept {
            Ok(Ok(report)) => {
                tracing::info!(task_id = %task.id, freed_bytes = report.freed_bytes, pending_packs = report.pending_packs, "swept");
                Ok(if report.pending_packs > 0 {
                    Facts::SweepAgain
                } else {
                    Facts::Nothing
                })
            }
            Ok(Err(SweepError::Cancelled)) => Err(Stop::Cancelled),
            // Another sweep of the same project does the work already.
            Ok(Err(SweepError::Busy(_))) => Ok(Facts::Nothing),
            Ok(Err(error)) => Err(Stop::Failed(chain(&error))),
            Err(panicked) => Err(Stop::Failed(format!("the sweep ended badly: {panicked}"))),
        }
    }

    pub(super) async fn rows_swept(
        &self,
        task: &Task,
        verdict: &Verdict,
    ) -> Result<Vec<Change>, ServiceError> {
        match verdict {
            Verdict::Done(Facts::SweepAgain) => Ok(self
                .sweep_later(task, &task.project_id)
                .await?
                .into_iter()
                .collect()),
            Verdict::Done(
                Facts::Nothing
                | Facts::Sealed(_)
                | Facts::Found(_)
                | Facts::Restored(_)
                | Facts::Synced(_),
            )
            | Verdict::Failed(_)
            | Verdict::Cancelled => Ok(Vec::new()),
        }
    }
}
