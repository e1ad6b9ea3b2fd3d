//! Backups that must be there and are not: missed by check alone, and kept from every sweep.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test may panic"
)]

use crate::support;

use emberkeep_engine::{CheckOptions, DamageCause, Run, SweepError, SweepOptions};
use support::*;

const NOW: SweepOptions = SweepOptions {
    dry_run: false,
    wait: std::time::Duration::ZERO,
};

fn check(fixture: &Fixture) -> emberkeep_engine::CheckReport {
    fixture
        .project
        .check(CheckOptions::default(), &Run::new())
        .unwrap()
}

fn sweep(fixture: &Fixture) {
    fixture.project.sweep(NOW, &Run::new()).unwrap();
}

fn remove(fixture: &Fixture, names: &[String]) {
    fixture.store.delete_many(names).unwrap();
}

fn manifest(fixture: &Fixture, n: u128) -> String {
    let mut found = fixture.names(&format!("manifests/{}", id(n)));
    found.remove(0)
}

#[test]
fn a_lost_manifest_is_missed_until_it_is_back_or_deleted() {
    let fixture = Fixture::new();
    let lost = noise(2 * MIB, 1);
    fixture.backup(1, &lost);
    fixture.backup(2, &noise(2 * MIB, 2));
    for folded in [false, true] {
        each_manifest_is_missed(&fixture.project, &fixture.store);
        if !folded {
            // A tombstone makes the sweep write a set.
            fixture.backup(3, &noise(MIB, 3));
            fixture.project.delete(id(3)).unwrap();
            sweep(&fixture);
            assert_eq!(fixture.names("/ledger/sets/").len(), 1);
            assert_eq!(fixture.names("/ledger/").len(), 1);
        }
    }
    fixture.restores(1, &lost);
    // Deleting it by its id is the way to give it up.
    remove(&fixture, &[manifest(&fixture, 1)]);
    assert!(fixture.project.delete(id(1)).unwrap());
    assert!(!fixture.project.delete(id(7)).unwrap());
    assert!(check(&fixture).problems.is_empty());
    sweep(&fixture);
    assert!(check(&fixture).problems.is_empty());
    assert!(!fixture.project.delete(id(1)).unwrap());
}

#[test]
fn a_manifest_that_is_removed_with_its_entry_is_missed_by_those_after_it() {
    let fixture = Fixture::new();
    for n in 1..=4 {
        fixture.backup(n, &noise(MIB, n as u64));
    }
    for n in 1..=3 {
        let entry = fixture.names(&format!(".{}.", id(n)));
        let both = [entry, vec![manifest(&fixture, n)]].concat();
        let good: Vec<_> = both
            .iter()
            .map(|name| fixture.store.get(name).unwrap())
            .collect();
        remove(&fixture, &both);
        let report = check(&fixture);
        assert!(report.problems.iter().any(|p| p.backups == [id(n)]), "{n}");
        let refused = fixture.project.sweep(NOW, &Run::new());
        assert!(
            matches!(&refused, Err(SweepError::ManifestsMissing(ids)) if *ids == [id(n)]),
            "{n}: {refused:?}"
        );
        for (name, bytes) in both.iter().zip(&good) {
            fixture.store.put(name, &[bytes]).unwrap();
        }
    }
    // An entry alone is found as well, and nothing is refused: its manifest is there.
    let entry = fixture.names(&format!(".{}.", id(2)));
    remove(&fixture, &entry);
    let report = check(&fixture);
    assert_eq!(report.problems.len(), 1);
    assert_eq!(report.problems[0].damage.object, entry[0]);
    sweep(&fixture);
    assert!(check(&fixture).problems.is_empty());
    each_manifest_is_missed(&fixture.project, &fixture.store);
}

#[test]
fn a_store_that_was_rolled_back_is_told_by_the_position_that_was_kept() {
    let fixture = Fixture::new();
    fixture.backup(1, &noise(MIB, 1));
    let start = fixture.project.position().unwrap();
    // Each step changes the ledger in another way.
    type Step<'a> = (&'a str, Box<dyn Fn() + 'a>);
    let steps: [Step<'_>; 4] = [
        (
            "a backup",
            Box::new(|| drop(fixture.backup(2, &noise(MIB, 2)))),
        ),
        (
            "a deletion and a sweep",
            Box::new(|| {
                fixture.project.delete(id(1)).unwrap();
                sweep(&fixture);
            }),
        ),
        (
            "another backup",
            Box::new(|| drop(fixture.backup(3, &noise(MIB, 3)))),
        ),
        (
            "another deletion",
            Box::new(|| {
                fixture.project.delete(id(2)).unwrap();
                sweep(&fixture);
            }),
        ),
    ];
    let mut kept = vec![("the start", start)];
    for (what, step) in steps {
        let before = copy(&*fixture.store);
        step();
        let now = fixture.project.position().unwrap();
        assert_eq!(now.to_string().parse(), Ok(now));
        for (earlier, position) in &kept {
            let (_, damage) = fixture.project.position_after(position).unwrap();
            assert!(damage.is_none(), "{what} after {earlier}");
        }
        let old = fixture.on_store(before);
        let (_, damage) = old.project.position_after(&now).unwrap();
        let damage = damage.unwrap_or_else(|| panic!("{what} was taken back unnoticed"));
        assert!(matches!(damage.cause, DamageCause::RolledBack));
        // Backups and sweeps that follow do not hide it.
        old.backup(8, &noise(MIB, 8));
        old.backup(9, &noise(MIB, 9));
        old.project.delete(id(9)).unwrap();
        sweep(&old);
        let (_, damage) = old.project.position_after(&now).unwrap();
        assert!(damage.is_some(), "{what} was taken back and hidden");
        // Accepted, it goes on from where it is.
        assert_eq!(old.project.accept_missing().unwrap(), []);
        let position = old.project.position().unwrap();
        old.backup(10, &noise(MIB, 10));
        let (_, damage) = old.project.position_after(&position).unwrap();
        assert!(damage.is_none(), "{what}");
        kept.push((what, now));
    }
}

#[test]
fn what_is_accepted_is_not_missed_any_more() {
    let fixture = Fixture::new();
    for n in 1..=3 {
        fixture.backup(n, &noise(MIB, n as u64));
    }
    let lost = [manifest(&fixture, 1), manifest(&fixture, 3)];
    remove(&fixture, &lost);
    assert_eq!(fixture.project.accept_missing().unwrap(), [id(1), id(3)]);
    assert_eq!(fixture.project.accept_missing().unwrap(), []);
    assert!(check(&fixture).problems.is_empty());
    sweep(&fixture);
    fixture.restores(2, &noise(MIB, 2));
    each_manifest_is_missed(&fixture.project, &fixture.store);
    // A set that cannot be read, or is gone: nothing is swept until that is accepted.
    fixture.backup(4, &noise(MIB, 4));
    for gone in [false, true] {
        let set = fixture.names("/ledger/sets/").remove(0);
        match gone {
            true => remove(&fixture, std::slice::from_ref(&set)),
            false => fixture.store.put(&set, &[b"junk"]).unwrap(),
        }
        let report = check(&fixture);
        assert!(report.problems.iter().any(|p| p.damage.object == set));
        let refused = fixture.project.sweep(NOW, &Run::new());
        assert!(
            matches!(refused, Err(SweepError::LedgerDamaged(_))),
            "{refused:?}"
        );
        assert_eq!(fixture.project.accept_missing().unwrap(), []);
        assert!(check(&fixture).problems.is_empty());
        each_manifest_is_missed(&fixture.project, &fixture.store);
        fixture.backup(if gone { 5 } else { 6 }, &noise(MIB, 5));
    }
}

#[test]
fn a_repository_without_a_ledger_gets_one() {
    let fixture = Fixture::new();
    for n in 1..=3 {
        fixture.backup(n, &noise(MIB, n as u64));
    }
    let ledger = fixture.names("/ledger/");
    assert_eq!(ledger.len(), 3);
    remove(&fixture, &ledger);
    let report = check(&fixture);
    assert!(report.problems.is_empty());
    assert_eq!(report.unlisted, 3);
    fixture.restores(1, &noise(MIB, 1));
    fixture.project.delete(id(3)).unwrap();
    fixture.backup(4, &noise(MIB, 4));
    assert_eq!(check(&fixture).unlisted, 2);
    sweep(&fixture);
    let report = check(&fixture);
    assert!(report.problems.is_empty());
    assert_eq!(report.unlisted, 0);
    each_manifest_is_missed(&fixture.project, &fixture.store);
}

#[test]
fn entries_become_one_set_and_the_set_stays_small() {
    let fixture = Fixture::new();
    let bytes = noise(MIB, 1);
    let mut positions = Vec::new();
    for n in 1..=60 {
        fixture.backup(n, &bytes);
        positions.push(fixture.project.position().unwrap());
        if n % 3 == 0 {
            fixture.project.delete(id(n - 1)).unwrap();
        }
        if n % 20 == 0 {
            sweep(&fixture);
            assert_eq!(fixture.names("/ledger/").len(), 1, "{n}");
        }
    }
    for position in &positions {
        let (_, damage) = fixture.project.position_after(position).unwrap();
        assert!(damage.is_none());
    }
    assert!(check(&fixture).problems.is_empty());
    each_manifest_is_missed(&fixture.project, &fixture.store);
}

#[test]
fn a_manifest_that_cannot_be_read_does_not_block_sweeps_for_ever() {
    let fixture = Fixture::new();
    let kept = noise(MIB, 2);
    for legacy in [false, true] {
        fixture.backup(1, &noise(MIB, 1));
        if !legacy {
            fixture.backup(2, &kept);
        }
        if legacy {
            remove(&fixture, &fixture.names("/ledger/"));
        }
        fixture
            .store
            .put(&manifest(&fixture, 1), &[b"junk"])
            .unwrap();
        let refused = fixture.project.sweep(NOW, &Run::new());
        assert!(
            matches!(refused, Err(SweepError::Damaged(_))),
            "{refused:?}"
        );
        assert!(fixture.project.delete(id(1)).unwrap());
        sweep(&fixture);
        assert!(check(&fixture).problems.is_empty());
        fixture.restores(2, &kept);
        each_manifest_is_missed(&fixture.project, &fixture.store);
    }
}
