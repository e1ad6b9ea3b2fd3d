//! What is done to single volumes (`cinder-backup.md §2.8`).

use std::collections::BTreeMap;

use emberkeep_model::Gib;
use emberkeep_wire::cinder::{MetadataBody, VolumeAction};

use super::{BlockStorage, ConnectionInfo, VolumeStatus, VolumeSummary};
use crate::connection::Call;
use crate::error::SdkError;
use crate::ids::VolumeId;
use crate::version::Microversion;

impl BlockStorage {
    /// Returns how much there is of volumes; of every project, for administrators; since 3.12.
    pub async fn volume_summary(&self, all_projects: bool) -> Result<VolumeSummary, SdkError> {
        self.needs("summaries of volumes", Microversion::v3(12))
            .await?;
        let call =
            Call::get(["volumes", "summary"]).query("all_tenants", all_projects.then_some(true));
        self.one(call).await
    }

    /// Makes a volume larger; while it is in use, since 3.42.
    pub async fn extend_volume(&self, id: &VolumeId, size: Gib) -> Result<(), SdkError> {
        self.volume_action(id, &VolumeAction::Extend(size)).await
    }

    /// Deletes a volume in whatever status; for administrators.
    pub async fn force_delete_volume(&self, id: &VolumeId) -> Result<(), SdkError> {
        self.volume_action(id, &VolumeAction::ForceDelete).await
    }

    /// Sets a volume's status by hand; for administrators.
    pub async fn reset_volume_status(
        &self,
        id: &VolumeId,
        status: VolumeStatus,
    ) -> Result<(), SdkError> {
        let reset = VolumeAction::ResetStatus {
            status: Some(status),
            detached: false,
        };
        self.volume_action(id, &reset).await
    }

    /// Marks whether a system can start from a volume.
    pub async fn set_volume_bootable(&self, id: &VolumeId, yes: bool) -> Result<(), SdkError> {
        self.volume_action(id, &VolumeAction::SetBootable(yes))
            .await
    }

    /// Says whether a volume may only be read.
    pub async fn set_volume_readonly(&self, id: &VolumeId, yes: bool) -> Result<(), SdkError> {
        self.volume_action(id, &VolumeAction::SetReadonly(yes))
            .await
    }

    /// Returns what is known of the image on a volume.
    pub async fn image_metadata(
        &self,
        id: &VolumeId,
    ) -> Result<BTreeMap<String, String>, SdkError> {
        let path = ["volumes", id.as_str(), "action"];
        let call = Call::post(path, &VolumeAction::ShowImageMetadata);
        let all: MetadataBody = self.whole(call).await?;
        Ok(all.metadata)
    }

    /// Adds to what is known of the image on a volume.
    pub async fn set_image_metadata(
        &self,
        id: &VolumeId,
        pairs: &BTreeMap<String, String>,
    ) -> Result<(), SdkError> {
        self.volume_action(id, &VolumeAction::SetImageMetadata(pairs.clone()))
            .await
    }

    /// Forgets one thing that is known of the image on a volume.
    pub async fn delete_image_metadata(&self, id: &VolumeId, key: &str) -> Result<(), SdkError> {
        self.volume_action(id, &VolumeAction::UnsetImageMetadata(key.to_owned()))
            .await
    }

    /// Sets a volume aside for an attachment.
    pub async fn reserve_volume(&self, id: &VolumeId) -> Result<(), SdkError> {
        self.volume_action(id, &VolumeAction::Reserve).await
    }

    /// Gives up a reservation.
    pub async fn unreserve_volume(&self, id: &VolumeId) -> Result<(), SdkError> {
        self.volume_action(id, &VolumeAction::Unreserve).await
    }

    /// Notes that a volume is attached to a server, as `device` there.
    pub async fn attach_volume(
        &self,
        id: &VolumeId,
        instance: &str,
        device: &str,
    ) -> Result<(), SdkError> {
        let attach = VolumeAction::Attach {
            instance_id: Some(instance.to_owned()),
            host: None,
            mountpoint: Some(device.to_owned()),
            mode: Some("rw".to_owned()),
        };
        self.volume_action(id, &attach).await
    }

    /// Notes that a volume is about to be detached.
    pub async fn begin_detaching_volume(&self, id: &VolumeId) -> Result<(), SdkError> {
        self.volume_action(id, &VolumeAction::BeginDetaching).await
    }

    /// Notes that a volume stays attached after all.
    pub async fn roll_detaching_volume(&self, id: &VolumeId) -> Result<(), SdkError> {
        self.volume_action(id, &VolumeAction::RollDetaching).await
    }

    /// Notes that a volume is no longer attached; one attachment of it, if one is named.
    pub async fn detach_volume(
        &self,
        id: &VolumeId,
        attachment: Option<&str>,
    ) -> Result<(), SdkError> {
        let detach = VolumeAction::Detach {
            attachment_id: attachment.map(str::to_owned),
        };
        self.volume_action(id, &detach).await
    }

    /// Asks how a host reaches a volume; what is answered is the back end's own.
    pub async fn initialize_connection(
        &self,
        id: &VolumeId,
        connector: &BTreeMap<String, String>,
    ) -> Result<ConnectionInfo, SdkError> {
        let path = ["volumes", id.as_str(), "action"];
        let begin = VolumeAction::InitializeConnection(connector.clone());
        self.one(Call::post(path, &begin)).await
    }

    /// Says that a host no longer needs a volume.
    pub async fn terminate_connection(
        &self,
        id: &VolumeId,
        connector: &BTreeMap<String, String>,
    ) -> Result<(), SdkError> {
        let end = VolumeAction::TerminateConnection(connector.clone());
        self.volume_action(id, &end).await
    }

    async fn volume_action(&self, id: &VolumeId, action: &VolumeAction) -> Result<(), SdkError> {
        self.done(Call::post(["volumes", id.as_str(), "action"], action))
            .await
    }
}
