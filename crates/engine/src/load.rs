//! Loads the index from its runs, and from the packs themselves where a run is damaged.

use std::collections::BTreeSet;

use emberkeep_format::{
    Condemnation, EnvelopeKind, IndexEntry, IndexRun, PackId, PackRecord, names,
};
use emberkeep_store::{StoreError, list_all};

use crate::damage::{Damage, ReadError};
use crate::index::{Gatherer, Index};
use crate::space::Space;

/// Sweeps merge runs while we read them; so often we look again before giving up.
const TRIES: usize = 20;

/// An index and the runs that it was read from.
pub(crate) struct LoadedIndex {
    pub(crate) index: Index,
    /// Every run that is contained in the index.
    pub(crate) runs: Vec<String>,
    /// Runs that could not be read; what they knew was taken from the packs.
    pub(crate) damaged: Vec<Damage>,
}

/// Reads every run there is.
pub(crate) fn load_index(space: &Space) -> Result<LoadedIndex, ReadError> {
    load_index_with(space, &IndexRun::default())
}

/// Reads every run there is, and adds one that is not stored.
pub(crate) fn load_index_with(space: &Space, more: &IndexRun) -> Result<LoadedIndex, ReadError> {
    let mut gatherer = Gatherer::default();
    gatherer.add(&more.packs, &more.entries);
    let mut seen = BTreeSet::new();
    let mut damaged = Vec::new();
    let mut tries = 0;
    'again: loop {
        let mut listed = list_all(&*space.store, &space.names.index())?;
        listed.retain(|object| !seen.contains(&object.name));
        gatherer.expect(listed.iter().map(|object| object.size).sum());
        for object in listed {
            match space.load(EnvelopeKind::IndexRun, &object.name, IndexRun::decode) {
                Ok(run) => gatherer.add(&run.packs, &run.entries),
                // A sweep has merged it into a run that our listing does not have.
                Err(cause) if cause.is_missing() && tries < TRIES => {
                    tries += 1;
                    continue 'again;
                }
                Err(ReadError::Damaged(damage)) => {
                    tracing::warn!(%damage, "an index run cannot be read");
                    damaged.push(*damage);
                }
                Err(cause) => return Err(cause),
            }
            seen.insert(object.name);
        }
        break;
    }
    if !damaged.is_empty() {
        read_from_packs(space, &mut gatherer)?;
    }
    Ok(LoadedIndex {
        index: gatherer.finish(),
        runs: seen.into_iter().collect(),
        damaged,
    })
}

/// Adds what packs say of themselves that no run names.
fn read_from_packs(space: &Space, gatherer: &mut Gatherer) -> Result<(), ReadError> {
    for (pack, size) in space.list_packs()? {
        if gatherer.knows(pack) {
            continue;
        }
        let (header, toc) = match space.read_toc(pack, size) {
            Ok(found) => found,
            Err(ReadError::Damaged(damage)) => {
                tracing::warn!(%damage, "a pack that no index run names cannot be read");
                continue;
            }
            Err(cause) => return Err(cause),
        };
        let Ok(size) = u32::try_from(size) else {
            continue;
        };
        let entries: Vec<_> = toc.iter().map(|entry| IndexEntry::new(0, entry)).collect();
        gatherer.add(
            &[PackRecord {
                pack,
                size,
                kind: header.kind,
            }],
            &entries,
        );
    }
    Ok(())
}

/// Reads what sweeps are about to delete, by name.
pub(crate) fn load_condemned(space: &Space) -> Result<Vec<(String, Condemnation)>, ReadError> {
    let mut all = Vec::new();
    for object in list_all(&*space.store, &space.names.condemned())? {
        let found = space.load_if_there(
            EnvelopeKind::Condemnation,
            &object.name,
            Condemnation::decode,
        )?;
        all.extend(found.map(|condemned| (object.name, condemned)));
    }
    Ok(all)
}

/// Returns every condemned pack.
pub(crate) fn condemned_packs(condemned: &[(String, Condemnation)]) -> BTreeSet<PackId> {
    condemned
        .iter()
        .flat_map(|(_, c)| c.packs.iter().copied())
        .collect()
}

/// Lists the packs in which a check found damage.
pub(crate) fn damaged_packs(space: &Space) -> Result<BTreeSet<PackId>, StoreError> {
    Ok(list_all(&*space.store, &space.names.damaged())?
        .iter()
        .filter_map(|object| names::last_segment(&object.name))
        .collect())
}

/// Lists the names of manifests.
pub(crate) fn list_manifests(
    space: &Space,
) -> Result<Vec<(String, emberkeep_model::BackupId)>, ReadError> {
    Ok(list_all(&*space.store, &space.names.manifests())?
        .into_iter()
        .filter_map(|object| {
            let id = names::last_segment(&object.name)?;
            Some((object.name, id))
        })
        .collect())
}
