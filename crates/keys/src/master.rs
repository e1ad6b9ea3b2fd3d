//! The master key: the one secret that its owner must keep.

use std::fmt;

use emberkeep_format::{KeyTag, ObjectId, SealKey};
use zeroize::Zeroizing;

use crate::random;
use crate::ring::Ring;

/// Names a master key without revealing it.
pub type MasterKeyId = ObjectId;

/// The key that wraps a repository's secret and, with its ring, the keys of projects. Wiped from
/// memory when dropped.
///
/// A *whole* key is 32 bytes from which all else is derived. Once a project was erased, a key is
/// what was derived from them: the wrap key and what is left of the ring.
#[derive(Clone)]
pub struct MasterKey {
    pub(crate) id: MasterKeyId,
    pub(crate) whole: Option<Zeroizing<[u8; 32]>>,
    pub(crate) wrap: Zeroizing<[u8; 32]>,
    pub(crate) ring: Ring,
    /// Keys that this one is about to replace, latest first: until that is done they open what
    /// this one does not yet.
    pub(crate) retired: Vec<MasterKey>,
}

impl MasterKey {
    /// Draws a new key.
    pub fn generate() -> Self {
        Self::from_bytes(random())
    }

    /// Takes a whole key as it was written down.
    pub fn from_bytes(key: [u8; 32]) -> Self {
        let key = Zeroizing::new(key);
        Self {
            id: id_of(&key),
            wrap: Zeroizing::new(blake3::derive_key("emberkeep 2026 v1 master wrap", &*key)),
            ring: Ring::whole(blake3::derive_key("emberkeep 2026 v1 ring", &*key)),
            whole: Some(key),
            retired: Vec::new(),
        }
    }

    /// Returns the id, derived from the whole key, so that a changed key is noticed.
    pub fn id(&self) -> MasterKeyId {
        self.id
    }

    /// Returns the 32 bytes that all is derived from; `None` once a project was erased under it.
    pub fn whole(&self) -> Option<&[u8; 32]> {
        self.whole.as_deref()
    }

    /// Returns the key itself and then those that it is about to replace.
    pub fn with_retired(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.retired)
    }

    /// Tells whether a change of the key has begun and not ended.
    pub fn is_replacing(&self) -> bool {
        !self.retired.is_empty()
    }

    /// Makes this key the successor of another, which still opens what this one does not.
    #[must_use]
    pub fn succeeding(mut self, before: &Self) -> Self {
        self.retired = before.with_retired().map(Self::alone).collect();
        self
    }

    /// Returns the key without those that it has replaced.
    #[must_use]
    pub fn alone(&self) -> Self {
        Self {
            retired: Vec::new(),
            ..self.clone()
        }
    }

    /// Destroys the secret of a tag: what was wrapped under it cannot be opened with what is left
    /// of this key, and all else can.
    #[must_use]
    pub fn without(&self, tag: KeyTag) -> Self {
        let mut left = self.clone();
        if left.ring.destroy(tag) {
            left.whole = None;
        }
        left.retired = self.retired.iter().map(|key| key.without(tag)).collect();
        left
    }

    pub(crate) fn wrap_key(&self) -> SealKey {
        SealKey::new(&self.wrap)
    }
}

pub(crate) fn id_of(key: &[u8; 32]) -> MasterKeyId {
    let digest = blake3::derive_key("emberkeep 2026 v1 master key id", key);
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    ObjectId(id)
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id())
    }
}
