//! Copying a backup that lies elsewhere into the repository: it is complete from then on, and
//! what lies elsewhere stays as it is.

use std::sync::Arc;

use async_trait::async_trait;
use emberkeep_catalog::{Change, Row};
use emberkeep_chunked::ChainSource;
use emberkeep_engine::{BackupError, Manifest, Run};
use emberkeep_model::{
    Backup, BackupEvent, BackupId, ByteCount, Foreign, Sealed, Task, TaskState, Timestamp, Work,
};

use crate::backup::work::{copy, request_for};
use crate::error::chain;
use crate::foreign::repository::{ForeignFault, open_chain};
use crate::foreign::work::ended;
use crate::query::TaskQuery;
use crate::task::kind::TaskKind;
use crate::task::outcome::{Stop, Verdict};
use crate::{Service, ServiceError};

/// Why a backup could not be adopted.
#[derive(Debug, thiserror::Error)]
enum AdoptError {
    #[error(transparent)]
    Foreign(#[from] ForeignFault),
    #[error(transparent)]
    Copy(#[from] BackupError),
}

/// Copies a backup that lies elsewhere into the repository.
#[derive(Debug, Clone)]
pub(crate) struct AdoptBackup {
    pub(crate) backup_id: BackupId,
}

#[async_trait]
impl TaskKind for AdoptBackup {
    /// None if it was done before.
    type Found = Option<Sealed>;
    const STORES_DATA: bool = true;
    const CANCELLABLE: bool = true;

    async fn act(
        &self,
        service: &Service,
        _task: &Task,
        run: &Run,
    ) -> Result<Option<Sealed>, Stop> {
        service.act_adopt(self.backup_id, run).await
    }

    async fn rows(
        &self,
        service: &Service,
        _task: &mut Task,
        verdict: &Verdict<Option<Sealed>>,
    ) -> Result<Vec<Change>, ServiceError> {
        service.rows_adopted(self.backup_id, verdict).await
    }
}

impl Service {
    async fn act_adopt(&self, id: BackupId, run: &Run) -> Result<Option<Sealed>, Stop> {
        let found = self.catalog.backup(id).await.map_err(ServiceError::from)?;
        let backup = found.ok_or(ServiceError::NoSuchBackup(id))?;
        if backup.foreign().is_none() {
            // An attempt before this one, or another task, has done it.
            return Ok(None);
        }
        if backup.state.sealed().is_none() {
            let state = backup.state.word();
            return Err(Stop::Failed(format!("the backup is {state} by now")));
        }
        if let Some(parent) = backup.parent_id
            && self.is_being_adopted(parent).await?
        {
            // After it, only what has changed since is left to be read.
            return Err(Stop::NotYet);
        }
        let (places, missing) = self.places_of(&backup).await?;
        if let Some(missing) = missing {
            return Err(Stop::Failed(missing.to_string()));
        }
        let mut request = request_for(&adopted(backup.clone()));
        request.parent = match backup.parent_id {
            Some(parent) => {
                let row = self
                    .catalog
                    .backup(parent)
                    .await
                    .map_err(ServiceError::from)?;
                let ours = row.is_some_and(|row| row.foreign().is_none());
                if ours {
                    self.parent_content(&backup).await?
                } else {
                    None
                }
            }
            None => None,
        };
        let (repositories, repository) = (Arc::clone(&self.foreign), self.repository.clone());
        let (project, run) = (backup.project_id.clone(), run.clone());
        let copied = tokio::task::spawn_blocking(move || {
            let (objects, chain) = open_chain(&repositories, &places)?;
            let source =
                ChainSource::new(chain, objects.as_ref(), None).map_err(ForeignFault::from)?;
            let project = repository
                .project(project.as_str())
                .map_err(BackupError::from)?;
            Ok(copy(&project, &source, request, &run)?)
        });
        match ended::<_, AdoptError>(copied.await, "adopting it")? {
            Ok(manifest) => Ok(Some(sealed(&manifest))),
            Err(AdoptError::Copy(BackupError::Cancelled)) => Err(Stop::Cancelled),
            Err(error) => Err(Stop::Failed(chain(&error))),
        }
    }

    async fn is_being_adopted(&self, id: BackupId) -> Result<bool, ServiceError> {
        let query = TaskQuery {
            backup: Some(id),
            work: vec![Work::AdoptBackup { backup_id: id }.word()],
            states: vec![TaskState::Waiting.word(), "running"],
            ..TaskQuery::default()
        };
        Ok(!self.catalog.tasks(&query).await?.items.is_empty())
    }

    async fn rows_adopted(
        &self,
        id: BackupId,
        verdict: &Verdict<Option<Sealed>>,
    ) -> Result<Vec<Change>, ServiceError> {
        let Verdict::Done(Some(sealed)) = verdict else {
            // It is as good as it was, where it was.
            return Ok(Vec::new());
        };
        let found = self.catalog.backup(id).await?;
        let Some(backup) = found.filter(|backup| backup.foreign().is_some()) else {
            return Ok(Vec::new());
        };
        let mut changes = Vec::new();
        changes.extend(self.count_foreign(&backup, -1).await?);
        let mut backup = adopted(backup);
        if backup
            .take(BackupEvent::Adopted(*sealed), self.now())
            .is_err()
        {
            // Its deletion was asked for meanwhile, and takes what was copied away, too.
            return Ok(Vec::new());
        }
        changes.push(Change::Save(Row::Backup(backup)));
        Ok(changes)
    }
}

/// Makes the row of a backup whose content is ours by now.
fn adopted(mut backup: Backup) -> Backup {
    if let Some(Foreign::Kept(place)) = backup.cinder.foreign.take() {
        backup.cinder.foreign = Some(Foreign::Adopted(place));
    }
    backup.cinder.service = None;
    backup.cinder.service_metadata = None;
    backup.cinder.object_count = 0;
    // Nobody needs it: those that build on what lies elsewhere find that there.
    backup.cinder.num_dependent_backups = 0;
    backup
}

fn sealed(manifest: &Manifest) -> Sealed {
    Sealed {
        at: Timestamp(manifest.finished_at.0),
        read: ByteCount(manifest.statistics.read_bytes),
        data: ByteCount(manifest.statistics.data_bytes),
        new: ByteCount(manifest.statistics.new_bytes),
        stored: ByteCount(manifest.statistics.stored_bytes),
    }
}

#[cfg(test)]
mod tests {
    use emberkeep_model::BackupState;

    use super::*;

    #[test]
    fn only_what_is_complete_can_be_adopted() {
        let sealed = Sealed {
            at: Timestamp(1),
            read: ByteCount(0),
            data: ByteCount(0),
            new: ByteCount(0),
            stored: ByteCount(0),
        };
        for (state, want) in [
            (BackupState::Available(sealed), true),
            (BackupState::Queued, false),
            (BackupState::DeleteQueued, false),
            (BackupState::Deleting, false),
        ] {
            let after = state.after(BackupEvent::Adopted(sealed));
            assert_eq!(after.is_ok(), want, "{state}");
        }
    }
}
