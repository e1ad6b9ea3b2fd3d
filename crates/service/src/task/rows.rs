//! What several kinds of tasks do with rows.

use emberkeep_catalog::{Change, Row};
use emberkeep_model::{
    Backup, BackupEvent, BackupId, BackupState, CheckpointId, MessageAction, MessageDetail,
    ProtectStatus, ResourceId, Task,
};
use emberkeep_plan::checkpoint_status;

use crate::messages::About;
use crate::query::BackupQuery;
use crate::race::racing;
use crate::task::outcome::{Stop, Wanted};
use crate::{Service, ServiceError};

impl Service {
    /// Builds the message to a project about a task that failed.
    pub(crate) fn task_failed(&self, task: &Task, about: About, action: MessageAction) -> Change {
        let unknown = MessageDetail::Unknown;
        self.message(&task.project_id, &task.request_id, about, action, unknown)
    }

    /// Marks a backup as being worked on and returns it, unless it is no longer wanted: what was
    /// to be copied may be on its way out by now.
    pub(crate) async fn claim_backup(&self, id: BackupId, wanted: Wanted) -> Result<Backup, Stop> {
        let claimed = racing(|| async {
            let mut backup = self
                .catalog
                .backup(id)
                .await?
                .ok_or(ServiceError::NoSuchBackup(id))?;
            if !wanted.by(&backup.state) || backup.take(BackupEvent::Claimed, self.now()).is_err() {
                return Ok(Err(backup.state.word()));
            }
            self.commit(vec![Change::Save(Row::Backup(backup.clone()))])
                .await?;
            backup.revision += 1;
            Ok(Ok(backup))
        })
        .await?;
        claimed.map_err(|state| Stop::Failed(format!("the backup is {state} by now")))
    }

    /// Returns the change of the status that a resource has in its vault, if it is in one.
    pub(crate) async fn protect_status(
        &self,
        resource: impl Into<ResourceId>,
        status: ProtectStatus,
    ) -> Result<Vec<Change>, ServiceError> {
        let found = self.catalog.vault_resource(resource.into()).await?;
        Ok(found
            .filter(|resource| resource.status != ProtectStatus::Removing)
            .map(|mut resource| {
                resource.status = status;
                Change::Save(Row::VaultResource(resource))
            })
            .into_iter()
            .collect())
    }

    /// Returns the change of a checkpoint's status, given that `changed` of its backups stand as
    /// they do here. The row is saved even if the status stays: of two backups that end
    /// at once, one loses the race, looks again and sees the other.
    pub(crate) async fn checkpoint_after(
        &self,
        checkpoint: Option<CheckpointId>,
        changed: &[Backup],
    ) -> Result<Option<Change>, ServiceError> {
        let Some(id) = checkpoint else {
            return Ok(None);
        };
        let Some(mut row) = self.catalog.checkpoint(id).await? else {
            return Ok(None);
        };
        let query = BackupQuery {
            checkpoint: Some(id),
            with_deleted: true,
            ..BackupQuery::default()
        };
        let stored = self.catalog.backups(&query).await?.items;
        let states: Vec<BackupState> = stored
            .into_iter()
            .map(|b| match changed.iter().find(|c| c.id == b.id) {
                Some(changed) => changed.state.clone(),
                None => b.state,
            })
            .collect();
        row.status = checkpoint_status(&states);
        row.updated_at = Some(self.now());
        Ok(Some(Change::Save(Row::Checkpoint(row))))
    }
}
