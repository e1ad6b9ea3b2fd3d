//! Volume types and zones.

use std::collections::BTreeMap;

use emberkeep_model::VolumeType;
use serde::{Deserialize, Serialize};

use super::volumes::Nothing;

/// A volume type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "the fields are Cinder's own, described in its API reference"
)]
pub struct VolumeTypeView {
    pub id: String,
    pub name: String,
    pub is_public: bool,
    pub description: Option<String>,
    pub extra_specs: BTreeMap<String, String>,
    /// For administrators; always null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qos_specs_id: Option<Nothing>,
    #[serde(rename = "os-volume-type-access:is_public")]
    pub access_is_public: bool,
}

/// What others than administrators may see of a type's extra specs.
const PUBLIC_SPECS: [&str; 3] = [
    "RESKEY:availability_zones",
    "multiattach",
    "replication_enabled",
];

impl VolumeTypeView {
    /// Shows `volume_type`.
    pub fn new(volume_type: &VolumeType, admin: bool) -> Self {
        let mut extra_specs = volume_type.extra_specs.clone();
        extra_specs.retain(|key, _| admin || PUBLIC_SPECS.contains(&key.as_str()));
        Self {
            id: volume_type.id.to_string(),
            name: volume_type.name.clone(),
            is_public: volume_type.is_public,
            description: volume_type.description.clone(),
            extra_specs,
            qos_specs_id: admin.then_some(Nothing),
            access_is_public: volume_type.is_public,
        }
    }
}

/// An availability zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AvailabilityZone {
    /// Its name.
    pub zone_name: String,
    /// How it is.
    pub zone_state: ZoneState,
}

/// How a zone is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneState {
    /// Whether volumes can be made in it.
    pub available: bool,
}

impl AvailabilityZone {
    /// Shows a zone that can be used.
    pub fn available(name: &str) -> Self {
        Self {
            zone_name: name.to_owned(),
            zone_state: ZoneState { available: true },
        }
    }
}
