//! What backups need.

use emberkeep_format::{ChunkId, EnvelopeKind, IndexEntry, Manifest, MapRoot, PackId};
use emberkeep_model::BackupId;
use emberkeep_plan::PackFacts;

use crate::damage::{DamageCause, ReadError};
use crate::error::SweepError;
use crate::index::{Index, Standing};
use crate::load::list_manifests;
use crate::reader::ChunkReader;
use crate::run::Run;
use crate::space::Space;
use crate::tree::{Walk, read_pages};

/// Pages read at once.
const PAGES: usize = 64;

/// One bit for each entry of an index; that of a chunk's first entry says that it is needed.
pub(super) struct Marks(Vec<u64>);

impl Marks {
    /// Sets a bit; tells whether it was clear.
    fn set(&mut self, at: usize) -> bool {
        let (word, bit) = (&mut self.0[at / 64], 1 << (at % 64));
        let was_clear = *word & bit == 0;
        *word |= bit;
        was_clear
    }

    pub(super) fn get(&self, at: usize) -> bool {
        self.0[at / 64] & 1 << (at % 64) != 0
    }
}

/// A manifest, as far as a sweep needs it.
pub(super) struct Found {
    pub(super) name: String,
    pub(super) backup: BackupId,
    pub(super) root: Option<MapRoot>,
}

/// Reads the manifests; to be called before the index is loaded, since a backup
/// that ends in between would need what that index does not have.
pub(super) fn manifests(space: &Space) -> Result<Vec<Found>, SweepError> {
    let mut found = Vec::new();
    for (name, backup) in list_manifests(space)? {
        if let Some(manifest) =
            space.load_if_there(EnvelopeKind::Manifest, &name, Manifest::decode)?
        {
            let root = manifest.root;
            found.push(Found { name, backup, root });
        }
    }
    Ok(found)
}

/// Marks every chunk, page and node that a manifest leads to. Fails if any of them is in
/// no pack: what is missing may lie in a pack that looks dead.
pub(super) fn mark(
    space: &Space,
    index: &Index,
    manifests: &[Found],
    run: &Run,
) -> Result<Marks, SweepError> {
    let mut marks = Marks(vec![0; index.len().div_ceil(64)]);
    let mut reader = ChunkReader::new(space, index, run).map_err(SweepError::Decompressor)?;
    for Found { name, root, .. } in manifests {
        let mut walk = Walk::new(*root);
        while let Some(pages) = walk.next_pages(&mut reader, &mut |id| {
            // What is marked has been walked: maps share most of their parts.
            visit(&mut marks, index, name, id)
        })? {
            let mut fresh = Vec::new();
            for (_, id) in pages {
                if visit(&mut marks, index, name, id)? {
                    fresh.push(id);
                }
            }
            for group in fresh.chunks(PAGES) {
                if run.is_cancelled() {
                    return Err(SweepError::Cancelled);
                }
                let window = space.descriptor.window();
                read_pages(&mut reader, group, window, |_, page| {
                    for entry in &page.entries {
                        visit(&mut marks, index, name, entry.id)?;
                    }
                    Ok::<_, SweepError>(())
                })?;
            }
        }
    }
    Ok(marks)
}

fn visit(
    marks: &mut Marks,
    index: &Index,
    manifest: &str,
    id: ChunkId,
) -> Result<bool, SweepError> {
    match index.position(&id) {
        Some(at) => Ok(marks.set(at)),
        None => Err(ReadError::damaged(manifest, None, DamageCause::NoLocation(id)).into()),
    }
}

/// Returns the place where a needed chunk is kept: the lowest sound pack that stays, or one
/// that is damaged, of which this chunk may be a sound part.
pub(super) fn keeper<'p>(index: &Index, places: &'p [IndexEntry]) -> Option<&'p IndexEntry> {
    let stays_as = |damaged| Standing {
        damaged,
        ..Standing::default()
    };
    let find = |standing| places.iter().find(|e| index.standing(e.pack) == standing);
    find(stays_as(false)).or_else(|| find(stays_as(true)))
}

/// Sums up, for every pack there is, what its chunks are worth.
pub(super) fn facts(
    index: &Index,
    marks: &Marks,
    packs: &[(PackId, u64)],
) -> Vec<PackFacts<PackId>> {
    let mut sums = vec![(0, 0); index.packs().len()];
    let mut chunks = index.chunks();
    while let Some((at, places)) = chunks.next() {
        for entry in places {
            sums[entry.pack as usize].0 += u64::from(entry.sealed_len);
        }
        if let Some(keeper) = marks.get(at).then(|| keeper(index, places)).flatten() {
            sums[keeper.pack as usize].1 += u64::from(keeper.sealed_len);
        }
    }
    packs
        .iter()
        .map(|(pack, size)| {
            let known = index
                .packs()
                .binary_search_by_key(pack, |record| record.pack)
                .ok();
            let (chunk_bytes, live_bytes) = known.map_or((0, 0), |at| sums[at]);
            PackFacts {
                pack: *pack,
                size: *size,
                chunk_bytes,
                live_bytes,
                indexed: known.is_some(),
            }
        })
        .collect()
}
