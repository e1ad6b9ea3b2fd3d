//! Copying a backup to another repository: only what that one lacks travels.
//!
//! Both repositories hold the same key for the project, so that a chunk has the same id in
//! both and knowing is asking the index. Chunks travel encoded as they are; each is opened,
//! verified and sealed anew for its new pack. What was sent is read back and then indexed, piece
//! by piece, so that an attempt after a crash finds it there.

mod outlet;
mod verify;

use std::collections::HashSet;
use std::sync::Arc;

use emberkeep_format::{
    ChunkId, Decompressor, Encoding, EnvelopeKind, FormatError, IndexEntry, Manifest, Node, Page,
    SessionKind, UnixMicros, open_chunk,
};
use emberkeep_keys::ProjectKey;
use emberkeep_model::{BackupId, CheckpointId, VaultId};
use emberkeep_store::list_all;

use crate::backup::known::Known;
use crate::backup::{look_around, publish};
use crate::damage::{DamageCause, ReadError};
use crate::error::{CopyError, RepositoryError};
use crate::index::Index;
use crate::ledger::ensure;
use crate::load::Listing;
use crate::load::load_index_and_tables;
use crate::reader::ChunkReader;
use crate::repository::{ProjectRepository, Repository};
use crate::run::Run;
use crate::session::Session;
use crate::space::{Space, now};
use crate::tree::Walk;
use outlet::Outlet;

/// Pages read at once.
const PAGES: usize = 16;
/// The longest range asked for at once.
const SPAN: u64 = 4 << 20;
/// Reading over a gap of this size costs less than asking again.
const GAP: u64 = 256 << 10;
/// What the keys of two repositories are compared by.
const PROBE: &[u8] = b"the same project";

/// What the copy is called in the other repository.
#[derive(Debug, Clone, PartialEq)]
pub struct CopyRequest {
    /// The copy's own id.
    pub backup_id: BackupId,
    /// An earlier copy there, of which this one probably shares most; need not exist.
    pub base: Option<BackupId>,
    /// Its name.
    pub name: String,
    /// Its description.
    pub description: Option<String>,
    /// The vault it comes to.
    pub vault_id: Option<VaultId>,
    /// The checkpoint it belongs to.
    pub checkpoint_id: Option<CheckpointId>,
    /// When it was asked for.
    pub created_at: UnixMicros,
    /// So many bytes are sent before they are indexed: the most that a crash costs.
    pub piece_bytes: u64,
    /// What the catalogue wants to find again.
    pub extra: serde_json::Map<String, serde_json::Value>,
}

impl CopyRequest {
    /// Bytes between two index runs unless told otherwise.
    pub const PIECE_BYTES: u64 = 128 << 20;

    /// Asks for a copy without vault or further words.
    pub fn new(backup_id: BackupId, name: impl Into<String>, created_at: UnixMicros) -> Self {
        Self {
            backup_id,
            base: None,
            name: name.into(),
            description: None,
            vault_id: None,
            checkpoint_id: None,
            created_at,
            piece_bytes: Self::PIECE_BYTES,
            extra: serde_json::Map::new(),
        }
    }
}

/// A copy that was made.
#[derive(Debug, Clone, PartialEq)]
pub struct CopyReport {
    /// Its manifest as it was stored.
    pub manifest: Manifest,
    /// Bytes sent in packs: chunks, pages and nodes that the other repository lacked.
    pub sent_bytes: u64,
    /// Chunks of the volume among them.
    pub sent_chunks: u64,
    /// Bytes that were read back and verified: all that was sent.
    pub verified_bytes: u64,
}

fn copy(
    from: &Arc<Space>,
    to: &Arc<Space>,
    backup: BackupId,
    request: CopyRequest,
    run: &Run,
) -> Result<CopyReport, CopyError> {
    let same_key = from.keys.chunk_ids.id(PROBE) == to.keys.chunk_ids.id(PROBE);
    if !same_key || from.descriptor.chunker != to.descriptor.chunker {
        return Err(CopyError::Unlike);
    }
    // First of all the sessions: from here on no sweep deletes what we come to rely on.
    let session = Session::start(to, SessionKind::Backup)?;
    let reading = Session::start_reading(from, SessionKind::Restore)?;
    let name = to.names.manifest(request.backup_id);
    if to.store.head(&name)?.is_some() {
        ensure(to, request.backup_id)?;
        return Err(CopyError::Exists(request.backup_id));
    }
    let source_name = from.names.manifest(backup);
    let source = from
        .load_if_there(EnvelopeKind::Manifest, &source_name, Manifest::decode)?
        .ok_or(CopyError::NoSuchBackup(backup))?;
    // A chunk that the index has lost is copied all the same.
    let index = load_index_and_tables(from)?.index;
    let (known, _) = look_around(to, None, &Listing::take(to)?)?;
    let base = match request.base {
        // What may have got lost there is looked for everywhere.
        Some(base) if known.index().is_sound() => nodes_of(to, &known, base, run)?,
        Some(_) | None => HashSet::new(),
    };
    let mut copier = Copier {
        from,
        index: &index,
        known: &known,
        base: &base,
        run,
        reader: ChunkReader::new(from, &index, run).map_err(CopyError::Compressor)?,
        decoder: Decompressor::new().map_err(CopyError::Compressor)?,
        outlet: Outlet::new(to, run, request.piece_bytes),
        sent_chunks: 0,
    };
    run.begin(source.size.0);
    copier.map(&source)?;
    let sent_chunks = copier.sent_chunks;
    let sent = copier.outlet.finish()?;
    drop(reading);

    verify::reachable(to, source.root, &base, run)?;
    if let Some(lost) = known.first_vanished(&to.list_packs()?) {
        return Err(CopyError::PackVanished(to.names.pack(lost)));
    }
    if !session.is_intact()? {
        return Err(CopyError::SessionLost);
    }
    if run.is_cancelled() {
        return Err(CopyError::Cancelled);
    }
    let manifest = manifest_of(source, request, &session, sent.bytes);
    let ledger = list_all(&*to.store, &to.names.ledger())?;
    publish(to, &session, &manifest, &ledger)?;
    if let Err(cause) = session.end() {
        tracing::warn!(%cause, "the session of a finished copy could not be removed");
    }
    Ok(CopyReport {
        manifest,
        sent_bytes: sent.bytes,
        sent_chunks,
        verified_bytes: sent.verified,
    })
}

/// Says of the copy what holds of it: its content is the other's, its place and cost are its own.
fn manifest_of(source: Manifest, request: CopyRequest, session: &Session, sent: u64) -> Manifest {
    let mut manifest = source;
    manifest.backup_id = request.backup_id;
    manifest.session = session.id();
    manifest.name = request.name;
    manifest.description = request.description;
    manifest.vault_id = request.vault_id;
    manifest.checkpoint_id = request.checkpoint_id;
    manifest.created_at = request.created_at;
    manifest.finished_at = now();
    manifest.extra = request.extra;
    // Nothing is backed up after a copy: it names no instant that a source could be asked about.
    manifest.lineage = None;
    manifest.parent = None;
    manifest.statistics.stored_bytes = sent;
    manifest
}

/// Lists the nodes of a backup's map; none if it is gone or cannot be read.
fn nodes_of(
    space: &Space,
    known: &Known,
    backup: BackupId,
    run: &Run,
) -> Result<HashSet<ChunkId>, CopyError> {
    let name = space.names.manifest(backup);
    let found = space.load_if_there(EnvelopeKind::Manifest, &name, Manifest::decode);
    let reader = ChunkReader::new(space, known.index(), run);
    let mut reader = reader.map_err(CopyError::Compressor)?;
    let walked = found.and_then(|manifest| {
        let mut nodes = HashSet::new();
        let Some(manifest) = manifest else {
            return Ok(nodes);
        };
        let mut walk = Walk::new(manifest.root);
        while walk
            .next_pages(&mut reader, &mut |id| Ok::<_, ReadError>(nodes.insert(id)))?
            .is_some()
        {}
        Ok(nodes)
    });
    match walked {
        Ok(nodes) => Ok(nodes),
        Err(ReadError::Damaged(damage)) => {
            tracing::warn!(%damage, "an earlier copy cannot be read; looking at everything");
            Ok(HashSet::new())
        }
        Err(cause @ ReadError::Store(_)) => Err(cause.into()),
    }
}

impl Repository {
    /// Opens a project's part here under the key that it has in `other`: only then do equal
    /// chunks have equal ids. Whichever of the two has no key yet takes the other's, so that
    /// copies can be fetched back to a repository that was lost and made anew.
    pub fn project_as_in(
        &self,
        other: &Self,
        project: &str,
    ) -> Result<ProjectRepository, RepositoryError> {
        let theirs = match (other.data_key(project)?, self.data_key(project)?) {
            (Some(theirs), _) => theirs,
            (None, Some(ours)) => other.give_project_key(&ours)?,
            (None, None) => {
                other.project(project)?;
                let made = other.data_key(project)?;
                made.ok_or_else(|| self.other_key(project))?
            }
        };
        let here = self.give_project_key(&theirs)?;
        let probe = |key: &ProjectKey| key.derive().chunk_ids.id(PROBE);
        if probe(&here) == probe(&theirs) {
            self.project(project)
        } else {
            Err(self.other_key(project))
        }
    }

    /// Stores a key unless the project has one, and returns the one it has then.
    fn give_project_key(&self, key: &ProjectKey) -> Result<ProjectKey, RepositoryError> {
        let stored = self.store_key(key)?;
        let space = self.secret.key_space(key.project());
        Ok(self.open_key(space, &stored)?.key)
    }

    fn data_key(&self, project: &str) -> Result<Option<ProjectKey>, RepositoryError> {
        Ok(self.find_key(project)?.map(|opened| opened.key))
    }

    fn other_key(&self, project: &str) -> RepositoryError {
        RepositoryError::OtherKey {
            place: self.store.describe(),
            project: project.to_owned(),
        }
    }
}

impl ProjectRepository {
    /// Copies a backup to the same project's part of another repository, opened with
    /// [`Repository::project_as_in`]. When this returns, the copy is durable and complete there.
    pub fn copy_to(
        &self,
        backup: BackupId,
        to: &Self,
        request: CopyRequest,
        run: &Run,
    ) -> Result<CopyReport, CopyError> {
        copy(&self.space, &to.space, backup, request, run)
    }
}

/// One attempt to copy a map with what hangs on it.
struct Copier<'a> {
    from: &'a Space,
    index: &'a Index,
    known: &'a Known,
    /// Nodes of an earlier copy: what lies below them is there.
    base: &'a HashSet<ChunkId>,
    run: &'a Run,
    reader: ChunkReader<'a>,
    decoder: Decompressor,
    outlet: Outlet<'a>,
    sent_chunks: u64,
}

impl Copier<'_> {
    fn map(&mut self, manifest: &Manifest) -> Result<(), CopyError> {
        let mut stack: Vec<(ChunkId, u8)> = manifest
            .root
            .map(|root| (root.node, root.depth - 1))
            .into_iter()
            .collect();
        let mut walked = HashSet::new();
        let mut leans = false;
        while let Some((id, level)) = stack.pop() {
            if self.run.is_cancelled() {
                return Err(CopyError::Cancelled);
            }
            if self.base.contains(&id) {
                leans = true;
                continue;
            }
            if !walked.insert(id) {
                continue;
            }
            let plain = self.reader.fetch_one(id)?;
            let node = Node::decode(&plain, level)
                .map_err(|cause| ReadError::damaged(format!("node {id}"), None, cause))?;
            let children = node.entries.iter().map(|entry| entry.id);
            if level == 0 {
                let pages: Vec<ChunkId> = children.collect();
                for group in pages.chunks(PAGES) {
                    self.pages(group)?;
                }
            } else {
                stack.extend(children.rev().map(|child| (child, level - 1)));
            }
            self.map_part(id, &plain)?;
        }
        if leans {
            self.known.lean_on_all();
        }
        Ok(())
    }

    /// Copies pages with their chunks. That a page is known there says nothing of its chunks: a
    /// page that no backup names any more may outlive them in its pack.
    fn pages(&mut self, ids: &[ChunkId]) -> Result<(), CopyError> {
        let window = self.from.descriptor.window();
        let mut pages = Vec::with_capacity(ids.len());
        self.reader.fetch(ids, |at, plain| {
            pages.push((ids[at], plain.to_vec()));
            Ok::<_, CopyError>(())
        })?;
        for (id, plain) in pages {
            let page = Page::decode(&plain, window)
                .map_err(|cause| ReadError::damaged(format!("page {id}"), None, cause))?;
            let missing: Vec<ChunkId> = page
                .entries
                .iter()
                .map(|entry| entry.id)
                .filter(|id| self.known.claim(*id))
                .collect();
            self.chunks(&missing)?;
            self.map_part(id, &plain)?;
            self.run.add_done(window.into());
        }
        Ok(())
    }

    fn map_part(&mut self, id: ChunkId, plain: &[u8]) -> Result<(), CopyError> {
        if self.known.claim(id) {
            self.outlet.map(id, plain)?;
        }
        Ok(())
    }

    /// Copies chunks, in the order in which they lie here.
    fn chunks(&mut self, ids: &[ChunkId]) -> Result<(), CopyError> {
        let mut wants = Vec::with_capacity(ids.len());
        for id in ids {
            let entry = self.index.best(id).ok_or_else(|| {
                let cause = DamageCause::NoLocation(*id);
                ReadError::damaged(self.from.names.packs(), None, cause)
            })?;
            wants.push(entry);
        }
        wants.sort_unstable_by_key(|entry| (entry.pack, entry.offset));
        let mut rest = &wants[..];
        while let Some(first) = rest.first() {
            if self.run.is_cancelled() {
                return Err(CopyError::Cancelled);
            }
            let mut end = end_of(first);
            let start = u64::from(first.offset);
            let count = rest
                .iter()
                .take_while(|entry| {
                    let fits = entry.pack == first.pack
                        && u64::from(entry.offset) <= end + GAP
                        && end_of(entry) <= (start + SPAN).max(end_of(first));
                    if fits {
                        end = end.max(end_of(entry));
                    }
                    fits
                })
                .count();
            let (group, later) = rest.split_at(count);
            self.group(group, start..end)?;
            rest = later;
        }
        self.sent_chunks += ids.len() as u64;
        Ok(())
    }

    fn group(
        &mut self,
        group: &[IndexEntry],
        range: std::ops::Range<u64>,
    ) -> Result<(), CopyError> {
        let pack = self.index.packs()[group[0].pack as usize].pack;
        let (name, base) = (self.from.names.pack(pack), range.start);
        let read = self.from.store.get_range(&name, range);
        let mut bytes = match read.map_err(ReadError::from_store) {
            Ok(bytes) => bytes,
            // They may be there one by one, or elsewhere.
            Err(ReadError::Damaged(_)) => {
                return group.iter().try_for_each(|entry| self.mend(entry));
            }
            Err(cause) => return Err(cause.into()),
        };
        self.run.add_read(bytes.len() as u64);
        let key = self.from.keys.pack(pack);
        for entry in group {
            #[expect(clippy::cast_possible_truncation, reason = "a range is short")]
            let at = (u64::from(entry.offset) - base) as usize;
            let sealed = &mut bytes[at..at + entry.sealed_len as usize];
            let toc = entry.toc();
            let encoded = open_chunk(&key, &toc, sealed).and_then(|encoded| {
                let plain = self.decoder.decode(encoded, toc.encoding, toc.plain_len)?;
                if self.from.keys.chunk_ids.id(plain) == entry.id {
                    Ok(encoded)
                } else {
                    Err(FormatError::WrongChunk)
                }
            });
            match encoded {
                Ok(encoded) => {
                    self.outlet
                        .data(entry.id, toc.plain_len, toc.encoding, encoded)?;
                }
                Err(_) => self.mend(entry)?,
            }
        }
        Ok(())
    }

    /// Copies a chunk from any of its places; damage at one of them is not copied.
    fn mend(&mut self, entry: &IndexEntry) -> Result<(), CopyError> {
        let plain = self.reader.fetch_one(entry.id)?;
        let len = entry.toc().plain_len;
        self.outlet.data(entry.id, len, Encoding::Raw, &plain)
    }
}

fn end_of(entry: &IndexEntry) -> u64 {
    u64::from(entry.offset) + u64::from(entry.sealed_len)
}
