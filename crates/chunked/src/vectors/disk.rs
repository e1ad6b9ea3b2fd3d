//! A volume in memory.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use emberkeep_model::ByteCount;
use emberkeep_volumes::{
    ChangeSet, Extent, ExtentKind, RestoreTarget, SourceSnapshot, TargetState, VolumeError,
};

/// Bytes to restore to, or to back up.
pub(super) struct Disk {
    bytes: Mutex<Vec<u8>>,
    state: TargetState,
}

impl Disk {
    pub(super) fn new(bytes: Vec<u8>, state: TargetState) -> Self {
        Self {
            bytes: Mutex::new(bytes),
            state,
        }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the bytes of a range, refusing what lies outside.
    fn within(&self, range: Range<u64>, work: impl FnOnce(&mut [u8])) -> Result<(), VolumeError> {
        let place = |at| usize::try_from(at).unwrap_or(usize::MAX);
        let mut bytes = self.lock();
        let found = bytes.get_mut(place(range.start)..place(range.end));
        found.map(work).ok_or_else(|| VolumeError::OutOfRange {
            what: "a volume in memory".to_owned(),
            reason: format!("it does not have the bytes {range:?}"),
        })
    }
}

fn from(offset: u64, buf: &[u8]) -> Range<u64> {
    offset..offset.saturating_add(buf.len() as u64)
}

impl RestoreTarget for Disk {
    fn size(&self) -> ByteCount {
        ByteCount(self.lock().len() as u64)
    }

    fn state(&self) -> TargetState {
        self.state
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), VolumeError> {
        self.within(from(offset, buf), |bytes| buf.copy_from_slice(bytes))
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> Result<(), VolumeError> {
        self.within(from(offset, buf), |bytes| bytes.copy_from_slice(buf))
    }

    fn zero(&self, range: Range<u64>) -> Result<(), VolumeError> {
        self.within(range, |bytes| bytes.fill(0))
    }

    fn finish(&self) -> Result<(), VolumeError> {
        Ok(())
    }
}

impl SourceSnapshot for Disk {
    fn size(&self) -> ByteCount {
        RestoreTarget::size(self)
    }

    fn extents(
        &self,
        range: Range<u64>,
        _since: Option<&str>,
    ) -> Result<(ChangeSet, Vec<Extent>), VolumeError> {
        self.within(range.clone(), |_| {})?;
        let all = Extent {
            offset: range.start,
            length: range.end - range.start,
            kind: ExtentKind::Data,
        };
        let reason = "a volume in memory keeps no change tracking".to_owned();
        let extents = Some(all).filter(|all| all.length > 0);
        Ok((
            ChangeSet::FullScan { reason },
            extents.into_iter().collect(),
        ))
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), VolumeError> {
        RestoreTarget::read_at(self, offset, buf)
    }
}
