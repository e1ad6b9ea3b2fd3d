//! Volumes and snapshots: their bytes made, grown and removed.

use std::sync::Arc;

use async_trait::async_trait;
use emberkeep_catalog::{Change, Key, Row};
use emberkeep_engine::Run;
use emberkeep_model::{
    Gib, MessageAction, Snapshot, SnapshotId, SnapshotStatus, Task, Volume, VolumeId, VolumeSource,
    VolumeStatus,
};

use crate::messages::About;
use crate::task::kind::TaskKind;
use crate::task::outcome::{Stop, Verdict};
use crate::{Service, ServiceError};

/// Makes the bytes of a new volume.
#[derive(Debug, Clone)]
pub(crate) struct CreateVolume {
    pub(crate) volume_id: VolumeId,
    pub(crate) source: VolumeSource,
}

#[async_trait]
impl TaskKind for CreateVolume {
    type Found = ();
    const STORES_DATA: bool = true;

    async fn act(&self, service: &Service, _task: &Task, _run: &Run) -> Result<(), Stop> {
        let id = self.volume_id;
        let found = service.catalog.volume(id).await;
        let Some(volume) = found.map_err(ServiceError::from)? else {
            return Ok(());
        };
        let (provider, size) = (Arc::clone(&service.volumes), volume.size.bytes());
        let source = self.source.clone();
        service
            .blocking("making the volume", move || {
                // What an interrupted attempt left is made anew.
                provider.delete(id)?;
                match source {
                    VolumeSource::Empty => provider.create(id, size),
                    VolumeSource::Snapshot { snapshot_id } => {
                        provider.create_from_snapshot(id, snapshot_id, size)
                    }
                    VolumeSource::Volume { volume_id } => {
                        provider.create_from_volume(id, volume_id, size)
                    }
                }
            })
            .await?;
        Ok(())
    }

    async fn rows(
        &self,
        service: &Service,
        _task: &mut Task,
        verdict: &Verdict,
    ) -> Result<Vec<Change>, ServiceError> {
        let (done, failed) = (VolumeStatus::Available, VolumeStatus::Error);
        service
            .volume_becomes(self.volume_id, done, failed, verdict, |_| {})
            .await
    }

    fn failure_message(&self) -> Option<(About, MessageAction)> {
        Some((About::Volume(self.volume_id), MessageAction::CreateVolume))
    }
}

/// Makes a volume larger.
#[derive(Debug, Clone)]
pub(crate) struct ExtendVolume {
    pub(crate) volume_id: VolumeId,
    pub(crate) size: Gib,
}

#[async_trait]
impl TaskKind for ExtendVolume {
    type Found = ();
    const STORES_DATA: bool = true;

    async fn act(&self, service: &Service, _task: &Task, _run: &Run) -> Result<(), Stop> {
        let (provider, id, size) = (Arc::clone(&service.volumes), self.volume_id, self.size);
        service
            .blocking("growing the volume", move || {
                provider.grow(id, size.bytes())
            })
            .await?;
        Ok(())
    }

    async fn rows(
        &self,
        service: &Service,
        _task: &mut Task,
        verdict: &Verdict,
    ) -> Result<Vec<Change>, ServiceError> {
        let (id, size) = (self.volume_id, self.size);
        let grown = |volume: &mut Volume| volume.size = size;
        // One that was in somebody's hands still is.
        let before = service.catalog.volume(id).await?;
        let before = before.and_then(|volume| volume.previous_status);
        let done = before.unwrap_or(VolumeStatus::Available);
        let mut changes = service
            .volume_becomes(id, done, VolumeStatus::ErrorExtending, verdict, grown)
            .await?;
        let now = match verdict {
            Verdict::Done(()) => Some(size),
            // The room that was taken for it is given back.
            Verdict::Failed(_) | Verdict::Cancelled => {
                service.catalog.volume(id).await?.map(|volume| volume.size)
            }
        };
        if let Some(now) = now {
            changes.extend(service.volume_sized(id, now).await?);
        }
        Ok(changes)
    }

    fn failure_message(&self) -> Option<(About, MessageAction)> {
        Some((About::Volume(self.volume_id), MessageAction::ExtendVolume))
    }
}

/// Removes a volume.
#[derive(Debug, Clone)]
pub(crate) struct DeleteVolume {
    pub(crate) volume_id: VolumeId,
}

#[async_trait]
impl TaskKind for DeleteVolume {
    type Found = ();

    async fn act(&self, service: &Service, _task: &Task, _run: &Run) -> Result<(), Stop> {
        let (provider, id) = (Arc::clone(&service.volumes), self.volume_id);
        service
            .blocking("removing the volume", move || provider.delete(id))
            .await?;
        Ok(())
    }

    async fn rows(
        &self,
        service: &Service,
        _task: &mut Task,
        verdict: &Verdict,
    ) -> Result<Vec<Change>, ServiceError> {
        let id = self.volume_id;
        match verdict {
            Verdict::Done(()) => {
                let volume = service.catalog.volume(id).await?;
                let mut changes: Vec<Change> = volume.iter().map(Service::volume_gone).collect();
                changes.extend(service.volume_leaves_server(id).await?);
                Ok(changes)
            }
            Verdict::Failed(_) | Verdict::Cancelled => {
                let failed = VolumeStatus::ErrorDeleting;
                service
                    .volume_becomes(id, failed, failed, verdict, |_| {})
                    .await
            }
        }
    }
}

/// Takes a lasting snapshot.
#[derive(Debug, Clone)]
pub(crate) struct CreateSnapshot {
    pub(crate) snapshot_id: SnapshotId,
}

#[async_trait]
impl TaskKind for CreateSnapshot {
    type Found = ();
    const STORES_DATA: bool = true;

    async fn act(&self, service: &Service, _task: &Task, _run: &Run) -> Result<(), Stop> {
        let id = self.snapshot_id;
        let found = service.catalog.snapshot(id).await;
        let Some(snapshot) = found.map_err(ServiceError::from)? else {
            return Ok(());
        };
        let (provider, volume) = (Arc::clone(&service.volumes), snapshot.volume_id);
        service
            .blocking("taking the snapshot", move || provider.snapshot(volume, id))
            .await?;
        Ok(())
    }

    async fn rows(
        &self,
        service: &Service,
        _task: &mut Task,
        verdict: &Verdict,
    ) -> Result<Vec<Change>, ServiceError> {
        let (status, progress) = match verdict {
            Verdict::Done(()) => (SnapshotStatus::Available, Some(100)),
            Verdict::Failed(_) | Verdict::Cancelled => (SnapshotStatus::Error, None),
        };
        service
            .snapshot_becomes(self.snapshot_id, status, progress)
            .await
    }

    fn failure_message(&self) -> Option<(About, MessageAction)> {
        let about = About::Snapshot(self.snapshot_id);
        Some((about, MessageAction::CreateSnapshot))
    }
}

/// Removes a lasting snapshot.
#[derive(Debug, Clone)]
pub(crate) struct DeleteSnapshot {
    pub(crate) snapshot_id: SnapshotId,
}

#[async_trait]
impl TaskKind for DeleteSnapshot {
    type Found = ();

    async fn act(&self, service: &Service, _task: &Task, _run: &Run) -> Result<(), Stop> {
        let (provider, id) = (Arc::clone(&service.volumes), self.snapshot_id);
        service
            .blocking("removing the snapshot", move || {
                provider.delete_snapshot(id)
            })
            .await?;
        Ok(())
    }

    async fn rows(
        &self,
        service: &Service,
        _task: &mut Task,
        verdict: &Verdict,
    ) -> Result<Vec<Change>, ServiceError> {
        let id = self.snapshot_id;
        match verdict {
            Verdict::Done(()) => {
                let snapshot = service.catalog.snapshot(id).await?;
                Ok(snapshot
                    .map(|s| Change::Remove(Key::Snapshot(id), s.revision))
                    .into_iter()
                    .collect())
            }
            Verdict::Failed(_) | Verdict::Cancelled => {
                service
                    .snapshot_becomes(id, SnapshotStatus::ErrorDeleting, None)
                    .await
            }
        }
    }

    fn failure_message(&self) -> Option<(About, MessageAction)> {
        let about = About::Snapshot(self.snapshot_id);
        Some((about, MessageAction::DeleteSnapshot))
    }
}

impl Service {
    /// Returns the change of a volume's row by how its task ended.
    async fn volume_becomes(
        &self,
        id: VolumeId,
        done: VolumeStatus,
        failed: VolumeStatus,
        verdict: &Verdict,
        apply: impl Fn(&mut Volume) + Send,
    ) -> Result<Vec<Change>, ServiceError> {
        let Some(mut volume) = self.catalog.volume(id).await? else {
            return Ok(Vec::new());
        };
        match verdict {
            Verdict::Done(()) => {
                apply(&mut volume);
                volume.status = done;
            }
            Verdict::Failed(_) | Verdict::Cancelled => volume.status = failed,
        }
        volume.growing_to = None;
        volume.updated_at = Some(self.now());
        Ok(vec![Change::Save(Row::Volume(volume))])
    }

    async fn snapshot_becomes(
        &self,
        id: SnapshotId,
        status: SnapshotStatus,
        progress: Option<u32>,
    ) -> Result<Vec<Change>, ServiceError> {
        let found: Option<Snapshot> = self.catalog.snapshot(id).await?;
        Ok(found
            .map(|mut snapshot| {
                snapshot.status = status;
                snapshot.progress = progress.unwrap_or(snapshot.progress);
                snapshot.updated_at = Some(self.now());
                Change::Save(Row::Snapshot(snapshot))
            })
            .into_iter()
            .collect())
    }
}
