//! Volumes in memory.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use emberkeep_model::{ByteCount, SnapshotId, VolumeId};
use emberkeep_volumes::{
    ChangeSet, Extent, ExtentKind, RestoreTarget, SourceSnapshot, TargetState, VolumeError,
    VolumeProvider,
};

use crate::content::BLOCK_BYTES;
use crate::faults::{VolumeCall, VolumeFaults};

type Bytes = Arc<RwLock<Vec<u8>>>;

#[derive(Debug, Default)]
struct Kept {
    volumes: BTreeMap<VolumeId, Bytes>,
    snapshots: BTreeMap<SnapshotId, Bytes>,
    freezes: BTreeMap<String, Bytes>,
}

/// Keeps volumes in memory and fails as its [`VolumeFaults`] say. Clones share the volumes.
#[derive(Debug, Clone, Default)]
pub struct MemoryProvider {
    kept: Arc<Mutex<Kept>>,
    faults: VolumeFaults,
}

impl MemoryProvider {
    /// Makes a provider without volumes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns what is planned to fail.
    pub fn faults(&self) -> &VolumeFaults {
        &self.faults
    }

    /// Sets all the bytes of a volume, making it where it is missing.
    pub fn set(&self, volume: VolumeId, bytes: Vec<u8>) {
        self.lock().volumes.insert(volume, share(bytes));
    }

    /// Returns all the bytes of a volume, if it exists.
    pub fn bytes(&self, volume: VolumeId) -> Option<Vec<u8>> {
        self.lock().volumes.get(&volume).map(copy)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn volume(&self, volume: VolumeId) -> Result<Bytes, VolumeError> {
        let found = self.lock().volumes.get(&volume).cloned();
        found.ok_or_else(|| VolumeError::Missing {
            what: format!("volume {volume}"),
        })
    }

    fn add(
        &self,
        volume: VolumeId,
        mut bytes: Vec<u8>,
        size: ByteCount,
    ) -> Result<(), VolumeError> {
        let what = format!("volume {volume}");
        self.faults.meet(VolumeCall::Manage, &what)?;
        grow(&mut bytes, size, &what)?;
        let mut kept = self.lock();
        if kept.volumes.contains_key(&volume) {
            return Err(VolumeError::Exists { what });
        }
        kept.volumes.insert(volume, share(bytes));
        Ok(())
    }

    fn source(&self, bytes: &Bytes, what: String) -> Box<dyn SourceSnapshot> {
        let size = length(bytes);
        Box::new(MemoryDisk {
            bytes: Arc::clone(bytes),
            what,
            size,
            state: TargetState::HoldsData,
            faults: self.faults.clone(),
        })
    }
}

impl VolumeProvider for MemoryProvider {
    fn create(&self, volume: VolumeId, size: ByteCount) -> Result<(), VolumeError> {
        self.add(volume, Vec::new(), size)
    }

    fn create_from_snapshot(
        &self,
        volume: VolumeId,
        snapshot: SnapshotId,
        size: ByteCount,
    ) -> Result<(), VolumeError> {
        let found = self.lock().snapshots.get(&snapshot).map(copy);
        let bytes = found.ok_or_else(|| VolumeError::Missing {
            what: format!("snapshot {snapshot}"),
        })?;
        self.add(volume, bytes, size)
    }

    fn create_from_volume(
        &self,
        volume: VolumeId,
        source: VolumeId,
        size: ByteCount,
    ) -> Result<(), VolumeError> {
        self.add(volume, copy(&self.volume(source)?), size)
    }

    fn grow(&self, volume: VolumeId, size: ByteCount) -> Result<(), VolumeError> {
        let what = format!("volume {volume}");
        self.faults.meet(VolumeCall::Manage, &what)?;
        let bytes = self.volume(volume)?;
        let mut bytes = bytes.write().unwrap_or_else(PoisonError::into_inner);
        grow(&mut bytes, size, &what)
    }

    fn delete(&self, volume: VolumeId) -> Result<(), VolumeError> {
        self.faults
            .meet(VolumeCall::Manage, &format!("volume {volume}"))?;
        self.lock().volumes.remove(&volume);
        Ok(())
    }

    fn size(&self, volume: VolumeId) -> Result<ByteCount, VolumeError> {
        Ok(ByteCount(length(&self.volume(volume)?) as u64))
    }

    fn snapshot(&self, volume: VolumeId, snapshot: SnapshotId) -> Result<(), VolumeError> {
        self.faults
            .meet(VolumeCall::Manage, &format!("snapshot {snapshot}"))?;
        if !self.lock().snapshots.contains_key(&snapshot) {
            let bytes = share(copy(&self.volume(volume)?));
            self.lock().snapshots.entry(snapshot).or_insert(bytes);
        }
        Ok(())
    }

    fn delete_snapshot(&self, snapshot: SnapshotId) -> Result<(), VolumeError> {
        self.faults
            .meet(VolumeCall::Manage, &format!("snapshot {snapshot}"))?;
        self.lock().snapshots.remove(&snapshot);
        Ok(())
    }

    fn open_snapshot(&self, snapshot: SnapshotId) -> Result<Box<dyn SourceSnapshot>, VolumeError> {
        let what = format!("snapshot {snapshot}");
        let found = self.lock().snapshots.get(&snapshot).cloned();
        let bytes = found.ok_or_else(|| VolumeError::Missing { what: what.clone() })?;
        Ok(self.source(&bytes, what))
    }

    fn freeze(
        &self,
        volume: VolumeId,
        freeze: &str,
    ) -> Result<Box<dyn SourceSnapshot>, VolumeError> {
        let what = freeze_name(freeze)?;
        self.faults.meet(VolumeCall::Freeze, &what)?;
        let found = self.lock().freezes.get(freeze).cloned();
        let bytes = match found {
            Some(bytes) => bytes,
            None => {
                let bytes = share(copy(&self.volume(volume)?));
                Arc::clone(
                    self.lock()
                        .freezes
                        .entry(freeze.to_owned())
                        .or_insert(bytes),
                )
            }
        };
        Ok(self.source(&bytes, what))
    }

    fn reopen_freeze(&self, freeze: &str) -> Result<Option<Box<dyn SourceSnapshot>>, VolumeError> {
        let what = freeze_name(freeze)?;
        self.faults.meet(VolumeCall::Freeze, &what)?;
        let found = self.lock().freezes.get(freeze).cloned();
        Ok(found.map(|bytes| self.source(&bytes, what)))
    }

    fn release(&self, freeze: &str) -> Result<(), VolumeError> {
        freeze_name(freeze)?;
        self.lock().freezes.remove(freeze);
        Ok(())
    }

    fn freezes(&self) -> Result<Vec<String>, VolumeError> {
        Ok(self.lock().freezes.keys().cloned().collect())
    }

    fn open_target(
        &self,
        volume: VolumeId,
        state: TargetState,
    ) -> Result<Box<dyn RestoreTarget>, VolumeError> {
        let bytes = self.volume(volume)?;
        let size = length(&bytes);
        let what = format!("volume {volume}");
        Ok(Box::new(MemoryDisk {
            bytes,
            what,
            size,
            state,
            faults: self.faults.clone(),
        }))
    }

    fn open_source(&self, volume: VolumeId) -> Result<Box<dyn SourceSnapshot>, VolumeError> {
        Ok(self.source(&self.volume(volume)?, format!("volume {volume}")))
    }

    fn path(&self, _volume: VolumeId) -> Option<PathBuf> {
        None
    }
}

/// Bytes opened for reading or writing.
#[derive(Debug)]
struct MemoryDisk {
    bytes: Bytes,
    what: String,
    size: usize,
    state: TargetState,
    faults: VolumeFaults,
}

impl MemoryDisk {
    /// Returns a range as indices, if it lies within.
    fn range(&self, offset: u64, length: u64) -> Result<Range<usize>, VolumeError> {
        let start = usize::try_from(offset).ok();
        let end = offset
            .checked_add(length)
            .and_then(|end| usize::try_from(end).ok());
        match start.zip(end) {
            Some((start, end)) if end <= self.size => Ok(start..end),
            _ => Err(VolumeError::OutOfRange {
                what: self.what.clone(),
                reason: format!(
                    "{length} bytes at {offset} reach beyond its {} bytes",
                    self.size
                ),
            }),
        }
    }

    fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), VolumeError> {
        let range = self.range(offset, buf.len() as u64)?;
        self.faults.meet(VolumeCall::Read, &self.what)?;
        buf.copy_from_slice(&self.bytes.read().unwrap_or_else(PoisonError::into_inner)[range]);
        Ok(())
    }

    fn write(&self, range: Range<usize>, fill: impl FnOnce(&mut [u8])) -> Result<(), VolumeError> {
        self.faults.meet(VolumeCall::Write, &self.what)?;
        fill(&mut self.bytes.write().unwrap_or_else(PoisonError::into_inner)[range]);
        Ok(())
    }
}

impl SourceSnapshot for MemoryDisk {
    fn size(&self) -> ByteCount {
        ByteCount(self.size as u64)
    }

    fn extents(
        &self,
        range: Range<u64>,
        _since: Option<&str>,
    ) -> Result<(ChangeSet, Vec<Extent>), VolumeError> {
        let within = self.range(range.start, range.end.saturating_sub(range.start))?;
        self.faults.meet(VolumeCall::Extents, &self.what)?;
        let bytes = self.bytes.read().unwrap_or_else(PoisonError::into_inner);
        let mut extents: Vec<Extent> = Vec::new();
        let mut offset = range.start;
        for block in bytes[within].chunks(BLOCK_BYTES) {
            let is_zero = block.iter().all(|byte| *byte == 0);
            let kind = if is_zero {
                ExtentKind::Zero
            } else {
                ExtentKind::Data
            };
            let length = block.len() as u64;
            match extents.last_mut() {
                Some(last) if last.kind == kind => last.length += length,
                _ => extents.push(Extent {
                    offset,
                    length,
                    kind,
                }),
            }
            offset += length;
        }
        let reason = "memory keeps no change tracking".to_owned();
        Ok((ChangeSet::FullScan { reason }, extents))
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), VolumeError> {
        self.read(offset, buf)
    }
}

impl RestoreTarget for MemoryDisk {
    fn size(&self) -> ByteCount {
        ByteCount(self.size as u64)
    }

    fn state(&self) -> TargetState {
        self.state
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), VolumeError> {
        self.read(offset, buf)
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> Result<(), VolumeError> {
        self.write(self.range(offset, buf.len() as u64)?, |to| {
            to.copy_from_slice(buf)
        })
    }

    fn zero(&self, range: Range<u64>) -> Result<(), VolumeError> {
        let length = range.end.saturating_sub(range.start);
        self.write(self.range(range.start, length)?, |to| to.fill(0))
    }

    fn finish(&self) -> Result<(), VolumeError> {
        self.faults.meet(VolumeCall::Finish, &self.what)
    }
}

fn share(bytes: Vec<u8>) -> Bytes {
    Arc::new(RwLock::new(bytes))
}

fn copy(bytes: &Bytes) -> Vec<u8> {
    bytes.read().unwrap_or_else(PoisonError::into_inner).clone()
}

fn length(bytes: &Bytes) -> usize {
    bytes.read().unwrap_or_else(PoisonError::into_inner).len()
}

fn grow(bytes: &mut Vec<u8>, size: ByteCount, what: &str) -> Result<(), VolumeError> {
    let out_of_range = |reason| VolumeError::OutOfRange {
        what: what.to_owned(),
        reason,
    };
    match usize::try_from(size.0) {
        // Fresh zero pages cost nothing until they are touched; writing a GiB of zeroes does.
        Ok(size) if bytes.is_empty() => *bytes = vec![0; size],
        Ok(size) if size >= bytes.len() => bytes.resize(size, 0),
        Ok(_) => {
            return Err(out_of_range(format!(
                "{} bytes do not fit into {}",
                bytes.len(),
                size.0
            )));
        }
        Err(_) => {
            return Err(out_of_range(format!(
                "{} bytes do not fit the memory",
                size.0
            )));
        }
    }
    Ok(())
}

fn freeze_name(freeze: &str) -> Result<String, VolumeError> {
    let fine = !freeze.is_empty()
        && !freeze.starts_with('.')
        && freeze
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if fine {
        return Ok(format!("freeze {freeze}"));
    }
    let cause = io::Error::new(
        io::ErrorKind::InvalidInput,
        "this cannot be the name of a freeze",
    );
    Err(VolumeError::io(format!("'{freeze}'"), cause))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::VolumeFault;

    #[test]
    fn conforms() {
        emberkeep_volumes::conformance::provider(|| Box::new(MemoryProvider::new()));
    }

    #[test]
    fn fails_as_planned() {
        let volume: VolumeId = "00000000-0000-4000-8000-000000000001"
            .parse()
            .expect("an id");
        let provider = MemoryProvider::new();
        provider.set(volume, vec![7; 10]);
        let target = provider
            .open_target(volume, TargetState::HoldsData)
            .expect("target");
        provider
            .faults()
            .arm(VolumeCall::Write, 2, VolumeFault::NoSpace);
        target.write_at(0, b"a").expect("the first");
        assert!(!provider.faults().struck());
        for at in 1..3 {
            let got = target.write_at(at, b"b");
            assert!(matches!(got, Err(VolumeError::NoSpace { .. })), "{got:?}");
        }
        assert!(provider.faults().struck());
        assert_eq!(provider.faults().calls(VolumeCall::Write), 3);
        assert_eq!(
            provider.bytes(volume).expect("volume"),
            b"a\x07\x07\x07\x07\x07\x07\x07\x07\x07"
        );
        provider.faults().disarm();
        target.write_at(1, b"b").expect("works again");
    }
}
