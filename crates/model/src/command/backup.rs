//! Commands about backups.

use std::collections::BTreeMap;

use crate::{BackupId, ResourceId, ServerId, SnapshotId, VolumeId};

/// Creates a backup of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBackup {
    /// Of which volume.
    pub volume_id: VolumeId,
    /// From this snapshot of it.
    pub snapshot_id: Option<SnapshotId>,
    /// Its name.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Kept as given; if it names a vault of the project, the backup goes into that vault.
    pub container: Option<String>,
    /// Its zone.
    pub availability_zone: Option<String>,
    /// Start from the newest backup's map, and refuse if there is none.
    pub incremental: bool,
    /// Also of a volume in use.
    pub force: bool,
    /// The tenant's own pairs.
    pub metadata: BTreeMap<String, String>,
}

/// Restores a backup to a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestoreTo {
    /// To a new volume.
    New {
        /// Its name; `restore_backup_<id>` if left out.
        name: Option<String>,
    },
    /// To an existing volume, whose content is lost.
    Existing(VolumeId),
}

/// Restores a backup of a vault to a volume or a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CbrRestore {
    /// The volume, if one was named.
    pub volume_id: Option<VolumeId>,
    /// The server, if one was named.
    pub server_id: Option<ServerId>,
    /// What was named without saying of which kind it is.
    pub resource_id: Option<ResourceId>,
    /// Which backup of a server's volume goes to which volume; to those they are of, if empty.
    pub mappings: Vec<(BackupId, VolumeId)>,
}

/// A backup's record, by which another service can import it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupRecord {
    /// The class path of the driver that wrote the backup.
    pub service: String,
    /// The record itself, encoded.
    pub url: String,
}
