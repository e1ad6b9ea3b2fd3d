//! Backups that lie elsewhere: looked at when they are taken up, restored from where they lie.

use std::sync::Arc;

use emberkeep_catalog::{Change, Row};
use emberkeep_chunked::{
    BackupMetadata, ChunkedError, ForeignObjects, Location, VolumeMeta, restore,
};
use emberkeep_engine::Run;
use emberkeep_model::{Backup, BackupEvent, BackupId, ByteCount, Sealed, SourceFacts, Timestamp};
use emberkeep_volumes::RestoreTarget;

use crate::error::chain;
use crate::foreign::repository::{Counting, ForeignFault, holder, open_chain, source_of};
use crate::task::work::{Facts, Stop, Verdict, Wanted};
use crate::{Service, ServiceError};

/// What was found where a record said that a backup lies.
pub(crate) struct Finding {
    /// How much it holds; nothing of it is in the repository.
    sealed: Sealed,
    volume_name: Option<String>,
    source: Option<SourceFacts>,
}

impl Service {
    /// Looks whether what a record speaks of is there and can be understood.
    pub(crate) async fn act_import(&self, id: BackupId) -> Result<Facts, Stop> {
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
            Ok(found) => Ok(Facts::Found(Box::new(found))),
            Err(fault) => Err(Stop::Failed(chain(&fault))),
        }
    }

    pub(crate) async fn rows_imported(
        &self,
        id: BackupId,
        verdict: &Verdict,
    ) -> Result<Vec<Change>, ServiceError> {
        let found = self.catalog.backup(id).await?;
        let Some(mut backup) = found.filter(|backup| Wanted::Copy.by(&backup.state)) else {
            return Ok(Vec::new());
        };
        let mut changes = Vec::new();
        let event = match verdict {
            Verdict::Done(Facts::Found(found)) => {
                backup.volume_name.clone_from(&found.volume_name);
                backup.cinder.source.clone_from(&found.source);
                changes.extend(self.count_foreign(&backup, 1).await?);
                let children = self.foreign_children(id).await?.len();
                let count = &mut backup.cinder.num_dependent_backups;
                *count = (*count).max(i64::try_from(children).unwrap_or(i64::MAX));
                BackupEvent::Sealed(found.sealed)
            }
            Verdict::Done(_) => unreachable!("an import that is done has found something"),
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
    ) -> Result<Facts, Stop> {
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
            Ok(source) => Ok(Facts::Restored(source.map(Box::new))),
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
