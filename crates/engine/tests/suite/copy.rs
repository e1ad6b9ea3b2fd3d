//! Copying to another repository: only what is missing travels, and what is reported is there.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test may panic"
)]

use crate::support;

use std::sync::Arc;
use std::time::Duration;

use emberkeep_engine::{
    CopyError, CopyReport, CopyRequest, InitOptions, ProjectRepository, Repository,
    RepositoryError, Run, SweepOptions, UnixMicros,
};
use emberkeep_format::ChunkerSpec;
use emberkeep_keys::MasterKey;
use emberkeep_store::{Counted, Fault, FaultPlan, FaultyStore, MemoryStore, Moment, ObjectStore};
use support::*;

const NOW: SweepOptions = SweepOptions {
    dry_run: false,
    wait: Duration::ZERO,
};

/// A second repository, under a master key of its own.
struct Away {
    store: Arc<dyn ObjectStore>,
    master: MasterKey,
}

impl Away {
    fn new() -> Self {
        let store: Arc<dyn ObjectStore> = Arc::new(MemoryStore::new());
        let master = MasterKey::from_bytes([7; 32]);
        Repository::init(store.clone(), &master, InitOptions::default()).unwrap();
        Self { store, master }
    }

    fn through(&self, store: Arc<dyn ObjectStore>, home: &Fixture) -> ProjectRepository {
        let away = Repository::open(store, &self.master).unwrap();
        let home = Repository::open(home.store.clone(), &home.master).unwrap();
        away.project_as_in(&home, "project-a").unwrap()
    }

    fn project(&self, home: &Fixture) -> ProjectRepository {
        self.through(self.store.clone(), home)
    }
}

fn wanted(n: u128, base: Option<u128>) -> CopyRequest {
    CopyRequest {
        base: base.map(id),
        piece_bytes: 1 << 20,
        ..CopyRequest::new(id(n), format!("copy {n}"), UnixMicros(n as i64))
    }
}

fn copied(home: &Fixture, to: &ProjectRepository, n: u128, base: Option<u128>) -> CopyReport {
    home.project
        .copy_to(id(n), to, wanted(100 + n, base), &Run::new())
        .unwrap()
}

/// A volume of which a small part has changed.
fn changed(bytes: &[u8], seed: u64) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = bytes.len() / 2;
    bytes[at..at + 100 * KIB].copy_from_slice(&noise(100 * KIB, seed));
    bytes
}

#[test]
fn a_copy_is_restored_there_and_only_what_has_changed_travels() {
    let (home, away) = (Fixture::new(), Away::new());
    let first = mixed(40 * MIB, 3);
    let second = changed(&first, 4);
    home.backup(1, &first);
    home.backup(2, &second);
    let to = away.project(&home);
    let full = copied(&home, &to, 1, None);
    let rest = copied(&home, &to, 2, Some(101));
    restores(&to, 101, &first);
    restores(&to, 102, &second);
    assert_eq!(full.verified_bytes, full.sent_bytes);
    assert!(full.sent_chunks > 100, "{full:?}");
    // 100 KiB changed: two or three chunks, their page, their nodes.
    assert!(rest.sent_bytes < 400 * KIB as u64, "{rest:?}");
    assert_eq!(rest.manifest.name, "copy 102");
    assert_eq!(rest.manifest.size.0, second.len() as u64);

    // A third copy of what is there sends nothing at all, with or without a base.
    for (n, base) in [(3, Some(102)), (4, None)] {
        home.backup(n, &second);
        assert_eq!(copied(&home, &to, n, base).sent_bytes, 0, "{base:?}");
        restores(&to, 100 + n, &second);
    }

    // The copies live on their own: deleted and swept at home, they come back there; and the
    // sweep there leaves what the others need.
    for n in 1..5 {
        home.project.delete(id(n)).unwrap();
    }
    home.project.sweep(NOW, &Run::new()).unwrap();
    for n in [101, 103, 104] {
        to.delete(id(n)).unwrap();
    }
    to.sweep(NOW, &Run::new()).unwrap();
    restores(&to, 102, &second);
}

#[test]
fn a_base_whose_content_is_gone_is_not_believed() {
    let (home, away) = (Fixture::new(), Away::new());
    let bytes = mixed(12 * MIB, 8);
    home.backup(1, &bytes);
    let to = away.project(&home);
    copied(&home, &to, 1, None);
    // Its manifest stays, and its packs go.
    let packs: Vec<String> = emberkeep_store::list_all(&*away.store, "")
        .unwrap()
        .into_iter()
        .map(|object| object.name)
        .filter(|name| name.contains("/packs/"))
        .collect();
    assert!(!packs.is_empty());
    away.store.delete_many(&packs).unwrap();
    home.backup(2, &bytes);
    let again = copied(&home, &to, 2, Some(101));
    assert!(again.sent_chunks > 20, "{again:?}");
    restores(&to, 102, &bytes);
}

#[test]
fn whatever_call_it_dies_at_the_next_attempt_completes_it_and_sends_little_again() {
    let home = Fixture::new();
    let bytes = mixed(9 * MIB, 5);
    home.backup(1, &bytes);
    let whole = {
        let away = Away::new();
        copied(&home, &away.project(&home), 1, None).sent_bytes
    };
    for moment in [Moment::Before, Moment::After] {
        let mut call = 1;
        loop {
            let away = Away::new();
            let plan = FaultPlan::new(Counted::Writes);
            let faulty = FaultyStore::new(Shared(away.store.clone()), plan.clone());
            let to = away.through(Arc::new(faulty), &home);
            plan.arm(Some(Fault::crash(call, moment)));
            let reported = home
                .project
                .copy_to(id(1), &to, wanted(101, None), &Run::new())
                .is_ok();
            let struck = plan.struck();
            drop(to);
            let what = format!("{moment:?} call {call}");
            let to = away.project(&home);
            if reported {
                restores(&to, 101, &bytes);
            }
            let stored_before = packs_of(&away);
            match home
                .project
                .copy_to(id(1), &to, wanted(101, None), &Run::new())
            {
                Ok(report) => {
                    // A piece and the packs that were open: what was indexed is not sent again.
                    let spared = stored_before.saturating_sub(3 << 20);
                    assert!(report.sent_bytes + spared <= whole + (1 << 20), "{what}");
                }
                Err(CopyError::Exists(_)) => {}
                Err(cause) => panic!("{what}: {cause}"),
            }
            restores(&to, 101, &bytes);
            if !struck {
                assert!(reported, "{what}");
                break;
            }
            call += 1;
        }
        assert!(call > 6, "{call}");
    }
}

fn packs_of(away: &Away) -> u64 {
    emberkeep_store::list_all(&*away.store, "")
        .unwrap()
        .iter()
        .filter(|object| object.name.contains("/packs/"))
        .map(|object| object.size)
        .sum()
}

#[test]
fn damage_at_home_is_refused_and_not_copied() {
    let (home, away) = (Fixture::new(), Away::new());
    let bytes = noise(4 * MIB, 6);
    home.backup(1, &bytes);
    let data = home
        .names("/packs/")
        .into_iter()
        .max_by_key(|name| home.store.head(name).unwrap())
        .unwrap();
    let mut bad = home.store.get(&data).unwrap();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    home.store.put(&data, &[&bad]).unwrap();
    let to = away.project(&home);
    let refused = home
        .project
        .copy_to(id(1), &to, wanted(101, None), &Run::new());
    assert!(
        matches!(refused, Err(CopyError::Repository(_))),
        "{refused:?}"
    );
    assert!(to.manifests().unwrap().readable.is_empty());
}

#[test]
fn what_is_not_alike_or_not_there_is_refused() {
    let (home, away) = (Fixture::new(), Away::new());
    home.backup(1, &mixed(MIB, 1));
    let to = away.project(&home);
    let copy = |from: u128, to: &ProjectRepository| {
        home.project
            .copy_to(id(from), to, wanted(101, None), &Run::new())
    };
    assert!(matches!(copy(9, &to), Err(CopyError::NoSuchBackup(_))));
    copy(1, &to).unwrap();
    assert!(matches!(copy(1, &to), Err(CopyError::Exists(_))));
    let run = Run::new();
    run.cancel();
    let cancelled = home.project.copy_to(id(1), &to, wanted(102, None), &run);
    assert!(
        matches!(cancelled, Err(CopyError::Cancelled)),
        "{cancelled:?}"
    );

    // The project had a key of its own there before anything was copied.
    let store: Arc<dyn ObjectStore> = Arc::new(MemoryStore::new());
    let other = Repository::init(store, &home.master, InitOptions::default()).unwrap();
    other.project("project-a").unwrap();
    let here = Repository::open(home.store.clone(), &home.master).unwrap();
    let refused = other.project_as_in(&here, "project-a");
    assert!(
        matches!(refused, Err(RepositoryError::OtherKey { .. })),
        "{refused:?}"
    );

    // Cut in another way, chunks would never meet.
    let store: Arc<dyn ObjectStore> = Arc::new(MemoryStore::new());
    let options = InitOptions {
        chunker: ChunkerSpec::aligned(256 << 10).unwrap(),
    };
    let other = Repository::init(store, &home.master, options).unwrap();
    let to = other.project_as_in(&here, "project-a").unwrap();
    assert!(matches!(copy(1, &to), Err(CopyError::Unlike)));
}

#[test]
fn a_repository_that_was_lost_takes_the_key_and_the_copies_back() {
    let (home, away) = (Fixture::new(), Away::new());
    let bytes = mixed(3 * MIB, 9);
    home.backup(1, &bytes);
    copied(&home, &away.project(&home), 1, None);
    // All that was at home is gone, its keys too.
    let store: Arc<dyn ObjectStore> = Arc::new(MemoryStore::new());
    let master = MasterKey::from_bytes([9; 32]);
    let anew = Repository::init(store, &master, InitOptions::default()).unwrap();
    let there = Repository::open(away.store.clone(), &away.master).unwrap();
    let from = there.project_as_in(&anew, "project-a").unwrap();
    restores(&from, 101, &bytes);
    let to = anew.project_as_in(&there, "project-a").unwrap();
    let request = CopyRequest::new(id(201), "back", UnixMicros(1));
    from.copy_to(id(101), &to, request, &Run::new()).unwrap();
    restores(&to, 201, &bytes);
}
