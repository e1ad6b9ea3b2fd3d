//! Copies in another region: what they are, what they outlive, and what becomes of them.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod common;

use std::sync::Arc;

use emberkeep_engine::{InitOptions, Repository};
use emberkeep_keys::MasterKey;
use emberkeep_model::{
    Backup, BackupState, Caller, CheckpointStatus, ObjectType, ProtectType, Role, VaultId,
    VolumeId, VolumeStatus,
};
use emberkeep_service::query::BackupQuery;
use emberkeep_service::{
    CbrError, CbrRestore, Destination, NewCheckpoint, NewResource, NewServer, NewVault, Region,
    Regions, ServiceError,
};
use emberkeep_store::{MemoryStore, ObjectStore};

use common::{House, caller, until};

const AWAY: &str = "away";

/// A house with a second region under a key of its own.
async fn house() -> House {
    let store: Arc<dyn ObjectStore> = Arc::new(MemoryStore::new());
    let key = MasterKey::from_bytes([5; 32]);
    let away = Repository::init(store, &key, InitOptions::default()).unwrap();
    let mut house = House::new().await;
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
    let begun = service
        .replicate_backup(&set.alice, first, &set.to, Some("copy".into()), None)
        .await
        .unwrap();
    let twice = service
        .replicate_backup(&set.alice, first, &set.to, None, None)
        .await;
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
