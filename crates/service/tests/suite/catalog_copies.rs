//! A catalog comes back: from a copy, from manifests alone, and from a copy that is older than the store.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use emberkeep_catalog::{
    BackupQuery, Catalog, CatalogFile, Change, PolicyQuery, Row, SqliteCatalog, VaultQuery,
    VolumeQuery,
};
use emberkeep_engine::{Repository, Run, SweepOptions};
use emberkeep_model::{
    Assignment, Backup, BackupId, BackupState, Caller, ObjectType, OperationDefinition,
    OperationType, Project, ProtectType, Role, TaskState, Timestamp, User, VaultId, VolumeId,
    VolumeStatus, Work,
};
use emberkeep_service::{
    CatalogCheck, CatalogCopies, CopyWriter, NewCheckpoint, NewPolicy, NewResource, NewVault,
    Service, Settings, Supervisor, SystemClock, TakenUp, VOLUME_RESOURCE, VolumeFile, newer_copy,
    take_up, take_up_volumes, unknown_backups,
};
use emberkeep_volumes::FileProvider;

use crate::common::{House, caller, of, until};

const NOW: Timestamp = Timestamp(1_800_000_000_000_000);

/// A life: a user and a project, a locked vault with a policy, a run over it, a backup in no vault.
struct Life {
    house: House,
    caller: Caller,
    vault: VaultId,
    volume: VolumeId,
    backups: Vec<Backup>,
}

impl Life {
    async fn new() -> Self {
        let house = House::new().await.work();
        let caller = caller("c0ffee", Role::Manager);
        let user = User {
            id: caller.user_id.clone(),
            name: "anna".into(),
            password_hash: "hash".into(),
            default_project_id: Some(caller.project_id.clone()),
            enabled: true,
            created_at: NOW,
            revision: 0,
        };
        let project = Project {
            id: caller.project_id.clone(),
            name: "web".into(),
            description: String::new(),
            enabled: true,
            created_at: NOW,
            revision: 0,
        };
        let assignment = Assignment {
            user_id: caller.user_id.clone(),
            project_id: caller.project_id.clone(),
            role: Role::Manager,
        };
        let rows = [
            Row::User(user),
            Row::Project(project),
            Row::Assignment(assignment),
        ];
        let rows = rows.map(Change::Insert).into();
        house.catalog.apply(rows).await.unwrap();
        let volume = house.volume(&caller, "disk").await.id;
        house.write(volume, 0, 7, 300_000);
        let service = &house.service;
        let policy = NewPolicy {
            name: "nightly".into(),
            enabled: true,
            operation_type: OperationType::Backup,
            definition: OperationDefinition::default(),
            patterns: vec!["FREQ=DAILY;INTERVAL=1;BYHOUR=1;BYMINUTE=00".into()],
            zone: None,
        };
        let policy = service.create_policy(&caller, policy).await.unwrap();
        let new = NewVault {
            name: "v".into(),
            description: Some("words".into()),
            object_type: ObjectType::Disk,
            protect_type: ProtectType::Backup,
            size: 50,
            auto_expand: false,
            auto_bind: false,
            bind_rules: vec![],
            tags: vec![],
            locked: true,
            smn_notify: true,
            threshold: 70,
            backup_name_prefix: None,
            backup_policy_id: Some(policy.policy.id),
            resources: vec![NewResource {
                id: volume.to_string(),
                kind: VOLUME_RESOURCE.into(),
                choice: Default::default(),
                name: None,
            }],
        };
        let vault = service.create_vault(&caller, new).await.unwrap().vault.id;
        let run = NewCheckpoint {
            vault_id: vault,
            name: Some("run".into()),
            description: None,
            incremental: true,
            automatic: false,
            resources: vec![],
            retention_days: Some(9),
            policy_id: None,
        };
        service.create_checkpoint(&caller, run).await.unwrap();
        let mut life = Self {
            house,
            caller,
            vault,
            volume,
            backups: Vec::new(),
        };
        for backup in life.rows().await {
            life.house.available(&life.caller, backup.id).await;
        }
        life.house.backup(&life.caller, of(volume)).await;
        life.backups = life.rows().await;
        assert_eq!(life.backups.len(), 2);
        life
    }

    async fn rows(&self) -> Vec<Backup> {
        backups(&*self.house.catalog).await
    }

    fn file(&self) -> CatalogFile {
        CatalogFile::new(self.house.dir.path().join("catalogue.db"))
    }

    fn copies(&self, keep: usize) -> CatalogCopies {
        CatalogCopies::new(self.file(), self.house.repository.clone(), keep)
    }

    /// Makes a catalog from the latest copy.
    async fn restored(&self, name: &str) -> SqliteCatalog {
        let latest = self.house.repository.catalog_copies().unwrap();
        let latest = latest.last().unwrap().name;
        let opened = self.house.repository.open_catalog_copy(latest).unwrap();
        let file = CatalogFile::new(self.house.dir.path().join(name));
        file.import(opened.texts).await.unwrap();
        SqliteCatalog::open(file.path()).await.unwrap()
    }
}

async fn backups(catalog: &dyn Catalog) -> Vec<Backup> {
    let mut rows = catalog
        .backups(&BackupQuery::default())
        .await
        .unwrap()
        .items;
    rows.sort_by_key(|row| row.id);
    rows
}

async fn taken_up(catalog: &dyn Catalog, repository: &Repository) -> TakenUp {
    take_up(catalog, repository, true, NOW).await.unwrap()
}

/// A row without what says when it was written.
fn told(mut backup: Backup) -> Backup {
    backup.updated_at = None;
    backup.revision = 0;
    backup
}

fn service_over(catalog: SqliteCatalog, life: &Life, dir: &Path) -> Service {
    Service::new(
        Arc::new(catalog),
        life.house.repository.clone(),
        Arc::new(FileProvider::open(dir).unwrap()),
        Arc::new(SystemClock),
        Settings::default(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_comes_back_from_manifests_alone_but_passwords() {
    let life = Life::new().await;
    let path = life.house.dir.path().join("fresh.db");
    let catalog = SqliteCatalog::open(&path).await.unwrap();
    let report = taken_up(&catalog, &life.house.repository).await;
    assert_eq!((report.added, report.lost, report.unreadable), (2, 0, 0));
    let made = report.belongings;
    assert_eq!(
        (
            made.projects,
            made.users,
            made.vaults,
            made.policies,
            made.checkpoints
        ),
        (1, 1, 1, 1, 1)
    );
    let rows = backups(&catalog).await.into_iter().map(told);
    let want = life.backups.iter().cloned().map(told);
    assert_eq!(rows.collect::<Vec<_>>(), want.collect::<Vec<_>>());

    let before = life.house.catalog.vault(life.vault).await.unwrap().unwrap();
    let vault = catalog.vault(life.vault).await.unwrap().unwrap();
    assert!(vault.locked);
    let told = |vault: &emberkeep_model::Vault| {
        let (name, size, kind) = (vault.name.clone(), vault.size, vault.object_type);
        (name, size, kind, vault.description.clone(), vault.threshold)
    };
    assert_eq!(told(&vault), told(&before));
    let resources = catalog.vault_resources(life.vault).await.unwrap();
    let resources: Vec<_> = resources.iter().map(|one| one.resource_id).collect();
    assert_eq!(resources, [life.volume.into()]);
    let policies = PolicyQuery::default();
    let mut policies = [
        life.house.catalog.policies(&policies).await.unwrap().items,
        catalog.policies(&policies).await.unwrap().items,
    ];
    for policy in policies.iter_mut().flatten() {
        (policy.updated_at, policy.revision) = (None, 0);
    }
    assert_eq!(policies[0], policies[1]);
    assert_eq!(catalog.vault_policies(life.vault).await.unwrap().len(), 1);
    let run = life
        .backups
        .iter()
        .find_map(|one| one.checkpoint_id)
        .unwrap();
    let run = catalog.checkpoint(run).await.unwrap().unwrap();
    assert_eq!((run.name.as_str(), run.retention_days), ("run", Some(9)));

    let user = catalog.user(&life.caller.user_id).await.unwrap().unwrap();
    assert_eq!(user.name, "anna");
    assert_ne!(user.password_hash, "hash");
    let roles = catalog.assignments(&life.caller.user_id).await.unwrap();
    assert_eq!(
        roles.iter().map(|one| one.role).collect::<Vec<_>>(),
        [Role::Manager]
    );
    let projects = catalog.projects().await.unwrap();
    assert_eq!(projects[0].name, "web");

    // Again, and nothing happens.
    let again = taken_up(&catalog, &life.house.repository).await;
    assert_eq!((again.added, again.belongings), (0, Default::default()));

    let files = life.house.volumes.volumes().unwrap();
    let files: Vec<_> = files
        .into_iter()
        .map(|(id, size)| VolumeFile { id, size: size.0 })
        .collect();
    let (made, marked, strangers) = take_up_volumes(&catalog, &files, NOW).await.unwrap();
    assert_eq!((made, marked, strangers.len()), (1, 0, 0));
    let volume = catalog.volume(life.volume).await.unwrap().unwrap();
    let was = life
        .house
        .catalog
        .volume(life.volume)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (volume.name, volume.size, volume.status),
        (was.name, was.size, was.status)
    );
    assert_eq!(volume.project_id, life.caller.project_id);
    // A file that is gone is told.
    let (_, marked, _) = take_up_volumes(&catalog, &[], NOW).await.unwrap();
    assert_eq!(marked, 1);
    let volume = catalog.volume(life.volume).await.unwrap().unwrap();
    assert_eq!(volume.status, VolumeStatus::Error);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keystones_users_and_projects_are_not_made() {
    let life = Life::new().await;
    let catalog = SqliteCatalog::in_memory().await.unwrap();
    let report = take_up(&catalog, &life.house.repository, false, NOW)
        .await
        .unwrap();
    assert_eq!((report.added, report.belongings.users), (2, 0));
    assert!(catalog.users().await.unwrap().is_empty());
    assert!(catalog.projects().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_brings_all_rows_back_and_manifests_what_came_after_it() {
    let life = Life::new().await;
    life.copies(3).write().unwrap();
    let later = life.house.backup(&life.caller, of(life.volume)).await;
    let gone = life
        .backups
        .iter()
        .find(|one| one.vault_id.is_none())
        .unwrap()
        .id;
    life.house
        .service
        .delete_backup(&life.caller, gone)
        .await
        .unwrap();
    life.house.backup_gone(&life.caller, gone).await;

    let catalog = life.restored("copy.db").await;
    let user = catalog.user(&life.caller.user_id).await.unwrap().unwrap();
    assert_eq!(user.password_hash, "hash");
    let report = taken_up(&catalog, &life.house.repository).await;
    assert_eq!((report.added, report.deleted, report.lost), (1, 1, 0));
    assert_eq!(report.belongings, Default::default());
    let found = catalog.backup(later.id).await.unwrap().unwrap();
    assert_eq!(told(found), told(later));
    let found = catalog.backup(gone).await.unwrap().unwrap();
    assert_eq!(found.state, BackupState::Deleted);
    // Sweeps of the project go on: nothing is missed.
    let project = life.house.repository.project("c0ffee").unwrap();
    let due = backups(&catalog).await.iter().map(|one| one.id).collect();
    project
        .sweep_keeping(&due, SweepOptions::default(), &Run::new())
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_is_lost_is_told_from_one_that_was_deleted() {
    let life = Life::new().await;
    life.copies(3).write().unwrap();
    let lost = life.backups[0].id;
    let name = format!("{lost}");
    let mut manifests = walk(life.house.dir.path());
    manifests.retain(|path| path.ends_with(&name));
    let [manifest] = manifests.as_slice() else {
        panic!("{manifests:?}");
    };
    std::fs::remove_file(manifest).unwrap();
    let catalog = life.restored("copy.db").await;
    let report = taken_up(&catalog, &life.house.repository).await;
    assert_eq!((report.deleted, report.lost), (0, 1));
    let row = catalog.backup(lost).await.unwrap().unwrap();
    assert!(
        matches!(row.state, BackupState::Damaged(_)),
        "{:?}",
        row.state
    );
}

fn walk(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(walk(&path)),
            false if path.to_string_lossy().contains("/manifests/") => found.push(path),
            false => {}
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_copy_was_in_the_middle_of_is_settled_and_not_done_again() {
    let life = Life::new().await;
    // A run and a restore are under way when the copy is made.
    let source = life.backups[0].clone();
    let target = life.house.volume(&life.caller, "target").await;
    let mut making = source.clone();
    making.id = BackupId(uuid::Uuid::from_u128(9));
    making.state = BackupState::Copying;
    making.vault_id = None;
    making.checkpoint_id = None;
    let mut complete = source.clone();
    complete.state = BackupState::Copying;
    let mut restored = life.backups[1].clone();
    let sealed = restored.state.sealed().unwrap();
    restored.state = BackupState::Restoring {
        sealed,
        target: target.id,
    };
    let mut held = target.clone();
    held.status = VolumeStatus::RestoringBackup;
    let work = Work::Restore {
        backup_id: restored.id,
        volume_id: target.id,
        fresh: false,
    };
    let template = life.house.catalog.tasks(&Default::default()).await.unwrap();
    let mut restoring = template.items[0].clone();
    restoring.id = "90579aca-bb30-4c39-b80b-8f6d92efeace".parse().unwrap();
    restoring.work = work;
    restoring.state = TaskState::Waiting;
    restoring.not_before = Timestamp(i64::MAX / 4);
    restoring.ended_at = None;
    restoring.revision = 0;
    let rows = vec![
        Change::Insert(Row::Backup(Backup {
            revision: 0,
            ..making.clone()
        })),
        Change::Save(Row::Backup(complete)),
        Change::Save(Row::Backup(restored.clone())),
        Change::Save(Row::Volume(held)),
        Change::Insert(Row::Task(restoring.clone())),
    ];
    life.house.catalog.apply(rows).await.unwrap();
    life.copies(1).write().unwrap();

    let catalog = life.restored("copy.db").await;
    let report = taken_up(&catalog, &life.house.repository).await;
    assert_eq!((report.added, report.finished), (0, 1));
    let service = service_over(catalog.clone(), &life, life.house.dir.path());
    let settled = service.settle_copied("restored from a copy").await.unwrap();
    assert_eq!(settled.tasks, 1);
    let task = catalog.task(restoring.id).await.unwrap().unwrap();
    assert!(
        matches!(&task.state, TaskState::Failed { reason } if reason == "restored from a copy"),
        "{:?}",
        task.state
    );
    let state = |row: Option<Backup>| row.unwrap().state.word();
    assert_eq!(state(catalog.backup(source.id).await.unwrap()), "available");
    assert_eq!(
        state(catalog.backup(restored.id).await.unwrap()),
        "available"
    );
    let volume = catalog.volume(target.id).await.unwrap().unwrap();
    assert_eq!(volume.status, VolumeStatus::ErrorRestoring);
    // What no task is about is settled by the start, as ever.
    service.recover().await.unwrap();
    assert_eq!(state(catalog.backup(making.id).await.unwrap()), "failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_that_is_not_the_latest_is_noticed() {
    let life = Life::new().await;
    let repository = &life.house.repository;
    let file = life.file();
    assert!(unknown_backups(Some(&file), repository).unwrap().is_empty());
    assert_eq!(newer_copy(Some(&file), repository).unwrap(), None);
    let unknown = unknown_backups(None, repository).unwrap();
    assert_eq!((unknown.count(), unknown.backups.len()), (2, 1));

    let first = life.copies(3).write().unwrap();
    let older = CatalogFile::new(life.house.dir.path().join("older.db"));
    let opened = repository.open_catalog_copy(first.name).unwrap();
    older.import(opened.texts).await.unwrap();
    let latest = life.copies(3).write().unwrap();
    assert!(latest.name.number > first.name.number);
    assert_eq!(newer_copy(Some(&file), repository).unwrap(), None);
    assert_eq!(newer_copy(Some(&older), repository).unwrap(), Some(latest));
    assert_eq!(newer_copy(None, repository).unwrap(), Some(latest));

    let later = life.house.backup(&life.caller, of(life.volume)).await;
    assert!(unknown_backups(Some(&file), repository).unwrap().is_empty());
    let unknown = unknown_backups(Some(&older), repository).unwrap();
    assert_eq!(unknown.backups["c0ffee"], [later.id]);
    older
        .set_state(
            emberkeep_catalog::StateName::Accepted,
            &later.id.to_string(),
        )
        .unwrap();
    assert!(
        unknown_backups(Some(&older), repository)
            .unwrap()
            .is_empty()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_copies_are_kept_and_an_erased_project_comes_back_from_none() {
    let life = Life::new().await;
    let copies = Arc::new(life.copies(3));
    for _ in 0..5 {
        copies.write().unwrap();
    }
    let kept = life.house.repository.catalog_copies().unwrap();
    let numbers: Vec<_> = kept.iter().map(|copy| copy.name.number).collect();
    assert_eq!(numbers, [3, 4, 5]);
    let (whole, damaged) = life.house.repository.check_catalog_copies().unwrap();
    assert_eq!((whole, damaged.len()), (3, 0));

    life.house.repository.erase_project("c0ffee").unwrap();
    let catalog = life.restored("before.db").await;
    assert!(backups(&catalog).await.is_empty());
    assert!(catalog.projects().await.unwrap().is_empty());
    let vaults = catalog.vaults(&VaultQuery::default()).await.unwrap();
    let volumes = catalog.volumes(&VolumeQuery::default()).await.unwrap();
    assert_eq!((vaults.items.len(), volumes.items.len()), (0, 0));
    assert_eq!(catalog.users().await.unwrap().len(), 1);
    copies.replace().unwrap();
    let kept = life.house.repository.catalog_copies().unwrap();
    assert_eq!(kept.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_replaces_all_copies_at_once() {
    let house = House::new().await.work();
    let alice = caller("alpha", Role::Member);
    let volume = house.volume(&alice, "disk").await.id;
    house.write(volume, 0, 7, 300_000);
    house.backup(&alice, of(volume)).await;
    let file = CatalogFile::new(house.dir.path().join("catalogue.db"));
    let copies = CatalogCopies::new(file, house.repository.clone(), 9);
    for _ in 0..3 {
        copies.write().unwrap();
    }
    let before = house.repository.catalog_copies().unwrap();
    let service = house.service.clone().with_catalog_copies(Arc::new(copies));
    let root = caller("alpha", Role::Admin);
    service
        .erase_project(&root, &alice.project_id, Some("alpha"))
        .await
        .unwrap();
    let after = house.repository.catalog_copies().unwrap();
    assert_eq!((before.len(), after.len()), (3, 1));
    assert!(after[0].name.number > before[2].name.number);
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_that_comes_while_a_catalog_is_served_is_told() {
    let house = House::new().await;
    let path = house.dir.path().join("damaged.db");
    SqliteCatalog::open(&path).await.unwrap().close().await;
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.truncate(bytes.len() / 2);
    std::fs::write(&path, bytes).unwrap();
    let (damaged, mut told) = tokio::sync::watch::channel(None);
    let mut supervisor = Supervisor::new(Arc::clone(house.service.worker_table()));
    supervisor.start(CatalogCheck {
        file: CatalogFile::new(path),
        every: Duration::ZERO,
        damaged,
    });
    let words = told.wait_for(Option::is_some).await.unwrap().clone();
    assert!(words.unwrap().contains("is damaged"));
    supervisor.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_copy_is_written_soon_and_the_last_when_the_service_stops() {
    let house = House::new().await;
    let path = house.dir.path().join("catalogue.db");
    let catalog = SqliteCatalog::open(&path).await.unwrap();
    let changes = catalog.changes();
    let copies = CatalogCopies::new(CatalogFile::new(path), house.repository.clone(), 9);
    let mut supervisor = Supervisor::new(Arc::clone(house.service.worker_table()));
    supervisor.start(CopyWriter {
        copies: Arc::new(copies),
        changes,
        interval: Duration::from_secs(3600),
    });
    let count = || async { house.repository.catalog_copies().unwrap().len() };
    until("the first copy", count, |count| *count == 1).await;
    let project = Project {
        id: "late".parse().unwrap(),
        name: "late".into(),
        description: String::new(),
        enabled: true,
        created_at: NOW,
        revision: 0,
    };
    let row = Change::Insert(Row::Project(project));
    catalog.apply(vec![row]).await.unwrap();
    supervisor.stop().await;
    let latest = house.repository.catalog_copies().unwrap().pop().unwrap();
    let opened = house.repository.open_catalog_copy(latest.name).unwrap();
    let made = CatalogFile::new(house.dir.path().join("made.db"));
    made.import(opened.texts).await.unwrap();
    let made = SqliteCatalog::open(made.path()).await.unwrap();
    assert_eq!(made.projects().await.unwrap()[0].name, "late");
}
