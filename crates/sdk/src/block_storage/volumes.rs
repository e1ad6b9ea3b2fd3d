//! Volumes (`cinder-backup.md §2.8`); what is done to single ones stands in `actions.rs`.

use super::{BlockStorage, NewVolume, Volume, VolumeChange, VolumeQuery, only_named, there};
use crate::connection::Call;
use crate::error::SdkError;
use crate::ids::VolumeId;
use crate::pages::Pages;
use crate::version::Microversion;
use crate::wait::Wait;

impl BlockStorage {
    /// Lists volumes, newest first unless said otherwise.
    pub fn volumes(&self, query: &VolumeQuery) -> Pages<Volume> {
        self.detailed(|call| query.of(call))
    }

    /// Shows one volume.
    pub async fn volume(&self, id: &VolumeId) -> Result<Volume, SdkError> {
        self.one(Call::get(["volumes", id.as_str()])).await
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
        self.one(Call::post(["volumes"], new)).await
    }

    /// Changes a volume.
    pub async fn update_volume(
        &self,
        id: &VolumeId,
        change: &VolumeChange,
    ) -> Result<Volume, SdkError> {
        let call = Call::put(["volumes", id.as_str()], change);
        self.one(call).await
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
}
