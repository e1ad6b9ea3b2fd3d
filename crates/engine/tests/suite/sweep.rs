//! A sweep frees what is dead and never what is not, whoever runs beside it.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test may panic"
)]

use crate::support;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use emberkeep_engine::{BackupError, CheckOptions, Run, SweepError, SweepOptions};
use emberkeep_store::{MemoryStore, ObjectStore};
use emberkeep_volumes::{ChangeSet, Extent, SourceSnapshot, VolumeError};
use support::*;

const NOW: SweepOptions = SweepOptions {
    dry_run: false,
    wait: Duration::ZERO,
};
const PATIENT: SweepOptions = SweepOptions {
    dry_run: false,
    wait: Duration::from_secs(60),
};

fn pack_bytes(fixture: &Fixture) -> u64 {
    fixture
        .project
        .sweep(
            SweepOptions {
                dry_run: true,
                ..NOW
            },
            &Run::new(),
        )
        .unwrap()
        .stored_bytes
}

fn assert_sound(fixture: &Fixture) {
    let report = fixture
        .project
        .check(CheckOptions { read_data: true }, &Run::new())
        .unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
}

#[test]
fn deleting_and_sweeping_frees_what_only_the_deleted_backup_had() {
    let fixture = Fixture::new();
    let shared = noise(20 * MIB, 1);
    let first = [shared.clone(), noise(30 * MIB, 2)].concat();
    let second = [noise(5 * MIB, 3), shared].concat();
    fixture.backup(1, &first);
    let only_first = pack_bytes(&fixture);
    fixture.backup(2, &second);
    let both = pack_bytes(&fixture);

    // Nothing is dead yet.
    let idle = fixture.project.sweep(NOW, &Run::new()).unwrap();
    assert_eq!(
        (idle.deleted_packs, idle.dead_packs, idle.repacked_packs),
        (0, 0, 0)
    );

    fixture.project.delete(id(1)).unwrap();
    let plan = fixture
        .project
        .sweep(
            SweepOptions {
                dry_run: true,
                ..NOW
            },
            &Run::new(),
        )
        .unwrap();
    assert_eq!(pack_bytes(&fixture), both, "a dry run changed something");
    let done = fixture.project.sweep(NOW, &Run::new()).unwrap();
    assert_eq!(plan.dead_packs + plan.repacked_packs, done.deleted_packs);
    assert_eq!(plan.moved_bytes, done.moved_bytes);
    let after = pack_bytes(&fixture);
    let dead = (30 * MIB) as u64;
    assert!(
        both - after >= dead * 95 / 100,
        "freed {} of {dead}",
        both - after
    );
    assert!(only_first > dead);
    fixture.restores(2, &second);
    assert_sound(&fixture);

    fixture.project.delete(id(2)).unwrap();
    fixture.project.sweep(NOW, &Run::new()).unwrap();
    assert!(
        fixture.names("packs").is_empty(),
        "{:?}",
        fixture.names("packs")
    );
    for part in ["sessions", "condemned", "locks", "index"] {
        assert!(
            fixture.names(part).is_empty(),
            "{part} left: {:?}",
            fixture.names(part)
        );
    }
}

#[test]
fn small_runs_are_merged_and_stay_readable() {
    let fixture = Fixture::new();
    let mut bytes = text(2 * MIB, 1);
    let mut all = Vec::new();
    for n in 0..20 {
        bytes.extend(text(300 * KIB, 100 + n as u64));
        fixture.backup(n, &bytes);
        all.push(bytes.clone());
    }
    assert_eq!(fixture.names("index").len(), 20);
    fixture.project.sweep(NOW, &Run::new()).unwrap();
    assert_eq!(fixture.names("index").len(), 1);
    for (n, bytes) in all.iter().enumerate() {
        fixture.restores(n as u128, bytes);
    }
    let again = fixture.backup(99, &bytes);
    assert_eq!(again.statistics.new_chunks, 0);
}

/// A source that, once `at` has been read, waits until it is let go on.
struct Paused {
    inner: Source,
    at: u64,
    reached: AtomicBool,
    go: AtomicBool,
}

impl Paused {
    fn new(bytes: Vec<u8>, at: usize) -> Self {
        Self {
            inner: Source(bytes),
            at: at as u64,
            reached: false.into(),
            go: false.into(),
        }
    }

    fn wait_until_reached(&self) {
        while !self.reached.load(SeqCst) {
            std::thread::yield_now();
        }
    }
}

impl SourceSnapshot for Paused {
    fn size(&self) -> emberkeep_model::ByteCount {
        self.inner.size()
    }

    fn extents(
        &self,
        range: std::ops::Range<u64>,
        since: Option<&str>,
    ) -> Result<(ChangeSet, Vec<Extent>), VolumeError> {
        self.inner.extents(range, since)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), VolumeError> {
        if offset + buf.len() as u64 > self.at {
            self.reached.store(true, SeqCst);
            while !self.go.load(SeqCst) {
                std::thread::yield_now();
            }
        }
        self.inner.read_at(offset, buf)
    }
}

#[test]
fn a_running_backup_keeps_what_it_came_to_rely_on() {
    let fixture = Fixture::new();
    let old = noise(20 * MIB, 1);
    fixture.backup(1, &old);
    // Found known, chunk by chunk, before the sweep; written to the manifest after it.
    let source = Paused::new([old.clone(), noise(20 * MIB, 2)].concat(), 18 * MIB);
    std::thread::scope(|scope| {
        let run = scope.spawn(|| fixture.project.backup(&source, request(2), &Run::new()));
        source.wait_until_reached();
        fixture.project.delete(id(1)).unwrap();
        let report = fixture.project.sweep(NOW, &Run::new()).unwrap();
        assert_eq!(
            (report.deleted_packs, report.waiting_for),
            (0, 1),
            "{report:?}"
        );
        assert!(report.pending_packs > 0);
        // A backup that comes now does not lean on what is condemned.
        let newcomer = fixture.backup(3, &old);
        assert_eq!(newcomer.statistics.new_chunks, newcomer.statistics.chunks);
        source.go.store(true, SeqCst);
        run.join().unwrap().unwrap();
    });
    let report = fixture.project.sweep(NOW, &Run::new()).unwrap();
    assert_eq!(report.pending_packs, 0);
    fixture.restores(2, &source.inner.0);
    fixture.restores(3, &old);
    assert_sound(&fixture);
    // One copy of each chunk is left.
    fixture.project.sweep(NOW, &Run::new()).unwrap();
    let stats = fixture.project.stats().unwrap();
    assert!(
        stats.stored_bytes < stats.unique_bytes + MIB as u64,
        "{stats:?}"
    );
}

#[test]
fn a_pack_that_came_to_be_needed_is_pardoned() {
    let fixture = Fixture::new();
    let old = noise(20 * MIB, 1);
    fixture.backup(1, &old);
    let source = Paused::new([old.clone(), noise(8 * MIB, 2)].concat(), 18 * MIB);
    std::thread::scope(|scope| {
        let run = scope.spawn(|| fixture.project.backup(&source, request(2), &Run::new()));
        source.wait_until_reached();
        fixture.project.delete(id(1)).unwrap();
        let sweep = scope.spawn(|| fixture.project.sweep(PATIENT, &Run::new()));
        while fixture.names("condemned").is_empty() {
            std::thread::yield_now();
        }
        source.go.store(true, SeqCst);
        run.join().unwrap().unwrap();
        let report = sweep.join().unwrap().unwrap();
        assert!(report.pardoned_packs >= 1, "{report:?}");
    });
    fixture.restores(2, &source.inner.0);
    assert_sound(&fixture);
}

#[test]
fn a_backup_that_was_taken_for_dead_does_not_stand() {
    let fixture = Fixture::new();
    let source = Paused::new(noise(2 * MIB, 1), MIB);
    std::thread::scope(|scope| {
        let run = scope.spawn(|| fixture.project.backup(&source, request(1), &Run::new()));
        source.wait_until_reached();
        // What a sweep does to a session that has been silent for too long.
        fixture
            .store
            .delete_many(&fixture.names("sessions"))
            .unwrap();
        source.go.store(true, SeqCst);
        let outcome = run.join().unwrap();
        assert!(
            matches!(outcome, Err(BackupError::SessionLost)),
            "{outcome:?}"
        );
    });
    assert!(fixture.names("manifests").is_empty());
}

#[test]
fn a_backup_whose_packs_vanished_does_not_stand() {
    let fixture = Fixture::new();
    let old = noise(2 * MIB, 1);
    fixture.backup(1, &old);
    let source = Paused::new([old, noise(2 * MIB, 2)].concat(), 3 * MIB);
    std::thread::scope(|scope| {
        let run = scope.spawn(|| fixture.project.backup(&source, request(2), &Run::new()));
        source.wait_until_reached();
        fixture.store.delete_many(&fixture.names("packs")).unwrap();
        source.go.store(true, SeqCst);
        let outcome = run.join().unwrap();
        assert!(
            matches!(outcome, Err(BackupError::PackVanished(_))),
            "{outcome:?}"
        );
    });
    assert_eq!(fixture.names("manifests").len(), 1);
}

#[test]
fn one_sweep_at_a_time() {
    let fixture = Fixture::new();
    fixture.backup(1, &noise(MIB, 1));
    let source = Paused::new(noise(MIB, 2), 0);
    let cancel = Run::new();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| fixture.project.backup(&source, request(2), &Run::new()));
        source.wait_until_reached();
        fixture.project.delete(id(1)).unwrap();
        let first = scope.spawn(|| fixture.project.sweep(PATIENT, &cancel));
        while fixture.names("condemned").is_empty() {
            std::thread::yield_now();
        }
        let second = fixture.project.sweep(NOW, &Run::new());
        assert!(matches!(second, Err(SweepError::Busy(_))), "{second:?}");
        cancel.cancel();
        assert!(matches!(first.join().unwrap(), Err(SweepError::Cancelled)));
        source.go.store(true, SeqCst);
        run.join().unwrap().unwrap();
    });
    fixture.project.sweep(NOW, &Run::new()).unwrap();
    assert!(fixture.names("condemned").is_empty());
}

#[test]
fn everything_stays_readable_under_concurrent_backups_deletes_and_sweeps() {
    let store: Arc<dyn ObjectStore> = Arc::new(MemoryStore::new());
    let fixture = Fixture::on(store);
    // Volumes share parts, so that chunks die and are wanted again all the time.
    let parts: Vec<Vec<u8>> = (0..12).map(|n| noise(700 * KIB, n)).collect();
    let alive: Mutex<Vec<(u128, Vec<u8>)>> = Mutex::default();
    let next = AtomicU64::new(1);
    let busy = AtomicU64::new(3);
    std::thread::scope(|scope| {
        for thread in 0..3u64 {
            let (fixture, parts, alive, next, busy) = (&fixture, &parts, &alive, &next, &busy);
            scope.spawn(move || {
                let mut state = thread * 7 + 1;
                let mut random = |bound: usize| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(99);
                    (state >> 33) as usize % bound
                };
                for _ in 0..12 {
                    let bytes: Vec<u8> = (0..3)
                        .flat_map(|_| parts[random(parts.len())].clone())
                        .collect();
                    let n = u128::from(next.fetch_add(1, SeqCst));
                    fixture
                        .project
                        .backup(&Source(bytes.clone()), request(n), &Run::new())
                        .unwrap();
                    restores(&fixture.project, n, &bytes);
                    alive.lock().unwrap().push((n, bytes));
                    if random(3) > 0 {
                        let victim = {
                            let mut alive = alive.lock().unwrap();
                            let at = random(alive.len().max(1));
                            (!alive.is_empty()).then(|| alive.swap_remove(at))
                        };
                        if let Some((n, bytes)) = victim {
                            restores(&fixture.project, n, &bytes);
                            assert!(fixture.project.delete(id(n)).unwrap());
                        }
                    }
                }
                busy.fetch_sub(1, SeqCst);
            });
        }
        let options = SweepOptions {
            dry_run: false,
            wait: Duration::from_millis(300),
        };
        while busy.load(SeqCst) > 0 {
            fixture.project.sweep(options, &Run::new()).unwrap();
        }
    });
    for (n, bytes) in alive.into_inner().unwrap() {
        fixture.restores(n, &bytes);
    }
    fixture.project.sweep(NOW, &Run::new()).unwrap();
    assert_sound(&fixture);
}

#[test]
fn a_backup_that_must_be_there_and_is_not_stops_the_sweep() {
    let fixture = Fixture::new();
    let lost = noise(2 * MIB, 1);
    fixture.backup(1, &lost);
    fixture.backup(2, &noise(2 * MIB, 2));
    let manifest = fixture
        .names("manifests")
        .into_iter()
        .find(|name| name.ends_with(&id(1).to_string()))
        .unwrap();
    let good = fixture.store.get(&manifest).unwrap();
    let name = std::slice::from_ref(&manifest);
    fixture.store.delete_many(name).unwrap();
    let packs = fixture.names("packs");
    let known = [id(1), id(2)].into();
    assert_eq!(fixture.project.missing(&known).unwrap(), [id(1)]);
    for _ in 0..2 {
        let refused = fixture.project.sweep_keeping(&known, NOW, &Run::new());
        match refused {
            Err(SweepError::ManifestsMissing(missing)) => assert_eq!(missing, [id(1)]),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(fixture.names("packs"), packs);
    assert_eq!(fixture.names("condemned"), Vec::<String>::new());
    fixture.store.put(&manifest, &[&good]).unwrap();
    fixture
        .project
        .sweep_keeping(&known, NOW, &Run::new())
        .unwrap();
    fixture.restores(1, &lost);
}
