//! What is sent to the other repository: packs, and index runs that name them.

use emberkeep_format::{ChunkId, Encoding, IndexEntry, PackBuilder, PackId, PackKind, PackRecord};
use emberkeep_keys::random;

use super::verify;
use crate::error::CopyError;
use crate::packs::{RUN_ENTRIES, store_run};
use crate::run::Run;
use crate::space::Space;

/// The size packs are filled to: with the one that is read back, all that a copy holds in memory.
const PACK: usize = 16 << 20;

/// Fills packs and stores them.
pub(super) struct Outlet<'a> {
    space: &'a Space,
    run: &'a Run,
    piece_bytes: u64,
    data: Option<PackBuilder>,
    map: Option<PackBuilder>,
    buffer: Vec<u8>,
    /// Stored but not indexed yet.
    packs: Vec<PackRecord>,
    entries: Vec<IndexEntry>,
    pending: u64,
    sent: Sent,
}

/// What was sent.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// Bytes of packs.
    pub(super) bytes: u64,
    /// Bytes among them that were read back and found good: all.
    pub(super) verified: u64,
}

impl<'a> Outlet<'a> {
    pub(super) fn new(space: &'a Space, run: &'a Run, piece_bytes: u64) -> Self {
        Self {
            space,
            run,
            piece_bytes,
            data: None,
            map: None,
            buffer: Vec::new(),
            packs: Vec::new(),
            entries: Vec::new(),
            pending: 0,
            sent: Sent::default(),
        }
    }

    /// Sends an encoded chunk.
    pub(super) fn data(
        &mut self,
        id: ChunkId,
        plain_len: u32,
        encoding: Encoding,
        encoded: &[u8],
    ) -> Result<(), CopyError> {
        let target = PACK.min(usize::try_from(self.piece_bytes).unwrap_or(PACK));
        let full = |pack: &PackBuilder| !pack.is_empty() && pack.len_with(encoded.len()) > target;
        if self.data.as_ref().is_some_and(full) {
            self.close(PackKind::Data)?;
        }
        let open = self.data.get_or_insert_with(|| {
            let mut buffer = std::mem::take(&mut self.buffer);
            buffer.clear();
            buffer.reserve_exact(PACK + (64 << 10));
            begin(self.space, PackKind::Data, buffer)
        });
        open.push(id, plain_len, encoding, encoded);
        Ok(())
    }

    /// Sends a page or a node; they are mostly ids, which do not compress.
    pub(super) fn map(&mut self, id: ChunkId, plain: &[u8]) -> Result<(), CopyError> {
        let full = |pack: &PackBuilder| !pack.is_empty() && pack.len_with(plain.len()) > PACK;
        if self.map.as_ref().is_some_and(full) {
            self.close(PackKind::Map)?;
        }
        let open = self
            .map
            .get_or_insert_with(|| begin(self.space, PackKind::Map, Vec::new()));
        let len = u32::try_from(plain.len()).expect("a page is shorter than its window");
        open.push(id, len, Encoding::Raw, plain);
        Ok(())
    }

    fn close(&mut self, kind: PackKind) -> Result<(), CopyError> {
        let open = match kind {
            PackKind::Data => self.data.take(),
            PackKind::Map => self.map.take(),
        };
        let Some(open) = open else { return Ok(()) };
        let pack = open.pack();
        let (bytes, toc) = open.finish();
        let name = self.space.names.pack(pack);
        self.space.store.put_if_absent(&name, &[&bytes])?;
        let len = bytes.len() as u64;
        self.run.add_stored(len);
        self.sent.bytes += len;
        self.pending += len;
        if self.entries.len() + toc.len() > RUN_ENTRIES {
            self.index()?;
        }
        let record = PackRecord {
            pack,
            size: u32::try_from(bytes.len()).expect("packs stay far below 4 GiB"),
            kind,
        };
        let place = u32::try_from(self.packs.len()).expect("fewer packs than entries");
        self.packs.push(record);
        self.entries
            .extend(toc.iter().map(|entry| IndexEntry::new(place, entry)));
        self.buffer = bytes.into_buffer();
        if self.pending >= self.piece_bytes {
            self.index()?;
        }
        Ok(())
    }

    /// Reads back and indexes what was stored: from here on an attempt after a crash relies on it.
    fn index(&mut self) -> Result<(), CopyError> {
        if !self.packs.is_empty() {
            self.sent.verified += verify::sent(self.space, &self.packs, self.run)?;
            self.entries.sort_unstable();
            store_run(self.space, &self.packs, &self.entries)?;
        }
        self.packs.clear();
        self.entries.clear();
        self.pending = 0;
        Ok(())
    }

    /// Stores and indexes the rest.
    pub(super) fn finish(mut self) -> Result<Sent, CopyError> {
        self.close(PackKind::Data)?;
        self.close(PackKind::Map)?;
        self.index()?;
        Ok(self.sent)
    }
}

fn begin(space: &Space, kind: PackKind, buffer: Vec<u8>) -> PackBuilder {
    let pack = PackId(random());
    PackBuilder::new(space.pack_header(pack, kind), space.keys.pack(pack), buffer)
}
