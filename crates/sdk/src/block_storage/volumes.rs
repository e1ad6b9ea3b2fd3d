//! Volumes, their types and their zones (`cinder-backup.md §2.8`).

use std::collections::BTreeMap;

use emberkeep_model::Gib;
use emberkeep_wire::cinder::AvailabilityZone;
use serde_json::{Value, json};

use super::{
    BlockStorage, NewVolume, Volume, VolumeChange, VolumeQuery, VolumeType, only_named, there,
};
use crate::connection::Call;
use crate::error::SdkError;
use crate::ids::VolumeId;
use crate::pages::Pages;
use crate::version::Microversion;
use crate::wait::Wait;

impl BlockStorage {
    /// Lists volumes, newest first unless said otherwise.
    pub fn volumes(&self, query: &VolumeQuery) -> Pages<Volume> {
        self.detailed("volumes", |call| query.of(call))
    }

    /// Shows one volume.
    pub async fn volume(&self, id: &VolumeId) -> Result<Volume, SdkError> {
        self.one("volume", Call::get(["volumes", id.as_str()]))
            .await
    }

    /// Finds a volume by its id or its name; none if there is none.
    pub async fn find_volume(&self, name_or_id: &str) -> Result<Option<Volume>, SdkError> {
        if let Some(found) = there(self.volume(&VolumeId::from(name_or_id)).await)? {
            return Ok(Some(found));
        }
        let named = self.volumes(&VolumeQuery::named(name_or_id)).all().await?;
        only_named("volume", name_or_id, named, |volume| volume.name.as_deref())
    }

    /// Makes a volume.
    pub async fn create_volume(&self, new: &NewVolume) -> Result<Volume, SdkError> {
        if new.backup_id.is_some() {
            self.needs("making a volume from a backup", Microversion::v3(47))
                .await?;
        }
        self.one("volume", Call::post(["volumes"], json!({"volume": new})))
            .await
    }

    /// Changes a volume.
    pub async fn update_volume(
        &self,
        id: &VolumeId,
        change: &VolumeChange,
    ) -> Result<Volume, SdkError> {
        let call = Call::put(["volumes", id.as_str()], json!({"volume": change}));
        self.one("volume", call).await
    }

    /// Makes a volume larger; while it is in use, since 3.42.
    pub async fn extend_volume(&self, id: &VolumeId, size: Gib) -> Result<(), SdkError> {
        self.volume_action(id, json!({"os-extend": {"new_size": size}}))
            .await
    }

    /// Deletes a volume that has no snapshots.
    pub async fn delete_volume(&self, id: &VolumeId) -> Result<(), SdkError> {
        self.done(Call::delete(["volumes", id.as_str()])).await
    }

    /// Deletes a volume with its snapshots.
    pub async fn delete_volume_with_snapshots(&self, id: &VolumeId) -> Result<(), SdkError> {
        let call = Call::delete(["volumes", id.as_str()]).query("cascade", Some(true));
        self.done(call).await
    }

    /// Deletes a volume in whatever status; for administrators.
    pub async fn force_delete_volume(&self, id: &VolumeId) -> Result<(), SdkError> {
        self.volume_action(id, json!({"os-force_delete": {}})).await
    }

    /// Sets a volume's status by hand; for administrators.
    pub async fn reset_volume_status(&self, id: &VolumeId, status: &str) -> Result<(), SdkError> {
        self.volume_action(id, json!({"os-reset_status": {"status": status}}))
            .await
    }

    /// Marks whether a system can start from a volume.
    pub async fn set_volume_bootable(&self, id: &VolumeId, yes: bool) -> Result<(), SdkError> {
        self.volume_action(id, json!({"os-set_bootable": {"bootable": yes}}))
            .await
    }

    async fn volume_action(&self, id: &VolumeId, body: Value) -> Result<(), SdkError> {
        self.done(Call::post(["volumes", id.as_str(), "action"], body))
            .await
    }

    /// Returns a volume's own pairs.
    pub async fn volume_metadata(
        &self,
        id: &VolumeId,
    ) -> Result<BTreeMap<String, String>, SdkError> {
        self.one("metadata", Call::get(["volumes", id.as_str(), "metadata"]))
            .await
    }

    /// Adds pairs to a volume, or changes their values; returns all of them.
    pub async fn set_volume_metadata(
        &self,
        id: &VolumeId,
        pairs: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, SdkError> {
        let path = ["volumes", id.as_str(), "metadata"];
        self.one("metadata", Call::post(path, json!({"metadata": pairs})))
            .await
    }

    /// Takes one pair off a volume.
    pub async fn delete_volume_metadata(&self, id: &VolumeId, key: &str) -> Result<(), SdkError> {
        self.done(Call::delete(["volumes", id.as_str(), "metadata", key]))
            .await
    }

    /// Waits until a volume is in `status`, mostly `available`.
    pub async fn wait_for_volume(
        &self,
        id: &VolumeId,
        status: &str,
        wait: Wait,
    ) -> Result<Volume, SdkError> {
        wait.until_status(&[status], async || self.volume(id).await)
            .await
    }

    /// Waits until a volume is gone.
    pub async fn wait_for_volume_gone(&self, id: &VolumeId, wait: Wait) -> Result<(), SdkError> {
        wait.until_gone(async || self.volume(id).await).await
    }

    /// Lists the types that volumes can have.
    pub async fn volume_types(&self) -> Result<Vec<VolumeType>, SdkError> {
        self.one("volume_types", Call::get(["types"])).await
    }

    /// Shows one type; `default` names the one that is taken unasked.
    pub async fn volume_type(&self, id: &str) -> Result<VolumeType, SdkError> {
        self.one("volume_type", Call::get(["types", id])).await
    }

    /// Lists the zones.
    pub async fn availability_zones(&self) -> Result<Vec<AvailabilityZone>, SdkError> {
        self.one("availabilityZoneInfo", Call::get(["os-availability-zone"]))
            .await
    }
}
