//! Moves the living chunks of mostly dead packs into new ones.

use std::collections::BTreeSet;
use std::sync::mpsc::{channel, sync_channel};

use emberkeep_format::{Decompressor, FormatError, IndexEntry, PackId, PackKind, open_chunk};

use super::Sweep;
use super::mark::{Marks, keeper};
use crate::damage::ReadError;
use crate::error::SweepError;
use crate::index::Index;
use crate::packs::{PackFiller, Uploader};

/// Bytes read at once.
const SPAN: u32 = 4 << 20;

/// What was moved.
#[derive(Default)]
pub(super) struct Moved {
    /// Packs that hold nothing any more that is needed and not elsewhere.
    pub(super) packs: Vec<PackId>,
    /// Bytes of chunks moved.
    pub(super) bytes: u64,
}

/// Why moving stopped.
enum Halt {
    Failed(SweepError),
    UploaderGone,
}

impl<T: Into<SweepError>> From<T> for Halt {
    fn from(cause: T) -> Self {
        Self::Failed(cause.into())
    }
}

/// Moves what is needed of `packs`. Each chunk is opened and verified on the way; a pack in
/// which one is damaged stays as it is. New packs and their index run are durable on return.
pub(super) fn repack(
    sweep: &Sweep<'_>,
    index: &Index,
    live: &Marks,
    packs: &[PackId],
) -> Result<Moved, SweepError> {
    if packs.is_empty() {
        return Ok(Moved::default());
    }
    let wanted: BTreeSet<PackId> = packs.iter().copied().collect();
    let mut entries: Vec<IndexEntry> = Vec::new();
    let mut chunks = index.chunks();
    while let Some((at, places)) = chunks.next() {
        let kept = live.get(at).then(|| keeper(index, places)).flatten();
        let is_wanted =
            |entry: &&IndexEntry| wanted.contains(&index.packs()[entry.pack as usize].pack);
        entries.extend(kept.filter(is_wanted));
    }
    entries.sort_unstable_by_key(|entry| (entry.pack, entry.offset));
    let (closed, uploads) = sync_channel(0);
    let (spent, buffers) = channel();
    let space = sweep.space;
    let (moved, stored) = std::thread::scope(|scope| {
        let uploader = scope.spawn(|| {
            let uploads = uploads;
            Uploader::new(space, sweep.run).work(&uploads, &spent)
        });
        let filler = |kind| PackFiller::new(space, kind, closed.clone(), &buffers);
        let mut mover = Mover {
            sweep,
            index,
            data: filler(PackKind::Data),
            map: filler(PackKind::Map),
        };
        drop(closed);
        let moved = mover.work(&entries);
        drop(mover);
        let stored = uploader
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (moved, stored)
    });
    stored?;
    match moved {
        Ok(moved) => Ok(moved),
        Err(Halt::Failed(cause)) => Err(cause),
        Err(Halt::UploaderGone) => unreachable!("an uploader that gives up says why"),
    }
}

struct Mover<'a> {
    sweep: &'a Sweep<'a>,
    index: &'a Index,
    data: PackFiller<'a>,
    map: PackFiller<'a>,
}

impl Mover<'_> {
    fn work(&mut self, entries: &[IndexEntry]) -> Result<Moved, Halt> {
        let mut decoder = Decompressor::new().map_err(SweepError::Decompressor)?;
        let mut moved = Moved::default();
        for group in entries.chunk_by(|a, b| a.pack == b.pack) {
            let pack = self.index.packs()[group[0].pack as usize].pack;
            match self.move_pack(group, &mut decoder) {
                Ok(bytes) => {
                    moved.bytes += bytes;
                    moved.packs.push(pack);
                }
                Err(Halt::Failed(SweepError::Damaged(damage))) => {
                    tracing::warn!(%damage, "a pack is damaged and stays as it is; run check");
                }
                Err(halt) => return Err(halt),
            }
        }
        for filler in [&mut self.data, &mut self.map] {
            filler.close().map_err(|_| Halt::UploaderGone)?;
        }
        Ok(moved)
    }

    fn move_pack(
        &mut self,
        mut entries: &[IndexEntry],
        decoder: &mut Decompressor,
    ) -> Result<u64, Halt> {
        let space = self.sweep.space;
        let record = self.index.packs()[entries[0].pack as usize];
        let name = space.names.pack(record.pack);
        let key = space.keys.pack(record.pack);
        let mut bytes = 0;
        while let Some(first) = entries.first() {
            self.sweep.not_cancelled()?;
            let start = first.offset;
            let near = |e: &&IndexEntry| e.offset == start || e.offset - start < SPAN;
            let count = entries.iter().take_while(near).count();
            let (group, rest) = entries.split_at(count);
            entries = rest;
            let end = group
                .last()
                .map_or(start, |last| last.offset + last.sealed_len);
            let mut read = space
                .store
                .get_range(&name, start.into()..end.into())
                .map_err(ReadError::from_store)?;
            for entry in group {
                let toc = entry.toc();
                let at = (entry.offset - start) as usize;
                let sealed = &mut read[at..at + entry.sealed_len as usize];
                let damaged = |cause: FormatError| {
                    ReadError::damaged(&name, Some(entry.offset.into()), cause)
                };
                let encoded = open_chunk(&key, &toc, sealed).map_err(damaged)?;
                let plain = decoder
                    .decode(encoded, toc.encoding, toc.plain_len)
                    .map_err(damaged)?;
                if space.keys.chunk_ids.id(plain) != entry.id {
                    return Err(damaged(FormatError::WrongChunk).into());
                }
                let filler = match record.kind {
                    PackKind::Data => &mut self.data,
                    PackKind::Map => &mut self.map,
                };
                filler
                    .push(entry.id, toc.plain_len, toc.encoding, encoded)
                    .map_err(|_| Halt::UploaderGone)?;
                bytes += u64::from(entry.sealed_len);
            }
        }
        Ok(bytes)
    }
}
