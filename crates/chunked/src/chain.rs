//! A backup with all those it builds on, seen as one image.

use std::collections::HashSet;

use emberkeep_model::{BackupId, ByteCount};

use crate::error::{ChunkedError, DescriptionFault, ObjectFault};
use crate::layers::{Cover, ObjectIndex, Segment};
use crate::metadata::{BackupMetadata, Entry, OBJECTS_LIMIT};
use crate::port::{ForeignObjects, Location};
use crate::volume_meta::VolumeMeta;

/// One backup of a chain.
pub type Layer = BackupMetadata;

/// A backup and its ancestors, newest first, down to a full one.
///
/// Each byte is taken from the newest backup that holds it, so no part of the volume is read
/// or written twice, however long the chain is.
#[derive(Debug, Clone)]
pub struct Chain {
    layers: Vec<Layer>,
    segments: Vec<Segment>,
}

impl Chain {
    /// Reads the descriptions of the backup at `newest` and of those it builds on.
    ///
    /// `parents` says where a parent lies: Cinder asks its database, not the files.
    pub fn load(
        objects: &dyn ForeignObjects,
        newest: &Location,
        mut parents: impl FnMut(
            BackupId,
        )
            -> Result<Option<Location>, Box<dyn std::error::Error + Send + Sync>>,
    ) -> Result<Self, ChunkedError> {
        let mut room = OBJECTS_LIMIT;
        let mut layers = vec![BackupMetadata::read_with_room(objects, newest, room)?];
        let mut seen = HashSet::new();
        while let Some(child) = layers.last() {
            seen.insert(child.backup_id);
            room -= child.objects.len();
            let Some(parent) = child.parent_id else { break };
            if seen.contains(&parent) {
                return Err(ChunkedError::Cycle { backup: parent });
            }
            let location = parents(parent)
                .map_err(|cause| ChunkedError::Resolver { parent, cause })?
                .ok_or(ChunkedError::NoParent {
                    backup: child.backup_id,
                    parent,
                })?;
            let next = BackupMetadata::read_with_room(objects, &location, room)?;
            check_parent(&next, parent, child)?;
            layers.push(next);
        }
        Ok(Self::of(layers))
    }

    /// Takes a full backup alone.
    fn of(layers: Vec<Layer>) -> Self {
        let mut cover = Cover::default();
        for (layer, metadata) in (0..).zip(&layers) {
            for (entry, object) in (0..).zip(&metadata.objects) {
                cover.add(object.offset..object.end(), ObjectIndex { layer, entry });
            }
        }
        Self {
            layers,
            segments: cover.into_segments(),
        }
    }

    /// Returns the backups, newest first.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Returns the backup that is wanted.
    pub fn newest(&self) -> &Layer {
        &self.layers[0]
    }

    /// Returns where the image ends: the volume is at least that large.
    pub fn end(&self) -> ByteCount {
        ByteCount(
            self.layers
                .iter()
                .map(BackupMetadata::end)
                .max()
                .unwrap_or(0),
        )
    }

    /// Returns the size of the volume as its columns were backed up; none if they were not.
    pub fn volume_size(&self) -> Option<ByteCount> {
        let text = self.newest().volume_meta.as_ref()?;
        Some(VolumeMeta::parse(text).ok()?.size()?.bytes())
    }

    /// Refuses a chain that holds bytes beyond `size`, naming the object.
    pub fn check_fits(&self, size: ByteCount) -> Result<(), ChunkedError> {
        for layer in &self.layers {
            if let Some(entry) = layer.objects.iter().find(|entry| entry.end() > size.0) {
                let fault = ObjectFault::BeyondEnd {
                    end: entry.end(),
                    size: size.0,
                };
                return Err(layer.object_error(entry, entry.offset, fault));
            }
        }
        Ok(())
    }

    /// Refuses a chain of which a needed object is not there, before anything is written.
    pub(crate) fn check_present(&self, objects: &dyn ForeignObjects) -> Result<(), ChunkedError> {
        for (layer, needed) in (0..).zip(self.needed_by_layer()) {
            let metadata: &Layer = &self.layers[layer as usize];
            let listing = Listing::of(metadata, objects)?;
            if let Some(entry) = needed.iter().find(|entry| !listing.has(**entry)) {
                let entry = &metadata.objects[*entry as usize];
                return Err(metadata.object_error(entry, entry.offset, ObjectFault::Missing));
            }
        }
        Ok(())
    }

    fn needed_by_layer(&self) -> Vec<Vec<u32>> {
        let mut needed = vec![Vec::new(); self.layers.len()];
        for segment in &self.segments {
            needed[segment.object.layer as usize].push(segment.object.entry);
        }
        needed
    }

    pub(crate) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    pub(crate) fn object(&self, index: ObjectIndex) -> (&Layer, &Entry) {
        let layer = &self.layers[index.layer as usize];
        (layer, &layer.objects[index.entry as usize])
    }
}

fn check_parent(parent: &Layer, wanted: BackupId, child: &Layer) -> Result<(), ChunkedError> {
    let fault = if parent.backup_id != wanted {
        DescriptionFault::OtherBackup {
            found: parent.backup_id,
            wanted,
        }
    } else if parent.volume_id != child.volume_id {
        DescriptionFault::OtherVolume {
            found: parent.volume_id,
            wanted: child.volume_id,
        }
    } else {
        return Ok(());
    };
    Err(ChunkedError::Description {
        object: parent.location.metadata_name(),
        fault,
    })
}

/// Which of a backup's objects are there, and what else goes by its name.
pub(crate) struct Listing {
    present: Vec<bool>,
    /// Names that no entry has; at most [`Listing::UNLISTED`] of them.
    pub(crate) unlisted: Vec<String>,
    pub(crate) sha256_file: bool,
}

impl Listing {
    const UNLISTED: usize = 100;

    pub(crate) fn of(
        metadata: &BackupMetadata,
        objects: &dyn ForeignObjects,
    ) -> Result<Self, ChunkedError> {
        let location = &metadata.location;
        let suffixes = metadata.suffixes();
        let mut listing = Self {
            present: vec![false; metadata.objects.len()],
            unlisted: Vec::new(),
            sha256_file: false,
        };
        let (container, prefix) = (location.container(), location.prefix());
        objects.list(container, prefix, &mut |name, _size| {
            let suffix = name.strip_prefix(prefix).unwrap_or(name);
            let places = suffixes.find(suffix);
            match suffix {
                "_metadata" => {}
                "_sha256file" => listing.sha256_file = true,
                _ if places.is_empty() && listing.unlisted.len() < Self::UNLISTED => {
                    listing.unlisted.push(name.to_owned());
                }
                _ => places.iter().for_each(|at| listing.present[*at] = true),
            }
        })?;
        Ok(listing)
    }

    pub(crate) fn has(&self, entry: u32) -> bool {
        self.present[entry as usize]
    }
}
