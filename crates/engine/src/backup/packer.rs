//! The one thread that takes what the workers made, in volume order, into packs and the map.

use std::collections::HashSet;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use emberkeep_format::{ChunkId, Decompressor, DoneWindow, Encoding, MapRoot, SpoolFrame};

use super::known::Known;
use super::parent::ParentMap;
use super::queue::{MadePage, Message, Queue};
use super::spool;
use super::worker::{Halt, Weight};
use crate::damage::ReadError;
use crate::error::BackupError;
use crate::packs::{Journal, PackFiller, RECORD_WINDOWS, UploaderGone};
use crate::run::Run;
use crate::space::Space;
use crate::tree::TreeBuilder;

impl From<UploaderGone> for Halt {
    fn from(_: UploaderGone) -> Self {
        Self::Stopped
    }
}

/// What the packer made.
#[derive(Default)]
pub(super) struct Packed {
    pub(super) root: Option<MapRoot>,
    /// Windows that were taken over unseen.
    pub(super) kept: Vec<Range<u64>>,
    /// What windows that are zero now, or cut off, held in the parent.
    pub(super) old: Weight,
}

/// Takes what the workers made, in volume order, into packs and the map.
pub(super) struct Packer<'a> {
    pub(super) known: &'a Known,
    pub(super) data: PackFiller<'a>,
    pub(super) map: PackFiller<'a>,
    pub(super) tree: TreeBuilder,
    pub(super) count: u64,
    pub(super) parent: Option<&'a Mutex<ParentMap<'a>>>,
    pub(super) journal: bool,
    /// Windows that are done but not in the journal yet.
    pub(super) done: Vec<DoneWindow>,
    /// Files of the spool that these are in, and batches whose packs are closed.
    pub(super) covered: Vec<u64>,
    /// Those of batches that may be in the open pack.
    pub(super) pending: Vec<u64>,
    pub(super) kept: Vec<Range<u64>>,
    pub(super) old: Weight,
}

impl Packer<'_> {
    pub(super) fn pack(&mut self, queue: &Queue, run: &Run) -> Result<(), Halt> {
        while let Some(message) = queue.take() {
            if run.is_cancelled() {
                return Err(Halt::Stopped);
            }
            match message {
                Message::Chunks(batch) => {
                    let closed = self.data.closed();
                    for chunk in batch.chunks() {
                        self.data
                            .push(chunk.id, chunk.plain_len, chunk.encoding, chunk.encoded)?;
                    }
                    let spooled = batch.spooled;
                    queue.give_back(batch);
                    if self.data.closed() != closed {
                        // Their chunks came before those that the pack had no room for.
                        self.covered.append(&mut self.pending);
                        self.note_done()?;
                    }
                    self.pending.extend(spooled);
                }
                Message::Page {
                    window,
                    page,
                    spooled,
                } => self.page(window, page, spooled)?,
                Message::Kept(windows) => self.keep(windows)?,
                Message::Cleared(windows) => self.count_old(&windows)?,
            }
        }
        if queue.is_stopped() {
            Err(Halt::Stopped)
        } else {
            Ok(())
        }
    }

    /// Stores again what an attempt that died had finished but not come to note.
    pub(super) fn replay(
        &mut self,
        space: &Space,
        journal: Journal,
        files: &[PathBuf],
    ) -> Result<(), Halt> {
        let mut decoder = Decompressor::new().map_err(BackupError::Compressor)?;
        let mut salvaged = HashSet::new();
        for file in files {
            spool::read(space, journal, file, |frame| {
                let SpoolFrame::Chunks(chunks) = frame else {
                    return Ok(());
                };
                for chunk in chunks {
                    let plain = decoder.decode(chunk.encoded, chunk.encoding, chunk.plain_len);
                    let sound = plain.is_ok_and(|plain| space.keys.chunk_ids.id(plain) == chunk.id);
                    if sound && self.known.claim(chunk.id) {
                        self.data
                            .push(chunk.id, chunk.plain_len, chunk.encoding, chunk.encoded)?;
                        salvaged.insert(chunk.id);
                    }
                }
                Ok::<_, Halt>(())
            })?;
        }
        self.known.salvage(salvaged);
        Ok(())
    }

    fn page(
        &mut self,
        window: u64,
        page: Option<MadePage>,
        spooled: Option<u64>,
    ) -> Result<(), Halt> {
        if let Some(page) = &page {
            if page.new {
                store_map(&mut self.map, page.id, &page.bytes)?;
            }
            let (map, known) = (&mut self.map, self.known);
            self.tree
                .add(window, page.id, &mut |bytes| node(map, known, &bytes))?;
        }
        if self.journal {
            self.done.push(DoneWindow {
                number: window,
                page: page.map(|page| page.bytes).unwrap_or_default(),
            });
            self.covered.extend(spooled);
            if self.done.len() >= RECORD_WINDOWS {
                self.data.close()?;
                self.covered.append(&mut self.pending);
                self.note_done()?;
            }
        }
        Ok(())
    }

    fn note_done(&mut self) -> Result<(), Halt> {
        if self.journal && !self.done.is_empty() {
            let covered = std::mem::take(&mut self.covered);
            self.data.tell(std::mem::take(&mut self.done), covered)?;
        }
        Ok(())
    }

    fn keep(&mut self, windows: Range<u64>) -> Result<(), Halt> {
        if let Some(parent) = self.parent {
            let mut parent = parent.lock().unwrap_or_else(PoisonError::into_inner);
            let (map, known) = (&mut self.map, self.known);
            parent
                .graft(&windows, &mut self.tree, self.count, &mut |bytes| {
                    node(map, known, &bytes).map_err(Grafting::from)
                })
                .map_err(|cause| match cause {
                    Grafting::Gone => Halt::Stopped,
                    Grafting::Read(cause) => Halt::of_parent(cause),
                })?;
            self.kept.push(windows);
        }
        Ok(())
    }

    /// Counts what windows held in the parent.
    fn count_old(&mut self, windows: &Range<u64>) -> Result<(), Halt> {
        if let Some(parent) = self.parent {
            let mut parent = parent.lock().unwrap_or_else(PoisonError::into_inner);
            for window in parent.present(windows).map_err(Halt::of_parent)? {
                let page = parent.page(window).map_err(Halt::of_parent)?;
                self.old.add(Weight::of(&page));
            }
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Packed, Halt> {
        self.count_old(&(self.count..u64::MAX))?;
        let Self {
            known,
            mut data,
            mut map,
            tree,
            kept,
            old,
            ..
        } = self;
        let root = tree.finish(&mut |bytes| node(&mut map, known, &bytes))?;
        data.close()?;
        map.close()?;
        Ok(Packed { root, kept, old })
    }
}

/// Why a part of the parent's map was not taken over.
enum Grafting {
    Read(ReadError),
    Gone,
}

impl From<ReadError> for Grafting {
    fn from(cause: ReadError) -> Self {
        Self::Read(cause)
    }
}

impl From<UploaderGone> for Grafting {
    fn from(_: UploaderGone) -> Self {
        Self::Gone
    }
}

fn node(map: &mut PackFiller<'_>, known: &Known, bytes: &[u8]) -> Result<ChunkId, UploaderGone> {
    let id = map.space().keys.chunk_ids.id(bytes);
    if known.claim(id) {
        store_map(map, id, bytes)?;
    }
    Ok(id)
}

/// Pages and nodes are mostly ids, which do not compress.
fn store_map(map: &mut PackFiller<'_>, id: ChunkId, bytes: &[u8]) -> Result<(), UploaderGone> {
    let len = u32::try_from(bytes.len()).expect("a page is shorter than its window");
    map.push(id, len, Encoding::Raw, bytes)
}
