//! Backing up one volume: freeze, let the volume go, copy, settle.

use std::sync::Arc;

use async_trait::async_trait;
use emberkeep_catalog::{Change, Row};
use emberkeep_engine::{
    BackupError, BackupFacts, BackupRequest, Manifest, ProjectRepository, Run, SourceRecord,
    UnixMicros,
};
use emberkeep_model::{
    Backup, BackupEvent, BackupId, BackupState, ByteCount, MessageAction, MessageDetail,
    ObjectType, ProtectStatus, Sealed, SnapshotStatus, Task, Timestamp, VolumeStatus,
};
use emberkeep_volumes::SourceSnapshot;

use crate::backup::facts::{facts_of, whole_facts};
use crate::error::chain;
use crate::messages::About;
use crate::query::BackupQuery;
use crate::race::racing;
use crate::task::kind::TaskKind;
use crate::task::outcome::{Stop, Verdict, Wanted};
use crate::{Service, ServiceError};

/// Backs up a volume, a server or a file system.
#[derive(Debug, Clone)]
pub(crate) struct BackUp {
    pub(crate) backup_id: BackupId,
}

#[async_trait]
impl TaskKind for BackUp {
    type Found = Sealed;
    const STORES_DATA: bool = true;
    const CANCELLABLE: bool = true;
    const TIME_LIMITED: bool = true;

    async fn act(&self, service: &Service, task: &Task, run: &Run) -> Result<Sealed, Stop> {
        service.act_backup(task, self.backup_id, run).await
    }

    async fn rows(
        &self,
        service: &Service,
        task: &mut Task,
        verdict: &Verdict<Sealed>,
    ) -> Result<Vec<Change>, ServiceError> {
        service.rows_backed_up(task, self.backup_id, verdict).await
    }

    async fn clean_up(&self, service: &Service, task: &Task, done: bool) {
        if done {
            // What was stored anew may heal what is damaged.
            service.damage.look_again();
        }
        service.release_freeze(task, done).await;
        service.retain_after(self.backup_id).await;
    }
}

impl Service {
    pub(crate) async fn act_backup(
        &self,
        task: &Task,
        id: BackupId,
        run: &Run,
    ) -> Result<Sealed, Stop> {
        let backup = self.claim_backup(id, Wanted::Copy).await?;
        match backup.cbr.kind {
            ObjectType::Disk => {
                let source = self.source_to_back_up(task, &backup).await?;
                self.copy_volume(&backup, None, source, run).await
            }
            ObjectType::Server => self.act_backup_server(task, &backup, run).await,
            ObjectType::Turbo => self.act_backup_file_system(task, &backup, run).await,
        }
    }

    /// Copies what was frozen to the repository; `whole` is the server's backup that it is part
    /// of, and of how many parts that is.
    pub(crate) async fn copy_volume(
        &self,
        backup: &Backup,
        whole: Option<(&Backup, usize)>,
        source: Box<dyn SourceSnapshot>,
        run: &Run,
    ) -> Result<Sealed, Stop> {
        let (repository, run) = (self.repository.clone(), run.clone());
        let mut request = request_for(backup);
        // A part stands for its server: what that one belongs to is remembered.
        let context = self.context_of(whole.map_or(backup, |(whole, _)| whole));
        request.extra = BackupFacts {
            whole: whole.map(|(whole, parts)| whole_facts(whole, parts)),
            context: Some(context.await.map_err(ServiceError::from)?),
            ..facts_of(backup)
        }
        .to_extra();
        request.parent = self.parent_content(backup).await?;
        let project = backup.project_id.clone();
        let copied = tokio::task::spawn_blocking(move || {
            let project = repository.project(project.as_str())?;
            copy(&project, source.as_ref(), request, &run)
        })
        .await;
        match copied {
            Ok(Ok(manifest)) => Ok(Sealed {
                at: Timestamp(manifest.finished_at.0),
                read: ByteCount(manifest.statistics.read_bytes),
                data: ByteCount(manifest.statistics.data_bytes),
                new: ByteCount(manifest.statistics.new_bytes),
                stored: ByteCount(manifest.statistics.stored_bytes),
            }),
            Ok(Err(BackupError::Cancelled)) => Err(Stop::Cancelled),
            Ok(Err(error)) => Err(Stop::Failed(chain(&error))),
            Err(panicked) => Err(Stop::Failed(format!("the backup ended badly: {panicked}"))),
        }
    }

    /// Opens the instant to be backed up: the snapshot named, or the volume frozen now. Once it is
    /// frozen the volume is free again while the copy goes on.
    async fn source_to_back_up(
        &self,
        task: &Task,
        backup: &Backup,
    ) -> Result<Box<dyn SourceSnapshot>, Stop> {
        let (provider, volume, freeze) = (
            Arc::clone(&self.volumes),
            backup.volume_id,
            task.id.to_string(),
        );
        if let Some(snapshot) = backup.snapshot_id {
            let opened = self
                .blocking("opening the snapshot", move || {
                    provider.open_snapshot(snapshot)
                })
                .await?;
            return Ok(opened);
        }
        let frozen = self
            .blocking("freezing the volume", move || {
                provider.freeze(volume, &freeze)
            })
            .await?;
        self.let_go(backup).await?;
        Ok(frozen)
    }

    /// Gives a volume that is being backed up its status before back.
    pub(crate) async fn let_go(&self, backup: &Backup) -> Result<(), ServiceError> {
        racing(|| async {
            let changes = self.volume_back(backup, VolumeStatus::BackingUp).await?;
            if changes.is_empty() {
                Ok(())
            } else {
                self.commit(changes).await
            }
        })
        .await
    }

    /// Returns the change that ends `backup`'s hold on its volume, unless the hold is not its own:
    /// once a volume was let go the next backup may be asked for, and the volume
    /// must stay as it is until that one has frozen it.
    pub(crate) async fn volume_back(
        &self,
        backup: &Backup,
        ended: VolumeStatus,
    ) -> Result<Vec<Change>, ServiceError> {
        let Some(mut volume) = self.catalog.volume(backup.volume_id).await? else {
            return Ok(Vec::new());
        };
        if volume.status != VolumeStatus::BackingUp || self.others_wait_for(backup).await? {
            return Ok(Vec::new());
        }
        volume.status = volume.previous_status.unwrap_or(VolumeStatus::Available);
        volume.previous_status = Some(ended);
        volume.updated_at = Some(self.now());
        Ok(vec![Change::Save(Row::Volume(volume))])
    }

    /// Tells whether another backup of the same volume is still to freeze it.
    async fn others_wait_for(&self, backup: &Backup) -> Result<bool, ServiceError> {
        let query = BackupQuery {
            volumes: vec![backup.volume_id],
            states: vec![BackupState::Queued.word(), BackupState::Copying.word()],
            ..BackupQuery::default()
        };
        let unfinished = self.catalog.backups(&query).await?.items;
        Ok(unfinished.iter().any(|other| {
            let freezes = other.snapshot_id.is_none()
                && other.foreign().is_none()
                && other.cbr.replica.is_none();
            other.id != backup.id && freezes
        }))
    }

    /// Names the parent as the repository knows it; none if its content belongs to another project.
    pub(crate) async fn parent_content(
        &self,
        backup: &Backup,
    ) -> Result<Option<BackupId>, ServiceError> {
        let Some(id) = backup.parent_id else {
            return Ok(None);
        };
        let parent = self.catalog.backup(id).await?;
        Ok(match parent.as_ref().map(Backup::content) {
            Some((project, content)) => (*project == backup.project_id).then_some(content),
            None => Some(id),
        })
    }

    pub(crate) async fn rows_backed_up(
        &self,
        task: &Task,
        id: BackupId,
        verdict: &Verdict<Sealed>,
    ) -> Result<Vec<Change>, ServiceError> {
        let Some(mut backup) = self.catalog.backup(id).await? else {
            return Ok(Vec::new());
        };
        let (event, protect, ended) = match verdict {
            Verdict::Done(sealed) => (
                BackupEvent::Sealed(*sealed),
                ProtectStatus::Available,
                VolumeStatus::BackingUp,
            ),
            Verdict::Failed(failure) => (
                BackupEvent::Stopped {
                    reason: failure.reason.clone(),
                },
                ProtectStatus::Error,
                VolumeStatus::ErrorBackingUp,
            ),
            Verdict::Cancelled => (
                BackupEvent::Stopped {
                    reason: "cancelled".into(),
                },
                ProtectStatus::Available,
                VolumeStatus::BackingUp,
            ),
        };
        let mut changes = Vec::new();
        // An administrator may have moved it on meanwhile; then it is no longer ours.
        if Wanted::Copy.by(&backup.state) && backup.take(event, self.now()).is_ok() {
            if backup.availability_zone.is_none() {
                backup.availability_zone = Some(self.settings.availability_zone.clone());
            }
            match verdict {
                Verdict::Done(_) => {
                    changes.extend(self.count_dependent(&backup, 1).await?);
                    // What a server's backup stores are its parts, which were counted one by one.
                    if let Some(sealed) = backup.state.sealed()
                        && backup.cbr.kind != ObjectType::Server
                    {
                        let filled = self.vault_filled(backup.vault_id, sealed.stored);
                        changes.extend(filled.await?);
                    }
                }
                Verdict::Failed(_) => changes.push(self.message(
                    &backup.project_id,
                    &task.request_id,
                    About::Backup(id),
                    MessageAction::CreateBackup,
                    MessageDetail::CreateDriverError,
                )),
                Verdict::Cancelled => {}
            }
            let mut changed = Vec::new();
            if backup.cbr.kind == ObjectType::Server
                && let BackupState::Failed { reason } = &backup.state
            {
                let (parts, rows) = self.parts_stopped(&backup, reason, ended).await?;
                changed.extend(parts);
                changes.extend(rows);
            }
            changed.push(backup.clone());
            changes.extend(
                self.checkpoint_after(backup.checkpoint_id, &changed)
                    .await?,
            );
            changes.push(Change::Save(Row::Backup(backup.clone())));
        }
        changes.extend(self.protect_status(backup.resource_id(), protect).await?);
        match backup.snapshot_id {
            Some(snapshot) => {
                if let Some(mut row) = self.catalog.snapshot(snapshot).await?
                    && row.status == SnapshotStatus::BackingUp
                {
                    row.status = SnapshotStatus::Available;
                    changes.push(Change::Save(Row::Snapshot(row)));
                }
            }
            None => changes.extend(self.volume_back(&backup, ended).await?),
        }
        Ok(changes)
    }

    /// Returns the change of how many others a backup's parent counts, where that is counted.
    pub(crate) async fn count_dependent(
        &self,
        child: &Backup,
        change: i64,
    ) -> Result<Option<Change>, ServiceError> {
        let Some(id) = child.parent_id.filter(|_| self.settings.count_dependents) else {
            return Ok(None);
        };
        let parent = self.catalog.backup(id).await?;
        Ok(parent.filter(|p| p.deleted_at.is_none()).map(|mut parent| {
            let count = &mut parent.cinder.num_dependent_backups;
            *count = count.saturating_add(change).max(0);
            parent.updated_at = Some(self.now());
            Change::Save(Row::Backup(parent))
        }))
    }

    /// Lets the frozen copies of a settled backup go: one of the task's own name, or several that
    /// begin with it. What the backup was made of may stay where the next one can tell by it
    /// what has changed.
    pub(crate) async fn release_freeze(&self, task: &Task, backed_up: bool) {
        let (provider, freeze) = (Arc::clone(&self.volumes), task.id.to_string());
        let is_set = task.object_type == ObjectType::Server;
        let released = self
            .blocking("releasing the frozen volume", move || {
                let release = |freeze: &str| match backed_up {
                    true => provider.release_backed_up(freeze),
                    false => provider.release(freeze),
                };
                if !is_set {
                    return release(&freeze);
                }
                let set = format!("{freeze}.");
                let freezes = provider.freezes()?;
                let mut freezes = freezes.iter().filter(|name| name.starts_with(&set));
                freezes.try_for_each(|name| release(name))
            })
            .await;
        if let Err(error) = released {
            tracing::warn!(task_id = %task.id, error = chain(&error), "a frozen volume stays until the next start");
        }
    }
}

/// Copies, unless an interrupted attempt has done so already.
pub(crate) fn copy(
    project: &ProjectRepository,
    source: &dyn SourceSnapshot,
    mut request: BackupRequest,
    run: &Run,
) -> Result<Manifest, BackupError> {
    let id = request.backup_id;
    loop {
        match project.backup(source, request.clone(), run) {
            Ok(report) => return Ok(report.manifest),
            // A crash came between the manifest and the catalogue.
            Err(BackupError::Exists(_)) => return Ok(project.manifest(id)?),
            // Deleted meanwhile. It says how the backup is made, not that it needs it.
            Err(BackupError::NoSuchParent(_)) if request.parent.is_some() => request.parent = None,
            Err(error) => return Err(error),
        }
    }
}

/// Says what the engine has to know of a backup; `extra` lets the catalogue be rebuilt from the store.
pub(crate) fn request_for(backup: &Backup) -> BackupRequest {
    let name = backup.name.clone().unwrap_or_default();
    let mut request = BackupRequest::new(backup.id, name, UnixMicros(backup.created_at.0));
    request.description = backup.description.clone();
    request.source = SourceRecord {
        volume_id: Some(backup.volume_id),
        volume_name: backup.volume_name.clone(),
        snapshot_id: backup.snapshot_id,
        path: None,
    };
    request.vault_id = backup.vault_id;
    request.checkpoint_id = backup.checkpoint_id;
    request.extra = facts_of(backup).to_extra();
    request
}
