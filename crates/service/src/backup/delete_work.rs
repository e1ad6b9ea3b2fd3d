//! Deleting backups, one by one or with all that a vault or a resource has.

use std::collections::BTreeSet;

use emberkeep_catalog::{Change, Key, Row};
use emberkeep_model::{
    Backup, BackupEvent, BackupId, BackupState, MessageAction, MessageDetail, ObjectType,
    ProjectId, ProtectStatus, ResourceId, Task, TaskState, VaultId, VaultStatus, Work,
};

use crate::messages::About;
use crate::query::{BackupQuery, TaskQuery};
use crate::race::racing;
use crate::task::work::{Facts, Stop, Verdict, Wanted};
use crate::{Service, ServiceError};

impl Service {
    pub(crate) async fn act_delete_backup(&self, id: BackupId) -> Result<Facts, Stop> {
        let backup = self.claim_backup(id, Wanted::Delete).await?;
        for part in self.parts_of(&backup).await? {
            let part = self.claim_backup(part.id, Wanted::Delete).await?;
            self.delete_manifest(&part).await?;
        }
        self.delete_manifest(&backup).await?;
        Ok(Facts::Nothing)
    }

    /// Removes a backup from the repository; one that is not there is fine. Content that another
    /// backup shows too stays until the last of them goes.
    async fn delete_manifest(&self, backup: &Backup) -> Result<(), ServiceError> {
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

    /// Deletes the backups in a vault: of the resources named, or all.
    pub(crate) async fn act_empty_vault(
        &self,
        task: &Task,
        vault: VaultId,
        only: Option<&Vec<ResourceId>>,
    ) -> Result<Facts, Stop> {
        // What is part of a server's backup goes with it.
        let concerns = |backup: &&Backup| {
            let named = only.is_none_or(|named| named.contains(&backup.resource_id()));
            named && backup.cbr.part_of.is_none()
        };
        let mut busy = false;
        for backup in self.backups_in(vault).await?.iter().filter(concerns) {
            busy |= !self.delete_with_vault(task, backup.id).await?;
        }
        // A restore may still read one, or a deletion of its own may be under way.
        if busy {
            Err(Stop::NotYet)
        } else {
            Ok(Facts::Nothing)
        }
    }

    /// Deletes one backup and its row; returns false while something else goes on with it.
    async fn delete_with_vault(&self, task: &Task, id: BackupId) -> Result<bool, ServiceError> {
        let asked = racing(|| async {
            let Some(backup) = self.catalog.backup(id).await? else {
                return Ok(None);
            };
            let now = self.now();
            let mut all = self.parts_of(&backup).await?;
            all.push(backup);
            for backup in &mut all {
                let asked = backup
                    .take(BackupEvent::DeleteAsked, now)
                    .and_then(|()| backup.take(BackupEvent::Claimed, now));
                // `Deleting` may be what an interrupted attempt of ours left.
                if asked.is_err() && backup.take(BackupEvent::Claimed, now).is_err() {
                    return Ok(None);
                }
                if backup.state != BackupState::Deleting {
                    return Ok(None);
                }
            }
            let rows = all.iter().cloned();
            self.commit(rows.map(|b| Change::Save(Row::Backup(b))).collect())
                .await?;
            Ok(Some(all))
        })
        .await?;
        let Some(all) = asked else {
            let left = self.catalog.backup(id).await?;
            return Ok(left.is_none_or(|b| b.deleted_at.is_some()));
        };
        for backup in &all {
            self.delete_manifest(backup).await?;
        }
        racing(|| async {
            let verdict = Verdict::Done(Facts::Nothing);
            let changes = self.rows_backup_deleted(task, id, &verdict).await?;
            self.commit(changes).await
        })
        .await?;
        Ok(true)
    }

    pub(crate) async fn rows_removed(
        &self,
        vault: VaultId,
        ids: &[ResourceId],
        verdict: &Verdict,
    ) -> Result<Vec<Change>, ServiceError> {
        let resources = self.catalog.vault_resources(vault).await?;
        let concerned = resources
            .into_iter()
            .filter(|r| ids.contains(&r.resource_id));
        Ok(concerned
            .map(|mut resource| match verdict {
                Verdict::Done(_) => {
                    Change::Remove(Key::VaultResource(resource.resource_id), resource.revision)
                }
                Verdict::Failed(_) | Verdict::Cancelled => {
                    resource.status = ProtectStatus::Error;
                    Change::Save(Row::VaultResource(resource))
                }
            })
            .collect())
    }

    pub(crate) async fn rows_vault_deleted(
        &self,
        id: VaultId,
        verdict: &Verdict,
    ) -> Result<Vec<Change>, ServiceError> {
        let Some(mut vault) = self.catalog.vault(id).await? else {
            return Ok(Vec::new());
        };
        match verdict {
            Verdict::Done(_) => {
                let resources = self.catalog.vault_resources(id).await?;
                let mut changes: Vec<Change> = resources
                    .into_iter()
                    .map(|r| Change::Remove(Key::VaultResource(r.resource_id), r.revision))
                    .collect();
                changes.extend(self.unbind_all(id).await?);
                changes.push(Change::Remove(Key::Vault(id), vault.revision));
                Ok(changes)
            }
            Verdict::Failed(_) | Verdict::Cancelled => {
                vault.status = VaultStatus::Error;
                vault.updated_at = Some(self.now());
                Ok(vec![Change::Save(Row::Vault(vault))])
            }
        }
    }
}
