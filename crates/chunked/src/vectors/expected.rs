//! The parts of `expected.json` that are checked.

use std::collections::HashMap;

use emberkeep_model::{BackupId, VolumeId};
use serde::Deserialize;
use serde_json::Value;

use super::Wrong;
use crate::port::Location;
use crate::python_random::PythonRandom;

/// One repository.
#[derive(Debug, Deserialize)]
pub(super) struct Set {
    pub(super) compression: String,
    pub(super) chunk_size: u64,
    pub(super) sha_block_size: u32,
    pub(super) image_size: usize,
    pub(super) backups: Vec<Backup>,
}

/// One backup in it.
#[derive(Debug, Deserialize)]
pub(super) struct Backup {
    pub(super) label: String,
    pub(super) backup_id: BackupId,
    pub(super) parent_id: Option<BackupId>,
    container: String,
    service_metadata: String,
    pub(super) object_count: u32,
    image_steps: Vec<Step>,
    pub(super) source_sha256: String,
    pub(super) created_at_str: String,
    primitive: Primitive,
    pub(super) objects: Vec<String>,
    pub(super) restore_over_junk: Restored,
    pub(super) restore_over_zeros_new: Restored,
}

#[derive(Debug, Deserialize)]
struct Primitive {
    #[serde(rename = "versioned_object.data")]
    data: Row,
}

/// The columns that go into the repository.
#[derive(Debug, Deserialize)]
pub(super) struct Row {
    pub(super) volume_id: VolumeId,
    pub(super) display_name: Option<String>,
    pub(super) display_description: Option<String>,
}

/// What Cinder's restore gave.
#[derive(Debug, Deserialize)]
pub(super) struct Restored {
    pub(super) sha256: String,
    pub(super) length: u64,
    pub(super) volume_after: Option<VolumeAfter>,
}

#[derive(Debug, Deserialize)]
pub(super) struct VolumeAfter {
    #[serde(default)]
    pub(super) metadata: HashMap<String, Value>,
    #[serde(default)]
    pub(super) glance_metadata: HashMap<String, Value>,
}

#[derive(Debug, Deserialize)]
struct Step {
    offset: usize,
    kind: String,
    length: usize,
    seed: u64,
}

impl Backup {
    pub(super) fn location(&self) -> Result<Location, Wrong> {
        Ok(Location::new(&self.container, &self.service_metadata)?)
    }

    pub(super) fn row(&self) -> &Row {
        &self.primitive.data
    }

    /// Builds the volume as it was at the backup.
    pub(super) fn image(&self, size: usize) -> Result<Vec<u8>, Wrong> {
        let mut image = vec![0; size];
        for step in &self.image_steps {
            let bytes = match step.kind.as_str() {
                "zero" => vec![0; step.length],
                "pattern" => {
                    let digits = format!("{:08x}", step.seed).into_bytes();
                    digits.into_iter().cycle().take(step.length).collect()
                }
                "random" => PythonRandom::new(&format!("img-{}", step.seed)).bytes(step.length),
                other => return Err(format!("nobody knows how to make '{other}'").into()),
            };
            image
                .get_mut(step.offset..step.offset + step.length)
                .ok_or("a step reaches beyond the image")?
                .copy_from_slice(&bytes);
        }
        Ok(image)
    }
}
