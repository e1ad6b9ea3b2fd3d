//! Bringing a volume back.
//!
//! Workers take windows; each fetches the chunks of a slice of its window in few ranged reads,
//! in whatever order they lie in the store, expands each to its place, verifies it there, and
//! writes what hangs together at once.

mod room;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use emberkeep_format::{
    ChunkId, EnvelopeKind, FormatError, Manifest, Page, PageEntry, SessionKind,
};
use emberkeep_model::BackupId;
use emberkeep_volumes::{RestoreTarget, TargetState};

use crate::damage::ReadError;
use crate::error::RestoreError;
use crate::load::{LoadedIndex, load_condemned, load_index, load_index_and_tables};
use crate::reader::{ChunkReader, Sink};
use crate::run::Run;
use crate::session::Session;
use crate::space::{Space, worker_count};
use crate::tree::{Walk, read_pages};
use room::{SLICE, Tenant};

/// Pages read at once.
const PAGES: usize = 32;

/// Bytes made zero at once: a device may have to write them all.
const ZEROES: u64 = 64 << 20;

/// A volume that was restored.
#[derive(Debug, Clone, PartialEq)]
pub struct RestoreReport {
    /// The backup's manifest.
    pub manifest: Manifest,
    /// Bytes of data written.
    pub written_bytes: u64,
    /// Bytes of data that the target held already.
    pub kept_bytes: u64,
    /// Bytes made zero on a target that held data.
    pub zeroed_bytes: u64,
}

/// Why a worker stopped, before it is known what backup it worked for.
enum Halt {
    Read(ReadError),
    Other(RestoreError),
}

impl From<ReadError> for Halt {
    fn from(cause: ReadError) -> Self {
        Self::Read(cause)
    }
}

impl<T: Into<RestoreError>> From<T> for Halt {
    fn from(cause: T) -> Self {
        Self::Other(cause.into())
    }
}

impl Halt {
    fn of(self, space: &Space, backup: BackupId) -> RestoreError {
        match self {
            Self::Read(cause) => read_failure(space, backup, cause),
            Self::Other(cause) => cause,
        }
    }
}

/// Turns a failed read into the error of its backup. A backup that was deleted meanwhile is gone,
/// not damaged: a sweep that finishes an older condemnation waits for the sessions of that time
/// only, so that it may free what the deleted backup alone had needed.
pub(crate) fn read_failure(space: &Space, backup: BackupId, cause: ReadError) -> RestoreError {
    match cause {
        ReadError::Store(cause) => RestoreError::Store(cause),
        ReadError::Damaged(damage) => match space.store.head(&space.names.manifest(backup)) {
            Ok(None) => RestoreError::NoSuchBackup(backup),
            Ok(Some(_)) | Err(_) => RestoreError::BackupDamaged { backup, damage },
        },
    }
}

pub(crate) fn restore(
    space: &Arc<Space>,
    backup: BackupId,
    target: &dyn RestoreTarget,
    run: &Run,
) -> Result<RestoreReport, RestoreError> {
    // First of all the session: from here on no sweep deletes what we are about to read.
    let session = Session::start_reading(space, SessionKind::Restore)?;
    let name = space.names.manifest(backup);
    let manifest = space
        .load_if_there(EnvelopeKind::Manifest, &name, Manifest::decode)
        .map_err(|cause| read_failure(space, backup, cause))?
        .ok_or(RestoreError::NoSuchBackup(backup))?;
    if target.size() < manifest.size {
        return Err(RestoreError::VolumeTooSmall {
            have: target.size(),
            need: manifest.size,
        });
    }
    let mut outcome = attempt(space, &manifest, target, run, load_index);
    // A chunk may have moved between our reading the index and a sweep's finishing with a pack
    // that was condemned before we came; a fresh index knows where it is now.
    if matches!(&outcome, Err(Halt::Read(cause)) if cause.is_missing()) {
        tracing::info!(%backup, "a pack is gone; restoring again with a fresh index");
        outcome = attempt(space, &manifest, target, run, load_index);
    }
    // The packs say themselves what they hold, should the index have lost them.
    if matches!(&outcome, Err(Halt::Read(cause)) if cause.is_unlocated()) {
        tracing::warn!(%backup, "the index lacks a chunk; reading the packs' own tables");
        outcome = attempt(space, &manifest, target, run, load_index_and_tables);
    }
    let totals = outcome.map_err(|halt| halt.of(space, backup))?;
    target.finish()?;
    if let Some(Err(cause)) = session.map(Session::end) {
        tracing::warn!(%cause, "the session of a finished restore could not be removed");
    }
    Ok(RestoreReport {
        manifest,
        written_bytes: totals.written,
        kept_bytes: totals.kept,
        zeroed_bytes: totals.zeroed,
    })
}

#[derive(Debug, Clone, Copy, Default)]
struct Totals {
    written: u64,
    kept: u64,
    zeroed: u64,
}

fn attempt(
    space: &Space,
    manifest: &Manifest,
    target: &dyn RestoreTarget,
    run: &Run,
    load: fn(&Space) -> Result<LoadedIndex, ReadError>,
) -> Result<Totals, Halt> {
    let condemned = load_condemned(space)?.packs();
    let mut index = load(space)?.index;
    index.condemn(|pack| condemned.contains(&pack));
    run.begin(manifest.size.0);
    let window = u64::from(space.descriptor.window());
    let reader = || ChunkReader::new(space, &index, run).map_err(RestoreError::Decompressor);
    let tenant = Tenant::new();
    let feed = Mutex::new(Feed {
        reader: reader()?,
        walk: Walk::new(manifest.root),
        leaf: VecDeque::new(),
        ready: VecDeque::new(),
        window,
        size: manifest.size.0,
        covered: 0,
        over: false,
    });
    let results: Vec<Result<Totals, Halt>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads())
            .map(|_| {
                scope.spawn(|| {
                    let mut worker = Worker {
                        space,
                        target,
                        run,
                        reader: reader()?,
                        tenant: &tenant,
                        held: Vec::new(),
                        totals: Totals::default(),
                    };
                    worker.work(&feed)
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    });
    let mut sum = Totals::default();
    for totals in results {
        let totals = totals?;
        sum.written += totals.written;
        sum.kept += totals.kept;
        sum.zeroed += totals.zeroed;
    }
    Ok(sum)
}

/// Returns how many threads restore one volume: more than there are processors, so that these
/// have something to do while others read or write.
fn threads() -> usize {
    (2 * worker_count()).clamp(2, 8)
}

/// Something to do.
enum Job {
    /// A stretch between windows that hold data.
    Zero(Range<u64>),
    /// The window that lies there.
    Window(Range<u64>, Page),
}

/// Walks the map for all workers, reading pages in groups.
struct Feed<'a> {
    reader: ChunkReader<'a>,
    walk: Walk,
    leaf: VecDeque<(u64, ChunkId)>,
    ready: VecDeque<(u64, Page)>,
    window: u64,
    size: u64,
    covered: u64,
    over: bool,
}

impl Feed<'_> {
    fn next(&mut self) -> Result<Option<Job>, ReadError> {
        while !self.over && self.ready.is_empty() {
            self.refill()?;
        }
        let next = self.ready.front().map_or(self.size, |(start, _)| *start);
        if self.covered < next {
            let next = next.min(self.covered + ZEROES);
            let gap = self.covered..next;
            self.covered = next;
            return Ok(Some(Job::Zero(gap)));
        }
        Ok(self.ready.pop_front().map(|(start, page)| {
            self.covered = self.size.min(start + self.window);
            Job::Window(start..self.covered, page)
        }))
    }

    fn refill(&mut self) -> Result<(), ReadError> {
        if self.leaf.is_empty() {
            match self
                .walk
                .next_pages(&mut self.reader, &mut |_| Ok::<_, ReadError>(true))?
            {
                Some(pages) => self.leaf.extend(pages),
                None => self.over = true,
            }
            return Ok(());
        }
        let group: Vec<_> = self.leaf.drain(..PAGES.min(self.leaf.len())).collect();
        let ids: Vec<_> = group.iter().map(|(_, id)| *id).collect();
        let mut pages = vec![None; ids.len()];
        let window = u32::try_from(self.window).expect("windows are 16 MiB at most");
        read_pages(&mut self.reader, &ids, window, |at, page| {
            pages[at] = Some(page);
            Ok::<_, ReadError>(())
        })?;
        for ((number, id), page) in group.into_iter().zip(pages) {
            let start = number.checked_mul(self.window);
            let page = page.expect("every page that was asked for was handed out");
            let end = page
                .entries
                .last()
                .map_or(0, |entry| u64::from(entry.end()));
            match start {
                Some(start) if start >= self.covered && start.saturating_add(end) <= self.size => {
                    self.ready.push_back((start, page));
                }
                _ => {
                    let reason = "it reaches beyond the volume";
                    let cause = FormatError::Malformed {
                        what: "page",
                        reason,
                    };
                    return Err(ReadError::damaged(format!("page {id}"), None, cause));
                }
            }
        }
        Ok(())
    }
}

/// One thread's tools.
struct Worker<'a> {
    space: &'a Space,
    target: &'a dyn RestoreTarget,
    run: &'a Run,
    reader: ChunkReader<'a>,
    tenant: &'a Tenant,
    held: Vec<u8>,
    totals: Totals,
}

impl Worker<'_> {
    fn work(&mut self, feed: &Mutex<Feed<'_>>) -> Result<Totals, Halt> {
        let lock = || feed.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let job = lock().next();
            let done = match job {
                Ok(None) => return Ok(self.totals),
                Ok(Some(Job::Zero(range))) => self.zero(range),
                Ok(Some(Job::Window(range, page))) => self.window(range, &page),
                Err(cause) => Err(cause.into()),
            };
            if let Err(halt) = done {
                // Nothing more to do for the others either.
                let mut feed = lock();
                feed.over = true;
                feed.ready.clear();
                feed.covered = feed.size;
                return Err(halt);
            }
        }
    }

    fn holds_data(&self) -> bool {
        self.target.state() == TargetState::HoldsData
    }

    /// Zeroes are left out only where the target says by its type that it is zero.
    fn zero(&mut self, range: Range<u64>) -> Result<(), Halt> {
        if self.run.is_cancelled() {
            return Err(RestoreError::Cancelled.into());
        }
        let length = range.end - range.start;
        if self.holds_data() && length > 0 {
            self.target.zero(range)?;
            self.totals.zeroed += length;
        }
        self.run.add_done(length);
        Ok(())
    }

    /// Tells whether the target holds a chunk's bytes already; one that cannot be read does not.
    fn target_has(&mut self, offset: u64, entry: &PageEntry) -> bool {
        let length = entry.length as usize;
        if self.held.len() < length {
            self.held.resize(length, 0);
        }
        let held = &mut self.held[..length];
        self.target.read_at(offset, held).is_ok() && self.space.keys.chunk_ids.id(held) == entry.id
    }

    fn window(&mut self, range: Range<u64>, page: &Page) -> Result<(), Halt> {
        let start = range.start;
        let mut wanted = Vec::with_capacity(page.entries.len());
        let mut end = 0;
        for entry in &page.entries {
            self.zero(start + u64::from(end)..start + u64::from(entry.offset))?;
            end = entry.end();
            if self.holds_data() && self.target_has(start + u64::from(entry.offset), entry) {
                self.totals.kept += u64::from(entry.length);
                self.run.add_done(u64::from(entry.length));
            } else {
                wanted.push(*entry);
            }
        }
        self.zero(start + u64::from(end)..range.end)?;
        let mut rest = &wanted[..];
        while let Some(first) = rest.first() {
            let fits = |entry: &&PageEntry| {
                entry.offset == first.offset || entry.end() - first.offset <= SLICE
            };
            let (slice, later) = rest.split_at(rest.iter().take_while(fits).count());
            self.slice(start, slice)?;
            rest = later;
        }
        Ok(())
    }

    /// Restores chunks of a window that lie near each other.
    fn slice(&mut self, window: u64, wanted: &[PageEntry]) -> Result<(), Halt> {
        let (Some(first), Some(last)) = (wanted.first(), wanted.last()) else {
            return Ok(());
        };
        let base = first.offset;
        let mut room = self.tenant.room();
        let (plain, sealed) = room.parts((last.end() - base) as usize);
        let ids: Vec<_> = wanted.iter().map(|entry| entry.id).collect();
        let mut landing = Landing {
            plain,
            base,
            wanted,
            run: self.run,
        };
        self.reader.swap_buffer(sealed);
        let fetched = self.reader.fetch_to(&ids, &mut landing);
        self.reader.swap_buffer(sealed);
        fetched?;
        for run in wanted.chunk_by(|a, b| a.end() == b.offset) {
            let (start, end) = (run[0].offset, run[run.len() - 1].end());
            let bytes = &plain[(start - base) as usize..(end - base) as usize];
            self.target.write_at(window + u64::from(start), bytes)?;
            let length = bytes.len() as u64;
            self.totals.written += length;
            self.run.add_done(length);
            self.run.add_stored(length);
        }
        Ok(())
    }
}

/// Where the chunks of a slice are expanded to: each to its place.
struct Landing<'a> {
    plain: &'a mut [u8],
    base: u32,
    wanted: &'a [PageEntry],
    run: &'a Run,
}

impl Sink for Landing<'_> {
    type Error = Halt;

    fn room(&mut self, at: usize, len: usize) -> Result<&mut [u8], Halt> {
        if self.run.is_cancelled() {
            return Err(RestoreError::Cancelled.into());
        }
        let entry = &self.wanted[at];
        if len != entry.length as usize {
            let reason = "a chunk does not have the length that the page says";
            let cause = FormatError::Malformed {
                what: "page",
                reason,
            };
            return Err(ReadError::damaged(format!("chunk {}", entry.id), None, cause).into());
        }
        let start = (entry.offset - self.base) as usize;
        Ok(&mut self.plain[start..start + len])
    }

    fn filled(&mut self, _at: usize) -> Result<(), Halt> {
        Ok(())
    }
}
