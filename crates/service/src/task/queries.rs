//! Tasks as people see them: listed, shown, cancelled; and the sweep asked for by hand.

use emberkeep_catalog::{Change, Page, Row, TaskQuery};
use emberkeep_model::{Caller, Role, Task, TaskId, TaskState, Work};

use crate::access::require;
use crate::race::racing;
use crate::task::kinds::kind_of;
use crate::{Service, ServiceError};

impl Service {
    /// Lists the project's tasks, newest first.
    pub async fn tasks(
        &self,
        caller: &Caller,
        mut query: TaskQuery,
    ) -> Result<Page<Task>, ServiceError> {
        require(caller, Role::Reader, "cbr:tasks:list")?;
        query.project = Some(caller.project_id.clone());
        self.tasks_now(&query).await
    }

    /// Reads tasks, those that this process works on with the progress of this moment: the rows
    /// know that of the last heartbeat.
    pub(crate) async fn tasks_now(&self, query: &TaskQuery) -> Result<Page<Task>, ServiceError> {
        let mut page = self.catalog.tasks(query).await?;
        page.items.iter_mut().for_each(|task| self.refresh(task));
        Ok(page)
    }

    fn refresh(&self, task: &mut Task) {
        if !matches!(task.state, TaskState::Running(_)) {
            return;
        }
        let runs = self
            .runs
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(run) = runs.get(&task.id) {
            let counted = run.progress();
            task.progress.bytes_done = counted.done;
            task.progress.bytes_total = counted.total;
        }
    }

    /// Shows one task.
    pub async fn task(&self, caller: &Caller, id: TaskId) -> Result<Task, ServiceError> {
        let mut task = self.own_task(caller, id).await?;
        require(caller, Role::Reader, "cbr:tasks:get")?;
        self.refresh(&mut task);
        Ok(task)
    }

    async fn own_task(&self, caller: &Caller, id: TaskId) -> Result<Task, ServiceError> {
        let found = self.catalog.task(id).await?;
        found
            .filter(|task| caller.sees(&task.project_id))
            .ok_or(ServiceError::NoSuchTask(id))
    }

    /// Asks for a task to stop. Only copying can be stopped: the rest is short or must end.
    pub async fn cancel_task(&self, caller: &Caller, id: TaskId) -> Result<(), ServiceError> {
        let task = self.own_task(caller, id).await?;
        require(caller, Role::Member, "task:cancel")?;
        if !kind_of(&task.work).is_cancellable() {
            return Err(ServiceError::Invalid {
                field: "task",
                reason: format!("a task of kind {} cannot be cancelled", task.work.word()),
            });
        }
        if !self.catalog.ask_cancel(id, self.now()).await? {
            return Err(ServiceError::TaskEnded(id));
        }
        let runs = self
            .runs
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(run) = runs.get(&id) {
            run.cancel();
        }
        drop(runs);
        self.nudge.notify_one();
        Ok(())
    }

    /// Asks for what no backup of the project names to be freed; one that waits already is hurried.
    pub async fn sweep(&self, caller: &Caller) -> Result<TaskId, ServiceError> {
        require(caller, Role::Member, "repository:sweep")?;
        racing(|| async {
            let query = TaskQuery {
                project: Some(caller.project_id.clone()),
                work: vec![Work::Sweep.word()],
                states: vec![TaskState::Waiting.word()],
                ..TaskQuery::default()
            };
            let (id, change) = match self.catalog.tasks(&query).await?.items.pop() {
                Some(mut waiting) => {
                    waiting.not_before = waiting.not_before.min(self.now());
                    (waiting.id, Change::Save(Row::Task(waiting)))
                }
                None => {
                    let task = self.new_task(caller, Work::Sweep);
                    (task.id, Change::Insert(Row::Task(task)))
                }
            };
            self.commit(vec![change]).await?;
            self.nudge.notify_one();
            Ok(id)
        })
        .await
    }
}
