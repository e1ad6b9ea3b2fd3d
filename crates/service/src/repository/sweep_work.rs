//! Freeing what no backup of a project names.

use std::time::Duration;

use async_trait::async_trait;
use emberkeep_catalog::Change;
use emberkeep_engine::{Run, SweepError, SweepOptions, SweepReport};
use emberkeep_model::{DamageFinder, ProjectId, Task};

use crate::error::chain;
use crate::repository::damage::found::FoundDamage;
use crate::task::kind::TaskKind;
use crate::task::outcome::{Stop, Verdict};
use crate::{Service, ServiceError};

/// How long a sweep waits for running backups before it leaves the rest to the next one.
const WAIT: Duration = Duration::from_secs(10);
/// How often a sweep looks which backups there must be, where they are deleted while it looks.
const LOOKS: u32 = 10;

/// What a sweep has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Swept {
    /// Nothing.
    Clean,
    /// Packs that are dead and cannot be freed yet.
    Pending,
}

/// Frees what no backup of the project names.
#[derive(Debug, Clone)]
pub(crate) struct Sweep;

#[async_trait]
impl TaskKind for Sweep {
    type Found = Swept;
    const CANCELLABLE: bool = true;

    async fn act(&self, service: &Service, task: &Task, run: &Run) -> Result<Swept, Stop> {
        service.act_sweep(task, run).await
    }

    async fn rows(
        &self,
        service: &Service,
        task: &mut Task,
        verdict: &Verdict<Swept>,
    ) -> Result<Vec<Change>, ServiceError> {
        match verdict {
            Verdict::Done(Swept::Pending) => Ok(service
                .sweep_later(task, &task.project_id)
                .await?
                .into_iter()
                .collect()),
            Verdict::Done(Swept::Clean) | Verdict::Failed(_) | Verdict::Cancelled => Ok(Vec::new()),
        }
    }
}

impl Service {
    async fn act_sweep(&self, task: &Task, run: &Run) -> Result<Swept, Stop> {
        // What the project has in other regions goes with what it has here.
        let others = self
            .regions
            .others
            .keys()
            .map(|region| Some(region.as_str()));
        let mut total = SweepReport::default();
        for region in std::iter::once(None).chain(others) {
            if let Some(report) = self.sweep_region(region, &task.project_id, run).await? {
                total.freed_bytes += report.freed_bytes;
                total.pending_packs += report.pending_packs;
            }
        }
        tracing::info!(task_id = %task.id, freed_bytes = total.freed_bytes, pending_packs = total.pending_packs, "swept");
        Ok(if total.pending_packs > 0 {
            Swept::Pending
        } else {
            Swept::Clean
        })
    }

    /// Sweeps what a project has in one region, unless another sweep does so already.
    async fn sweep_region(
        &self,
        region: Option<&str>,
        project: &ProjectId,
        run: &Run,
    ) -> Result<Option<SweepReport>, Stop> {
        let mut looks = 1;
        loop {
            let place = self.place_in(region, project.as_str())?;
            let (due, run) = (self.manifests_due(region, project).await?, run.clone());
            let swept = tokio::task::spawn_blocking(move || {
                let options = SweepOptions {
                    dry_run: false,
                    wait: WAIT,
                };
                let project = place.open().map_err(SweepError::from)?;
                project.sweep_keeping(&due, options, &run)
            })
            .await;
            return match swept {
                Ok(Ok(report)) => Ok(Some(report)),
                Ok(Err(SweepError::Cancelled)) => Err(Stop::Cancelled),
                Ok(Err(SweepError::Busy(_))) => Ok(None),
                Ok(Err(SweepError::ManifestsMissing(missing))) => {
                    let still_due = self.manifests_due(region, project).await?;
                    let mut lost = missing.clone();
                    lost.retain(|id| still_due.contains(id));
                    if lost.is_empty() && looks < LOOKS {
                        // They were deleted while it looked.
                        looks += 1;
                        continue;
                    }
                    let found = lost.iter().copied().map(FoundDamage::manifest_missing);
                    self.record_damage_in(region, project, found.collect(), DamageFinder::Sweep)
                        .await?;
                    let error =
                        SweepError::ManifestsMissing(if lost.is_empty() { missing } else { lost });
                    tracing::error!(project_id = %project, region, error = chain(&error), "sweep refused");
                    Err(Stop::Failed(chain(&error)))
                }
                Ok(Err(error)) => Err(Stop::Failed(chain(&error))),
                Err(panicked) => Err(Stop::Failed(format!("the sweep ended badly: {panicked}"))),
            };
        }
    }
}
