//! What one thread does with a window: read, cut, hash, look up, compress.

use emberkeep_format::{
    BLOCK, BackupStatistics, ChunkerSpec, Compressor, Cutter, Page, PageEntry, Verdict,
};
use emberkeep_volumes::SourceSnapshot;

use super::known::Known;
use super::queue::{Batch, Message, Queue};
use super::windows::{Window, Windows};
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
}

impl Totals {
    pub(crate) fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.data += other.data;
        self.new += other.new;
        self.chunks += other.chunks;
        self.new_chunks += other.new_chunks;
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

/// One thread's tools.
pub(crate) struct Worker<'a> {
    source: &'a dyn SourceSnapshot,
    run: &'a Run,
    cutter: Cutter,
    buffer: Vec<u8>,
    sink: Sink<'a>,
}

/// Where chunks go.
struct Sink<'a> {
    space: &'a Space,
    known: &'a Known,
    run: &'a Run,
    queue: &'a Queue,
    compressor: Compressor,
    batch: Batch,
    turn: u64,
    page: Page,
    totals: Totals,
}

/// Why a worker does not go on: it failed, or somebody else did.
enum Halt {
    Failed(BackupError),
    Stopped,
}

impl<T: Into<BackupError>> From<T> for Halt {
    fn from(cause: T) -> Self {
        Self::Failed(cause.into())
    }
}

impl<'a> Worker<'a> {
    pub(crate) fn new(
        space: &'a Space,
        source: &'a dyn SourceSnapshot,
        known: &'a Known,
        run: &'a Run,
        queue: &'a Queue,
    ) -> Result<Self, BackupError> {
        let ChunkerSpec::AlignedCdc { max, .. } = space.descriptor.chunker;
        Ok(Self {
            source,
            run,
            cutter: Cutter::new(space.descriptor.chunker, space.keys.cut_seed),
            buffer: vec![0; SLICE + max as usize],
            sink: Sink {
                space,
                known,
                run,
                queue,
                compressor: Compressor::new().map_err(BackupError::Compressor)?,
                batch: queue.batch(),
                turn: 0,
                page: Page::default(),
                totals: Totals::default(),
            },
        })
    }

    /// Works until there are no more windows.
    pub(crate) fn work(&mut self, windows: &Windows<'_>) -> Result<Totals, BackupError> {
        loop {
            match windows.next()? {
                Ok(window) => match self.window(&window) {
                    Ok(()) => {}
                    Err(Halt::Stopped) => return Ok(self.sink.totals),
                    Err(Halt::Failed(cause)) => return Err(cause),
                },
                Err(tail) => {
                    self.run.add_done(tail.skipped);
                    self.sink.queue.set_turns(tail.turns);
                    return Ok(self.sink.totals);
                }
            }
        }
    }

    fn window(&mut self, window: &Window) -> Result<(), Halt> {
        self.sink.turn = window.turn;
        let data_before = self.sink.totals.data;
        for range in &window.data {
            self.stretch(window.range.start, range.start, range.end)?;
        }
        let data = self.sink.totals.data - data_before;
        let length = window.range.end - window.range.start;
        self.run.add_done(window.skipped + length - data);
        self.sink.close_window(window.number)
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
            while at < filled {
                let block_end = (at + BLOCK).min(filled);
                match self.cutter.judge(&self.buffer[at..block_end]) {
                    Verdict::Extend => {}
                    Verdict::Cut => {
                        self.sink
                            .chunk(base + place(open as u64), &self.buffer[open..block_end])?;
                        open = block_end;
                    }
                    Verdict::Zero => {
                        if open < at {
                            self.sink
                                .chunk(base + place(open as u64), &self.buffer[open..at])?;
                        }
                        open = block_end;
                    }
                }
                at = block_end;
            }
            position += len as u64;
            if position == end {
                if open < filled {
                    self.sink
                        .chunk(base + place(open as u64), &self.buffer[open..filled])?;
                }
                return Ok(());
            }
            self.buffer.copy_within(open..filled, 0);
            carry = filled - open;
        }
        Ok(())
    }
}

/// Converts a place within a window.
fn place(offset: u64) -> u32 {
    u32::try_from(offset).expect("a window is 16 MiB at most")
}

impl Sink<'_> {
    fn chunk(&mut self, offset: u32, plain: &[u8]) -> Result<(), Halt> {
        if self.run.is_cancelled() {
            return Err(BackupError::Cancelled.into());
        }
        let id = self.space.keys.chunk_ids.id(plain);
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

    fn flush(&mut self) -> Result<(), Halt> {
        if !self.batch.is_empty() {
            let full = std::mem::replace(&mut self.batch, self.queue.batch());
            self.queue
                .put(self.turn, Message::Chunks(full))
                .map_err(|_| Halt::Stopped)?;
        }
        Ok(())
    }

    fn close_window(&mut self, window: u64) -> Result<(), Halt> {
        self.flush()?;
        if self.page.entries.is_empty() {
            self.queue.pass(self.turn);
            return Ok(());
        }
        let bytes = self.page.encode();
        self.page.entries.clear();
        let id = self.space.keys.chunk_ids.id(&bytes);
        let new = self.known.claim(id).then_some(bytes);
        let page = Message::Page { window, id, new };
        self.queue.put(self.turn, page).map_err(|_| Halt::Stopped)
    }
}
