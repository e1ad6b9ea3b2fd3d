//! A project's data key and the keys derived from it, one for each purpose.

use std::fmt;

use emberkeep_format::{ChunkIdKey, PackId, SealKey};
use zeroize::Zeroizing;

use crate::master::derive_seal;
use crate::random;

/// The key of everything a project stores; without it the project's data is noise.
#[derive(Clone)]
pub struct ProjectKey {
    project: String,
    key: Zeroizing<[u8; 32]>,
}

impl ProjectKey {
    /// Draws the key of a new project.
    pub fn generate(project: String) -> Self {
        Self {
            project,
            key: Zeroizing::new(random()),
        }
    }

    pub(crate) fn from_bytes(project: String, key: [u8; 32]) -> Self {
        Self {
            project,
            key: Zeroizing::new(key),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &*self.key
    }

    /// Returns the project's name.
    pub fn project(&self) -> &str {
        &self.project
    }

    /// Derives the working keys.
    pub fn derive(&self) -> ProjectKeys {
        let key = &*self.key;
        let seed = blake3::derive_key("emberkeep 2026 v1 cut seed", key);
        let (seed, _) = seed
            .split_first_chunk()
            .expect("a digest is longer than a seed");
        ProjectKeys {
            chunk_ids: ChunkIdKey::new(blake3::derive_key("emberkeep 2026 v1 chunk id", key)),
            cut_seed: u64::from_le_bytes(*seed),
            pack_root: Zeroizing::new(blake3::derive_key("emberkeep 2026 v1 pack root", key)),
            manifests: derive_seal("emberkeep 2026 v1 manifest", key),
            index: derive_seal("emberkeep 2026 v1 index", key),
            records: derive_seal("emberkeep 2026 v1 records", key),
        }
    }
}

impl fmt::Debug for ProjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProjectKey({})", self.project)
    }
}

/// The working keys of a project.
pub struct ProjectKeys {
    /// Names chunks.
    pub chunk_ids: ChunkIdKey,
    /// Decides, with the content, where chunks end.
    pub cut_seed: u64,
    pack_root: Zeroizing<[u8; 32]>,
    /// Seals manifests.
    pub manifests: SealKey,
    /// Seals index runs.
    pub index: SealKey,
    /// Seals sessions, condemnations and leases.
    pub records: SealKey,
}

impl ProjectKeys {
    /// Derives the key of one pack.
    pub fn pack(&self, pack: PackId) -> SealKey {
        let mut material = Zeroizing::new([0; 48]);
        material[..32].copy_from_slice(&*self.pack_root);
        material[32..].copy_from_slice(&pack.0);
        derive_seal("emberkeep 2026 v1 pack", &*material)
    }
}

impl fmt::Debug for ProjectKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProjectKeys(..)")
    }
}
