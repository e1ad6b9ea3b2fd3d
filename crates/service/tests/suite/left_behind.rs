//! What becomes, at start-up, of backups, volumes and snapshots that were left in the middle of something: with a
//! task it goes on, without one it ends as Cinder ends it (`cinder-backup.md §3.6`).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use crate::common;

use common::{House, caller, of, until};
use emberkeep_catalog::{Change, Row};
use emberkeep_model::{
    Backup, BackupId, BackupState, Caller, Gib, Role, Snapshot, SnapshotStatus, Volume, VolumeId,
    VolumeStatus,
};
use emberkeep_service::{NewBackup, NewSnapshot};
use uuid::Uuid;

/// Puts a row beside the ones that are there, with no task about it.
async fn leave(house: &House, model: &Backup, change: impl FnOnce(&mut Backup)) -> BackupId {
    let mut backup = Backup {
        id: BackupId(Uuid::new_v4()),
        damage: None,
        content: None,
        revision: 0,
        ..model.clone()
    };
    change(&mut backup);
    let id = backup.id;
    let row = Change::Insert(Row::Backup(backup));
    house.catalog.apply(vec![row]).await.unwrap();
    id
}

async fn leave_volume(
    house: &House,
    model: &Volume,
    now: VolumeStatus,
    before: Option<VolumeStatus>,
) -> VolumeId {
    let volume = Volume {
        id: VolumeId(Uuid::new_v4()),
        status: now,
        previous_status: before,
        revision: 0,
        ..model.clone()
    };
    let id = volume.id;
    let row = Change::Insert(Row::Volume(volume));
    house.catalog.apply(vec![row]).await.unwrap();
    id
}

#[tokio::test]
async fn what_no_task_is_about_ends_as_cinder_ends_it() {
    let house = House::new().await.work();
    let alice = caller("0a", Role::Member);
    let volume = house.volume(&alice, "v1").await;
    let model = house.backup(&alice, of(volume.id)).await;
    let BackupState::Available(sealed) = model.state else {
        panic!("{:?}", model.state);
    };
    let taken = NewSnapshot {
        volume_id: volume.id,
        name: None,
        description: None,
        force: false,
        metadata: Default::default(),
    };
    let snapshot = house.service.create_snapshot(&alice, taken).await.unwrap();
    let look = || async { house.service.snapshot(&alice, snapshot.id).await.unwrap() };
    let mut snapshot: Snapshot = until("the snapshot", look, |one| {
        one.status == SnapshotStatus::Available
    })
    .await;
    snapshot.status = SnapshotStatus::BackingUp;
    let row = Change::Save(Row::Snapshot(snapshot.clone()));
    house.catalog.apply(vec![row]).await.unwrap();

    use {BackupState as S, VolumeStatus as V};
    let held = leave_volume(&house, &volume, V::BackingUp, Some(V::InUse)).await;
    let target = leave_volume(&house, &volume, V::RestoringBackup, Some(V::Available)).await;
    let untouched = leave_volume(&house, &volume, V::Maintenance, None).await;
    let creating = leave(&house, &model, |one| {
        one.state = S::Copying;
        one.volume_id = held;
    })
    .await;
    let of_snapshot = leave(&house, &model, |one| {
        one.state = S::Queued;
        one.snapshot_id = Some(snapshot.id);
    })
    .await;
    let restoring = leave(&house, &model, |one| {
        one.state = S::Restoring { sealed, target }
    })
    .await;
    let elsewhere = leave(&house, &model, |one| {
        one.state = S::RestoreQueued {
            sealed,
            target: untouched,
        };
    })
    .await;
    let deleting = leave(&house, &model, |one| one.state = S::Deleting).await;
    let encrypted = leave(&house, &model, |one| {
        one.state = S::DeleteQueued;
        one.cinder.encryption_key_id = Some("k".into());
    })
    .await;
    let failed = leave(&house, &model, |one| {
        one.state = S::Failed { reason: "r".into() };
        one.cinder.temp_volume_id = Some("t".into());
    })
    .await;
    let of_another_host = leave(&house, &model, |one| {
        one.state = S::Copying;
        one.cinder.host = Some("h2@backup".into());
    })
    .await;

    let house = house.restarted().await.work();
    let backup = async |id| house.service.backup(&alice, id).await.unwrap();
    let status = async |id| house.service.volume(&alice, id).await.unwrap().status;
    let reason = "incomplete backup reset on manager restart";
    for id in [creating, of_snapshot] {
        let shown = backup(id).await;
        assert!(
            matches!(&shown.state, S::Failed { reason: said } if said == reason),
            "{:?}",
            shown.state
        );
        assert_eq!(shown.fail_reason.as_deref(), Some(reason));
    }
    assert_eq!(status(held).await, V::InUse);
    let shown = house.service.snapshot(&alice, snapshot.id).await.unwrap();
    assert_eq!(shown.status, SnapshotStatus::Available);
    for id in [restoring, elsewhere] {
        assert!(matches!(backup(id).await.state, S::Available(_)));
    }
    assert_eq!(status(target).await, V::ErrorRestoring);
    assert_eq!(status(untouched).await, V::Maintenance);
    house.backup_gone(&alice, deleting).await;
    assert!(matches!(backup(encrypted).await.state, S::Failed { .. }));
    assert_eq!(backup(failed).await.cinder.temp_volume_id, None);
    assert!(matches!(backup(of_another_host).await.state, S::Copying));
    // The one that was whole still is.
    house.available(&alice, model.id).await;
}

#[tokio::test]
async fn what_a_task_is_about_goes_on() {
    // Nobody works before the restart: every row is where its request left it.
    let house = House::new().await.work();
    let alice: Caller = caller("0a", Role::Member);
    let volume = house.volume(&alice, "v1").await;
    let whole = house.backup(&alice, of(volume.id)).await;
    let doomed = house.backup(&alice, of(volume.id)).await;
    let target = house.volume(&alice, "target").await;
    let gone = house.volume(&alice, "gone").await;
    let grown = house.volume(&alice, "grown").await;
    let house = house.restarted().await;
    let service = &house.service;
    let made = service
        .create_backup(
            &alice,
            NewBackup {
                name: Some("b".into()),
                ..of(volume.id)
            },
        )
        .await
        .unwrap();
    let to = emberkeep_service::RestoreTo::Existing(target.id);
    service.restore_backup(&alice, whole.id, to).await.unwrap();
    service.delete_backup(&alice, doomed.id).await.unwrap();
    let how = emberkeep_service::DeleteVolume::default();
    service.delete_volume(&alice, gone.id, how).await.unwrap();
    service
        .extend_volume(&alice, grown.id, Gib(2))
        .await
        .unwrap();

    // Twice: starting again is no end either.
    let house = house.restarted().await.restarted().await;
    let service = &house.service;
    assert!(
        service
            .backup(&alice, made.id)
            .await
            .unwrap()
            .state
            .is_busy()
    );
    assert!(
        service
            .backup(&alice, whole.id)
            .await
            .unwrap()
            .state
            .is_busy()
    );
    let house = house.work();
    house.available(&alice, made.id).await;
    house.available(&alice, whole.id).await;
    house.backup_gone(&alice, doomed.id).await;
    house.volume_gone(&alice, gone.id).await;
    house
        .volume_is(&alice, target.id, VolumeStatus::Available)
        .await;
    let shown = house
        .volume_is(&alice, grown.id, VolumeStatus::Available)
        .await;
    assert_eq!(shown.size, Gib(2));
}

/// Whoever says of a backup that is being restored that it is in error stops that; the backup has lost nothing.
#[tokio::test]
async fn a_restore_is_stopped_by_saying_how_the_backup_stands() {
    let mut house = House::new().await.work();
    let alice = caller("0a", Role::Member);
    let root = caller("0a", Role::Admin);
    let volume = house.volume(&alice, "v1").await;
    let whole = house.backup(&alice, of(volume.id)).await;
    let targets = [
        house.volume(&alice, "t1").await,
        house.volume(&alice, "t2").await,
    ];
    for (target, available) in targets.into_iter().zip([false, true]) {
        // Nobody works yet, so that the restore is caught.
        let idle = house.restarted().await;
        let to = emberkeep_service::RestoreTo::Existing(target.id);
        let service = &idle.service;
        service.restore_backup(&alice, whole.id, to).await.unwrap();
        service
            .reset_backup(&root, whole.id, available)
            .await
            .unwrap();
        let shown = service.backup(&alice, whole.id).await.unwrap();
        let is_available = matches!(shown.state, BackupState::Available(_));
        assert_eq!(is_available, available);
        house = idle.work();
        house
            .volume_is(&alice, target.id, VolumeStatus::ErrorRestoring)
            .await;
        let shown = house.available(&alice, whole.id).await;
        assert_eq!(shown.fail_reason, None);
    }
}
