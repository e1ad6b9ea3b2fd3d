//! Volumes: made, listed, changed, deleted, imported and exported.

use std::path::PathBuf;
use std::sync::Arc;

use emberkeep_catalog::{Change, Key, Page, Row, SnapshotQuery, VolumeQuery};
use emberkeep_model::{
    AttachmentStatus, Caller, Gib, Snapshot, SnapshotStatus, Task, Volume, VolumeId, VolumeSource,
    VolumeStatus, VolumeType, VolumeTypeId, Work,
};
use emberkeep_volumes::SourceSnapshot;
use uuid::Uuid;

use crate::error::invalid;
use crate::pairs;
use crate::quotas::Need;
use crate::race::racing;
use crate::refusal::Refusal;
use crate::{DeleteVolume, Edit, NewVolume, Reach, Service, ServiceError};

/// Largest volume, in GiB: 64 TiB.
const MAX_GIB: u32 = 65_536;

impl Service {
    /// Makes a volume, empty or from a snapshot or another volume; its bytes follow in a task.
    pub async fn create_volume(
        &self,
        caller: &Caller,
        new: NewVolume,
    ) -> Result<Volume, ServiceError> {
        self.allow(caller, "volume:create")?;
        if let Some(backup) = new.backup_id {
            return self.create_volume_from_backup(caller, backup, new).await;
        }
        racing(|| async {
            let (source, least) = self.source_of(caller, &new).await?;
            let volume = self.new_volume(caller, &new, least).await?;
            let task = self.volume_task(
                caller,
                &volume,
                Work::CreateVolume {
                    volume_id: volume.id,
                    source,
                },
            );
            let _turn = self.quota_turn(&volume.project_id).await;
            let reserved = self.reserve_volume(&volume).await?;
            self.commit(vec![
                Change::Insert(Row::Volume(volume.clone())),
                Change::Insert(Row::Task(task)),
                reserved,
            ])
            .await?;
            Ok(volume)
        })
        .await
    }

    /// Refuses a volume that is more than its project may have; see [`Service::reserve`].
    pub(crate) async fn reserve_volume(&self, volume: &Volume) -> Result<Change, ServiceError> {
        let need = Need {
            volumes: 1,
            gigabytes: u64::from(volume.size.0),
            volume_type: volume.volume_type_id,
            volume_size: Some(volume.size.0),
            ..Need::default()
        };
        let reserved = self.reserve(&volume.project_id, need).await?;
        // What the project may have is told first, as Cinder does.
        if volume.size.0 > MAX_GIB {
            return Err(invalid(
                "size",
                format!("must be 1 to {MAX_GIB} GiB, not {}", volume.size.0),
            ));
        }
        Ok(reserved)
    }

    /// Returns where a new volume's bytes come from and how large it must be at least.
    async fn source_of(
        &self,
        caller: &Caller,
        new: &NewVolume,
    ) -> Result<(VolumeSource, Gib), ServiceError> {
        match (new.snapshot_id, new.source_volume_id) {
            (Some(_), Some(_)) => Err(invalid(
                "snapshot_id",
                "cannot be given together with source_volid",
            )),
            (Some(id), None) => {
                let snapshot = self.visible_snapshot(caller, id).await?;
                if snapshot.status != SnapshotStatus::Available {
                    return Err(Refusal::SourceSnapshotStatus.into());
                }
                Ok((VolumeSource::Snapshot { snapshot_id: id }, snapshot.size))
            }
            (None, Some(id)) => {
                let source = self.visible_volume(caller, id).await?;
                if !matches!(source.status, VolumeStatus::Available | VolumeStatus::InUse) {
                    return Err(Refusal::SourceVolumeStatus.into());
                }
                Ok((VolumeSource::Volume { volume_id: id }, source.size))
            }
            (None, None) => Ok((VolumeSource::Empty, Gib(0))),
        }
    }

    /// Builds the row of a new volume that must hold `least`.
    pub(crate) async fn new_volume(
        &self,
        caller: &Caller,
        new: &NewVolume,
        least: Gib,
    ) -> Result<Volume, ServiceError> {
        pairs::check_new(&new.metadata)?;
        let size = new.size.unwrap_or(least);
        if size.0 == 0 {
            return Err(invalid(
                "size",
                format!("must be 1 to {MAX_GIB} GiB, not 0"),
            ));
        }
        if size < least {
            return Err(smaller_than_source(new, size, least));
        }
        if let Some(zone) = &new.availability_zone
            && *zone != self.settings.availability_zone
        {
            return Err(Refusal::NoSuchZone(zone.clone()).into());
        }
        let volume_type = self.type_wanted(caller, new.volume_type.as_deref()).await?;
        let whose = (caller.project_id.clone(), caller.user_id.clone());
        let mut volume = Volume::new(
            VolumeId(Uuid::new_v4()),
            whose,
            VolumeStatus::Creating,
            self.now(),
        );
        volume.name = new.name.clone();
        volume.description = new.description.clone();
        volume.size = size;
        volume.volume_type_id = Some(volume_type.id);
        volume.availability_zone = self.settings.availability_zone.clone();
        volume.metadata = new.metadata.clone();
        volume.snapshot_id = new.snapshot_id;
        volume.source_volume_id = new.source_volume_id;
        Ok(volume)
    }

    /// Builds a task about a volume.
    pub(crate) fn volume_task(&self, caller: &Caller, volume: &Volume, work: Work) -> Task {
        let mut task = self.new_task(caller, work);
        task.project_id = volume.project_id.clone();
        task.volume_id = Some(volume.id);
        task.volume_name = volume.name.clone();
        task
    }

    /// Shows one volume.
    pub async fn volume(&self, caller: &Caller, id: VolumeId) -> Result<Volume, ServiceError> {
        let volume = self.visible_volume(caller, id).await?;
        self.allow(caller, "volume:get")?;
        Ok(volume)
    }

    /// Lists volumes.
    pub async fn volumes(
        &self,
        caller: &Caller,
        mut query: VolumeQuery,
        reach: Reach,
    ) -> Result<Page<Volume>, ServiceError> {
        self.allow(caller, "volume:get_all")?;
        query.project = Self::reach(caller, reach, query.project.take());
        if let Some(marker) = query.paging.marker {
            self.visible_volume(caller, marker).await?;
        }
        Ok(self.catalog.volumes(&query).await?)
    }

    /// Changes a volume's name, text or pairs.
    pub async fn edit_volume(
        &self,
        caller: &Caller,
        id: VolumeId,
        edit: Edit,
    ) -> Result<Volume, ServiceError> {
        racing(|| async {
            let mut volume = self.visible_volume(caller, id).await?;
            self.allow(caller, "volume:update")?;
            if let Some(reason) = edit_refused(volume.status, &edit) {
                return Err(Refusal::Volume { id, reason }.into());
            }
            let edit = edit.clone();
            if let Some(name) = edit.name {
                volume.name = name;
            }
            if let Some(description) = edit.description {
                volume.description = description;
            }
            if let Some(metadata) = edit.metadata {
                pairs::check_change(&volume.metadata, &metadata)?;
                volume.metadata = metadata;
            }
            volume.updated_at = Some(self.now());
            self.commit(vec![Change::Save(Row::Volume(volume.clone()))])
                .await?;
            Ok(volume)
        })
        .await
    }

    /// Says whether a system can start from a volume.
    pub async fn set_bootable(
        &self,
        caller: &Caller,
        id: VolumeId,
        bootable: bool,
    ) -> Result<(), ServiceError> {
        racing(|| async {
            let mut volume = self.visible_volume(caller, id).await?;
            self.allow(caller, "volume_extension:volume_actions:set_bootable")?;
            if let Some(reason) = edit_refused(volume.status, &Edit::default()) {
                return Err(Refusal::Volume { id, reason }.into());
            }
            volume.bootable = bootable;
            volume.updated_at = Some(self.now());
            self.commit(vec![Change::Save(Row::Volume(volume))]).await
        })
        .await
    }

    /// Deletes a volume; its bytes go in a task.
    pub async fn delete_volume(
        &self,
        caller: &Caller,
        id: VolumeId,
        how: DeleteVolume,
    ) -> Result<(), ServiceError> {
        racing(|| async {
            let mut volume = self.visible_volume(caller, id).await?;
            self.allow(caller, "volume:delete")?;
            let deletable = matches!(
                volume.status,
                VolumeStatus::Available
                    | VolumeStatus::Error
                    | VolumeStatus::ErrorRestoring
                    | VolumeStatus::ErrorExtending
                    | VolumeStatus::ErrorManaging
            );
            if how.force {
                self.allow(caller, "volume:force_delete")?;
            }
            let query = SnapshotQuery {
                volume: Some(id),
                ..SnapshotQuery::default()
            };
            let snapshots = self.catalog.snapshots(&query).await?.items;
            let gone_with_it = |snapshot: &Snapshot| {
                how.force
                    || matches!(
                        snapshot.status,
                        SnapshotStatus::Available
                            | SnapshotStatus::Error
                            | SnapshotStatus::Deleting
                    )
            };
            let held = if how.cascade {
                !snapshots.iter().all(gone_with_it)
            } else {
                !snapshots.is_empty()
            };
            let attachment = self.attachment_of(id).await?;
            let attached = attachment
                .as_ref()
                .is_some_and(|one| one.status == AttachmentStatus::Attached);
            if held || attached || !(deletable || how.force) {
                return Err(Refusal::VolumeNotDeletable { forced: how.force }.into());
            }
            let mut changes = Vec::new();
            // Somebody who set it aside finds nothing any more.
            changes.extend(
                attachment.map(|one| Change::Remove(Key::Attachment(one.id), one.revision)),
            );
            for mut snapshot in snapshots {
                // Its task is on the way.
                if snapshot.status == SnapshotStatus::Deleting {
                    continue;
                }
                let work = Work::DeleteSnapshot {
                    snapshot_id: snapshot.id,
                };
                changes.push(Change::Insert(Row::Task(
                    self.volume_task(caller, &volume, work),
                )));
                snapshot.status = SnapshotStatus::Deleting;
                changes.push(Change::Save(Row::Snapshot(snapshot)));
            }
            let work = Work::DeleteVolume { volume_id: id };
            changes.push(Change::Insert(Row::Task(
                self.volume_task(caller, &volume, work),
            )));
            volume.status = VolumeStatus::Deleting;
            volume.updated_at = Some(self.now());
            changes.push(Change::Save(Row::Volume(volume)));
            self.commit(changes).await
        })
        .await
    }

    /// Makes a volume larger.
    pub async fn extend_volume(
        &self,
        caller: &Caller,
        id: VolumeId,
        size: Gib,
    ) -> Result<(), ServiceError> {
        self.extend(caller, id, size, &[VolumeStatus::Available])
            .await
    }

    /// The same, also while it is in somebody's hands.
    pub async fn extend_attached_volume(
        &self,
        caller: &Caller,
        id: VolumeId,
        size: Gib,
    ) -> Result<(), ServiceError> {
        let fit = [VolumeStatus::Available, VolumeStatus::InUse];
        self.extend(caller, id, size, &fit).await
    }

    async fn extend(
        &self,
        caller: &Caller,
        id: VolumeId,
        size: Gib,
        fit: &[VolumeStatus],
    ) -> Result<(), ServiceError> {
        racing(|| async {
            let mut volume = self.visible_volume(caller, id).await?;
            self.allow(caller, "volume:extend")?;
            if size <= volume.size {
                return Err(ServiceError::ExtendTooSmall {
                    current: volume.size,
                    wanted: size,
                });
            }
            if !fit.contains(&volume.status) {
                let reason = format!(
                    "Volume {id} status must be '{{'status': 'available'}}' to extend, currently {}.",
                    volume.status
                );
                return Err(Refusal::Volume { id, reason }.into());
            }
            let _turn = self.quota_turn(&volume.project_id).await;
            let need = Need {
                gigabytes: u64::from(size.0 - volume.size.0),
                volume_type: volume.volume_type_id,
                volume_size: Some(size.0),
                ..Need::default()
            };
            let reserved = self.reserve(&volume.project_id, need).await?;
            if size.0 > MAX_GIB {
                return Err(invalid("new_size", format!("must be at most {MAX_GIB} GiB")));
            }
            volume.previous_status = Some(volume.status);
            let room = self.room_for_growth(id, size).await?;
            volume.status = VolumeStatus::Extending;
            volume.growing_to = Some(size);
            volume.updated_at = Some(self.now());
            let work = Work::ExtendVolume {
                volume_id: id,
                size,
            };
            let task = self.volume_task(caller, &volume, work);
            let mut changes = vec![
                Change::Save(Row::Volume(volume)),
                Change::Insert(Row::Task(task)),
                reserved,
            ];
            changes.extend(room);
            self.commit(changes).await
        })
        .await
    }

    /// Lists the volume types.
    pub async fn volume_types(&self, caller: &Caller) -> Result<Vec<VolumeType>, ServiceError> {
        self.allow(caller, "volume_extension:type_get_all")?;
        let mut types = self.catalog.volume_types().await?;
        types.retain(|one| may_use(caller, one));
        Ok(types)
    }

    /// Shows one volume type, by id, by name, or the default one (`default`).
    pub async fn volume_type(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<VolumeType, ServiceError> {
        self.allow(caller, "volume_extension:type_get")?;
        let named = if name == "default" { None } else { Some(name) };
        self.type_named(caller, named).await
    }

    /// Finds a type that the caller may use, by id or name, or the default one.
    pub(crate) async fn type_named(
        &self,
        caller: &Caller,
        name: Option<&str>,
    ) -> Result<VolumeType, ServiceError> {
        let wanted = match name {
            None | Some("__DEFAULT__") => self.settings.default_volume_type.as_str(),
            Some(name) => name,
        };
        let types = self.catalog.volume_types().await?;
        types
            .into_iter()
            .filter(|one| may_use(caller, one))
            .find(|t| t.name == wanted || t.id.to_string() == wanted)
            .ok_or_else(|| ServiceError::NoSuchVolumeType(wanted.to_owned()))
    }

    /// The same, for what is to be made of it: what is no id was meant as a name.
    pub(crate) async fn type_wanted(
        &self,
        caller: &Caller,
        name: Option<&str>,
    ) -> Result<VolumeType, ServiceError> {
        let found = self.type_named(caller, name).await;
        found.map_err(|error| match error {
            ServiceError::NoSuchVolumeType(name) if Uuid::parse_str(&name).is_err() => {
                Refusal::NoSuchTypeNamed(name).into()
            }
            other => other,
        })
    }

    /// Makes the default volume type if there is none of its name yet.
    pub async fn ensure_default_type(&self) -> Result<(), ServiceError> {
        let types = self.catalog.volume_types().await?;
        if types
            .iter()
            .any(|t| t.name == self.settings.default_volume_type)
        {
            return Ok(());
        }
        let volume_type = VolumeType {
            id: VolumeTypeId(Uuid::new_v4()),
            name: self.settings.default_volume_type.clone(),
            description: Some("Files in the data directory".into()),
            is_public: true,
            extra_specs: Default::default(),
            access: Vec::new(),
            created_at: self.now(),
            revision: 0,
        };
        self.commit(vec![Change::Insert(Row::VolumeType(volume_type))])
            .await
    }

    /// Tells where a file-backed volume's bytes lie on the service's host: for its operators.
    pub async fn volume_path(
        &self,
        caller: &Caller,
        id: VolumeId,
    ) -> Result<Option<PathBuf>, ServiceError> {
        self.visible_volume(caller, id).await?;
        self.allow(caller, "volume:get")?;
        self.allow(caller, "volume:host_path")?;
        Ok(self.volumes.path(id))
    }

    /// Opens a volume for reading as it is now.
    pub async fn export(
        &self,
        caller: &Caller,
        id: VolumeId,
    ) -> Result<Arc<dyn SourceSnapshot>, ServiceError> {
        let volume = self.visible_volume(caller, id).await?;
        self.allow(caller, "volume:get")?;
        self.allow(caller, "volume:read_data")?;
        if !matches!(volume.status, VolumeStatus::Available | VolumeStatus::InUse) {
            return Err(ServiceError::VolumeStatus {
                id,
                wanted: "available or in-use",
                status: volume.status.as_str(),
            });
        }
        let provider = Arc::clone(&self.volumes);
        let source = self
            .blocking("opening the volume", move || provider.open_source(id))
            .await?;
        Ok(Arc::from(source))
    }

    /// Removes the row of a volume whose bytes are gone.
    pub(crate) fn volume_gone(volume: &Volume) -> Change {
        Change::Remove(Key::Volume(volume.id), volume.revision)
    }
}

/// Says why a volume of this status is not changed, if it is not.
fn edit_refused(status: VolumeStatus, edit: &Edit) -> Option<String> {
    let pairs_alone = edit.metadata.is_some() && edit.name.is_none() && edit.description.is_none();
    match status {
        VolumeStatus::Maintenance | VolumeStatus::Uploading if pairs_alone => Some(format!(
            "Updating volume metadata is not allowed for volumes in {status} status."
        )),
        VolumeStatus::Maintenance => {
            Some("The volume cannot be updated during maintenance.".to_owned())
        }
        _ => None,
    }
}

/// Words the refusal of a volume that is smaller than what it is made from.
fn smaller_than_source(new: &NewVolume, size: Gib, least: Gib) -> ServiceError {
    let (size, least) = (size.0, least.0);
    let text = if new.snapshot_id.is_some() {
        format!(
            "Volume size '{size}'GB cannot be smaller than the snapshot size {least}GB. They must be >= original snapshot size."
        )
    } else if new.source_volume_id.is_some() {
        // Two blanks, as Cinder has them.
        format!(
            "Volume size '{size}'GB cannot be smaller than original volume size  {least}GB. They must be >= original volume size."
        )
    } else {
        format!(
            "Volume size {size}GB cannot be smaller than the backup size {least}GB. It must be >= backup size."
        )
    };
    Refusal::SmallerThanSource(text).into()
}

/// Tells whether the caller may make volumes of a type, and know of it.
pub(crate) fn may_use(caller: &Caller, volume_type: &VolumeType) -> bool {
    volume_type.is_public || caller.is_admin() || volume_type.access.contains(&caller.project_id)
}
