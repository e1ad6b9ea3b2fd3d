//! Reading a backup anywhere, as often as one likes, without restoring it.
//!
//! What was read is kept: nodes and pages of the map, and chunks, each up to so many bytes.
//! Two readers that want the same chunk at once fetch it once; whoever reads on where someone
//! stopped finds the next chunks there already.

mod cache;

use std::collections::{HashSet, VecDeque};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};

use emberkeep_format::{
    ChunkId, EnvelopeKind, FormatError, Manifest, Node, Page, PageEntry, SessionKind,
};
use emberkeep_model::{BackupId, ByteCount};
use emberkeep_volumes::{ChangeSet, Extent, ExtentKind, SourceSnapshot, VolumeError};

use crate::damage::ReadError;
use crate::error::RestoreError;
use crate::index::Index;
use crate::load::{LoadedIndex, load_condemned, load_index, load_index_and_tables};
use crate::reader::ChunkReader;
use crate::restore::read_failure;
use crate::run::Run;
use crate::session::Session;
use crate::space::Space;
use cache::Cache;

/// Bytes of chunks that are kept.
const CHUNK_BYTES: usize = 64 << 20;
/// Bytes of pages that are kept: those of some 25 GiB of data.
const PAGE_BYTES: usize = 16 << 20;
/// Bytes of nodes that are kept.
const NODE_BYTES: usize = 4 << 20;
/// Bytes fetched beyond what was asked for where someone reads on.
const AHEAD: u64 = 1 << 20;
/// Places where readers stopped lately.
const TRAILS: usize = 16;

/// A backup that is open for reading; shared by as many threads as like.
///
/// While it is open no sweep frees what it needs, even if the backup is deleted. It costs
/// the index of its project and about 84 MiB of what was read, whatever the volume's size.
pub struct BackupReader {
    space: Arc<Space>,
    manifest: Manifest,
    run: Run,
    index: RwLock<Arc<Index>>,
    /// The index lacked something, so that packs are asked for their own tables, too.
    tables_read: AtomicBool,
    nodes: Mutex<Cache<Arc<Node>>>,
    pages: Mutex<Cache<Arc<Page>>>,
    chunks: Mutex<Chunks>,
    /// Told when chunks have come, or will not come.
    arrived: Condvar,
    /// Ends when the reader is dropped.
    _session: Option<Session>,
}

struct Chunks {
    kept: Cache<Arc<[u8]>>,
    /// What somebody is fetching just now.
    coming: HashSet<ChunkId>,
    /// Where reads ended lately, oldest first.
    trails: VecDeque<u64>,
}

/// A part of a chunk that goes into a buffer.
struct Want {
    id: ChunkId,
    length: u32,
    /// Which part of the chunk.
    part: Range<usize>,
    /// Where in the buffer it goes.
    place: usize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn fresh_index(
    space: &Space,
    load: fn(&Space) -> Result<LoadedIndex, ReadError>,
) -> Result<Index, ReadError> {
    let condemned = load_condemned(space)?.packs();
    let mut index = load(space)?.index;
    index.condemn(|pack| condemned.contains(&pack));
    Ok(index)
}

impl BackupReader {
    pub(crate) fn open(space: &Arc<Space>, backup: BackupId) -> Result<Self, RestoreError> {
        // First of all the session: from here on no sweep deletes what we are about to read.
        let session = Session::start_reading(space, SessionKind::Restore)?;
        let name = space.names.manifest(backup);
        let manifest = space
            .load_if_there(EnvelopeKind::Manifest, &name, Manifest::decode)
            .map_err(|cause| read_failure(space, backup, cause))?
            .ok_or(RestoreError::NoSuchBackup(backup))?;
        let index =
            fresh_index(space, load_index).map_err(|cause| read_failure(space, backup, cause))?;
        Ok(Self {
            space: space.clone(),
            manifest,
            run: Run::new(),
            index: RwLock::new(Arc::new(index)),
            tables_read: AtomicBool::new(false),
            nodes: Mutex::new(Cache::new(NODE_BYTES)),
            pages: Mutex::new(Cache::new(PAGE_BYTES)),
            chunks: Mutex::new(Chunks {
                kept: Cache::new(CHUNK_BYTES),
                coming: HashSet::new(),
                trails: VecDeque::with_capacity(TRAILS),
            }),
            arrived: Condvar::new(),
            _session: session,
        })
    }

    /// Returns the backup's manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Fills `buf` from `offset`. Each chunk is verified before any of it is handed out.
    pub fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), RestoreError> {
        self.with_index(|index| self.read_with(index, offset, buf))
    }

    /// Lists the data of a range, as stretches in order; the rest of it is zero.
    pub fn data(&self, range: Range<u64>) -> Result<Vec<Range<u64>>, RestoreError> {
        self.with_index(|index| self.data_with(index, range.clone()))
    }

    /// Does it with the index we have, and with a fresh one if a pack has gone since, or if the
    /// index may have lost packs that are there.
    fn with_index<T>(
        &self,
        mut act: impl FnMut(&Index) -> Result<T, ReadError>,
    ) -> Result<T, RestoreError> {
        let backup = self.manifest.backup_id;
        let have = self.index.read().unwrap_or_else(PoisonError::into_inner);
        let index = have.clone();
        drop(have);
        match act(&index) {
            Err(cause) if cause.is_missing() || self.may_be_lost(&cause) => {
                tracing::info!(%backup, %cause, "reading again with a fresh index");
                let load = match self.tables_read.load(Relaxed) {
                    true => load_index_and_tables,
                    false => load_index,
                };
                let index = fresh_index(&self.space, load)
                    .map_err(|cause| read_failure(&self.space, backup, cause))?;
                let index = Arc::new(index);
                let mut have = self.index.write().unwrap_or_else(PoisonError::into_inner);
                have.clone_from(&index);
                drop(have);
                act(&index)
            }
            done => done,
        }
        .map_err(|cause| read_failure(&self.space, backup, cause))
    }

    /// Tells, once, whether the packs' own tables are to be read.
    fn may_be_lost(&self, cause: &ReadError) -> bool {
        cause.is_unlocated() && !self.tables_read.swap(true, Relaxed)
    }

    fn window(&self) -> u64 {
        u64::from(self.space.descriptor.window())
    }

    fn node(
        &self,
        reader: &mut Reader<'_>,
        id: ChunkId,
        level: u8,
    ) -> Result<Arc<Node>, ReadError> {
        if let Some(node) = lock(&self.nodes).get(&id) {
            return Ok(node);
        }
        let plain = reader.get()?.fetch_one(id)?;
        let node = Node::decode(&plain, level)
            .map_err(|cause| ReadError::damaged(format!("node {id}"), None, cause))?;
        let node = Arc::new(node);
        lock(&self.nodes).put(id, node.clone(), plain.len() + 64);
        Ok(node)
    }

    fn page(&self, reader: &mut Reader<'_>, id: ChunkId) -> Result<Arc<Page>, ReadError> {
        if let Some(page) = lock(&self.pages).get(&id) {
            return Ok(page);
        }
        let plain = reader.get()?.fetch_one(id)?;
        let page = Page::decode(&plain, self.space.descriptor.window())
            .map_err(|cause| ReadError::damaged(format!("page {id}"), None, cause))?;
        let page = Arc::new(page);
        let size = page.entries.len() * size_of::<PageEntry>() + 64;
        lock(&self.pages).put(id, page.clone(), size);
        Ok(page)
    }

    /// Finds the first window with data from that one on.
    fn page_from(
        &self,
        reader: &mut Reader<'_>,
        window: u64,
    ) -> Result<Option<(u64, Arc<Page>)>, ReadError> {
        let Some(root) = self.manifest.root else {
            return Ok(None);
        };
        // Nodes to look into, the next one last: id, level, number at that level.
        let mut open = vec![(root.node, root.depth - 1, 0u64)];
        while let Some((id, level, number)) = open.pop() {
            let node = self.node(reader, id, level)?;
            let shift = 8 * u32::from(level);
            let children = node
                .entries
                .iter()
                .map(|entry| (number << 8 | u64::from(entry.slot), entry.id))
                // Those that end before the window are behind us.
                .skip_while(|(child, _)| *child < window.checked_shr(shift).unwrap_or(0));
            if level == 0 {
                let first = { children }.next();
                if let Some((found, page)) = first {
                    return Ok(Some((found, self.page(reader, page)?)));
                }
            } else {
                let before = open.len();
                open.extend(children.map(|(child, id)| (id, level - 1, child)));
                open[before..].reverse();
            }
        }
        Ok(None)
    }

    /// Calls `each` with every entry that touches `range`, and where its chunk begins.
    fn entries(
        &self,
        reader: &mut Reader<'_>,
        range: Range<u64>,
        mut each: impl FnMut(u64, &PageEntry),
    ) -> Result<(), ReadError> {
        let width = self.window();
        let mut at = range.start;
        while at < range.end {
            let Some((number, page)) = self.page_from(reader, at / width)? else {
                return Ok(());
            };
            let Some(start) = number.checked_mul(width) else {
                return Ok(());
            };
            let first = page
                .entries
                .partition_point(|entry| start + u64::from(entry.end()) <= at);
            for entry in &page.entries[first..] {
                let begins = start + u64::from(entry.offset);
                if begins >= range.end {
                    return Ok(());
                }
                each(begins, entry);
            }
            at = start + width;
        }
        Ok(())
    }

    fn data_with(&self, index: &Index, range: Range<u64>) -> Result<Vec<Range<u64>>, ReadError> {
        let mut reader = Reader::new(self, index);
        let mut found: Vec<Range<u64>> = Vec::new();
        self.entries(&mut reader, range.clone(), |begins, entry| {
            let start = begins.max(range.start);
            let end = (begins + u64::from(entry.length)).min(range.end);
            match found.last_mut() {
                Some(last) if last.end == start => last.end = end,
                _ => found.push(start..end),
            }
        })?;
        Ok(found)
    }

    fn read_with(&self, index: &Index, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        let end = offset + buf.len() as u64;
        let mut reader = Reader::new(self, index);
        let ahead = self.ahead(offset, end);
        let mut wants = Vec::new();
        let mut more = Vec::new();
        self.entries(&mut reader, offset..ahead, |begins, entry| {
            let chunk_end = begins + u64::from(entry.length);
            if begins >= end {
                more.push((entry.id, entry.length));
                return;
            }
            let (from, until) = (begins.max(offset), chunk_end.min(end));
            wants.push(Want {
                id: entry.id,
                length: entry.length,
                part: small(from - begins)..small(until - begins),
                place: small(from - offset),
            });
        })?;
        buf.fill(0);
        while !wants.is_empty() {
            let claimed = self.take_or_claim(&mut wants, &mut more, buf);
            if claimed.ids.is_empty() {
                continue;
            }
            let ids = claimed.ids.clone();
            reader.get()?.fetch(&ids, |at, plain| {
                let length = claimed.lengths[at] as usize;
                if plain.len() != length {
                    let reason = "a chunk does not have the length that the page says";
                    let what = "page";
                    let cause = FormatError::Malformed { what, reason };
                    return Err(ReadError::damaged(
                        format!("chunk {}", ids[at]),
                        None,
                        cause,
                    ));
                }
                // Straight from here, since what is kept may be pushed out again at once.
                wants.retain(|want| {
                    let wanted = want.id == ids[at];
                    if wanted {
                        copy(want, plain, buf);
                    }
                    !wanted
                });
                lock(&self.chunks)
                    .kept
                    .put(ids[at], Arc::from(plain), length + 64);
                Ok::<_, ReadError>(())
            })?;
        }
        Ok(())
    }

    /// Returns how far to read where a read goes on from another one; notes where it ends.
    fn ahead(&self, offset: u64, end: u64) -> u64 {
        let mut chunks = lock(&self.chunks);
        let goes_on = chunks
            .trails
            .iter()
            .any(|trail| (*trail..=*trail + AHEAD).contains(&offset));
        if chunks.trails.len() == TRAILS {
            chunks.trails.pop_front();
        }
        chunks.trails.push_back(end);
        if goes_on {
            end.saturating_add(AHEAD).min(self.manifest.size.0)
        } else {
            end
        }
    }

    /// Copies what is kept, and claims what nobody is fetching. Where all that is left is
    /// being fetched by others, waits for them.
    fn take_or_claim<'a>(
        &'a self,
        wants: &mut Vec<Want>,
        more: &mut Vec<(ChunkId, u32)>,
        buf: &mut [u8],
    ) -> Claim<'a> {
        let mut claim = Claim {
            reader: self,
            ids: Vec::new(),
            lengths: Vec::new(),
        };
        let mut chunks = lock(&self.chunks);
        loop {
            wants.retain(|want| match chunks.kept.get(&want.id) {
                Some(plain) if plain.len() == want.length as usize => {
                    copy(want, &plain, buf);
                    false
                }
                _ => true,
            });
            if wants.is_empty() {
                return claim;
            }
            for want in wants.iter() {
                if chunks.coming.insert(want.id) {
                    claim.ids.push(want.id);
                    claim.lengths.push(want.length);
                }
            }
            if !claim.ids.is_empty() {
                for (id, length) in std::mem::take(more) {
                    if !chunks.kept.has(&id) && chunks.coming.insert(id) {
                        claim.ids.push(id);
                        claim.lengths.push(length);
                    }
                }
                return claim;
            }
            let waited = self.arrived.wait(chunks);
            chunks = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn copy(want: &Want, plain: &[u8], buf: &mut [u8]) {
    let part = &plain[want.part.clone()];
    buf[want.place..want.place + part.len()].copy_from_slice(part);
}

/// Turns a distance within a buffer or a chunk into an index.
fn small(distance: u64) -> usize {
    usize::try_from(distance).expect("buffers and chunks fit the memory")
}

/// Chunks that one reader fetches; others wait for them until this is dropped.
struct Claim<'a> {
    reader: &'a BackupReader,
    ids: Vec<ChunkId>,
    lengths: Vec<u32>,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if self.ids.is_empty() {
            return;
        }
        let mut chunks = lock(&self.reader.chunks);
        for id in &self.ids {
            chunks.coming.remove(id);
        }
        drop(chunks);
        self.reader.arrived.notify_all();
    }
}

/// Tools for reading chunks, made when the first is needed: what is kept needs none.
struct Reader<'a> {
    owner: &'a BackupReader,
    index: &'a Index,
    made: Option<ChunkReader<'a>>,
}

impl<'a> Reader<'a> {
    fn new(owner: &'a BackupReader, index: &'a Index) -> Self {
        Self {
            owner,
            index,
            made: None,
        }
    }

    fn get(&mut self) -> Result<&mut ChunkReader<'a>, ReadError> {
        if self.made.is_none() {
            let owner = self.owner;
            let made = ChunkReader::new(&owner.space, self.index, &owner.run).map_err(|cause| {
                let what = "the decompressor".to_owned();
                ReadError::Store(emberkeep_store::StoreError::Failed { name: what, cause })
            })?;
            self.made = Some(made);
        }
        Ok(self.made.as_mut().expect("it was made above"))
    }
}

impl SourceSnapshot for BackupReader {
    fn size(&self) -> ByteCount {
        self.manifest.size
    }

    fn extents(
        &self,
        range: Range<u64>,
        _since: Option<&str>,
    ) -> Result<(ChangeSet, Vec<Extent>), VolumeError> {
        self.check(range.start, range.end.saturating_sub(range.start))?;
        let data = self
            .data(range.clone())
            .map_err(|cause| self.failed(cause))?;
        let mut extents = Vec::with_capacity(data.len() * 2 + 1);
        let mut at = range.start;
        let mut push = |until: u64, kind| {
            if until > at {
                extents.push(Extent {
                    offset: at,
                    length: until - at,
                    kind,
                });
                at = until;
            }
        };
        for stretch in data {
            push(stretch.start, ExtentKind::Zero);
            push(stretch.end, ExtentKind::Data);
        }
        push(range.end, ExtentKind::Zero);
        let reason = "a backup keeps no change tracking".to_owned();
        Ok((ChangeSet::FullScan { reason }, extents))
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), VolumeError> {
        self.check(offset, buf.len() as u64)?;
        self.read(offset, buf).map_err(|cause| self.failed(cause))
    }
}

impl BackupReader {
    fn check(&self, offset: u64, length: u64) -> Result<(), VolumeError> {
        let size = self.manifest.size.0;
        match offset.checked_add(length) {
            Some(end) if end <= size => Ok(()),
            _ => Err(VolumeError::OutOfRange {
                what: format!("backup {}", self.manifest.backup_id),
                reason: format!("{length} bytes at {offset} reach beyond its {size} bytes"),
            }),
        }
    }

    fn failed(&self, cause: RestoreError) -> VolumeError {
        let what = format!("reading backup {}", self.manifest.backup_id);
        VolumeError::io(what, std::io::Error::other(cause))
    }
}

impl std::fmt::Debug for BackupReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BackupReader({})", self.manifest.backup_id)
    }
}
