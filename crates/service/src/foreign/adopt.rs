//! Asking for backups that lie elsewhere to become our own.

use emberkeep_catalog::{Change, Row};
use emberkeep_model::{Backup, BackupId, BackupState, Caller, TaskId, TaskState, Work};

use crate::query::TaskQuery;
use crate::race::racing;
use crate::refusal::Refusal;
use crate::switches::Binary;
use crate::{Service, ServiceError};

impl Service {
    /// Asks for a backup that lies elsewhere, and for those it builds on, to be copied into the
    /// repository. Returns a task for each, the oldest backup's first; one that runs already is
    /// not begun twice.
    pub async fn adopt_backup(
        &self,
        caller: &Caller,
        id: BackupId,
    ) -> Result<Vec<TaskId>, ServiceError> {
        racing(|| async {
            let backup = self.visible_backup(caller, id).await?;
            self.allow(caller, "backup:create")?;
            if backup.foreign().is_none() {
                return Err(Refusal::NotForeign(id).into());
            }
            self.must_be_on(Binary::Backup).await?;
            self.chain_is_whole(&backup).await?;
            let (mut tasks, mut changes) = (Vec::new(), Vec::new());
            for row in self.chain_to_adopt(caller, backup).await? {
                let work = Work::AdoptBackup { backup_id: row.id };
                if let Some(task) = self.unfinished(&work, row.id).await? {
                    tasks.push(task);
                    continue;
                }
                let mut task = self.backup_task(caller, &row, work);
                // The volume itself, if it is here at all, goes its own way meanwhile.
                task.volume_id = None;
                tasks.push(task.id);
                changes.push(Change::Insert(Row::Task(task)));
                // Fences against its being deleted meanwhile.
                changes.push(Change::Save(Row::Backup(row)));
            }
            self.commit(changes).await?;
            Ok(tasks)
        })
        .await
    }

    /// Returns the backups of a chain that are not ours yet, oldest first. Those that the caller
    /// may not know of are read, but stay as they are.
    async fn chain_to_adopt(
        &self,
        caller: &Caller,
        newest: Backup,
    ) -> Result<Vec<Backup>, ServiceError> {
        let mut chain = Vec::new();
        let mut next = Some(newest);
        while let Some(row) = next {
            let parent = match row.parent_id {
                Some(parent) => self.catalog.backup(parent).await?,
                None => None,
            };
            let circle = chain.iter().any(|seen: &Backup| seen.id == row.id);
            let available = matches!(row.state, BackupState::Available(_));
            if circle || !caller.sees(&row.project_id) || row.foreign().is_none() {
                break;
            }
            if available {
                chain.push(row);
            } else if chain.is_empty() {
                return Err(crate::backup::restores::not_restorable(&row));
            }
            next = parent;
        }
        chain.reverse();
        Ok(chain)
    }

    async fn unfinished(
        &self,
        work: &Work,
        backup: BackupId,
    ) -> Result<Option<TaskId>, ServiceError> {
        let query = TaskQuery {
            backup: Some(backup),
            work: vec![work.word()],
            states: vec![TaskState::Waiting.word(), "running"],
            ..TaskQuery::default()
        };
        let tasks = self.catalog.tasks(&query).await?.items;
        Ok(tasks.first().map(|task| task.id))
    }
}
