//! The reconcilers: runs that are due, and resources that vaults take in.
//!
//! They take no input: each looks at the rows, does what is to be done and may run on every node
//! at once. A run is begun together with the note that it is settled, in one unit of work: of two
//! nodes that see the same run due one loses the race and then sees it settled.

use std::time::Duration;

use async_trait::async_trait;
use emberkeep_catalog::{Change, PolicyQuery, Row};
use emberkeep_model::{OperationType, Policy, PolicyBinding, Vault};
use emberkeep_plan::Schedule;

use crate::access::on_behalf;
use crate::error::chain;
use crate::policy::commands::destination_of;
use crate::replica::commands::CopyRun;
use crate::task::supervisor::{Desk, Worker};
use crate::vault::checkpoints::{RunOutcome, Scheduled};
use crate::{Fault, NewCheckpoint, Service, ServiceError};

/// How often the schedules are looked at.
const LOOK: Duration = Duration::from_secs(5);
/// How often vaults look for resources to take in.
const BIND_EVERY: Duration = Duration::from_secs(30);
/// The vaults of one policy begin so far apart, so that they do not all read at once.
const STAGGER_SECS: i64 = 5;
/// And none begins later than this.
const STAGGER_MOST_SECS: i64 = 15 * 60;

/// What looks at the rows from time to time and does what is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reconciler {
    /// Begins the runs that are due.
    Scheduler,
    /// Lets vaults take in resources.
    AutoBind,
}

impl Reconciler {
    pub(crate) const ALL: [Self; 2] = [Self::Scheduler, Self::AutoBind];

    fn name(self) -> &'static str {
        match self {
            Self::Scheduler => "scheduler",
            Self::AutoBind => "auto-bind",
        }
    }

    fn every(self) -> Duration {
        match self {
            Self::Scheduler => LOOK,
            Self::AutoBind => BIND_EVERY,
        }
    }

    async fn look(self, service: &Service) -> Result<(), ServiceError> {
        match self {
            Self::Scheduler => service.run_due().await,
            Self::AutoBind => service.bind_unprotected().await,
        }
    }

    /// Waits until there may be something to do before its time.
    async fn woken(self, service: &Service) {
        match self {
            Self::Scheduler => service.reconcile.notified().await,
            Self::AutoBind => std::future::pending().await,
        }
    }
}

/// The worker of one reconciler.
pub(crate) struct Reconciling {
    pub(crate) service: Service,
    pub(crate) reconciler: Reconciler,
}

#[async_trait]
impl Worker for Reconciling {
    fn name(&self) -> String {
        self.reconciler.name().to_owned()
    }

    async fn run(&self, desk: Desk) {
        while !desk.is_stopping() {
            desk.begin();
            let outcome = self.reconciler.look(&self.service).await;
            let problem = outcome.err().map(|error| chain(&error));
            if let Some(error) = &problem {
                tracing::error!(
                    what = self.reconciler.name(),
                    error,
                    "a reconciler failed; it looks again"
                );
            }
            desk.end(problem.as_deref());
            tokio::select! {
                () = desk.stopped() => {}
                () = self.reconciler.woken(&self.service) => {}
                () = tokio::time::sleep(self.reconciler.every()) => {}
            }
        }
    }
}

impl Service {
    /// Begins what is due of every enabled policy.
    pub async fn run_due(&self) -> Result<(), ServiceError> {
        let query = PolicyQuery {
            enabled: Some(true),
            ..PolicyQuery::default()
        };
        for policy in self.catalog.policies(&query).await?.items {
            let schedule = match Schedule::of(&policy) {
                Ok(schedule) => schedule,
                Err(error) => {
                    tracing::error!(policy_id = %policy.id, error = chain(&error), "a policy cannot be read");
                    continue;
                }
            };
            let bindings = self.catalog.policy_vaults(policy.id).await?;
            for (place, binding) in bindings.into_iter().enumerate() {
                let later = i64::try_from(place).unwrap_or(i64::MAX);
                let later = later.saturating_mul(STAGGER_SECS).min(STAGGER_MOST_SECS);
                if let Err(error) = self.run_binding(&policy, &schedule, binding, later).await {
                    tracing::error!(policy_id = %policy.id, error = chain(&error), "a scheduled run could not be begun; it is tried again");
                }
            }
        }
        Ok(())
    }

    /// Begins the run of one vault if it is due, `later` seconds after its time.
    async fn run_binding(
        &self,
        policy: &Policy,
        schedule: &Schedule,
        mut binding: PolicyBinding,
        later: i64,
    ) -> Result<(), ServiceError> {
        let now = self.now();
        let decision = schedule.due(binding.settled_until, now);
        let Some(at) = decision.settles() else {
            return Ok(());
        };
        let settled = Change::Save(Row::PolicyBinding({
            binding.settled_until = at;
            binding.clone()
        }));
        if decision.run().is_none() {
            tracing::warn!(policy_id = %policy.id, vault_id = %binding.vault_id, "a run was missed for too long and is left out");
            return ignore_race(self.commit(vec![settled]).await);
        }
        if now < at.plus_secs(later) {
            return Ok(());
        }
        let Some(vault) = self.catalog.vault(binding.vault_id).await? else {
            return Ok(());
        };
        if policy.operation_type == OperationType::Replication {
            return self.run_copies(policy, &vault, binding, settled).await;
        }
        if vault.auto_bind {
            self.bind_unprotected_of(&vault.project_id, vault.object_type)
                .await?;
        }
        let caller = on_behalf(&policy.user_id, &vault);
        let new = NewCheckpoint {
            vault_id: vault.id,
            name: None,
            description: None,
            incremental: true,
            automatic: true,
            resources: Vec::new(),
            policy_id: Some(policy.id),
            retention_days: None,
        };
        let scheduled = Scheduled {
            policy,
            settle: settled.clone(),
        };
        match self.begin_run(&caller, &new, Some(&scheduled)).await {
            Ok(RunOutcome::Begun(view)) => {
                tracing::info!(policy_id = %policy.id, vault_id = %vault.id, checkpoint_id = %view.checkpoint.id, "a scheduled run has begun");
                Ok(())
            }
            // Recorded with the reasons already.
            Ok(RunOutcome::NothingToBackUp) => Ok(()),
            // Another node was faster.
            Err(ServiceError::Busy) => Ok(()),
            Err(refusal) if refusal.fault() == Fault::BadRequest => {
                tracing::warn!(policy_id = %policy.id, vault_id = %vault.id, error = chain(&refusal), "a scheduled run was refused");
                let mut changes = self
                    .refused_run(&caller, &vault, policy, &refusal.to_string())
                    .await?;
                changes.push(settled);
                ignore_race(self.commit(changes).await)
            }
            Err(error) => Err(error),
        }
    }

    /// Begins to copy what the other region does not have of a vault. What is being copied since an
    /// earlier run goes on.
    async fn run_copies(
        &self,
        policy: &Policy,
        vault: &Vault,
        binding: PolicyBinding,
        settled: Change,
    ) -> Result<(), ServiceError> {
        let caller = on_behalf(&policy.user_id, vault);
        let run = CopyRun {
            policy: Some(policy),
            automatic: true,
            settle: Some(settled.clone()),
        };
        let begun = match destination_of(policy, binding.destination_vault_id) {
            Ok(to) => self.copy_vault(&caller, vault, &to, run).await,
            Err(refusal) => Err(refusal),
        };
        match begun {
            Ok(begun) => {
                tracing::info!(policy_id = %policy.id, vault_id = %vault.id, copies = begun.len(), "a scheduled run has begun");
                Ok(())
            }
            // Another node was faster.
            Err(ServiceError::Busy) => Ok(()),
            Err(refusal) if refusal.fault() == Fault::BadRequest => {
                tracing::warn!(policy_id = %policy.id, vault_id = %vault.id, error = chain(&refusal), "a scheduled run was refused");
                ignore_race(self.commit(vec![settled]).await)
            }
            Err(error) => Err(error),
        }
    }
}

/// Another node has done the same meanwhile.
fn ignore_race(outcome: Result<(), ServiceError>) -> Result<(), ServiceError> {
    match outcome {
        Err(ServiceError::Busy) => Ok(()),
        settled => settled,
    }
}
