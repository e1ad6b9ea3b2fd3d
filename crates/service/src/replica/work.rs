//! Copying backups to another region's store.

use async_trait::async_trait;
use emberkeep_catalog::{Change, Row};
use emberkeep_engine::{BackupFacts, CopyError, CopyRequest, Manifest, Run, UnixMicros};
use emberkeep_model::{
    Backup, BackupEvent, BackupId, BackupState, ByteCount, ObjectType, Sealed, Task, Timestamp,
};

use crate::backup::facts::{facts_of, whole_facts};
use crate::error::chain;
use crate::query::BackupQuery;
use crate::replica::regions::Place;
use crate::server::work::sum;
use crate::task::kind::TaskKind;
use crate::task::outcome::{Stop, Verdict, Wanted};
use crate::{Service, ServiceError};

/// Copies a backup to the store of another region.
#[derive(Debug, Clone)]
pub(crate) struct Replicate {
    pub(crate) backup_id: BackupId,
}

#[async_trait]
impl TaskKind for Replicate {
    type Found = Sealed;
    const CANCELLABLE: bool = true;
    const TIME_LIMITED: bool = true;

    async fn act(&self, service: &Service, task: &Task, run: &Run) -> Result<Sealed, Stop> {
        service.act_replicate(task, self.backup_id, run).await
    }

    async fn rows(
        &self,
        service: &Service,
        _task: &mut Task,
        verdict: &Verdict<Sealed>,
    ) -> Result<Vec<Change>, ServiceError> {
        service.rows_replicated(self.backup_id, verdict).await
    }

    async fn clean_up(&self, service: &Service, _task: &Task, done: bool) {
        if done {
            // What could be read after all may be whole again.
            service.damage.look_again();
        }
        service.retain_after(self.backup_id).await;
    }
}

impl Service {
    /// Makes a copy; of a server's backup, the copies of its parts one after the other, each of
    /// which is settled as it ends.
    async fn act_replicate(&self, task: &Task, id: BackupId, run: &Run) -> Result<Sealed, Stop> {
        let copy = self.claim_backup(id, Wanted::Copy).await?;
        if copy.cbr.kind == ObjectType::Server {
            return self.replicate_parts(task, &copy, run).await;
        }
        self.replicate_one(&copy, None, run).await
    }

    async fn replicate_parts(
        &self,
        task: &Task,
        whole: &Backup,
        run: &Run,
    ) -> Result<Sealed, Stop> {
        let mut failures = Vec::new();
        let parts = self.claim_parts(whole).await?;
        for part in &parts {
            if part.state.sealed().is_some() {
                continue;
            }
            let among = Some((whole, parts.len()));
            let event = match self.replicate_one(part, among, run).await {
                Ok(sealed) => BackupEvent::Sealed(sealed),
                Err(Stop::Failed(reason)) => {
                    failures.push(reason.clone());
                    BackupEvent::Stopped { reason }
                }
                Err(stopped) => return Err(stopped),
            };
            self.settle_part(task, part, event).await?;
        }
        if !failures.is_empty() {
            return Err(Stop::Failed(failures.join("; ")));
        }
        let parts = self.parts_of(whole).await?;
        let sealed: Option<Vec<Sealed>> = parts.iter().map(|part| part.state.sealed()).collect();
        match sealed {
            Some(sealed) => Ok(sum(&sealed)),
            None => Err(Stop::Failed("a part of it is not complete".into())),
        }
    }

    /// Copies what is missing of one backup, unless an interrupted attempt has done so already.
    async fn replicate_one(
        &self,
        copy: &Backup,
        whole: Option<(&Backup, usize)>,
        run: &Run,
    ) -> Result<Sealed, Stop> {
        let replica = copy
            .cbr
            .replica
            .as_ref()
            .ok_or_else(|| Stop::Failed("it is no copy".into()))?;
        let found = self.catalog.backup(replica.source_backup_id).await;
        let source = found
            .map_err(ServiceError::from)?
            .filter(|source| source.state.sealed().is_some())
            .ok_or_else(|| Stop::Failed("the backup to be copied is gone".into()))?;
        let (from, to) = (self.place_of(&source)?, self.place_of(copy)?);
        let (_, content) = source.content();
        let facts = BackupFacts {
            replica: Some(replica.clone()),
            project_id: Some(copy.project_id.clone()),
            whole: whole.map(|(whole, parts)| whole_facts(whole, parts)),
            ..facts_of(copy)
        };
        let request = CopyRequest {
            base: self.base_of(copy).await?,
            vault_id: copy.vault_id,
            checkpoint_id: copy.checkpoint_id,
            description: copy.description.clone(),
            extra: facts.to_extra(),
            ..CopyRequest::new(
                copy.id,
                copy.name.clone().unwrap_or_default(),
                UnixMicros(copy.created_at.0),
            )
        };
        let (id, within) = (copy.id, run.clone());
        let copied = tokio::task::spawn_blocking(move || {
            copy_over(&from, &to, content, id, request, &within)
        });
        match copied.await {
            Ok(Ok(sealed)) => Ok(sealed),
            Ok(Err(CopyError::Cancelled)) => Err(Stop::Cancelled),
            Ok(Err(error)) => {
                self.damage_of_copy(&source, copy, &error, run).await;
                Err(Stop::Failed(chain(&error)))
            }
            Err(panicked) => Err(Stop::Failed(format!("the copy ended badly: {panicked}"))),
        }
    }

    /// Finds the newest copy in the same region of a backup of the same thing: most of its map
    /// is the same.
    async fn base_of(&self, copy: &Backup) -> Result<Option<BackupId>, ServiceError> {
        let query = BackupQuery {
            replicas: Some(true),
            volumes: vec![copy.volume_id],
            states: vec![BackupState::Available(NOTHING).word()],
            ..BackupQuery::default()
        };
        let (project, _) = copy.content();
        let region = |of: &Backup| of.cbr.replica.as_ref().map(|r| r.region.clone());
        let others = self.catalog.backups(&query).await?.items;
        Ok(others
            .iter()
            .filter(|other| region(other) == region(copy) && other.content().0 == project)
            .max_by_key(|other| other.data_timestamp)
            .map(|other| other.content().1))
    }

    async fn rows_replicated(
        &self,
        id: BackupId,
        verdict: &Verdict<Sealed>,
    ) -> Result<Vec<Change>, ServiceError> {
        let Some(mut copy) = self.catalog.backup(id).await? else {
            return Ok(Vec::new());
        };
        let stopped = |reason: &str| BackupEvent::Stopped {
            reason: reason.to_owned(),
        };
        let event = match verdict {
            Verdict::Done(sealed) => BackupEvent::Sealed(*sealed),
            Verdict::Failed(failure) => stopped(&failure.reason),
            Verdict::Cancelled => stopped("cancelled"),
        };
        let mut changes = Vec::new();
        if let BackupEvent::Stopped { reason } = &event {
            for mut part in self.parts_of(&copy).await? {
                if Wanted::Copy.by(&part.state) && part.take(stopped(reason), self.now()).is_ok() {
                    changes.push(Change::Save(Row::Backup(part)));
                }
            }
        }
        // An administrator may have moved it on meanwhile; then it is no longer ours.
        if Wanted::Copy.by(&copy.state) && copy.take(event, self.now()).is_ok() {
            let among = std::slice::from_ref(&copy);
            changes.extend(self.checkpoint_after(copy.checkpoint_id, among).await?);
            if let Some(sealed) = copy.state.sealed()
                && copy.cbr.kind != ObjectType::Server
            {
                changes.extend(self.vault_filled(copy.vault_id, sealed.stored).await?);
            }
            changes.push(Change::Save(Row::Backup(copy)));
        }
        Ok(changes)
    }
}

const NOTHING: Sealed = Sealed {
    at: Timestamp(0),
    read: ByteCount(0),
    data: ByteCount(0),
    new: ByteCount(0),
    stored: ByteCount(0),
};

/// Copies, unless that was done before a crash; blocks.
fn copy_over(
    from: &Place,
    to: &Place,
    content: BackupId,
    id: BackupId,
    request: CopyRequest,
    run: &Run,
) -> Result<Sealed, CopyError> {
    let (from, to) = (from.open()?, to.open()?);
    match from.copy_to(content, &to, request, run) {
        Ok(report) => {
            tracing::info!(backup_id = %id, sent_bytes = report.sent_bytes, sent_chunks = report.sent_chunks, "a backup was copied");
            Ok(sealed(&report.manifest))
        }
        Err(CopyError::Exists(_)) => Ok(sealed(&to.manifest(id)?)),
        Err(cause) => Err(cause),
    }
}

/// Says what is known of a copy: what it cost is what was sent for it.
pub(crate) fn sealed(manifest: &Manifest) -> Sealed {
    Sealed {
        at: Timestamp(manifest.finished_at.0),
        read: ByteCount(manifest.statistics.stored_bytes),
        data: ByteCount(manifest.statistics.data_bytes),
        new: ByteCount(manifest.statistics.new_bytes),
        stored: ByteCount(manifest.statistics.stored_bytes),
    }
}
