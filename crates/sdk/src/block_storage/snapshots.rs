//! Snapshots of volumes (`cinder-backup.md §2.8`).

use emberkeep_wire::cinder::SnapshotAction;

use super::{
    BlockStorage, NewSnapshot, Snapshot, SnapshotChange, SnapshotQuery, SnapshotStatus, only_named,
    there,
};
use crate::connection::Call;
use crate::error::SdkError;
use crate::ids::SnapshotId;
use crate::pages::Pages;
use crate::wait::Wait;

impl BlockStorage {
    /// Lists snapshots, newest first unless said otherwise.
    pub fn snapshots(&self, query: &SnapshotQuery) -> Pages<Snapshot> {
        self.detailed(|call| query.of(call))
    }

    /// Shows one snapshot.
    pub async fn snapshot(&self, id: &SnapshotId) -> Result<Snapshot, SdkError> {
        self.one(Call::get(["snapshots", id.as_str()])).await
    }

    /// Finds a snapshot by its id or its name; none if there is none.
    pub async fn find_snapshot(&self, name_or_id: &str) -> Result<Option<Snapshot>, SdkError> {
        if let Some(found) = there(self.snapshot(&SnapshotId::from(name_or_id)).await)? {
            return Ok(Some(found));
        }
        let query = SnapshotQuery::named(name_or_id);
        let named = self.snapshots(&query).all().await?;
        only_named("snapshot", name_or_id, named, |snapshot| {
            snapshot.name.as_deref()
        })
    }

    /// Takes a snapshot.
    pub async fn create_snapshot(&self, new: &NewSnapshot) -> Result<Snapshot, SdkError> {
        self.one(Call::post(["snapshots"], new)).await
    }

    /// Changes a snapshot's name and text.
    pub async fn update_snapshot(
        &self,
        id: &SnapshotId,
        change: &SnapshotChange,
    ) -> Result<Snapshot, SdkError> {
        let call = Call::put(["snapshots", id.as_str()], change);
        self.one(call).await
    }

    /// Deletes a snapshot.
    pub async fn delete_snapshot(&self, id: &SnapshotId) -> Result<(), SdkError> {
        self.done(Call::delete(["snapshots", id.as_str()])).await
    }

    /// Deletes a snapshot in whatever status; for administrators.
    pub async fn force_delete_snapshot(&self, id: &SnapshotId) -> Result<(), SdkError> {
        self.snapshot_action(id, &SnapshotAction::ForceDelete).await
    }

    /// Sets a snapshot's status by hand; for administrators.
    pub async fn reset_snapshot_status(
        &self,
        id: &SnapshotId,
        status: SnapshotStatus,
    ) -> Result<(), SdkError> {
        self.snapshot_action(id, &SnapshotAction::ResetStatus(status))
            .await
    }

    async fn snapshot_action(
        &self,
        id: &SnapshotId,
        action: &SnapshotAction,
    ) -> Result<(), SdkError> {
        self.done(Call::post(["snapshots", id.as_str(), "action"], action))
            .await
    }

    /// Waits until a snapshot can be used.
    pub async fn wait_for_snapshot(
        &self,
        id: &SnapshotId,
        wait: Wait,
    ) -> Result<Snapshot, SdkError> {
        wait.until_status(&["available"], async || self.snapshot(id).await)
            .await
    }

    /// Waits until a snapshot is gone.
    pub async fn wait_for_snapshot_gone(
        &self,
        id: &SnapshotId,
        wait: Wait,
    ) -> Result<(), SdkError> {
        wait.until_gone(async || self.snapshot(id).await).await
    }
}
