//! What only Emberkeep has: progress of tasks, what backups cost, images in and out, sweeps.

mod backups;
mod exports;
mod policies;
mod servers;
mod stream;

use std::path::PathBuf;

use emberkeep_wire::native as wire;
use reqwest::Method;

use crate::connection::{Call, Connection, Face};
use crate::error::SdkError;
use crate::ids::{BackupId, CheckpointId, TaskId, VaultId, VolumeId};

pub use servers::{FileSystem, NewFileSystem, NewServer, Server, ServerDisk, ServerVolumes};
pub use stream::{VolumeExport, VolumeImport};

/// Which tasks to list; what is none does not matter.
#[derive(Debug, Clone, Default)]
pub struct TaskFilter {
    /// Those in this status.
    pub status: Option<String>,
    /// Those about this volume.
    pub volume_id: Option<VolumeId>,
    /// Those about this backup.
    pub backup_id: Option<BackupId>,
    /// Those about this vault.
    pub vault_id: Option<VaultId>,
    /// Those of this run.
    pub checkpoint_id: Option<CheckpointId>,
    /// So many at most, the newest; the service's own limit if none.
    pub limit: Option<usize>,
}

/// A volume to be made from an image.
#[derive(Debug, Clone)]
pub struct NewImport {
    /// Its name.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// The exact size of the image; the volume is rounded up to whole GiB.
    pub size_bytes: u64,
}

/// The native API of a connection.
#[derive(Debug, Clone)]
pub struct Native {
    connection: Connection,
}

impl Native {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// Lists the project's tasks, newest first.
    pub async fn tasks(&self, filter: &TaskFilter) -> Result<Vec<wire::Task>, SdkError> {
        let call = Call::get(["tasks"])
            .query("status", filter.status.as_ref())
            .query("volume_id", filter.volume_id.as_ref())
            .query("backup_id", filter.backup_id.as_ref())
            .query("vault_id", filter.vault_id.as_ref())
            .query("checkpoint_id", filter.checkpoint_id.as_ref())
            .query("limit", filter.limit);
        Ok(self
            .connection
            .json::<wire::TaskPage>(Face::Native, &call)
            .await?
            .tasks)
    }

    /// Shows one task.
    pub async fn task(&self, id: &TaskId) -> Result<wire::Task, SdkError> {
        self.connection
            .json(Face::Native, &Call::get(["tasks", id.as_str()]))
            .await
    }

    /// Asks a task to stop.
    pub async fn cancel_task(&self, id: &TaskId) -> Result<(), SdkError> {
        let path = ["tasks", id.as_str(), "cancel"];
        self.connection
            .done(Face::Native, &Call::new(Method::POST, path))
            .await
    }

    /// Begins a sweep of the project: frees what no backup needs any more.
    pub async fn sweep(&self) -> Result<TaskId, SdkError> {
        let call = Call::new(Method::POST, ["sweep"]);
        let begun: wire::TaskBegun = self.connection.json(Face::Native, &call).await?;
        Ok(TaskId(begun.task_id.to_string()))
    }

    /// Lists the newest backups of a vault or volume with what they cost.
    pub async fn backups(
        &self,
        vault: Option<&VaultId>,
        volume: Option<&VolumeId>,
    ) -> Result<Vec<wire::Backup>, SdkError> {
        let call = Call::get(["backups"])
            .query("vault_id", vault)
            .query("volume_id", volume);
        Ok(self
            .connection
            .json::<wire::BackupPage>(Face::Native, &call)
            .await?
            .backups)
    }

    /// Shows one backup with what it cost, and what of it is damaged.
    pub async fn backup(&self, id: &BackupId) -> Result<wire::Backup, SdkError> {
        self.connection
            .json(Face::Native, &Call::get(["backups", id.as_str()]))
            .await
    }

    /// Lists the service's background workers, for administrators.
    pub async fn workers(&self) -> Result<Vec<wire::Worker>, SdkError> {
        Ok(self
            .connection
            .json::<wire::WorkerList>(Face::Native, &Call::get(["workers"]))
            .await?
            .workers)
    }

    /// Tells where a volume's bytes lie on the service's host, if it is kept in a file.
    pub async fn volume_path(&self, id: &VolumeId) -> Result<Option<PathBuf>, SdkError> {
        let path = ["volumes", id.as_str(), "path"];
        let place: wire::VolumePath = self.connection.json(Face::Native, &Call::get(path)).await?;
        Ok(place.path.map(PathBuf::from))
    }

    /// Begins to make a volume from an image; the bytes follow through the answer.
    pub fn import_volume(&self, new: NewImport) -> VolumeImport {
        VolumeImport::begin(self.connection.clone(), new)
    }

    /// Begins to read a volume: its data, without its holes.
    pub async fn export_volume(&self, id: &VolumeId) -> Result<VolumeExport, SdkError> {
        let path = ["volumes", id.as_str(), "data"];
        let response = self.connection.send(Face::Native, &Call::get(path)).await?;
        VolumeExport::begin(response).await
    }
}
