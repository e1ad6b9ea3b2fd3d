//! The end of all that a project has stored.

use serde::{Deserialize, Serialize};

/// What was erased, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Erasure {
    /// Whose.
    pub project_id: String,
    /// Backups.
    pub backups: u64,
    /// Objects of the store.
    pub objects: u64,
    /// Bytes they took.
    pub bytes: u64,
    /// It was done, not only counted.
    pub done: bool,
    /// Copies of the store made before can still be opened with the master key that is kept.
    #[serde(default)]
    pub copies_stay_readable: bool,
}
