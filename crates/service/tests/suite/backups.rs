//! Backups through Block Storage, from the first to the sweep.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use crate::common;

use common::{House, caller, of, until};
use emberkeep_catalog::{Change, Row};
use emberkeep_model::{BackupState, Gib, Role, SnapshotStatus, TaskState, VolumeStatus};
use emberkeep_service::query::{BackupQuery, TaskQuery};
use emberkeep_service::{
    DeleteVolume, NewBackup, NewSnapshot, NewVolume, Reach, Refusal, RestoreTo, ServiceError,
};

const MIB: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn full_incremental_restore_delete_sweep() {
    let house = House::new().await.work();
    let alice = caller("alpha", Role::Member);
    let volume = house.volume(&alice, "data").await;
    house.write(volume.id, 5_000_000, 1, 8 * MIB);
    let first_content = house.content(volume.id);
    let first = house.backup(&alice, of(volume.id)).await;
    assert!(!first.is_incremental());
    let sealed = first.state.sealed().unwrap();
    assert!(
        sealed.data.0 >= 8 << 20 && sealed.stored.0 < sealed.data.0,
        "{sealed:?}"
    );
    let settled = house
        .volume_is(&alice, volume.id, VolumeStatus::Available)
        .await;
    assert_eq!(settled.previous_status, Some(VolumeStatus::BackingUp));

    house.write(volume.id, 300 << 20, 2, MIB);
    let second_content = house.content(volume.id);
    let second = house
        .backup(
            &alice,
            NewBackup {
                incremental: true,
                ..of(volume.id)
            },
        )
        .await;
    assert_eq!(second.parent_id, Some(first.id));
    assert!(
        second.state.sealed().unwrap().new.0 < 2 << 20,
        "only what changed is stored"
    );

    // To a new volume, and over one that holds other data.
    let new = RestoreTo::New { name: None };
    let restore = house
        .service
        .restore_backup(&alice, first.id, new)
        .await
        .unwrap();
    assert_eq!(
        restore.volume.name.as_deref(),
        Some(format!("restore_backup_{}", first.id).as_str())
    );
    let restored = house
        .volume_is(&alice, restore.volume.id, VolumeStatus::Available)
        .await;
    assert_eq!(house.content(restored.id), first_content);
    assert_eq!(restored.metadata["src_backup_id"], first.id.to_string());
    house.available(&alice, first.id).await;
    house.write(restored.id, 700 << 20, 9, 4 * MIB);
    let onto = RestoreTo::Existing(restored.id);
    house
        .service
        .restore_backup(&alice, second.id, onto)
        .await
        .unwrap();
    house
        .volume_is(&alice, restored.id, VolumeStatus::Available)
        .await;
    assert_eq!(
        house.content(restored.id),
        second_content,
        "zeroes replace old data"
    );

    // The older one goes, the newer one stays whole.
    house.service.delete_backup(&alice, first.id).await.unwrap();
    house.backup_gone(&alice, first.id).await;
    let sweeps = || async {
        let query = TaskQuery {
            work: vec!["sweep"],
            ..TaskQuery::default()
        };
        house.service.tasks(&alice, query).await.unwrap().items
    };
    let done = |tasks: &Vec<emberkeep_model::Task>| {
        !tasks.is_empty() && tasks.iter().all(|t| t.state == TaskState::Succeeded)
    };
    until("the sweep", sweeps, done).await;
    let onto = RestoreTo::Existing(restored.id);
    house
        .service
        .restore_backup(&alice, second.id, onto)
        .await
        .unwrap();
    house
        .volume_is(&alice, restored.id, VolumeStatus::Available)
        .await;
    assert_eq!(house.content(restored.id), second_content);

    let all = BackupQuery::default();
    let listed = house
        .service
        .backups(&alice, all, Reach::Own)
        .await
        .unwrap()
        .items;
    assert_eq!(listed.iter().map(|b| b.id).collect::<Vec<_>>(), [second.id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_clones_and_growth() {
    let house = House::new().await.work();
    let alice = caller("alpha", Role::Member);
    let volume = house.volume(&alice, "data").await;
    house.write(volume.id, 0, 1, MIB);
    let before = house.content(volume.id);
    let new = NewSnapshot {
        volume_id: volume.id,
        name: None,
        description: None,
        force: false,
        metadata: Default::default(),
    };
    let snapshot = house.service.create_snapshot(&alice, new).await.unwrap();
    let look = || async { house.service.snapshot(&alice, snapshot.id).await.unwrap() };
    until("the snapshot", look, |s| {
        s.status == SnapshotStatus::Available
    })
    .await;
    house.write(volume.id, 0, 2, MIB);

    let from = NewBackup {
        snapshot_id: Some(snapshot.id),
        ..of(volume.id)
    };
    let backup = house.backup(&alice, from).await;
    assert_eq!(backup.data_timestamp, snapshot.created_at);
    until("the snapshot to be free", look, |s| {
        s.status == SnapshotStatus::Available
    })
    .await;
    let restored = house
        .service
        .restore_backup(
            &alice,
            backup.id,
            RestoreTo::New {
                name: Some("back".into()),
            },
        )
        .await
        .unwrap();
    house
        .volume_is(&alice, restored.volume.id, VolumeStatus::Available)
        .await;
    assert_eq!(house.content(restored.volume.id), before);

    let clone = NewVolume {
        snapshot_id: Some(snapshot.id),
        size: Some(Gib(2)),
        ..NewVolume::default()
    };
    let clone = house.service.create_volume(&alice, clone).await.unwrap();
    house
        .volume_is(&alice, clone.id, VolumeStatus::Available)
        .await;
    assert_eq!(
        std::fs::metadata(house.path(clone.id)).unwrap().len(),
        2 << 30
    );
    house
        .service
        .extend_volume(&alice, clone.id, Gib(3))
        .await
        .unwrap();
    let grown = house
        .volume_is(&alice, clone.id, VolumeStatus::Available)
        .await;
    assert_eq!(grown.size, Gib(3));

    let refused = house
        .service
        .delete_volume(&alice, volume.id, DeleteVolume::default())
        .await;
    assert!(matches!(
        refused,
        Err(ServiceError::Storage(Refusal::VolumeNotDeletable { .. }))
    ));
    let cascade = DeleteVolume {
        cascade: true,
        force: false,
    };
    house
        .service
        .delete_volume(&alice, volume.id, cascade)
        .await
        .unwrap();
    house.volume_gone(&alice, volume.id).await;
    // The backup outlives its volume.
    let restore = house
        .service
        .restore_backup(&alice, backup.id, RestoreTo::New { name: None })
        .await
        .unwrap();
    house
        .volume_is(&alice, restore.volume.id, VolumeStatus::Available)
        .await;
    assert_eq!(house.content(restore.volume.id), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_change_nothing() {
    let house = House::new().await.work();
    let alice = caller("alpha", Role::Member);
    let volume = house.volume(&alice, "data").await;
    let small = house.volume(&alice, "small").await;
    let new = NewVolume {
        size: Some(Gib(2)),
        ..NewVolume::default()
    };
    let large = house.service.create_volume(&alice, new).await.unwrap();
    house
        .volume_is(&alice, large.id, VolumeStatus::Available)
        .await;
    let backup = house.backup(&alice, of(large.id)).await;

    let incremental = NewBackup {
        incremental: true,
        ..of(volume.id)
    };
    let refused = house.service.create_backup(&alice, incremental).await;
    assert!(
        matches!(refused, Err(ServiceError::NoParent(_))),
        "no parent"
    );
    let onto = RestoreTo::Existing(small.id);
    let refused = house.service.restore_backup(&alice, backup.id, onto).await;
    assert!(matches!(
        refused,
        Err(ServiceError::RestoreTargetTooSmall {
            have: 1,
            need: 2,
            ..
        })
    ));

    // Another project does not even learn that it is there; a reader may look but not touch.
    let bob = caller("beta", Role::Member);
    let carol = caller("alpha", Role::Reader);
    let stranger = house.service.backup(&bob, backup.id).await;
    assert!(matches!(stranger, Err(ServiceError::NoSuchBackup(_))));
    let stranger = house.service.delete_backup(&bob, backup.id).await;
    assert!(matches!(stranger, Err(ServiceError::NoSuchBackup(_))));
    assert!(house.service.backup(&carol, backup.id).await.is_ok());
    let reader = house.service.delete_backup(&carol, backup.id).await;
    assert!(matches!(
        reader,
        Err(ServiceError::Policy {
            rule: "backup:delete"
        })
    ));
    let admin = caller("gamma", Role::Admin);
    assert!(house.service.backup(&admin, backup.id).await.is_ok());
    let page = house
        .service
        .backups(&admin, BackupQuery::default(), Reach::AllProjects)
        .await
        .unwrap();
    assert_eq!(page.items.len(), 1);
    let page = house
        .service
        .backups(&bob, BackupQuery::default(), Reach::AllProjects)
        .await
        .unwrap();
    assert_eq!(page.items.len(), 0, "a member's reach ends at the project");

    // In use: only by force, and the volume comes back as in-use.
    let mut row = house.service.volume(&alice, volume.id).await.unwrap();
    row.status = VolumeStatus::InUse;
    house
        .catalog
        .apply(vec![Change::Save(Row::Volume(row))])
        .await
        .unwrap();
    let refused = house.service.create_backup(&alice, of(volume.id)).await;
    assert!(matches!(refused, Err(ServiceError::BackupNeedsForce(_))));
    house
        .backup(
            &alice,
            NewBackup {
                force: true,
                ..of(volume.id)
            },
        )
        .await;
    house
        .volume_is(&alice, volume.id, VolumeStatus::InUse)
        .await;
    let onto = RestoreTo::Existing(volume.id);
    let refused = house.service.restore_backup(&alice, backup.id, onto).await;
    assert!(matches!(
        refused,
        Err(ServiceError::RestoreTargetStatus { .. })
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_cut_short_goes_on_after_a_restart() {
    let house = House::new().await.work();
    let alice = caller("alpha", Role::Member);
    let volume = house.volume(&alice, "data").await;
    house.write(volume.id, 0, 3, 2 * MIB);
    let content = house.content(volume.id);
    let house = house.restarted().await;

    // Asked for while no worker runs; then claimed by a process that dies at once.
    let backup = house
        .service
        .create_backup(&alice, of(volume.id))
        .await
        .unwrap();
    let now = backup.created_at.plus_secs(1);
    let claimed = house
        .catalog
        .claim_task("dead-worker", now, now.plus_secs(3600))
        .await
        .unwrap();
    assert_eq!(claimed.unwrap().backup_id, Some(backup.id));
    let house = house.restarted().await.work();
    house.available(&alice, backup.id).await;
    let restore = house
        .service
        .restore_backup(&alice, backup.id, RestoreTo::New { name: None })
        .await
        .unwrap();
    house
        .volume_is(&alice, restore.volume.id, VolumeStatus::Available)
        .await;
    assert_eq!(house.content(restore.volume.id), content);
    assert_eq!(
        house
            .catalog
            .task(restore.task_id)
            .await
            .unwrap()
            .unwrap()
            .state,
        TaskState::Succeeded
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_leaves_a_reason_and_a_free_volume() {
    let house = House::new().await;
    let alice = caller("alpha", Role::Member);
    let house = house.work();
    let volume = house.volume(&alice, "data").await;
    let house = house.restarted().await;
    let backup = house
        .service
        .create_backup(&alice, of(volume.id))
        .await
        .unwrap();
    let query = TaskQuery {
        backup: Some(backup.id),
        ..TaskQuery::default()
    };
    let task = house
        .service
        .tasks(&alice, query)
        .await
        .unwrap()
        .items
        .remove(0);
    house.service.cancel_task(&alice, task.id).await.unwrap();
    let house = house.work();
    let look = || async { house.service.backup(&alice, backup.id).await.unwrap() };
    let settled = until("the backup to settle", look, |b| !b.state.is_busy()).await;
    assert_eq!(
        settled.state,
        BackupState::Failed {
            reason: "cancelled".into()
        }
    );
    house
        .volume_is(&alice, volume.id, VolumeStatus::Available)
        .await;
    let again = house.service.cancel_task(&alice, task.id).await;
    assert!(matches!(again, Err(ServiceError::TaskEnded(_))));
    house
        .service
        .delete_backup(&alice, backup.id)
        .await
        .unwrap();
    house.backup_gone(&alice, backup.id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_stays_held_until_the_next_backup_has_frozen_it() {
    let house = House::new().await.work();
    let alice = caller("alpha", Role::Member);
    let volume = house.volume(&alice, "data").await;
    let house = house.restarted().await;
    let first = house
        .service
        .create_backup(&alice, of(volume.id))
        .await
        .unwrap();
    let now = first.created_at.plus_secs(1);
    house
        .catalog
        .claim_task("one", now, now.plus_secs(60))
        .await
        .unwrap();
    // The first one is copying and has let the volume go; the second is asked for.
    let mut row = house.catalog.volume(volume.id).await.unwrap().unwrap();
    row.status = VolumeStatus::Available;
    house
        .catalog
        .apply(vec![Change::Save(Row::Volume(row))])
        .await
        .unwrap();
    let second = house
        .service
        .create_backup(&alice, of(volume.id))
        .await
        .unwrap();
    house
        .volume_is(&alice, volume.id, VolumeStatus::BackingUp)
        .await;

    let query = TaskQuery {
        backup: Some(second.id),
        ..TaskQuery::default()
    };
    let mut later = house
        .service
        .tasks(&alice, query.clone())
        .await
        .unwrap()
        .items
        .remove(0);
    later.not_before = later.not_before.plus_secs(3600);
    house
        .catalog
        .apply(vec![Change::Save(Row::Task(later))])
        .await
        .unwrap();

    // The first one is taken up again and ends: the volume is not its to give back.
    let house = house.restarted().await.work();
    house.available(&alice, first.id).await;
    let held = house.service.volume(&alice, volume.id).await.unwrap();
    assert_eq!(held.status, VolumeStatus::BackingUp);

    let mut now = house
        .service
        .tasks(&alice, query)
        .await
        .unwrap()
        .items
        .remove(0);
    now.not_before = first.created_at;
    house
        .catalog
        .apply(vec![Change::Save(Row::Task(now))])
        .await
        .unwrap();
    house.available(&alice, second.id).await;
    house
        .volume_is(&alice, volume.id, VolumeStatus::Available)
        .await;
}
