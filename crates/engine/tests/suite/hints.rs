//! Backups made on the word of a source that says what changed.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test may panic"
)]

use crate::support;

use emberkeep_engine::{BackupRequest, ChangeRecord, Hints, Manifest, Run};
use emberkeep_testkit::{TrackedSnapshot, TrackedVolume};
use proptest::prelude::*;
use support::*;

const WINDOW: usize = 16 * MIB;

fn after(n: u128, parent: u128) -> BackupRequest {
    BackupRequest {
        parent: (parent > 0).then(|| id(parent)),
        ..request(n)
    }
}

fn back_up(fixture: &Fixture, source: &TrackedSnapshot, request: BackupRequest) -> Manifest {
    let made = fixture.project.backup(source, request, &Run::new());
    made.unwrap().manifest
}

/// The map that a backup of the same bytes has which knows of no hints.
fn same_as_without_hints(fixture: &Fixture, made: &Manifest, bytes: &[u8]) {
    let n = 1_000_000 + made.backup_id.0.as_u128();
    let plain = fixture.backup(n, bytes);
    assert_eq!(made.root, plain.root, "hints led to another map");
    let figures = |m: &Manifest| (m.statistics.data_bytes, m.statistics.chunks);
    assert_eq!(figures(made), figures(&plain));
    fixture.project.delete(id(n)).unwrap();
}

fn kept(manifest: &Manifest) -> (u32, u64) {
    match &manifest.changes {
        ChangeRecord::Hints {
            runs, kept_bytes, ..
        } => (*runs, *kept_bytes),
        other => panic!("hints were not used: {other:?}"),
    }
}

#[test]
fn only_what_changed_is_read() {
    let fixture = Fixture::new();
    let mut volume = TrackedVolume::new(mixed(5 * WINDOW + 4096, 1), 64 * KIB);
    let first = volume.snapshot();
    let full = back_up(&fixture, &first, after(1, 0));
    assert!(matches!(full.changes, ChangeRecord::FullRead { .. }));

    volume.write(WINDOW + 3 * MIB + 17, &noise(100, 3));
    volume.write(3 * WINDOW - 5000, &noise(10_000, 4));
    let second = volume.snapshot();
    let made = back_up(&fixture, &second, after(2, 1));
    let (runs, bytes) = kept(&made);
    assert_eq!(runs, 1);
    assert!(bytes > 4 * WINDOW as u64);
    // Three grains changed, and each costs about a chunk on either side; the rest is samples.
    let samples = 8 * (256 + 64) * KIB as u64;
    assert!(
        second.bytes_read() < 2 * MIB as u64 + samples,
        "{} bytes were read",
        second.bytes_read()
    );
    assert_eq!(made.statistics.read_bytes, second.bytes_read());
    restores(&fixture.project, 2, volume.bytes());
    same_as_without_hints(&fixture, &made, volume.bytes());

    // Nothing changed: nothing but samples is read, and no pack is stored.
    let packs = fixture.names("/packs/").len();
    let third = volume.snapshot();
    let made = back_up(&fixture, &third, after(3, 2));
    assert_eq!(kept(&made), (2, volume.bytes().len() as u64));
    assert_eq!(made.statistics.new_chunks, 0);
    assert_eq!(fixture.names("/packs/").len(), packs);
    assert!(third.bytes_read() <= samples);
    restores(&fixture.project, 3, volume.bytes());
    // No backup needs another.
    fixture.project.delete(id(1)).unwrap();
    fixture.project.delete(id(2)).unwrap();
    fixture
        .project
        .sweep(Default::default(), &Run::new())
        .unwrap();
    restores(&fixture.project, 3, volume.bytes());
}

#[test]
fn every_nth_run_compares_everything() {
    let fixture = Fixture::new();
    let mut volume = TrackedVolume::new(mixed(2 * WINDOW, 1), 64 * KIB);
    let hints = Hints {
        runs: 2,
        samples: 0,
    };
    let mut seen = Vec::new();
    for n in 1..=8 {
        volume.write(n as usize * MIB, &noise(3000, n as u64));
        let snapshot = volume.snapshot();
        let request = BackupRequest {
            hints,
            ..after(n, n - 1)
        };
        let made = back_up(&fixture, &snapshot, request);
        if n > 1 {
            let (runs, bytes) = kept(&made);
            seen.push(runs);
            let ChangeRecord::Hints { verified_bytes, .. } = made.changes else {
                panic!()
            };
            if runs == 0 {
                // All but what lies in the chunks that the written grain cut through.
                assert!(verified_bytes + MIB as u64 > made.statistics.data_bytes.min(bytes));
            }
        }
        restores(&fixture.project, n, volume.bytes());
    }
    assert_eq!(seen, [1, 2, 0, 1, 2, 0, 1]);
}

#[test]
fn a_liar_is_caught_and_all_is_read() {
    for (what, at, bytes) in [
        (
            "data in an untouched window",
            2 * WINDOW + 100,
            noise(50, 1),
        ),
        ("data in a touched window", WINDOW + 8 * MIB, noise(50, 2)),
        ("data where zeroes were", 4 * WINDOW + 9 * MIB, vec![1]),
        (
            "zeroes where data was",
            2 * WINDOW + MIB,
            vec![0; 300 * KIB],
        ),
    ] {
        let fixture = Fixture::new();
        let mut content = noise(5 * WINDOW, 9);
        content[4 * WINDOW..].fill(0);
        content[4 * WINDOW + 5..4 * WINDOW + 500].fill(7);
        let mut volume = TrackedVolume::new(content, 64 * KIB);
        back_up(&fixture, &volume.snapshot(), after(1, 0));
        volume.write(WINDOW + 5, &noise(5000, 3));
        volume.write_unnoticed(at, &bytes);
        let liar = volume.snapshot();
        let request = BackupRequest {
            hints: Hints {
                runs: 1,
                samples: 4,
            },
            ..after(3, 1)
        };
        // Two in a row on its word, of which the second must compare everything.
        let between = back_up(
            &fixture,
            &liar,
            BackupRequest {
                hints: Hints {
                    runs: 1,
                    samples: 0,
                },
                ..after(2, 1)
            },
        );
        let parent = match &between.changes {
            ChangeRecord::Hints { .. } => 2,
            // The sample of a touched window may be lucky.
            ChangeRecord::FullRead { caught, .. } => {
                assert!(caught.is_some(), "{what}");
                restores(&fixture.project, 2, volume.bytes());
                continue;
            }
        };
        let late = volume.snapshot();
        let request = BackupRequest {
            parent: Some(id(parent)),
            ..request
        };
        let made = fixture.project.backup(&late, request, &Run::new()).unwrap();
        let said = made
            .caught()
            .unwrap_or_else(|| panic!("{what}: not caught"));
        assert!(said.contains("had not changed, but they had"), "{said}");
        restores(&fixture.project, 3, volume.bytes());
        same_as_without_hints(&fixture, &made.manifest, volume.bytes());

        // Who was caught is asked again, but everything is compared.
        let next = volume.snapshot();
        let made = back_up(&fixture, &next, after(4, 3));
        assert_eq!(kept(&made).0, 0, "{what}");
        restores(&fixture.project, 4, volume.bytes());
    }
}

#[test]
fn a_lost_tracker_means_a_full_read() {
    let fixture = Fixture::new();
    let mut volume = TrackedVolume::new(mixed(2 * WINDOW, 4), 4 * KIB);
    back_up(&fixture, &volume.snapshot(), after(1, 0));
    volume.write(MIB, &noise(MIB, 5));
    volume.lose_track();
    let made = back_up(&fixture, &volume.snapshot(), after(2, 1));
    let ChangeRecord::FullRead { reason, caught } = &made.changes else {
        panic!("{:?}", made.changes)
    };
    assert_eq!(
        (reason.as_str(), caught),
        ("the tracker has been lost", &None)
    );
    restores(&fixture.project, 2, volume.bytes());
}

#[test]
fn a_damaged_parent_is_not_relied_on() {
    let fixture = Fixture::new();
    let mut volume = TrackedVolume::new(mixed(3 * WINDOW, 4), 64 * KIB);
    back_up(&fixture, &volume.snapshot(), after(1, 0));
    for name in fixture.names("/packs/") {
        fixture.store.delete_many(&[name]).unwrap();
    }
    volume.write(MIB, &noise(1000, 5));
    let made = back_up(&fixture, &volume.snapshot(), after(2, 1));
    assert!(matches!(
        made.changes,
        ChangeRecord::FullRead {
            caught: Some(_),
            ..
        }
    ));
    restores(&fixture.project, 2, volume.bytes());
    // What was lost has come back with it.
    assert!(made.statistics.new_chunks > 0);
}

#[test]
fn a_chunk_that_got_lost_is_stored_again_from_an_unchanged_window() {
    let fixture = Fixture::new();
    let mut volume = TrackedVolume::new(noise(3 * WINDOW, 4), 64 * KIB);
    back_up(&fixture, &volume.snapshot(), after(1, 0));
    let data_pack = fixture
        .names("/packs/")
        .into_iter()
        .max_by_key(|name| fixture.store.head(name).unwrap())
        .unwrap();
    fixture.store.delete_many(&[data_pack]).unwrap();
    let made = back_up(&fixture, &volume.snapshot(), after(2, 1));
    assert_eq!(kept(&made).0, 1);
    assert!(made.statistics.new_chunks > 0);
    restores(&fixture.project, 2, volume.bytes());
    restores(&fixture.project, 1, volume.bytes());
}

/// One thing that happens to a volume between two backups.
#[derive(Debug, Clone)]
enum Event {
    Noise {
        at: usize,
        length: usize,
        seed: u64,
    },
    Zero {
        at: usize,
        length: usize,
    },
    Copy {
        from: usize,
        to: usize,
        length: usize,
    },
    Resize {
        size: usize,
    },
}

fn events() -> impl Strategy<Value = Event> {
    let place = 0usize..3 * WINDOW;
    let length = prop_oneof![1usize..200, 1usize..300_000, 1usize..2_000_000];
    prop_oneof![
        4 => (place.clone(), length.clone(), any::<u64>())
            .prop_map(|(at, length, seed)| Event::Noise { at, length, seed }),
        3 => (place.clone(), length.clone()).prop_map(|(at, length)| Event::Zero { at, length }),
        3 => (place.clone(), place.clone(), length)
            .prop_map(|(from, to, length)| Event::Copy { from, to, length }),
        1 => (WINDOW..3 * WINDOW).prop_map(|size| Event::Resize { size }),
    ]
}

fn happen(volume: &mut TrackedVolume, event: &Event) {
    let size = volume.bytes().len();
    let within = |at: usize, length: usize| (at % size, length.min(size - at % size));
    match *event {
        Event::Noise { at, length, seed } => {
            let (at, length) = within(at, length);
            volume.write(at, &noise(length, seed));
        }
        Event::Zero { at, length } => {
            let (at, length) = within(at, length);
            volume.write(at, &vec![0; length]);
        }
        Event::Copy { from, to, length } => {
            let (from, length) = within(from, length);
            let (to, length) = within(to, length);
            let length = length.min(size - from);
            let bytes = volume.bytes()[from..from + length].to_vec();
            volume.write(to, &bytes);
        }
        Event::Resize { size } => volume.resize(size),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn hints_lead_to_the_very_map_that_reading_all_leads_to(
        seed in 0u64..50,
        grain in prop_oneof![Just(512), Just(4096), Just(64 * KIB), Just(MIB)],
        rounds in prop::collection::vec(prop::collection::vec(events(), 0..8), 1..4),
        runs in 0u32..3,
    ) {
        let fixture = Fixture::new();
        let mut volume = TrackedVolume::new(mixed(2 * WINDOW + 12_345, seed), grain);
        back_up(&fixture, &volume.snapshot(), after(1, 0));
        for (n, round) in (2u128..).zip(&rounds) {
            for event in round {
                happen(&mut volume, event);
            }
            let snapshot = volume.snapshot();
            let request = BackupRequest { hints: Hints { runs: runs + 1, samples: 3 }, ..after(n, n - 1) };
            let made = back_up(&fixture, &snapshot, request);
            kept(&made);
            same_as_without_hints(&fixture, &made, volume.bytes());
        }
        restores(&fixture.project, 1 + rounds.len() as u128, volume.bytes());
    }
}
