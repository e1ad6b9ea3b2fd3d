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

    /// Lists what is being served, oldest first.
    pub async fn exports(&self) -> Result<Vec<wire::Export>, SdkError> {
        let page: wire::ExportPage = self
            .connection
            .json(Face::Native, &Call::get(["exports"]))
            .await?;
        Ok(page.exports)
    }

    /// Ends an export; ending it twice is harmless.
    pub async fn end_export(&self, id: &str) -> Result<(), SdkError> {
        let call = Call::new(Method::DELETE, ["exports", id]);
        self.connection.done(Face::Native, &call).await
    }
}
