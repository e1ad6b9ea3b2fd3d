//! Vaults, checkpoints and backups as CBR sees them.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use crate::common;

use common::{House, caller, of, until};
use emberkeep_catalog::{Change, Row};
use emberkeep_model::{
    CheckpointStatus, Emptied, ObjectType, ProtectStatus, ProtectType, Role, SkipReason, Tag, Task,
    TaskState, VaultId, VaultStatus, VolumeId, VolumeStatus, Work,
};
use emberkeep_service::query::{BackupQuery, TaskQuery, VaultQuery};
use emberkeep_service::{
    CbrError, CbrRestore, DeleteVolume, NewBackup, NewCheckpoint, NewResource, NewVault,
    ServiceError, VOLUME_RESOURCE, VaultEdit, VaultUse,
};

fn vault(size: i64, resources: Vec<NewResource>) -> NewVault {
    NewVault {
        name: "v".into(),
        description: None,
        object_type: ObjectType::Disk,
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
        resources,
    }
}

fn disk(id: VolumeId) -> NewResource {
    NewResource {
        id: id.to_string(),
        kind: VOLUME_RESOURCE.into(),
        choice: Default::default(),
        name: None,
    }
}

fn run_over(vault_id: VaultId) -> NewCheckpoint {
    NewCheckpoint {
        vault_id,
        name: Some("run".into()),
        description: None,
        incremental: true,
        automatic: false,
        resources: vec![],
        retention_days: None,
        policy_id: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_over_a_vault_comes_back() {
    let house = House::new().await.work();
    let alice = caller("alpha", Role::Member);
    let (a, b) = (
        house.volume(&alice, "a").await,
        house.volume(&alice, "b").await,
    );
    house.write(a.id, 0, 1, 1 << 20);
    house.write(b.id, 0, 2, 1 << 20);
    let content = house.content(a.id);
    let made = house
        .service
        .create_vault(&alice, vault(10, vec![disk(a.id)]))
        .await
        .unwrap();
    let id = made.vault.id;
    // Adding twice is fine.
    for _ in 0..2 {
        let added = house
            .service
            .add_resources(&alice, id, vec![disk(a.id), disk(b.id)])
            .await;
        assert_eq!(added.unwrap(), [a.id.into(), b.id.into()]);
    }
    assert_eq!(
        house
            .service
            .vault(&alice, id)
            .await
            .unwrap()
            .usage
            .allocated
            .0,
        2
    );

    let run = house
        .service
        .create_checkpoint(&alice, run_over(id))
        .await
        .unwrap();
    assert_eq!(run.checkpoint.status, CheckpointStatus::Protecting);
    let look = || async {
        house
            .service
            .checkpoint(&alice, run.checkpoint.id)
            .await
            .unwrap()
            .checkpoint
            .status
    };
    until("the run", look, |s| *s == CheckpointStatus::Available).await;
    let query = || BackupQuery {
        checkpoint: Some(run.checkpoint.id),
        ..BackupQuery::default()
    };
    let backups = house
        .service
        .cbr_backups(&alice, query())
        .await
        .unwrap()
        .items;
    let mut names: Vec<_> = backups
        .iter()
        .map(|b| b.backup.name.clone().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["run-0001", "run-0002"]);
    let view = house.service.vault(&alice, id).await.unwrap();
    assert_eq!(view.usage.backups, 2);
    assert!(view.resources.iter().all(|(_, used)| used.backups == 1));

    let of_a = backups
        .iter()
        .find(|v| v.backup.volume_id == a.id)
        .unwrap()
        .backup
        .id;
    house.write(a.id, 0, 3, 2 << 20);
    let no_target = house
        .service
        .cbr_restore(&alice, of_a, CbrRestore::default())
        .await;
    assert!(matches!(
        no_target,
        Err(ServiceError::Invalid {
            field: "volume_id",
            ..
        })
    ));
    let to = CbrRestore {
        volume_id: Some(a.id),
        ..CbrRestore::default()
    };
    let restore = house.service.cbr_restore(&alice, of_a, to).await.unwrap();
    house.volume_is(&alice, a.id, VolumeStatus::Available).await;
    assert_eq!(house.content(a.id), content);
    assert_eq!(
        house.service.task(&alice, restore).await.unwrap().state,
        TaskState::Succeeded
    );

    // One skipped: its volume is gone by now; the rest of the run goes on.
    house
        .service
        .delete_volume(&alice, b.id, DeleteVolume::default())
        .await
        .unwrap();
    house.volume_gone(&alice, b.id).await;
    let second = house
        .service
        .create_checkpoint(&alice, run_over(id))
        .await
        .unwrap();
    assert_eq!(second.checkpoint.skipped.len(), 1);
    assert_eq!(second.checkpoint.skipped[0].reason, SkipReason::VolumeGone);
    let look = || async {
        house
            .service
            .checkpoint(&alice, second.checkpoint.id)
            .await
            .unwrap()
            .checkpoint
            .status
    };
    until("the second run", look, |s| {
        *s == CheckpointStatus::Available
    })
    .await;
    let skipped = TaskQuery {
        states: vec!["skipped"],
        ..TaskQuery::default()
    };
    assert_eq!(
        house
            .service
            .tasks(&alice, skipped)
            .await
            .unwrap()
            .items
            .len(),
        1
    );

    // Taking a resource out takes its backups along; a checkpoint goes with its last backup.
    house
        .service
        .remove_resources(&alice, id, vec![b.id.to_string()])
        .await
        .unwrap();
    let look = || async {
        house
            .service
            .vault(&alice, id)
            .await
            .unwrap()
            .resources
            .len()
    };
    until("the resource to go", look, |n| *n == 1).await;
    assert_eq!(
        house
            .service
            .cbr_backups(&alice, query())
            .await
            .unwrap()
            .items
            .len(),
        1
    );
    house.service.cbr_delete_backup(&alice, of_a).await.unwrap();
    let look = || async {
        house
            .service
            .checkpoint(&alice, run.checkpoint.id)
            .await
            .err()
            .map(|e| e.to_string())
    };
    until("the checkpoint to go", look, Option::is_some).await;

    house.service.delete_vault(&alice, id).await.unwrap();
    let look = || async {
        house
            .service
            .vault(&alice, id)
            .await
            .err()
            .map(|e| e.to_string())
    };
    until("the vault to go", look, Option::is_some).await;
    assert_eq!(
        house
            .service
            .cbr_backups(&alice, BackupQuery::default())
            .await
            .unwrap()
            .items
            .len(),
        0
    );
    // The volume is free for another vault.
    house
        .service
        .create_vault(&alice, vault(10, vec![disk(a.id)]))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn both_wires_see_one_backup() {
    let house = House::new().await.work();
    let alice = caller("alpha", Role::Member);
    let volume = house.volume(&alice, "data").await;
    let made = house
        .service
        .create_vault(&alice, vault(10, vec![]))
        .await
        .unwrap()
        .vault;
    let plain = house.backup(&alice, of(volume.id)).await;
    let hidden = house.service.cbr_backup(&alice, plain.id).await;
    assert!(
        matches!(hidden, Err(ServiceError::NoSuchBackup(_))),
        "not in a vault"
    );
    let inside = NewBackup {
        container: Some(made.id.to_string()),
        ..of(volume.id)
    };
    let inside = house.backup(&alice, inside).await;
    assert_eq!(
        house
            .service
            .cbr_backup(&alice, inside.id)
            .await
            .unwrap()
            .backup
            .vault_id,
        Some(made.id)
    );
    let word = NewBackup {
        container: Some("somewhere".into()),
        ..of(volume.id)
    };
    assert_eq!(house.backup(&alice, word).await.vault_id, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn vault_refusals_change_nothing() {
    let house = House::new().await.work();
    let (alice, bob) = (caller("alpha", Role::Member), caller("beta", Role::Member));
    let volume = house.volume(&alice, "data").await;
    for size in [i64::MIN, -1, 0, 9, 10_485_761, i64::MAX] {
        let refused = house
            .service
            .create_vault(&alice, vault(size, vec![]))
            .await;
        assert!(matches!(refused, Err(ServiceError::VaultSize(_))), "{size}");
    }
    let twice = vault(10, vec![disk(volume.id), disk(volume.id)]);
    let refused = house.service.create_vault(&alice, twice).await;
    assert!(matches!(refused, Err(ServiceError::ResourceTwice(_))));
    let mut server = disk(volume.id);
    server.kind = "OS::Nova::Server".into();
    let refused = house
        .service
        .create_vault(&alice, vault(10, vec![server]))
        .await;
    assert!(matches!(refused, Err(ServiceError::ResourceType { .. })));
    let refused = house
        .service
        .create_vault(&bob, vault(10, vec![disk(volume.id)]))
        .await;
    assert!(
        matches!(refused, Err(ServiceError::NoSuchVolume(_))),
        "another project's volume"
    );
    assert_eq!(
        house
            .service
            .vaults(&alice, VaultQuery::default())
            .await
            .unwrap()
            .items
            .len(),
        0
    );

    let first = house
        .service
        .create_vault(&alice, vault(10, vec![disk(volume.id)]))
        .await
        .unwrap();
    let refused = house
        .service
        .create_vault(&alice, vault(10, vec![disk(volume.id)]))
        .await;
    assert!(matches!(
        refused,
        Err(ServiceError::ResourceInOtherVault { .. })
    ));
    let stranger = house.service.vault(&bob, first.vault.id).await;
    assert!(matches!(stranger, Err(ServiceError::NoSuchVault(_))));
    let shrunk = VaultEdit {
        size: Some(0),
        ..VaultEdit::default()
    };
    let refused = house
        .service
        .edit_vault(&alice, first.vault.id, shrunk)
        .await;
    assert!(matches!(refused, Err(ServiceError::VaultSize(0))));
    let empty = house
        .service
        .create_vault(&alice, vault(10, vec![]))
        .await
        .unwrap();
    let refused = house
        .service
        .create_checkpoint(&alice, run_over(empty.vault.id))
        .await;
    assert!(matches!(refused, Err(ServiceError::NothingToBackUp)));
    let mut elsewhere = run_over(empty.vault.id);
    elsewhere.resources = vec![(volume.id.to_string(), None)];
    let refused = house.service.create_checkpoint(&alice, elsewhere).await;
    assert!(matches!(refused, Err(ServiceError::ResourceNotInVault(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_vaults_state_forbids() {
    let house = House::new().await.work();
    let alice = caller("alpha", Role::Member);
    let volume = house.volume(&alice, "data").await.id;
    let other = house.volume(&alice, "more").await.id;
    let service = &house.service;
    let made = service.create_vault(&alice, vault(10, vec![disk(volume)]));
    let id = made.await.unwrap().vault.id;
    let second = service.create_vault(&alice, vault(10, vec![]));
    let second = second.await.unwrap().vault.id;
    let sized = |size| VaultEdit {
        size: Some(size),
        ..VaultEdit::default()
    };
    let tags = || {
        vec![Tag {
            key: "env".into(),
            value: "prod".into(),
        }]
    };
    let stand = |status: VaultStatus| {
        let catalog = &house.catalog;
        async move {
            let mut row = catalog.vault(id).await.unwrap().unwrap();
            row.status = status;
            catalog
                .apply(vec![Change::Save(Row::Vault(row))])
                .await
                .unwrap();
        }
    };

    // A lock refuses another size and the end, and nothing else.
    stand(VaultStatus::Lock).await;
    let grown = service.edit_vault(&alice, id, sized(20)).await;
    assert!(changes_refused(&grown), "{grown:?}");
    let gone = service.delete_vault(&alice, id).await;
    assert!(changes_refused(&gone), "{gone:?}");
    let named = VaultEdit {
        name: Some("renamed".into()),
        ..VaultEdit::default()
    };
    service.edit_vault(&alice, id, named).await.unwrap();
    service.set_vault_tags(&alice, id, tags()).await.unwrap();
    let added = service.add_resources(&alice, id, vec![disk(other)]).await;
    assert_eq!(added.unwrap(), [other.into()]);

    // What is going away, stopped or broken takes nothing any more.
    for status in [
        VaultStatus::Deleting,
        VaultStatus::Frozen,
        VaultStatus::Error,
    ] {
        stand(status).await;
        let ids = || vec![volume.to_string()];
        let outcomes = [
            service.edit_vault(&alice, id, sized(20)).await.map(|_| ()),
            service.set_vault_tags(&alice, id, tags()).await,
            service
                .clear_vault_tags(&alice, id, vec!["env".into()])
                .await,
            service.delete_vault_tag(&alice, id, "env").await,
            service
                .add_resources(&alice, id, vec![disk(volume)])
                .await
                .map(|_| ()),
            service
                .remove_resources(&alice, id, ids())
                .await
                .map(|_| ()),
            service
                .suspend_resources(&alice, id, ids(), true)
                .await
                .map(|_| ()),
            service
                .migrate_resources(&alice, id, second, ids())
                .await
                .map(|_| ()),
        ];
        for (n, outcome) in outcomes.iter().enumerate() {
            assert!(changes_refused(outcome), "{status} {n} {outcome:?}");
        }
        let run = service.create_checkpoint(&alice, run_over(id)).await;
        assert!(
            matches!(
                run,
                Err(ServiceError::VaultStatus {
                    wanted: VaultUse::BackUp,
                    ..
                })
            ),
            "{status} {run:?}"
        );
    }
    stand(VaultStatus::Available).await;

    // What is on its way out does not come in again meanwhile, nor goes elsewhere.
    let resource = house.catalog.vault_resource(volume.into()).await;
    let mut resource = resource.unwrap().unwrap();
    resource.status = ProtectStatus::Removing;
    let row = Change::Save(Row::VaultResource(resource.clone()));
    house.catalog.apply(vec![row]).await.unwrap();
    let again = service.add_resources(&alice, id, vec![disk(volume)]).await;
    assert!(
        matches!(again, Err(ServiceError::ResourceRemoving(_))),
        "{again:?}"
    );
    let moved = service
        .migrate_resources(&alice, id, second, vec![other.to_string()])
        .await;
    assert!(
        matches!(moved, Err(ServiceError::VaultBusy(_))),
        "{moved:?}"
    );
    let skipped = service.create_checkpoint(&alice, run_over(id)).await;
    let skipped = skipped.unwrap().checkpoint.skipped;
    assert_eq!(skipped[0].reason, SkipReason::Removing);

    // A vault for copies holds no resources, and is not made with some.
    let mut copies = vault(10, vec![disk(volume)]);
    copies.protect_type = ProtectType::Replication;
    let refused = service.create_vault(&alice, copies.clone()).await;
    assert!(
        matches!(refused, Err(ServiceError::Cbr(CbrError::VaultForCopies(_)))),
        "{refused:?}"
    );
    copies.resources.clear();
    let copies = service.create_vault(&alice, copies).await.unwrap().vault.id;
    let refused = service
        .add_resources(&alice, copies, vec![disk(volume)])
        .await;
    assert!(
        matches!(refused, Err(ServiceError::Cbr(CbrError::VaultForCopies(_)))),
        "{refused:?}"
    );
}

fn changes_refused<T>(outcome: &Result<T, ServiceError>) -> bool {
    matches!(
        outcome,
        Err(ServiceError::VaultStatus {
            wanted: VaultUse::Change,
            ..
        })
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_tell_what_went_with_a_vault() {
    let house = House::new().await.work();
    let alice = caller("alpha", Role::Member);
    let volumes = [
        house.volume(&alice, "a").await.id,
        house.volume(&alice, "b").await.id,
    ];
    let service = &house.service;
    let made = service.create_vault(&alice, vault(10, volumes.map(disk).to_vec()));
    let id = made.await.unwrap().vault.id;
    let run = service.create_checkpoint(&alice, run_over(id)).await;
    let run = run.unwrap().checkpoint.id;
    let look = || async { service.checkpoint(&alice, run).await.unwrap() };
    until("the run to end", look, |view| {
        view.checkpoint.status == CheckpointStatus::Available
    })
    .await;
    let of_kind = |word: &'static str| TaskQuery {
        vault: Some(id),
        work: vec![word],
        ..TaskQuery::default()
    };
    let ended = |tasks: &Vec<Task>| tasks.iter().all(|task| task.state.has_ended());
    service
        .remove_resources(&alice, id, vec![volumes[0].to_string()])
        .await
        .unwrap();
    let look = || async {
        let found = service.tasks(&alice, of_kind("remove_resources")).await;
        found.unwrap().items
    };
    let removed = until("the resource to go", look, ended).await.remove(0);
    let Work::RemoveResources { names, .. } = &removed.work else {
        panic!("{removed:?}");
    };
    assert_eq!(names, &[Some("a".to_owned())]);
    service.delete_vault(&alice, id).await.unwrap();
    let look = || async {
        let found = service.tasks(&alice, of_kind("delete_vault")).await;
        found.unwrap().items
    };
    let deleted = until("the vault to go", look, ended).await.remove(0);
    let Work::DeleteVault { backups, .. } = deleted.work else {
        panic!("{deleted:?}");
    };
    assert_eq!(
        backups,
        Emptied {
            total: Some(1),
            left: 0
        }
    );
}
