//! Random histories of backups, restores, deletes and sweeps at the same time, against the
//! simplest model there is: a table of what each backup has to hold.
//!
//! A few hundred run each time; `EMBERKEEP_HISTORIES=10000 cargo test -p emberkeep-engine
//! --release --test suite model` runs more.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test may panic"
)]

use crate::support;

use std::collections::BTreeMap;
use std::time::Duration;

use emberkeep_engine::{
    BackupError, BackupRequest, CheckOptions, Hints, RestoreError, Run, SweepError, SweepOptions,
};
use emberkeep_testkit::{TrackedSnapshot, TrackedVolume};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use support::*;

const VOLUMES: usize = 2;

/// One thing that is done, beside others.
#[derive(Debug, Clone)]
enum Act {
    Backup {
        volume: usize,
        after: Option<prop::sample::Index>,
        runs: u32,
    },
    Restore {
        backup: prop::sample::Index,
        over_junk: bool,
    },
    Delete {
        backup: prop::sample::Index,
    },
    Sweep {
        wait: bool,
    },
    Check,
}

/// What happens to a volume between steps.
#[derive(Debug, Clone)]
enum Change {
    Noise {
        volume: usize,
        at: prop::sample::Index,
        length: usize,
        seed: u64,
    },
    Zero {
        volume: usize,
        at: prop::sample::Index,
        length: usize,
    },
    /// The volume comes to hold what the other does, so that chunks are shared and die late.
    Clone {
        volume: usize,
    },
    Resize {
        volume: usize,
        size: usize,
    },
}

#[derive(Debug, Clone)]
struct Step {
    changes: Vec<Change>,
    acts: Vec<Act>,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let at = any::<prop::sample::Index>();
    let volume = 0..VOLUMES;
    let length = 1usize..200_000;
    let change = prop_oneof![
        4 => (volume.clone(), at.clone(), length.clone(), 0u64..6)
            .prop_map(|(volume, at, length, seed)| Change::Noise { volume, at, length, seed }),
        2 => (volume.clone(), at.clone(), length).prop_map(|(volume, at, length)| Change::Zero { volume, at, length }),
        1 => volume.clone().prop_map(|volume| Change::Clone { volume }),
        1 => (volume.clone(), 1usize..900_000).prop_map(|(volume, size)| Change::Resize { volume, size }),
    ];
    let act = prop_oneof![
        4 => (volume, prop::option::of(at.clone()), 0u32..3)
            .prop_map(|(volume, after, runs)| Act::Backup { volume, after, runs }),
        2 => (at.clone(), any::<bool>()).prop_map(|(backup, over_junk)| Act::Restore { backup, over_junk }),
        2 => at.prop_map(|backup| Act::Delete { backup }),
        3 => any::<bool>().prop_map(|wait| Act::Sweep { wait }),
        1 => Just(Act::Check),
    ];
    let step = (
        prop::collection::vec(change, 0..3),
        prop::collection::vec(act, 1..5),
    )
        .prop_map(|(changes, acts)| Step { changes, acts });
    prop::collection::vec(step, 1..7)
}

struct World {
    fixture: Fixture,
    volumes: Vec<TrackedVolume>,
    /// What each backup has to hold, and of which volume it was made.
    backups: BTreeMap<u128, (usize, Vec<u8>)>,
    next: u128,
}

/// An act with all that it needs, ready for a thread of its own.
enum Ready {
    Backup(u128, usize, TrackedSnapshot, Box<BackupRequest>, Vec<u8>),
    Restore(u128, Vec<u8>, bool),
    Delete(u128),
    Sweep(SweepOptions),
    Check,
}

impl World {
    fn new() -> Self {
        let volumes = (0..VOLUMES as u64)
            .map(|n| TrackedVolume::new(mixed(300_000 + n as usize * 123_457, n), 4096))
            .collect();
        Self {
            fixture: Fixture::new(),
            volumes,
            backups: BTreeMap::new(),
            next: 1,
        }
    }

    fn change(&mut self, change: &Change) {
        let fit = |volume: &TrackedVolume, at: &prop::sample::Index, length: usize| {
            let at = at.index(volume.bytes().len());
            (at, length.min(volume.bytes().len() - at))
        };
        match change {
            Change::Noise {
                volume,
                at,
                length,
                seed,
            } => {
                let volume = &mut self.volumes[*volume];
                let (at, length) = fit(volume, at, *length);
                volume.write(at, &noise(length, *seed));
            }
            Change::Zero { volume, at, length } => {
                let volume = &mut self.volumes[*volume];
                let (at, length) = fit(volume, at, *length);
                volume.write(at, &vec![0; length]);
            }
            Change::Clone { volume } => {
                let other = self.volumes[(volume + 1) % VOLUMES].bytes().to_vec();
                let volume = &mut self.volumes[*volume];
                volume.resize(other.len());
                volume.write(0, &other);
            }
            Change::Resize { volume, size } => self.volumes[*volume].resize(*size),
        }
    }

    fn chosen(&self, at: &prop::sample::Index) -> Option<u128> {
        let ids: Vec<u128> = self.backups.keys().copied().collect();
        (!ids.is_empty()).then(|| *at.get(&ids))
    }

    fn prepare(&mut self, act: &Act) -> Option<Ready> {
        Some(match act {
            Act::Backup {
                volume,
                after,
                runs,
            } => {
                let n = self.next;
                self.next += 1;
                let parent = after.as_ref().and_then(|at| self.chosen(at));
                // A lineage says nothing of another volume.
                let parent = parent.filter(|parent| self.backups[parent].0 == *volume);
                let source = self.volumes[*volume].snapshot();
                let request = BackupRequest {
                    parent: parent.map(id),
                    hints: Hints {
                        runs: *runs,
                        samples: 2,
                    },
                    ..request(n)
                };
                let bytes = self.volumes[*volume].bytes().to_vec();
                Ready::Backup(n, *volume, source, Box::new(request), bytes)
            }
            Act::Restore { backup, over_junk } => {
                let n = self.chosen(backup)?;
                Ready::Restore(n, self.backups[&n].1.clone(), *over_junk)
            }
            Act::Delete { backup } => Ready::Delete(self.chosen(backup)?),
            Act::Check => Ready::Check,
            Act::Sweep { wait } => Ready::Sweep(SweepOptions {
                dry_run: false,
                wait: Duration::from_millis(if *wait { 300 } else { 0 }),
            }),
        })
    }

    /// Does all at once; what may fail because of something beside it, may.
    fn step(&mut self, step: &Step) {
        for change in &step.changes {
            self.change(change);
        }
        let ready: Vec<Ready> = step
            .acts
            .iter()
            .filter_map(|act| self.prepare(act))
            .collect();
        let deleted: Vec<u128> = ready
            .iter()
            .filter_map(|act| match act {
                Ready::Delete(n) => Some(*n),
                _ => None,
            })
            .collect();
        let project = &self.fixture.project;
        let made: Vec<(u128, usize, Vec<u8>)> = std::thread::scope(|scope| {
            let deleted = &deleted;
            let threads: Vec<_> = ready
                .into_iter()
                .map(|act| {
                    scope.spawn(move || match act {
                        Ready::Backup(n, volume, source, request, bytes) => {
                            match project.backup(&source, *request, &Run::new()) {
                                Ok(made) => {
                                    assert_eq!(made.caught(), None);
                                    Some((n, volume, bytes))
                                }
                                Err(BackupError::NoSuchParent(parent)) => {
                                    assert!(deleted.iter().any(|n| id(*n) == parent));
                                    None
                                }
                                Err(other) => panic!("backup {n}: {other:?}"),
                            }
                        }
                        Ready::Restore(n, want, over_junk) => {
                            let target = if over_junk {
                                Target::used(vec![0xa5; want.len()])
                            } else {
                                Target::fresh(want.len())
                            };
                            match project.restore(id(n), &target, &Run::new()) {
                                Ok(_) => assert!(target.finished() == want, "backup {n} changed"),
                                Err(RestoreError::NoSuchBackup(_)) => assert!(deleted.contains(&n)),
                                Err(other) => panic!("restore {n}: {other:?}"),
                            }
                            None
                        }
                        Ready::Delete(n) => {
                            project.delete(id(n)).unwrap();
                            None
                        }
                        Ready::Check => {
                            let checked = project.check(CheckOptions::default(), &Run::new());
                            // Whatever others do meanwhile, no backup is missed.
                            for problem in checked.unwrap().problems {
                                let object = &problem.damage.object;
                                let of_ledger = ["/manifests/", "/ledger/"];
                                let missed = of_ledger.iter().any(|part| object.contains(part));
                                assert!(!missed, "{problem:?}");
                            }
                            None
                        }
                        Ready::Sweep(options) => {
                            match project.sweep(options, &Run::new()) {
                                Ok(_) | Err(SweepError::Busy(_)) => {}
                                Err(other) => panic!("sweep: {other:?}"),
                            }
                            None
                        }
                    })
                })
                .collect();
            threads
                .into_iter()
                .filter_map(|thread| {
                    thread
                        .join()
                        .unwrap_or_else(|p| std::panic::resume_unwind(p))
                })
                .collect()
        });
        for n in deleted {
            self.backups.remove(&n);
        }
        for (n, volume, bytes) in made {
            self.backups.insert(n, (volume, bytes));
        }
    }

    fn judge(&self) {
        let project = &self.fixture.project;
        let found: Vec<u128> = project
            .manifests()
            .unwrap()
            .readable
            .iter()
            .map(|m| m.backup_id.0.as_u128())
            .collect();
        let mut want: Vec<u128> = self.backups.keys().copied().collect();
        want.sort_unstable();
        let mut found_sorted = found;
        found_sorted.sort_unstable();
        assert_eq!(found_sorted, want);
        for (n, (_, bytes)) in &self.backups {
            restores(project, *n, bytes);
        }
    }

    /// When all is quiet, two sweeps leave nothing but what the backups need.
    fn close(&self) {
        let project = &self.fixture.project;
        let now = SweepOptions::default();
        project.sweep(now, &Run::new()).unwrap();
        project.sweep(now, &Run::new()).unwrap();
        let idle = project.sweep(now, &Run::new()).unwrap();
        assert_eq!(
            (idle.deleted_packs, idle.dead_packs, idle.pending_packs),
            (0, 0, 0)
        );
        each_manifest_is_missed(project, &self.fixture.store);
        let sound = project
            .check(CheckOptions { read_data: true }, &Run::new())
            .unwrap();
        assert!(sound.problems.is_empty(), "{:?}", sound.problems);
        if self.backups.is_empty() {
            assert_eq!(sound.packs, 0);
        }
        for part in ["/sessions/", "/condemned/", "/locks/", "/progress/"] {
            assert_eq!(self.fixture.names(part), Vec::<String>::new());
        }
        self.judge();
    }
}

#[test]
fn histories_agree_with_the_model() {
    let cases = std::env::var("EMBERKEEP_HISTORIES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(200);
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    };
    let outcome = TestRunner::new(config).run(&steps(), |history| {
        let mut world = World::new();
        for step in &history {
            world.step(step);
            world.judge();
        }
        world.close();
        Ok(())
    });
    if let Err(failed) = outcome {
        panic!("{failed}");
    }
}
