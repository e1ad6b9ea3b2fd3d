//! Reads chunks: joins neighbours into ranged reads, opens, expands and verifies each.

use std::collections::HashMap;

use emberkeep_format::{
    ChunkId, Decompressor, FormatError, IndexEntry, SealKey, TocEntry, open_chunk,
};

use crate::damage::{DamageCause, ReadError};
use crate::index::Index;
use crate::run::Run;
use crate::space::Space;

/// The longest range asked for at once; bounds a reader's memory.
const SPAN: u64 = 4 << 20;
/// Pack keys kept at hand.
const KEYS: usize = 64;

/// Reads chunks of one project; one for each thread.
pub(crate) struct ChunkReader<'a> {
    space: &'a Space,
    index: &'a Index,
    run: &'a Run,
    decoder: Decompressor,
    keys: HashMap<u32, SealKey>,
    /// What was read last; new memory costs as much as filling it.
    sealed: Vec<u8>,
}

/// Where chunks are expanded to.
pub(crate) trait Sink {
    /// Why no more chunks are wanted.
    type Error: From<ReadError>;

    /// Returns the room for the chunk at `at` of those wanted, which is `len` bytes long.
    fn room(&mut self, at: usize, len: usize) -> Result<&mut [u8], Self::Error>;

    /// Takes the chunk over that was expanded to its room, and verified.
    fn filled(&mut self, at: usize) -> Result<(), Self::Error>;
}

/// Hands each chunk to a function.
struct HandOut<F> {
    room: Vec<u8>,
    sink: F,
}

impl<E: From<ReadError>, F: FnMut(usize, &[u8]) -> Result<(), E>> Sink for HandOut<F> {
    type Error = E;

    fn room(&mut self, _at: usize, len: usize) -> Result<&mut [u8], E> {
        self.room.resize(len, 0);
        Ok(&mut self.room)
    }

    fn filled(&mut self, at: usize) -> Result<(), E> {
        (self.sink)(at, &self.room)
    }
}

fn hand_over<S: Sink>(sink: &mut S, at: usize, plain: &[u8]) -> Result<(), S::Error> {
    sink.room(at, plain.len())?.copy_from_slice(plain);
    sink.filled(at)
}

impl<'a> ChunkReader<'a> {
    pub(crate) fn new(space: &'a Space, index: &'a Index, run: &'a Run) -> std::io::Result<Self> {
        Ok(Self {
            space,
            index,
            run,
            decoder: Decompressor::new()?,
            keys: HashMap::new(),
            sealed: Vec::new(),
        })
    }

    /// Hands the plaintext of every wanted chunk to `sink`, with its place in `ids`, in the
    /// order in which the chunks lie in the store. The same chunk may be wanted twice.
    pub(crate) fn fetch<E: From<ReadError>>(
        &mut self,
        ids: &[ChunkId],
        sink: impl FnMut(usize, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut sink = HandOut {
            room: Vec::new(),
            sink,
        };
        self.fetch_to(ids, &mut sink)
    }

    /// Expands every wanted chunk to where `sink` wants it, as [`ChunkReader::fetch`] does.
    pub(crate) fn fetch_to<S: Sink>(
        &mut self,
        ids: &[ChunkId],
        sink: &mut S,
    ) -> Result<(), S::Error> {
        let mut wants = Vec::with_capacity(ids.len());
        for (at, id) in ids.iter().enumerate() {
            let entry = self.index.best(id).ok_or_else(|| {
                ReadError::damaged(self.space.names.packs(), None, DamageCause::NoLocation(*id))
            })?;
            wants.push((entry, at));
        }
        wants.sort_unstable_by_key(|(entry, at)| (entry.pack, entry.offset, *at));
        let gap = self.space.store.gap();
        let mut rest = &wants[..];
        while let Some((first, _)) = rest.first() {
            let (start, mut end) = (u64::from(first.offset), end_of(first));
            let count = rest
                .iter()
                .take_while(|(entry, _)| {
                    let fits = entry.pack == first.pack
                        && u64::from(entry.offset) <= end + gap
                        && end_of(entry) <= (start + SPAN).max(end_of(first));
                    if fits {
                        end = end.max(end_of(entry));
                    }
                    fits
                })
                .count();
            let (group, later) = rest.split_at(count);
            self.fetch_group(group, start..end, sink)?;
            rest = later;
        }
        Ok(())
    }

    /// Exchanges the buffer for what is read with the caller's, so that many readers need
    /// not have one each.
    pub(crate) fn swap_buffer(&mut self, other: &mut Vec<u8>) {
        std::mem::swap(&mut self.sealed, other);
    }

    /// Returns one chunk's plaintext.
    pub(crate) fn fetch_one(&mut self, id: ChunkId) -> Result<Vec<u8>, ReadError> {
        let mut found = Vec::new();
        self.fetch(&[id], |_, plain| {
            found.extend_from_slice(plain);
            Ok::<_, ReadError>(())
        })?;
        Ok(found)
    }

    fn fetch_group<S: Sink>(
        &mut self,
        group: &[(IndexEntry, usize)],
        range: std::ops::Range<u64>,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        let name = self.pack_name(group[0].0.pack);
        let base = range.start;
        let mut bytes = std::mem::take(&mut self.sealed);
        let read = self.space.store.get_range_into(&name, range, &mut bytes);
        match read.map_err(ReadError::from_store) {
            Ok(()) => {}
            Err(cause @ ReadError::Damaged(_)) => {
                // The chunks may be there one by one, or elsewhere.
                let mut first = Some(cause);
                for (entry, at) in group {
                    let plain = self.fetch_elsewhere(entry, None).map_err(|cause| {
                        first.take().filter(ReadError::is_missing).unwrap_or(cause)
                    })?;
                    hand_over(sink, *at, &plain)?;
                }
                return Ok(());
            }
            Err(cause) => return Err(cause.into()),
        }
        self.run.add_read(bytes.len() as u64);
        for twins in group.chunk_by(|(a, _), (b, _)| a.offset == b.offset) {
            let entry = twins[0].0;
            #[expect(clippy::cast_possible_truncation, reason = "a range is 16 MiB at most")]
            let start = (u64::from(entry.offset) - base) as usize;
            let sealed = &mut bytes[start..start + entry.sealed_len as usize];
            let key = key_of(&mut self.keys, self.space, self.index, entry.pack);
            let toc = entry.toc();
            let encoded = open_chunk(key, &toc, sealed);
            for (_, at) in twins {
                let room = sink.room(*at, toc.plain_len as usize)?;
                let expanded = encoded.as_ref().is_ok_and(|encoded| {
                    let done = self.decoder.decode_into(encoded, toc.encoding, room);
                    done.is_ok() && self.space.keys.chunk_ids.id(room) == toc.id
                });
                if !expanded {
                    // Once more, for the reason; elsewhere the chunk may be sound.
                    let failed = self.fetch_at(&entry).err();
                    let plain = self.fetch_elsewhere(&entry, failed)?;
                    hand_over(sink, *at, &plain)?;
                    continue;
                }
                sink.filled(*at)?;
            }
        }
        self.sealed = bytes;
        Ok(())
    }

    /// Reads a chunk from any of its places; `failed` is why its best one is out of the question.
    fn fetch_elsewhere(
        &mut self,
        best: &IndexEntry,
        failed: Option<ReadError>,
    ) -> Result<Vec<u8>, ReadError> {
        let mut first = failed;
        let skip = first.is_some();
        for entry in self.index.locations(&best.id) {
            if skip && entry == *best {
                continue;
            }
            match self.fetch_at(&entry) {
                Ok(plain) => return Ok(plain),
                Err(cause @ ReadError::Damaged(_)) => {
                    first.get_or_insert(cause);
                }
                Err(cause) => return Err(cause),
            }
        }
        Err(first.unwrap_or_else(|| {
            let cause = DamageCause::NoLocation(best.id);
            ReadError::damaged(self.space.names.packs(), None, cause)
        }))
    }

    fn fetch_at(&mut self, entry: &IndexEntry) -> Result<Vec<u8>, ReadError> {
        let name = self.pack_name(entry.pack);
        let range = u64::from(entry.offset)..end_of(entry);
        let mut sealed = self
            .space
            .store
            .get_range(&name, range)
            .map_err(ReadError::from_store)?;
        let key = key_of(&mut self.keys, self.space, self.index, entry.pack);
        open_verified(
            self.space,
            key,
            &mut self.decoder,
            &entry.toc(),
            &mut sealed,
        )
        .map(<[u8]>::to_vec)
        .map_err(|cause| ReadError::damaged(name, Some(entry.offset.into()), cause))
    }

    fn pack_name(&self, pack: u32) -> String {
        self.space
            .names
            .pack(self.index.packs()[pack as usize].pack)
    }
}

/// Opens one sealed chunk, expands it and compares it with its id.
pub(crate) fn open_verified<'b>(
    space: &Space,
    key: &SealKey,
    decoder: &'b mut Decompressor,
    entry: &TocEntry,
    sealed: &'b mut [u8],
) -> Result<&'b [u8], FormatError> {
    let encoded = open_chunk(key, entry, sealed)?;
    let plain = decoder.decode(encoded, entry.encoding, entry.plain_len)?;
    if space.keys.chunk_ids.id(plain) == entry.id {
        Ok(plain)
    } else {
        Err(FormatError::WrongChunk)
    }
}

fn key_of<'k>(
    keys: &'k mut HashMap<u32, SealKey>,
    space: &Space,
    index: &Index,
    pack: u32,
) -> &'k SealKey {
    if keys.len() >= KEYS && !keys.contains_key(&pack) {
        keys.clear();
    }
    keys.entry(pack)
        .or_insert_with(|| space.keys.pack(index.packs()[pack as usize].pack))
}

fn end_of(entry: &IndexEntry) -> u64 {
    u64::from(entry.offset) + u64::from(entry.sealed_len)
}
