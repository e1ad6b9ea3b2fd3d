//! A project's data keys and the keys derived from them, one for each purpose.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use emberkeep_format::{ChunkIdKey, PackId, SealKey};
use zeroize::Zeroizing;

use crate::random;

/// The keys of everything a project stores; without them the project's data is noise.
///
/// The first names chunks permanently, so that equal chunks are found whenever they were stored. The
/// last seals what is stored from now on; all of them open.
#[derive(Clone)]
pub struct ProjectKey {
    project: String,
    keys: Vec<Zeroizing<[u8; 32]>>,
}

impl ProjectKey {
    /// More than this are not kept: a renewal every month for more than twenty years.
    pub const MOST: usize = 255;

    /// Draws the key of a new project.
    pub fn generate(project: String) -> Self {
        Self::from_keys(project, vec![Zeroizing::new(random())])
    }

    pub(crate) fn from_keys(project: String, keys: Vec<Zeroizing<[u8; 32]>>) -> Self {
        debug_assert!((1..=Self::MOST).contains(&keys.len()));
        Self { project, keys }
    }

    /// Draws another key for what is stored from now on. `None` once there are too many.
    #[must_use]
    pub fn renewed(&self) -> Option<Self> {
        let mut keys = self.keys.clone();
        keys.push(Zeroizing::new(random()));
        (keys.len() <= Self::MOST).then(|| Self::from_keys(self.project.clone(), keys))
    }

    /// Returns how many keys there are.
    pub fn count(&self) -> usize {
        self.keys.len()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.keys.iter().map(|key| &**key)
    }

    /// Returns the project's name.
    pub fn project(&self) -> &str {
        &self.project
    }

    /// Derives the working keys.
    pub fn derive(&self) -> ProjectKeys {
        let first = &*self.keys[0];
        let seed = blake3::derive_key("emberkeep 2026 v1 cut seed", first);
        let (seed, _) = seed
            .split_first_chunk()
            .expect("a digest is longer than a seed");
        ProjectKeys {
            chunk_ids: ChunkIdKey::new(blake3::derive_key("emberkeep 2026 v1 chunk id", first)),
            cut_seed: u64::from_le_bytes(*seed),
            seals: RwLock::new(Arc::new(self.seals())),
        }
    }

    fn seals(&self) -> Seals {
        let latest_first = |context: &str| -> Vec<Zeroizing<[u8; 32]>> {
            let keys = self.keys.iter().rev();
            keys.map(|key| Zeroizing::new(blake3::derive_key(context, &**key)))
                .collect()
        };
        Seals {
            manifests: seal_key(&latest_first("emberkeep 2026 v1 manifest")),
            index: seal_key(&latest_first("emberkeep 2026 v1 index")),
            records: seal_key(&latest_first("emberkeep 2026 v1 records")),
            catalog: seal_key(&latest_first("emberkeep 2026 v1 catalog")),
            pack_roots: latest_first("emberkeep 2026 v1 pack root"),
        }
    }
}

fn seal_key(latest_first: &[Zeroizing<[u8; 32]>]) -> SealKey {
    let (current, older) = latest_first
        .split_first()
        .expect("a project has a key at least");
    SealKey::with_older(current, older.iter().map(|key| &**key))
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
    seals: RwLock<Arc<Seals>>,
}

/// The keys that seal, and those before them that still open.
pub struct Seals {
    /// Latest first.
    pack_roots: Vec<Zeroizing<[u8; 32]>>,
    /// Seals manifests.
    pub manifests: SealKey,
    /// Seals index runs.
    pub index: SealKey,
    /// Seals sessions, condemnations and leases.
    pub records: SealKey,
    /// Seals the project's rows in copies of the catalog.
    pub catalog: SealKey,
}

impl ProjectKeys {
    /// Returns the keys that seal as they are now.
    pub fn seals(&self) -> Arc<Seals> {
        Arc::clone(&self.seals.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Seals from now on as a renewed key of the same project does.
    pub fn renew(&self, key: &ProjectKey) {
        let seals = Arc::new(key.seals());
        *self.seals.write().unwrap_or_else(PoisonError::into_inner) = seals;
    }

    /// Derives the key of one pack.
    pub fn pack(&self, pack: PackId) -> SealKey {
        let seals = self.seals();
        let keys: Vec<_> = seals
            .pack_roots
            .iter()
            .map(|root| {
                let mut material = Zeroizing::new([0; 48]);
                material[..32].copy_from_slice(&**root);
                material[32..].copy_from_slice(&pack.0);
                Zeroizing::new(blake3::derive_key("emberkeep 2026 v1 pack", &*material))
            })
            .collect();
        seal_key(&keys)
    }
}

impl fmt::Debug for ProjectKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProjectKeys(..)")
    }
}

impl fmt::Debug for Seals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seals(..)")
    }
}
