//! Serves volumes: read-only ones, and those with an overlay.

use std::ops::Range;
use std::sync::Arc;

use emberkeep_nbd::export::Room;
use emberkeep_nbd::{Export, ExportError, Stretch, StretchKind};

use crate::{Extent, ExtentKind, Overlay, SourceSnapshot, VolumeError};

/// How much is looked at in one go where a client asks what there is.
const LOOK: u64 = 64 << 20;
/// After so many looks that found data, the client may ask again for the rest.
const LOOKS: usize = 8;

/// A volume as an NBD server serves it.
pub enum VolumeExport {
    /// Never changes.
    ReadOnly(Arc<dyn SourceSnapshot>),
    /// Writes go into the overlay.
    Writable(Arc<Overlay>),
}

impl VolumeExport {
    fn extents(&self, range: Range<u64>) -> Result<Vec<Extent>, VolumeError> {
        match self {
            Self::ReadOnly(source) => Ok(source.extents(range, None)?.1),
            Self::Writable(overlay) => overlay.extents(range),
        }
    }

    fn overlay(&self) -> Result<&Overlay, ExportError> {
        match self {
            Self::ReadOnly(_) => Err(ExportError::ReadOnly),
            Self::Writable(overlay) => Ok(overlay),
        }
    }
}

fn told(cause: VolumeError) -> ExportError {
    match cause {
        VolumeError::NoSpace { .. } => ExportError::NoSpace(Box::new(cause)),
        cause => ExportError::Medium(Box::new(cause)),
    }
}

impl Export for VolumeExport {
    fn size(&self) -> u64 {
        match self {
            Self::ReadOnly(source) => source.size().0,
            Self::Writable(overlay) => overlay.size().0,
        }
    }

    fn is_writable(&self) -> bool {
        matches!(self, Self::Writable(_))
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ExportError> {
        match self {
            Self::ReadOnly(source) => source.read_at(offset, buf),
            Self::Writable(overlay) => overlay.read_at(offset, buf),
        }
        .map_err(told)
    }

    fn stretches(&self, range: Range<u64>) -> Result<Vec<Stretch>, ExportError> {
        let mut found: Vec<Stretch> = Vec::new();
        let mut at = range.start;
        let mut looks = 0;
        while at < range.end && looks < LOOKS {
            let until = range.end.min(at + LOOK);
            for extent in self.extents(at..until).map_err(told)? {
                let kind = match extent.kind {
                    ExtentKind::Data | ExtentKind::Unchanged => StretchKind::Data,
                    ExtentKind::Zero => StretchKind::Hole,
                };
                let length = extent.length;
                match found.last_mut() {
                    Some(last) if last.kind == kind => last.length += length,
                    _ => found.push(Stretch { length, kind }),
                }
            }
            if found
                .last()
                .is_some_and(|last| last.kind == StretchKind::Data)
                || found.len() > 1
            {
                looks += 1;
            }
            at = until;
        }
        Ok(found)
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> Result<(), ExportError> {
        self.overlay()?.write_at(offset, buf).map_err(told)
    }

    fn zero(&self, range: Range<u64>, _room: Room) -> Result<(), ExportError> {
        self.overlay()?.zero(range).map_err(told)
    }

    fn flush(&self) -> Result<(), ExportError> {
        match self {
            Self::ReadOnly(_) => Ok(()),
            Self::Writable(overlay) => overlay.flush().map_err(told),
        }
    }
}
