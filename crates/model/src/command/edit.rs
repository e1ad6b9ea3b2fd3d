//! The change that volumes, snapshots and backups have in common.

use std::collections::BTreeMap;

/// Changes a name, a description and metadata.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edit {
    /// The new name.
    pub name: Option<Option<String>>,
    /// The new description.
    pub description: Option<Option<String>>,
    /// The whole new set of pairs.
    pub metadata: Option<BTreeMap<String, String>>,
}
