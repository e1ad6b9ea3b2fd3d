//! Copies in another region: what they are, what they outlive, and what becomes of them.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use crate::common;

use std::sync::{Arc, Mutex};

use emberkeep_catalog::{Change, Key, Row};
use emberkeep_engine::{InitOptions, Repository};
use emberkeep_keys::MasterKey;
use emberkeep_model::{
    Backup, BackupState, Caller, CheckpointStatus, ObjectType, ProtectType, Role, ServerFacts,
    Synced, TaskState, Timestamp, VaultId, VolumeId, VolumeStatus, Work,
};
use emberkeep_service::query::{BackupQuery, TaskQuery};
use emberkeep_service::{
    CbrError, CbrRestore, Destination, NewCheckpoint, NewFileSystem, NewResource, NewServer,
    NewVault, Region, Regions, ReplicateBackup, ServiceError,
};
use emberkeep_store::{MemoryStore, ObjectStore};

use common::{House, caller, until};

const AWAY: &str = "away";

/// A house with a second region under a key of its own.
async fn house() -> House {
    with_region(House::new().await)
}

fn with_region(mut house: House) -> House {
    let store: Arc<dyn ObjectStore> = Arc::new(MemoryStore::new());
    let key = MasterKey::from_bytes([5; 32]);
    let away = Repository::init(store, &key, InitOptions::default()).unwrap();
    let others = [(AWAY.to_owned(), Region::new(move || Ok(away.clone())))];
    house.service = house.service.clone().with_regions(Regions {
        own: "home".into(),
        others: others.into(),
    });
    house.work()
}

fn new_vault(
    object_type: ObjectType,
    protect_type: ProtectType,
    id: Option<(String, &str)>,
) -> NewVault {
    NewVault {
        name: "v".into(),
        description: None,
        object_type,
        protect_type,
        size: 100,
        auto_expand: false,
        auto_bind: false,
        bind_rules: vec![],
        tags: vec![],
        locked: false,
        smn_notify: true,
        threshold: 80,
        backup_name_prefix: None,
        backup_policy_id: None,
        resources: id
            .into_iter()
            .map(|(id, kind)| NewResource {
                id,
                kind: kind.into(),
                choice: Default::default(),
                name: None,
            })
            .collect(),
    }
}

/// A vault here, one for copies, and what is needed to use them.
struct Set {
    house: House,
    alice: Caller,
    vault: VaultId,
    to: Destination,
}

impl Set {
    async fn new(house: House, kind: ObjectType, resource: (String, &str)) -> Self {
        let alice = caller("alpha", Role::Member);
        let here = new_vault(kind, ProtectType::Backup, Some(resource));
        let there = new_vault(kind, ProtectType::Replication, None);
        let vault = house
            .service
            .create_vault(&alice, here)
            .await
            .unwrap()
            .vault
            .id;
        let copies = house
            .service
            .create_vault(&alice, there)
            .await
            .unwrap()
            .vault
            .id;
        Self {
            to: Destination {
                region: AWAY.into(),
                project: alice.project_id.clone(),
                vault: copies,
            },
            house,
            alice,
            vault,
        }
    }

    async fn checkpoint(&self) {
        let new = NewCheckpoint {
            vault_id: self.vault,
            name: Some("run".into()),
            description: None,
            incremental: true,
            automatic: false,
            resources: Vec::new(),
            policy_id: None,
            retention_days: None,
        };
        let made = self.house.service.create_checkpoint(&self.alice, new).await;
        let id = made.unwrap().checkpoint.id;
        let look = || async {
            let view = self.house.service.checkpoint(&self.alice, id).await;
            view.unwrap().checkpoint.status
        };
        let ended = |status: &CheckpointStatus| *status != CheckpointStatus::Protecting;
        let status = until("the run to end", look, ended).await;
        assert_eq!(status, CheckpointStatus::Available);
    }

    async fn in_vault(&self, vault: VaultId) -> Vec<Backup> {
        let query = BackupQuery {
            vault: Some(vault),
            ..BackupQuery::default()
        };
        self.house.catalog.backups(&query).await.unwrap().items
    }

    async fn copied(&self) -> Vec<Backup> {
        let look = || self.in_vault(self.to.vault);
        let ended = |copies: &Vec<Backup>| copies.iter().all(|copy| !copy.state.is_busy());
        let copies = until("the copies to end", look, ended).await;
        for copy in &copies {
            assert!(matches!(copy.state, BackupState::Available(_)), "{copy:?}");
        }
        copies
    }

    async fn restore(&self, backup: &Backup, to: CbrRestore, volume: VolumeId) {
        let begun = self
            .house
            .service
            .cbr_restore(&self.alice, backup.id, to)
            .await;
        begun.unwrap();
        self.house
            .volume_is(&self.alice, volume, VolumeStatus::Available)
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_servers_copy_has_its_parts_and_outlives_its_source() {
    let house = house().await;
    let alice = caller("alpha", Role::Member);
    let (a, b) = (
        house.volume(&alice, "a").await.id,
        house.volume(&alice, "b").await.id,
    );
    house.write(a, 0, 1, 3 << 20);
    house.write(b, 5 << 20, 2, 2 << 20);
    let wanted = [house.content(a), house.content(b)];
    let new = NewServer {
        name: "web".into(),
        volumes: vec![a, b],
        ..NewServer::default()
    };
    let server = house
        .service
        .create_server(&alice, new)
        .await
        .unwrap()
        .server
        .id;
    let resource = (server.to_string(), "OS::Nova::Server");
    let set = Set::new(house, ObjectType::Server, resource).await;
    set.checkpoint().await;
    let service = &set.house.service;
    let (_, begun) = service
        .replicate_vault(&set.alice, set.vault, &set.to, false)
        .await
        .unwrap();
    assert_eq!(begun.len(), 1, "a server's backup is one, with its parts");
    let copies = set.copied().await;
    let whole = copies.iter().find(|copy| copy.id == begun[0].copy).unwrap();
    assert_eq!(whole.cbr.kind, ObjectType::Server);
    let parts: Vec<_> = copies
        .iter()
        .filter(|copy| copy.cbr.part_of == Some(whole.id))
        .collect();
    assert_eq!((parts.len(), copies.len()), (2, 3));

    // The source goes, with all that the sweep finds; the copy comes back.
    for backup in set.in_vault(set.vault).await {
        if backup.cbr.part_of.is_none() {
            service
                .cbr_delete_backup(&set.alice, backup.id)
                .await
                .unwrap();
        }
    }
    until(
        "the source to go",
        || set.in_vault(set.vault),
        Vec::is_empty,
    )
    .await;
    set.house.write(a, 0, 8, 3 << 20);
    set.house.write(b, 0, 9, 9 << 20);
    let to = CbrRestore {
        server_id: Some(server),
        ..CbrRestore::default()
    };
    set.restore(whole, to, a).await;
    set.house
        .volume_is(&set.alice, b, VolumeStatus::Available)
        .await;
    assert_eq!([set.house.content(a), set.house.content(b)], wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_keeps_nothing_from_going_on() {
    let house = house().await;
    let alice = caller("alpha", Role::Member);
    let volume = house.volume(&alice, "a").await.id;
    house.write(volume, 0, 1, 4 << 20);
    let resource = (volume.to_string(), "OS::Cinder::Volume");
    let set = Set::new(house, ObjectType::Disk, resource).await;
    set.checkpoint().await;
    let service = &set.house.service;
    let first = set.in_vault(set.vault).await[0].id;
    let mut asked = ReplicateBackup {
        to: set.to.clone(),
        name: Some("copy".into()),
        description: None,
    };
    let begun = service
        .replicate_backup(&set.alice, first, &asked)
        .await
        .unwrap();
    asked.name = None;
    let twice = service.replicate_backup(&set.alice, first, &asked).await;
    assert!(
        matches!(
            twice,
            Err(ServiceError::Cbr(CbrError::ReplicatedAlready { .. }))
        ),
        "{twice:?}"
    );
    // While it is being made the next backup is: of the volume's own chain, not after the copy.
    set.checkpoint().await;
    let copies = set.copied().await;
    assert_eq!((copies.len(), copies[0].id), (1, begun.copy));
    let second = set.in_vault(set.vault).await;
    let second = second.iter().find(|backup| backup.id != first).unwrap();
    assert_eq!(second.parent_id, Some(first));
    let (_, begun) = service
        .replicate_vault(&set.alice, set.vault, &set.to, false)
        .await
        .unwrap();
    assert_eq!(
        begun.iter().map(|one| one.source).collect::<Vec<_>>(),
        [second.id]
    );
    let copies = set.copied().await;
    let sealed = copies.iter().find(|copy| copy.id == begun[0].copy).unwrap();
    let sealed = sealed.state.sealed().unwrap();
    assert_eq!(
        sealed.stored.0, 0,
        "nothing has changed, and nothing travels"
    );
}

impl Set {
    /// Forgets rows of copies, as a lost catalogue would, and takes in what the store has.
    async fn forget_and_sync(&self, forgotten: &[Backup]) -> Synced {
        let changes = forgotten
            .iter()
            .map(|copy| Change::Remove(Key::Backup(copy.id), copy.revision));
        self.house.catalog.apply(changes.collect()).await.unwrap();
        let service = &self.house.service;
        let task = service
            .sync_replicas(&self.alice, self.to.vault)
            .await
            .unwrap();
        let look = || async { service.task(&self.alice, task).await.unwrap() };
        let ended = until("the sync to end", look, |task| task.state.has_ended()).await;
        assert_eq!(ended.state, TaskState::Succeeded);
        match ended.work {
            Work::SyncReplicas { found, .. } => found,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_servers_copy_is_taken_in_again_with_its_parts() {
    let house = house().await;
    let alice = caller("alpha", Role::Member);
    let volume = house.volume(&alice, "a").await.id;
    let other = house.volume(&alice, "b").await.id;
    house.write(volume, 0, 1, 3 << 20);
    house.write(other, 0, 2, 3 << 20);
    let wanted = [house.content(volume), house.content(other)];
    let new = NewServer {
        name: "web".into(),
        volumes: vec![volume, other],
        facts: ServerFacts {
            os_type: Some("Linux".into()),
            architecture: None,
        },
        ..NewServer::default()
    };
    let server = house.service.create_server(&alice, new).await.unwrap();
    let server = server.server.id;
    let resource = (server.to_string(), "OS::Nova::Server");
    let set = Set::new(house, ObjectType::Server, resource).await;
    set.checkpoint().await;
    let service = &set.house.service;
    service
        .replicate_vault(&set.alice, set.vault, &set.to, false)
        .await
        .unwrap();
    let before = set.copied().await;
    assert_eq!(before.len(), 3);
    let synced = set.forget_and_sync(&before).await;
    assert_eq!((synced.added, synced.gone, synced.unreadable), (3, 0, 0));
    let after = set.in_vault(set.to.vault).await;
    for was in &before {
        let is = after.iter().find(|copy| copy.id == was.id).unwrap();
        assert_eq!(
            (
                &is.name,
                is.size,
                is.volume_id,
                &is.volume_name,
                is.cbr.kind
            ),
            (
                &was.name,
                was.size,
                was.volume_id,
                &was.volume_name,
                was.cbr.kind
            )
        );
        assert_eq!(
            (&is.cbr.part_of, &is.cbr.replica),
            (&was.cbr.part_of, &was.cbr.replica)
        );
        assert_eq!(is.cbr.server, was.cbr.server);
        let stored = |backup: &Backup| backup.state.sealed().unwrap().stored;
        assert_eq!(stored(is), stored(was));
    }
    let whole = after
        .iter()
        .find(|copy| copy.cbr.part_of.is_none())
        .unwrap();
    for id in [volume, other] {
        set.house.write(id, 0, 77, 5 << 20);
    }
    let to = CbrRestore {
        server_id: Some(server),
        ..CbrRestore::default()
    };
    set.restore(whole, to, volume).await;
    set.house
        .volume_is(&set.alice, other, VolumeStatus::Available)
        .await;
    assert_eq!(
        [set.house.content(volume), set.house.content(other)],
        wanted
    );

    // The row alone comes back from what its parts remember.
    let lost: Vec<_> = set.in_vault(set.to.vault).await;
    let synced = set.forget_and_sync(&lost).await;
    assert_eq!(synced.added, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_systems_copy_is_taken_in_again() {
    let roots = tempfile::tempdir().unwrap();
    let share = roots.path().join("share");
    std::fs::create_dir(&share).unwrap();
    std::fs::write(share.join("file"), vec![7; 1 << 20]).unwrap();
    let allowed = roots.path().to_owned();
    let house = House::with(move |s| s.turbo_roots = vec![allowed.clone()]).await;
    let house = with_region(house);
    let admin = caller("alpha", Role::Admin);
    let new = NewFileSystem {
        name: "team".into(),
        path: share.clone(),
        ..NewFileSystem::default()
    };
    let system = house.service.create_file_system(&admin, new).await.unwrap();
    let resource = (system.id.to_string(), "OS::Sfs::Turbo");
    let set = Set::new(house, ObjectType::Turbo, resource).await;
    set.checkpoint().await;
    let service = &set.house.service;
    service
        .replicate_vault(&set.alice, set.vault, &set.to, false)
        .await
        .unwrap();
    let before = set.copied().await;
    assert_eq!(before.len(), 1);
    let synced = set.forget_and_sync(&before).await;
    assert_eq!((synced.added, synced.gone), (1, 0));
    let after = set.in_vault(set.to.vault).await;
    assert_eq!(
        (after[0].id, after[0].cbr.kind),
        (before[0].id, ObjectType::Turbo)
    );
    std::fs::write(share.join("file"), b"lost").unwrap();
    let to = CbrRestore {
        resource_id: Some(system.id.into()),
        ..CbrRestore::default()
    };
    let task = service
        .cbr_restore(&set.alice, after[0].id, to)
        .await
        .unwrap();
    let look = || async { service.task(&set.alice, task).await.unwrap().state };
    let ended = until("the restore to end", look, TaskState::has_ended).await;
    assert_eq!(ended, TaskState::Succeeded);
    assert_eq!(std::fs::read(share.join("file")).unwrap(), vec![7; 1 << 20]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_copy_leaves_is_swept_where_it_lies() {
    let house = house().await;
    let admin = caller("alpha", Role::Admin);
    let volume = house.volume(&admin, "a").await.id;
    house.write(volume, 0, 1, 2 << 20);
    let resource = (volume.to_string(), "OS::Cinder::Volume");
    let set = Set::new(house, ObjectType::Disk, resource).await;
    set.checkpoint().await;
    let service = &set.house.service;
    // Into the vault of another project, under the key of the one whose content it is.
    let bob = caller("beta", Role::Member);
    let there = new_vault(ObjectType::Disk, ProtectType::Replication, None);
    let there = service.create_vault(&bob, there).await.unwrap().vault.id;
    let to = Destination {
        region: AWAY.into(),
        project: bob.project_id.clone(),
        vault: there,
    };
    let refused = service
        .replicate_vault(&set.alice, set.vault, &to, false)
        .await;
    assert!(matches!(
        refused,
        Err(ServiceError::Cbr(CbrError::DestinationProject(_)))
    ));
    service
        .replicate_vault(&admin, set.vault, &to, false)
        .await
        .unwrap();
    let look = || set.in_vault(there);
    let copies = until("the copy to be made", look, |copies| {
        copies.iter().all(|copy| !copy.state.is_busy())
    })
    .await;
    assert_eq!(copies.len(), 1);
    assert_eq!(copies[0].content().0.as_str(), "alpha");
    // A sync finds it there, too.
    let task = service.sync_replicas(&bob, there).await.unwrap();
    let ended = || async { service.task(&bob, task).await.unwrap().state };
    let ended = until("the sync to end", ended, TaskState::has_ended).await;
    assert_eq!(ended, TaskState::Succeeded);
    let synced = set.in_vault(there).await;
    assert!(
        matches!(synced[0].state, BackupState::Available(_)),
        "{synced:?}"
    );
    service.cbr_delete_backup(&bob, copies[0].id).await.unwrap();
    until("the copy to go", look, Vec::is_empty).await;
    let sweeps = |project: &str| TaskQuery {
        project: Some(project.parse().unwrap()),
        work: vec!["sweep"],
        ..TaskQuery::default()
    };
    let of_source = set.house.catalog.tasks(&sweeps("alpha")).await.unwrap();
    let of_holder = set.house.catalog.tasks(&sweeps("beta")).await.unwrap();
    assert_eq!((of_source.items.len(), of_holder.items.len()), (1, 0));
}

/// A store in whose place another one can stand for a time.
struct Switch(Mutex<Repository>);

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_only_out_of_sight_comes_back() {
    let (key, other) = (
        MasterKey::from_bytes([5; 32]),
        MasterKey::from_bytes([6; 32]),
    );
    let open = |key: &MasterKey| {
        let store: Arc<dyn ObjectStore> = Arc::new(MemoryStore::new());
        Repository::init(store, key, InitOptions::default()).unwrap()
    };
    let (away, empty) = (open(&key), open(&other));
    let switch = Arc::new(Switch(Mutex::new(away.clone())));
    let mut house = House::new().await;
    // A region is asked for its repository once: a new service stands for a service begun anew.
    let regions = |house: &House| {
        let there = switch.0.lock().unwrap().clone();
        let others = [(AWAY.to_owned(), Region::new(move || Ok(there.clone())))];
        house.service.clone().with_regions(Regions {
            own: "home".into(),
            others: others.into(),
        })
    };
    house.service = regions(&house);
    let house = house.work();
    let alice = caller("alpha", Role::Member);
    let mut volumes = Vec::new();
    for (seed, name) in [(1, "a"), (2, "b")] {
        let id = house.volume(&alice, name).await.id;
        house.write(id, 0, seed, 2 << 20);
        volumes.push(id);
    }
    let new = NewServer {
        name: "web".into(),
        volumes: volumes.clone(),
        ..NewServer::default()
    };
    let server = house.service.create_server(&alice, new).await.unwrap();
    let resource = (server.server.id.to_string(), "OS::Nova::Server");
    let mut set = Set::new(house, ObjectType::Server, resource).await;
    set.checkpoint().await;
    let begun = set
        .house
        .service
        .replicate_vault(&set.alice, set.vault, &set.to, false)
        .await;
    begun.unwrap();
    let before = set.copied().await;
    assert_eq!(before.len(), 3);

    for (there, synced) in [(empty, (0, 2)), (away, (2, 0))] {
        *switch.0.lock().unwrap() = there;
        set.house = set.house.restarted().await;
        set.house.service = regions(&set.house);
        set.house = set.house.work();
        let found = set.forget_and_sync(&[]).await;
        assert_eq!((found.added, found.gone), synced);
        let rows = set.in_vault(set.to.vault).await;
        let is_gone = synced.1 > 0;
        if is_gone {
            // Neither does anything drop it meanwhile, nor does a lock let go of it.
            let mut copy = rows
                .iter()
                .find(|row| row.cbr.part_of.is_none())
                .unwrap()
                .clone();
            let id = copy.id;
            copy.automatic = true;
            copy.created_at = Timestamp(0);
            let mut vault = set
                .house
                .catalog
                .vault(set.to.vault)
                .await
                .unwrap()
                .unwrap();
            vault.locked = true;
            let changes = vec![
                Change::Save(Row::Backup(copy)),
                Change::Save(Row::Vault(vault)),
            ];
            set.house.catalog.apply(changes).await.unwrap();
            let refused = set.house.service.cbr_delete_backup(&set.alice, id).await;
            assert!(
                matches!(refused, Err(ServiceError::Cbr(CbrError::BackupLocked(_)))),
                "{refused:?}"
            );
            set.house.service.retain_all().await.unwrap();
        }
        for was in &before {
            let is = rows.iter().find(|row| row.id == was.id).unwrap();
            match &is.state {
                BackupState::Failed { reason } => assert!(is_gone && reason.contains(AWAY)),
                state => {
                    assert!(!is_gone, "{state}");
                    let stored = |row: &Backup| row.state.sealed().map(|sealed| sealed.stored);
                    assert_eq!(stored(is), stored(was));
                }
            }
        }
    }
    let wanted: Vec<_> = volumes.iter().map(|id| set.house.content(*id)).collect();
    let copies = set.in_vault(set.to.vault).await;
    let whole = copies.iter().find(|copy| copy.cbr.part_of.is_none());
    for id in &volumes {
        set.house.write(*id, 0, 77, 5 << 20);
    }
    let to = CbrRestore {
        server_id: Some(server.server.id),
        ..CbrRestore::default()
    };
    set.restore(whole.unwrap(), to, volumes[0]).await;
    let second = set
        .house
        .volume_is(&set.alice, volumes[1], VolumeStatus::Available);
    second.await;
    let now: Vec<_> = volumes.iter().map(|id| set.house.content(*id)).collect();
    assert_eq!(now, wanted);
}
