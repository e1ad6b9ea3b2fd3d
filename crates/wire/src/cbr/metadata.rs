//! What is told of the server that a backup is of (`cbr-v3.md §2.4`): JSON within JSON, as
//! clients want it.

use emberkeep_model as model;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Backup;
use crate::ids::BackupId;
use crate::lenient;

/// What is remembered of a server with its backup; each part is a document of its own, as text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct BackupMetadata {
    /// The backup.
    pub backup_id: BackupId,
    /// The backups of its disks.
    #[serde(deserialize_with = "lenient::text")]
    pub backups: String,
    /// Its flavor; of a set of volumes there is none.
    #[serde(deserialize_with = "lenient::text")]
    pub flavor: String,
    /// Its public addresses; there are none.
    #[serde(deserialize_with = "lenient::or_default")]
    pub floatingips: Vec<String>,
    /// Its network interfaces; there are none.
    #[serde(deserialize_with = "lenient::text")]
    pub interface: String,
    /// Its ports; there are none.
    #[serde(deserialize_with = "lenient::or_default")]
    pub ports: Vec<String>,
    /// The server.
    #[serde(deserialize_with = "lenient::text")]
    pub server: String,
    /// Its disks, as they were.
    #[serde(deserialize_with = "lenient::or_default")]
    pub volumes: Vec<String>,
}

impl BackupMetadata {
    /// Tells what is remembered: the rows of the backup and of its parts, and how the parts show.
    pub fn of(backup: &model::Backup, parts: &[&model::Backup], shown: &[Backup]) -> Self {
        let facts = backup.cbr.server.clone().unwrap_or_default();
        let server = json!({
            "id": backup.resource_id(),
            "name": backup.volume_name,
            "os_type": facts.os_type,
            "architecture": facts.architecture,
            "volumes_attached": parts.iter().map(|p| json!({"id": p.volume_id})).collect::<Vec<_>>(),
        });
        let volume = |part: &&model::Backup| {
            let source = part.cinder.source.as_ref();
            let volume = json!({
                "id": part.volume_id,
                "name": part.volume_name,
                "size": part.size,
                "availability_zone": part.availability_zone,
                "bootable": source.is_some_and(|source| source.bootable).to_string(),
                "metadata": source.map(|source| source.metadata.clone()).unwrap_or_default(),
                "image_metadata": source.map(|source| source.image_metadata.clone()).unwrap_or_default(),
                "backup_id": part.id,
            });
            volume.to_string()
        };
        Self {
            backup_id: backup.id.into(),
            backups: json!(shown).to_string(),
            flavor: json!({}).to_string(),
            floatingips: Vec::new(),
            interface: json!([]).to_string(),
            ports: Vec::new(),
            server: server.to_string(),
            volumes: parts.iter().map(volume).collect(),
        }
    }
}
