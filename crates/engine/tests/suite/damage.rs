//! Flipped, cut and missing objects: refused and named, never wrong bytes.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test may panic"
)]

use crate::support;

use std::collections::BTreeSet;

use emberkeep_engine::{BackupError, CheckOptions, DamageCause, Repository, RestoreError, Run};
use emberkeep_store::ObjectStore;
use support::*;

const READ: CheckOptions = CheckOptions { read_data: true };

/// What becomes of backup 1 with the store as it is: true if it came back right.
fn outcome(fixture: &Fixture, want: &[u8], what: &str) -> bool {
    let Ok(repository) = Repository::open(fixture.store.clone(), &fixture.master) else {
        return false;
    };
    let Ok(project) = repository.project("project-a") else {
        return false;
    };
    let target = Target::used(vec![0xee; want.len()]);
    match project.restore(id(1), &target, &Run::new()) {
        Ok(_) => {
            assert!(
                target.finished() == want,
                "{what}: wrong bytes were restored"
            );
            true
        }
        Err(_) => {
            assert!(
                !*target.finished.lock().unwrap(),
                "{what}: finished in spite of the damage"
            );
            false
        }
    }
}

#[test]
fn a_flipped_byte_anywhere_is_refused_or_harmless_and_check_finds_it() {
    let fixture = Fixture::new();
    let bytes = mixed(3 * MIB + 17, 4);
    fixture.backup(1, &bytes);
    for name in fixture.names("") {
        let good = fixture.store.get(&name).unwrap();
        let step = (good.len() / 23).max(1);
        let mut places: BTreeSet<usize> = (0..good.len()).step_by(step).collect();
        places.extend([good.len() - 1, good.len() / 2, 4, 5]);
        for at in places {
            let mut bad = good.clone();
            bad[at] ^= 0x20;
            fixture.store.put(&name, &[&bad]).unwrap();
            let what = format!("{name} byte {at}");
            let right = outcome(&fixture, &bytes, &what);
            // The project was opened before: a check needs keys, and those are tested alone.
            if name.starts_with("p/") {
                let report = fixture.project.check(READ, &Run::new()).unwrap();
                assert!(!report.problems.is_empty(), "{what}: check found nothing");
                let named = report.problems.iter().any(|p| p.damage.object == name);
                assert!(named, "{what}: {:?}", report.problems);
                let hurt = report.problems.iter().any(|p| p.backups == [id(1)]);
                assert!(
                    hurt || right,
                    "{what}: not restored, and check does not say so"
                );
                if name.contains("packs") {
                    assert!(
                        hurt,
                        "{what}: the backup is not named: {:?}",
                        report.problems
                    );
                }
            } else {
                assert!(!right, "{what}: it was believed");
            }
        }
        fixture.store.put(&name, &[&good]).unwrap();
    }
    fixture.restores(1, &bytes);
}

#[test]
fn restore_names_the_backup_the_pack_and_the_place() {
    let fixture = Fixture::new();
    let bytes = noise(3 * MIB, 4);
    fixture.backup(1, &bytes);
    let pack = data_pack(&fixture);
    let mut bad = fixture.store.get(&pack).unwrap();
    bad[MIB] ^= 1;
    fixture.store.put(&pack, &[&bad]).unwrap();
    let refused = fixture
        .project
        .restore(id(1), &Target::fresh(3 * MIB), &Run::new())
        .unwrap_err();
    let RestoreError::BackupDamaged { backup, damage } = &refused else {
        panic!("{refused}")
    };
    assert_eq!((*backup, &damage.object), (id(1), &pack));
    let at = damage.offset.unwrap() as usize;
    assert!(at <= MIB && MIB - at < 300 * KIB, "{at}");
    assert!(refused.to_string().contains(&pack), "{refused}");
}

/// The larger of the two packs.
fn data_pack(fixture: &Fixture) -> String {
    let size = |name: &String| fixture.store.head(name).unwrap();
    fixture.names("packs").into_iter().max_by_key(size).unwrap()
}

#[test]
fn missing_and_cut_objects_are_found_without_reading_data() {
    for (what, damage) in [
        ("missing", None),
        ("cut", Some(2)),
        ("empty", Some(usize::MAX)),
    ] {
        let fixture = Fixture::new();
        let bytes = text(3 * MIB, 1);
        fixture.backup(1, &bytes);
        fixture.backup(2, &noise(MIB, 9));
        let pack = fixture
            .names("packs")
            .into_iter()
            .find(|name| {
                let good = fixture.store.get(name).unwrap();
                fixture
                    .store
                    .delete_many(std::slice::from_ref(name))
                    .unwrap();
                let needed = !outcome(&fixture, &bytes, "one pack less");
                fixture.store.put(name, &[&good]).unwrap();
                needed
            })
            .unwrap();
        let good = fixture.store.get(&pack).unwrap();
        match damage {
            None => fixture
                .store
                .delete_many(std::slice::from_ref(&pack))
                .unwrap(),
            Some(part) => fixture
                .store
                .put(&pack, &[&good[..good.len() / part]])
                .unwrap(),
        }
        assert!(!outcome(&fixture, &bytes, what), "{what}");
        let report = fixture
            .project
            .check(CheckOptions::default(), &Run::new())
            .unwrap();
        let found = report.problems.iter().find(|p| p.damage.object == pack);
        assert_eq!(
            found.map(|p| &p.backups[..]),
            Some(&[id(1)][..]),
            "{what}: {:?}",
            report.problems
        );

        // The next backup of the same bytes stores again what is gone, and heals the old one.
        fixture.backup(3, &bytes);
        fixture.restores(3, &bytes);
        if damage.is_none() {
            fixture.restores(1, &bytes);
        }
    }
}

#[test]
fn a_lost_index_is_rebuilt_from_the_packs_when_damaged() {
    let fixture = Fixture::new();
    let bytes = mixed(3 * MIB, 2);
    fixture.backup(1, &bytes);
    let run = fixture.names("index").remove(0);
    fixture.store.put(&run, &[b"junk"]).unwrap();
    fixture.restores(1, &bytes);
    let again = fixture.backup(2, &bytes);
    assert_eq!(again.statistics.new_chunks, 0);
    // A sweep writes it anew.
    let options = emberkeep_engine::SweepOptions::default();
    fixture.project.sweep(options, &Run::new()).unwrap();
    assert!(
        fixture
            .project
            .check(READ, &Run::new())
            .unwrap()
            .problems
            .is_empty()
    );
    fixture.restores(1, &bytes);
}

#[test]
fn a_lost_index_run_loses_no_bytes_and_is_written_anew() {
    let fixture = Fixture::new();
    let (first, second) = (mixed(3 * MIB, 2), noise(2 * MIB, 9));
    fixture.backup(1, &first);
    fixture.backup(2, &second);
    for run in fixture.names("index") {
        fixture.store.delete_many(&[run]).unwrap();
        // Restored, read and copied all the same.
        fixture.restores(1, &first);
        fixture.restores(2, &second);
        let reader = fixture.project.reader(id(1)).unwrap();
        let mut read = vec![0; first.len()];
        reader.read(0, &mut read).unwrap();
        assert!(read == first);
        // The index is what is lost, and nothing else.
        let report = fixture.project.check(READ, &Run::new()).unwrap();
        assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
        let problem = &report.problems[0];
        let is_index = matches!(problem.damage.cause, DamageCause::IndexLost { .. });
        assert!(is_index && problem.lost.is_empty(), "{problem:?}");
        assert!(!problem.backups.is_empty());
        // Nothing is swept meanwhile.
        let packs = fixture.names("packs");
        let refused = fixture.project.sweep(Default::default(), &Run::new());
        assert!(refused.is_err(), "{refused:?}");
        assert_eq!(fixture.names("packs"), packs);
    }
    let report = fixture.project.check(READ, &Run::new()).unwrap();
    assert_eq!(report.problems[0].backups, [id(1), id(2)]);
    let repaired = fixture.project.repair_index(&Run::new()).unwrap();
    assert_eq!(repaired.packs as usize, fixture.names("packs").len());
    let report = fixture.project.check(READ, &Run::new()).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    let again = fixture.project.repair_index(&Run::new()).unwrap();
    assert_eq!(again, Default::default());
    fixture
        .project
        .sweep(Default::default(), &Run::new())
        .unwrap();
    fixture.restores(1, &first);
    fixture.restores(2, &second);
    let third = fixture.backup(3, &first);
    assert_eq!(third.statistics.new_chunks, 0);
}

#[test]
fn a_missing_pack_is_one_finding_whoever_needs_it() {
    let fixture = Fixture::new();
    let bytes = noise(3 * MIB, 4);
    fixture.backup(1, &bytes);
    fixture.backup(2, &bytes[..2 * MIB]);
    for pack in fixture.names("packs") {
        let good = fixture.store.get(&pack).unwrap();
        for cut in [None, Some(good.len() / 2)] {
            match cut {
                None => fixture
                    .store
                    .delete_many(std::slice::from_ref(&pack))
                    .unwrap(),
                Some(at) => fixture.store.put(&pack, &[&good[..at]]).unwrap(),
            }
            for options in [READ, CheckOptions::default()] {
                let report = fixture.project.check(options, &Run::new()).unwrap();
                let found = report.problems.iter().filter(|p| p.damage.object == pack);
                assert_eq!(found.count(), 1, "{pack} {cut:?}: {:?}", report.problems);
            }
            fixture.store.put(&pack, &[&good]).unwrap();
        }
    }
}

#[test]
fn a_sweep_refuses_while_something_needed_cannot_be_found() {
    let fixture = Fixture::new();
    fixture.backup(1, &text(2 * MIB, 1));
    fixture.backup(2, &noise(2 * MIB, 2));
    let run = fixture.names("index").remove(0);
    fixture.store.delete_many(&[run]).unwrap();
    let before = fixture.names("packs");
    let refused = fixture.project.sweep(Default::default(), &Run::new());
    assert!(
        matches!(refused, Err(emberkeep_engine::SweepError::Damaged(_))),
        "{refused:?}"
    );
    assert_eq!(fixture.names("packs"), before);
    assert!(fixture.names("locks").is_empty() && fixture.names("sessions").is_empty());
}

/// What can befall an object, beside a flipped byte.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mishap {
    Cut,
    Emptied,
    Deleted,
    /// Another object of its kind took its place.
    Swapped,
}

#[test]
fn whatever_befalls_an_object_never_gives_wrong_bytes_and_check_finds_it() {
    let fixture = Fixture::new();
    let bytes = mixed(3 * MIB + 17, 4);
    fixture.backup(1, &bytes);
    fixture.backup(2, &mixed(2 * MIB, 77));
    for name in fixture.names("p/") {
        let good = fixture.store.get(&name).unwrap();
        let kind = |name: &str| name.split('/').nth(2).unwrap().to_owned();
        let twin = fixture
            .names("p/")
            .into_iter()
            .find(|other| *other != name && kind(other) == kind(&name))
            .unwrap();
        for mishap in [
            Mishap::Cut,
            Mishap::Emptied,
            Mishap::Deleted,
            Mishap::Swapped,
        ] {
            let what = format!("{name} {mishap:?}");
            match mishap {
                Mishap::Cut => fixture
                    .store
                    .put(&name, &[&good[..good.len() / 2]])
                    .unwrap(),
                Mishap::Emptied => fixture.store.put(&name, &[]).unwrap(),
                Mishap::Deleted => fixture
                    .store
                    .delete_many(std::slice::from_ref(&name))
                    .unwrap(),
                Mishap::Swapped => {
                    let other = fixture.store.get(&twin).unwrap();
                    fixture.store.put(&name, &[&other]).unwrap();
                }
            }
            let right = outcome(&fixture, &bytes, &what);
            let report = fixture.project.check(READ, &Run::new()).unwrap();
            // Of the latest entry nobody else knows: the next sweep makes it anew.
            let latest = name.contains("/made/") && name.contains(&id(2).to_string());
            if mishap == Mishap::Deleted && latest {
                assert_eq!(report.unlisted, 1, "{what}");
            } else {
                assert!(!report.problems.is_empty(), "{what}: check found nothing");
                let hurt = report.problems.iter().any(|p| p.backups.contains(&id(1)));
                assert!(hurt || right, "{what}: not restored, and not said so");
            }
            fixture.store.put(&name, &[&good]).unwrap();
        }
    }
    fixture.restores(1, &bytes);
}

#[test]
fn what_was_rolled_back_is_refused() {
    let fixture = Fixture::new();
    let bytes = mixed(3 * MIB, 4);
    fixture.backup(1, &bytes);
    let old: Vec<_> = fixture
        .names("p/")
        .into_iter()
        .map(|name| (name.clone(), fixture.store.get(&name).unwrap()))
        .collect();
    fixture.project.delete(id(1)).unwrap();
    fixture
        .project
        .sweep(Default::default(), &Run::new())
        .unwrap();
    let later = mixed(2 * MIB, 50);
    fixture.backup(2, &later);
    // Manifest and index come back from before the sweep, the packs do not.
    for (name, stored) in old.iter().filter(|(name, _)| !name.contains("packs")) {
        fixture.store.put(name, &[stored]).unwrap();
    }
    assert!(!outcome(&fixture, &bytes, "rolled back"));
    let report = fixture.project.check(READ, &Run::new()).unwrap();
    assert!(report.problems.iter().any(|p| p.backups == [id(1)]));
    fixture.restores(2, &later);
    // With its packs the backup is whole again.
    for (name, stored) in &old {
        fixture.store.put(name, &[stored]).unwrap();
    }
    assert!(outcome(&fixture, &bytes, "all of it rolled back"));
    fixture.restores(2, &later);
}

#[test]
fn check_tells_which_bytes_are_lost_and_the_rest_can_be_restored() {
    let fixture = Fixture::new();
    let bytes = noise(3 * MIB, 4);
    fixture.backup(1, &bytes);
    let pack = data_pack(&fixture);
    let mut bad = fixture.store.get(&pack).unwrap();
    bad[MIB] ^= 1;
    fixture.store.put(&pack, &[&bad]).unwrap();
    let report = fixture.project.check(READ, &Run::new()).unwrap();
    let lost: Vec<_> = report.problems.iter().flat_map(|p| &p.lost).collect();
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert_eq!(lost[0].backup, id(1));
    // One chunk of noise lies where it lay in the volume, but for what seals take.
    let range = &lost[0].range;
    let near = MIB as u64 - 64 * 100..MIB as u64 + 64 * 100;
    assert!(
        range.start < near.end && near.start < range.end,
        "{range:?}"
    );
    assert!(range.end - range.start <= 256 * KIB as u64);
    // The same bytes again heal it.
    fixture.backup(2, &bytes);
    fixture.restores(2, &bytes);
    fixture.restores(1, &bytes);
    // A sweep keeps the sound copies and frees the damaged pack, with its mark.
    for _ in 0..2 {
        let options = emberkeep_engine::SweepOptions::default();
        fixture.project.sweep(options, &Run::new()).unwrap();
    }
    assert!(!fixture.names("packs").contains(&pack));
    assert!(fixture.names("/damaged/").is_empty());
    let report = fixture.project.check(READ, &Run::new()).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    fixture.restores(1, &bytes);
    fixture.restores(2, &bytes);
}

#[test]
fn a_damaged_pack_that_nobody_healed_keeps_what_is_sound_in_it() {
    let fixture = Fixture::new();
    let (first, second) = (noise(MIB, 4), noise(2 * MIB, 5));
    fixture.backup(1, &[first, second.clone()].concat());
    fixture.backup(2, &second);
    let pack = data_pack(&fixture);
    let mut bad = fixture.store.get(&pack).unwrap();
    bad[100_000] ^= 1;
    fixture.store.put(&pack, &[&bad]).unwrap();
    let report = fixture.project.check(READ, &Run::new()).unwrap();
    assert_eq!(report.problems.len(), 1);
    for _ in 0..2 {
        let options = emberkeep_engine::SweepOptions::default();
        fixture.project.sweep(options, &Run::new()).unwrap();
    }
    fixture.restores(2, &second);
}

#[test]
fn what_befalls_keys_and_the_descriptor_is_refused_or_found() {
    let fixture = Fixture::new();
    let bytes = mixed(2 * MIB, 4);
    fixture.backup(1, &bytes);
    let other = Fixture::new();
    other.backup(1, &bytes);
    let names: Vec<String> = fixture
        .names("")
        .into_iter()
        .filter(|n| !n.starts_with("p/"))
        .collect();
    assert_eq!(names.len(), 3, "{names:?}");
    for name in names {
        let good = fixture.store.get(&name).unwrap();
        // Of the same kind in another repository, whose projects have other names here.
        let kind = name.split('/').nth(1).unwrap_or("format");
        let twin = other.names(kind).remove(0);
        let mishaps = [
            ("cut", Some(good[..good.len() / 2].to_vec())),
            ("emptied", Some(Vec::new())),
            ("swapped", Some(other.store.get(&twin).unwrap())),
            ("deleted", None),
        ];
        for (what, now) in mishaps {
            let what = format!("{name} {what}");
            match now {
                Some(now) => fixture.store.put(&name, &[&now]).unwrap(),
                None => fixture
                    .store
                    .delete_many(std::slice::from_ref(&name))
                    .unwrap(),
            }
            let found = match Repository::open(fixture.store.clone(), &fixture.master) {
                Err(_) => true,
                Ok(opened) => opened.projects().is_err() || !opened.keyless().unwrap().is_empty(),
            };
            assert!(found, "{what}: nobody noticed");
            assert!(!outcome(&fixture, &bytes, &what), "{what}");
            fixture.store.put(&name, &[&good]).unwrap();
        }
    }
    fixture.restores(1, &bytes);
    let opened = Repository::open(fixture.store.clone(), &fixture.master).unwrap();
    assert!(opened.keyless().unwrap().is_empty());
}

#[test]
fn records_that_are_written_again_may_be_rolled_back_without_harm() {
    let fixture = Fixture::new();
    let bytes = mixed(2 * MIB, 4);
    fixture.backup(1, &bytes);
    let check = || fixture.project.check(READ, &Run::new()).unwrap();
    check();
    let record = fixture.names("/verified/").remove(0);
    let old = fixture.store.get(&record).unwrap();
    fixture.backup(2, &mixed(2 * MIB, 5));
    check();
    fixture.store.put(&record, &[&old]).unwrap();
    assert!(check().problems.is_empty());
}

#[test]
fn a_backup_fails_where_another_key_took_the_place_of_one_just_made() {
    let fixture = Fixture::new();
    let open = |store| {
        let repository = Repository::open(store, &fixture.master).unwrap();
        repository.project("project-b").unwrap()
    };
    // Two make a key at the same moment, and the server keeps the later one.
    let elsewhere = copy(&*fixture.store);
    let before = fixture.names("");
    let first = open(fixture.store.clone());
    let made = fixture.names("");
    let key = made.iter().find(|name| !before.contains(name)).unwrap();
    drop(open(elsewhere.clone()));
    let other = elsewhere.get(key).unwrap();
    fixture.store.put(key, &[&other]).unwrap();
    let source = Source(noise(MIB, 3));
    let refused = first.backup(&source, request(1), &Run::new()).unwrap_err();
    assert!(matches!(refused, BackupError::KeyReplaced), "{refused:?}");
    let opened = open(fixture.store.clone());
    let target = Target::fresh(MIB);
    let restored = opened.restore(id(1), &target, &Run::new());
    assert!(matches!(restored, Err(RestoreError::NoSuchBackup(_))));
    // Opened again, all is well.
    opened.backup(&source, request(1), &Run::new()).unwrap();
    restores(&opened, 1, &noise(MIB, 3));
}
