//! Writes packs: fills them in order, uploads them behind the filler's back, and indexes them.

use std::sync::mpsc::{Receiver, SyncSender};

use emberkeep_format::{
    ChunkId, DoneWindow, Encoding, EnvelopeKind, IndexEntry, IndexRun, ObjectId, PackBuilder,
    PackBytes, PackId, PackKind, PackRecord, Progress, TocEntry, encode_run, names,
};
use emberkeep_keys::random;
use emberkeep_model::BackupId;
use emberkeep_store::StoreError;

use crate::backup::spool::Spool;
use crate::run::Run;
use crate::space::{Space, now};

/// The size packs of chunks are filled to.
const DATA_PACK: usize = 32 << 20;
/// Memory for a pack and for what its start is moved by. All at once: only what is written
/// to becomes real, and growing step by step would leave as much again behind.
const PACK_ROOM: usize = DATA_PACK + (64 << 10);
/// The size packs of pages and nodes are filled to: there are few of them.
const MAP_PACK: usize = 8 << 20;
/// The most entries of one index run; bounds what reading one takes.
pub(crate) const RUN_ENTRIES: usize = 1 << 20;

/// Packs that a record of an unfinished backup is written for: each costs an object.
const RECORD_PACKS: usize = 2;
/// Windows that a record is written for, where little of them is new.
pub(crate) const RECORD_WINDOWS: usize = 128;

/// A closed pack on its way to the store.
pub(crate) struct ClosedPack {
    pack: PackId,
    kind: PackKind,
    bytes: PackBytes,
    toc: Vec<TocEntry>,
}

/// What the uploader is handed.
pub(crate) enum Upload {
    /// A pack to store.
    Pack(ClosedPack),
    /// Windows whose chunks lie in packs handed over before, and files of the spool that hold
    /// nothing else.
    Windows(Vec<DoneWindow>, Vec<u64>),
}

/// The uploader is gone; it knows why.
pub(crate) struct UploaderGone;

/// Fills packs of one kind, in the order in which chunks come.
pub(crate) struct PackFiller<'a> {
    space: &'a Space,
    kind: PackKind,
    target: usize,
    open: Option<PackBuilder>,
    closed: u64,
    uploads: SyncSender<Upload>,
    /// Buffers that uploaded packs were in; new memory costs as much as filling it.
    buffers: &'a Receiver<Vec<u8>>,
}

impl<'a> PackFiller<'a> {
    pub(crate) fn new(
        space: &'a Space,
        kind: PackKind,
        uploads: SyncSender<Upload>,
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
            closed: 0,
            uploads,
            buffers,
        }
    }

    pub(crate) fn space(&self) -> &'a Space {
        self.space
    }

    /// Returns how many packs were handed over.
    pub(crate) fn closed(&self) -> u64 {
        self.closed
    }

    /// Tells the uploader which windows the packs handed over so far complete.
    pub(crate) fn tell(
        &self,
        windows: Vec<DoneWindow>,
        covered: Vec<u64>,
    ) -> Result<(), UploaderGone> {
        let told = self.uploads.send(Upload::Windows(windows, covered));
        told.map_err(|_| UploaderGone)
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
                PackKind::Data => self
                    .buffers
                    .try_recv()
                    .unwrap_or_else(|_| Vec::with_capacity(PACK_ROOM)),
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
        self.closed += 1;
        self.uploads
            .send(Upload::Pack(ClosedPack {
                pack,
                kind,
                bytes,
                toc,
            }))
            .map_err(|_| UploaderGone)
    }
}

/// Where records of an unfinished backup go, and what tells its instant from others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Journal {
    pub(crate) backup: BackupId,
    pub(crate) instant: [u8; 32],
}

/// Stores packs as they come, then the index run that names them.
pub(crate) struct Uploader<'a> {
    space: &'a Space,
    run: &'a Run,
    packs: Vec<PackRecord>,
    entries: Vec<IndexEntry>,
    stored: u64,
    journal: Option<Journal>,
    /// Packs and entries that the journal has, or that an index run has.
    noted: (usize, usize),
    windows: Vec<DoneWindow>,
    spool: Option<&'a Spool<'a>>,
    /// Its files that the next record covers.
    covered: Vec<u64>,
    /// Records that were written.
    records: Vec<String>,
}

/// What an uploader did.
#[derive(Debug, Default)]
pub(crate) struct Uploaded {
    /// Bytes stored in packs.
    pub(crate) bytes: u64,
    /// Records of the unfinished backup, to be deleted once it is finished.
    pub(crate) records: Vec<String>,
}

impl<'a> Uploader<'a> {
    pub(crate) fn new(space: &'a Space, run: &'a Run) -> Self {
        Self::going_on(space, run, None, IndexRun::default(), None)
    }

    /// Makes an uploader that writes a journal, and indexes what an earlier one stored.
    pub(crate) fn going_on(
        space: &'a Space,
        run: &'a Run,
        journal: Option<Journal>,
        stored_before: IndexRun,
        spool: Option<&'a Spool<'a>>,
    ) -> Self {
        Self {
            space,
            run,
            noted: (stored_before.packs.len(), stored_before.entries.len()),
            packs: stored_before.packs,
            entries: stored_before.entries,
            stored: 0,
            journal,
            windows: Vec::new(),
            spool,
            covered: Vec::new(),
            records: Vec::new(),
        }
    }

    /// Works until there are no more packs.
    ///
    /// The index goes up after the packs it names: a crash between the two leaves
    /// unused packs, which the sweep finds, rather than chunks that cannot be read.
    pub(crate) fn work(
        mut self,
        uploads: &Receiver<Upload>,
        spent: &std::sync::mpsc::Sender<Vec<u8>>,
    ) -> Result<Uploaded, StoreError> {
        while let Ok(upload) = uploads.recv() {
            match upload {
                Upload::Pack(pack) => self.pack(pack, spent)?,
                Upload::Windows(windows, covered) => {
                    self.windows.extend(windows);
                    self.covered.extend(covered);
                    let packs = self.packs.len() - self.noted.0;
                    if packs >= RECORD_PACKS || self.windows.len() >= RECORD_WINDOWS {
                        self.write_record()?;
                    }
                }
            }
        }
        self.write_run()?;
        Ok(Uploaded {
            bytes: self.stored,
            records: self.records,
        })
    }

    fn pack(
        &mut self,
        pack: ClosedPack,
        spent: &std::sync::mpsc::Sender<Vec<u8>>,
    ) -> Result<(), StoreError> {
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
            drop(spent.send(pack.bytes.into_buffer()));
        }
        Ok(())
    }

    /// Notes what was stored since the last record, for an attempt that comes after a crash.
    fn write_record(&mut self) -> Result<(), StoreError> {
        let Some(journal) = self.journal else {
            self.windows.clear();
            return Ok(());
        };
        let (first_pack, first_entry) = self.noted;
        let shift = u32::try_from(first_pack).expect("fewer packs than entries");
        let mut entries = self.entries[first_entry..].to_vec();
        for entry in &mut entries {
            entry.pack -= shift;
        }
        entries.sort_unstable();
        let record = Progress {
            instant: journal.instant,
            written: now(),
            run: IndexRun {
                packs: self.packs[first_pack..].to_vec(),
                entries,
            },
            windows: std::mem::take(&mut self.windows),
        };
        let id = ObjectId(random());
        let name = self.space.names.progress_record(journal.backup, id);
        let sealed = self
            .space
            .seal(EnvelopeKind::Progress, &name, &record.encode());
        self.space.store.put_if_absent(&name, &[&sealed])?;
        self.records.push(name);
        self.noted = (self.packs.len(), self.entries.len());
        if let Some(spool) = self.spool {
            spool.release(&std::mem::take(&mut self.covered));
        }
        Ok(())
    }

    fn write_run(&mut self) -> Result<(), StoreError> {
        self.entries.sort_unstable();
        if !self.packs.is_empty() {
            store_run(self.space, &self.packs, &self.entries)?;
        }
        self.packs.clear();
        self.entries.clear();
        self.noted = (0, 0);
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
