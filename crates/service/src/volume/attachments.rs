//! Attachments: whose hands a volume is in, so that `in-use` means something.
//!
//! Nothing is exported here: whoever attaches a volume reaches its bytes by other means.

use emberkeep_catalog::{AttachmentQuery, CatalogError, Change, Key, Page, Row};
use emberkeep_model::{
    Attachment, AttachmentId, AttachmentStatus, Caller, Volume, VolumeId, VolumeStatus,
};
use uuid::Uuid;

use crate::race::racing;
use crate::refusal::Refusal;
use crate::{AttachmentUpdate, NewAttachment, Reach, Service, ServiceError};

impl Service {
    /// Lists attachments, newest first.
    pub async fn attachments(
        &self,
        caller: &Caller,
        mut query: AttachmentQuery,
        reach: Reach,
    ) -> Result<Page<Attachment>, ServiceError> {
        self.allow(caller, "volume:attachment_get")?;
        query.project = Self::reach(caller, reach, query.project.take());
        if let Some(marker) = query.paging.marker {
            self.visible_attachment(caller, marker).await?;
        }
        Ok(self.catalog.attachments(&query).await?)
    }

    /// Returns the attachments of volumes that the caller has been shown.
    pub async fn attachments_of(
        &self,
        volumes: &[Volume],
    ) -> Result<Vec<Attachment>, ServiceError> {
        /// Statements bound how many values they take.
        const AT_ONCE: usize = 500;
        let ids: Vec<VolumeId> = volumes
            .iter()
            .filter(|v| !matches!(v.status, VolumeStatus::Available | VolumeStatus::Creating))
            .map(|v| v.id)
            .collect();
        let mut found = Vec::new();
        for some in ids.chunks(AT_ONCE) {
            let query = AttachmentQuery {
                volumes: some.to_vec(),
                ..AttachmentQuery::default()
            };
            found.extend(self.catalog.attachments(&query).await?.items);
        }
        Ok(found)
    }

    /// Shows one attachment.
    pub async fn attachment(
        &self,
        caller: &Caller,
        id: AttachmentId,
    ) -> Result<Attachment, ServiceError> {
        let found = self.visible_attachment(caller, id).await?;
        self.allow(caller, "volume:attachment_get")?;
        Ok(found)
    }

    /// Sets a volume aside for somebody, or gives it to them if they say who they are.
    pub async fn create_attachment(
        &self,
        caller: &Caller,
        volume: VolumeId,
        new: NewAttachment,
    ) -> Result<Attachment, ServiceError> {
        racing(|| async {
            let mut volume = self.visible_volume(caller, volume).await?;
            self.allow(caller, "volume:attachment_create")?;
            if volume.status.as_str().contains("error") {
                // With the blank at its end, as Cinder has it.
                let text = format!(
                    "Volume attachments can not be created if the volume is in an error state. The Volume {} currently has a status of: {} ",
                    volume.id, volume.status
                );
                return Err(volume_refused(&volume, text));
            }
            if volume.status != VolumeStatus::Available {
                return Err(volume_refused(
                    &volume,
                    format!(
                        "Volume {} status must be available or downloading to reserve, but the current status is {}.",
                        volume.id, volume.status
                    ),
                ));
            }
            let given = new.connector.is_some();
            let attachment = self.new_attachment(caller, &volume, new.clone());
            volume.status = if given {
                VolumeStatus::Attaching
            } else {
                VolumeStatus::Reserved
            };
            self.commit_attachment(volume, Change::Insert(Row::Attachment(attachment.clone())))
                .await?;
            Ok(attachment)
        })
        .await
    }

    /// Notes who takes an attachment.
    pub async fn update_attachment(
        &self,
        caller: &Caller,
        id: AttachmentId,
        update: AttachmentUpdate,
    ) -> Result<Attachment, ServiceError> {
        racing(|| async {
            let mut attachment = self.visible_attachment(caller, id).await?;
            self.allow(caller, "volume:attachment_update")?;
            let mut volume = self.visible_volume(caller, attachment.volume_id).await?;
            attachment.host = update
                .connector
                .get("host")
                .cloned()
                .or(attachment.host.take());
            attachment.connector.clone_from(&update.connector);
            if attachment.status == AttachmentStatus::Reserved {
                attachment.status = AttachmentStatus::Attaching;
                volume.status = VolumeStatus::Attaching;
            }
            let change = Change::Save(Row::Attachment(attachment.clone()));
            self.commit_attachment(volume, change).await?;
            Ok(attachment)
        })
        .await
    }

    /// Says that an attachment is in use.
    pub async fn complete_attachment(
        &self,
        caller: &Caller,
        id: AttachmentId,
    ) -> Result<(), ServiceError> {
        racing(|| async {
            let mut attachment = self.visible_attachment(caller, id).await?;
            self.allow(caller, "volume:attachment_complete")?;
            let mut volume = self.visible_volume(caller, attachment.volume_id).await?;
            if attachment.status != AttachmentStatus::Attaching {
                return Err(Refusal::Attachment(format!(
                    "Invalid volume attachment: attachment {id} is {}, not attaching.",
                    attachment.status
                ))
                .into());
            }
            attachment.status = AttachmentStatus::Attached;
            attachment.attached_at = Some(self.now());
            volume.status = VolumeStatus::InUse;
            self.commit_attachment(volume, Change::Save(Row::Attachment(attachment)))
                .await
        })
        .await
    }

    /// Ends an attachment; the volume is free again.
    pub async fn delete_attachment(
        &self,
        caller: &Caller,
        id: AttachmentId,
    ) -> Result<(), ServiceError> {
        racing(|| async {
            let attachment = self.visible_attachment(caller, id).await?;
            self.allow(caller, "volume:attachment_delete")?;
            let volume = self.visible_volume(caller, attachment.volume_id).await?;
            self.end_attachment(volume, attachment).await
        })
        .await
    }

    /// Gives a volume into somebody's hands in one go (`os-attach`).
    pub async fn attach_volume(
        &self,
        caller: &Caller,
        id: VolumeId,
        new: NewAttachment,
    ) -> Result<(), ServiceError> {
        racing(|| async {
            let mut volume = self.visible_volume(caller, id).await?;
            self.allow(caller, "volume_extension:volume_actions:attach")?;
            let known = self.attachment_of(id).await?;
            if let Some(reason) = not_attachable(&volume, known.as_ref(), &new) {
                return Err(reason);
            }
            if volume.status == VolumeStatus::InUse {
                // The same server once more.
                return Ok(());
            }
            let mut attachment = self.new_attachment(caller, &volume, new.clone());
            attachment.status = AttachmentStatus::Attached;
            attachment.attached_at = Some(self.now());
            let change = match known {
                Some(known) => {
                    (attachment.id, attachment.revision) = (known.id, known.revision);
                    Change::Save(Row::Attachment(attachment))
                }
                None => Change::Insert(Row::Attachment(attachment)),
            };
            volume.status = VolumeStatus::InUse;
            self.commit_attachment(volume, change).await
        })
        .await
    }

    /// Takes a volume out of somebody's hands (`os-detach`), by force if its status says otherwise.
    pub async fn detach_volume(
        &self,
        caller: &Caller,
        id: VolumeId,
        force: bool,
    ) -> Result<(), ServiceError> {
        racing(|| async {
            let mut volume = self.visible_volume(caller, id).await?;
            self.allow(
                caller,
                if force {
                    "volume_extension:volume_admin_actions:force_detach"
                } else {
                    "volume_extension:volume_actions:detach"
                },
            )?;
            if volume.status == VolumeStatus::Maintenance {
                let text = "The volume cannot be detached in maintenance mode.".to_owned();
                return Err(volume_refused(&volume, text));
            }
            if let Some(attachment) = self.attachment_of(id).await? {
                return self.end_attachment(volume, attachment).await;
            }
            let held = matches!(
                volume.status,
                VolumeStatus::Available
                    | VolumeStatus::InUse
                    | VolumeStatus::Detaching
                    | VolumeStatus::Attaching
                    | VolumeStatus::Reserved
            );
            if held || force {
                volume.status = VolumeStatus::Available;
                return self.commit(vec![Change::Save(Row::Volume(volume))]).await;
            }
            // Cinder makes it available whatever goes on with it.
            Err(volume_refused(&volume, CANNOT_DETACH.to_owned()))
        })
        .await
    }

    /// Moves a volume between the states that lead to an attachment and away from one.
    pub async fn move_volume(
        &self,
        caller: &Caller,
        id: VolumeId,
        to: Handover,
    ) -> Result<(), ServiceError> {
        racing(|| async {
            let mut volume = self.visible_volume(caller, id).await?;
            self.allow(caller, to.rule())?;
            use VolumeStatus as S;
            let attached = self.attachment_of(id).await?.is_some();
            volume.status = match (to, volume.status) {
                (Handover::Reserve, S::Available) => S::Attaching,
                (Handover::Unreserve, S::Attaching) if attached => S::InUse,
                (Handover::Unreserve, S::Attaching) => S::Available,
                (Handover::BeginDetaching, S::InUse) if attached => S::Detaching,
                (Handover::RollDetaching, S::Detaching) => S::InUse,
                // Nothing to undo.
                (Handover::Unreserve | Handover::RollDetaching, same) => same,
                (Handover::Reserve, other) => {
                    return Err(volume_refused(
                        &volume,
                        format!(
                            "Volume status must be available to reserve, but the status is {other}."
                        ),
                    ));
                }
                (Handover::BeginDetaching, _) => {
                    return Err(volume_refused(&volume, CANNOT_DETACH.to_owned()));
                }
            };
            volume.updated_at = Some(self.now());
            self.commit(vec![Change::Save(Row::Volume(volume))]).await
        })
        .await
    }

    pub(crate) async fn attachment_of(
        &self,
        volume: VolumeId,
    ) -> Result<Option<Attachment>, ServiceError> {
        let query = AttachmentQuery {
            volumes: vec![volume],
            ..AttachmentQuery::default()
        };
        Ok(self.catalog.attachments(&query).await?.items.pop())
    }

    async fn visible_attachment(
        &self,
        caller: &Caller,
        id: AttachmentId,
    ) -> Result<Attachment, ServiceError> {
        let found = self.catalog.attachment(id).await?;
        found
            .filter(|one| caller.sees(&one.project_id))
            .ok_or_else(|| Refusal::NoSuchAttachment(id).into())
    }

    fn new_attachment(&self, caller: &Caller, volume: &Volume, new: NewAttachment) -> Attachment {
        let given = new.connector.is_some();
        let connector = new.connector.unwrap_or_default();
        Attachment {
            id: AttachmentId(Uuid::new_v4()),
            volume_id: volume.id,
            project_id: volume.project_id.clone(),
            user_id: caller.user_id.clone(),
            instance_id: new.instance_id,
            host: new.host.or_else(|| connector.get("host").cloned()),
            mountpoint: new
                .mountpoint
                .or_else(|| connector.get("mountpoint").cloned()),
            mode: new.mode.unwrap_or_else(|| "rw".to_owned()),
            status: if given {
                AttachmentStatus::Attaching
            } else {
                AttachmentStatus::Reserved
            },
            connector,
            attached_at: None,
            created_at: self.now(),
            revision: 0,
        }
    }

    async fn end_attachment(
        &self,
        mut volume: Volume,
        attachment: Attachment,
    ) -> Result<(), ServiceError> {
        use VolumeStatus as S;
        // What else goes on with the volume goes on.
        if matches!(
            volume.status,
            S::InUse | S::Detaching | S::Attaching | S::Reserved
        ) {
            volume.status = S::Available;
        } else if volume.previous_status == Some(S::InUse) {
            volume.previous_status = Some(S::Available);
        }
        let gone = Change::Remove(Key::Attachment(attachment.id), attachment.revision);
        self.commit_attachment(volume, gone).await
    }

    async fn commit_attachment(
        &self,
        mut volume: Volume,
        change: Change,
    ) -> Result<(), ServiceError> {
        volume.updated_at = Some(self.now());
        let changes = vec![Change::Save(Row::Volume(volume)), change];
        match self.catalog.apply(changes).await {
            // Somebody else attaches the same volume.
            Err(CatalogError::Exists { .. }) => Err(ServiceError::Busy),
            other => Ok(other?),
        }
    }
}

/// A step towards an attachment, or back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handover {
    /// Somebody is about to attach it.
    Reserve,
    /// They are not, after all.
    Unreserve,
    /// Somebody is about to detach it.
    BeginDetaching,
    /// They are not, after all.
    RollDetaching,
}

impl Handover {
    fn rule(self) -> &'static str {
        match self {
            Self::Reserve => "volume_extension:volume_actions:reserve",
            Self::Unreserve => "volume_extension:volume_actions:unreserve",
            Self::BeginDetaching => "volume_extension:volume_actions:begin_detaching",
            Self::RollDetaching => "volume_extension:volume_actions:roll_detaching",
        }
    }
}

const CANNOT_DETACH: &str = "Unable to detach volume. Volume status must be 'in-use' and attach_status must be 'attached' to detach.";

/// Says why a volume cannot be given into these hands (`os-attach`), if it cannot.
fn not_attachable(
    volume: &Volume,
    known: Option<&Attachment>,
    new: &NewAttachment,
) -> Option<ServiceError> {
    use VolumeStatus as S;
    let mode = new.mode.as_deref().unwrap_or("rw");
    let reason = match volume.status {
        S::Maintenance => "The volume cannot be attached in maintenance mode.".to_owned(),
        _ if volume.readonly == Some(true) && mode != "ro" => {
            let id = volume.id;
            let text = format!("Invalid attaching mode '{mode}' for volume {id}.");
            return Some(Refusal::Attachment(text).into());
        }
        S::Available | S::Attaching | S::Reserved => return None,
        S::InUse
            if known.is_some_and(|one| {
                one.instance_id.is_some() && one.instance_id == new.instance_id
            }) =>
        {
            return None;
        }
        S::InUse => {
            let text = "Error attaching volume - InvalidVolume: Invalid volume: volume is already attached and multiple attachments are not enabled".to_owned();
            return Some(Refusal::Attachment(text).into());
        }
        other => format!("Volume status must be available to attach, but the status is {other}."),
    };
    Some(volume_refused(volume, reason))
}

fn volume_refused(volume: &Volume, reason: String) -> ServiceError {
    Refusal::Volume {
        id: volume.id,
        reason,
    }
    .into()
}
