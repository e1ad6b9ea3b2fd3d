//! Deletes what was condemned and is still not needed.

use std::collections::{BTreeMap, BTreeSet};

use emberkeep_format::{IndexEntry, PackId, PackRecord};

use super::mark::{self, Marks, keeper};
use super::{Ready, Sweep, SweepReport};
use crate::error::SweepError;
use crate::index::Index;
use crate::load::{damaged_packs, load_condemned, load_index};
use crate::packs::{RUN_ENTRIES, store_run};

/// Objects deleted in one call.
const DELETIONS: usize = 500;

/// Marks again, pardons what is needed after all, and deletes the rest: index first, so that
/// no index ever names a pack that is gone.
pub(super) fn finish(
    sweep: &Sweep<'_>,
    ready: &[Ready],
    report: &mut SweepReport,
) -> Result<(), SweepError> {
    let space = sweep.space;
    sweep.fence()?;
    let manifests = sweep.manifests()?;
    let condemned = load_condemned(space)?.packs();
    let loaded = load_index(space)?;
    let mut index = loaded.index;
    index.condemn(|pack| condemned.contains(&pack));
    let packs = space.list_packs()?;
    index.compare_with(&packs);
    let damaged = damaged_packs(space)?;
    index.distrust(&damaged);
    let live = mark::mark(space, &index, &manifests, sweep.run)?;

    let mut doomed: BTreeSet<PackId> = ready.iter().flat_map(|r| r.packs.iter().copied()).collect();
    let candidates = doomed.len();
    let mut chunks = index.chunks();
    while let Some((at, places)) = chunks.next() {
        if live.get(at)
            && keeper(&index, places).is_none()
            && let Some(last) = places.iter().find(|e| !index.standing(e.pack).missing)
        {
            doomed.remove(&index.packs()[last.pack as usize].pack);
        }
    }
    report.pardoned_packs = (candidates - doomed.len()) as u64;

    let mut written = Vec::new();
    if !loaded.runs.is_empty() {
        written = write_index(sweep, &index, &live, &doomed)?;
    }
    if let Err(lost) = sweep.fence() {
        // Another sweep may have deleted packs that these runs name.
        space.store.delete_many(&written)?;
        return Err(lost);
    }
    space.store.delete_many(&loaded.runs)?;

    let sizes: BTreeMap<PackId, u64> = packs.into_iter().collect();
    let there: Vec<_> = doomed
        .iter()
        .filter_map(|pack| sizes.get_key_value(pack))
        .collect();
    for group in there.chunks(DELETIONS) {
        sweep.fence()?;
        let packs = group.iter().map(|(pack, _)| space.names.pack(**pack));
        let marks = group.iter().filter(|(pack, _)| damaged.contains(*pack));
        let marks = marks.map(|(pack, _)| space.names.damaged_pack(**pack));
        let names: Vec<String> = packs.chain(marks).collect();
        space.store.delete_many(&names)?;
        report.deleted_packs += group.len() as u64;
        report.freed_bytes += group.iter().map(|(_, size)| **size).sum::<u64>();
    }
    // Last: until here a crash leaves a condemnation that the next sweep takes up.
    let done: Vec<String> = ready.iter().map(|ready| ready.name.clone()).collect();
    Ok(space.store.delete_many(&done)?)
}

/// Writes the index anew without what is doomed, as few runs, each with the packs it needs.
fn write_index(
    sweep: &Sweep<'_>,
    index: &Index,
    live: &Marks,
    doomed: &BTreeSet<PackId>,
) -> Result<Vec<String>, SweepError> {
    let mut names = Vec::new();
    let mut run: Vec<IndexEntry> = Vec::new();
    let mut chunks = index.chunks();
    while let Some((at, places)) = chunks.next() {
        let there = |entry: &&IndexEntry| {
            let gone = doomed.contains(&index.packs()[entry.pack as usize].pack);
            !gone && !index.standing(entry.pack).missing
        };
        let before = run.len();
        run.extend(places.iter().filter(there));
        if live.get(at) && run.len() == before {
            // Lost, not dead: its entry is what tells a check where it should be.
            run.extend(places);
        }
        if run.len() >= RUN_ENTRIES {
            let rest = run.split_off(RUN_ENTRIES);
            names.push(write_run(sweep, index, &mut run)?);
            run = rest;
        }
    }
    if !run.is_empty() {
        names.push(write_run(sweep, index, &mut run)?);
    }
    Ok(names)
}

fn write_run(
    sweep: &Sweep<'_>,
    index: &Index,
    run: &mut [IndexEntry],
) -> Result<String, SweepError> {
    let used: BTreeSet<u32> = run.iter().map(|entry| entry.pack).collect();
    let packs: Vec<PackRecord> = used.iter().map(|at| index.packs()[*at as usize]).collect();
    let places: BTreeMap<u32, u32> = used.into_iter().zip(0..).collect();
    for entry in run.iter_mut() {
        // Order is kept: places grow with the packs they stand for.
        entry.pack = places[&entry.pack];
    }
    Ok(store_run(sweep.space, &packs, run)?)
}
