//! One project's part of a repository: its keys, its names, and sealed objects in it.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use emberkeep_format::{
    Descriptor, Envelope, EnvelopeKind, FormatError, NONCE_LEN, PACK_HEADER_LEN, PACK_TRAILER_LEN,
    PackHeader, PackId, PackTrailer, SealKey, TocEntry, UnixMicros, decode_toc,
    names::{self, SpaceNames},
};
use emberkeep_keys::{ProjectKeys, RepositorySecret, Seals, random};
use emberkeep_store::{Listed, ObjectStore, StoreError};

use crate::damage::{DamageCause, ReadError};

/// How long after a project's key was made another one may still take its place.
const UNSETTLED: Duration = Duration::from_secs(120);

/// The key of a project as it was stored when this process was about to make one.
#[derive(Debug)]
pub(crate) struct NewKey {
    pub(crate) wrapped: Vec<u8>,
    pub(crate) made: Instant,
}

/// What every operation on a project needs.
pub(crate) struct Space {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) descriptor: Descriptor,
    pub(crate) project: String,
    pub(crate) names: SpaceNames,
    pub(crate) keys: ProjectKeys,
    /// Opens the project's key anew.
    pub(crate) secret: RepositorySecret,
    /// The project's wrapped key as it was last read.
    pub(crate) key_as_read: Mutex<Vec<u8>>,
    /// There for a while where there was no key when this process came.
    pub(crate) new_key: Mutex<Option<NewKey>>,
}

impl Space {
    /// Tells whether a key that was made just now is still the stored one: a server that lets
    /// writers who come at the same moment overwrite each other may have kept another's.
    pub(crate) fn key_stands(&self) -> Result<bool, StoreError> {
        let mut new_key = self.new_key.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(new) = &*new_key else {
            return Ok(true);
        };
        let settled = new.made.elapsed() > UNSETTLED;
        let stands = match self.store.get(&names::project_key(self.names.0)) {
            Ok(stored) => stored == new.wrapped,
            Err(StoreError::NotFound { .. }) => false,
            Err(cause) => return Err(cause),
        };
        if stands && settled {
            *new_key = None;
        }
        Ok(stands)
    }

    /// Reads the project's key again if it was changed since; tells whether it was. Its first part
    /// stays as it is, so that nothing but what is sealed and opened from now on depends on it.
    fn renew_keys(&self) -> Result<bool, StoreError> {
        let name = names::project_key(self.names.0);
        let stored = match self.store.get(&name) {
            Ok(stored) => stored,
            Err(StoreError::NotFound { .. }) => return Ok(false),
            Err(cause) => return Err(cause),
        };
        let mut as_read = self
            .key_as_read
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if *as_read == stored {
            return Ok(false);
        }
        // What cannot be opened for want of a key must not be taken for damaged.
        let opened = self.secret.unwrap_project(self.names.0, &stored);
        let opened = opened.map_err(|_| StoreError::Denied {
            name,
            cause: std::io::Error::other(
                "the project's key was changed meanwhile; open the repository again",
            ),
        })?;
        self.keys.renew(&opened.key);
        *as_read = stored;
        Ok(true)
    }

    /// Does what opens a seal; once more with the project's key as it is now, where that failed.
    fn unsealed<T>(&self, open: impl Fn() -> Result<T, ReadError>) -> Result<T, ReadError> {
        let first = open();
        let failed = matches!(
            &first,
            Err(ReadError::Damaged(damage)) if damage.cause.is_unsealed()
        );
        if failed && self.renew_keys().map_err(ReadError::Store)? {
            return open();
        }
        first
    }

    /// Seals an object for the place it will be stored at.
    pub(crate) fn seal(&self, kind: EnvelopeKind, name: &str, plain: &[u8]) -> Vec<u8> {
        let place = Envelope {
            kind,
            repository: self.descriptor.id,
            name,
        };
        let seals = self.keys.seals();
        place.seal(key(&seals, kind), random::<NONCE_LEN>(), plain)
    }

    /// Opens bytes that were sealed for a place.
    pub(crate) fn open(
        &self,
        kind: EnvelopeKind,
        name: &str,
        sealed: &[u8],
    ) -> Result<Vec<u8>, ReadError> {
        let place = Envelope {
            kind,
            repository: self.descriptor.id,
            name,
        };
        self.unsealed(|| {
            let mut stored = sealed.to_vec();
            let seals = self.keys.seals();
            let plain = place
                .open_within(key(&seals, kind), &mut stored)
                .map_err(|cause| ReadError::damaged(name, None, cause))?;
            stored.truncate(plain.end);
            stored.drain(..plain.start);
            Ok(stored)
        })
    }

    /// Reads a sealed object and decodes its plaintext.
    pub(crate) fn load<T>(
        &self,
        kind: EnvelopeKind,
        name: &str,
        decode: impl FnOnce(&[u8]) -> Result<T, FormatError>,
    ) -> Result<T, ReadError> {
        self.load_whole(kind, name, |stored, plain| decode(&stored[plain]))
    }

    /// Reads a sealed object and makes something of its memory, in which the plaintext lies where
    /// it is told.
    pub(crate) fn load_whole<T>(
        &self,
        kind: EnvelopeKind,
        name: &str,
        decode: impl FnOnce(Vec<u8>, Range<usize>) -> Result<T, FormatError>,
    ) -> Result<T, ReadError> {
        let place = Envelope {
            kind,
            repository: self.descriptor.id,
            name,
        };
        let (stored, plain) = self.unsealed(|| {
            let mut stored = self.store.get(name).map_err(ReadError::from_store)?;
            let seals = self.keys.seals();
            let plain = place
                .open_within(key(&seals, kind), &mut stored)
                .map_err(|cause| ReadError::damaged(name, None, cause))?;
            Ok((stored, plain))
        })?;
        decode(stored, plain).map_err(|cause| ReadError::damaged(name, None, cause))
    }

    /// Reads a sealed object that another run may have removed meanwhile.
    pub(crate) fn load_if_there<T>(
        &self,
        kind: EnvelopeKind,
        name: &str,
        decode: impl FnOnce(&[u8]) -> Result<T, FormatError>,
    ) -> Result<Option<T>, ReadError> {
        match self.load(kind, name, decode) {
            Err(cause) if cause.is_missing() => Ok(None),
            other => other.map(Some),
        }
    }

    /// Describes the pack of that name.
    pub(crate) fn pack_header(&self, pack: PackId, kind: emberkeep_format::PackKind) -> PackHeader {
        PackHeader {
            kind,
            repository: self.descriptor.id,
            pack,
        }
    }

    /// Reads a pack's header and table of contents, without its chunks.
    pub(crate) fn read_toc(
        &self,
        pack: PackId,
        size: u64,
    ) -> Result<(PackHeader, Vec<TocEntry>), ReadError> {
        let name = self.names.pack(pack);
        let damaged = |cause: FormatError| ReadError::damaged(&name, None, cause);
        let ranged = |range| {
            self.store
                .get_range(&name, range)
                .map_err(ReadError::from_store)
        };
        let least = (PACK_HEADER_LEN + PACK_TRAILER_LEN) as u64;
        if size < least {
            let cause = DamageCause::Size {
                have: size,
                want: least,
            };
            return Err(ReadError::damaged(&name, None, cause));
        }
        let header = PackHeader::decode(&ranged(0..PACK_HEADER_LEN as u64)?).map_err(damaged)?;
        self.expect_header(&header, pack).map_err(damaged)?;
        let tail = ranged(size - PACK_TRAILER_LEN as u64..size)?;
        let trailer = PackTrailer::decode(&tail, size).map_err(damaged)?;
        let start = u64::from(trailer.toc_offset);
        let toc = self.unsealed(|| {
            let mut sealed = ranged(start..start + u64::from(trailer.toc_len))?;
            decode_toc(&self.keys.pack(pack), &header, &trailer, &mut sealed)
                .map_err(|cause| ReadError::damaged(&name, Some(start), cause))
        })?;
        Ok((header, toc))
    }

    /// Refuses a header that belongs to another pack or repository.
    pub(crate) fn expect_header(
        &self,
        header: &PackHeader,
        pack: PackId,
    ) -> Result<(), FormatError> {
        if *header == self.pack_header(pack, header.kind) {
            Ok(())
        } else {
            Err(FormatError::Malformed {
                what: "pack",
                reason: "it belongs elsewhere",
            })
        }
    }

    /// Lists the packs there are, with their sizes; other names are left alone.
    pub(crate) fn list_packs(&self) -> Result<Vec<(PackId, u64)>, StoreError> {
        let listed = emberkeep_store::list_all(&*self.store, &self.names.packs())?;
        Ok(self.packs_of(listed))
    }

    /// Returns the packs among what was listed, with their sizes.
    pub(crate) fn packs_of(&self, listed: Vec<Listed>) -> Vec<(PackId, u64)> {
        listed
            .into_iter()
            .filter_map(|object| {
                let pack = emberkeep_format::names::last_segment(&object.name)?;
                (self.names.pack(pack) == object.name).then_some((pack, object.size))
            })
            .collect()
    }
}

fn key(seals: &Seals, kind: EnvelopeKind) -> &SealKey {
    match kind {
        EnvelopeKind::IndexRun => &seals.index,
        EnvelopeKind::Manifest => &seals.manifests,
        EnvelopeKind::Session
        | EnvelopeKind::Condemnation
        | EnvelopeKind::Lease
        | EnvelopeKind::Progress
        | EnvelopeKind::Verified
        | EnvelopeKind::LedgerEntry
        | EnvelopeKind::Tombstone
        | EnvelopeKind::LedgerSet => &seals.records,
        EnvelopeKind::CatalogCopy => &seals.catalog,
        EnvelopeKind::MasterWrap | EnvelopeKind::ProjectKey => {
            unreachable!("wrapped keys belong to the repository, not to a project")
        }
    }
}

/// Returns the time; the only clock of this crate, used for sessions and end times.
pub(crate) fn now() -> UnixMicros {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    UnixMicros(since.map_or(0, |d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX)))
}

/// Returns how many threads work on one run.
pub(crate) fn worker_count() -> usize {
    std::thread::available_parallelism()
        .map_or(2, usize::from)
        .clamp(1, 8)
}
