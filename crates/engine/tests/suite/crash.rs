//! Death at any call to the store: what was reported stands, what was not is garbage.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test may panic"
)]

use crate::support;

use std::sync::Arc;
use std::time::Duration;

use emberkeep_engine::{CheckOptions, ProjectRepository, Run, SweepOptions};
use emberkeep_store::{Counted, Fault, FaultPlan, FaultyStore, Moment, ObjectStore};
use support::*;

const NOW: SweepOptions = SweepOptions {
    dry_run: false,
    wait: Duration::ZERO,
};

/// Runs `act` with death at the n-th call, for every n until it survives, and judges what is left.
fn at_every_call(
    fixture: &Fixture,
    act: impl Fn(&ProjectRepository) -> bool,
    judge: impl Fn(&ProjectRepository, bool, &str),
) {
    for moment in [Moment::Before, Moment::After] {
        let mut call = 1;
        loop {
            let store = copy(&*fixture.store);
            let plan = FaultPlan::new(Counted::All);
            let faulty = Arc::new(FaultyStore::new(Shared(store.clone()), plan.clone()));
            let project = fixture.through(faulty);
            plan.arm(Some(Fault::crash(call, moment)));
            let reported = act(&project);
            let struck = plan.struck();
            drop(project);
            let what = format!("{moment:?} call {call}");
            let project = fixture.through(store.clone());
            judge(&project, reported, &what);
            let sound = project
                .check(CheckOptions { read_data: true }, &Run::new())
                .unwrap();
            assert!(sound.problems.is_empty(), "{what}: {:?}", sound.problems);

            // Two sweeps leave exactly what the backups need: no orphan, no record of the dead.
            project.sweep(NOW, &Run::new()).unwrap();
            let rest = project.sweep(NOW, &Run::new()).unwrap();
            assert_eq!((rest.deleted_packs, rest.pending_packs), (0, 0), "{what}");
            judge(&project, reported, &format!("{what}, swept"));
            let whole: Arc<dyn ObjectStore> = store.clone();
            each_manifest_is_missed(&project, &whole);
            let left = emberkeep_store::list_all(&*store, "").unwrap();
            for part in ["/sessions/", "/condemned/", "/locks/"] {
                let left: Vec<_> = left.iter().filter(|o| o.name.contains(part)).collect();
                assert!(left.is_empty(), "{what}: {left:?}");
            }
            if !struck {
                assert!(
                    reported,
                    "{what}: nothing failed, and yet it did not succeed"
                );
                break;
            }
            call += 1;
        }
        assert!(call > 3, "the plan struck no more than {call} times");
    }
}

#[test]
fn a_backup_that_dies_leaves_the_others_and_no_half_of_itself() {
    let fixture = Fixture::new();
    let (old, new) = (mixed(3 * MIB, 1), mixed(4 * MIB, 2));
    fixture.backup(1, &old);
    at_every_call(
        &fixture,
        |project| {
            project
                .backup(&Source(new.clone()), request(2), &Run::new())
                .is_ok()
        },
        |project, reported, what| {
            restores(project, 1, &old);
            let listed = project.manifests().unwrap();
            assert!(listed.damaged.is_empty(), "{what}");
            let there = listed.readable.iter().any(|m| m.backup_id == id(2));
            assert!(there || !reported, "{what}: reported, but not there");
            if there {
                restores(project, 2, &new);
            }
        },
    );
}

#[test]
fn a_delete_that_dies_leaves_the_others() {
    let fixture = Fixture::new();
    let (old, new) = (mixed(3 * MIB, 1), mixed(4 * MIB, 2));
    fixture.backup(1, &old);
    fixture.backup(2, &new);
    for moment in [Moment::Before, Moment::After] {
        for call in 1..=8 {
            let store = copy(&*fixture.store);
            let plan = FaultPlan::new(Counted::All);
            let faulty = Arc::new(FaultyStore::new(Shared(store.clone()), plan.clone()));
            let project = fixture.through(faulty);
            plan.arm(Some(Fault::crash(call, moment)));
            let reported = project.delete(id(2)).is_ok();
            let project = fixture.through(store);
            restores(&project, 1, &old);
            let there = project.manifest(id(2)).is_ok();
            assert!(!(reported && there), "{moment:?} {call}");
            project.delete(id(2)).unwrap();
            project.sweep(NOW, &Run::new()).unwrap();
            restores(&project, 1, &old);
        }
    }
}

#[test]
fn a_sweep_that_dies_is_finished_by_the_next() {
    let fixture = Fixture::new();
    // Backup 1 dies; half of its pack is needed by 2, which makes the sweep move chunks.
    let shared = noise(MIB, 5);
    let dead = [shared.clone(), noise(2 * MIB, 6)].concat();
    let kept = [noise(MIB, 7), shared].concat();
    fixture.backup(1, &dead);
    fixture.backup(2, &kept);
    fixture.backup(3, &mixed(2 * MIB, 8));
    fixture.project.delete(id(1)).unwrap();
    fixture.project.delete(id(3)).unwrap();
    at_every_call(
        &fixture,
        |project| project.sweep(NOW, &Run::new()).is_ok(),
        |project, _, _| restores(project, 2, &kept),
    );
}

#[test]
fn a_single_failure_is_an_error_and_trying_again_works() {
    let fixture = Fixture::new();
    let bytes = mixed(3 * MIB, 1);
    for call in 1.. {
        let plan = FaultPlan::new(Counted::All);
        let store = copy(&*fixture.store);
        let faulty = Arc::new(FaultyStore::new(Shared(store.clone()), plan.clone()));
        let project = fixture.through(faulty);
        plan.arm(Some(Fault::once(call, Moment::Before)));
        let first = project.backup(&Source(bytes.clone()), request(1), &Run::new());
        if !plan.struck() {
            first.unwrap();
            return;
        }
        if first.is_err() {
            project
                .backup(&Source(bytes.clone()), request(1), &Run::new())
                .unwrap();
        }
        restores(&project, 1, &bytes);
        project.sweep(NOW, &Run::new()).unwrap();
        restores(&project, 1, &bytes);
    }
}
