//! What runs leave while they work (sessions, condemnations, leases, notes on progress, marks),
//! flipped, cut, emptied, deleted, swapped and rolled back: a check finds it, all backups stay
//! readable, new ones can be made, and the next sweep puts it right.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test may panic"
)]

use crate::support;

use std::collections::BTreeSet;
use std::sync::Arc;

use emberkeep_engine::{BackupRequest, CheckOptions, Run, SweepOptions};
use emberkeep_store::{Counted, Fault, FaultPlan, FaultyStore, Moment, ObjectStore};
use support::*;

const READ: CheckOptions = CheckOptions { read_data: true };
/// The kinds there are, by the part of their names.
const KINDS: [&str; 6] = [
    "sessions",
    "condemned",
    "locks",
    "progress",
    "verified",
    "damaged",
];

fn kind_of(name: &str) -> &str {
    name.split('/').nth(2).unwrap_or_default()
}

/// Dies at ever later calls until what it left is what is wanted.
fn die_until(fixture: &Fixture, act: impl Fn(&Fixture), wanted: &[&str]) -> Fixture {
    for call in 1.. {
        let store = copy(&*fixture.store);
        let plan = FaultPlan::new(Counted::Writes);
        let faulty = FaultyStore::new(Shared(store.clone()), plan.clone());
        let dying = fixture.on_store(Arc::new(faulty));
        plan.arm(Some(Fault::crash(call, Moment::After)));
        act(&dying);
        assert!(plan.struck(), "nothing like it was ever left");
        let left = fixture.on_store(store);
        if wanted
            .iter()
            .all(|kind| !left.names(&format!("/{kind}/")).is_empty())
        {
            return left;
        }
    }
    unreachable!()
}

/// A repository in which everything is in the middle of something.
fn in_the_middle(kept: &[u8], large: &[u8]) -> Fixture {
    let fixture = Fixture::new();
    fixture.backup(1, kept);
    fixture.backup(2, &noise(MIB, 22));
    // A mark on a pack in which damage was found, which has come back since.
    let pack = fixture.names("/packs/").remove(0);
    let good = fixture.store.get(&pack).unwrap();
    let mut bad = good.clone();
    bad[good.len() / 2] ^= 1;
    fixture.store.put(&pack, &[&bad]).unwrap();
    let found = fixture.project.check(READ, &Run::new()).unwrap();
    assert!(!found.problems.is_empty());
    fixture.store.put(&pack, &[&good]).unwrap();
    // A backup that died, and then a sweep.
    let left = die_until(
        &fixture,
        |fixture| {
            let request = BackupRequest {
                instant: Some("frozen".into()),
                ..request(3)
            };
            let source = Source(large.to_vec());
            let _ = fixture.project.backup(&source, request, &Run::new());
        },
        &["progress", "sessions"],
    );
    left.project.delete(id(2)).unwrap();
    let session = left.names("/sessions/").remove(0);
    let stored = left.store.get(&session).unwrap();
    let left = die_until(
        &left,
        |fixture| {
            let _ = fixture.project.sweep(SweepOptions::default(), &Run::new());
        },
        &["condemned", "locks"],
    );
    // The sweep has ended the session of the dead: here it comes back.
    left.store.put(&session, &[&stored]).unwrap();
    // With a beat in the place of which something else came, as no sound one is left by the dead.
    let beat = format!("{session}.beat");
    left.store.put(&beat, &[&stored]).unwrap();
    left
}

#[test]
fn whatever_befalls_records_of_work_is_found_and_hurts_no_backup() {
    let (kept, large) = (mixed(2 * MIB + 17, 4), noise(100 * MIB, 3));
    let base = in_the_middle(&kept, &large);
    let objects: Vec<String> = base
        .names("p/")
        .into_iter()
        .filter(|name| KINDS.contains(&kind_of(name)))
        .collect();
    let there: BTreeSet<&str> = objects.iter().map(|name| kind_of(name)).collect();
    assert_eq!(there, BTreeSet::from(KINDS));
    let beats = objects.iter().filter(|name| name.ends_with(".beat"));
    assert_eq!(beats.count(), 1);
    // What they were before: as after a file system was rolled back.
    for name in &objects {
        let good = base.store.get(name).unwrap();
        // One of its own kind if there is any; the beat above says what its session says.
        let differs = |other: &&String| base.store.get(other).unwrap() != good;
        let mut others = objects.iter().filter(differs);
        let other = others
            .clone()
            .find(|other| kind_of(other) == kind_of(name))
            .or_else(|| others.next())
            .unwrap();
        let mut flipped = good.clone();
        if let Some(byte) = flipped.last_mut() {
            *byte ^= 0x10;
        }
        let mut mishaps = vec![
            ("flipped", Some(flipped)),
            ("cut", Some(good[..good.len() / 2].to_vec())),
            ("emptied", Some(Vec::new())),
            ("swapped", Some(base.store.get(other).unwrap())),
            ("deleted", None),
        ];
        // A mark says what it says by its name alone.
        if kind_of(name) == "damaged" {
            mishaps.retain(|(what, _)| matches!(*what, "swapped" | "deleted"));
        }
        for (what, now) in mishaps {
            let what = format!("{name} {what}");
            let store = copy(&*base.store);
            match &now {
                Some(now) => store.put(name, &[now]).unwrap(),
                None => store.delete_many(std::slice::from_ref(name)).unwrap(),
            }
            let fixture = base.on_store(store);
            let check = |options| {
                fixture
                    .project
                    .check(options, &Run::new())
                    .unwrap()
                    .problems
            };
            let found = check(CheckOptions::default());
            let harmless = now.is_none() || kind_of(name) == "damaged";
            let named = found.iter().any(|problem| problem.damage.object == *name);
            assert!(named || harmless, "{what}: check found {found:?}");
            assert!(
                found.iter().all(|problem| problem.backups.is_empty()),
                "{what}: {found:?}"
            );
            fixture.restores(1, &kept);
            let again = noise(MIB, 22);
            fixture.backup(4, &again);
            fixture.restores(4, &again);
            for _ in 0..2 {
                fixture
                    .project
                    .sweep(SweepOptions::default(), &Run::new())
                    .unwrap();
            }
            check(READ);
            assert!(check(READ).is_empty(), "{what}: still there");
            for part in ["/sessions/", "/condemned/", "/locks/"] {
                assert!(fixture.names(part).is_empty(), "{what}: {part}");
            }
            fixture.restores(1, &kept);
            fixture.restores(4, &again);
        }
    }
    // Everything comes back from before a sweep that was finished.
    let fixture = base.on_store(copy(&*base.store));
    for _ in 0..2 {
        fixture
            .project
            .sweep(SweepOptions::default(), &Run::new())
            .unwrap();
    }
    let again = noise(MIB, 22);
    fixture.backup(4, &again);
    for name in &objects {
        fixture
            .store
            .put(name, &[&base.store.get(name).unwrap()])
            .unwrap();
    }
    fixture.backup(5, &noise(MIB, 50));
    for _ in 0..2 {
        fixture
            .project
            .sweep(SweepOptions::default(), &Run::new())
            .unwrap();
    }
    assert!(
        fixture
            .project
            .check(READ, &Run::new())
            .unwrap()
            .problems
            .is_empty()
    );
    for (n, bytes) in [(1, &kept), (4, &again), (5, &noise(MIB, 50))] {
        fixture.restores(n, bytes);
    }
}
