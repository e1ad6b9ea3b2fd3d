//! Freeing what no backup needs, beside running backups and restores.
//!
//! No operation takes an exclusive lock. A sweep marks what manifests need, *condemns* the
//! packs that nothing needs, and waits for every session that was there when it did so, since
//! any of them may have decided before to rely on such a pack. Later ones see the condemnation
//! and do not. Then it marks again: what has come to need a pack by now is the work of the
//! sessions waited for, and pardons it. The rest is deleted: first from the index, then from
//! the store. A crash at any point leaves a condemnation, which the next sweep finishes.

mod finish;
mod lease;
mod mark;
mod repack;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use emberkeep_format::{Condemnation, EnvelopeKind, ObjectId, PackId, SessionKind};
use emberkeep_keys::random;
use emberkeep_model::BackupId;
use emberkeep_plan::{Orphans, sweep_plan};

use crate::backup::resume::unfinished;
use crate::damage::ReadError;
use crate::error::SweepError;
use crate::ledger::{Fold, Ledger, fold, losses};
use crate::load::{damaged_packs, load_condemned, load_index};
use crate::run::Run;
use crate::session::{Reap, Session, alive};
use crate::space::Space;
use lease::SweepLease;

/// More index runs than this are merged even when there is nothing to delete.
const MANY_RUNS: usize = 16;
/// How often it is looked whether sessions have ended.
const POLL: Duration = Duration::from_millis(200);

/// How a sweep goes about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SweepOptions {
    /// Tell what would be done and change nothing.
    pub dry_run: bool,
    /// How long to wait for runs that may need what is to be deleted. What is left
    /// over then is done by the next sweep.
    pub wait: Duration,
}

/// What a sweep did, or would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SweepReport {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// Packs there were.
    pub packs: u64,
    /// Bytes of packs there were.
    pub stored_bytes: u64,
    /// Packs that nothing needs, condemned by this sweep.
    pub dead_packs: u64,
    /// Packs whose living chunks are moved to new ones, condemned by this sweep.
    pub repacked_packs: u64,
    /// Bytes of chunks moved.
    pub moved_bytes: u64,
    /// Bytes that this sweep's plan frees once it is carried out.
    pub reclaimable_bytes: u64,
    /// Packs deleted.
    pub deleted_packs: u64,
    /// Bytes of packs deleted.
    pub freed_bytes: u64,
    /// Condemned packs that turned out to be needed.
    pub pardoned_packs: u64,
    /// Packs that stay condemned until the runs that may need them are over.
    pub pending_packs: u64,
    /// Runs that a later sweep has to wait for.
    pub waiting_for: u64,
}

pub(crate) fn sweep(
    space: &Arc<Space>,
    known: &BTreeSet<BackupId>,
    options: SweepOptions,
    run: &Run,
) -> Result<SweepReport, SweepError> {
    let session = Session::start(space, SessionKind::Sweep)?;
    let sweep = |lease| Sweep {
        space,
        known,
        session: &session,
        lease,
        run,
    };
    let report = if options.dry_run {
        sweep(None).plan(Reap::No)?.report
    } else {
        let lease = SweepLease::take(space, session.id())?;
        let report = sweep(Some(&lease)).carry_out(options.wait);
        lease.release()?;
        report?
    };
    session.end()?;
    Ok(report)
}

/// Takes what the ledger misses for deleted, and what it cannot read for void; returns the
/// backups that are given up.
pub(crate) fn accept_missing(space: &Arc<Space>) -> Result<Vec<BackupId>, SweepError> {
    let session = Session::start(space, SessionKind::Sweep)?;
    let lease = SweepLease::take(space, session.id())?;
    let sweep = Sweep {
        space,
        known: &BTreeSet::new(),
        session: &session,
        lease: Some(&lease),
        run: &Run::new(),
    };
    let accepted = fold(space, Fold::Accept, &|| sweep.fence());
    lease.release()?;
    let accepted = accepted?;
    session.end()?;
    Ok(accepted)
}

/// One sweep under way.
struct Sweep<'a> {
    space: &'a Arc<Space>,
    /// Backups that must have a manifest.
    known: &'a BTreeSet<BackupId>,
    session: &'a Session,
    /// None where nothing is to be changed.
    lease: Option<&'a SweepLease<'a>>,
    run: &'a Run,
}

/// What was found and what is to be done about it.
struct Planned {
    report: SweepReport,
    dead: Vec<PackId>,
    repack: Vec<PackId>,
    index: crate::index::Index,
    live: mark::Marks,
    merge_runs: bool,
}

impl Sweep<'_> {
    /// Marks and decides; changes nothing but ending dead sessions.
    fn plan(&self, reap: Reap) -> Result<Planned, SweepError> {
        let space = self.space;
        // In this order: a pack whose writer is not among the sessions was either indexed
        // before we read the index, or is a left-over.
        let packs = space.list_packs()?;
        let others = self.others(reap)?;
        // Before the index: what a manifest needs was indexed before it was stored.
        let manifests = self.manifests()?;
        let condemned = load_condemned(space)?;
        if reap == Reap::Yes && !condemned.unreadable.is_empty() {
            // Whoever wrote it has lost the lease, and deletes nothing more.
            self.fence()?;
            space.store.delete_many(&condemned.unreadable)?;
        }
        let condemned = condemned.packs();
        let loaded = load_index(space)?;
        let mut index = loaded.index;
        index.condemn(|pack| condemned.contains(&pack));
        index.compare_with(&packs);
        index.distrust(&damaged_packs(space)?);
        let live = mark::mark(space, &index, &manifests, self.run)?;
        // What a dead attempt stored is left for a while to the one that goes on from there.
        let unfinished = unfinished(space)?;
        if reap == Reap::Yes && !unfinished.stale.is_empty() {
            space.store.delete_many(&unfinished.stale)?;
        }
        let facts = mark::facts(&index, &live, &packs)
            .into_iter()
            .filter(|facts| !condemned.contains(&facts.pack))
            .filter(|facts| !unfinished.packs.contains(&facts.pack));
        let orphans = if others.is_empty() {
            Orphans::AreLeftOvers
        } else {
            Orphans::MayBeInUse
        };
        let plan = sweep_plan(facts, orphans);
        let moved: u64 = plan.repack.iter().map(|facts| facts.live_bytes).sum();
        let gone: u64 = plan
            .dead
            .iter()
            .chain(&plan.repack)
            .map(|facts| facts.size)
            .sum();
        let report = SweepReport {
            dry_run: true,
            packs: packs.len() as u64,
            stored_bytes: packs.iter().map(|(_, size)| size).sum(),
            dead_packs: plan.dead.len() as u64,
            repacked_packs: plan.repack.len() as u64,
            moved_bytes: moved,
            reclaimable_bytes: gone - moved,
            pending_packs: condemned.len() as u64,
            waiting_for: others.len() as u64,
            ..SweepReport::default()
        };
        Ok(Planned {
            report,
            dead: plan.dead.iter().map(|facts| facts.pack).collect(),
            repack: plan.repack.iter().map(|facts| facts.pack).collect(),
            index,
            live,
            merge_runs: loaded.runs.len() > MANY_RUNS || !loaded.damaged.is_empty(),
        })
    }

    /// Reads the manifests; refuses if one is missing of those that must exist.
    fn manifests(&self) -> Result<Vec<mark::Found>, SweepError> {
        let mut ledger = Ledger::load(self.space)?;
        let found = mark::manifests(self.space)?;
        if let Some(damage) = ledger.lost_set() {
            return Err(SweepError::LedgerDamaged(Box::new(damage)));
        }
        let there: BTreeSet<BackupId> = found.iter().map(|found| found.backup).collect();
        let mut missing = losses(self.space, &ledger, &there)?.missing;
        missing.extend(self.known.difference(&there));
        if missing.is_empty() {
            Ok(found)
        } else {
            Err(SweepError::ManifestsMissing(missing.into_iter().collect()))
        }
    }

    fn carry_out(&self, wait: Duration) -> Result<SweepReport, SweepError> {
        let mut planned = self.plan(Reap::Yes)?;
        let mut report = SweepReport {
            dry_run: false,
            ..planned.report
        };
        let moved = repack::repack(self, &planned.index, &planned.live, &planned.repack)?;
        report.moved_bytes = moved.bytes;
        report.repacked_packs = moved.packs.len() as u64;
        let condemned: Vec<PackId> = planned.dead.drain(..).chain(moved.packs).collect();
        let merge_runs = planned.merge_runs;
        // A large index is not kept in memory while waiting.
        drop(planned);
        if !condemned.is_empty() {
            self.fence()?;
            self.store_condemnation(
                &self.space.names.condemnation(ObjectId(random())),
                &Condemnation::new(condemned, None),
            )?;
        }
        let (ready, pending) = self.wait(wait)?;
        report.pending_packs = pending.packs;
        report.waiting_for = pending.sessions;
        if !ready.is_empty() || merge_runs {
            finish::finish(self, &ready, &mut report)?;
        }
        fold(self.space, Fold::Refuse, &|| self.fence())?;
        Ok(report)
    }

    /// Waits until nobody is left who may need what is condemned, or for `limit`.
    fn wait(&self, limit: Duration) -> Result<(Vec<Ready>, Pending), SweepError> {
        let start = Instant::now();
        let mut condemned = load_condemned(self.space)?.sound;
        for (name, condemnation) in &mut condemned {
            if condemnation.wait_for.is_none() {
                // Listed after the condemnation was stored: whoever comes later sees it.
                condemnation.wait_for = Some(self.others(Reap::Yes)?);
                self.store_condemnation(name, condemnation)?;
            }
        }
        loop {
            let alive: BTreeSet<ObjectId> = self.others(Reap::Yes)?.into_iter().collect();
            let waits = |condemnation: &Condemnation| -> BTreeSet<ObjectId> {
                let listed = condemnation.wait_for.iter().flatten().copied();
                listed.filter(|session| alive.contains(session)).collect()
            };
            let held: Vec<_> = condemned.iter().map(|(_, c)| waits(c)).collect();
            if held.iter().all(BTreeSet::is_empty) || start.elapsed() >= limit {
                let sessions: BTreeSet<_> = held.iter().flatten().collect();
                let mut pending = Pending {
                    packs: 0,
                    sessions: sessions.len() as u64,
                };
                let mut ready = Vec::new();
                for ((name, condemnation), held) in condemned.into_iter().zip(&held) {
                    if held.is_empty() {
                        ready.push(Ready {
                            name,
                            packs: condemnation.packs,
                        });
                    } else {
                        pending.packs += condemnation.packs.len() as u64;
                    }
                }
                return Ok((ready, pending));
            }
            self.not_cancelled()?;
            std::thread::sleep(POLL.min(limit.saturating_sub(start.elapsed())));
        }
    }

    /// Lists the sessions that are alive beside ours.
    fn others(&self, reap: Reap) -> Result<Vec<ObjectId>, ReadError> {
        let mut others = alive(self.space, reap)?;
        others.retain(|session| *session != self.session.id());
        Ok(others)
    }

    fn store_condemnation(
        &self,
        name: &str,
        condemnation: &Condemnation,
    ) -> Result<(), SweepError> {
        let plain = condemnation.encode();
        let sealed = self.space.seal(EnvelopeKind::Condemnation, name, &plain);
        Ok(self.space.store.put(name, &[&sealed])?)
    }

    /// Stops if another sweep took this one for dead; asked before every step that another
    /// sweep could undo.
    fn fence(&self) -> Result<(), SweepError> {
        self.not_cancelled()?;
        let held = self.lease.map_or(Ok(true), SweepLease::is_held)?;
        if held && self.session.is_intact()? {
            Ok(())
        } else {
            Err(SweepError::Superseded)
        }
    }

    fn not_cancelled(&self) -> Result<(), SweepError> {
        if self.run.is_cancelled() {
            Err(SweepError::Cancelled)
        } else {
            Ok(())
        }
    }
}

/// A condemnation that nobody has to be waited for any more.
struct Ready {
    name: String,
    packs: Vec<PackId>,
}

/// What a later sweep has to finish.
struct Pending {
    packs: u64,
    sessions: u64,
}
