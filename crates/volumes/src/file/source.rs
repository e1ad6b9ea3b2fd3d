//! Reads a file or a block device.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use emberkeep_model::{ByteCount, VolumeId};
use rustix::fs::SeekFrom;
use rustix::io::Errno;

use super::frozen::{self, Lineage};
use super::{Medium, check_range};
use crate::{ChangeSet, Extent, ExtentKind, SourceSnapshot, VolumeError};

/// The bytes of a file or block device, with its holes told.
///
/// Nothing keeps others from writing to it meanwhile: that is the caller's care.
#[derive(Debug)]
pub struct FileSource {
    file: File,
    what: String,
    medium: Medium,
    size: u64,
    /// The instant's name, where the file is never written again.
    instant: Option<String>,
    lineage: Option<Lineage>,
}

impl FileSource {
    /// Opens a file or block device for reading.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, VolumeError> {
        let path = path.as_ref();
        Self::open_as(path, path.display().to_string())
    }

    /// Opens it under the name that errors shall give it.
    pub(crate) fn open_as(path: &Path, what: String) -> Result<Self, VolumeError> {
        let medium = Medium::of(path, &what)?;
        let failed = |cause| VolumeError::io(&what, cause);
        let file = File::open(path).map_err(failed)?;
        let size = medium.size(&file).map_err(failed)?;
        Ok(Self {
            file,
            what,
            medium,
            size,
            instant: None,
            lineage: None,
        })
    }

    /// Opens what is never written again. Of a clone, `before` is the one of the instant before.
    pub(crate) fn open_frozen(
        path: &Path,
        what: String,
        before: impl FnOnce(VolumeId) -> Option<File>,
    ) -> Result<Self, VolumeError> {
        let mut source = Self::open_as(path, what)?;
        source.instant = frozen::name_of(&source.file);
        source.lineage = frozen::clone_of(&source.file).map(|volume| Lineage::new(before(volume)));
        Ok(source)
    }

    /// Fails where the file has shrunk: what lies past its end is lost, not zero.
    fn check_whole(&self) -> Result<(), VolumeError> {
        let now = self
            .medium
            .size(&self.file)
            .map_err(|cause| self.failed(cause))?;
        if now >= self.size {
            return Ok(());
        }
        let reason = format!(
            "it shrank from {} to {now} bytes while being read",
            self.size
        );
        Err(self.failed(io::Error::new(io::ErrorKind::UnexpectedEof, reason)))
    }

    fn failed(&self, cause: io::Error) -> VolumeError {
        VolumeError::io(format!("reading {}", self.what), cause)
    }
}

impl SourceSnapshot for FileSource {
    fn size(&self) -> ByteCount {
        ByteCount(self.size)
    }

    fn lineage(&self) -> Option<String> {
        self.lineage.as_ref().and(self.instant.clone())
    }

    fn instant(&self) -> Option<String> {
        self.instant.clone()
    }

    fn extents(
        &self,
        range: Range<u64>,
        since: Option<&str>,
    ) -> Result<(ChangeSet, Vec<Extent>), VolumeError> {
        check_range(
            &self.what,
            range.start,
            range.end.saturating_sub(range.start),
            self.size,
        )?;
        let extents = data_and_holes(&self.file, range).map_err(|cause| self.failed(cause))?;
        self.check_whole()?;
        let reason = match (&self.lineage, since) {
            (Some(lineage), Some(since)) => {
                let shared = lineage.shared(&self.file, since);
                let shared = shared.map_err(|cause| self.failed(cause))?;
                if let Some(shared) = shared {
                    let lineage = since.to_owned();
                    let extents = frozen::unchanged_where(extents, shared);
                    return Ok((ChangeSet::Since { lineage }, extents));
                }
                "the clone of that instant was not kept"
            }
            _ => "this source keeps no change tracking",
        };
        let reason = reason.to_owned();
        Ok((ChangeSet::FullScan { reason }, extents))
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), VolumeError> {
        check_range(&self.what, offset, buf.len() as u64, self.size)?;
        self.file.read_exact_at(buf, offset).map_err(|cause| {
            self.check_whole()
                .err()
                .unwrap_or_else(|| self.failed(cause))
        })
    }
}

/// Tells data from holes in `range`; all is data where the file system cannot tell.
pub(crate) fn data_and_holes(file: &File, range: Range<u64>) -> io::Result<Vec<Extent>> {
    let mut extents = Vec::new();
    let mut push = |start: u64, end: u64, kind| {
        if start < end {
            extents.push(Extent {
                offset: start,
                length: end - start,
                kind,
            });
        }
    };
    let mut at = range.start;
    while at < range.end {
        // The position of the open file moves, but nobody reads from it.
        let data = match rustix::fs::seek(file, SeekFrom::Data(at)) {
            Ok(data) => data.clamp(at, range.end),
            Err(Errno::NXIO) => range.end,
            Err(Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => at,
            Err(cause) => return Err(cause.into()),
        };
        push(at, data, ExtentKind::Zero);
        if data == range.end {
            break;
        }
        let hole = match rustix::fs::seek(file, SeekFrom::Hole(data)) {
            // A hole where there was data a moment ago: someone writes. Reading it is always right.
            Ok(hole) if hole > data => hole.min(range.end),
            Ok(_) | Err(Errno::NXIO | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => range.end,
            Err(cause) => return Err(cause.into()),
        };
        push(data, hole, ExtentKind::Data);
        at = hole;
    }
    Ok(extents)
}
