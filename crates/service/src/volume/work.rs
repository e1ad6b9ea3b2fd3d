//! Volumes and snapshots: their bytes made, grown and removed.

use std::sync::Arc;

use emberkeep_catalog::{Change, Key, Row};
use emberkeep_model::{
    Gib, Snapshot, SnapshotId, SnapshotStatus, Volume, VolumeId, VolumeSource, VolumeStatus,
};

use crate::task::work::{Facts, Stop, Verdict};
use crate::{Service, ServiceError};

impl Service {
    pub(crate) async fn act_create_volume(
        &self,
        id: VolumeId,
        source: &VolumeSource,
    ) -> Result<Facts, Stop> {
        let volume = self.catalog.volume(id).await.map_err(ServiceError::from)?;
        let Some(volume) = volume else {
            return Ok(Facts::Nothing);
        };
        let (provider, size, source) = (
            Arc::clone(&self.volumes),
            volume.size.bytes(),
            source.clone(),
        );
        self.blocking("making the volume", move || {
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
        Ok(Facts::Nothing)
    }

    pub(crate) async fn rows_created(
        &self,
        id: VolumeId,
        verdict: &Verdict,
    ) -> Result<Vec<Change>, ServiceError> {
        self.volume_becomes(
            id,
            VolumeStatus::Available,
            VolumeStatus::Error,
            verdict,
            |_| {},
        )
        .await
    }

    pub(crate) async fn act_extend(&self, id: VolumeId, size: Gib) -> Result<Facts, Stop> {
        let provider = Arc::clone(&self.volumes);
        self.blocking("growing the volume", move || {
            provider.grow(id, size.bytes())
        })
        .await?;
        Ok(Facts::Nothing)
    }

    pub(crate) async fn rows_extended(
        &self,
        id: VolumeId,
        size: Gib,
        verdict: &Verdict,
    ) -> Result<Vec<Change>, ServiceError> {
        let grown = |volume: &mut Volume| volume.size = size;
        // One that was in somebody's hands still is.
        let before = self.catalog.volume(id).await?;
        let before = before.and_then(|volume| volume.previous_status);
        let mut changes = self
            .volume_becomes(
                id,
                before.unwrap_or(VolumeStatus::Available),
                VolumeStatus::ErrorExtending,
                verdict,
                grown,
            )
            .await?;
        let now = match verdict {
            Verdict::Done(_) => Some(size),
            // The room that was taken for it is given back.
            Verdict::Failed(_) | Verdict::Cancelled => {
                self.catalog.volume(id).await?.map(|volume| volume.size)
            }
        };
        if let Some(now) = now {
            changes.extend(self.volume_sized(id, now).await?);
        }
        Ok(changes)
    }

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
            Verdict::Done(_) => {
                apply(&mut volume);
                volume.status = done;
            }
            Verdict::Failed(_) | Verdict::Cancelled => volume.status = failed,
        }
        volume.growing_to = None;
        volume.updated_at = Some(self.now());
        Ok(vec![Change::Save(Row::Volume(volume))])
    }

    pub(crate) async fn act_delete_volume(&self, id: VolumeId) -> Result<Facts, Stop> {
        let provider = Arc::clone(&self.volumes);
        self.blocking("removing the volume", move || provider.delete(id))
            .await?;
        Ok(Facts::Nothing)
    }

    pub(crate) async fn rows_volume_deleted(
        &self,
        id: VolumeId,
        verdict: &Verdict,
    ) -> Result<Vec<Change>, ServiceError> {
        match verdict {
            Verdict::Done(_) => {
                let volume = self.catalog.volume(id).await?;
                let mut changes: Vec<Change> = volume.iter().map(Self::volume_gone).collect();
                changes.extend(self.volume_leaves_server(id).await?);
                Ok(changes)
            }
            Verdict::Failed(_) | Verdict::Cancelled => {
                let failed = VolumeStatus::ErrorDeleting;
                self.volume_becomes(id, failed, failed, verdict, |_| {})
                    .await
            }
        }
    }

    pub(crate) async fn act_snapshot(&self, id: SnapshotId) -> Result<Facts, Stop> {
        let snapshot = self
            .catalog
            .snapshot(id)
            .await
            .map_err(ServiceError::from)?;
        let Some(snapshot) = snapshot else {
            return Ok(Facts::Nothing);
        };
        let (provider, volume) = (Arc::clone(&self.volumes), snapshot.volume_id);
        self.blocking("taking the snapshot", move || provider.snapshot(volume, id))
            .await?;
        Ok(Facts::Nothing)
    }

    pub(crate) async fn rows_snapshot(
        &self,
        id: SnapshotId,
        verdict: &Verdict,
    ) -> Result<Vec<Change>, ServiceError> {
        let (status, progress) = match verdict {
            Verdict::Done(_) => (SnapshotStatus::Available, Some(100)),
            Verdict::Failed(_) | Verdict::Cancelled => (SnapshotStatus::Error, None),
        };
        self.snapshot_becomes(id, status, progress).await
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

    pub(crate) async fn act_delete_snapshot(&self, id: SnapshotId) -> Result<Facts, Stop> {
        let provider = Arc::clone(&self.volumes);
        self.blocking("removing the snapshot", move || {
            provider.delete_snapshot(id)
        })
        .await?;
        Ok(Facts::Nothing)
    }

    pub(crate) async fn rows_snapshot_deleted(
        &self,
        id: SnapshotId,
        verdict: &Verdict,
    ) -> Result<Vec<Change>, ServiceError> {
        match verdict {
            Verdict::Done(_) => {
                let snapshot = self.catalog.snapshot(id).await?;
                Ok(snapshot
                    .map(|s| Change::Remove(Key::Snapshot(id), s.revision))
                    .into_iter()
                    .collect())
            }
            Verdict::Failed(_) | Verdict::Cancelled => {
                self.snapshot_becomes(id, SnapshotStatus::ErrorDeleting, None)
                    .await
            }
        }
    }
}
