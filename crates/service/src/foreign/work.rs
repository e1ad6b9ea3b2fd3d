//! Backups that lie elsewhere: looked at when they are taken up, restored from where they lie.

use std::sync::Arc;

use async_trait::async_trait;
use emberkeep_catalog::{Change, Row};
use emberkeep_chunked::{
    BackupMetadata, ChunkedError, ForeignObjects, Location, VolumeMeta, restore,
};
use emberkeep_engine::Run;
use emberkeep_model::{
    Backup, BackupEvent, BackupId, ByteCount, Sealed, SourceFacts, Task, Timestamp,
};
use emberkeep_volumes::RestoreTarget;

use crate::backup::restored::Restored;
use crate::error::chain;
use crate::foreign::repository::{Counting, ForeignFault, holder, open_chain, source_of};
use crate::task::kind::TaskKind;
use crate::task::outcome::{Stop, Verdict, Wanted};
use crate::{Service, ServiceError};

/// What was found where a record said that a backup lies.
pub(crate) struct Finding {
    /// How much it holds; nothing of it is in the repository.
    sealed: Sealed,
    volume_name: Option<String>,
    source: Option<SourceFacts>,
}

/// Looks at a backup that lies elsewhere and was imported from a record.
#[derive(Debug, Clone)]
pub(crate) struct ImportBackup {
    pub(crate) backup_id: BackupId,
}

#[async_trait]
impl TaskKind for ImportBackup {
    type Found = Box<Finding>;
    const STORES_DATA: bool = true;

    async fn act(&self, service: &Service, _task: &Task, _run: &Run) -> Result<Box<Finding>, Stop> {
        service.act_import(self.backup_id).await
    }

    async fn rows(
        &self,
        service: &Service,
        _task: &mut Task,
        verdict: &Verdict<Box<Finding>>,
    ) -> Result<Vec<Change>, ServiceError> {
        service.rows_imported(self.backup_id, verdict).await
    }
}

impl Service {
    /// Looks whether what a record speaks of is there and can be understood.
    async fn act_import(&self, id: BackupId) -> Result<Box<Finding>, Stop> {
        let backup = self.claim_backup(id, Wanted::Copy).await?;
        let Some(place) = backup.foreign().cloned() else {
            return Err(Stop::Failed("its content is not elsewhere".to_owned()));
        };
        let (repositories, at) = (Arc::clone(&self.foreign), self.now());
        let looked = tokio::task::spawn_blocking(move || {
            let (objects, location) = holder(&repositories, &place)?;
            look(objects.as_ref(), &location, at)
        });
        match ended(looked.await, "looking at it")? {
            Ok(found) => Ok(Box::new(found)),
            Err(fault) => Err(Stop::Failed(chain(&fault))),
        }
    }

    async fn rows_imported(
        &self,
        id: BackupId,
        verdict: &Verdict<Box<Finding>>,
    ) -> Result<Vec<Change>, ServiceError> {
        let found = self.catalog.backup(id).await?;
        let Some(mut backup) = found.filter(|backup| Wanted::Copy.by(&backup.state)) else {
            return Ok(Vec::new());
        };
        let mut changes = Vec::new();
        let event = match verdict {
            Verdict::Done(found) => {
                backup.volume_name.clone_from(&found.volume_name);
                backup.cinder.source.clone_from(&found.source);
                changes.extend(self.count_foreign(&backup, 1).await?);
                let children = self.foreign_children(id).await?.len();
                let count = &mut backup.cinder.num_dependent_backups;
                *count = (*count).max(i64::try_from(children).unwrap_or(i64::MAX));
                BackupEvent::Sealed(found.sealed)
            }
            Verdict::Failed(failure) => BackupEvent::Stopped {
                reason: failure.reason.clone(),
            },
            Verdict::Cancelled => BackupEvent::Stopped {
                reason: "cancelled".into(),
            },
        };
        if backup.take(event, self.now()).is_err() {
            return Ok(Vec::new());
        }
        changes.push(Change::Save(Row::Backup(backup)));
        Ok(changes)
    }

    /// Writes a chain to a volume, each byte once. Nothing is written unless all of it is there.
    pub(crate) async fn restore_foreign(
        &self,
        backup: &Backup,
        target: Box<dyn RestoreTarget>,
        run: &Run,
    ) -> Result<Restored, Stop> {
        let (places, missing) = self.places_of(backup).await?;
        if let Some(missing) = missing {
            return Err(Stop::Failed(missing.to_string()));
        }
        let (repositories, run) = (Arc::clone(&self.foreign), run.clone());
        let written = tokio::task::spawn_blocking(move || {
            let (objects, chain) = open_chain(&repositories, &places)?;
            run.begin(chain.end().0);
            restore(&chain, objects.as_ref(), target.as_ref(), &Counting(&run))?;
            Ok(source_of(chain.layers()))
        });
        match ended::<_, ForeignFault>(written.await, "the restore")? {
            Ok(source) => Ok(Restored::Elsewhere(source.map(Box::new))),
            Err(ForeignFault::Chunked(ChunkedError::Cancelled)) => Err(Stop::Cancelled),
            Err(fault) => Err(Stop::Failed(chain(&fault))),
        }
    }
}

fn look(
    objects: &dyn ForeignObjects,
    location: &Location,
    at: Timestamp,
) -> Result<Finding, ForeignFault> {
    let description = BackupMetadata::read(objects, location)?;
    let data = ByteCount(description.objects.iter().map(|entry| entry.length).sum());
    let meta = description.volume_meta.as_ref();
    let meta = meta.and_then(|text| VolumeMeta::parse(text).ok());
    Ok(Finding {
        sealed: Sealed {
            data,
            ..Sealed::unread(at)
        },
        volume_name: meta.and_then(|meta| meta.text("display_name").map(str::to_owned)),
        source: source_of(std::slice::from_ref(&description)),
    })
}

/// Tells a panic apart from an answer.
pub(crate) fn ended<T, E>(
    joined: Result<Result<T, E>, tokio::task::JoinError>,
    what: &str,
) -> Result<Result<T, E>, Stop> {
    joined.map_err(|panicked| Stop::Failed(format!("{what} ended badly: {panicked}")))
}
