//! What every kind of task has: its work, the rows that follow from how it ended, its limits.

use async_trait::async_trait;
use emberkeep_catalog::Change;
use emberkeep_engine::Run;
use emberkeep_model::{MessageAction, Task};

use crate::messages::About;
use crate::task::outcome::{Failure, Stop, Verdict};
use crate::{Service, ServiceError};

/// One kind of task: its facts are its fields, `task/kinds.rs` makes it from the task's work.
#[async_trait]
pub(crate) trait TaskKind: Clone + Send + Sync + 'static {
    /// What the work finds out that rows depend on.
    type Found: Send + Sync + 'static;

    /// Needs free space in the service's own store or volumes.
    const STORES_DATA: bool = false;
    /// May be cancelled; what cannot is short or must end.
    const CANCELLABLE: bool = false;
    /// Must end within the operator's time limit, counted from its first attempt.
    const TIME_LIMITED: bool = false;

    /// Does the slow part. May run twice: a crash at any moment leaves a task that is done again.
    async fn act(&self, service: &Service, task: &Task, run: &Run) -> Result<Self::Found, Stop>;

    /// Returns the rows that follow from how it ended. `task` is the row that is saved with them:
    /// a kind may note there what it has come to.
    async fn rows(
        &self,
        service: &Service,
        task: &mut Task,
        verdict: &Verdict<Self::Found>,
    ) -> Result<Vec<Change>, ServiceError>;

    /// Releases what a settled task held outside the catalog; `done` if it succeeded.
    async fn clean_up(&self, _service: &Service, _task: &Task, _done: bool) {}

    /// Names what a message to the project is about when the task has failed. Kinds about backups
    /// write theirs with the rows, which may have moved on.
    fn failure_message(&self) -> Option<(About, MessageAction)> {
        None
    }
}

/// A kind of task whose type is forgotten, so that one worker runs all of them.
#[async_trait]
pub(crate) trait AnyKind: Send + Sync {
    /// See [`TaskKind::STORES_DATA`].
    fn stores_data(&self) -> bool;
    /// See [`TaskKind::CANCELLABLE`].
    fn is_cancellable(&self) -> bool;
    /// See [`TaskKind::TIME_LIMITED`].
    fn is_time_limited(&self) -> bool;
    /// Does the slow part; what it found comes back in the ending.
    async fn act(&self, service: &Service, task: &Task, run: &Run)
    -> Result<Box<dyn Ending>, Stop>;
    /// Returns the ending of a task that failed.
    fn failed(&self, failure: Failure) -> Box<dyn Ending>;
    /// Returns the ending of a task that was cancelled.
    fn cancelled(&self) -> Box<dyn Ending>;
    /// See [`TaskKind::clean_up`].
    async fn clean_up(&self, service: &Service, task: &Task, done: bool);
}

/// How one task ended, with the rows that follow.
#[async_trait]
pub(crate) trait Ending: Send + Sync {
    /// Returns how it ended, without what it found.
    fn verdict(&self) -> Verdict;

    /// Returns the rows that follow; see [`TaskKind::rows`].
    async fn rows(&self, service: &Service, task: &mut Task) -> Result<Vec<Change>, ServiceError>;
}

#[async_trait]
impl<K: TaskKind> AnyKind for K {
    fn stores_data(&self) -> bool {
        K::STORES_DATA
    }

    fn is_cancellable(&self) -> bool {
        K::CANCELLABLE
    }

    fn is_time_limited(&self) -> bool {
        K::TIME_LIMITED
    }

    async fn act(
        &self,
        service: &Service,
        task: &Task,
        run: &Run,
    ) -> Result<Box<dyn Ending>, Stop> {
        if K::STORES_DATA {
            service.check_space()?;
        }
        let found = TaskKind::act(self, service, task, run).await?;
        Ok(Box::new(Ended {
            kind: self.clone(),
            verdict: Verdict::Done(found),
        }))
    }

    fn failed(&self, failure: Failure) -> Box<dyn Ending> {
        Box::new(Ended {
            kind: self.clone(),
            verdict: Verdict::Failed(failure),
        })
    }

    fn cancelled(&self) -> Box<dyn Ending> {
        Box::new(Ended {
            kind: self.clone(),
            verdict: Verdict::Cancelled,
        })
    }

    async fn clean_up(&self, service: &Service, task: &Task, done: bool) {
        TaskKind::clean_up(self, service, task, done).await;
    }
}

/// A kind and how its task ended.
struct Ended<K: TaskKind> {
    kind: K,
    verdict: Verdict<K::Found>,
}

#[async_trait]
impl<K: TaskKind> Ending for Ended<K> {
    fn verdict(&self) -> Verdict {
        match &self.verdict {
            Verdict::Done(_) => Verdict::Done(()),
            Verdict::Failed(failure) => Verdict::Failed(failure.clone()),
            Verdict::Cancelled => Verdict::Cancelled,
        }
    }

    async fn rows(&self, service: &Service, task: &mut Task) -> Result<Vec<Change>, ServiceError> {
        let mut changes = self.kind.rows(service, task, &self.verdict).await?;
        if let (Verdict::Failed(_), Some((about, action))) =
            (&self.verdict, self.kind.failure_message())
        {
            changes.push(service.task_failed(task, about, action));
        }
        Ok(changes)
    }
}
