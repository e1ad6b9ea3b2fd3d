//! The threads that write a backup, and how they keep their order.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::pieces::{BlockHashes, Digests};
use super::store::Store;
use super::{ParentHashes, WriteReport};
use crate::emit::{Line, Listed};
use crate::error::{ChunkedError, DescriptionFault, ForeignError};
use crate::pool::threads;
use crate::sha_list::Hash;

/// What is written down in the order of the volume.
pub(super) struct Lists {
    pub(super) metadata: Listed,
    pub(super) hashes: Listed,
}

/// Threads that write one backup.
pub(super) struct Crew<'a> {
    store: &'a Store<'a>,
    /// Chunks of the volume.
    count: u64,
    size: u64,
    shared: Mutex<Shared>,
    turn: Condvar,
}

/// What the threads tell each other.
struct Shared {
    /// The next chunk to be taken.
    next: u64,
    parent: Option<ParentHashes>,
    /// The chunk whose objects get numbers next, and the first of these.
    numbering: (u64, u32),
    /// Chunks that are done while others before them are not.
    done: BTreeMap<u64, Done>,
    /// Chunks that are written down.
    listed: u64,
    lists: Lists,
    report: WriteReport,
    failure: Option<ChunkedError>,
    stopped: bool,
}

/// What is to be written down of a chunk.
#[derive(Default)]
struct Done {
    hashes: Vec<Hash>,
    lines: Vec<Line>,
    stored_bytes: u64,
}

/// A chunk to be written.
struct Chunk {
    number: u64,
    range: Range<u64>,
    parent: Option<Vec<Hash>>,
}

impl<'a> Crew<'a> {
    pub(super) fn new(
        store: &'a Store<'a>,
        lists: Lists,
        parent: Option<ParentHashes>,
    ) -> Result<Self, ChunkedError> {
        let size = store.source.size().0;
        let count = size.div_ceil(store.options.object_size);
        if count >= u64::from(u32::MAX) {
            return Err(TOO_MANY);
        }
        Ok(Self {
            store,
            count,
            size,
            shared: Mutex::new(Shared {
                next: 0,
                parent,
                numbering: (0, 1),
                done: BTreeMap::new(),
                listed: 0,
                lists,
                report: WriteReport::default(),
                failure: None,
                stopped: false,
            }),
            turn: Condvar::new(),
        })
    }

    /// Writes all chunks; returns the lists, which are yet to be finished.
    pub(super) fn work(self) -> Result<(Lists, WriteReport), ChunkedError> {
        std::thread::scope(|scope| {
            for _ in 0..threads() {
                scope.spawn(|| {
                    let _bell = Bell(&self);
                    while let Some(chunk) = self.take() {
                        let done = self
                            .chunk(&chunk)
                            .and_then(|done| self.hand_in(chunk.number, done));
                        if let Err(cause) = done {
                            self.fail(cause);
                        }
                    }
                });
            }
        });
        let shared = self
            .shared
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        match shared.failure {
            Some(cause) => Err(cause),
            None => Ok((shared.lists, shared.report)),
        }
    }

    fn take(&self) -> Option<Chunk> {
        // What is done may wait for what is not, so nobody runs far ahead.
        let ahead = 2 * threads() as u64;
        let mut shared = self.lock();
        loop {
            if shared.stopped || shared.next == self.count {
                return None;
            }
            if shared.next < shared.listed + ahead {
                break;
            }
            shared = self.wait(shared);
        }
        let number = shared.next;
        shared.next += 1;
        let start = number * self.store.options.object_size;
        let range = start..self.size.min(start + self.store.options.object_size);
        let parent = match &mut shared.parent {
            None => None,
            Some(hashes) => {
                let block = u64::from(self.store.options.block_size);
                let count = (range.end - range.start).div_ceil(block);
                let Some(taken) = hashes.take(usize::try_from(count).unwrap_or(usize::MAX)) else {
                    // The list was counted before, so it was changed or cannot be read; whoever
                    // reads it says more.
                    shared.fail(ChunkedError::Description {
                        object: self.store.location.sha256_name(),
                        fault: DescriptionFault::NoField("sha256s"),
                    });
                    self.turn.notify_all();
                    return None;
                };
                Some(taken)
            }
        };
        Some(Chunk {
            number,
            range,
            parent,
        })
    }

    fn chunk(&self, chunk: &Chunk) -> Result<Done, ChunkedError> {
        let block_size = self.store.options.block_size;
        let mut blocks = BlockHashes::new(block_size);
        let mut done = Done::default();
        let Some(parent) = &chunk.parent else {
            let first = self.reserve(chunk.number, 1)?;
            let mut digests = Digests::new(Some(blocks));
            let (line, stored) = self
                .store
                .object(first, chunk.range.clone(), &mut digests)?;
            done.lines.push(line);
            done.stored_bytes = stored;
            done.hashes = digests
                .blocks
                .map(|mut blocks| blocks.take())
                .unwrap_or_default();
            return Ok(done);
        };
        let mut pieces = self.store.pieces(&chunk.range);
        if pieces.all_zero()? {
            blocks.add_zeroes(chunk.range.end - chunk.range.start);
        } else {
            while let Some(piece) = pieces.next()? {
                blocks.add(piece);
            }
        }
        done.hashes = blocks.take();
        let runs = differing(&done.hashes, parent);
        let first = self.reserve(chunk.number, runs.len())?;
        let mut digests = Digests::new(None);
        let mut changed = 0;
        for (number, run) in (first..).zip(runs) {
            let at = |block: usize| chunk.range.start + block as u64 * u64::from(block_size);
            let range = at(run.start)..at(run.end).min(chunk.range.end);
            changed += range.end - range.start;
            let (line, stored) = self.store.object(number, range, &mut digests)?;
            done.lines.push(line);
            done.stored_bytes += stored;
        }
        self.store
            .watch
            .advance(chunk.range.end - chunk.range.start - changed);
        Ok(done)
    }

    /// Returns the first of `count` numbers. They run on through the volume, so those of the
    /// chunks before have to be known.
    fn reserve(&self, chunk: u64, count: usize) -> Result<u32, ChunkedError> {
        let mut shared = self.lock();
        while shared.numbering.0 != chunk {
            if shared.stopped {
                return Err(ChunkedError::Cancelled);
            }
            shared = self.wait(shared);
        }
        let first = shared.numbering.1;
        let after = u32::try_from(count)
            .ok()
            .and_then(|count| first.checked_add(count))
            .ok_or(TOO_MANY)?;
        shared.numbering = (chunk + 1, after);
        self.turn.notify_all();
        Ok(first)
    }

    fn hand_in(&self, chunk: u64, done: Done) -> Result<(), ChunkedError> {
        let mut shared = self.lock();
        shared.done.insert(chunk, done);
        while let Some(done) = {
            let listed = shared.listed;
            shared.done.remove(&listed)
        } {
            let Shared { lists, report, .. } = &mut *shared;
            for hash in &done.hashes {
                let name = || self.store.location.sha256_name();
                lists
                    .hashes
                    .push_hash(hash)
                    .map_err(|cause| ForeignError::io(name(), cause))?;
            }
            for line in &done.lines {
                let name = || self.store.location.metadata_name();
                lists
                    .metadata
                    .push_object(line)
                    .map_err(|cause| ForeignError::io(name(), cause))?;
                report.object_count += 1;
                report.data_bytes += line.length;
            }
            report.stored_bytes += done.stored_bytes;
            shared.listed += 1;
        }
        self.turn.notify_all();
        Ok(())
    }

    fn fail(&self, cause: ChunkedError) {
        self.lock().fail(cause);
        self.turn.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'b>(&self, shared: MutexGuard<'b, Shared>) -> MutexGuard<'b, Shared> {
        self.turn
            .wait(shared)
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Keeps the first failure; the others follow from it.
    fn fail(&mut self, cause: ChunkedError) {
        self.stopped = true;
        self.failure.get_or_insert(cause);
    }
}

/// Stops the others should a thread panic: they would wait for what it never hands in.
struct Bell<'a, 'b>(&'a Crew<'b>);

impl Drop for Bell<'_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lock().stopped = true;
            self.0.turn.notify_all();
        }
    }
}

const TOO_MANY: ChunkedError =
    ChunkedError::BadOptions("objects of this size are too many for this volume");

/// Returns the runs of blocks whose hashes differ.
fn differing(hashes: &[Hash], parent: &[Hash]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (block, (now, before)) in hashes.iter().zip(parent).enumerate() {
        if now != before {
            match runs.last_mut() {
                Some(run) if run.end == block => run.end += 1,
                _ => runs.push(block..block + 1),
            }
        }
    }
    runs
}
