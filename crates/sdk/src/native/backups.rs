//! Backups that come from elsewhere and go elsewhere.

use emberkeep_wire::native as wire;
use reqwest::Method;

use super::{Native, VolumeExport};
use crate::connection::{Call, Face};
use crate::error::SdkError;
use crate::ids::{BackupId, TaskId};

impl Native {
    /// Begins to copy a backup that Cinder wrote, and those it builds on, into the repository.
    /// Returns a task for each, the oldest backup's first.
    pub async fn adopt_backup(&self, id: &BackupId) -> Result<Vec<TaskId>, SdkError> {
        let call = Call::new(Method::POST, ["backups", id.as_str(), "adopt"]);
        let begun: wire::AdoptBegun = self.connection.json(Face::Native, &call).await?;
        let tasks = begun.task_ids.iter();
        Ok(tasks.map(|id| TaskId(id.to_string())).collect())
    }

    /// Tells what another service has to know to take a backup up.
    pub async fn backup_origin(&self, id: &BackupId) -> Result<wire::BackupOrigin, SdkError> {
        let call = Call::get(["backups", id.as_str(), "origin"]);
        self.connection.json(Face::Native, &call).await
    }

    /// Begins to read a backup: its data in any order, without its holes.
    pub async fn read_backup(&self, id: &BackupId) -> Result<VolumeExport, SdkError> {
        let path = ["backups", id.as_str(), "data"];
        let response = self.connection.send(Face::Native, &Call::get(path)).await?;
        VolumeExport::scattered(response).await
    }
}
