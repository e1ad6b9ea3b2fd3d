//! A repository and the projects in it.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use emberkeep_format::{
    ChunkerSpec, Descriptor, EnvelopeKind, KeySpace, Manifest, PACK_HEADER_LEN, PackHeader, PackId,
    PackKind, UnixMicros, names,
};
use emberkeep_keys::{KeyKeeper, MasterKey, ProjectKey, RepositorySecret};
use emberkeep_model::{BackupId, ByteCount};
use emberkeep_store::{ObjectStore, StoreError, list_all};

use crate::backup::{self, BackupReport, BackupRequest, spool};
use crate::check::{self, CheckOptions, CheckReport, Depth, VerifyOptions};
use crate::damage::{Damage, DamageCause, ReadError};
use crate::error::{BackupError, CheckError, RepositoryError, RestoreError, SweepError};
use crate::ledger::{Ledger, LedgerPosition, bury_all};
use crate::load::{list_manifests, load_index};
use crate::random::BackupReader;
use crate::repair::{self, RepairReport};
use crate::restore::{self, RestoreReport};
use crate::run::Run;
use crate::space::{NewKey, Space, now};
use crate::sweep::{self, SweepOptions, SweepReport};

/// The average chunk size of a repository that does not ask for another.
const DEFAULT_CHUNK: u32 = 64 << 10;

/// Tells which objects of a far-away store are worth keeping at hand: what leads to the data,
/// and never changes. Manifests are not: whether one is there says whether there is a backup.
pub fn worth_keeping(name: &str, first: &[u8]) -> bool {
    let part = name.split('/').nth(2).unwrap_or_default();
    let is_map = || PackHeader::decode(first.get(..PACK_HEADER_LEN)?).ok();
    match part {
        "index" => true,
        "packs" => is_map().is_some_and(|header| header.kind == PackKind::Map),
        _ => false,
    }
}

/// What can be chosen when a repository is made, and never after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InitOptions {
    /// How volumes are cut into chunks.
    pub chunker: ChunkerSpec,
}

impl Default for InitOptions {
    fn default() -> Self {
        let chunker = ChunkerSpec::aligned(DEFAULT_CHUNK).expect("the default is a valid size");
        Self { chunker }
    }
}

/// An open repository; clones share it.
#[derive(Clone)]
pub struct Repository {
    pub(crate) store: Arc<dyn ObjectStore>,
    descriptor: Descriptor,
    pub(crate) secret: RepositorySecret,
    /// Where the master key can be changed.
    pub(crate) keeper: Option<Arc<dyn KeyKeeper>>,
}

impl Repository {
    /// Makes a repository in an empty store; refuses where there is one.
    ///
    /// The descriptor comes last: until then there is no repository, and making one
    /// again leaves at most a wrapped secret that nothing uses.
    pub fn init(
        store: Arc<dyn ObjectStore>,
        master: &MasterKey,
        options: InitOptions,
    ) -> Result<Self, RepositoryError> {
        let place = store.describe();
        if store.head(names::FORMAT)?.is_some() {
            return Err(RepositoryError::Exists { place });
        }
        let descriptor = Descriptor::new(uuid::Uuid::new_v4(), options.chunker, now());
        let encoded = descriptor.encode();
        let secret = RepositorySecret::generate(descriptor.id, master, &encoded);
        store.put(&names::master_key(master.id()), &[&secret.wrap(master)])?;
        match store.put_if_absent(names::FORMAT, &[&encoded]) {
            // Opened as anyone would: should two make a repository at once with the same key,
            // neither goes on with a secret that is not the stored one.
            Ok(()) => Self::open(store, master),
            Err(StoreError::AlreadyExists { .. }) => Err(RepositoryError::Exists { place }),
            Err(cause) => Err(cause.into()),
        }
    }

    /// Opens a repository with the master key it was made with.
    pub fn open(store: Arc<dyn ObjectStore>, master: &MasterKey) -> Result<Self, RepositoryError> {
        let place = store.describe();
        let stored = match store.get(names::FORMAT) {
            Ok(stored) => stored,
            Err(StoreError::NotFound { .. }) => {
                return Err(RepositoryError::NotARepository { place });
            }
            Err(cause) => return Err(cause.into()),
        };
        let descriptor =
            Descriptor::decode(&stored).map_err(|cause| RepositoryError::Descriptor {
                place: place.clone(),
                cause,
            })?;
        // A key that is about to replace another opens what that one opens.
        for key in master.with_retired() {
            let name = names::master_key(key.id());
            let wrapped = match store.get(&name) {
                Ok(wrapped) => wrapped,
                Err(StoreError::NotFound { .. }) => continue,
                Err(cause) => return Err(cause.into()),
            };
            let mut secret = RepositorySecret::unwrap(descriptor.id, master, key.id(), wrapped)
                .map_err(|cause| ReadError::damaged(name, None, cause))?;
            secret
                .expect_descriptor(&stored)
                .map_err(|cause| RepositoryError::Descriptor { place, cause })?;
            return Ok(Self {
                store,
                descriptor,
                secret,
                keeper: None,
            });
        }
        let made_with: Vec<_> = list_all(&*store, names::MASTER_KEYS)?
            .iter()
            .filter_map(|object| names::last_segment(&object.name))
            .collect();
        Err(if made_with.is_empty() {
            RepositoryError::NoMasterKey { place }
        } else {
            RepositoryError::WrongMasterKey {
                made_with,
                given: master.id(),
            }
        })
    }

    /// Tells whether a store holds a repository, without any key.
    pub fn exists(store: &dyn ObjectStore) -> Result<bool, StoreError> {
        Ok(store.head(names::FORMAT)?.is_some())
    }

    /// Returns the repository's id.
    pub fn id(&self) -> uuid::Uuid {
        self.descriptor.id
    }

    /// Returns how volumes are cut into chunks.
    pub fn chunker(&self) -> ChunkerSpec {
        self.descriptor.chunker
    }

    /// Returns when the repository was made.
    pub fn created_at(&self) -> UnixMicros {
        self.descriptor.created_at
    }

    /// Opens a project's part; the first use makes its key.
    pub fn project(&self, project: &str) -> Result<ProjectRepository, RepositoryError> {
        let space = self.secret.key_space(project);
        match self.stored_key(space)? {
            Some(stored) => self.open_space(space, stored, None),
            None => {
                let stored = self.store_key(&ProjectKey::generate(project.to_owned()))?;
                // Whoever was first: theirs is the key.
                self.open_space(space, stored, Some(Instant::now()))
            }
        }
    }

    /// Finds projects that have objects and no key, so that nothing of them can be read: a key was
    /// lost, or a project was erased and somebody put objects of it back.
    pub fn keyless(&self) -> Result<Vec<Damage>, RepositoryError> {
        let mut found = Vec::new();
        let mut after: Option<String> = None;
        while let Some(first) = self.store.list("p/", after.as_deref(), 1)?.pop() {
            let mut parts = first.name.splitn(3, '/');
            let word = parts.nth(1).unwrap_or_default();
            // The next sign after the one that ends the space's name.
            after = Some(format!("p/{word}0"));
            let Ok(space) = word.parse::<KeySpace>() else {
                continue;
            };
            let object = names::project_key(space);
            if self.store.head(&object)?.is_none() {
                found.push(Damage {
                    object,
                    offset: None,
                    cause: DamageCause::Missing,
                });
            }
        }
        Ok(found)
    }

    pub(crate) fn open_space(
        &self,
        space: KeySpace,
        stored: Vec<u8>,
        made: Option<Instant>,
    ) -> Result<ProjectRepository, RepositoryError> {
        let key = self.open_key(space, &stored)?.key;
        let new_key = made.map(|made| NewKey {
            wrapped: stored.clone(),
            made,
        });
        Ok(ProjectRepository {
            space: Arc::new(Space {
                store: self.store.clone(),
                descriptor: self.descriptor.clone(),
                project: key.project().to_owned(),
                names: names::SpaceNames(space),
                keys: key.derive(),
                secret: self.secret.clone(),
                key_as_read: Mutex::new(stored),
                new_key: Mutex::new(new_key),
            }),
        })
    }
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Repository({} in {})",
            self.descriptor.id,
            self.store.describe()
        )
    }
}

/// The manifests of a project, and those that could not be read.
#[derive(Debug, Default)]
pub struct Manifests {
    /// Every readable one, oldest first.
    pub readable: Vec<Manifest>,
    /// Places where a manifest should be but is not.
    pub damaged: Vec<Damage>,
}

/// What a project's part of a repository holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RepositoryStats {
    /// Backups there are.
    pub backups: u64,
    /// The sizes of their volumes, summed.
    pub logical_bytes: u64,
    /// Bytes of distinct chunks, before compression.
    pub unique_bytes: u64,
    /// Bytes the project takes in the store.
    pub stored_bytes: u64,
    /// Distinct chunks.
    pub chunks: u64,
    /// Packs.
    pub packs: u64,
}

/// One project's part of a repository; clones share it.
#[derive(Clone)]
pub struct ProjectRepository {
    pub(crate) space: Arc<Space>,
}

impl ProjectRepository {
    /// Returns the project's name.
    pub fn project(&self) -> &str {
        &self.space.project
    }

    /// Backs a volume up. When this returns, the backup is durable and complete.
    pub fn backup(
        &self,
        source: &dyn emberkeep_volumes::SourceSnapshot,
        request: BackupRequest,
        run: &Run,
    ) -> Result<BackupReport, BackupError> {
        backup::backup(&self.space, source, request, run)
    }

    /// Writes a backup to a volume. When this returns, the volume is durable and complete.
    pub fn restore(
        &self,
        backup: BackupId,
        target: &dyn emberkeep_volumes::RestoreTarget,
        run: &Run,
    ) -> Result<RestoreReport, RestoreError> {
        restore::restore(&self.space, backup, target, run)
    }

    /// Opens a backup for reading anywhere in it.
    pub fn reader(&self, backup: BackupId) -> Result<BackupReader, RestoreError> {
        BackupReader::open(&self.space, backup)
    }

    /// Reads every manifest.
    pub fn manifests(&self) -> Result<Manifests, RepositoryError> {
        let mut found = Manifests::default();
        for (name, _) in list_manifests(&self.space)? {
            match self
                .space
                .load_if_there(EnvelopeKind::Manifest, &name, Manifest::decode)
            {
                Ok(manifest) => found.readable.extend(manifest),
                Err(ReadError::Damaged(damage)) => found.damaged.push(*damage),
                Err(cause) => return Err(cause.into()),
            }
        }
        found.readable.sort_by_key(|m| (m.created_at, m.backup_id));
        Ok(found)
    }

    /// Reads one manifest.
    pub fn manifest(&self, backup: BackupId) -> Result<Manifest, RepositoryError> {
        let name = self.space.names.manifest(backup);
        self.space
            .load_if_there(EnvelopeKind::Manifest, &name, Manifest::decode)?
            .ok_or(RepositoryError::NoSuchBackup(backup))
    }

    /// Deletes a backup; durable on return. Tells whether it was there, or should have been. A
    /// manifest that cannot be read, or is lost, is no longer missed afterwards. Other backups
    /// lose nothing, and a sweep frees what no backup needs any more.
    pub fn delete(&self, backup: BackupId) -> Result<bool, RepositoryError> {
        let name = self.space.names.manifest(backup);
        let there = self.space.store.head(&name)?.is_some();
        let listed = bury_all(&self.space, backup)?;
        // Nobody goes on with a backup that was deleted before it was finished.
        let records = list_all(&*self.space.store, &self.space.names.progress(backup))?;
        let mut names = vec![name];
        names.extend(records.into_iter().map(|object| object.name));
        self.space.store.delete_many(&names)?;
        spool::remove(&spool::files_of(&self.space, backup));
        Ok(there || listed)
    }

    /// Frees what no backup needs. Prefer [`Self::sweep_keeping`] where a catalogue knows which
    /// backups there must be.
    pub fn sweep(&self, options: SweepOptions, run: &Run) -> Result<SweepReport, SweepError> {
        sweep::sweep(&self.space, &BTreeSet::new(), options, run)
    }

    /// Frees what no backup needs, unless one of `known` has no manifest: then nothing is freed,
    /// since what only that one needs would go too. The manifests of `known` must have been
    /// stored before this is called; one that is deleted meanwhile is missed, so that the caller
    /// asks its catalogue again.
    pub fn sweep_keeping(
        &self,
        known: &BTreeSet<BackupId>,
        options: SweepOptions,
        run: &Run,
    ) -> Result<SweepReport, SweepError> {
        sweep::sweep(&self.space, known, options, run)
    }

    /// Returns the backups that have a manifest, readable or not.
    pub fn backup_ids(&self) -> Result<BTreeSet<BackupId>, RepositoryError> {
        let listed = list_manifests(&self.space)?;
        Ok(listed.into_iter().map(|(_, id)| id).collect())
    }

    /// Returns those of some backups without manifests that were deleted, as far as the ledger
    /// remembers: the others are lost.
    pub fn deleted_among(
        &self,
        missing: &BTreeSet<BackupId>,
    ) -> Result<BTreeSet<BackupId>, RepositoryError> {
        if missing.is_empty() {
            return Ok(BTreeSet::new());
        }
        let deleted = Ledger::load(&self.space)?.deleted();
        Ok(missing.intersection(&deleted).copied().collect())
    }

    /// Returns those of `known` that have no manifest.
    pub fn missing(&self, known: &BTreeSet<BackupId>) -> Result<Vec<BackupId>, RepositoryError> {
        let listed = list_manifests(&self.space)?;
        let there: BTreeSet<BackupId> = listed.into_iter().map(|(_, id)| id).collect();
        Ok(known.difference(&there).copied().collect())
    }

    /// Takes backups that the ledger lists and that have no manifest for deleted, and starts
    /// the ledger anew from what is there: for a store that was rolled back on purpose, or where
    /// what is lost is given up. Returns these backups.
    pub fn accept_missing(&self) -> Result<Vec<BackupId>, SweepError> {
        sweep::accept_missing(&self.space)
    }

    /// Returns how far the ledger has come, to be kept outside the store.
    pub fn position(&self) -> Result<LedgerPosition, RepositoryError> {
        Ok(Ledger::load(&self.space)?.position())
    }

    /// Returns how far the ledger has come, and what is wrong if it was at `before` once: the
    /// store was rolled back unless it went on from there.
    pub fn position_after(
        &self,
        before: &LedgerPosition,
    ) -> Result<(LedgerPosition, Option<Damage>), RepositoryError> {
        let ledger = Ledger::load(&self.space)?;
        let rolled_back = (!ledger.has_passed(before)).then(|| Damage {
            object: self.space.names.ledger(),
            offset: None,
            cause: DamageCause::RolledBack,
        });
        Ok((ledger.position(), rolled_back))
    }

    /// Looks for damage.
    pub fn check(&self, options: CheckOptions, run: &Run) -> Result<CheckReport, CheckError> {
        let depth = if options.read_data {
            Depth::Data(VerifyOptions::default())
        } else {
            Depth::Structure
        };
        check::check(&self.space, depth, run)
    }

    /// Enters every pack that no index run names into the index, from the pack's own table of
    /// contents: what a lost run said is known again.
    pub fn repair_index(&self, run: &Run) -> Result<RepairReport, CheckError> {
        repair::repair_index(&self.space, run)
    }

    /// Looks for damage and reads packs through, those first that were read longest ago, or
    /// never. What was read is remembered in the repository, so that the next call, or another
    /// program, goes on from there.
    pub fn verify(&self, options: VerifyOptions, run: &Run) -> Result<CheckReport, CheckError> {
        check::check(&self.space, Depth::Data(options), run)
    }

    /// Looks for damage, and reads through the packs among `objects`, which an operation found
    /// damaged: names all backups that are hurt, with the bytes that each has lost. The packs
    /// are marked, so that later backups store anew what they meet of them.
    pub fn inspect(&self, objects: &[String], run: &Run) -> Result<CheckReport, CheckError> {
        let prefix = self.space.names.packs();
        let packs: BTreeSet<PackId> = objects
            .iter()
            .filter(|name| name.starts_with(&prefix))
            .filter_map(|name| names::last_segment(name))
            .collect();
        let depth = match packs.is_empty() {
            true => Depth::Structure,
            false => Depth::Packs(&packs),
        };
        check::check(&self.space, depth, run)
    }

    /// Tells whether all bytes of some ranges of a backup can be read; stops at the first that
    /// cannot. What lies beyond the volume's end counts as readable.
    pub fn can_read(
        &self,
        backup: BackupId,
        ranges: &[Range<u64>],
        run: &Run,
    ) -> Result<bool, RestoreError> {
        const PIECE: usize = 1 << 20;
        let read = || {
            let reader = self.reader(backup)?;
            let size = reader.manifest().size.0;
            let mut buf = vec![0; PIECE];
            for range in ranges {
                let end = range.end.min(size);
                let mut at = range.start;
                while at < end {
                    if run.is_cancelled() {
                        return Err(RestoreError::Cancelled);
                    }
                    let length = usize::try_from(end - at).map_or(PIECE, |left| PIECE.min(left));
                    reader.read(at, &mut buf[..length])?;
                    at += length as u64;
                }
            }
            Ok(())
        };
        match read() {
            Ok(()) => Ok(true),
            Err(
                RestoreError::NoSuchBackup(_)
                | RestoreError::BackupDamaged { .. }
                | RestoreError::Repository(RepositoryError::Damaged(_)),
            ) => Ok(false),
            Err(cause) => Err(cause),
        }
    }

    /// Counts what there is.
    pub fn stats(&self) -> Result<RepositoryStats, RepositoryError> {
        let index = load_index(&self.space)?.index;
        let mut stats = RepositoryStats::default();
        for manifest in self.manifests()?.readable {
            let ByteCount(size) = manifest.size;
            stats.backups += 1;
            stats.logical_bytes += size;
        }
        let mut chunks = index.chunks();
        while let Some((_, twins)) = chunks.next() {
            if index.packs()[twins[0].pack as usize].kind == PackKind::Data {
                stats.chunks += 1;
                stats.unique_bytes += u64::from(twins[0].plain_len());
            }
        }
        for object in list_all(&*self.space.store, &self.space.names.root())? {
            stats.stored_bytes += object.size;
            stats.packs += u64::from(object.name.starts_with(&self.space.names.packs()));
        }
        Ok(stats)
    }
}

impl fmt::Debug for ProjectRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ProjectRepository({} in {})",
            self.space.project,
            self.space.store.describe()
        )
    }
}
