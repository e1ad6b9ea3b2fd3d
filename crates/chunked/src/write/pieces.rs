//! Reads a stretch of a volume and digests it.

use std::ops::Range;

use aws_lc_rs::digest::{Context, SHA256};
use emberkeep_volumes::{ExtentKind, SourceSnapshot, VolumeError};
use md5::{Digest, Md5};

use crate::error::ChunkedError;
use crate::pool::PIECE;
use crate::port::Watch;
use crate::sha_list::Hash;

/// Bytes asked about at once when looking for something other than zeroes.
const SPAN: u64 = 64 << 20;

/// A stretch of a volume, piece by piece. What the volume calls zero is not read.
pub(super) struct Pieces<'a> {
    source: &'a dyn SourceSnapshot,
    watch: &'a dyn Watch,
    left: Range<u64>,
    buffer: Vec<u8>,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(
        source: &'a dyn SourceSnapshot,
        watch: &'a dyn Watch,
        range: Range<u64>,
    ) -> Self {
        Self {
            source,
            watch,
            left: range,
            buffer: Vec::new(),
        }
    }

    /// Tells whether the volume knows all of it to be zero.
    pub(super) fn all_zero(&self) -> Result<bool, VolumeError> {
        let mut at = self.left.start;
        while at < self.left.end {
            let span = at..self.left.end.min(at + SPAN);
            at = span.end;
            let (_, extents) = self.source.extents(span, None)?;
            if extents.iter().any(|extent| extent.kind != ExtentKind::Zero) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns the next piece; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, ChunkedError> {
        if self.left.is_empty() {
            return Ok(None);
        }
        if self.watch.is_cancelled() {
            return Err(ChunkedError::Cancelled);
        }
        let length = (self.left.end - self.left.start).min(PIECE as u64);
        let range = self.left.start..self.left.start + length;
        let place = |at: u64| usize::try_from(at - range.start).expect("within a piece");
        self.buffer.clear();
        self.buffer.resize(place(range.end), 0);
        let (_, extents) = self.source.extents(range.clone(), None)?;
        for extent in extents {
            if extent.kind != ExtentKind::Zero {
                let bytes = place(extent.offset)..place(extent.offset + extent.length);
                self.source
                    .read_at(extent.offset, &mut self.buffer[bytes])?;
            }
        }
        self.left.start = range.end;
        Ok(Some(&self.buffer))
    }
}

/// Hashes the blocks of a stretch that begins where a block does.
pub(super) struct BlockHashes {
    block: usize,
    context: Context,
    filled: usize,
    hashes: Vec<Hash>,
    /// The hash of a whole block of zeroes.
    zero: Option<Hash>,
}

impl BlockHashes {
    pub(super) fn new(block_size: u32) -> Self {
        Self {
            block: block_size as usize,
            context: Context::new(&SHA256),
            filled: 0,
            hashes: Vec::new(),
            zero: None,
        }
    }

    pub(super) fn add(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() {
            let (now, later) = piece.split_at(piece.len().min(self.block - self.filled));
            self.context.update(now);
            self.filled += now.len();
            if self.filled == self.block {
                self.close();
            }
            piece = later;
        }
    }

    pub(super) fn add_zeroes(&mut self, length: u64) {
        static ZEROES: [u8; 64 << 10] = [0; 64 << 10];
        let mut left = length;
        while left > 0 {
            match self.zero {
                Some(zero) if self.filled == 0 && left >= self.block as u64 => {
                    self.hashes.push(zero);
                    left -= self.block as u64;
                }
                _ => {
                    let room = (self.block - self.filled).min(ZEROES.len()) as u64;
                    let now = left.min(room);
                    let (whole, before) = (self.filled == 0, self.hashes.len());
                    self.add(&ZEROES[..usize::try_from(now).expect("at most 64 KiB")]);
                    if whole && self.hashes.len() > before {
                        self.zero = self.hashes.last().copied();
                    }
                    left -= now;
                }
            }
        }
    }

    /// Returns the hashes, that of a short last block among them, and starts anew.
    pub(super) fn take(&mut self) -> Vec<Hash> {
        if self.filled > 0 {
            self.close();
        }
        std::mem::take(&mut self.hashes)
    }

    fn close(&mut self) {
        let full = std::mem::replace(&mut self.context, Context::new(&SHA256));
        let mut hash = [0; 32];
        hash.copy_from_slice(full.finish().as_ref());
        self.hashes.push(hash);
        self.filled = 0;
    }
}

/// What is computed of an object's bytes as they go by.
pub(super) struct Digests {
    md5: Md5,
    /// None where the hashes are known already.
    pub(super) blocks: Option<BlockHashes>,
}

impl Digests {
    pub(super) fn new(blocks: Option<BlockHashes>) -> Self {
        Self {
            md5: Md5::new(),
            blocks,
        }
    }

    pub(super) fn add(&mut self, piece: &[u8]) {
        self.md5.update(piece);
        if let Some(blocks) = &mut self.blocks {
            blocks.add(piece);
        }
    }

    pub(super) fn take_md5(&mut self) -> [u8; 16] {
        self.md5.finalize_reset().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeroes_hash_as_zeroes() {
        for block in [512, 32_768, 70_000, 200_000] {
            for length in [0, 1, 512, 70_000, 200_000, 1_000_001_usize] {
                let (mut known, mut read) = (BlockHashes::new(block), BlockHashes::new(block));
                known.add_zeroes(length as u64);
                read.add(&vec![0; length]);
                assert_eq!(known.take(), read.take(), "{length} in blocks of {block}");
                known.add_zeroes(length as u64);
                read.add(&vec![0; length]);
                assert_eq!(known.take(), read.take(), "again");
            }
        }
    }
}
