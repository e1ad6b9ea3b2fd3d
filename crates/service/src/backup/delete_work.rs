//! Deleting backups, one by one or with all that a vault or a resource has.

use std::collections::BTreeSet;

use async_trait::async_trait;
use emberkeep_catalog::{Change, Row};
use emberkeep_engine::Run;
use emberkeep_model::{
    Backup, BackupEvent, BackupId, BackupState, MessageAction, MessageDetail, ObjectType,
    ProjectId, Task, TaskState, Work,
};

use crate::messages::About;
use crate::query::{BackupQuery, TaskQuery};
use crate::task::kind::TaskKind;
use crate::task::outcome::{Stop, Verdict, Wanted};
use crate::{Service, ServiceError};

/// Deletes a backup.
#[derive(Debug, Clone)]
pub(crate) struct DeleteBackup {
    pub(crate) backup_id: BackupId,
}

#[async_trait]
impl TaskKind for DeleteBackup {
    type Found = ();

    async fn act(&self, service: &Service, _task: &Task, _run: &Run) -> Result<(), Stop> {
        service.act_delete_backup(self.backup_id).await
    }

    async fn rows(
        &self,
        service: &Service,
        task: &mut Task,
        verdict: &Verdict,
    ) -> Result<Vec<Change>, ServiceError> {
        service
            .rows_backup_deleted(task, self.backup_id, verdict)
            .await
    }
}

impl Service {
    async fn act_delete_backup(&self, id: BackupId) -> Result<(), Stop> {
        let backup = self.claim_backup(id, Wanted::Delete).await?;
        for part in self.parts_of(&backup).await? {
            let part = self.claim_backup(part.id, Wanted::Delete).await?;
            self.delete_manifest(&part).await?;
        }
        self.delete_manifest(&backup).await?;
        Ok(())
    }

    /// Removes a backup from the repository; one that is not there is fine. Content that another
    /// backup shows too stays until the last of them goes.
    pub(crate) async fn delete_manifest(&self, backup: &Backup) -> Result<(), ServiceError> {
        let (_, id) = backup.content();
        if self.is_shown_elsewhere(backup, id).await? {
            return Ok(());
        }
        let place = self.place_of(backup)?;
        self.blocking("deleting the backup", move || {
            place.open()?.delete(id).map(|_| ())
        })
        .await
    }

    /// Tells whether a backup that stays shows the content `content`, too.
    async fn is_shown_elsewhere(
        &self,
        backup: &Backup,
        content: BackupId,
    ) -> Result<bool, ServiceError> {
        let stays = |other: &Backup| {
            other.id != backup.id
                && other.deleted_at.is_none()
                && !matches!(
                    other.state,
                    BackupState::DeleteQueued | BackupState::Deleting
                )
        };
        let query = BackupQuery {
            content: Some(content),
            ..BackupQuery::default()
        };
        if self.catalog.backups(&query).await?.items.iter().any(stays) {
            return Ok(true);
        }
        let maker = self.catalog.backup(content).await?;
        Ok(maker.is_some_and(|maker| maker.content.is_none() && stays(&maker)))
    }

    pub(crate) async fn rows_backup_deleted(
        &self,
        task: &Task,
        id: BackupId,
        verdict: &Verdict,
    ) -> Result<Vec<Change>, ServiceError> {
        let Some(mut backup) = self.catalog.backup(id).await? else {
            return Ok(Vec::new());
        };
        let event = || match verdict {
            Verdict::Done(_) => BackupEvent::Gone,
            Verdict::Failed(failure) => BackupEvent::Stopped {
                reason: failure.reason.clone(),
            },
            Verdict::Cancelled => BackupEvent::Stopped {
                reason: "cancelled".into(),
            },
        };
        if !Wanted::Delete.by(&backup.state) || backup.take(event(), self.now()).is_err() {
            return Ok(Vec::new());
        }
        let mut changes = Vec::new();
        let mut changed = vec![backup.clone()];
        for mut part in self.parts_of(&backup).await? {
            if Wanted::Delete.by(&part.state) && part.take(event(), self.now()).is_ok() {
                if matches!(verdict, Verdict::Done(_)) {
                    changes.extend(self.count_dependent(&part, -1).await?);
                }
                changed.push(part.clone());
                changes.push(Change::Save(Row::Backup(part)));
            }
        }
        match verdict {
            Verdict::Done(_) if backup.foreign().is_some() => {
                changes.extend(self.count_foreign(&backup, -1).await?);
            }
            Verdict::Done(_) => changes.extend(self.count_dependent(&backup, -1).await?),
            Verdict::Failed(_) => changes.push(self.message(
                &backup.project_id,
                &task.request_id,
                About::Backup(id),
                MessageAction::DeleteBackup,
                MessageDetail::DeleteDriverError,
            )),
            Verdict::Cancelled => {}
        }
        changes.extend(
            self.checkpoint_after(backup.checkpoint_id, &changed)
                .await?,
        );
        if matches!(verdict, Verdict::Done(_)) {
            changes.extend(self.end_shares(id).await?);
        }
        // What a backup of one project shows may lie in the repository of another.
        let places: BTreeSet<ProjectId> = changed
            .iter()
            .filter(|backup| backup.cbr.kind != ObjectType::Server)
            .map(|backup| backup.content().0.clone())
            .collect();
        for place in &places {
            changes.extend(self.sweep_later(task, place).await?);
        }
        changes.push(Change::Save(Row::Backup(backup)));
        Ok(changes)
    }

    /// Returns the task that frees what a deletion left, unless one waits already.
    pub(crate) async fn sweep_later(
        &self,
        task: &Task,
        project: &ProjectId,
    ) -> Result<Option<Change>, ServiceError> {
        let query = TaskQuery {
            project: Some(project.clone()),
            work: vec![Work::Sweep.word()],
            states: vec![TaskState::Waiting.word()],
            ..TaskQuery::default()
        };
        if !self.catalog.tasks(&query).await?.items.is_empty() {
            return Ok(None);
        }
        let caller = emberkeep_model::Caller {
            user_id: task.user_id.clone(),
            project_id: project.clone(),
            roles: Vec::new(),
            request_id: task.request_id.clone(),
        };
        let mut sweep = self.new_task(&caller, Work::Sweep);
        sweep.not_before = self.now().plus_secs(self.settings.sweep_delay_secs);
        Ok(Some(Change::Insert(Row::Task(sweep))))
    }
}
