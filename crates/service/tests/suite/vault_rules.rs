//! What vaults allow: how much comes into them, what they keep, what stops them, what they take in.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use crate::common;

use common::{House, caller, of, until};
use emberkeep_catalog::{Change, Row};
use emberkeep_model::{
    Backup, BackupId, BackupState, ByteCount, Caller, CheckpointStatus, Gib, ObjectType,
    OperationDefinition, OperationType, ProtectType, ResourceId, Role, Tag, VaultId, VaultStatus,
    VolumeId, VolumeStatus,
};
use emberkeep_service::query::BackupQuery;
use emberkeep_service::{
    CbrError, CbrRestore, FILE_SYSTEM_RESOURCE, NewBackup, NewCheckpoint, NewFileSystem, NewPolicy,
    NewResource, NewServer, NewVault, RestoreTo, SERVER_RESOURCE, ServiceError, VOLUME_RESOURCE,
    VaultEdit, VaultUse,
};

const GIB: u64 = 1 << 30;

fn alice() -> Caller {
    caller("alpha", Role::Member)
}

/// The administrator, who has a project of her own.
fn root() -> Caller {
    caller("omega", Role::Admin)
}

fn vault(object_type: ObjectType, size: i64, resources: &[(ResourceId, &str)]) -> NewVault {
    NewVault {
        name: "v".into(),
        description: None,
        object_type,
        protect_type: ProtectType::Backup,
        size,
        auto_expand: false,
        auto_bind: false,
        bind_rules: vec![],
        tags: vec![],
        locked: false,
        smn_notify: true,
        threshold: 80,
        backup_name_prefix: None,
        backup_policy_id: None,
        resources: resources
            .iter()
            .map(|(id, kind)| NewResource {
                id: id.to_string(),
                kind: (*kind).into(),
                name: None,
                choice: Default::default(),
            })
            .collect(),
    }
}

fn run_over(vault_id: VaultId) -> NewCheckpoint {
    NewCheckpoint {
        vault_id,
        name: None,
        description: None,
        incremental: true,
        automatic: false,
        resources: vec![],
        retention_days: None,
        policy_id: None,
    }
}

fn sized(size: i64) -> VaultEdit {
    VaultEdit {
        size: Some(size),
        ..VaultEdit::default()
    }
}

fn expanding(yes: bool) -> VaultEdit {
    VaultEdit {
        auto_expand: Some(yes),
        ..VaultEdit::default()
    }
}

/// A volume of 1 GiB in a vault of 1 GB.
struct Set {
    house: House,
    volume: VolumeId,
    vault: VaultId,
}

impl Set {
    async fn new() -> Self {
        let house = House::new().await.work();
        let volume = house.volume(&alice(), "a").await.id;
        let new = vault(ObjectType::Disk, 10, &[(volume.into(), VOLUME_RESOURCE)]);
        let made = house.service.create_vault(&alice(), new).await.unwrap();
        let set = Self {
            house,
            volume,
            vault: made.vault.id,
        };
        set.edit(sized(1)).await;
        set
    }

    async fn edit(&self, edit: VaultEdit) {
        let edited = self
            .house
            .service
            .edit_vault(&alice(), self.vault, edit)
            .await;
        edited.unwrap();
    }

    async fn size(&self) -> u32 {
        let view = self.house.service.vault(&alice(), self.vault).await;
        view.unwrap().vault.size.0
    }

    /// Writes something new and makes a run; returns its backup.
    async fn run(&self, seed: u64) -> Backup {
        self.house.write(self.volume, seed << 20, seed, 1 << 20);
        let service = &self.house.service;
        let made = service
            .create_checkpoint(&alice(), run_over(self.vault))
            .await;
        let id = made.unwrap().checkpoint.id;
        let look = || async { service.checkpoint(&alice(), id).await.unwrap() };
        let ended = until("the run to end", look, |view| {
            view.checkpoint.status != CheckpointStatus::Protecting
        });
        assert_eq!(ended.await.checkpoint.status, CheckpointStatus::Available);
        let query = BackupQuery {
            checkpoint: Some(id),
            ..BackupQuery::default()
        };
        let found = self.house.catalog.backups(&query).await.unwrap();
        found.items.into_iter().next().unwrap()
    }

    /// Lets the catalogue count a backup as so large.
    async fn weighs(&self, id: BackupId, bytes: u64) {
        let mut row = self.house.catalog.backup(id).await.unwrap().unwrap();
        let BackupState::Available(sealed) = &mut row.state else {
            panic!("{:?}", row.state);
        };
        sealed.stored = ByteCount(bytes);
        let change = Change::Save(Row::Backup(row));
        self.house.catalog.apply(vec![change]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_vault_grows_if_it_may_and_else_takes_no_more() {
    let set = Set::new().await;
    let service = &set.house.service;
    let first = set.run(1).await;
    set.weighs(first.id, GIB - 1).await;
    // Begun below the limit, it may end above.
    set.run(2).await;
    let full = service
        .create_checkpoint(&alice(), run_over(set.vault))
        .await;
    assert!(matches!(full, Err(ServiceError::VaultFull(id)) if id == set.vault));
    let through_cinder = NewBackup {
        container: Some(set.vault.to_string()),
        ..of(set.volume)
    };
    let full = service
        .create_backup(&alice(), through_cinder.clone())
        .await;
    assert!(matches!(full, Err(ServiceError::VaultFull(_))), "{full:?}");
    // Too late to be allowed to grow.
    set.edit(expanding(true)).await;
    let full = service
        .create_checkpoint(&alice(), run_over(set.vault))
        .await;
    assert!(matches!(full, Err(ServiceError::VaultFull(_))));
    // What is stored cannot be shrunk away; a larger vault goes on, and grows when it is filled.
    let small = service.edit_vault(&alice(), set.vault, sized(1)).await;
    assert_eq!(small.unwrap().vault.size, Gib(1), "as large as before");
    set.edit(sized(2)).await;
    let small = service.edit_vault(&alice(), set.vault, sized(1)).await;
    assert!(matches!(
        small,
        Err(ServiceError::VaultCapacity { need: 2, have: 1 })
    ));
    set.run(3).await;
    assert_eq!(set.size().await, 2, "not full yet");
    set.weighs(first.id, 2 * GIB - (4 << 20)).await;
    set.house.write(set.volume, 64 << 20, 77, 1 << 20);
    // By whichever way: this one is Block Storage's.
    let noise =
        emberkeep_testkit::content::generate(emberkeep_testkit::content::Kind::Random, 8 << 20, 9);
    std::os::unix::fs::FileExt::write_all_at(
        &std::fs::File::options()
            .write(true)
            .open(set.house.path(set.volume))
            .unwrap(),
        &noise,
        128 << 20,
    )
    .unwrap();
    set.house.backup(&alice(), through_cinder).await;
    assert_eq!(set.size().await, 3, "a quarter more, rounded up");
    set.run(4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_bound_grows_only_as_its_vault_has_room() {
    let set = Set::new().await;
    let service = &set.house.service;
    let refused = service.extend_volume(&alice(), set.volume, Gib(3)).await;
    assert!(
        matches!(
            refused,
            Err(ServiceError::VaultCapacity { need: 3, have: 1 })
        ),
        "{refused:?}"
    );
    let volume = service.volume(&alice(), set.volume).await.unwrap();
    assert_eq!(
        (volume.status, volume.size),
        (VolumeStatus::Available, Gib(1))
    );

    set.edit(expanding(true)).await;
    service
        .extend_volume(&alice(), set.volume, Gib(3))
        .await
        .unwrap();
    assert_eq!(
        set.size().await,
        3,
        "at once, so that nobody else takes the room"
    );
    let grown = set
        .house
        .volume_is(&alice(), set.volume, VolumeStatus::Available)
        .await;
    assert_eq!(grown.size, Gib(3));
    let view = service.vault(&alice(), set.vault).await.unwrap();
    assert_eq!((view.vault.size, view.usage.allocated), (Gib(3), Gib(3)));

    // A volume of a server likewise.
    let disk = set.house.volume(&alice(), "disk").await.id;
    let server = NewServer {
        name: "web".into(),
        volumes: vec![disk],
        ..NewServer::default()
    };
    let server = service
        .create_server(&alice(), server)
        .await
        .unwrap()
        .server;
    let new = vault(
        ObjectType::Server,
        10,
        &[(server.id.into(), SERVER_RESOURCE)],
    );
    let servers = service.create_vault(&alice(), new).await.unwrap().vault.id;
    let refused = service.extend_volume(&alice(), disk, Gib(11)).await;
    assert!(matches!(
        refused,
        Err(ServiceError::VaultCapacity { need: 11, have: 10 })
    ));
    service
        .extend_volume(&alice(), disk, Gib(10))
        .await
        .unwrap();
    set.house
        .volume_is(&alice(), disk, VolumeStatus::Available)
        .await;
    let view = service.vault(&alice(), servers).await.unwrap();
    assert_eq!((view.vault.size, view.usage.allocated), (Gib(10), Gib(10)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_outgrows_its_vault_stops_it() {
    let roots = tempfile::tempdir().unwrap();
    let dir = roots.path().join("share");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("file"), b"x").unwrap();
    let allowed = roots.path().to_owned();
    let house = House::with(move |s| s.turbo_roots = vec![allowed.clone()])
        .await
        .work();
    let service = &house.service;
    let new = NewFileSystem {
        name: "team".into(),
        path: dir,
        ..NewFileSystem::default()
    };
    let admin = caller("alpha", Role::Admin);
    let system = service.create_file_system(&admin, new).await.unwrap();
    let new = vault(
        ObjectType::Turbo,
        10,
        &[(system.id.into(), FILE_SYSTEM_RESOURCE)],
    );
    let made = service.create_vault(&alice(), new).await.unwrap().vault.id;
    // As the next look at it would find it.
    let mut row = house.catalog.file_system(system.id).await.unwrap().unwrap();
    row.size = Gib(12);
    let change = Change::Save(Row::FileSystem(row));
    house.catalog.apply(vec![change]).await.unwrap();
    let refused = service.create_checkpoint(&alice(), run_over(made)).await;
    assert!(
        matches!(
            refused,
            Err(ServiceError::VaultCapacity { need: 12, have: 10 })
        ),
        "{refused:?}"
    );
    let edited = service.edit_vault(&alice(), made, expanding(true)).await;
    edited.unwrap();
    let begun = service.create_checkpoint(&alice(), run_over(made)).await;
    let view = begun.unwrap().vault.unwrap();
    assert_eq!((view.vault.size, view.usage.allocated), (Gib(12), Gib(12)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_vault_keeps_everything_as_it_is() {
    let set = Set::new().await;
    let service = &set.house.service;
    let backup = set.run(1).await.id;
    let refused = service.freeze_vault(&alice(), set.vault, None).await;
    assert!(
        matches!(refused, Err(ServiceError::Policy { .. })),
        "{refused:?}"
    );
    let stranger = caller("beta", Role::Member);
    let refused = service.freeze_vault(&stranger, set.vault, None).await;
    assert!(matches!(refused, Err(ServiceError::NoSuchVault(_))));
    let why = Some("a court says so".to_owned());
    let frozen = service.freeze_vault(&root(), set.vault, why.clone()).await;
    let frozen = frozen.unwrap();
    assert_eq!(
        (frozen.status, &frozen.frozen_scene),
        (VaultStatus::Frozen, &why)
    );
    let status = |refused: Option<ServiceError>, of: VaultUse| {
        assert!(
            matches!(
                &refused,
                Some(ServiceError::VaultStatus { status: "frozen", wanted, .. }) if *wanted == of
            ),
            "{refused:?}"
        );
    };
    let alice = alice();
    let run = service.create_checkpoint(&alice, run_over(set.vault)).await;
    status(run.err(), VaultUse::BackUp);
    status(
        service.edit_vault(&alice, set.vault, sized(9)).await.err(),
        VaultUse::Change,
    );
    let ids = vec![set.volume.to_string()];
    status(
        service.remove_resources(&alice, set.vault, ids).await.err(),
        VaultUse::Change,
    );
    status(
        service.delete_vault(&alice, set.vault).await.err(),
        VaultUse::Change,
    );
    let to = CbrRestore {
        volume_id: Some(set.volume),
        ..CbrRestore::default()
    };
    status(
        service.cbr_restore(&alice, backup, to).await.err(),
        VaultUse::Restore,
    );
    let fresh = RestoreTo::New { name: None };
    status(
        service.restore_backup(&alice, backup, fresh).await.err(),
        VaultUse::Restore,
    );
    for refused in [
        service.cbr_delete_backup(&alice, backup).await.err(),
        service.delete_backup(&alice, backup).await.err(),
        service.force_delete_backup(&root(), backup).await.err(),
        service.reset_backup(&root(), backup, false).await.err(),
    ] {
        assert!(
            matches!(
                refused,
                Some(ServiceError::Cbr(CbrError::VaultKeeps {
                    status: "frozen",
                    ..
                }))
            ),
            "{refused:?}"
        );
    }
    service.retain_all().await.unwrap();
    let there = service.cbr_backup(&alice, backup).await.unwrap();
    assert!(matches!(there.backup.state, BackupState::Available(_)));

    let thawed = service.thaw_vault(&root(), set.vault).await.unwrap();
    assert_eq!(
        (thawed.status, thawed.frozen_scene),
        (VaultStatus::Available, None)
    );
    set.run(2).await;

    // A vault in error can only be deleted, or be put right by an administrator.
    let mut row = set.house.catalog.vault(set.vault).await.unwrap().unwrap();
    row.status = VaultStatus::Error;
    let change = Change::Save(Row::Vault(row));
    set.house.catalog.apply(vec![change]).await.unwrap();
    let run = service.create_checkpoint(&alice, run_over(set.vault)).await;
    assert!(matches!(
        run,
        Err(ServiceError::VaultStatus {
            status: "error",
            wanted: VaultUse::BackUp,
            ..
        })
    ));
    service.thaw_vault(&root(), set.vault).await.unwrap();
    set.run(3).await;
    let mut row = set.house.catalog.vault(set.vault).await.unwrap().unwrap();
    row.status = VaultStatus::Error;
    let change = Change::Save(Row::Vault(row));
    set.house.catalog.apply(vec![change]).await.unwrap();
    service.delete_vault(&alice, set.vault).await.unwrap();
    let look = || async { service.vault(&alice, set.vault).await.err() };
    until("the vault to go", look, |gone| {
        matches!(gone, Some(ServiceError::NoSuchVault(_)))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_with_its_vault_does_not_go_alone() {
    // Nobody works, so that the vault stays on its way out.
    let set = Set::new().await;
    let backup = set.run(1).await.id;
    let mut row = set.house.catalog.vault(set.vault).await.unwrap().unwrap();
    row.status = VaultStatus::Deleting;
    let change = Change::Save(Row::Vault(row));
    set.house.catalog.apply(vec![change]).await.unwrap();
    let refused = set.house.service.cbr_delete_backup(&alice(), backup).await;
    assert!(matches!(
        refused,
        Err(ServiceError::Cbr(CbrError::VaultKeeps {
            status: "deleting",
            ..
        }))
    ));
    let refused = set
        .house
        .service
        .freeze_vault(&root(), set.vault, None)
        .await;
    assert!(matches!(refused, Err(ServiceError::VaultStatus { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn vaults_take_in_servers_and_file_systems_too() {
    let roots = tempfile::tempdir().unwrap();
    let allowed = roots.path().to_owned();
    let house = House::with(move |s| s.turbo_roots = vec![allowed.clone()])
        .await
        .work();
    let service = &house.service;
    let policy = NewPolicy {
        name: "nightly".into(),
        enabled: true,
        operation_type: OperationType::Backup,
        definition: OperationDefinition::default(),
        patterns: vec!["FREQ=DAILY;INTERVAL=1;BYHOUR=1".into()],
        zone: None,
    };
    let policy = service.create_policy(&alice(), policy).await.unwrap();
    let rule = Tag {
        key: "env".into(),
        value: "prod".into(),
    };
    let taking = |kind: ObjectType| NewVault {
        auto_bind: true,
        bind_rules: vec![rule.clone()],
        backup_policy_id: Some(policy.policy.id),
        ..vault(kind, 100, &[])
    };
    let mut vaults = Vec::new();
    for kind in [ObjectType::Server, ObjectType::Turbo] {
        let made = service.create_vault(&alice(), taking(kind)).await;
        vaults.push(made.unwrap().vault.id);
    }
    let held = |vault: VaultId| async move {
        let view = service.vault(&alice(), vault).await.unwrap();
        let resources = view.resources.iter();
        resources.map(|(r, _)| r.resource_id).collect::<Vec<_>>()
    };
    let tagged = || [("env".to_owned(), "prod".to_owned())].into();
    let mut wanted: Vec<ResourceId> = Vec::new();
    for (name, metadata) in [("prod", tagged()), ("test", Default::default())] {
        let disk = house.volume(&alice(), name).await.id;
        let new = NewServer {
            name: name.into(),
            volumes: vec![disk],
            metadata,
            ..NewServer::default()
        };
        let server = service.create_server(&alice(), new).await.unwrap();
        wanted.extend((name == "prod").then_some(ResourceId::from(server.server.id)));
    }
    // One that has nothing to back up yet waits until it has.
    let empty = NewServer {
        name: "empty".into(),
        metadata: tagged(),
        ..NewServer::default()
    };
    let empty = service.create_server(&alice(), empty).await.unwrap().server;
    let admin = caller("alpha", Role::Admin);
    for (name, metadata) in [("prod", tagged()), ("test", Default::default())] {
        let path = roots.path().join(name);
        std::fs::create_dir(&path).unwrap();
        let new = NewFileSystem {
            name: name.into(),
            path,
            metadata,
            ..NewFileSystem::default()
        };
        let system = service.create_file_system(&admin, new).await.unwrap();
        wanted.extend((name == "prod").then_some(ResourceId::from(system.id)));
    }
    service.bind_unprotected().await.unwrap();
    assert_eq!(held(vaults[0]).await, [wanted[0]]);
    assert_eq!(held(vaults[1]).await, [wanted[1]]);
    let late = house.volume(&alice(), "late").await.id;
    service
        .add_server_volumes(&alice(), empty.id, &[late])
        .await
        .unwrap();
    service.bind_unprotected().await.unwrap();
    assert_eq!(held(vaults[0]).await, [wanted[0], empty.id.into()]);
}
