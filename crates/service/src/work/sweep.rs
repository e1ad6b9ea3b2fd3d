//! Freeing what no backup of a project names.

use std::time::Duration;

use emberkeep_catalog::Change;
use emberkeep_engine::{Run, SweepError, SweepOptions};
use emberkeep_model::Task;

use super::{Facts, Stop, Verdict};
use crate::worker::chain;
use crate::{Service, ServiceError};

/// How long a sweep waits for running backups before it leaves the rest to the next one.
const WAIT: Duration = Duration::from_secs(10);

impl Service {
    pub(super) async fn act_sweep(&self, task: &Task, run: &Run) -> Result<Facts, Stop> {
        let (repository, project, run) = (
            self.repository.clone(),
            task.project_id.clone(),
            run.clone(),
        );
        let swept = tokio::task::spawn_blocking(move || {
            let project = repository
                .project(project.as_str())
                .map_err(SweepError::from)?;
            project.sweep(
                SweepOptions {
                    dry_run: false,
                    wait: WAIT,
                },
                &run,
            )
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
            Verdict::Done(Facts::Nothing | Facts::Sealed(_))
            | Verdict::Failed(_)
            | Verdict::Cancelled => Ok(Vec::new()),
        }
    }
}
