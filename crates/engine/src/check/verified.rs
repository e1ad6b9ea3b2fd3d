//! What checks have read through, and when: kept in the repository, merged by whoever reads it.

use std::collections::BTreeSet;

use emberkeep_format::{EnvelopeKind, ObjectId, PackId, UnixMicros, Verified};
use emberkeep_keys::random;
use emberkeep_store::list_all;

use crate::damage::ReadError;
use crate::space::{Space, now};

/// So many bytes are read before it is noted how far a check came; that much a killed one reads again.
const SAVE_BYTES: u64 = 1 << 30;

/// The records of all checks, joined, and the one that this check writes.
pub(super) struct VerifiedPacks<'a> {
    space: &'a Space,
    name: String,
    all: Verified,
    /// Records whose content is in ours.
    joined: Vec<String>,
    unsaved: u64,
}

impl<'a> VerifiedPacks<'a> {
    /// Reads all records. Of two checks that run at once each keeps its own; a record that cannot
    /// be read means only that packs are read again.
    pub(super) fn load(space: &'a Space) -> Result<Self, ReadError> {
        let mut all = Verified::default();
        let mut joined = Vec::new();
        for object in list_all(&*space.store, &space.names.all_verified())? {
            match space.load_if_there(EnvelopeKind::Verified, &object.name, Verified::decode) {
                Ok(found) => {
                    for (pack, at) in found.unwrap_or_default().packs {
                        let known = all.packs.entry(pack).or_insert(at);
                        *known = at.max(*known);
                    }
                }
                Err(ReadError::Damaged(damage)) => {
                    tracing::warn!(%damage, "a record of what was verified cannot be read");
                }
                Err(cause) => return Err(cause),
            }
            joined.push(object.name);
        }
        // What lies in the future was noted by a clock that was wrong.
        let now = now();
        all.packs.retain(|_, at| *at <= now);
        Ok(Self {
            space,
            name: space.names.verified(ObjectId(random())),
            all,
            joined,
            unsaved: 0,
        })
    }

    /// Returns when a pack was last found whole.
    pub(super) fn last(&self, pack: PackId) -> Option<UnixMicros> {
        self.all.packs.get(&pack).copied()
    }

    /// Notes that a pack of `size` bytes was found whole.
    pub(super) fn note(&mut self, pack: PackId, size: u64) {
        self.all.packs.insert(pack, now());
        self.unsaved += size;
        if self.unsaved >= SAVE_BYTES {
            self.save();
        }
    }

    /// Forgets packs that are gone and leaves one record of all.
    pub(super) fn close(&mut self, there: &[(PackId, u64)]) {
        let there: BTreeSet<PackId> = there.iter().map(|(pack, _)| *pack).collect();
        let known = self.all.packs.len();
        self.all.packs.retain(|pack, _| there.contains(pack));
        let forgot = self.all.packs.len() < known;
        if self.unsaved == 0 && !forgot && self.joined.len() <= 1 {
            return;
        }
        if self.save()
            && let Err(cause) = self.space.store.delete_many(&self.joined)
        {
            tracing::warn!(%cause, "older records of what was verified could not be removed");
        }
    }

    /// Writes the record. Where that fails, as in a store that takes no more, packs are read
    /// again another time, and the check goes on.
    fn save(&mut self) -> bool {
        let sealed = self
            .space
            .seal(EnvelopeKind::Verified, &self.name, &self.all.encode());
        match self.space.store.put(&self.name, &[&sealed]) {
            Ok(()) => {
                self.unsaved = 0;
                true
            }
            Err(cause) => {
                tracing::warn!(%cause, "what was verified could not be noted");
                false
            }
        }
    }
}
