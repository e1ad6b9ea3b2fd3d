//! Backups in vaults (`cbr-v3.md §2.4`).

use emberkeep_wire::cbr::RestoreBegun;
use emberkeep_wire::cbr::ask::Rename;

use super::{
    Backup, BackupMetadata, BackupQuery, Cbr, NewReplication, Replication, RestoreTarget,
    only_named, there,
};
use crate::connection::Call;
use crate::error::SdkError;
use crate::ids::{BackupId, TaskId};
use crate::pages::{Pages, Turning};
use crate::wait::Wait;

impl Cbr {
    /// Lists backups in vaults, newest first unless said otherwise.
    pub fn backups(&self, query: &BackupQuery) -> Pages<Backup> {
        self.pages(Turning::Offset, query.of(Call::get(["backups"])))
    }

    /// Shows one backup.
    pub async fn backup(&self, id: &BackupId) -> Result<Backup, SdkError> {
        self.one(Call::get(["backups", id.as_str()])).await
    }

    /// Finds a backup by its id or its name; none if there is none.
    pub async fn find_backup(&self, name_or_id: &str) -> Result<Option<Backup>, SdkError> {
        if let Some(found) = there(self.backup(&BackupId::from(name_or_id)).await)? {
            return Ok(Some(found));
        }
        let query = BackupQuery {
            name: Some(name_or_id.to_owned()),
            ..BackupQuery::default()
        };
        let named = self.backups(&query).all().await?;
        only_named("backup", name_or_id, named, |backup| &backup.name)
    }

    /// Gives a backup another name (Huawei).
    pub async fn rename_backup(&self, id: &BackupId, name: &str) -> Result<Backup, SdkError> {
        let name = name.to_owned();
        self.one(Call::put(["backups", id.as_str()], &Rename { name }))
            .await
    }

    /// Waits until a backup is complete, or can be used again after a restore.
    pub async fn wait_for_backup(&self, id: &BackupId, wait: Wait) -> Result<Backup, SdkError> {
        wait.until_status(&["available"], async || self.backup(id).await)
            .await
    }

    /// Begins a restore; returns the task where the service names it.
    pub async fn restore_backup(
        &self,
        id: &BackupId,
        target: &RestoreTarget,
    ) -> Result<Option<TaskId>, SdkError> {
        let path = ["backups", id.as_str(), "restore"];
        // One of the clouds answers with no body at all (`cbr-v3.md §2.4`).
        let begun: RestoreBegun = self.if_any(Call::post(path, target)).await?;
        Ok(begun.job_id)
    }

    /// Begins the deletion of a backup.
    pub async fn delete_backup(&self, id: &BackupId) -> Result<(), SdkError> {
        self.done(Call::delete(["backups", id.as_str()])).await
    }

    /// Waits until a backup is gone.
    pub async fn wait_for_backup_gone(&self, id: &BackupId, wait: Wait) -> Result<(), SdkError> {
        wait.until_gone(async || self.backup(id).await).await
    }

    /// Returns what is kept of the server that a backup is of: its flavour, addresses, disks.
    pub async fn backup_metadata(&self, id: &BackupId) -> Result<BackupMetadata, SdkError> {
        self.whole(Call::get(["backups", id.as_str(), "metadata"]))
            .await
    }

    /// Copies a server's backup to another region; returns what the service says of it.
    pub async fn replicate_backup(
        &self,
        id: &BackupId,
        to: &NewReplication,
    ) -> Result<Replication, SdkError> {
        let path = ["backups", id.as_str(), "replicate"];
        self.one(Call::post(path, to)).await
    }
}
