//! Servers' backups between projects, between vaults, and under policies.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use crate::common;

use common::{House, caller, until};
use emberkeep_catalog::{Change, Row};
use emberkeep_model::{
    Backup, BackupState, Caller, CheckpointStatus, Gib, Limit, MemberStatus, ObjectType,
    OperationDefinition, OperationType, Project, ProtectType, Role, ServerFacts, ServerId,
    TaskState, Timestamp, VaultId, VolumeChoice, VolumeId,
};
use emberkeep_service::query::{BackupQuery, Shared, TaskQuery};
use emberkeep_service::{
    BackupView, CbrError, CbrRestore, NewCheckpoint, NewPolicy, NewResource, NewServer, NewVault,
    SERVER_RESOURCE, ServiceError, VaultEdit,
};

fn alice() -> Caller {
    caller("alpha", Role::Member)
}

fn bob() -> Caller {
    caller("beta", Role::Member)
}

fn vault(object_type: ObjectType, resources: &[ServerId]) -> NewVault {
    NewVault {
        name: "servers".into(),
        description: None,
        object_type,
        protect_type: ProtectType::Backup,
        size: 10,
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
            .map(|id| NewResource {
                id: id.to_string(),
                kind: SERVER_RESOURCE.into(),
                name: None,
                choice: VolumeChoice::default(),
            })
            .collect(),
    }
}

async fn server(house: &House, who: &Caller, names: &[&str]) -> (ServerId, Vec<VolumeId>) {
    let mut volumes = Vec::new();
    for (seed, name) in names.iter().enumerate() {
        let volume = house.volume(who, name).await.id;
        house.write(volume, 0, seed as u64, 2 << 20);
        volumes.push(volume);
    }
    let new = NewServer {
        name: "web".into(),
        facts: ServerFacts {
            os_type: Some("Linux".into()),
            architecture: Some("x86_64".into()),
        },
        volumes: volumes.clone(),
        ..NewServer::default()
    };
    let made = house.service.create_server(who, new).await.unwrap();
    (made.server.id, volumes)
}

async fn backed_up(house: &House, vault: VaultId, automatic: bool) -> BackupView {
    let new = NewCheckpoint {
        vault_id: vault,
        name: Some("run".into()),
        description: None,
        incremental: true,
        automatic,
        resources: vec![],
        retention_days: None,
        policy_id: None,
    };
    let service = &house.service;
    let made = service.create_checkpoint(&alice(), new).await.unwrap();
    let id = made.checkpoint.id;
    let look = || async { service.checkpoint(&alice(), id).await.unwrap() };
    let ended = until("the run to end", look, |view| {
        view.checkpoint.status != CheckpointStatus::Protecting
    });
    assert_eq!(ended.await.checkpoint.status, CheckpointStatus::Available);
    let query = BackupQuery {
        checkpoint: Some(id),
        ..BackupQuery::default()
    };
    let page = service.cbr_backups(&alice(), query).await.unwrap();
    page.items.into_iter().next().unwrap()
}

async fn project(house: &House, name: &str) {
    let row = Row::Project(Project {
        id: name.parse().unwrap(),
        name: name.into(),
        description: String::new(),
        enabled: true,
        created_at: Timestamp(0),
        revision: 0,
    });
    house
        .catalog
        .apply(vec![Change::Insert(row)])
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_servers_backup_is_shared_and_restored_elsewhere() {
    let house = House::new().await.work();
    let service = &house.service;
    project(&house, "alpha").await;
    project(&house, "beta").await;
    let (web, disks) = server(&house, &alice(), &["root", "data"]).await;
    let new = vault(ObjectType::Server, &[web]);
    let made = service.create_vault(&alice(), new).await.unwrap().vault.id;
    let whole = backed_up(&house, made, false).await;
    let id = whole.backup.id;
    let wanted: Vec<_> = disks.iter().map(|disk| house.content(*disk)).collect();

    // Of a part alone there is nothing to share.
    let part = whole.parts[0].backup.id;
    let refused = service
        .add_members(&alice(), part, vec!["beta".into()])
        .await;
    assert!(matches!(
        refused,
        Err(ServiceError::Cbr(CbrError::NotShareable(_)))
    ));
    let hidden = service.cbr_backup(&bob(), id).await;
    assert!(matches!(hidden, Err(ServiceError::NoSuchBackup(_))));
    let shared = service.add_members(&alice(), id, vec!["beta".into()]).await;
    assert_eq!(shared.unwrap()[0].status, MemberStatus::Pending);
    // Seen with all its parts, but not for use before it is accepted, into a vault of its kind.
    let seen = service.cbr_backup(&bob(), id).await.unwrap();
    assert_eq!((seen.parts.len(), seen.backup.vault_id), (2, None));
    service.cbr_backup(&bob(), part).await.unwrap();
    let (copy, targets) = server(&house, &bob(), &["one", "two"]).await;
    let mappings: Vec<_> = whole
        .parts
        .iter()
        .map(|part| {
            let place = disks.iter().position(|d| *d == part.backup.volume_id);
            // Crosswise, to be sure that the mapping is what counts.
            (part.backup.id, targets[1 - place.unwrap()])
        })
        .collect();
    let to = CbrRestore {
        server_id: Some(copy),
        mappings,
        ..CbrRestore::default()
    };
    let early = service.cbr_restore(&bob(), id, to.clone()).await;
    assert!(matches!(
        early,
        Err(ServiceError::Cbr(CbrError::MemberUpdate(_)))
    ));
    let new = vault(ObjectType::Disk, &[]);
    let disk_vault = service.create_vault(&bob(), new).await.unwrap().vault.id;
    let caller = bob();
    let refused = service
        .answer_member(
            &caller,
            id,
            "beta",
            MemberStatus::Accepted,
            Some(disk_vault),
        )
        .await;
    assert!(matches!(
        refused,
        Err(ServiceError::Cbr(CbrError::MemberVaultKind(_)))
    ));
    let new = vault(ObjectType::Server, &[]);
    let received = service.create_vault(&bob(), new).await.unwrap().vault.id;
    let member = service
        .answer_member(&caller, id, "beta", MemberStatus::Accepted, Some(received))
        .await
        .unwrap();
    assert_eq!(member.vault_id, Some(received));
    let seen = service.cbr_backup(&bob(), id).await.unwrap();
    assert_eq!(seen.backup.vault_id, Some(received));
    assert!(
        seen.parts
            .iter()
            .all(|p| p.backup.vault_id == Some(received))
    );
    let list = BackupQuery {
        shared: Some(Shared {
            with: bob().project_id,
            statuses: vec![],
            own_too: false,
        }),
        ..BackupQuery::default()
    };
    let listed = service.cbr_backups(&bob(), list.clone()).await.unwrap();
    let ids: Vec<_> = listed.items.iter().map(|view| view.backup.id).collect();
    assert_eq!(ids, [id]);

    // Back to where it is from is not the receiver's to ask for; to disks of theirs is.
    let theirs = CbrRestore {
        server_id: Some(web),
        ..CbrRestore::default()
    };
    let refused = service.cbr_restore(&bob(), id, theirs).await;
    assert!(matches!(
        refused,
        Err(ServiceError::Cbr(CbrError::NoSuchServer(_)))
    ));
    let task = service.cbr_restore(&bob(), id, to.clone()).await.unwrap();
    let look = || async { service.task(&caller, task).await.unwrap().state };
    let ended = until("the restore to end", look, TaskState::has_ended).await;
    assert_eq!(ended, TaskState::Succeeded);
    for (place, wanted) in wanted.iter().enumerate() {
        assert_eq!(house.content(targets[1 - place]), *wanted);
    }
    // The owner sees none of the receiver's doings in the vault.
    let theirs = TaskQuery {
        work: vec!["restore"],
        ..TaskQuery::default()
    };
    let tasks = service.tasks(&alice(), theirs).await.unwrap().items;
    assert!(tasks.is_empty(), "{tasks:?}");

    // Rejected, it is of no use any more; the share goes with the backup.
    service
        .answer_member(&caller, id, "beta", MemberStatus::Rejected, None)
        .await
        .unwrap();
    let refused = service.cbr_restore(&bob(), id, to).await;
    assert!(matches!(
        refused,
        Err(ServiceError::Cbr(CbrError::MemberUpdate(_)))
    ));
    service.cbr_delete_backup(&alice(), id).await.unwrap();
    let look = || async { service.cbr_backup(&caller, id).await.err() };
    until("the backup to go", look, |gone| {
        matches!(gone, Some(ServiceError::NoSuchBackup(_)))
    })
    .await;
    let listed = service.cbr_backups(&bob(), list).await.unwrap();
    assert!(listed.items.is_empty());
}

async fn in_vault(house: &House, vault: VaultId) -> Vec<Backup> {
    let query = BackupQuery {
        vault: Some(vault),
        ..BackupQuery::default()
    };
    house.catalog.backups(&query).await.unwrap().items
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_keeps_as_many_backups_of_a_server_as_it_says() {
    let house = House::new().await.work();
    let service = &house.service;
    let (web, _) = server(&house, &alice(), &["root", "data"]).await;
    let policy = NewPolicy {
        name: "two".into(),
        enabled: true,
        operation_type: OperationType::Backup,
        definition: OperationDefinition {
            max_backups: Some(Limit(2)),
            ..OperationDefinition::default()
        },
        patterns: vec!["FREQ=DAILY;INTERVAL=1;BYHOUR=1".into()],
        zone: None,
    };
    let policy = service.create_policy(&alice(), policy).await.unwrap();
    let new = NewVault {
        backup_policy_id: Some(policy.policy.id),
        ..vault(ObjectType::Server, &[web])
    };
    let made = service.create_vault(&alice(), new).await.unwrap().vault.id;
    let by_hand = backed_up(&house, made, false).await.backup.id;
    let mut runs = Vec::new();
    for _ in 0..4 {
        runs.push(backed_up(&house, made, true).await.backup.id);
    }
    // Each with its parts: the one made by hand, and the last two.
    let look = || in_vault(&house, made);
    let left = until("retention to have its way", look, |left| {
        left.len() == 9 && left.iter().all(|b| !b.state.is_busy())
    })
    .await;
    let mut wholes: Vec<_> = left
        .iter()
        .filter(|b| b.cbr.kind == ObjectType::Server)
        .map(|b| b.id)
        .collect();
    wholes.sort();
    let mut wanted = vec![by_hand, runs[2], runs[3]];
    wanted.sort();
    assert_eq!(wholes, wanted);
    for part in left.iter().filter(|b| b.cbr.kind == ObjectType::Disk) {
        assert!(
            part.cbr
                .part_of
                .is_some_and(|whole| wanted.contains(&whole))
        );
        assert!(matches!(part.state, BackupState::Available(_)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_moves_to_another_vault_with_all_its_backups() {
    let house = House::new().await.work();
    let service = &house.service;
    let (web, disks) = server(&house, &alice(), &["root", "data"]).await;
    let new = vault(ObjectType::Server, &[web]);
    let from = service.create_vault(&alice(), new).await.unwrap().vault.id;
    let new = vault(ObjectType::Server, &[]);
    let to = service.create_vault(&alice(), new).await.unwrap().vault.id;
    let whole = backed_up(&house, from, false).await;
    let before = house.content(disks[0]);

    // No room for its disks, then enough.
    let small = |size| VaultEdit {
        size: Some(size),
        ..VaultEdit::default()
    };
    service.edit_vault(&alice(), to, small(1)).await.unwrap();
    let ids = vec![web.to_string()];
    let refused = service
        .migrate_resources(&alice(), from, to, ids.clone())
        .await;
    assert!(
        matches!(
            refused,
            Err(ServiceError::Cbr(CbrError::DestinationFull { .. }))
        ),
        "{refused:?}"
    );
    // Or the destination grows.
    let grows = VaultEdit {
        auto_expand: Some(true),
        ..VaultEdit::default()
    };
    service.edit_vault(&alice(), to, grows).await.unwrap();
    let moved = service.migrate_resources(&alice(), from, to, ids).await;
    assert_eq!(moved.unwrap(), [web.into()]);
    let view = service.vault(&alice(), to).await.unwrap();
    assert_eq!((view.vault.size, view.usage.allocated), (Gib(2), Gib(2)));
    assert!(in_vault(&house, from).await.is_empty());
    assert_eq!(in_vault(&house, to).await.len(), 3);
    let shown = service.cbr_backup(&alice(), whole.backup.id).await.unwrap();
    assert_eq!((shown.backup.vault_id, shown.parts.len()), (Some(to), 2));

    house.write(disks[0], 0, 99, 1 << 20);
    let target = CbrRestore {
        server_id: Some(web),
        ..CbrRestore::default()
    };
    let task = service
        .cbr_restore(&alice(), whole.backup.id, target)
        .await
        .unwrap();
    let look = || async { service.task(&alice(), task).await.unwrap().state };
    let ended = until("the restore to end", look, TaskState::has_ended).await;
    assert_eq!(ended, TaskState::Succeeded);
    assert_eq!(house.content(disks[0]), before);
}
