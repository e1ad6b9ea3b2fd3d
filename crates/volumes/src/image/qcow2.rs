//! Reads qcow2 images.
//!
//! What imago takes on trust is checked here first: it reads past the end of a
//! truncated file as zeroes, does not look at the encryption method, and opens
//! the files that an image names.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use emberkeep_model::ByteCount;
use imago::qcow2::Qcow2;
use imago::storage::StorageOpenOptions;
use imago::{DenyImplicitOpenGate, FormatAccess, FormatDriverBuilder, Mapping};

use super::{CONVERT, ImageFormat, QCOW2_MAGIC, bad};
use crate::file::check_range;
use crate::{ChangeSet, Extent, ExtentKind, SourceSnapshot, VolumeError};

/// The largest first-level table that QEMU reads.
const L1_BYTES_MAX: u64 = 32 << 20;

/// Bytes of an entry in a table of either level.
const ENTRY_BYTES: u64 = 8;

/// The unit in which the length of compressed data is told.
const SECTOR_BYTES: u64 = 512;

/// Bits of a first-level entry that hold the offset of a second-level table.
const L2_OFFSET_MASK: u64 = 0x00ff_ffff_ffff_fe00;

/// The bytes of a volume inside a qcow2 image that stands on its own.
#[derive(Debug)]
pub(super) struct Qcow2Source {
    image: FormatAccess<imago::file::File>,
    what: String,
    size: u64,
    tables: Tables,
}

impl Qcow2Source {
    pub(super) fn open(file: File, what: &str) -> Result<Self, VolumeError> {
        let file_size = file
            .metadata()
            .map_err(|cause| VolumeError::io(what, cause))?
            .len();
        let header = Header::read(&file, what)?;
        header.check(what)?;
        let ours = file
            .try_clone()
            .map_err(|cause| VolumeError::io(what, cause))?;
        let tables = Tables::read(ours, file_size, &header, what)?;
        let options = StorageOpenOptions::new();
        let storage =
            imago::file::File::from_open_file(file, options).map_err(|e| failed(what, e))?;
        let image = Qcow2::<imago::file::File>::builder(storage)
            .backing(None)
            .data_file(None)
            .open(DenyImplicitOpenGate::default())
            .map_err(|cause| failed(what, cause))?;
        let image = FormatAccess::new(image);
        Ok(Self {
            size: image.size(),
            image,
            what: what.to_owned(),
            tables,
        })
    }

    /// Calls `visit` with the stretches that make up `range`.
    fn walk(
        &self,
        range: Range<u64>,
        mut visit: impl FnMut(u64, u64, ExtentKind),
    ) -> Result<(), VolumeError> {
        let mut at = range.start;
        while at < range.end {
            let (mapping, length) = self
                .image
                .get_mapping(at, range.end - at)
                .map_err(|cause| failed(&self.what, cause))?;
            let (kind, is_whole) = match mapping {
                Mapping::Zero { .. } => (ExtentKind::Zero, true),
                Mapping::Raw { offset, .. } => {
                    (ExtentKind::Data, self.tables.holds(offset, length))
                }
                // Compressed; imago calls neighbours one mapping, wherever their data is.
                _ => {
                    let holds = |at| self.tables.holds_compressed(at, &self.what);
                    let step = 1 << self.tables.cluster_bits;
                    let first = at >> self.tables.cluster_bits << self.tables.cluster_bits;
                    let mut clusters = (first..at + length).step_by(step);
                    let is_whole =
                        clusters.try_fold(true, |so_far, at| Ok(so_far && holds(at)?))?;
                    (ExtentKind::Data, is_whole)
                }
            };
            if !is_whole {
                return Err(truncated(&self.what));
            }
            if length == 0 {
                return Err(bad(
                    &self.what,
                    ImageFormat::Qcow2,
                    format!("it ends at {at}"),
                ));
            }
            visit(at, length, kind);
            at += length;
        }
        Ok(())
    }
}

impl SourceSnapshot for Qcow2Source {
    fn size(&self) -> ByteCount {
        ByteCount(self.size)
    }

    fn extents(
        &self,
        range: Range<u64>,
        _since: Option<&str>,
    ) -> Result<(ChangeSet, Vec<Extent>), VolumeError> {
        check_range(
            &self.what,
            range.start,
            range.end.saturating_sub(range.start),
            self.size,
        )?;
        let mut extents: Vec<Extent> = Vec::new();
        self.walk(range, |offset, length, kind| match extents.last_mut() {
            Some(last) if last.kind == kind => last.length += length,
            _ => extents.push(Extent {
                offset,
                length,
                kind,
            }),
        })?;
        let reason = "an image keeps no change tracking".to_owned();
        Ok((ChangeSet::FullScan { reason }, extents))
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), VolumeError> {
        let end = check_range(&self.what, offset, buf.len() as u64, self.size)?;
        self.walk(offset..end, |_, _, _| {})?;
        self.image
            .read(buf, offset)
            .map_err(|cause| failed(&self.what, cause))
    }
}

/// The fields of the header that decide whether we read the image.
#[derive(Debug)]
struct Header {
    version: u32,
    backing_file_offset: u64,
    cluster_bits: u32,
    size: u64,
    encryption: u32,
    l1_entries: u32,
    l1_offset: u64,
    incompatible: u64,
}

impl Header {
    fn read(file: &File, what: &str) -> Result<Self, VolumeError> {
        let mut bytes = [0; 80];
        file.read_exact_at(&mut bytes, 0)
            .map_err(|cause| match cause.kind() {
                io::ErrorKind::UnexpectedEof => truncated(what),
                _ => failed(what, cause),
            })?;
        if !bytes.starts_with(QCOW2_MAGIC) {
            return Err(bad(
                what,
                ImageFormat::Qcow2,
                "it does not begin as a qcow2 image does",
            ));
        }
        let version = be32(&bytes, 4);
        Ok(Self {
            version,
            backing_file_offset: be64(&bytes, 8),
            cluster_bits: be32(&bytes, 20),
            size: be64(&bytes, 24),
            encryption: be32(&bytes, 32),
            l1_entries: be32(&bytes, 36),
            l1_offset: be64(&bytes, 40),
            incompatible: if version >= 3 { be64(&bytes, 72) } else { 0 },
        })
    }

    /// Refuses what we do not read, each with its own words.
    fn check(&self, what: &str) -> Result<(), VolumeError> {
        let has = |bit: u32| self.incompatible & (1 << bit) != 0;
        let flaws = [
            (
                !(2..=3).contains(&self.version),
                "its version is unknown".to_owned(),
            ),
            (
                !(9..=21).contains(&self.cluster_bits),
                "its cluster size is impossible".to_owned(),
            ),
            (
                self.backing_file_offset != 0,
                format!(
                    "it needs a backing file, and files that an image names are not opened; {CONVERT}"
                ),
            ),
            (
                has(2),
                format!(
                    "its data is in another file, and files that an image names are not opened; {CONVERT}"
                ),
            ),
            (self.encryption != 0, format!("it is encrypted; {CONVERT}")),
            (
                has(1),
                "it is marked as corrupt; `qemu-img check -r all` may mend it".to_owned(),
            ),
            (
                has(0),
                "it was not closed properly; `qemu-img check -r all` mends that".to_owned(),
            ),
            (
                has(3),
                format!("its compression is not deflate but, probably, zstd; {CONVERT}"),
            ),
            (has(4), format!("it has extended L2 entries; {CONVERT}")),
            (
                self.incompatible >> 5 != 0,
                format!("it needs features that we do not know; {CONVERT}"),
            ),
        ];
        match flaws.into_iter().find(|(is_so, _)| *is_so) {
            Some((_, reason)) => Err(bad(what, ImageFormat::Qcow2, reason)),
            None => Ok(()),
        }
    }
}

/// What is needed to tell whether the file holds all that the image refers to.
#[derive(Debug)]
struct Tables {
    file: File,
    file_size: u64,
    cluster_bits: u32,
    /// Where the second-level tables are, 0 for those that are not.
    level_2: Vec<u64>,
}

impl Tables {
    /// Makes sure that the tables cover the volume and lie within the file.
    fn read(file: File, file_size: u64, header: &Header, what: &str) -> Result<Self, VolumeError> {
        let cluster = 1 << header.cluster_bits;
        let entries = u64::from(header.l1_entries);
        let covered = entries
            .saturating_mul(cluster)
            .saturating_mul(cluster / ENTRY_BYTES);
        if covered < header.size || entries * ENTRY_BYTES > L1_BYTES_MAX {
            let reason = format!("its tables do not fit its size of {} bytes", header.size);
            return Err(bad(what, ImageFormat::Qcow2, reason));
        }
        let cluster_bits = header.cluster_bits;
        let mut tables = Self {
            file,
            file_size,
            cluster_bits,
            level_2: Vec::new(),
        };
        if !tables.holds(header.l1_offset, entries * ENTRY_BYTES) {
            return Err(truncated(what));
        }
        let mut bytes = vec![0; usize::try_from(entries * ENTRY_BYTES).unwrap_or_default()];
        let read = tables.file.read_exact_at(&mut bytes, header.l1_offset);
        read.map_err(|cause| failed(what, cause))?;
        tables.level_2 = bytes
            .chunks_exact(8)
            .map(|entry| be64(entry, 0) & L2_OFFSET_MASK)
            .collect();
        if tables
            .level_2
            .iter()
            .all(|offset| *offset == 0 || tables.holds(*offset, cluster))
        {
            Ok(tables)
        } else {
            Err(truncated(what))
        }
    }

    /// Tells whether those bytes of the file exist.
    fn holds(&self, offset: u64, length: u64) -> bool {
        offset
            .checked_add(length)
            .is_some_and(|end| end <= self.file_size)
    }

    /// Tells whether the file has all of the compressed cluster at `at` of the volume.
    ///
    /// The missing end of a compressed cluster could unpack to wrong bytes
    /// without complaint: the format has no checksum.
    fn holds_compressed(&self, at: u64, what: &str) -> Result<bool, VolumeError> {
        let entries_log2 = self.cluster_bits - 3;
        let cluster = at >> self.cluster_bits;
        let table = usize::try_from(cluster >> entries_log2).unwrap_or(usize::MAX);
        let Some(table) = self.level_2.get(table) else {
            return Ok(false);
        };
        let entry = table + (cluster & ((1 << entries_log2) - 1)) * ENTRY_BYTES;
        let mut bytes = [0; 8];
        self.file
            .read_exact_at(&mut bytes, entry)
            .map_err(|cause| failed(what, cause))?;
        let entry = be64(&bytes, 0);
        let length_bits = self.cluster_bits - 8;
        let offset_bits = 62 - length_bits;
        let offset = entry & ((1 << offset_bits) - 1);
        let sectors = ((entry >> offset_bits) & ((1 << length_bits) - 1)) + 1;
        Ok(self.holds(offset - offset % SECTOR_BYTES, sectors * SECTOR_BYTES))
    }
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4]
        .iter()
        .fold(0, |number, byte| number << 8 | u32::from(*byte))
}

fn be64(bytes: &[u8], at: usize) -> u64 {
    u64::from(be32(bytes, at)) << 32 | u64::from(be32(bytes, at + 4))
}

fn truncated(what: &str) -> VolumeError {
    bad(
        what,
        ImageFormat::Qcow2,
        "it refers to bytes past the end of the file: it is cut short or damaged",
    )
}

/// Tells damage, for which imago has its own words, from errors of the system.
fn failed(what: &str, cause: io::Error) -> VolumeError {
    if cause.raw_os_error().is_some() {
        VolumeError::io(format!("reading {what}"), cause)
    } else {
        bad(what, ImageFormat::Qcow2, cause.to_string())
    }
}
