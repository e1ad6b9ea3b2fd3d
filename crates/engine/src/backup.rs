//! Backing a volume up.
//!
//! Workers take windows in order; each reads, cuts, hashes, looks up and compresses on its
//! own. What is new goes through a queue that hands it on in volume order to one packer,
//! which seals it into packs that an uploader stores. Order of durability: packs, index,
//! manifest.

pub(crate) mod known;
mod packer;
mod parent;
mod queue;
mod recut;
pub(crate) mod resume;
mod sample;
pub(crate) mod spool;
mod windows;
mod worker;

use std::collections::HashMap;
use std::sync::mpsc::{channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use emberkeep_format::{
    ChangeRecord, EnvelopeKind, IndexRun, LedgerLabel, Manifest, PackKind, SessionKind,
    SourceRecord, UnixMicros,
};
use emberkeep_model::{BackupId, CheckpointId, VaultId};
use emberkeep_store::{Listed, StoreError};
use emberkeep_volumes::SourceSnapshot;

use crate::damage::ReadError;
use crate::error::BackupError;
use crate::ledger::{bury, ensure, enter};
use crate::load::{Listing, load_index_with, load_listed_index, marked_packs, read_condemned};
use crate::packs::{Journal, PackFiller, Uploader};
use crate::reader::ChunkReader;
use crate::run::Run;
use crate::session::Session;
use crate::space::{Space, now, worker_count};
use crate::tree::TreeBuilder;
use known::Known;
use packer::{Packed, Packer};
use parent::ParentMap;
use queue::Queue;
use resume::{LeftBehind, left_behind};
use spool::Spool;
use windows::{Before, Windows};
use worker::{Bench, Halt, Verify, Weight, Worker};

/// What a backup is called and what its manifest remembers.
#[derive(Debug, Clone, PartialEq)]
pub struct BackupRequest {
    /// The new backup.
    pub backup_id: BackupId,
    /// Its name.
    pub name: String,
    /// Its description.
    pub description: Option<String>,
    /// The backup it is made after; must exist. Where the source can tell what changed
    /// since, the rest is taken over from it.
    pub parent: Option<BackupId>,
    /// What is backed up.
    pub source: SourceRecord,
    /// The vault it belongs to.
    pub vault_id: Option<VaultId>,
    /// The checkpoint it belongs to.
    pub checkpoint_id: Option<CheckpointId>,
    /// When it was asked for.
    pub created_at: UnixMicros,
    /// Names the instant of the volume that is read, if it can be read again after a crash:
    /// an attempt with the same backup id and instant goes on where this one was killed.
    /// Not needed where the source names the instant itself.
    pub instant: Option<String>,
    /// What is done about a source's word that parts of the volume have not changed.
    pub hints: Hints,
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
            instant: None,
            hints: Hints::default(),
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

impl BackupReport {
    /// Returns what the source said that was found to be untrue, or why its word could not
    /// be used; all was read then. None when nothing was wrong.
    pub fn caught(&self) -> Option<&str> {
        match &self.manifest.changes {
            ChangeRecord::FullRead { caught, .. } => caught.as_deref(),
            ChangeRecord::Hints { .. } => None,
        }
    }
}

/// How far a source is believed that says what has not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hints {
    /// So many backups in a row are made on the source's word, then one reads and compares
    /// everything. 0 asks no source and reads all.
    pub runs: u32,
    /// Chunks of untouched windows that each of them reads and compares.
    pub samples: u32,
}

impl Default for Hints {
    fn default() -> Self {
        Self {
            runs: 14,
            samples: 8,
        }
    }
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
    let mut listing = Some(Listing::take(space)?);
    let is_there = |listing: &Listing| listing.has(space, &name);
    if listing.as_ref().map(is_there).transpose()? == Some(true) {
        // Its writer may have died before entering it.
        ensure(space, request.backup_id)?;
        return Err(BackupError::Exists(request.backup_id));
    }
    let parent = match request.parent {
        Some(parent) => find_parent(space, parent)?,
        None => None,
    };
    let journal = journal(space, source, &request);
    let mut trust = Trust::of(parent.as_ref(), request.hints);
    let mut manifest = Manifest::new(
        request.backup_id,
        space.project.clone(),
        source.size(),
        session.id(),
    );
    let mut caught = None;
    let (known, records) = loop {
        // Each time anew: what an attempt took on and did not come to store is not known.
        let listing = match listing.take() {
            Some(listing) => listing,
            None => Listing::take(space)?,
        };
        let (known, left) = look_around(space, journal, &listing)?;
        let records = left.records.clone();
        let task = Task {
            space,
            source,
            known: &known,
            run,
            journal,
            trust,
        };
        match task.copy(left, &mut manifest) {
            Ok(written) => break (known, [records, written].concat()),
            Err(Halt::Distrust(why)) if trust.is_some() || journal.is_some() => {
                tracing::warn!(backup = %request.backup_id, why, "reading the whole volume");
                store.delete_many(&records)?;
                spool::remove(&spool::files_of(space, request.backup_id));
                if trust.take().is_some() {
                    caught = Some(why);
                }
            }
            Err(Halt::Distrust(why)) => {
                unreachable!("nothing was relied on, and yet it is not so: {why}")
            }
            Err(Halt::Stopped) => unreachable!("whoever stopped the run says why"),
            Err(Halt::Failed(cause)) => return Err(cause),
        }
    };
    if let (ChangeRecord::FullRead { caught: noted, .. }, true) =
        (&mut manifest.changes, caught.is_some())
    {
        *noted = caught;
    }

    // A last look at what the backup leans on. A sweep that was taken for dead and woke up
    // again could have deleted it; the manifest must not exist then.
    let last = Listing::take(space)?;
    let packs = space.packs_of(last.under(space, &space.names.packs())?);
    if let Some(lost) = known.first_vanished(&packs) {
        return Err(BackupError::PackVanished(space.names.pack(lost)));
    }
    if !last.has(space, &session.name())? {
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
    let ledger = last.under(space, &space.names.ledger())?;
    publish(space, &session, &manifest, &ledger)?;
    // The backup stands; what stays behind only delays a sweep.
    if !records.is_empty()
        && let Err(cause) = store.delete_many(&records)
    {
        tracing::warn!(%cause, "records of a finished backup could not be removed");
    }
    spool::remove(&spool::files_of(space, manifest.backup_id));
    if let Err(cause) = session.end() {
        tracing::warn!(%cause, "the session of a finished backup could not be removed");
    }
    Ok(BackupReport { manifest })
}

/// Stores the manifest, and takes it back unless it is certain that no sweep took us for
/// dead until it stood; then enters the backup in the ledger. `ledger` is what was listed of
/// it not long ago.
pub(crate) fn publish(
    space: &Space,
    session: &Session,
    manifest: &Manifest,
    ledger: &[Listed],
) -> Result<(), BackupError> {
    let store = &space.store;
    let name = space.names.manifest(manifest.backup_id);
    let sealed = space.seal(EnvelopeKind::Manifest, &name, &manifest.encode());
    match store.put_if_absent(&name, &[&sealed]) {
        Ok(()) => {}
        Err(StoreError::AlreadyExists { .. }) => {
            ensure(space, manifest.backup_id)?;
            return Err(BackupError::Exists(manifest.backup_id));
        }
        Err(cause) => return Err(cause.into()),
    }
    let label = LedgerLabel {
        backup: manifest.backup_id,
        session: session.id(),
    };
    let stands = stands(space, session);
    let (published, may_be_entered) = match stands {
        Ok(()) => (enter(space, ledger, label).map_err(BackupError::from), true),
        // Under a key that is not the project's nobody can have read the manifest.
        Err(cause @ BackupError::KeyReplaced) => (Err(cause), false),
        Err(cause) => (Err(cause), true),
    };
    if published.is_err() {
        let buried = match may_be_entered {
            // Before the manifest goes: the entry may have come through, or a sweep made one.
            true => bury(space, label),
            false => Ok(()),
        };
        if let Err(also) = buried.and_then(|()| store.delete_many(&[name])) {
            tracing::warn!(%also, "the manifest of a failed backup could not be removed");
        }
    }
    published
}

/// Fails unless what a run stored was safe from every sweep, and can be read by everybody.
fn stands(space: &Space, session: &Session) -> Result<(), BackupError> {
    if !session.is_intact()? {
        return Err(BackupError::SessionLost);
    }
    if !space.key_stands()? {
        return Err(BackupError::KeyReplaced);
    }
    Ok(())
}

/// Reads the parent's manifest; none where it is there but cannot be read.
fn find_parent(space: &Space, parent: BackupId) -> Result<Option<Manifest>, BackupError> {
    let name = space.names.manifest(parent);
    match space.load_if_there(EnvelopeKind::Manifest, &name, Manifest::decode) {
        Ok(None) => Err(BackupError::NoSuchParent(parent)),
        Ok(found) => Ok(found),
        Err(ReadError::Damaged(damage)) => {
            tracing::warn!(%damage, "the parent cannot be read; reading the whole volume");
            Ok(None)
        }
        Err(cause) => Err(cause.into()),
    }
}

/// Tells the instant of the volume from all others, where it has a name.
fn journal(space: &Space, source: &dyn SourceSnapshot, request: &BackupRequest) -> Option<Journal> {
    let (kind, name) = match (&request.instant, source.instant()) {
        (Some(instant), _) => ("instant", instant.clone()),
        (None, own) => ("lineage", own?),
    };
    let words = format!("{kind} {} {name}", source.size().0);
    Some(Journal {
        backup: request.backup_id,
        instant: space.keys.chunk_ids.id(words.as_bytes()).0,
    })
}

/// Loads what the repository has, and what an earlier attempt left behind.
pub(crate) fn look_around(
    space: &Space,
    journal: Option<Journal>,
    listing: &Listing,
) -> Result<(Known, LeftBehind), BackupError> {
    let mut left = match journal {
        Some(journal) => left_behind(space, journal, listing)?,
        None => LeftBehind::default(),
    };
    let listed = |prefix: String| listing.under(space, &prefix);
    let condemned = read_condemned(space, listed(space.names.condemned())?)?;
    let (any, named) = (!condemned.unreadable.is_empty(), condemned.packs());
    let is_condemned = |pack| any || named.contains(&pack);
    let runs = listed(space.names.index())?;
    let loaded = load_listed_index(space, &IndexRun::default(), Some(runs))?;
    let packs = space.packs_of(listed(space.names.packs())?);
    let mut index = loaded.index;
    if !left.run.packs.is_empty() {
        let sizes: HashMap<_, _> = packs.iter().copied().collect();
        left.keep_only(|pack, size| {
            sizes.get(&pack) == Some(&u64::from(size)) && !is_condemned(pack)
        });
        index = load_index_with(space, &left.run)?.index;
    }
    index.condemn(is_condemned);
    index.compare_with(&packs);
    index.distrust(&marked_packs(&listed(space.names.damaged())?));
    Ok((Known::new(index), left))
}

/// What is believed of the parent.
#[derive(Clone, Copy)]
struct Trust<'a> {
    parent: &'a Manifest,
    lineage: &'a str,
    verify: Verify,
    samples: u32,
    /// Backups in a row that were made on the source's word, with this one.
    runs: u32,
}

impl<'a> Trust<'a> {
    /// Tells whether the source is asked what changed since the parent.
    fn of(parent: Option<&'a Manifest>, hints: Hints) -> Option<Self> {
        let parent = parent.filter(|_| hints.runs > 0)?;
        let lineage = parent.lineage.as_deref()?;
        let runs = match &parent.changes {
            // Who was caught must prove itself first.
            ChangeRecord::FullRead {
                caught: Some(_), ..
            } => u32::MAX,
            ChangeRecord::FullRead { caught: None, .. } => 0,
            ChangeRecord::Hints { runs, .. } => *runs,
        };
        let (verify, runs) = if runs >= hints.runs {
            (Verify::All, 0)
        } else {
            (Verify::Sample, runs + 1)
        };
        Some(Self {
            parent,
            lineage,
            verify,
            samples: hints.samples,
            runs,
        })
    }
}

/// One attempt to copy a volume.
struct Task<'a> {
    space: &'a Space,
    source: &'a dyn SourceSnapshot,
    known: &'a Known,
    run: &'a Run,
    journal: Option<Journal>,
    trust: Option<Trust<'a>>,
}

impl Task<'_> {
    /// Stores what is new of a volume and sets the manifest's root and figures. Returns the
    /// names of records to be deleted once the backup stands.
    fn copy(&self, left: LeftBehind, manifest: &mut Manifest) -> Result<Vec<String>, Halt> {
        let (space, source, run) = (self.space, self.source, self.run);
        let known = self.known;
        let before = Before {
            since: self
                .trust
                .map(|trust| (trust.lineage.to_owned(), trust.parent.size.0)),
            // What may have got lost is looked for in all windows, not in the changed alone.
            look_at_all: self.trust.is_some_and(|trust| trust.verify == Verify::All)
                || !known.index().is_sound(),
            done: left.done,
        };
        let looked_at_all = before.look_at_all;
        let windows = Windows::new(source, space.descriptor.window(), before);
        let window = space.descriptor.window();
        let parent = match self.trust {
            Some(trust) => {
                let reader = ChunkReader::new(space, known.index(), run);
                let reader = reader.map_err(BackupError::Compressor)?;
                Some(Mutex::new(ParentMap::new(reader, trust.parent, window)))
            }
            None => None,
        };
        run.begin(source.size().0);
        let queue = Queue::new();
        let spool = self
            .journal
            .and_then(|journal| Spool::begin(space, journal));
        let bench = Bench {
            space,
            source,
            known,
            run,
            queue: &queue,
            spool: spool.as_ref(),
            parent: parent.as_ref(),
            verify: self.trust.map_or(Verify::Sample, |trust| trust.verify),
        };
        let failure = Mutex::new(None);
        let fail = |halt: Halt| {
            if !matches!(halt, Halt::Stopped) {
                let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
                failure.get_or_insert(halt);
            }
            queue.stop();
        };
        // No room: while one pack is uploaded the next is filled, and more would cost memory.
        let (closed, uploads) = sync_channel(0);
        let (spent, buffers) = channel();
        let (packed, mut totals, uploaded) = std::thread::scope(|scope| {
            let uploader = scope.spawn(|| {
                // Moved in, so that the filler notices when the uploader has given up.
                let uploads = uploads;
                Uploader::going_on(space, run, self.journal, left.run, spool.as_ref())
                    .work(&uploads, &spent)
            });
            let mut packer = Packer {
                known,
                data: PackFiller::new(space, PackKind::Data, closed.clone(), &buffers),
                map: PackFiller::new(space, PackKind::Map, closed, &buffers),
                tree: TreeBuilder::new(windows.count()),
                count: windows.count(),
                parent: parent.as_ref(),
                journal: self.journal.is_some(),
                done: Vec::new(),
                covered: Vec::new(),
                pending: Vec::new(),
                kept: Vec::new(),
                old: Weight::default(),
            };
            if let Some(journal) = self.journal {
                // Before anybody asks what is known.
                packer
                    .replay(space, journal, &left.spool)
                    .unwrap_or_else(fail);
            }
            let workers: Vec<_> = (0..worker_count())
                .map(|_| {
                    scope.spawn(|| {
                        // Stops the others too should this thread panic.
                        let _bell = queue.bell();
                        Worker::new(&bench)
                            .map_err(Halt::Failed)
                            .and_then(|mut worker| worker.work(&windows))
                            .unwrap_or_else(|halt| {
                                fail(halt);
                                Default::default()
                            })
                    })
                })
                .collect();
            let packed = packer
                .pack(&queue, run)
                .and_then(|()| packer.finish())
                .unwrap_or_else(|halt| {
                    fail(halt);
                    Packed::default()
                });
            // The fillers went with the packer, so the uploader comes to its end.
            let mut totals = worker::Totals::default();
            for thread in workers {
                totals.add(&join(thread));
            }
            (packed, totals, join(uploader))
        });
        let uploaded = uploaded.map_err(|cause| Halt::Failed(cause.into()))?;
        if let Some(halt) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(halt);
        }
        if run.is_cancelled() {
            return Err(BackupError::Cancelled.into());
        }
        let learnt = windows.learnt();
        manifest.root = packed.root;
        totals.old.add(packed.old);
        manifest.changes = match (self.trust, &parent, learnt.kept) {
            (Some(trust), Some(parent), Some(kept_bytes)) => {
                if !packed.kept.is_empty() {
                    known.lean_on_all();
                }
                let mut parent = parent.lock().unwrap_or_else(PoisonError::into_inner);
                let mut sampler = Worker::new(&bench)?;
                sampler.sample(&mut parent, &packed.kept, trust.samples)?;
                totals.add(&sampler.totals());
                if !looked_at_all {
                    let statistics = trust.parent.statistics;
                    totals.take_over(Weight {
                        data: statistics.data_bytes,
                        chunks: statistics.chunks,
                    });
                }
                ChangeRecord::Hints {
                    lineage: trust.lineage.to_owned(),
                    runs: trust.runs,
                    kept_bytes,
                    verified_bytes: totals.verified,
                }
            }
            _ => ChangeRecord::FullRead {
                reason: learnt
                    .reason
                    .unwrap_or_else(|| "the volume is empty".to_owned()),
                caught: None,
            },
        };
        manifest.statistics = totals.statistics(uploaded.bytes);
        Ok(uploaded.records)
    }
}

fn join<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
