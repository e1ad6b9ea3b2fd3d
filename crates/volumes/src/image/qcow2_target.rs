//! Writes a new qcow2 image, in any order and from several threads.
//!
//! The tables come first, each at a place that follows from the size of the volume, as holes until they
//! are used; clusters follow in the order in which they are first written. At the end every cluster of the
//! file is in use exactly once, so that the reference counts, written last, are all 1.

use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use emberkeep_model::ByteCount;

use crate::file::check_range;
use crate::{FileTarget, RestoreTarget, TargetState, VolumeError};

const CLUSTER: u64 = 1 << CLUSTER_BITS;
const CLUSTER_BITS: u32 = 16;
/// Entries in a table of the second level, which takes one cluster.
const L2_ENTRIES: u64 = CLUSTER / 8;
/// Reference counts of 16 bits in a cluster.
const COUNTS: u64 = CLUSTER / 2;
/// Says that what an entry points to is used once, and may be written in place.
const USED_ONCE: u64 = 1 << 63;
const VERSION: u32 = 3;
const HEADER_BYTES: u32 = 104;
/// 16 bits for a reference count: two to the power of this.
const COUNT_BITS_LOG: u32 = 4;

/// A qcow2 image being written.
#[derive(Debug)]
pub struct Qcow2Target {
    file: FileTarget,
    what: String,
    size: u64,
    l1_entries: u64,
    /// The cluster that is allocated next.
    next: Mutex<u64>,
}

impl Qcow2Target {
    /// Makes a new image of a volume of `size` bytes. As for [`FileTarget::create_new`], it gets its
    /// name when it is finished.
    pub fn create_new(path: impl AsRef<Path>, size: ByteCount) -> Result<Self, VolumeError> {
        let path = path.as_ref();
        let clusters = size.0.div_ceil(CLUSTER);
        let l1_entries = clusters.div_ceil(L2_ENTRIES);
        let first = first_free(l1_entries);
        let most = first + clusters;
        let most = most + counting_clusters(most).total();
        let file = FileTarget::create_new(path, ByteCount(most * CLUSTER))?;
        for entry in 0..l1_entries {
            let table = (l2_place(l1_entries, entry)) | USED_ONCE;
            file.write_at(CLUSTER + entry * 8, &table.to_be_bytes())?;
        }
        Ok(Self {
            file,
            what: path.display().to_string(),
            size: size.0,
            l1_entries,
            next: Mutex::new(first),
        })
    }

    fn next(&self) -> MutexGuard<'_, u64> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns where the entry of a cluster stands.
    fn entry_place(&self, cluster: u64) -> u64 {
        l2_place(self.l1_entries, cluster / L2_ENTRIES) + cluster % L2_ENTRIES * 8
    }

    /// Returns where a cluster lies in the file; none if it was never written.
    fn place(&self, cluster: u64) -> Result<Option<u64>, VolumeError> {
        let mut entry = [0; 8];
        self.file.read_at(self.entry_place(cluster), &mut entry)?;
        let entry = u64::from_be_bytes(entry);
        Ok((entry != 0).then_some(entry & !USED_ONCE))
    }

    /// The same, giving it a place if it has none.
    fn place_to_write(&self, cluster: u64) -> Result<u64, VolumeError> {
        let mut next = self.next();
        if let Some(place) = self.place(cluster)? {
            return Ok(place);
        }
        let place = *next * CLUSTER;
        let entry = place | USED_ONCE;
        self.file
            .write_at(self.entry_place(cluster), &entry.to_be_bytes())?;
        *next += 1;
        Ok(place)
    }

    /// Calls `each` with every cluster of a range, where in it the range begins, and which bytes of
    /// the range it holds.
    fn each_cluster(
        range: Range<u64>,
        mut each: impl FnMut(u64, u64, Range<usize>) -> Result<(), VolumeError>,
    ) -> Result<(), VolumeError> {
        let mut at = range.start;
        let place = |at: u64| usize::try_from(at - range.start).expect("within a buffer");
        while at < range.end {
            let cluster = at / CLUSTER;
            let end = range.end.min((cluster + 1) * CLUSTER);
            each(cluster, at % CLUSTER, place(at)..place(end))?;
            at = end;
        }
        Ok(())
    }

    /// Writes the reference counts and the header.
    fn close(&self, used: u64) -> Result<u64, VolumeError> {
        let counting = counting_clusters(used);
        let total = used + counting.total();
        let ones: Vec<u8> = [0, 1].repeat(usize::try_from(CLUSTER / 2).expect("fits"));
        for block in 0..counting.blocks {
            let counts = (total - block * COUNTS).min(COUNTS);
            let bytes = usize::try_from(counts * 2).expect("fits");
            self.file
                .write_at((used + block) * CLUSTER, &ones[..bytes])?;
        }
        let table = (used + counting.blocks) * CLUSTER;
        for block in 0..counting.blocks {
            let place = (used + block) * CLUSTER;
            self.file
                .write_at(table + block * 8, &place.to_be_bytes())?;
        }
        let small = |number: u64| {
            u32::try_from(number).map_err(|_| VolumeError::OutOfRange {
                what: self.what.clone(),
                reason: "the volume is too large for the format".to_owned(),
            })
        };
        let mut header = Vec::with_capacity(HEADER_BYTES as usize);
        header.extend(b"QFI\xfb");
        header.extend(VERSION.to_be_bytes());
        // No backing file.
        header.extend([0; 12]);
        header.extend(CLUSTER_BITS.to_be_bytes());
        header.extend(self.size.to_be_bytes());
        // Not encrypted.
        header.extend([0; 4]);
        header.extend(small(self.l1_entries)?.to_be_bytes());
        header.extend(CLUSTER.to_be_bytes());
        header.extend(table.to_be_bytes());
        header.extend(small(counting.tables)?.to_be_bytes());
        // No snapshots, no features.
        header.extend([0; 36]);
        header.extend(COUNT_BITS_LOG.to_be_bytes());
        header.extend(HEADER_BYTES.to_be_bytes());
        self.file.write_at(0, &header)?;
        Ok(total * CLUSTER)
    }
}

/// Returns the first cluster behind header and tables.
fn first_free(l1_entries: u64) -> u64 {
    1 + (l1_entries * 8).div_ceil(CLUSTER) + l1_entries
}

fn l2_place(l1_entries: u64, table: u64) -> u64 {
    (1 + (l1_entries * 8).div_ceil(CLUSTER) + table) * CLUSTER
}

/// What counting the clusters of a file takes.
struct Counting {
    blocks: u64,
    tables: u64,
}

impl Counting {
    fn total(&self) -> u64 {
        self.blocks + self.tables
    }
}

/// Counts what is needed to count `used` clusters and what counts them.
fn counting_clusters(used: u64) -> Counting {
    let mut counting = Counting {
        blocks: 1,
        tables: 1,
    };
    loop {
        let blocks = (used + counting.total()).div_ceil(COUNTS);
        let tables = (blocks * 8).div_ceil(CLUSTER);
        if (blocks, tables) == (counting.blocks, counting.tables) {
            return counting;
        }
        counting = Counting { blocks, tables };
    }
}

impl RestoreTarget for Qcow2Target {
    fn size(&self) -> ByteCount {
        ByteCount(self.size)
    }

    fn state(&self) -> TargetState {
        TargetState::Zeroed
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), VolumeError> {
        let end = check_range(&self.what, offset, buf.len() as u64, self.size)?;
        Self::each_cluster(offset..end, |cluster, within, part| {
            match self.place(cluster)? {
                Some(place) => self.file.read_at(place + within, &mut buf[part]),
                None => {
                    buf[part].fill(0);
                    Ok(())
                }
            }
        })
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> Result<(), VolumeError> {
        let end = check_range(&self.what, offset, buf.len() as u64, self.size)?;
        Self::each_cluster(offset..end, |cluster, within, part| {
            let place = self.place_to_write(cluster)?;
            self.file.write_at(place + within, &buf[part])
        })
    }

    fn zero(&self, range: Range<u64>) -> Result<(), VolumeError> {
        let length = range.end.saturating_sub(range.start);
        check_range(&self.what, range.start, length, self.size)?;
        let mut at = range.start;
        while at < range.end {
            let cluster = at / CLUSTER;
            let end = range.end.min((cluster + 1) * CLUSTER);
            if let Some(place) = self.place(cluster)? {
                let start = place + at % CLUSTER;
                self.file.zero(start..start + (end - at))?;
            }
            at = end;
        }
        Ok(())
    }

    fn finish(&self) -> Result<(), VolumeError> {
        let next = self.next();
        let end = self.close(*next)?;
        self.file.cut(end)?;
        self.file.finish()
    }
}

#[cfg(all(test, feature = "qcow2"))]
mod tests {
    use super::*;
    use crate::{ImageFormat, open_image};

    #[test]
    fn what_was_written_is_read_back() {
        for size in [1, 513, CLUSTER, 3 * CLUSTER + 5, L2_ENTRIES * CLUSTER + 9] {
            let dir = tempfile::tempdir().expect("a directory");
            let path = dir.path().join("disk.qcow2");
            let target = Qcow2Target::create_new(&path, ByteCount(size)).expect("begins");
            let mut writes = vec![(size - 1, vec![7; 1])];
            if size > CLUSTER {
                // Across a border, before and after what is there already.
                writes.push((
                    CLUSTER - 3,
                    vec![8; usize::try_from((size - CLUSTER + 3).min(6)).expect("small")],
                ));
                writes.push((10, vec![9; 20]));
            }
            for (offset, bytes) in &writes {
                target.write_at(*offset, bytes).expect("writes");
            }
            assert!(!path.exists(), "{size}: it has its name too early");
            target.finish().expect("ends");
            drop(target);
            let source = open_image(&path, Some(ImageFormat::Qcow2)).expect("opens");
            assert!(source.size().0 >= size, "{size}");
            for (offset, bytes) in &writes {
                let mut got = vec![0; bytes.len()];
                source.read_at(*offset, &mut got).expect("reads");
                assert_eq!(&got, bytes, "{size} at {offset}");
            }
            let mut hole = [1; 8];
            if size > CLUSTER {
                source.read_at(100, &mut hole).expect("reads");
                assert_eq!(hole, [0; 8], "{size}");
            }
        }
    }
}
