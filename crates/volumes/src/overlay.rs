//! A volume that can be written over one that cannot, and that can become whole by itself.
//!
//! The overlay is a sparse file with the bytes of the volume at their own places, and beside
//! it, as `<file>.map`, a bitmap of the blocks that are in it. A block that is not is read
//! from the base. A block gets its bit after its bytes were written, and the bit is stored
//! after the bytes are durable: whatever a crash interrupts, a stored bit never stands for
//! bytes that are not there. What a client has flushed is kept.
//!
//! [`Overlay::fill`] brings in, block by block, what is not there yet. Once that is done the
//! file is an image of its own and the base is not needed any more.

mod map;

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use emberkeep_model::ByteCount;
use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use crate::file::{check_range, data_and_holes, sync_parent};
use crate::zero::ZEROES;
use crate::{Extent, ExtentKind, SourceSnapshot, VolumeError};
use map::BlockMap;

/// The bytes that one bit stands for.
pub(crate) const BLOCK: u64 = 64 << 10;
/// Locks that blocks share.
const STRIPES: usize = 64;
/// Bytes brought in at once.
const FILL: u64 = 1 << 20;
/// Bytes made zero at once.
const HOLE: u64 = 64 << 20;
/// Bytes brought in before what is there is made durable.
const FLUSH_EVERY: u64 = 256 << 20;

/// A writable volume over a base that stays as it is.
pub struct Overlay {
    base: Arc<dyn SourceSnapshot>,
    file: File,
    map: BlockMap,
    size: u64,
    what: String,
    /// Held while a block comes into being, so that nobody else makes it too.
    stripes: [Mutex<()>; STRIPES],
    /// One flush at a time.
    flushing: Mutex<()>,
}

/// Whether filling goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filling {
    /// Go on.
    On,
    /// Stop here; another time goes on from where this one stopped.
    Stop,
}

impl Overlay {
    /// Opens the overlay at `path`, or makes it. `identity` names the base: an overlay goes
    /// with no other.
    pub fn open(
        path: &Path,
        base: Arc<dyn SourceSnapshot>,
        identity: &str,
    ) -> Result<Self, VolumeError> {
        let what = path.display().to_string();
        let failed = |cause| VolumeError::io(&what, cause);
        let size = base.size().0;
        let map_path = map::path_of(path);
        let is_new = !map_path.exists();
        if is_new && path.symlink_metadata().is_ok() {
            // Whatever it is, it was not made here.
            return Err(VolumeError::Exists { what });
        }
        let map = if is_new {
            BlockMap::create(&map_path, size, identity)?
        } else {
            BlockMap::open(&map_path, size, identity)?
        };
        let file = File::options()
            .read(true)
            .write(true)
            // Between making the map and making the file there may have been a crash.
            .create(map.is_empty())
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        if map.is_empty() {
            file.set_len(size)
                .and_then(|()| file.sync_all())
                .and_then(|()| sync_parent(path))
                .map_err(failed)?;
        } else if length != size {
            let reason = format!("it has {length} bytes, but its map is of {size}");
            return Err(VolumeError::OutOfRange { what, reason });
        }
        Ok(Self {
            base,
            file,
            map,
            size,
            what,
            stripes: std::array::from_fn(|_| Mutex::new(())),
            flushing: Mutex::new(()),
        })
    }

    /// Returns the size in bytes.
    pub fn size(&self) -> ByteCount {
        ByteCount(self.size)
    }

    /// Tells whether the file holds everything.
    pub fn is_complete(&self) -> bool {
        self.map.is_complete()
    }

    /// Returns how many bytes do not come from the base any more.
    pub fn present(&self) -> u64 {
        (self.map.count() * BLOCK).min(self.size)
    }

    /// Fills `buf` from `offset`.
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), VolumeError> {
        let end = self.checked(offset, buf.len() as u64)?;
        let mut rest = buf;
        for (run, present) in self.map.runs(offset..end) {
            let (part, later) = rest.split_at_mut(small(run.end - run.start));
            if present {
                self.file
                    .read_exact_at(part, run.start)
                    .map_err(|cause| self.failed("reading", cause))?;
            } else {
                self.base.read_at(run.start, part)?;
            }
            rest = later;
        }
        Ok(())
    }

    /// Writes all of `buf` at `offset`; durable after [`Overlay::flush`].
    pub fn write_at(&self, offset: u64, buf: &[u8]) -> Result<(), VolumeError> {
        self.checked(offset, buf.len() as u64)?;
        let mut at = offset;
        let mut rest = buf;
        while !rest.is_empty() {
            let block = at / BLOCK;
            let until = self.block_range(block).end;
            let (part, later) = rest.split_at(rest.len().min(small(until - at)));
            self.write_block(block, at, part)?;
            at += part.len() as u64;
            rest = later;
        }
        Ok(())
    }

    fn write_block(&self, block: u64, at: u64, part: &[u8]) -> Result<(), VolumeError> {
        let writing = |cause| self.failed("writing", cause);
        let _alone = self.stripe(block);
        let range = self.block_range(block);
        if self.map.has(block) {
            return self.file.write_all_at(part, at).map_err(writing);
        }
        if at == range.start && at + part.len() as u64 == range.end {
            self.file.write_all_at(part, at).map_err(writing)?;
        } else {
            let mut whole = vec![0; small(range.end - range.start)];
            self.base.read_at(range.start, &mut whole)?;
            let skip = small(at - range.start);
            whole[skip..skip + part.len()].copy_from_slice(part);
            self.file
                .write_all_at(&whole, range.start)
                .map_err(writing)?;
        }
        self.map.add(block..block + 1);
        Ok(())
    }

    /// Makes a range zero; it takes no room in the file.
    pub fn zero(&self, range: Range<u64>) -> Result<(), VolumeError> {
        self.checked(range.start, range.end.saturating_sub(range.start))?;
        let first = range.start.div_ceil(BLOCK);
        // The last block of the volume may be a short one, and is whole all the same.
        let last = if range.end == self.size {
            self.size.div_ceil(BLOCK)
        } else {
            range.end / BLOCK
        };
        if first >= last {
            return self.write_zeroes(range);
        }
        self.write_zeroes(range.start..first * BLOCK)?;
        self.write_zeroes((last * BLOCK).min(range.end)..range.end)?;
        for blocks in pieces(first..last, HOLE / BLOCK) {
            let _alone = self.all_stripes();
            self.punch(self.bytes_of(&blocks))?;
            self.map.add(blocks);
        }
        Ok(())
    }

    fn write_zeroes(&self, range: Range<u64>) -> Result<(), VolumeError> {
        let mut at = range.start;
        while at < range.end {
            let count = small(range.end - at).min(ZEROES.len());
            self.write_at(at, &ZEROES[..count])?;
            at += count as u64;
        }
        Ok(())
    }

    fn punch(&self, range: Range<u64>) -> Result<(), VolumeError> {
        let how = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let length = range.end - range.start;
        match rustix::fs::fallocate(&self.file, how, range.start, length) {
            Ok(()) => Ok(()),
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INTR) => {
                let mut at = range.start;
                while at < range.end {
                    let count = small(range.end - at).min(ZEROES.len());
                    self.file
                        .write_all_at(&ZEROES[..count], at)
                        .map_err(|cause| self.failed("writing", cause))?;
                    at += count as u64;
                }
                Ok(())
            }
            Err(cause) => Err(self.failed("writing", cause.into())),
        }
    }

    /// Makes everything that was written durable: first the bytes, then the bits.
    pub fn flush(&self) -> Result<(), VolumeError> {
        let _alone = lock(&self.flushing);
        // Bits that are set from here on wait for the next flush, as their bytes do.
        let dirty = self.map.take_dirty();
        let stored = self.file.sync_data().and_then(|()| self.map.store(&dirty));
        stored.map_err(|cause| {
            self.map.put_back(dirty);
            self.failed("flushing", cause)
        })
    }

    /// Tells data from what reads as zeroes.
    pub fn extents(&self, range: Range<u64>) -> Result<Vec<Extent>, VolumeError> {
        self.checked(range.start, range.end.saturating_sub(range.start))?;
        let mut extents: Vec<Extent> = Vec::new();
        for (run, present) in self.map.runs(range) {
            let found = if present {
                data_and_holes(&self.file, run).map_err(|cause| self.failed("reading", cause))?
            } else {
                self.base.extents(run, None)?.1
            };
            for extent in found {
                match extents.last_mut() {
                    Some(last) if last.kind == extent.kind => last.length += extent.length,
                    _ => extents.push(extent),
                }
            }
        }
        Ok(extents)
    }

    /// Brings in everything that is not there yet, from front to back, while others read and
    /// write. `watch` is told how many bytes are there. Returns whether the file is whole now.
    pub fn fill(&self, mut watch: impl FnMut(u64) -> Filling) -> Result<bool, VolumeError> {
        let blocks = self.size.div_ceil(BLOCK);
        let mut buf = Vec::new();
        let mut unflushed = 0;
        for piece in pieces(0..blocks, HOLE / BLOCK) {
            for (run, present) in self.map.runs(self.bytes_of(&piece)) {
                if present {
                    continue;
                }
                for extent in self.base.extents(run, None)?.1 {
                    let range = extent.offset..extent.offset + extent.length;
                    if extent.kind == ExtentKind::Zero {
                        self.fill_zeroes(range)?;
                        continue;
                    }
                    for part in pieces(range, FILL) {
                        self.fill_data(part.clone(), &mut buf)?;
                        unflushed += part.end - part.start;
                        if watch(self.present()) == Filling::Stop {
                            self.flush()?;
                            return Ok(false);
                        }
                        if unflushed >= FLUSH_EVERY {
                            self.flush()?;
                            unflushed = 0;
                        }
                    }
                }
            }
            if watch(self.present()) == Filling::Stop {
                self.flush()?;
                return Ok(false);
            }
        }
        // Whatever the base tells in pieces that are no whole blocks.
        for (run, present) in self.map.runs(0..self.size) {
            for part in pieces(run, FILL).filter(|_| !present) {
                self.fill_data(part, &mut buf)?;
            }
        }
        self.flush()?;
        self.map
            .complete()
            .map_err(|cause| self.failed("completing", cause))?;
        Ok(true)
    }

    /// Brings in the blocks that a stretch of data touches.
    fn fill_data(&self, range: Range<u64>, buf: &mut Vec<u8>) -> Result<(), VolumeError> {
        let blocks = range.start / BLOCK..range.end.div_ceil(BLOCK);
        let bytes = self.bytes_of(&blocks);
        if blocks.clone().all(|block| self.map.has(block)) {
            return Ok(());
        }
        buf.resize(small(bytes.end - bytes.start), 0);
        // The base never changes, so that no lock is needed to read it.
        self.base.read_at(bytes.start, buf)?;
        for block in blocks {
            let _alone = self.stripe(block);
            if !self.map.has(block) {
                let range = self.block_range(block);
                let part = small(range.start - bytes.start)..small(range.end - bytes.start);
                self.file
                    .write_all_at(&buf[part], range.start)
                    .map_err(|cause| self.failed("writing", cause))?;
                self.map.add(block..block + 1);
            }
        }
        Ok(())
    }

    /// Takes note that whole blocks are zero. Where an interrupted run has left bytes whose
    /// bits were never stored, they go.
    fn fill_zeroes(&self, range: Range<u64>) -> Result<(), VolumeError> {
        let first = range.start.div_ceil(BLOCK);
        let last = if range.end == self.size {
            self.size.div_ceil(BLOCK)
        } else {
            range.end / BLOCK
        };
        if first >= last {
            // Blocks that are partly data are brought in with it.
            return Ok(());
        }
        let _alone = self.all_stripes();
        for (run, present) in self.map.runs(self.bytes_of(&(first..last))) {
            if !present {
                self.punch(run.clone())?;
                self.map.add(run.start / BLOCK..run.end.div_ceil(BLOCK));
            }
        }
        Ok(())
    }

    fn checked(&self, offset: u64, length: u64) -> Result<u64, VolumeError> {
        check_range(&self.what, offset, length, self.size)
    }

    fn block_range(&self, block: u64) -> Range<u64> {
        self.bytes_of(&(block..block + 1))
    }

    fn bytes_of(&self, blocks: &Range<u64>) -> Range<u64> {
        blocks.start * BLOCK..(blocks.end * BLOCK).min(self.size)
    }

    fn stripe(&self, block: u64) -> MutexGuard<'_, ()> {
        lock(&self.stripes[small(block % STRIPES as u64)])
    }

    /// Always in the same order, so that two who want all do not wait for each other.
    fn all_stripes(&self) -> Vec<MutexGuard<'_, ()>> {
        self.stripes.iter().map(lock).collect()
    }

    fn failed(&self, doing: &str, cause: std::io::Error) -> VolumeError {
        VolumeError::io(format!("{doing} {}", self.what), cause)
    }
}

fn lock(mutex: &Mutex<()>) -> MutexGuard<'_, ()> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Cuts a range into pieces that end at multiples of `step`.
fn pieces(range: Range<u64>, step: u64) -> impl Iterator<Item = Range<u64>> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        (at < range.end).then(|| {
            let end = ((at / step + 1) * step).min(range.end);
            let piece = at..end;
            at = end;
            piece
        })
    })
}

fn small(length: u64) -> usize {
    usize::try_from(length).expect("pieces fit the memory")
}

#[cfg(test)]
mod tests;
