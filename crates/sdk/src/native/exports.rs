//! Backups served as volumes over NBD.

use emberkeep_wire::native as wire;
use reqwest::Method;

use super::Native;
use crate::connection::{Call, Face};
use crate::error::SdkError;
use crate::ids::BackupId;

impl Native {
    /// Begins to serve a backup. What is written to a writable one is gone with the export.
    pub async fn begin_export(
        &self,
        backup: &BackupId,
        writable: bool,
    ) -> Result<wire::Export, SdkError> {
        let call = Call::new(Method::POST, ["exports"])
            .query("backup_id", Some(backup))
            .query("writable", Some(writable));
        self.connection.json(Face::Native, &call).await
    }

    /// Begins an instant restore: a volume that can be used at once, takes writes that stay, and
    /// is filled with the backup's bytes meanwhile. It outlives the service's process.
    pub async fn begin_instant_restore(&self, backup: &BackupId) -> Result<wire::Export, SdkError> {
        let call = Call::new(Method::POST, ["exports"])
            .query("backup_id", Some(backup))
            .query("instant", Some(true));
        self.connection.json(Face::Native, &call).await
    }

    /// Lists what is being served, oldest first.
    pub async fn exports(&self) -> Result<Vec<wire::Export>, SdkError> {
        let page: wire::ExportPage = self
            .connection
            .json(Face::Native, &Call::get(["exports"]))
            .await?;
        Ok(page.exports)
    }

    /// Erases all that a project has stored, for ever; for administrators. Without `confirm`,
    /// which is the project's id once more, it is counted only.
    pub async fn erase_project(
        &self,
        project: &str,
        confirm: Option<&str>,
    ) -> Result<wire::Erasure, SdkError> {
        let call = Call::new(Method::POST, ["erase"])
            .query("project_id", Some(project))
            .query("confirm", confirm);
        self.connection.json(Face::Native, &call).await
    }

    /// Ends an export; ending it twice is harmless.
    pub async fn end_export(&self, id: &str) -> Result<(), SdkError> {
        let call = Call::new(Method::DELETE, ["exports", id]);
        self.connection.done(Face::Native, &call).await
    }
}
