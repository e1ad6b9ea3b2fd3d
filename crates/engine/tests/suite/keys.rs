//! Erasing a project and changing the master key: what older copies of the store are worth
//! afterwards, and what is left wherever either is broken off.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test may panic"
)]

use std::sync::{Arc, Mutex, PoisonError};

use emberkeep_engine::{
    CheckOptions, InitOptions, ProjectRepository, Repository, RepositoryError, RestoreError, Run,
};
use emberkeep_format::{Envelope, EnvelopeKind, KeySpace, NONCE_LEN, SealKey, names};
use emberkeep_keys::{KeyFileError, KeyKeeper, MasterKey};
use emberkeep_store::{
    Counted, Fault, FaultPlan, FaultyStore, MemoryStore, Moment, ObjectStore, list_all,
};

use crate::support::{MIB, Shared, Source, Target, copy, id, noise, request, restores};

/// Keeps a master key as a file does, and fails at a planned change.
#[derive(Debug)]
struct Keeper {
    key: Mutex<MasterKey>,
    calls: Mutex<u64>,
    fault: Option<(u64, Moment)>,
}

impl Keeper {
    fn new(key: MasterKey) -> Self {
        Self {
            key: Mutex::new(key),
            calls: Mutex::default(),
            fault: None,
        }
    }

    fn failing(key: MasterKey, call: u64, moment: Moment) -> Self {
        Self {
            fault: Some((call, moment)),
            ..Self::new(key)
        }
    }

    fn kept(&self) -> MasterKey {
        let key = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        key.clone()
    }
}

impl KeyKeeper for Keeper {
    fn load(&self) -> Result<MasterKey, KeyFileError> {
        Ok(self.kept())
    }

    fn change(&self, change: &dyn Fn(&MasterKey) -> MasterKey) -> Result<MasterKey, KeyFileError> {
        let mut calls = self.calls.lock().unwrap();
        *calls += 1;
        let failed = Err(KeyFileError::Io {
            path: "planned".into(),
            cause: std::io::Error::other("planned"),
        });
        let moment = self.fault.filter(|(call, _)| call == &*calls);
        if let Some((_, Moment::Before)) = moment {
            return failed;
        }
        let mut key = self.key.lock().unwrap();
        *key = change(&key);
        match moment {
            Some(_) => failed,
            None => Ok(key.clone()),
        }
    }
}

struct House {
    store: Arc<MemoryStore>,
    key: MasterKey,
}

const PROJECTS: [&str; 3] = ["erased", "kept", "other"];

impl House {
    /// A backup in each project: number 1 of noise of its own.
    fn new() -> Self {
        let house = Self {
            store: Arc::new(MemoryStore::new()),
            key: MasterKey::from_bytes([42; 32]),
        };
        Repository::init(house.store.clone(), &house.key, InitOptions::default()).unwrap();
        house.fill();
        house
    }

    /// The same in a repository whose keys were wrapped by a version that knew no ring.
    fn of_an_earlier_version() -> Self {
        let house = Self {
            store: Arc::new(MemoryStore::new()),
            key: MasterKey::from_bytes([42; 32]),
        };
        let made =
            Repository::init(house.store.clone(), &house.key, InitOptions::default()).unwrap();
        let seal = |kind, name: &str, context, above: &[u8], plain: &[u8]| {
            let place = Envelope {
                kind,
                repository: made.id(),
                name,
            };
            let key = SealKey::new(&blake3::derive_key(context, above));
            let sealed = place.seal(&key, [1; NONCE_LEN], plain);
            house.store.put(name, &[&sealed]).unwrap();
        };
        let secret = [9; 32];
        seal(
            EnvelopeKind::MasterWrap,
            &names::master_key(house.key.id()),
            "emberkeep 2026 v1 master wrap",
            &[42; 32],
            &secret,
        );
        for (n, project) in PROJECTS.iter().enumerate() {
            let spaces = blake3::derive_key("emberkeep 2026 v1 key space", &secret);
            let digest = blake3::keyed_hash(&spaces, project.as_bytes());
            let (space, _) = digest.as_bytes().split_first_chunk().unwrap();
            seal(
                EnvelopeKind::ProjectKey,
                &names::project_key(KeySpace(*space)),
                "emberkeep 2026 v1 project key wrap",
                &secret,
                &[[n as u8; 32].as_slice(), project.as_bytes()].concat(),
            );
        }
        house.fill();
        house
    }

    fn fill(&self) {
        for project in PROJECTS {
            let opened = open(self.store.clone(), &self.key)
                .project(project)
                .unwrap();
            back_up(&opened, 1);
        }
    }

    fn keys(&self) -> Vec<(String, Vec<u8>)> {
        list_all(&*self.store, "keys/")
            .unwrap()
            .into_iter()
            .map(|object| (object.name.clone(), self.store.get(&object.name).unwrap()))
            .collect()
    }
}

fn open(store: Arc<dyn ObjectStore>, key: &MasterKey) -> Repository {
    Repository::open(store, key).unwrap()
}

fn data(project: &str, n: u128) -> Vec<u8> {
    noise(MIB / 4, project.len() as u64 * 100 + n as u64)
}

fn back_up(project: &ProjectRepository, n: u128) {
    let source = Source(data(project.project(), n));
    project.backup(&source, request(n), &Run::new()).unwrap();
}

fn restored(project: &ProjectRepository, n: u128) {
    restores(project, n, &data(project.project(), n));
}

/// Whether a project's first backup can be read with a key, and is right then.
fn readable(store: Arc<MemoryStore>, key: &MasterKey, project: &str) -> bool {
    // A look without writing: whatever is missing must not be made anew.
    let before = list_all(&*store, "keys/").unwrap().len();
    let Ok(repository) = Repository::open(store.clone(), key) else {
        return false;
    };
    let found = match repository.project(project) {
        Ok(found) => found,
        Err(RepositoryError::ErasureUnfinished { .. } | RepositoryError::Damaged(_)) => {
            return false;
        }
        Err(other) => panic!("{project}: {other:?}"),
    };
    assert_eq!(
        list_all(&*store, "keys/").unwrap().len(),
        before,
        "{project}"
    );
    restored(&found, 1);
    true
}

#[test]
fn an_erased_project_stays_erased_in_older_copies_of_the_store() {
    let house = House::new();
    let old = copy(&*house.store);
    let keeper = Arc::new(Keeper::new(house.key.clone()));
    let repository = open(house.store.clone(), &house.key).with_keeper(keeper.clone());
    assert!(!repository.erasable("erased").unwrap().copies_stay_readable);
    let erased = repository.erase_project("erased").unwrap();
    assert!(erased.had_key && erased.backups == 1 && !erased.copies_stay_readable);

    let left = keeper.kept();
    assert!(!readable(old.clone(), &left, "erased"), "it came back");
    for project in ["kept", "other"] {
        assert!(
            readable(old.clone(), &left, project),
            "{project} in the copy"
        );
        assert!(readable(house.store.clone(), &left, project), "{project}");
    }
    // The whole key from before, of which a copy may be left, is what would open it.
    for project in PROJECTS {
        assert!(
            readable(copy(&*old), &house.key, project),
            "{project} with the old key"
        );
    }
    // The repository that erased it, and others, go on; the project may begin anew.
    for (n, repository) in [(2, repository), (3, open(house.store.clone(), &left))] {
        back_up(&repository.project("kept").unwrap(), n);
        restored(&repository.project("kept").unwrap(), 1);
    }
    let again = open(house.store.clone(), &left).project("erased").unwrap();
    assert_eq!(again.manifests().unwrap().readable.len(), 0);
    back_up(&again, 7);
    restored(&again, 7);
    // Erased a second time, under another key: that one goes as well.
    let old = copy(&*house.store);
    let repository = open(house.store.clone(), &left).with_keeper(keeper.clone());
    repository.erase_project("erased").unwrap();
    let left = keeper.kept();
    assert!(!readable(old.clone(), &left, "erased"));
    assert!(readable(old, &left, "kept"));
}

#[test]
fn what_cannot_be_promised_is_said() {
    // A process that cannot change the master key destroys the key object, and says what is left.
    let house = House::new();
    let old = copy(&*house.store);
    let erased = open(house.store.clone(), &house.key)
        .erase_project("erased")
        .unwrap();
    assert!(erased.copies_stay_readable);
    assert!(readable(old, &house.key, "erased"));

    // Keys of an earlier version: copies from before need the master key alone.
    let house = House::of_an_earlier_version();
    let old = copy(&*house.store);
    let keeper = Arc::new(Keeper::new(house.key.clone()));
    let repository = open(house.store.clone(), &house.key).with_keeper(keeper.clone());
    assert!(
        repository
            .erase_project("erased")
            .unwrap()
            .copies_stay_readable
    );
    assert!(readable(old.clone(), &keeper.kept(), "erased"));
    // The others were bound on the way: copies from now on are safe, those from before are not.
    let between = copy(&*house.store);
    assert!(repository.erasable("other").unwrap().copies_stay_readable);
    repository.erase_project("other").unwrap();
    assert!(!readable(between, &keeper.kept(), "other"));
    assert!(readable(old.clone(), &keeper.kept(), "other"));
    // Another master key ends that.
    let repository = open(house.store.clone(), &keeper.kept()).with_keeper(keeper.clone());
    repository.rotate_keys().unwrap();
    assert!(Repository::open(old, &keeper.kept()).is_err());
    assert!(!repository.erasable("kept").unwrap().copies_stay_readable);
    assert!(readable(house.store.clone(), &keeper.kept(), "kept"));
}

#[test]
fn a_master_key_that_was_changed_opens_nothing_that_is_stored_afterwards() {
    for house in [House::new(), House::of_an_earlier_version()] {
        let old_keys = house.keys();
        let old = copy(&*house.store);
        let keeper = Arc::new(Keeper::new(house.key.clone()));
        let repository = open(house.store.clone(), &house.key).with_keeper(keeper.clone());
        let rotated = repository.rotate_keys().unwrap();
        let new = keeper.kept();
        assert_eq!((rotated.dropped, rotated.projects), (1, PROJECTS.len()));
        assert_eq!(rotated.key, new.id());
        assert!(!new.is_replacing() && new.whole().is_some());
        assert!(house.store.head(names::ROTATING).unwrap().is_none());
        // The repository that did it, and one that is opened anew, go on where the others were.
        for (n, repository) in [(2, repository), (3, open(house.store.clone(), &new))] {
            for project in repository.projects().unwrap() {
                back_up(&project, n);
                for n in 1..=n {
                    restored(&project, n);
                }
                let report = project.check(CheckOptions { read_data: true }, &Run::new());
                assert!(report.unwrap().problems.is_empty());
            }
        }
        let again = open(house.store.clone(), &new).project("kept").unwrap();
        let same = Source(data("kept", 1));
        let report = again.backup(&same, request(9), &Run::new()).unwrap();
        assert_eq!(
            report.manifest.statistics.new_chunks, 0,
            "known chunks are still known"
        );

        // The old key and the new store, then with all keys as they were before.
        let wrong = Repository::open(house.store.clone(), &house.key);
        assert!(matches!(wrong, Err(RepositoryError::WrongMasterKey { .. })));
        assert!(Repository::open(old, &new).is_err());
        let forged = copy(&*house.store);
        for (name, stored) in &old_keys {
            forged.put(name, &[stored]).unwrap();
        }
        let project = open(forged, &house.key).project("kept").unwrap();
        let manifests = project.manifests().unwrap();
        assert_eq!(manifests.readable.len(), 1, "what it opened before");
        assert_eq!(manifests.damaged.len(), 3, "what came afterwards");
        for n in [2, 3, 9] {
            let target = Target::fresh(MIB / 4);
            assert!(project.restore(id(n), &target, &Run::new()).is_err(), "{n}");
        }
    }
}

#[test]
fn a_process_that_has_the_old_key_makes_no_new_ones_and_sees_no_damage() {
    let house = House::new();
    let stale = open(house.store.clone(), &house.key);
    let early = stale.project("kept").unwrap();
    let keeper = Arc::new(Keeper::new(house.key.clone()));
    let repository = open(house.store.clone(), &house.key).with_keeper(keeper.clone());
    repository.rotate_keys().unwrap();
    back_up(&repository.project("kept").unwrap(), 2);
    let keys = house.keys();
    for project in ["kept", "new"] {
        let refused = stale.project(project);
        assert!(
            matches!(refused, Err(RepositoryError::MasterKeyReplaced { .. })),
            "{project}: {refused:?}"
        );
    }
    assert!(matches!(
        stale.projects(),
        Err(RepositoryError::MasterKeyReplaced { .. })
    ));
    assert_eq!(house.keys(), keys);
    // What it had opened before cannot read what came since, and says that it is not damage.
    assert!(matches!(early.manifests(), Err(RepositoryError::Store(_))));
    let target = Target::fresh(MIB / 4);
    let refused = early.restore(id(1), &target, &Run::new());
    assert!(
        matches!(refused, Err(RestoreError::Store(_))),
        "{refused:?}"
    );

    // Of two that share the key, one erases: the other finds out as soon as it looks.
    let other = open(house.store.clone(), &keeper.kept());
    let seen = other.project("kept").unwrap();
    repository.rotate_keys().unwrap();
    drop(seen);
    drop(other);
    let both = open(house.store.clone(), &keeper.kept());
    let first = both.project("kept").unwrap();
    let second = both.clone().with_keeper(keeper.clone());
    second.rotate_keys().unwrap();
    back_up(&second.project("kept").unwrap(), 4);
    // Opened with the same master key in one process: the keys are taken over on the way.
    assert_eq!(first.manifests().unwrap().readable.len(), 3);
    restored(&first, 4);
}

/// Does something that may fail at any write to the store or to the key file, and looks what is
/// left each time: with the kept key, everything that was not erased; and doing it again ends well.
fn every_failure(act: fn(&Repository) -> Result<(), RepositoryError>, erases: Option<&str>) {
    let look = |store: Arc<MemoryStore>, key: &MasterKey, what: &str| {
        for project in PROJECTS {
            if Some(project) != erases {
                assert!(
                    readable(store.clone(), key, project),
                    "{what}: {project} is lost"
                );
            }
        }
    };
    for (house, old) in [
        (House::new(), false),
        (House::of_an_earlier_version(), true),
    ] {
        let mut faults = 0;
        for (in_store, moment) in [
            (true, Moment::Before),
            (true, Moment::After),
            (false, Moment::Before),
            (false, Moment::After),
        ] {
            for n in 1.. {
                let what = format!("earlier {old}, in the store {in_store}, {moment:?}, {n}");
                let store = copy(&*house.store);
                let plan = FaultPlan::new(Counted::All);
                let faulty = FaultyStore::new(Shared(store.clone()), plan.clone());
                let opened = open(Arc::new(faulty), &house.key);
                let keeper = if in_store {
                    plan.arm(Some(Fault::crash(n, moment)));
                    Keeper::new(house.key.clone())
                } else {
                    Keeper::failing(house.key.clone(), n, moment)
                };
                let keeper = Arc::new(keeper);
                let done = act(&opened.with_keeper(keeper.clone()));
                plan.arm(None);
                look(store.clone(), &keeper.kept(), &what);
                if done.is_ok() {
                    assert!(n > 1 || old, "{what}: nothing could fail");
                    break;
                }
                faults += 1;
                let again = open(store.clone(), &keeper.kept()).with_keeper(keeper.clone());
                act(&again).unwrap_or_else(|error| panic!("{what}: again: {error:?}"));
                let left = keeper.kept();
                look(store.clone(), &left, &what);
                assert!(!left.is_replacing(), "{what}");
                assert!(store.head(names::ROTATING).unwrap().is_none(), "{what}");
                if let Some(erased) = erases {
                    let repository = open(store.clone(), &left);
                    let there = repository.erasable(erased).unwrap();
                    assert!(!there.had_key && there.objects == 0, "{what}");
                    if !old {
                        assert!(
                            !readable(copy(&*house.store), &left, erased),
                            "{what}: it came back"
                        );
                    }
                }
                for project in PROJECTS {
                    let opened = open(store.clone(), &left).project(project).unwrap();
                    back_up(&opened, 5);
                    restored(&opened, 5);
                }
            }
        }
        assert!(faults > 20, "only {faults} calls could fail");
    }
}

#[test]
fn an_erasure_that_fails_anywhere_takes_nothing_else_and_ends_when_done_again() {
    every_failure(
        |repository| repository.erase_project("erased").map(|_| ()),
        Some("erased"),
    );
}

#[test]
fn a_change_of_the_master_key_that_fails_anywhere_leaves_everything_readable() {
    every_failure(|repository| repository.rotate_keys().map(|_| ()), None);
}

#[test]
fn two_key_files_do_not_change_the_master_key_at_once() {
    let house = House::new();
    let (here, there) = (
        Arc::new(Keeper::new(house.key.clone())),
        Arc::new(Keeper::new(house.key.clone())),
    );
    let with = |keeper: &Arc<Keeper>| {
        open(house.store.clone(), &keeper.kept()).with_keeper(keeper.clone())
    };
    // One is broken off after it has said what it is about to do.
    let plan = FaultPlan::new(Counted::Writes);
    let faulty = FaultyStore::new(Shared(house.store.clone()), plan.clone());
    let first = open(Arc::new(faulty), &house.key).with_keeper(here.clone());
    plan.arm(Some(Fault::crash(2, Moment::After)));
    first.rotate_keys().unwrap_err();
    assert!(here.kept().is_replacing());
    let refused = with(&there).rotate_keys();
    assert!(
        matches!(refused, Err(RepositoryError::RotationElsewhere { .. })),
        "{refused:?}"
    );
    assert!(!there.kept().is_replacing(), "a refusal changes no key");
    with(&here).rotate_keys().unwrap();
    for project in PROJECTS {
        assert!(readable(house.store.clone(), &here.kept(), project));
    }
    assert!(Repository::open(house.store.clone(), &there.kept()).is_err());
}

#[test]
fn keys_are_not_changed_while_something_runs() {
    let house = House::new();
    let keeper = Arc::new(Keeper::new(house.key.clone()));
    let repository = open(house.store.clone(), &house.key).with_keeper(keeper.clone());
    let project = repository.project("kept").unwrap();
    let reader = project.reader(id(1)).unwrap();
    let refused = repository.rotate_keys();
    assert!(
        matches!(refused, Err(RepositoryError::Busy { ref project }) if project == "kept"),
        "{refused:?}"
    );
    drop(reader);
    repository.rotate_keys().unwrap();
    let unchangeable = open(house.store.clone(), &keeper.kept()).rotate_keys();
    assert!(matches!(
        unchangeable,
        Err(RepositoryError::KeyNotChangeable { .. })
    ));
}
