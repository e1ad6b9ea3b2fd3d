//! A volume that keeps track of what changes, truthfully or not.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use emberkeep_model::ByteCount;
use emberkeep_volumes::{ChangeSet, Extent, ExtentKind, SourceSnapshot, VolumeError};

/// A volume in memory that notes which stretches are written, in grains of a chosen size.
#[derive(Debug, Clone)]
pub struct TrackedVolume {
    bytes: Vec<u8>,
    grain: usize,
    instants: u64,
    /// Grains written since each instant that is still tracked.
    written: BTreeMap<String, BTreeSet<usize>>,
}

impl TrackedVolume {
    /// Starts tracking a volume of these bytes.
    pub fn new(bytes: Vec<u8>, grain: usize) -> Self {
        Self {
            bytes,
            grain,
            instants: 0,
            written: BTreeMap::new(),
        }
    }

    /// Returns what the volume holds.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Writes and notes it.
    pub fn write(&mut self, offset: usize, bytes: &[u8]) {
        self.write_unnoticed(offset, bytes);
        for grain in offset / self.grain..(offset + bytes.len()).div_ceil(self.grain) {
            for written in self.written.values_mut() {
                written.insert(grain);
            }
        }
    }

    /// Writes without noting it, which makes a liar of every later snapshot.
    pub fn write_unnoticed(&mut self, offset: usize, bytes: &[u8]) {
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    /// Changes the size. New bytes are zero; of those there never were before, nothing is noted.
    pub fn resize(&mut self, size: usize) {
        for grain in size / self.grain..self.bytes.len().div_ceil(self.grain) {
            for written in self.written.values_mut() {
                written.insert(grain);
            }
        }
        self.bytes.resize(size, 0);
    }

    /// Forgets what changed since all instants.
    pub fn lose_track(&mut self) {
        self.written.clear();
    }

    /// Freezes the volume at this instant, which later snapshots can be asked about.
    pub fn snapshot(&mut self) -> TrackedSnapshot {
        self.instants += 1;
        let lineage = format!("instant-{}", self.instants);
        let snapshot = TrackedSnapshot {
            bytes: self.bytes.clone(),
            grain: self.grain,
            lineage: lineage.clone(),
            written: self.written.clone(),
            read: AtomicU64::new(0),
        };
        self.written.insert(lineage, BTreeSet::new());
        snapshot
    }
}

/// A [`TrackedVolume`] at one instant.
#[derive(Debug)]
pub struct TrackedSnapshot {
    bytes: Vec<u8>,
    grain: usize,
    lineage: String,
    written: BTreeMap<String, BTreeSet<usize>>,
    read: AtomicU64,
}

impl TrackedSnapshot {
    /// Returns how many bytes were read from it.
    pub fn bytes_read(&self) -> u64 {
        self.read.load(Relaxed)
    }

    fn kind(&self, grain: usize, written: Option<&BTreeSet<usize>>) -> ExtentKind {
        match written {
            Some(written) if !written.contains(&grain) => ExtentKind::Unchanged,
            _ => {
                let start = (grain * self.grain).min(self.bytes.len());
                let end = (start + self.grain).min(self.bytes.len());
                if self.bytes[start..end].iter().all(|byte| *byte == 0) {
                    ExtentKind::Zero
                } else {
                    ExtentKind::Data
                }
            }
        }
    }
}

impl SourceSnapshot for TrackedSnapshot {
    fn size(&self) -> ByteCount {
        ByteCount(self.bytes.len() as u64)
    }

    fn lineage(&self) -> Option<String> {
        Some(self.lineage.clone())
    }

    fn extents(
        &self,
        range: Range<u64>,
        since: Option<&str>,
    ) -> Result<(ChangeSet, Vec<Extent>), VolumeError> {
        let written = since.and_then(|lineage| self.written.get(lineage));
        let changes = match (since, written) {
            (Some(lineage), Some(_)) => ChangeSet::Since {
                lineage: lineage.to_owned(),
            },
            (Some(_), None) => ChangeSet::FullScan {
                reason: "the tracker has been lost".to_owned(),
            },
            (None, _) => ChangeSet::FullScan {
                reason: "not asked what changed".to_owned(),
            },
        };
        let grain = self.grain as u64;
        let mut extents: Vec<Extent> = Vec::new();
        let mut offset = range.start;
        while offset < range.end {
            let number = usize::try_from(offset / grain).unwrap_or(usize::MAX);
            let end = ((offset / grain + 1) * grain).min(range.end);
            let kind = self.kind(number, written);
            match extents.last_mut() {
                Some(last) if last.kind == kind => last.length += end - offset,
                _ => extents.push(Extent {
                    offset,
                    length: end - offset,
                    kind,
                }),
            }
            offset = end;
        }
        Ok((changes, extents))
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), VolumeError> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let bytes = start
            .checked_add(buf.len())
            .and_then(|end| self.bytes.get(start..end))
            .ok_or_else(|| VolumeError::OutOfRange {
                what: "tracked volume".to_owned(),
                reason: format!("{} bytes at {offset}", buf.len()),
            })?;
        buf.copy_from_slice(bytes);
        self.read.fetch_add(buf.len() as u64, Relaxed);
        Ok(())
    }
}
