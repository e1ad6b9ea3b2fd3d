//! Going on where an attempt that died left off.
//!
//! While it works, a backup notes now and then which packs it has stored and which windows they
//! complete. Nothing is believed for that alone: a later attempt of the same backup, from the
//! same instant of the volume, looks for every chunk in packs that are there and stay, and
//! reads again what is not.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use emberkeep_format::{EnvelopeKind, IndexRun, PackId, Progress, SpoolFrame};
use emberkeep_store::list_all;

use super::spool;
use crate::damage::ReadError;
use crate::load::Listing;
use crate::packs::Journal;
use crate::space::{Space, now};

/// For so long a sweep leaves what a dead attempt stored to the next one.
const PATIENCE_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// What earlier attempts left behind.
#[derive(Default)]
pub(crate) struct LeftBehind {
    /// Packs and where chunks lie in them.
    pub(crate) run: IndexRun,
    /// Pages of finished windows, by number.
    pub(crate) done: BTreeMap<u64, Vec<u8>>,
    /// The records, to be deleted once the backup is finished.
    pub(crate) records: Vec<String>,
    /// Files of work that no record names.
    pub(crate) spool: Vec<PathBuf>,
}

/// Reads the records of a backup that fit its instant.
pub(crate) fn left_behind(
    space: &Space,
    journal: Journal,
    listing: &Listing,
) -> Result<LeftBehind, ReadError> {
    let mut left = LeftBehind::default();
    let mut places: HashMap<PackId, u32> = HashMap::new();
    for object in listing.under(space, &space.names.progress(journal.backup))? {
        let found = space.load_if_there(EnvelopeKind::Progress, &object.name, Progress::decode);
        left.records.push(object.name);
        let record = match found {
            Ok(Some(record)) if record.instant == journal.instant => record,
            Ok(_) => continue,
            Err(ReadError::Damaged(damage)) => {
                tracing::warn!(%damage, "a record of an unfinished backup cannot be read");
                continue;
            }
            Err(cause) => return Err(cause),
        };
        let mut mapped = Vec::with_capacity(record.run.packs.len());
        for pack in &record.run.packs {
            let next = u32::try_from(left.run.packs.len()).expect("packs are counted in 32 bits");
            let place = *places.entry(pack.pack).or_insert(next);
            if place == next {
                left.run.packs.push(*pack);
            }
            mapped.push(place);
        }
        left.run
            .entries
            .extend(record.run.entries.iter().map(|entry| {
                let mut entry = *entry;
                entry.pack = mapped[entry.pack as usize];
                entry
            }));
        left.done
            .extend(record.windows.into_iter().map(|w| (w.number, w.page)));
    }
    left.spool = spool::files_of(space, journal.backup);
    for file in &left.spool {
        let done = &mut left.done;
        spool::read(space, journal, file, |frame| {
            if let SpoolFrame::Window(window) = frame {
                done.insert(window.number, window.page);
            }
            Ok::<_, ReadError>(())
        })?;
    }
    Ok(left)
}

impl LeftBehind {
    /// Forgets packs that are not there, or about to go: the index must not name them.
    pub(crate) fn keep_only(&mut self, stays: impl Fn(PackId, u32) -> bool) {
        let packs = std::mem::take(&mut self.run.packs);
        let mut places = Vec::with_capacity(packs.len());
        for record in packs {
            let place = u32::try_from(self.run.packs.len()).expect("packs are counted in 32 bits");
            let stays = stays(record.pack, record.size);
            places.push(stays.then_some(place));
            if stays {
                self.run.packs.push(record);
            }
        }
        self.run.entries.retain_mut(|entry| {
            let place = places[entry.pack as usize];
            entry.pack = place.unwrap_or_default();
            place.is_some()
        });
    }
}

/// What sweeps find of unfinished backups.
#[derive(Default)]
pub(crate) struct Unfinished {
    /// Packs that a next attempt may want.
    pub(crate) packs: BTreeSet<PackId>,
    /// Records that nobody will come for.
    pub(crate) stale: Vec<String>,
}

/// Looks through the records of all backups.
pub(crate) fn unfinished(space: &Space) -> Result<Unfinished, ReadError> {
    let mut found = Unfinished::default();
    for object in list_all(&*space.store, &space.names.all_progress())? {
        match space.load_if_there(EnvelopeKind::Progress, &object.name, Progress::decode) {
            Ok(None) => {}
            Ok(Some(record)) if now().0.saturating_sub(record.written.0) < PATIENCE_MICROS => {
                found.packs.extend(record.run.packs.iter().map(|p| p.pack));
            }
            Ok(Some(_)) | Err(ReadError::Damaged(_)) => found.stale.push(object.name),
            Err(cause) => return Err(cause),
        }
    }
    Ok(found)
}
