//! What goes in comes out, whatever the size, the target and the parent.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test may panic"
)]

use crate::support;

use std::sync::Arc;

use emberkeep_engine::{
    BackupError, CheckOptions, InitOptions, Repository, RepositoryError, RestoreError, Run,
};
use emberkeep_keys::MasterKey;
use emberkeep_store::{
    Counted, Fault, FaultKind, FaultPlan, FaultyStore, LocalStore, MemoryStore, Moment, ObjectStore,
};
use support::*;

#[test]
fn every_size_comes_back_on_fresh_and_used_targets() {
    let fixture = Fixture::new();
    let sizes = [
        0,
        1,
        4095,
        4096,
        4097,
        100_000,
        16 * MIB - 1,
        16 * MIB,
        16 * MIB + 1,
        40 * MIB + 7,
    ];
    for (n, size) in sizes.into_iter().enumerate() {
        let n = n as u128;
        let bytes = mixed(size, n as u64);
        let manifest = fixture.backup(n, &bytes);
        assert_eq!(manifest.size.0, size as u64);
        fixture.restores(n, &bytes);

        // A larger target full of old data: zeroes must be written, the rest left alone.
        let target = Target::used(vec![0xa5; size + 5000]);
        let report = fixture
            .project
            .restore(id(n), &target, &Run::new())
            .unwrap();
        let got = target.finished();
        assert!(got[..size] == bytes, "size {size} on a used target");
        assert!(
            got[size..].iter().all(|byte| *byte == 0xa5),
            "size {size}: bytes past the end"
        );
        assert_eq!(report.written_bytes + report.zeroed_bytes, size as u64);
    }
    let report = fixture
        .project
        .check(CheckOptions { read_data: true }, &Run::new())
        .unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert!(fixture.names("sessions").is_empty());
}

#[test]
fn all_zero_volumes_store_no_data() {
    let fixture = Fixture::new();
    let manifest = fixture.backup(1, &vec![0; 50 * MIB]);
    assert_eq!((manifest.root, manifest.statistics.read_bytes), (None, 0));
    assert!(fixture.names("packs").is_empty());
    let target = Target::used(vec![7; 50 * MIB]);
    fixture
        .project
        .restore(id(1), &target, &Run::new())
        .unwrap();
    assert!(target.finished().iter().all(|byte| *byte == 0));
}

#[test]
fn an_unchanged_volume_stores_nothing_and_a_changed_one_little() {
    let fixture = Fixture::new();
    let mut bytes = mixed(48 * MIB, 5);
    let first = fixture.backup(1, &bytes);
    assert!(first.statistics.new_chunks > 100);
    let packs = fixture.names("packs").len();

    let second = fixture.backup(2, &bytes);
    assert_eq!(second.root, first.root);
    assert_eq!(
        (second.statistics.new_chunks, second.statistics.stored_bytes),
        (0, 0)
    );
    assert_eq!(fixture.names("packs").len(), packs);

    bytes[20 * MIB..20 * MIB + 10].copy_from_slice(b"0123456789");
    let mut grown = bytes.clone();
    grown.extend(text(3 * MIB, 9));
    let third = {
        let request = emberkeep_engine::BackupRequest {
            parent: Some(id(2)),
            ..request(3)
        };
        fixture
            .project
            .backup(&Source(grown.clone()), request, &Run::new())
            .unwrap()
            .manifest
    };
    assert_eq!(third.parent, Some(id(2)));
    assert!(
        third.statistics.new_bytes < 4 * MIB as u64,
        "{:?}",
        third.statistics
    );

    let shrunk = bytes[..30 * MIB + 100].to_vec();
    fixture.backup(4, &shrunk);
    fixture.restores(3, &grown);
    fixture.restores(4, &shrunk);

    // In place: only what differs is written.
    let target = Target::used(grown.clone());
    let report = fixture
        .project
        .restore(id(2), &target, &Run::new())
        .unwrap();
    assert!(
        report.written_bytes < MIB as u64 && report.kept_bytes > 20 * MIB as u64,
        "{report:?}"
    );
    assert_eq!(*target.writes.lock().unwrap() as u64, report.written_bytes);
}

#[test]
fn noise_is_stored_raw_and_repeated_chunks_once() {
    let fixture = Fixture::new();
    let mut bytes = noise(8 * MIB, 1);
    let manifest = fixture.backup(1, &bytes);
    let stored = manifest.statistics.stored_bytes;
    assert!(stored < (8 * MIB + 64 * KIB) as u64, "{stored}");
    let twin = bytes.clone();
    bytes.resize(16 * MIB, 0);
    bytes.extend(twin);
    let manifest = fixture.backup(2, &bytes);
    assert!(
        manifest.statistics.new_chunks <= 1,
        "{:?}",
        manifest.statistics
    );
    fixture.restores(2, &bytes);
}

#[test]
fn the_local_store_carries_a_repository_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = mixed(20 * MIB + 123, 3);
    {
        let store: Arc<dyn ObjectStore> = Arc::new(LocalStore::create(dir.path()).unwrap());
        Fixture::on(store).backup(1, &bytes);
    }
    let store: Arc<dyn ObjectStore> = Arc::new(LocalStore::open(dir.path()).unwrap());
    let repository = Repository::open(store, &MasterKey::from_bytes([42; 32])).unwrap();
    let projects = repository.projects().unwrap();
    assert_eq!(
        projects.iter().map(|p| p.project()).collect::<Vec<_>>(),
        ["project-a"]
    );
    restores(&projects[0], 1, &bytes);
    let stats = projects[0].stats().unwrap();
    assert_eq!(
        (stats.backups, stats.logical_bytes),
        (1, bytes.len() as u64)
    );
    assert!(stats.stored_bytes < stats.logical_bytes && stats.packs >= 2);
}

#[test]
fn projects_share_nothing() {
    let fixture = Fixture::new();
    let repository = Repository::open(fixture.store.clone(), &fixture.master).unwrap();
    let other = repository.project("project-b").unwrap();
    let bytes = text(2 * MIB, 1);
    let mine = fixture.backup(1, &bytes);
    let theirs = other
        .backup(&Source(bytes.clone()), request(2), &Run::new())
        .unwrap()
        .manifest;
    assert_eq!(theirs.statistics.new_chunks, theirs.statistics.chunks);
    assert_ne!(mine.root, theirs.root);
    assert!(matches!(
        other.manifest(id(1)),
        Err(RepositoryError::NoSuchBackup(_))
    ));
    assert!(
        fixture.names("project-").is_empty(),
        "a project's name is in the clear"
    );
    // What a copy of the store still holds of an erased project cannot be read with any key.
    let copy: Vec<_> = fixture.names("p/").into_iter().collect();
    let copy: Vec<_> = copy
        .iter()
        .map(|n| (n, fixture.store.get(n).unwrap()))
        .collect();
    let would = repository.erasable("project-b").unwrap();
    assert!(would.had_key && would.backups == 1 && would.bytes > 0);
    assert_eq!(
        other.manifests().unwrap().readable.len(),
        1,
        "counting takes nothing"
    );
    assert_eq!(repository.erase_project("project-b").unwrap(), would);
    assert_eq!(
        repository.erasable("project-b").unwrap(),
        Default::default()
    );
    fixture.restores(1, &bytes);
    for (name, bytes) in &copy {
        fixture.store.put(name, &[bytes]).unwrap();
    }
    let reborn = repository.project("project-b").unwrap();
    assert_eq!(reborn.manifests().unwrap().readable.len(), 0);
    assert_eq!(reborn.manifests().unwrap().damaged.len(), 1);
    fixture.restores(1, &bytes);
}

#[test]
fn wrong_requests_are_refused_and_change_nothing() {
    let fixture = Fixture::new();
    let bytes = text(MIB, 2);
    fixture.backup(1, &bytes);
    let source = Source(bytes.clone());
    let project = &fixture.project;
    let run = Run::new();
    assert!(matches!(
        project.backup(&source, request(1), &run),
        Err(BackupError::Exists(_))
    ));
    let orphan = emberkeep_engine::BackupRequest {
        parent: Some(id(9)),
        ..request(2)
    };
    assert!(matches!(
        project.backup(&source, orphan, &run),
        Err(BackupError::NoSuchParent(_))
    ));
    let small = Target::used(vec![1; MIB - 1]);
    let refused = project.restore(id(1), &small, &run).unwrap_err();
    assert!(
        matches!(refused, RestoreError::VolumeTooSmall { .. }),
        "{refused}"
    );
    assert!(small.bytes.lock().unwrap().iter().all(|byte| *byte == 1));
    let none = project.restore(id(7), &Target::fresh(MIB), &run);
    assert!(matches!(none, Err(RestoreError::NoSuchBackup(_))));
    assert!(project.delete(id(1)).unwrap());
    assert!(!project.delete(id(1)).unwrap());
    assert!(fixture.names("sessions").is_empty());
}

#[test]
fn a_cancelled_run_stops_and_leaves_no_backup() {
    let fixture = Fixture::new();
    let run = Run::new();
    run.cancel();
    let outcome = fixture
        .project
        .backup(&Source(text(4 * MIB, 1)), request(1), &run);
    assert!(
        matches!(outcome, Err(BackupError::Cancelled)),
        "{outcome:?}"
    );
    assert!(fixture.names("manifests").is_empty() && fixture.names("sessions").is_empty());
    fixture.backup(1, &text(4 * MIB, 1));
    let outcome = fixture
        .project
        .restore(id(1), &Target::fresh(4 * MIB), &run);
    assert!(
        matches!(outcome, Err(RestoreError::Cancelled)),
        "{outcome:?}"
    );
}

#[test]
fn repositories_are_opened_with_their_own_key_only() {
    let store: Arc<dyn ObjectStore> = Arc::new(MemoryStore::new());
    let (master, other) = (MasterKey::generate(), MasterKey::generate());
    let open = |key: &MasterKey| Repository::open(store.clone(), key);
    assert!(matches!(
        open(&master),
        Err(RepositoryError::NotARepository { .. })
    ));
    assert!(!Repository::exists(&*store).unwrap());
    Repository::init(store.clone(), &master, InitOptions::default()).unwrap();
    assert!(Repository::exists(&*store).unwrap());
    let again = Repository::init(store.clone(), &other, InitOptions::default());
    assert!(matches!(again, Err(RepositoryError::Exists { .. })));
    assert!(open(&master).is_ok());
    let wrong = open(&other).unwrap_err();
    let said = wrong.to_string();
    assert!(
        said.contains(&master.id().to_string()) && said.contains(&other.id().to_string()),
        "{said}"
    );
}

#[test]
fn a_full_store_still_gives_its_backups_back() {
    let fixture = Fixture::new();
    let bytes = mixed(3 * MIB, 1);
    fixture.backup(1, &bytes);
    let plan = FaultPlan::new(Counted::Writes);
    let full = FaultyStore::new(Shared(fixture.store.clone()), plan.clone());
    let project = fixture.through(Arc::new(full));
    for kind in [FaultKind::NoSpace, FaultKind::Denied] {
        let fault = Fault {
            kind,
            ..Fault::once(1, Moment::Before)
        };
        plan.arm(Some(fault));
        restores(&project, 1, &bytes);
        assert!(plan.struck());
    }
}
