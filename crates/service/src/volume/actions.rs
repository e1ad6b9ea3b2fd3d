//! What else is done with volumes and snapshots: statuses set by hand, flags, image properties, types.

use std::collections::BTreeMap;

use emberkeep_catalog::{Change, Key, Row};
use emberkeep_model::{Caller, SnapshotId, SnapshotStatus, Volume, VolumeId, VolumeStatus, Work};

use crate::pairs::check_change;
use crate::race::racing;
use crate::refusal::Refusal;
use crate::{DeleteVolume, Handover, ResetVolume, Service, ServiceError};

impl Service {
    /// Says how a volume stands, and whether it is in nobody's hands any more. Nothing that goes on with it
    /// is stopped.
    pub async fn reset_volume(
        &self,
        caller: &Caller,
        id: VolumeId,
        reset: ResetVolume,
    ) -> Result<(), ServiceError> {
        racing(|| async {
            let mut volume = self.visible_volume(caller, id).await?;
            self.allow(
                caller,
                "volume_extension:volume_admin_actions:reset_status",
            )?;
            let held = self.attachment_of(id).await?;
            match reset.status {
                Some(VolumeStatus::Deleting) => {
                    let text = "Cannot reset-state to deleting".to_owned();
                    return Err(Refusal::Attachment(text).into());
                }
                Some(VolumeStatus::InUse) if held.is_none() => {
                    let text = "Cannot reset-state to in-use because volume does not have any attachments.";
                    return Err(Refusal::Attachment(text.to_owned()).into());
                }
                Some(status) => volume.status = status,
                None => {}
            }
            volume.updated_at = Some(self.now());
            let mut changes = vec![Change::Save(Row::Volume(volume))];
            if reset.detached {
                changes.extend(
                    held.map(|one| Change::Remove(Key::Attachment(one.id), one.revision)),
                );
            }
            self.commit(changes).await
        })
        .await
    }

    /// Deletes a volume whatever its status.
    pub async fn force_delete_volume(
        &self,
        caller: &Caller,
        id: VolumeId,
    ) -> Result<(), ServiceError> {
        self.visible_volume(caller, id).await?;
        self.allow(caller, "volume_extension:volume_admin_actions:force_delete")?;
        let how = DeleteVolume {
            cascade: false,
            force: true,
        };
        self.delete_volume(caller, id, how).await
    }

    /// Says whether a volume may be written.
    pub async fn set_readonly(
        &self,
        caller: &Caller,
        id: VolumeId,
        readonly: bool,
    ) -> Result<(), ServiceError> {
        self.change_volume(caller, id, "volume:update_readonly_flag", |volume| {
            if volume.status != VolumeStatus::Available {
                return Err(Refusal::Volume {
                    id,
                    reason: format!(
                        "Volume {id} status must be available to update readonly flag, but current status is: {}.",
                        volume.status
                    ),
                }
                .into());
            }
            volume.readonly = Some(readonly);
            Ok(())
        })
        .await
    }

    /// Adds to the pairs of the image a volume came from.
    pub async fn set_image_properties(
        &self,
        caller: &Caller,
        id: VolumeId,
        pairs: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, ServiceError> {
        let rule = "volume_extension:volume_image_metadata";
        self.change_volume(caller, id, rule, |volume| {
            let before = volume.image_metadata.clone();
            volume.image_metadata.extend(pairs.clone());
            check_change(&before, &volume.image_metadata)
        })
        .await?;
        self.image_properties(caller, id).await
    }

    /// Takes one of the pairs of the image away.
    pub async fn unset_image_property(
        &self,
        caller: &Caller,
        id: VolumeId,
        key: &str,
    ) -> Result<(), ServiceError> {
        let rule = "volume_extension:volume_image_metadata";
        self.change_volume(caller, id, rule, |volume| {
            match volume.image_metadata.remove(key) {
                Some(_) => Ok(()),
                None => Err(Refusal::NoSuchImageProperty(id).into()),
            }
        })
        .await
    }

    /// Shows the pairs of the image a volume came from.
    pub async fn image_properties(
        &self,
        caller: &Caller,
        id: VolumeId,
    ) -> Result<BTreeMap<String, String>, ServiceError> {
        let all = self.volume(caller, id).await?.image_metadata;
        if all.is_empty() {
            return Err(Refusal::NoSuchImageProperty(id).into());
        }
        Ok(all)
    }

    /// Gives a volume another type. All types keep their bytes in the same place here, so nothing moves.
    pub async fn retype_volume(
        &self,
        caller: &Caller,
        id: VolumeId,
        name: &str,
    ) -> Result<(), ServiceError> {
        self.visible_volume(caller, id).await?;
        let wanted = self.type_wanted(caller, Some(name)).await?;
        self.change_volume(caller, id, "volume:retype", |volume| {
            let fits = matches!(volume.status, VolumeStatus::Available | VolumeStatus::InUse);
            if !fits || volume.volume_type_id == Some(wanted.id) {
                let reason = "Retype needs volume to be in available or in-use state, not be part of an active migration or a consistency group, requested type has to be different that the one from the volume, and for in-use volumes front-end qos specs cannot change.".to_owned();
                return Err(Refusal::Volume { id, reason }.into());
            }
            volume.volume_type_id = Some(wanted.id);
            Ok(())
        })
        .await
    }

    /// Checks that a volume may be connected to; there is nothing to connect to yet.
    pub async fn connection_of(
        &self,
        caller: &Caller,
        id: VolumeId,
    ) -> Result<Volume, ServiceError> {
        let volume = self.visible_volume(caller, id).await?;
        self.allow(
            caller,
            "volume_extension:volume_actions:initialize_connection",
        )?;
        if volume.status == VolumeStatus::Maintenance {
            let reason =
                "The volume connection cannot be initialized in maintenance mode.".to_owned();
            return Err(Refusal::Volume { id, reason }.into());
        }
        Ok(volume)
    }

    /// Ends a connection: a volume that was set aside for it is free again.
    pub async fn end_connection(&self, caller: &Caller, id: VolumeId) -> Result<(), ServiceError> {
        self.visible_volume(caller, id).await?;
        self.allow(
            caller,
            "volume_extension:volume_actions:terminate_connection",
        )?;
        self.move_volume(caller, id, Handover::Unreserve).await
    }

    async fn change_volume(
        &self,
        caller: &Caller,
        id: VolumeId,
        rule: &'static str,
        change: impl Fn(&mut Volume) -> Result<(), ServiceError>,
    ) -> Result<(), ServiceError> {
        let change = &change;
        racing(|| async move {
            let mut volume = self.visible_volume(caller, id).await?;
            self.allow(caller, rule)?;
            change(&mut volume)?;
            volume.updated_at = Some(self.now());
            self.commit(vec![Change::Save(Row::Volume(volume))]).await
        })
        .await
    }

    /// Says how a snapshot stands.
    pub async fn reset_snapshot(
        &self,
        caller: &Caller,
        id: SnapshotId,
        status: SnapshotStatus,
    ) -> Result<(), ServiceError> {
        racing(|| async {
            let mut snapshot = self.visible_snapshot(caller, id).await?;
            self.allow(
                caller,
                "volume_extension:snapshot_admin_actions:reset_status",
            )?;
            snapshot.status = status;
            snapshot.updated_at = Some(self.now());
            self.commit(vec![Change::Save(Row::Snapshot(snapshot))])
                .await
        })
        .await
    }

    /// Says how a snapshot that is being taken or removed has come along, as whoever does that sees it.
    pub async fn update_snapshot_status(
        &self,
        caller: &Caller,
        id: SnapshotId,
        status: SnapshotStatus,
        progress: Option<u32>,
    ) -> Result<(), ServiceError> {
        use SnapshotStatus as S;
        racing(|| async {
            let mut snapshot = self.visible_snapshot(caller, id).await?;
            self.allow(
                caller,
                "snapshot_extension:snapshot_actions:update_snapshot_status",
            )?;
            let next: &[S] = match snapshot.status {
                S::Creating => &[S::Creating, S::Available, S::Error],
                S::Deleting => &[S::Deleting, S::ErrorDeleting],
                S::Available | S::BackingUp | S::Error | S::ErrorDeleting => {
                    return Err(Refusal::Snapshot(format!(
                        "Snapshot status {} not allowed for update_snapshot_status",
                        snapshot.status
                    ))
                    .into());
                }
            };
            if !next.contains(&status) {
                return Err(Refusal::Snapshot(format!(
                    "Provided snapshot status {status} not allowed for snapshot with status {}.",
                    snapshot.status
                ))
                .into());
            }
            snapshot.status = status;
            snapshot.progress = progress.unwrap_or(snapshot.progress);
            snapshot.updated_at = Some(self.now());
            self.commit(vec![Change::Save(Row::Snapshot(snapshot))])
                .await
        })
        .await
    }

    /// Deletes a snapshot whatever its status.
    pub async fn force_delete_snapshot(
        &self,
        caller: &Caller,
        id: SnapshotId,
    ) -> Result<(), ServiceError> {
        racing(|| async {
            let mut snapshot = self.visible_snapshot(caller, id).await?;
            self.allow(
                caller,
                "volume_extension:snapshot_admin_actions:force_delete",
            )?;
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
