//! Reads stored data through by and by, so that damage is found while it can still be healed.
//!
//! A reconciler like the others: no input, safe to run twice. Each time it reads what was not
//! read for longest, as much of it as the day's budget allows; what was read is remembered in
//! the repository. Damage is healed by the next backup that meets the same bytes.

use std::time::Duration;

use async_trait::async_trait;
use emberkeep_engine::{
    CheckError, CheckReport, DamageCause, Problem, ProjectRepository, RepositoryError, Run,
    VerifyOptions,
};
use emberkeep_model::{DamageFinder, Progress, ProjectId};

use crate::error::chain;
use crate::repository::damage::found::FoundDamage;
use crate::task::supervisor::{Desk, Worker};
use crate::{Service, ServiceError};

/// So often a day it reads a part.
const TIMES_A_DAY: u64 = 24;
/// How long it waits after the start, for all else to be done first.
const FIRST: Duration = Duration::from_secs(15 * 60);
/// How often it says how far it is.
const TELL_EVERY: Duration = Duration::from_secs(5);

const READ: &str = "emberkeep_verified_bytes_total";
const DAMAGED: &str = "emberkeep_damaged_places";
const NEVER: &str = "emberkeep_unverified_packs";

/// The worker that looks at the start and then every hour whether all backups are there, and
/// reads a part of them.
pub(crate) struct Scrub {
    pub(crate) service: Service,
}

#[async_trait]
impl Worker for Scrub {
    fn name(&self) -> String {
        "scrub".to_owned()
    }

    async fn run(&self, desk: Desk) {
        desk.begin();
        let compared = self.service.compare_with_stores(DamageFinder::Start).await;
        let problem = compared.err().map(|error| chain(&error));
        if let Some(error) = &problem {
            tracing::error!(error, "the catalogue could not be compared with the stores");
        }
        desk.end(problem.as_deref());
        let bytes_a_day = self.service.settings.verify_bytes_a_day.unwrap_or(0);
        let every = Duration::from_secs(24 * 3600 / TIMES_A_DAY);
        let mut pause = FIRST.min(every);
        loop {
            tokio::select! {
                () = desk.stopped() => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = every;
            desk.begin();
            let run = Run::new();
            let budget = match bytes_a_day {
                0 => 0,
                bytes => (bytes / TIMES_A_DAY).max(1),
            };
            let reading = self.service.verify_some(budget, run.clone());
            tokio::pin!(reading);
            let outcome = loop {
                tokio::select! {
                    outcome = &mut reading => break outcome,
                    () = desk.stopped() => {
                        // It notes how far it came.
                        run.cancel();
                        break reading.await;
                    }
                    () = tokio::time::sleep(TELL_EVERY) => {
                        let counted = run.progress();
                        desk.progress(Progress {
                            bytes_done: counted.done,
                            bytes_total: counted.total,
                            bytes_per_sec: 0,
                        });
                    }
                }
            };
            let problem = outcome.err().map(|error| chain(&error));
            if let Some(error) = &problem {
                tracing::error!(
                    error,
                    "stored data could not be verified; it is tried again"
                );
            }
            desk.end(problem.as_deref());
        }
    }
}

impl Service {
    /// Looks whether all backups are there, reads so many bytes of all projects, those first that
    /// were not read for longest, and records damage.
    pub async fn verify_some(&self, budget: u64, run: Run) -> Result<(), ServiceError> {
        self.compare_with_stores(DamageFinder::Scrub).await?;
        self.check_catalog_copies().await?;
        if budget == 0 {
            return Ok(());
        }
        let repository = self.repository.clone();
        let checked = self
            .blocking("verifying stored data", move || {
                let mut reports = Vec::new();
                let mut left = budget;
                let mut projects = repository.projects()?;
                // None comes last each time: where all is not done, another begins.
                let turn = usize::from(uuid::Uuid::new_v4().as_bytes()[0]);
                let first = turn % projects.len().max(1);
                projects.rotate_left(first);
                for project in projects {
                    let options = VerifyOptions {
                        budget: Some(left),
                        older_than: None,
                    };
                    match project.verify(options, &run) {
                        Ok(report) => {
                            if report.problems.iter().any(is_lost_index) {
                                repair_index(&project, &run);
                            }
                            left = left.saturating_sub(report.read_bytes);
                            reports.push((project.project().to_owned(), report));
                        }
                        Err(CheckError::Cancelled) => break,
                        Err(error) => {
                            tracing::error!(
                                project_id = project.project(),
                                error = chain(&error),
                                "a project could not be verified"
                            );
                        }
                    }
                    if left == 0 || run.is_cancelled() {
                        break;
                    }
                }
                Ok::<_, RepositoryError>(reports)
            })
            .await?;
        for (project, report) in checked {
            tell(&project, &report);
            let found = FoundDamage::of(&report);
            let project: ProjectId = match project.parse() {
                Ok(project) => project,
                Err(_) => continue,
            };
            self.record_damage(&project, found, DamageFinder::Scrub)
                .await?;
        }
        // What was healed meanwhile is whole again.
        self.damage.look_again();
        Ok(())
    }
}

fn is_lost_index(problem: &Problem) -> bool {
    matches!(problem.damage.cause, DamageCause::IndexLost { .. })
}

/// Writes the index anew where a run of it is lost: every byte is there, and a repair deletes
/// nothing.
fn repair_index(project: &ProjectRepository, run: &Run) {
    match project.repair_index(run) {
        Ok(report) => tracing::warn!(
            project_id = project.project(),
            packs = report.packs,
            chunks = report.chunks,
            "lost index written anew from the packs"
        ),
        Err(error) => tracing::error!(
            project_id = project.project(),
            error = chain(&error),
            "lost index could not be written anew"
        ),
    }
}

fn count(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// Says what was found, in the log and as metrics.
fn tell(project: &str, report: &CheckReport) {
    metrics::counter!(READ).increment(report.read_bytes);
    let labels = [("project_id", project.to_owned())];
    metrics::gauge!(DAMAGED, &labels).set(f64::from(count(report.problems.len())));
    let never = u32::try_from(report.unverified_packs).unwrap_or(u32::MAX);
    metrics::gauge!(NEVER, &labels).set(f64::from(never));
    for problem in &report.problems {
        let backups: Vec<_> = problem.backups.iter().map(ToString::to_string).collect();
        let lost: u64 = problem
            .lost
            .iter()
            .map(|lost| lost.range.end - lost.range.start)
            .sum();
        tracing::error!(
            project_id = project,
            damage = chain(&problem.damage),
            backups = backups.join(" "),
            lost_bytes = lost,
            "stored data is damaged; back the volumes up again to heal it"
        );
    }
    tracing::info!(
        project_id = project,
        read_bytes = report.read_bytes,
        unverified_packs = report.unverified_packs,
        problems = report.problems.len(),
        "stored data was verified"
    );
}
