//! Checkpoints: one run over a vault, one backup for each resource.

use serde::{Deserialize, Serialize};

use crate::words::words;
use crate::{
    CheckpointId, Gib, ObjectType, ProjectId, ResourceId, Timestamp, UserId, VaultId, VolumeChoice,
};

words! {
    /// Where a checkpoint stands (`cbr-v3.md §1.3`).
    CheckpointStatus as "checkpoint status" {
        /// Backups are being made.
        Protecting = "protecting",
        /// Every backup of the run is available.
        Available = "available",
        /// At least one of them failed.
        Error = "error",
        /// Its last backups go.
        Deleting = "deleting",
        /// Its last backup is gone.
        Deleted = "deleted",
    }
}

/// A resource that took part in a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointResource {
    /// The volume, server or file system.
    #[serde(alias = "volume_id")]
    pub resource_id: ResourceId,
    /// Its name at that instant.
    pub name: Option<String>,
    /// Its size.
    pub size: Gib,
    /// Which volumes of a server took part.
    #[serde(default)]
    pub choice: VolumeChoice,
}

/// Why a resource was left out of a run (`cbr-v3.md §2.3`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SkipReason {
    /// A backup of it is running.
    BackupRunning,
    /// It is being restored.
    Restoring,
    /// It is being removed from the vault.
    Removing,
    /// The volume is neither available nor in use.
    VolumeStatus,
    /// The volume is gone.
    VolumeGone,
    /// A volume of the server is in a state that forbids a backup.
    ServerStatus,
    /// The server is gone.
    ServerGone,
    /// The server has no volume, or none that is not left out.
    NoVolumes,
    /// The file system is gone.
    FileSystemGone,
}

impl SkipReason {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::BackupRunning,
        Self::Restoring,
        Self::Removing,
        Self::VolumeStatus,
        Self::VolumeGone,
        Self::ServerStatus,
        Self::ServerGone,
        Self::NoVolumes,
        Self::FileSystemGone,
    ];

    /// Says to people why a resource of this kind was left out.
    pub fn sentence(self, kind: ObjectType) -> &'static str {
        use ObjectType::{Disk, Server, Turbo};
        match (self, kind) {
            (Self::BackupRunning, Disk) => "A backup of this disk is running.",
            (Self::BackupRunning, Server) => "A backup of this server is running.",
            (Self::BackupRunning, Turbo) => "A backup of this file system is running.",
            (Self::Restoring, Disk) => "This disk is being restored.",
            (Self::Restoring, Server) => "This server is being restored.",
            (Self::Restoring, Turbo) => "This file system is being restored.",
            (Self::Removing, Disk) => "This disk is being removed from the vault.",
            (Self::Removing, Server) => "This server is being removed from the vault.",
            (Self::Removing, Turbo) => "This file system is being removed from the vault.",
            (Self::VolumeStatus, _) => "The disk is neither available nor in use.",
            (Self::VolumeGone, _) => "The disk does not exist any more.",
            (Self::ServerStatus, _) => "A disk of the server is neither available nor in use.",
            (Self::ServerGone, _) => "The server does not exist any more.",
            (Self::NoVolumes, _) => "The server has no disk that is to be backed up.",
            (Self::FileSystemGone, _) => "The file system does not exist any more.",
        }
    }
}

/// A resource that was left out of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedResource {
    /// The volume, server or file system.
    #[serde(alias = "volume_id")]
    pub resource_id: ResourceId,
    /// Its name.
    pub name: Option<String>,
    /// Why.
    pub reason: SkipReason,
}

/// One run over a vault.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Its id.
    pub id: CheckpointId,
    /// Whose it is.
    pub project_id: ProjectId,
    /// Who asked for it.
    pub user_id: UserId,
    /// The vault.
    pub vault_id: VaultId,
    /// The base name of its backups.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Made by a schedule.
    pub automatic: bool,
    /// Days to keep, if limited.
    pub retention_days: Option<u32>,
    /// Where it stands.
    pub status: CheckpointStatus,
    /// What took part.
    pub resources: Vec<CheckpointResource>,
    /// What was left out.
    pub skipped: Vec<SkippedResource>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When its row last changed.
    pub updated_at: Option<Timestamp>,
    /// See [`crate::Volume::revision`].
    pub revision: u64,
}
