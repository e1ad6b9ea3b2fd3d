//! What one thread does with a window: read, cut, hash, look up, compress.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use emberkeep_format::{
    BLOCK, BackupStatistics, ChunkHasher, ChunkId, ChunkerSpec, Compressor, Cutter, DoneWindow,
    Page, PageEntry, SpoolFrame, SpooledChunk, Verdict,
};
use emberkeep_volumes::SourceSnapshot;

use super::known::Known;
use super::parent::ParentMap;
use super::queue::{Batch, MadePage, Message, Queue};
use super::spool::Spool;
use super::windows::{Job, JobKind, Part, PartKind, Windows};
use crate::damage::ReadError;
use crate::error::BackupError;
use crate::run::Run;
use crate::space::Space;

/// Bytes read at once: small enough that they are still in the cache when they are
/// hashed and compressed, large enough that the calls do not show.
const SLICE: usize = 512 << 10;

/// What workers counted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Totals {
    read: u64,
    data: u64,
    new: u64,
    chunks: u64,
    new_chunks: u64,
    pub(super) verified: u64,
    /// What the windows that were worked on held in the parent.
    pub(super) old: Weight,
}

/// What windows hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Weight {
    pub(crate) data: u64,
    pub(crate) chunks: u64,
}

impl Weight {
    pub(crate) fn of(page: &Page) -> Self {
        Self {
            data: page.entries.iter().map(|e| u64::from(e.length)).sum(),
            chunks: page.entries.len() as u64,
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.data += other.data;
        self.chunks += other.chunks;
    }
}

impl Totals {
    /// Adds what was taken over unseen: all that the parent held but what was worked on.
    pub(crate) fn take_over(&mut self, parent: Weight) {
        self.data += parent.data.saturating_sub(self.old.data);
        self.chunks += parent.chunks.saturating_sub(self.old.chunks);
    }

    pub(super) fn count_read(&mut self, bytes: u64) {
        self.read += bytes;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.data += other.data;
        self.new += other.new;
        self.chunks += other.chunks;
        self.new_chunks += other.new_chunks;
        self.verified += other.verified;
        self.old.add(other.old);
    }

    pub(crate) fn statistics(self, stored_bytes: u64) -> BackupStatistics {
        BackupStatistics {
            read_bytes: self.read,
            data_bytes: self.data,
            new_bytes: self.new,
            stored_bytes,
            chunks: self.chunks,
            new_chunks: self.new_chunks,
        }
    }
}

/// What all workers of a run share.
pub(crate) struct Bench<'a> {
    pub(crate) space: &'a Space,
    pub(crate) source: &'a dyn SourceSnapshot,
    pub(crate) known: &'a Known,
    pub(crate) run: &'a Run,
    pub(crate) queue: &'a Queue,
    /// Where finished work waits, for an attempt that may be gone on with.
    pub(crate) spool: Option<&'a Spool<'a>>,
    /// The parent's map, where the source was asked what changed since.
    pub(crate) parent: Option<&'a Mutex<ParentMap<'a>>>,
    /// How much of what is said to be unchanged is compared.
    pub(crate) verify: Verify,
}

/// How much of what is said to be unchanged is read and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verify {
    /// A chunk here and there.
    Sample,
    /// All of it.
    All,
}

/// One thread's tools.
pub(crate) struct Worker<'a> {
    pub(super) source: &'a dyn SourceSnapshot,
    pub(super) run: &'a Run,
    parent: Option<&'a Mutex<ParentMap<'a>>>,
    pub(super) verify: Verify,
    pub(super) cutter: Cutter,
    pub(super) max: u32,
    pub(super) buffer: Vec<u8>,
    hasher: ChunkHasher,
    /// What of the buffer makes chunks, and their ids.
    cuts: Vec<Range<usize>>,
    ids: Vec<ChunkId>,
    pub(super) sink: Sink<'a>,
    pub(super) dice: Dice,
}

/// Where chunks go.
pub(super) struct Sink<'a> {
    pub(super) space: &'a Space,
    pub(super) known: &'a Known,
    run: &'a Run,
    queue: &'a Queue,
    spool: Option<&'a Spool<'a>>,
    compressor: Compressor,
    batch: Batch,
    turn: u64,
    pub(super) page: Page,
    pub(super) totals: Totals,
}

/// Why a worker does not go on: it failed, or somebody else did.
pub(crate) enum Halt {
    Failed(BackupError),
    /// What was relied on is not so; all has to be read.
    Distrust(String),
    Stopped,
}

impl Halt {
    /// The parent's map cannot be read: a backup must not depend on it.
    pub(crate) fn of_parent(cause: ReadError) -> Self {
        match cause {
            ReadError::Store(cause) => Self::Failed(cause.into()),
            ReadError::Damaged(damage) => {
                Self::Distrust(format!("the parent is damaged: {damage}: {}", damage.cause))
            }
        }
    }
}

impl<T: Into<BackupError>> From<T> for Halt {
    fn from(cause: T) -> Self {
        Self::Failed(cause.into())
    }
}

impl<'a> Worker<'a> {
    pub(crate) fn new(bench: &Bench<'a>) -> Result<Self, BackupError> {
        let ChunkerSpec::AlignedCdc { max, .. } = bench.space.descriptor.chunker;
        Ok(Self {
            source: bench.source,
            run: bench.run,
            parent: bench.parent,
            verify: bench.verify,
            cutter: Cutter::new(bench.space.descriptor.chunker, bench.space.keys.cut_seed),
            max,
            buffer: vec![0; SLICE + max as usize],
            hasher: ChunkHasher::new(bench.space.keys.chunk_ids.clone()),
            cuts: Vec::new(),
            ids: Vec::new(),
            sink: Sink {
                space: bench.space,
                known: bench.known,
                run: bench.run,
                queue: bench.queue,
                spool: bench.spool,
                compressor: Compressor::new().map_err(BackupError::Compressor)?,
                batch: bench.queue.batch(),
                turn: 0,
                page: Page::default(),
                totals: Totals::default(),
            },
            dice: Dice::new(),
        })
    }

    /// Works until there are no more windows.
    pub(crate) fn work(&mut self, windows: &Windows<'_>) -> Result<Totals, Halt> {
        loop {
            match windows.next()? {
                Ok(job) => self.job(job)?,
                Err(tail) => {
                    self.run.add_done(tail.skipped);
                    self.sink.queue.set_turns(tail.turns);
                    return Ok(self.sink.totals);
                }
            }
        }
    }

    fn job(&mut self, job: Job) -> Result<(), Halt> {
        self.sink.turn = job.turn;
        let length = job.range.end - job.range.start;
        self.run.add_done(job.skipped);
        match job.kind {
            JobKind::Window(number, parts) => {
                let data_before = self.sink.totals.data;
                self.window(number, &job.range, &parts)?;
                // Chunks have been counted one by one.
                let counted = self.sink.totals.data - data_before;
                self.run.add_done(length.saturating_sub(counted));
                self.sink.close_window(number)
            }
            JobKind::Done(number, page) => {
                let data_before = self.sink.totals.data;
                let window = self.sink.space.descriptor.window();
                let page = if page.is_empty() {
                    Page::default()
                } else {
                    Page::decode(&page, window).map_err(|_| {
                        let told = "what an earlier attempt left behind cannot be read";
                        Halt::Distrust(told.to_owned())
                    })?
                };
                self.old_page(number)?;
                let all = Part {
                    range: job.range.clone(),
                    kind: PartKind::Same,
                };
                self.recut(&job.range, &[all], &page)?;
                let counted = self.sink.totals.data - data_before;
                self.run.add_done(length.saturating_sub(counted));
                self.sink.close_window(number)
            }
            JobKind::Kept(windows) => self.pass(Message::Kept(windows), length),
            JobKind::Cleared(windows) => self.pass(Message::Cleared(windows), length),
        }
    }

    fn pass(&mut self, message: Message, bytes: u64) -> Result<(), Halt> {
        if self.run.is_cancelled() {
            return Err(BackupError::Cancelled.into());
        }
        self.run.add_done(bytes);
        let put = self.sink.queue.put(self.sink.turn, message);
        put.map_err(|_| Halt::Stopped)
    }

    /// Returns what the window held in the parent, and counts it; none without a parent.
    fn old_page(&mut self, number: u64) -> Result<Option<Page>, Halt> {
        let Some(parent) = self.parent else {
            return Ok(None);
        };
        let mut parent = parent.lock().unwrap_or_else(PoisonError::into_inner);
        let page = parent.page(number).map_err(Halt::of_parent)?;
        self.sink.totals.old.add(Weight::of(&page));
        Ok(Some(page))
    }

    fn window(&mut self, number: u64, range: &Range<u64>, parts: &[Part]) -> Result<(), Halt> {
        let old = self.old_page(number)?;
        match old {
            Some(old) if parts.iter().any(|part| part.kind == PartKind::Same) => {
                self.verify(range, parts, &old)?;
                self.recut(range, parts, &old)
            }
            _ => {
                for part in parts.iter().filter(|part| part.kind == PartKind::Data) {
                    self.stretch(range.start, part.range.start, part.range.end)?;
                }
                Ok(())
            }
        }
    }

    /// Cuts `start..end` of the volume, slice by slice; the open chunk is carried over.
    fn stretch(&mut self, window: u64, start: u64, end: u64) -> Result<(), Halt> {
        self.cutter.restart();
        let mut position = start;
        let mut carry = 0;
        while position < end {
            let len = usize::try_from(end - position).map_or(SLICE, |left| left.min(SLICE));
            let filled = carry + len;
            self.source
                .read_at(position, &mut self.buffer[carry..filled])?;
            self.run.add_read(len as u64);
            self.sink.totals.read += len as u64;
            // Where the buffer's first byte lies in the window.
            let base = place(position - carry as u64 - window);
            let (mut open, mut at) = (0, carry);
            self.cuts.clear();
            while at < filled {
                let block_end = (at + BLOCK).min(filled);
                match self.cutter.judge(&self.buffer[at..block_end]) {
                    Verdict::Extend => {}
                    Verdict::Cut => {
                        self.cuts.push(open..block_end);
                        open = block_end;
                    }
                    Verdict::Zero => {
                        if open < at {
                            self.cuts.push(open..at);
                        }
                        open = block_end;
                    }
                }
                at = block_end;
            }
            position += len as u64;
            if position == end && open < filled {
                self.cuts.push(open..filled);
                open = filled;
            }
            self.chunks(base)?;
            if position == end {
                return Ok(());
            }
            self.buffer.copy_within(open..filled, 0);
            carry = filled - open;
        }
        Ok(())
    }
}

impl Worker<'_> {
    /// Hands on what was cut, all at once: hashing many chunks side by side is cheaper.
    fn chunks(&mut self, base: u32) -> Result<(), Halt> {
        let cuts = self.cuts.iter();
        self.hasher
            .ids(cuts.map(|cut| &self.buffer[cut.clone()]), &mut self.ids);
        for (cut, id) in self.cuts.iter().zip(&self.ids) {
            let offset = base + place(cut.start as u64);
            self.sink.hashed(offset, &self.buffer[cut.clone()], *id)?;
        }
        Ok(())
    }
}

/// Converts a place within a window.
pub(super) fn place(offset: u64) -> u32 {
    u32::try_from(offset).expect("a window is 16 MiB at most")
}

impl Sink<'_> {
    pub(super) fn chunk(&mut self, offset: u32, plain: &[u8]) -> Result<(), Halt> {
        self.hashed(offset, plain, self.space.keys.chunk_ids.id(plain))
    }

    fn hashed(&mut self, offset: u32, plain: &[u8], id: ChunkId) -> Result<(), Halt> {
        self.not_cancelled()?;
        let length = place(plain.len() as u64);
        self.page.entries.push(PageEntry { offset, length, id });
        self.totals.chunks += 1;
        self.totals.data += u64::from(length);
        if self.known.claim(id) {
            self.totals.new_chunks += 1;
            self.totals.new += u64::from(length);
            if !self.batch.has_room(plain.len()) {
                self.flush()?;
                self.batch.has_room(plain.len());
            }
            let compressor = &mut self.compressor;
            self.batch
                .push(id, length, |room| compressor.encode(plain, room));
        }
        self.run.add_done(u64::from(length));
        Ok(())
    }

    pub(super) fn not_cancelled(&self) -> Result<(), Halt> {
        if self.run.is_cancelled() {
            Err(BackupError::Cancelled.into())
        } else {
            Ok(())
        }
    }

    /// Takes a chunk over, which the repository has.
    pub(super) fn keep(&mut self, entry: PageEntry) -> Result<(), Halt> {
        self.not_cancelled()?;
        self.page.entries.push(entry);
        self.totals.chunks += 1;
        self.totals.data += u64::from(entry.length);
        self.run.add_done(u64::from(entry.length));
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Halt> {
        if !self.batch.is_empty() {
            let mut full = std::mem::replace(&mut self.batch, self.queue.batch());
            full.spooled = self.spool.and_then(|spool| {
                let chunks = full.chunks().map(|chunk| SpooledChunk {
                    id: chunk.id,
                    plain_len: chunk.plain_len,
                    encoding: chunk.encoding,
                    encoded: chunk.encoded,
                });
                spool.keep(&SpoolFrame::Chunks(chunks.collect()))
            });
            self.queue
                .put(self.turn, Message::Chunks(full))
                .map_err(|_| Halt::Stopped)?;
        }
        Ok(())
    }

    fn close_window(&mut self, window: u64) -> Result<(), Halt> {
        self.flush()?;
        let page = (!self.page.entries.is_empty()).then(|| {
            let bytes = self.page.encode();
            let id = self.space.keys.chunk_ids.id(&bytes);
            let new = self.known.claim(id);
            MadePage { id, bytes, new }
        });
        self.page.entries.clear();
        let spooled = self.spool.and_then(|spool| {
            spool.keep(&SpoolFrame::Window(DoneWindow {
                number: window,
                page: page.as_ref().map_or(Vec::new(), |page| page.bytes.clone()),
            }))
        });
        let done = Message::Page {
            window,
            page,
            spooled,
        };
        self.queue.put(self.turn, done).map_err(|_| Halt::Stopped)
    }
}

/// Chance, to choose what is compared; nobody gains from guessing it.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new() -> Self {
        Self(u64::from_le_bytes(emberkeep_keys::random()))
    }

    /// Returns a number below `sides`, which is not 0.
    pub(crate) fn throw(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}
