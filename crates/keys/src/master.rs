//! The master key: the one secret that its owner must keep.

use std::fmt;

use emberkeep_format::{ObjectId, SealKey};
use zeroize::Zeroizing;

use crate::random;

/// Names a master key without revealing it.
pub type MasterKeyId = ObjectId;

/// The key that wraps a repository's secret. Wiped from memory when dropped.
#[derive(Clone)]
pub struct MasterKey {
    key: Zeroizing<[u8; 32]>,
}

impl MasterKey {
    /// Draws a new key.
    pub fn generate() -> Self {
        Self {
            key: Zeroizing::new(random()),
        }
    }

    /// Takes a key as it was written down.
    pub fn from_bytes(key: [u8; 32]) -> Self {
        Self {
            key: Zeroizing::new(key),
        }
    }

    /// Returns the id, derived from the key, so that a changed key is noticed.
    pub fn id(&self) -> MasterKeyId {
        let digest = blake3::derive_key("emberkeep 2026 v1 master key id", &*self.key);
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        ObjectId(id)
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.key
    }

    pub(crate) fn wrap_key(&self) -> SealKey {
        derive_seal("emberkeep 2026 v1 master wrap", &*self.key)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id())
    }
}

/// Derives a key that seals.
pub(crate) fn derive_seal(context: &'static str, material: &[u8]) -> SealKey {
    SealKey::new(&Zeroizing::new(blake3::derive_key(context, material)))
}
