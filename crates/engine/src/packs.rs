//! Writes packs: fills them in order, uploads them behind the filler's back, and indexes them.

use std::sync::mpsc::{Receiver, SyncSender};

use emberkeep_format::{
    ChunkId, Encoding, EnvelopeKind, IndexEntry, ObjectId, PackBuilder, PackId, PackKind,
    PackRecord, TocEntry, encode_run, names,
};
use emberkeep_keys::random;
use emberkeep_store::StoreError;

use crate::run::Run;
use crate::space::Space;

/// The size packs of chunks are filled to.
const DATA_PACK: usize = 32 << 20;
/// The size packs of pages and nodes are filled to: there are few of them.
const MAP_PACK: usize = 8 << 20;
/// The most entries of one index run; bounds what reading one takes.
pub(crate) const RUN_ENTRIES: usize = 1 << 20;

/// A closed pack on its way to the store.
pub(crate) struct ClosedPack {
    pack: PackId,
    kind: PackKind,
    bytes: Vec<u8>,
    toc: Vec<TocEntry>,
}

/// The uploader is gone; it knows why.
pub(crate) struct UploaderGone;

/// Fills packs of one kind, in the order in which chunks come.
pub(crate) struct PackFiller<'a> {
    space: &'a Space,
    kind: PackKind,
    target: usize,
    open: Option<PackBuilder>,
    uploads: SyncSender<ClosedPack>,
    /// Buffers that uploaded packs were in; new memory costs as much as filling it.
    buffers: &'a Receiver<Vec<u8>>,
}

impl<'a> PackFiller<'a> {
    pub(crate) fn new(
        space: &'a Space,
        kind: PackKind,
        uploads: SyncSender<ClosedPack>,
        buffers: &'a Receiver<Vec<u8>>,
    ) -> Self {
        let target = match kind {
            PackKind::Data => DATA_PACK,
            PackKind::Map => MAP_PACK,
        };
        Self {
            space,
            kind,
            target,
            open: None,
            uploads,
            buffers,
        }
    }

    pub(crate) fn space(&self) -> &'a Space {
        self.space
    }

    /// Seals an encoded chunk into the open pack.
    pub(crate) fn push(
        &mut self,
        id: ChunkId,
        plain_len: u32,
        encoding: Encoding,
        encoded: &[u8],
    ) -> Result<(), UploaderGone> {
        let full =
            |pack: &PackBuilder| !pack.is_empty() && pack.len_with(encoded.len()) > self.target;
        if self.open.as_ref().is_some_and(full) {
            self.close()?;
        }
        let open = self.open.get_or_insert_with(|| {
            let pack = PackId(random());
            let header = self.space.pack_header(pack, self.kind);
            let buffer = match self.kind {
                PackKind::Data => self.buffers.try_recv().unwrap_or_default(),
                PackKind::Map => Vec::new(),
            };
            PackBuilder::new(header, self.space.keys.pack(pack), buffer)
        });
        open.push(id, plain_len, encoding, encoded);
        Ok(())
    }

    /// Hands the open pack, if there is one, to the uploader.
    pub(crate) fn close(&mut self) -> Result<(), UploaderGone> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        let (pack, kind) = (open.pack(), open.kind());
        let (bytes, toc) = open.finish();
        self.uploads
            .send(ClosedPack {
                pack,
                kind,
                bytes,
                toc,
            })
            .map_err(|_| UploaderGone)
    }
}

/// Stores packs as they come, then the index run that names them.
pub(crate) struct Uploader<'a> {
    space: &'a Space,
    run: &'a Run,
    packs: Vec<PackRecord>,
    entries: Vec<IndexEntry>,
    stored: u64,
}

impl<'a> Uploader<'a> {
    pub(crate) fn new(space: &'a Space, run: &'a Run) -> Self {
        Self {
            space,
            run,
            packs: Vec::new(),
            entries: Vec::new(),
            stored: 0,
        }
    }

    /// Works until there are no more packs; returns the bytes stored in them.
    ///
    /// The index goes up after the packs it names: a crash between the two leaves
    /// unused packs, which the sweep finds, rather than chunks that cannot be read.
    pub(crate) fn work(
        mut self,
        closed: &Receiver<ClosedPack>,
        spent: &std::sync::mpsc::Sender<Vec<u8>>,
    ) -> Result<u64, StoreError> {
        while let Ok(pack) = closed.recv() {
            self.space
                .store
                .put_if_absent(&self.space.names.pack(pack.pack), &[&pack.bytes])?;
            self.stored += pack.bytes.len() as u64;
            self.run.add_stored(pack.bytes.len() as u64);
            let size = u32::try_from(pack.bytes.len()).expect("packs stay far below 4 GiB");
            if self.entries.len() + pack.toc.len() > RUN_ENTRIES {
                self.write_run()?;
            }
            let place = u32::try_from(self.packs.len()).expect("fewer packs than entries");
            self.packs.push(PackRecord {
                pack: pack.pack,
                size,
                kind: pack.kind,
            });
            self.entries
                .extend(pack.toc.iter().map(|entry| IndexEntry::new(place, entry)));
            if pack.kind == PackKind::Data {
                // Nobody waits for it if the filler is done.
                drop(spent.send(pack.bytes));
            }
        }
        self.write_run()?;
        Ok(self.stored)
    }

    fn write_run(&mut self) -> Result<(), StoreError> {
        self.entries.sort_unstable();
        if !self.packs.is_empty() {
            store_run(self.space, &self.packs, &self.entries)?;
        }
        self.packs.clear();
        self.entries.clear();
        Ok(())
    }
}

/// Stores one index run of sorted entries and returns its name.
pub(crate) fn store_run(
    space: &Space,
    packs: &[PackRecord],
    entries: &[IndexEntry],
) -> Result<String, StoreError> {
    let name = space.names.index_run(ObjectId(random()));
    let sealed = space.seal(EnvelopeKind::IndexRun, &name, &encode_run(packs, entries));
    space.store.put_if_absent(&name, &[&sealed])?;
    debug_assert!(names::last_segment::<ObjectId>(&name).is_some());
    Ok(name)
}
