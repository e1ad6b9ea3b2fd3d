//! Commands about snapshots.

use std::collections::BTreeMap;

use crate::VolumeId;

/// Creates a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSnapshot {
    /// Of which volume.
    pub volume_id: VolumeId,
    /// Its name.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Also of a volume in use.
    pub force: bool,
    /// The tenant's own pairs.
    pub metadata: BTreeMap<String, String>,
}
