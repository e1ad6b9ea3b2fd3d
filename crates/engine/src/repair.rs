//! Writes the index anew from the packs: each says itself what it holds.

use std::collections::BTreeSet;
use std::sync::Arc;

use emberkeep_format::{IndexEntry, PackId, PackRecord, SessionKind};

use crate::damage::ReadError;
use crate::error::CheckError;
use crate::load::{load_condemned, load_index};
use crate::packs::{RUN_ENTRIES, store_run};
use crate::run::Run;
use crate::session::Session;
use crate::space::Space;

/// What was entered into the index again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RepairReport {
    /// Packs that no index run named.
    pub packs: u64,
    /// Chunks in them.
    pub chunks: u64,
    /// Packs that no index run names and that cannot be read.
    pub unreadable: u64,
}

/// Enters every pack that no index run names. Also those of runs that are under way: they enter
/// them once more, and a sweep drops what comes twice.
pub(crate) fn repair_index(space: &Arc<Space>, run: &Run) -> Result<RepairReport, CheckError> {
    // First of all the session: a sweep waits for it before it deletes what it condemned.
    let session = Session::start(space, SessionKind::Check)?;
    let read = |cause: ReadError| match cause {
        ReadError::Store(cause) => CheckError::Store(cause),
        damaged @ ReadError::Damaged(_) => CheckError::Repository(damaged.into()),
    };
    let condemned = load_condemned(space).map_err(read)?.packs();
    let index = load_index(space).map_err(read)?;
    // What a damaged run named was taken from the packs, and is not stored either.
    let named: BTreeSet<PackId> = index
        .index
        .packs()
        .iter()
        .map(|record| record.pack)
        .collect();
    let named: BTreeSet<PackId> = named.difference(&index.from_tables).copied().collect();
    drop(index.index);
    let mut report = RepairReport::default();
    let (mut packs, mut entries) = (Vec::new(), Vec::<IndexEntry>::new());
    for (pack, size) in space.list_packs()? {
        if run.is_cancelled() {
            return Err(CheckError::Cancelled);
        }
        if named.contains(&pack) || condemned.contains(&pack) {
            continue;
        }
        let (header, toc) = match space.read_toc(pack, size) {
            Ok(found) => found,
            Err(ReadError::Damaged(damage)) => {
                tracing::warn!(%damage, "a pack that no index run names cannot be read");
                report.unreadable += 1;
                continue;
            }
            Err(cause) => return Err(read(cause)),
        };
        let Ok(size) = u32::try_from(size) else {
            report.unreadable += 1;
            continue;
        };
        if entries.len() + toc.len() > RUN_ENTRIES {
            write(space, &mut packs, &mut entries)?;
        }
        let place = u32::try_from(packs.len()).expect("fewer packs than entries");
        let kind = header.kind;
        packs.push(PackRecord { pack, size, kind });
        entries.extend(toc.iter().map(|entry| IndexEntry::new(place, entry)));
        report.packs += 1;
        report.chunks += toc.len() as u64;
    }
    write(space, &mut packs, &mut entries)?;
    session.end()?;
    Ok(report)
}

fn write(
    space: &Space,
    packs: &mut Vec<PackRecord>,
    entries: &mut Vec<IndexEntry>,
) -> Result<(), CheckError> {
    entries.sort_unstable();
    if !packs.is_empty() {
        store_run(space, packs, entries)?;
    }
    packs.clear();
    entries.clear();
    Ok(())
}
