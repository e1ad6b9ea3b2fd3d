//! Lasting snapshots of volumes.

use emberkeep_catalog::{Change, Page, Row, SnapshotQuery};
use emberkeep_model::{Caller, Snapshot, SnapshotId, SnapshotStatus, Volume, VolumeStatus, Work};
use uuid::Uuid;

use crate::pairs;
use crate::quotas::Need;
use crate::race::racing;
use crate::refusal::Refusal;
use crate::{Edit, NewSnapshot, Reach, Service, ServiceError};

impl Service {
    /// Takes a lasting snapshot; its bytes follow in a task.
    pub async fn create_snapshot(
        &self,
        caller: &Caller,
        new: NewSnapshot,
    ) -> Result<Snapshot, ServiceError> {
        racing(|| self.try_create_snapshot(caller, &new)).await
    }

    async fn try_create_snapshot(
        &self,
        caller: &Caller,
        new: &NewSnapshot,
    ) -> Result<Snapshot, ServiceError> {
        let volume = self.visible_volume(caller, new.volume_id).await?;
        self.allow(caller, "volume:create_snapshot")?;
        pairs::check_new(&new.metadata)?;
        volume_to_snapshot(&volume, new.force)?;
        let snapshot = Snapshot {
            id: SnapshotId(Uuid::new_v4()),
            volume_id: volume.id,
            project_id: volume.project_id.clone(),
            user_id: caller.user_id.clone(),
            name: new.name.clone(),
            description: new.description.clone(),
            size: volume.size,
            status: SnapshotStatus::Creating,
            progress: 0,
            metadata: new.metadata.clone(),
            created_at: self.now(),
            updated_at: None,
            revision: 0,
        };
        let work = Work::CreateSnapshot {
            snapshot_id: snapshot.id,
        };
        let task = self.volume_task(caller, &volume, work);
        let _turn = self.quota_turn(&snapshot.project_id).await;
        let need = Need {
            snapshots: 1,
            gigabytes: u64::from(snapshot.size.0),
            volume_type: volume.volume_type_id,
            ..Need::default()
        };
        let reserved = self.reserve(&snapshot.project_id, need).await?;
        self.commit(vec![
            reserved,
            Change::Insert(Row::Snapshot(snapshot.clone())),
            Change::Insert(Row::Task(task)),
        ])
        .await?;
        Ok(snapshot)
    }

    /// Shows one snapshot.
    pub async fn snapshot(
        &self,
        caller: &Caller,
        id: SnapshotId,
    ) -> Result<Snapshot, ServiceError> {
        let snapshot = self.visible_snapshot(caller, id).await?;
        self.allow(caller, "volume:get_snapshot")?;
        Ok(snapshot)
    }

    /// Lists snapshots.
    pub async fn snapshots(
        &self,
        caller: &Caller,
        mut query: SnapshotQuery,
        reach: Reach,
    ) -> Result<Page<Snapshot>, ServiceError> {
        self.allow(caller, "volume:get_all_snapshots")?;
        query.project = Self::reach(caller, reach, query.project.take());
        if let Some(marker) = query.paging.marker {
            self.visible_snapshot(caller, marker).await?;
        }
        Ok(self.catalog.snapshots(&query).await?)
    }

    /// Changes a snapshot's name, text or pairs.
    pub async fn edit_snapshot(
        &self,
        caller: &Caller,
        id: SnapshotId,
        edit: Edit,
    ) -> Result<Snapshot, ServiceError> {
        racing(|| async {
            let mut snapshot = self.visible_snapshot(caller, id).await?;
            self.allow(caller, "volume:update_snapshot")?;
            let edit = edit.clone();
            if let Some(name) = edit.name {
                snapshot.name = name;
            }
            if let Some(description) = edit.description {
                snapshot.description = description;
            }
            if let Some(metadata) = edit.metadata {
                pairs::check_change(&snapshot.metadata, &metadata)?;
                snapshot.metadata = metadata;
            }
            snapshot.updated_at = Some(self.now());
            self.commit(vec![Change::Save(Row::Snapshot(snapshot.clone()))])
                .await?;
            Ok(snapshot)
        })
        .await
    }

    /// Deletes a snapshot; its bytes go in a task.
    pub async fn delete_snapshot(
        &self,
        caller: &Caller,
        id: SnapshotId,
    ) -> Result<(), ServiceError> {
        racing(|| async {
            let mut snapshot = self.visible_snapshot(caller, id).await?;
            self.allow(caller, "volume:delete_snapshot")?;
            if !matches!(
                snapshot.status,
                SnapshotStatus::Available | SnapshotStatus::Error
            ) {
                return Err(Refusal::SnapshotNotDeletable.into());
            }
            let mut task = self.new_task(caller, Work::DeleteSnapshot { snapshot_id: id });
            task.project_id = snapshot.project_id.clone();
            task.volume_id = Some(snapshot.volume_id);
            snapshot.status = SnapshotStatus::Deleting;
            snapshot.updated_at = Some(self.now());
            self.commit(vec![
                Change::Save(Row::Snapshot(snapshot)),
                Change::Insert(Row::Task(task)),
            ])
            .await
        })
        .await
    }
}

/// Refuses a volume that no snapshot can be taken of as it stands.
fn volume_to_snapshot(volume: &Volume, in_use_too: bool) -> Result<(), ServiceError> {
    let reason = match volume.status {
        VolumeStatus::Available => return Ok(()),
        VolumeStatus::InUse if in_use_too => return Ok(()),
        VolumeStatus::Maintenance => {
            "The snapshot cannot be created when the volume is in maintenance mode.".to_owned()
        }
        VolumeStatus::Error => {
            "The snapshot cannot be created when the volume is in error status.".to_owned()
        }
        other => format!(
            "Volume {} status must be {}, but current status is: {other}.",
            volume.id,
            if in_use_too {
                "available, in-use"
            } else {
                "available"
            },
        ),
    };
    let id = volume.id;
    Err(Refusal::Volume { id, reason }.into())
}
