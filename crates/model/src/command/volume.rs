//! Commands about volumes and volume types.

use std::collections::BTreeMap;

use crate::{BackupId, Gib, SnapshotId, VolumeId, VolumeStatus};

/// Creates a volume.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewVolume {
    /// Its name.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Its size; may be left out where the source tells it.
    pub size: Option<Gib>,
    /// Name or id of its type; the default type if left out.
    pub volume_type: Option<String>,
    /// Its zone.
    pub availability_zone: Option<String>,
    /// Make it from this snapshot.
    pub snapshot_id: Option<SnapshotId>,
    /// Clone this volume.
    pub source_volume_id: Option<VolumeId>,
    /// Restore this backup to it.
    pub backup_id: Option<BackupId>,
    /// The tenant's own pairs.
    pub metadata: BTreeMap<String, String>,
}

/// Deletes a volume.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeleteVolume {
    /// Its snapshots too.
    pub cascade: bool,
    /// Whatever its status (for administrators).
    pub force: bool,
}

/// Sets a volume's status, for administrators.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ResetVolume {
    /// The new status.
    pub status: Option<VolumeStatus>,
    /// Detach it from everything.
    pub detached: bool,
}

/// Creates a volume type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewType {
    /// Its name, not yet taken.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Every project may use it.
    pub is_public: bool,
    /// The operator's pairs.
    pub extra_specs: BTreeMap<String, String>,
}

/// Changes a volume type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TypeEdit {
    /// The new name.
    pub name: Option<String>,
    /// The new text; `Some(None)` clears it.
    pub description: Option<Option<String>>,
    /// Every project may use it.
    pub is_public: Option<bool>,
}
