//! Copies of the catalog: what is erased stays erased in all of them, and nothing damaged is believed.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use emberkeep_engine::{
    CatalogCopyName, CatalogSection, InitOptions, OpenedCopy, Repository, RepositoryError, Run,
    SweepOptions,
};
use emberkeep_keys::{KeyFileError, KeyKeeper, MasterKey};
use emberkeep_store::{
    Counted, Fault, FaultPlan, FaultyStore, MemoryStore, Moment, ObjectStore, list_all,
};

use crate::support::{MIB, Shared, Source, copy, id, noise, request};

/// Keeps a master key as a file does.
#[derive(Debug)]
struct Keeper(Mutex<MasterKey>);

impl KeyKeeper for Keeper {
    fn load(&self) -> Result<MasterKey, KeyFileError> {
        Ok(self.0.lock().unwrap().clone())
    }

    fn change(&self, change: &dyn Fn(&MasterKey) -> MasterKey) -> Result<MasterKey, KeyFileError> {
        let mut key = self.0.lock().unwrap();
        *key = change(&key);
        Ok(key.clone())
    }
}

struct House {
    store: Arc<MemoryStore>,
    keeper: Arc<Keeper>,
    repository: Repository,
}

impl House {
    /// Two projects have backups, and so keys; `idle` has none.
    fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        let key = MasterKey::from_bytes([42; 32]);
        let repository = Repository::init(store.clone(), &key, InitOptions::default()).unwrap();
        let keeper = Arc::new(Keeper(Mutex::new(key)));
        let repository = repository.with_keeper(keeper.clone());
        for project in ["erased", "kept"] {
            back_up(&repository, project, 1);
        }
        Self {
            store,
            keeper,
            repository,
        }
    }

    fn key(&self) -> MasterKey {
        self.keeper.load().unwrap()
    }

    fn put(&self, after: u64) -> CatalogCopyName {
        let name = CatalogCopyName::after(after);
        let copy = self.repository.put_catalog_copy(name, sections()).unwrap();
        assert_eq!(copy.name, name);
        name
    }
}

fn back_up(repository: &Repository, project: &str, n: u128) {
    let project = repository.project(project).unwrap();
    let source = Source(noise(MIB / 4, 1));
    project.backup(&source, request(n), &Run::new()).unwrap();
}

fn sections() -> Vec<CatalogSection> {
    [None, Some("erased"), Some("idle"), Some("kept")]
        .map(|project| CatalogSection {
            project: project.map(str::to_owned),
            text: text(project.unwrap_or("common")),
        })
        .into()
}

fn text(of: &str) -> Vec<u8> {
    format!("rows of {of}\n").into_bytes()
}

fn texts(of: &[&str]) -> Vec<Vec<u8>> {
    of.iter().map(|of| text(of)).collect()
}

fn opened(
    store: Arc<dyn ObjectStore>,
    key: &MasterKey,
    name: CatalogCopyName,
) -> Result<OpenedCopy, RepositoryError> {
    Repository::open(store, key)?.open_catalog_copy(name)
}

#[test]
fn a_copy_holds_what_was_put_in_and_shows_nothing_of_it() {
    let house = House::new();
    assert_eq!(house.repository.catalog_copies().unwrap(), []);
    let first = house.put(0);
    let second = house.put(first.number);
    let listed = house.repository.catalog_copies().unwrap();
    let names: Vec<_> = listed.iter().map(|copy| copy.name).collect();
    assert_eq!(names, [first, second]);
    let copy = opened(house.store.clone(), &house.key(), first).unwrap();
    assert_eq!(copy.texts, texts(&["common", "erased", "idle", "kept"]));
    assert_eq!(copy.erased, 0);
    for object in list_all(&*house.store, "").unwrap() {
        let bytes = house.store.get(&object.name).unwrap();
        assert!(!bytes.windows(4).any(|w| w == b"rows"), "{}", object.name);
    }
    // The key that the copies have is no project's.
    let projects = house.repository.projects().unwrap();
    let projects: BTreeSet<_> = projects.iter().map(|p| p.project().to_owned()).collect();
    assert_eq!(projects, ["erased", "kept"].map(str::to_owned).into());
    assert!(house.repository.keyless().unwrap().is_empty());
    assert_eq!(house.repository.check_catalog_copies().unwrap().0, 2);
    house.repository.delete_catalog_copies(&[first]).unwrap();
    house.repository.delete_catalog_copies(&[first]).unwrap();
    assert_eq!(house.repository.catalog_copies().unwrap().len(), 1);
}

#[test]
fn an_erased_project_is_erased_in_copies_here_and_in_older_stores() {
    let house = House::new();
    let name = house.put(0);
    let old = copy(&*house.store);
    house.repository.erase_project("erased").unwrap();
    let want = texts(&["common", "idle", "kept"]);
    for (what, store) in [("here", house.store.clone()), ("an older store", old)] {
        let copy = opened(store, &house.key(), name).unwrap();
        assert_eq!((copy.texts, copy.erased), (want.clone(), 1), "{what}");
    }
    // It stays so when the project begins anew, with another key.
    back_up(&house.repository, "erased", 2);
    let copy = opened(house.store.clone(), &house.key(), name).unwrap();
    assert_eq!((copy.texts, copy.erased), (want, 1));
    let later = house.put(name.number);
    let copy = opened(house.store.clone(), &house.key(), later).unwrap();
    assert_eq!(copy.erased, 0);
}

#[test]
fn a_changed_master_key_opens_copies_before_and_after_and_the_old_one_none_after() {
    let house = House::new();
    let old_key = house.key();
    let before = house.put(0);
    let old_store = copy(&*house.store);
    house.repository.rotate_keys().unwrap();
    let after = house.put(before.number);
    for name in [before, after] {
        let copy = opened(house.store.clone(), &house.key(), name).unwrap();
        assert_eq!(copy.texts.len(), 4, "{name}");
    }
    // Who has the old key and an older store gets hold of the later copy.
    let object = list_all(&*house.store, "catalog/").unwrap().pop().unwrap();
    let bytes = house.store.get(&object.name).unwrap();
    old_store.put(&object.name, &[&bytes]).unwrap();
    let refused = opened(old_store, &old_key, after);
    assert!(
        matches!(refused, Err(RepositoryError::Damaged(_))),
        "{refused:?}"
    );
}

#[test]
fn every_flipped_byte_every_cut_and_every_swap_is_damage() {
    let house = House::new();
    let (one, two) = (house.put(0), house.put(1));
    let objects = list_all(&*house.store, "catalog/").unwrap();
    let [first, second] = [0, 1].map(|at| house.store.get(&objects[at].name).unwrap());
    let name = &objects[0].name;
    let refuses = |bytes: &[u8], what: &str| {
        house.store.put(name, &[bytes]).unwrap();
        let refused = house.repository.open_catalog_copy(one);
        assert!(
            matches!(refused, Err(RepositoryError::Damaged(_))),
            "{what}: {refused:?}"
        );
    };
    for at in 0..first.len() {
        let mut bad = first.clone();
        bad[at] ^= 0x40;
        refuses(&bad, &format!("byte {at}"));
        refuses(&first[..at], &format!("cut at {at}"));
    }
    refuses(&second, "another copy in its place");
    let (whole, damaged) = house.repository.check_catalog_copies().unwrap();
    assert_eq!((whole, damaged.len()), (1, 1));
    assert!(house.repository.open_catalog_copy(two).is_ok());
}

#[test]
fn a_copy_that_was_broken_off_anywhere_is_whole_or_absent() {
    let house = House::new();
    let before = house.put(0);
    for call in 1_u64.. {
        let moment = if call % 2 == 0 {
            Moment::Before
        } else {
            Moment::After
        };
        let plan = FaultPlan::new(Counted::All);
        let inner = copy(&*house.store);
        let faulty = FaultyStore::new(Shared(inner.clone()), plan.clone());
        let opened = Repository::open(Arc::new(faulty), &house.key()).unwrap();
        plan.arm(Some(Fault::crash(call.div_ceil(2), moment)));
        let broken = opened.put_catalog_copy(CatalogCopyName::after(1), sections());
        let repository = Repository::open(inner, &house.key()).unwrap();
        let (whole, damaged) = repository.check_catalog_copies().unwrap();
        assert!(damaged.is_empty() && whole >= 1, "call {call}");
        repository.open_catalog_copy(before).unwrap();
        let again = CatalogCopyName::after(2);
        repository.put_catalog_copy(again, sections()).unwrap();
        if broken.is_ok() {
            break;
        }
    }
}

#[test]
fn deleted_backups_are_told_from_lost_ones() {
    let house = House::new();
    let project = house.repository.project("kept").unwrap();
    for n in 2..=4 {
        back_up(&house.repository, "kept", n);
    }
    project.delete(id(2)).unwrap();
    let [object] = [id(3)].map(|id| {
        let all = list_all(&*house.store, "p/").unwrap();
        let name = format!("manifests/{id}");
        all.into_iter().find(|o| o.name.ends_with(&name)).unwrap()
    });
    house.store.delete_many(&[object.name]).unwrap();
    let there = project.backup_ids().unwrap();
    assert_eq!(there, [id(1), id(4)].into());
    let all: BTreeSet<_> = (1..=5).map(id).collect();
    let missing: BTreeSet<_> = all.difference(&there).copied().collect();
    assert_eq!(project.deleted_among(&missing).unwrap(), [id(2)].into());
    // A sweep that folds the ledger forgets nothing of it.
    back_up(&house.repository, "kept", 3);
    project.sweep(SweepOptions::default(), &Run::new()).unwrap();
    assert_eq!(project.deleted_among(&missing).unwrap(), [id(2)].into());
}
