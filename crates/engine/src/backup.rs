//! Backing a volume up.
//!
//! Workers take windows in order; each reads, cuts, hashes, looks up and compresses on its
//! own. What is new goes through a queue that hands it on in volume order to one packer,
//! which seals it into packs that an uploader stores. Order of durability: packs, index,
//! manifest.

mod known;
mod queue;
mod windows;
mod worker;

use std::sync::mpsc::{channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use emberkeep_format::{
    ChangeRecord, ChunkId, Encoding, EnvelopeKind, Manifest, MapRoot, PackKind, SessionKind,
    SourceRecord, UnixMicros,
};
use emberkeep_model::{BackupId, CheckpointId, VaultId};
use emberkeep_store::StoreError;
use emberkeep_volumes::SourceSnapshot;

use crate::error::BackupError;
use crate::load::{condemned_packs, load_condemned, load_index};
use crate::packs::{PackFiller, Uploader, UploaderGone};
use crate::run::Run;
use crate::session::Session;
use crate::space::{Space, now, worker_count};
use crate::tree::TreeBuilder;
use known::Known;
use queue::{Message, Queue};
use windows::Windows;
use worker::Worker;

/// What a backup is called and what its manifest remembers.
#[derive(Debug, Clone, PartialEq)]
pub struct BackupRequest {
    /// The new backup.
    pub backup_id: BackupId,
    /// Its name.
    pub name: String,
    /// Its description.
    pub description: Option<String>,
    /// The backup it is made after; must exist. Recorded only: what is known is found
    /// in the index, so that a chunk that got lost since is stored again.
    pub parent: Option<BackupId>,
    /// What is backed up.
    pub source: SourceRecord,
    /// The vault it belongs to.
    pub vault_id: Option<VaultId>,
    /// The checkpoint it belongs to.
    pub checkpoint_id: Option<CheckpointId>,
    /// When it was asked for.
    pub created_at: UnixMicros,
    /// What the catalogue wants to find again.
    pub extra: serde_json::Map<String, serde_json::Value>,
}

impl BackupRequest {
    /// Asks for a backup without parent, vault or further words.
    pub fn new(backup_id: BackupId, name: impl Into<String>, created_at: UnixMicros) -> Self {
        Self {
            backup_id,
            name: name.into(),
            description: None,
            parent: None,
            source: SourceRecord::default(),
            vault_id: None,
            checkpoint_id: None,
            created_at,
            extra: serde_json::Map::new(),
        }
    }
}

/// A backup that was made.
#[derive(Debug, Clone, PartialEq)]
pub struct BackupReport {
    /// The manifest as it was stored.
    pub manifest: Manifest,
}

pub(crate) fn backup(
    space: &Arc<Space>,
    source: &dyn SourceSnapshot,
    request: BackupRequest,
    run: &Run,
) -> Result<BackupReport, BackupError> {
    let store = &space.store;
    let name = space.names.manifest(request.backup_id);
    // First of all the session: from here on no sweep deletes what we come to rely on.
    let session = Session::start(space, SessionKind::Backup)?;
    if store.head(&name)?.is_some() {
        return Err(BackupError::Exists(request.backup_id));
    }
    if let Some(parent) = request.parent
        && store.head(&space.names.manifest(parent))?.is_none()
    {
        return Err(BackupError::NoSuchParent(parent));
    }
    let condemned = condemned_packs(&load_condemned(space)?);
    let mut index = load_index(space)?.index;
    index.condemn(|pack| condemned.contains(&pack));
    index.compare_with(&space.list_packs()?);
    let known = Known::new(index);

    let mut manifest = Manifest::new(
        request.backup_id,
        space.project.clone(),
        source.size(),
        session.id(),
    );
    copy(space, source, &known, run, &mut manifest)?;

    // A last look at what the backup leans on. A sweep that was taken for dead and woke up
    // again could have deleted it; the manifest must not exist then.
    if let Some(lost) = known.first_vanished(&space.list_packs()?) {
        return Err(BackupError::PackVanished(space.names.pack(lost)));
    }
    if !session.is_intact()? {
        return Err(BackupError::SessionLost);
    }
    if run.is_cancelled() {
        return Err(BackupError::Cancelled);
    }
    manifest.source = request.source;
    manifest.lineage = source.lineage();
    manifest.name = request.name;
    manifest.description = request.description;
    manifest.vault_id = request.vault_id;
    manifest.checkpoint_id = request.checkpoint_id;
    manifest.parent = request.parent;
    manifest.created_at = request.created_at;
    manifest.finished_at = now();
    manifest.extra = request.extra;
    let sealed = space.seal(EnvelopeKind::Manifest, &name, &manifest.encode());
    match store.put_if_absent(&name, &[&sealed]) {
        Ok(()) => {}
        Err(StoreError::AlreadyExists { .. }) => {
            return Err(BackupError::Exists(request.backup_id));
        }
        Err(cause) => return Err(cause.into()),
    }
    // Unless it is certain that no sweep took us for dead until here, the backup must not stand.
    match session.is_intact() {
        Ok(true) => {}
        Ok(false) => {
            store.delete_many(&[name])?;
            return Err(BackupError::SessionLost);
        }
        Err(cause) => {
            if let Err(also) = store.delete_many(&[name]) {
                tracing::warn!(%also, "the manifest of a failed backup could not be removed");
            }
            return Err(cause.into());
        }
    }
    // The backup stands; a session that stays behind only delays a sweep.
    if let Err(cause) = session.end() {
        tracing::warn!(%cause, "the session of a finished backup could not be removed");
    }
    Ok(BackupReport { manifest })
}

/// Stores what is new of a volume and sets the manifest's root and figures.
fn copy(
    space: &Space,
    source: &dyn SourceSnapshot,
    known: &Known,
    run: &Run,
    manifest: &mut Manifest,
) -> Result<(), BackupError> {
    let windows = Windows::new(source, space.descriptor.window());
    run.begin(source.size().0);
    let queue = Queue::new();
    let failure = Mutex::new(None);
    let fail = |cause: BackupError| {
        failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(cause);
        queue.stop();
    };
    // No room: while one pack is uploaded the next is filled, and more would cost memory.
    let (closed, uploads) = sync_channel(0);
    let (spent, buffers) = channel();
    let outcome = std::thread::scope(|scope| {
        let uploader = scope.spawn(|| {
            // Moved in, so that the filler notices when the uploader has given up.
            let uploads = uploads;
            Uploader::new(space, run).work(&uploads, &spent)
        });
        let workers: Vec<_> = (0..worker_count())
            .map(|_| {
                scope.spawn(|| {
                    // Stops the others too should this thread panic.
                    let _bell = queue.bell();
                    Worker::new(space, source, known, run, &queue)
                        .and_then(|mut worker| worker.work(&windows))
                        .unwrap_or_else(|cause| {
                            fail(cause);
                            Default::default()
                        })
                })
            })
            .collect();
        let mut packer = Packer {
            known,
            data: PackFiller::new(space, PackKind::Data, closed.clone(), &buffers),
            map: PackFiller::new(space, PackKind::Map, closed, &buffers),
            tree: TreeBuilder::new(windows.count()),
        };
        let packed = packer.pack(&queue, run).and_then(|()| packer.finish());
        if packed.is_err() {
            queue.stop();
        }
        let root = packed.unwrap_or_default();
        // The fillers went with the packer, so the uploader comes to its end.
        let mut totals = worker::Totals::default();
        for thread in workers {
            totals.add(&join(thread));
        }
        let stored = join(uploader);
        (root, totals, stored)
    });
    let (root, totals, stored) = outcome;
    let stored = stored?;
    if let Some(cause) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(cause);
    }
    if run.is_cancelled() {
        return Err(BackupError::Cancelled);
    }
    manifest.root = root;
    manifest.statistics = totals.statistics(stored);
    manifest.changes = ChangeRecord::FullRead {
        reason: windows.reason(),
    };
    Ok(())
}

fn join<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The packer did not come to the end; whoever made it stop knows why.
struct Incomplete;

impl From<UploaderGone> for Incomplete {
    fn from(_: UploaderGone) -> Self {
        Self
    }
}

/// Takes what the workers made, in volume order, into packs and the map.
struct Packer<'a> {
    known: &'a Known,
    data: PackFiller<'a>,
    map: PackFiller<'a>,
    tree: TreeBuilder,
}

impl Packer<'_> {
    fn pack(&mut self, queue: &Queue, run: &Run) -> Result<(), Incomplete> {
        while let Some(message) = queue.take() {
            if run.is_cancelled() {
                return Err(Incomplete);
            }
            match message {
                Message::Chunks(batch) => {
                    for chunk in batch.chunks() {
                        self.data
                            .push(chunk.id, chunk.plain_len, chunk.encoding, chunk.encoded)?;
                    }
                    queue.give_back(batch);
                }
                Message::Page { window, id, new } => {
                    if let Some(bytes) = new {
                        store_map(&mut self.map, id, &bytes)?;
                    }
                    let (map, known) = (&mut self.map, self.known);
                    self.tree
                        .add(window, id, &mut |bytes| node(map, known, &bytes))?;
                }
            }
        }
        if queue.is_stopped() {
            Err(Incomplete)
        } else {
            Ok(())
        }
    }

    fn finish(self) -> Result<Option<MapRoot>, Incomplete> {
        let Self {
            known,
            mut data,
            mut map,
            tree,
        } = self;
        let root = tree.finish(&mut |bytes| node(&mut map, known, &bytes))?;
        data.close()?;
        map.close()?;
        Ok(root)
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
