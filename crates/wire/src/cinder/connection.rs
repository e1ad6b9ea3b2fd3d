//! How a host reaches a volume (`cinder-backup.md §2.8`).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::lenient;

/// How a host reaches a volume; what is in it is the back end's own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct ConnectionInfo {
    /// What the host's own driver needs to know.
    #[serde(deserialize_with = "lenient::or_default")]
    pub data: Map<String, Value>,
    /// By which protocol: `iscsi`, `rbd`, `local` …
    #[serde(deserialize_with = "lenient::text")]
    pub driver_volume_type: String,
    /// Everything else that a service says; nothing, of ours.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}
