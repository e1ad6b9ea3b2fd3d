//! Backups of volumes (`cinder-backup.md §2.3`).

use emberkeep_wire::cinder::ask::BackupRestore;
use emberkeep_wire::cinder::{BackupAction, Counted};

use super::{
    Backup, BackupChange, BackupQuery, BackupRecord, BackupSummary, BlockStorage, NewBackup,
    RestoreStarted, Settled, only_named, there,
};
use crate::connection::Call;
use crate::error::SdkError;
use crate::ids::{BackupId, VolumeId};
use crate::pages::Pages;
use crate::version::Microversion;
use crate::wait::Wait;

/// Where a backup is restored to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestoreTo {
    /// A volume that exists; what it holds is lost.
    Volume(VolumeId),
    /// A new volume, of this name if there is one.
    NewVolume(Option<String>),
}

impl BlockStorage {
    /// Lists backups, newest first unless said otherwise.
    pub fn backups(&self, query: &BackupQuery) -> Pages<Backup> {
        self.detailed(|call| query.of(call))
    }

    /// Counts backups, however many there are; since 3.45.
    pub async fn count_backups(&self, query: &BackupQuery) -> Result<u64, SdkError> {
        self.needs("counting backups", Microversion::v3(45)).await?;
        let call = query
            .of(Call::get(["backups"]))
            .query("with_count", Some(true))
            .query("limit", Some(1));
        let counted: Counted = self.whole(call).await?;
        Ok(counted.count)
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
        let named = self.backups(&BackupQuery::named(name_or_id)).all().await?;
        only_named("backup", name_or_id, named, |backup| backup.name.as_deref())
    }

    /// Begins a backup and returns its id.
    pub async fn create_backup(&self, new: &NewBackup) -> Result<BackupId, SdkError> {
        if !new.metadata.is_empty() {
            self.needs("metadata of backups", Microversion::v3(43))
                .await?;
        }
        if new.availability_zone.is_some() {
            self.needs("the zone of a backup", Microversion::v3(51))
                .await?;
        }
        let call = Call::post(["backups"], new);
        self.one::<BackupSummary>(call)
            .await
            .map(|begun| begun.id.into())
    }

    /// Changes a backup's name, text or pairs; since 3.9.
    pub async fn update_backup(
        &self,
        id: &BackupId,
        change: &BackupChange,
    ) -> Result<(), SdkError> {
        self.needs("changing a backup", Microversion::v3(9)).await?;
        if change.metadata.is_some() {
            self.needs("metadata of backups", Microversion::v3(43))
                .await?;
        }
        let call = Call::put(["backups", id.as_str()], change);
        self.done(call).await
    }

    /// Begins a restore.
    pub async fn restore_backup(
        &self,
        id: &BackupId,
        to: &RestoreTo,
    ) -> Result<RestoreStarted, SdkError> {
        let body = match to {
            RestoreTo::Volume(volume) => BackupRestore {
                volume_id: Some(volume.clone()),
                name: None,
            },
            RestoreTo::NewVolume(name) => BackupRestore {
                volume_id: None,
                name: name.clone(),
            },
        };
        let path = ["backups", id.as_str(), "restore"];
        self.one(Call::post(path, &body)).await
    }

    /// Begins the deletion of a backup.
    pub async fn delete_backup(&self, id: &BackupId) -> Result<(), SdkError> {
        self.done(Call::delete(["backups", id.as_str()])).await
    }

    /// Deletes a backup in whatever status; for administrators.
    pub async fn force_delete_backup(&self, id: &BackupId) -> Result<(), SdkError> {
        self.backup_action(id, BackupAction::ForceDelete).await
    }

    /// Sets a backup's status by hand, to `available` or `error`; for administrators.
    pub async fn reset_backup_status(
        &self,
        id: &BackupId,
        status: Settled,
    ) -> Result<(), SdkError> {
        self.backup_action(id, BackupAction::ResetStatus(status))
            .await
    }

    async fn backup_action(&self, id: &BackupId, action: BackupAction) -> Result<(), SdkError> {
        self.done(Call::post(["backups", id.as_str(), "action"], &action))
            .await
    }

    /// Returns what another cloud needs to know this backup; for administrators.
    pub async fn export_backup(&self, id: &BackupId) -> Result<BackupRecord, SdkError> {
        self.one(Call::get(["backups", id.as_str(), "export_record"]))
            .await
    }

    /// Takes in a backup of another cloud whose storage can be reached from this one; for
    /// administrators. Returns its id here.
    pub async fn import_backup(&self, record: &BackupRecord) -> Result<BackupId, SdkError> {
        let call = Call::post(["backups", "import_record"], record);
        self.one::<BackupSummary>(call)
            .await
            .map(|begun| begun.id.into())
    }

    /// Waits until a backup can be used.
    pub async fn wait_for_backup(&self, id: &BackupId, wait: Wait) -> Result<Backup, SdkError> {
        wait.until_status(&["available"], async || self.backup(id).await)
            .await
    }

    /// Waits until a backup is gone.
    pub async fn wait_for_backup_gone(&self, id: &BackupId, wait: Wait) -> Result<(), SdkError> {
        wait.until_gone(async || self.backup(id).await).await
    }
}
