//! What a project has is counted, whatever happened between asking and the end.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use crate::common;

use std::collections::BTreeMap;

use common::{House, caller, of};
use emberkeep_model::{Caller, Gib, Role, VolumeStatus};
use emberkeep_service::{Fault, NewVolume, ResetVolume, RestoreTo, ServiceError};

/// Volumes, their GiB, backups and their GiB, as the quota set tells them.
async fn usage(house: &House, caller: &Caller) -> [u64; 4] {
    let lines = house
        .service
        .quota_set(caller, &caller.project_id)
        .await
        .unwrap();
    let lines: BTreeMap<_, _> = lines
        .into_iter()
        .map(|line| (line.name, line.in_use))
        .collect();
    ["volumes", "gigabytes", "backups", "backup_gigabytes"].map(|name| lines[name])
}

/// The same, counted from what there is to see.
async fn seen(house: &House, caller: &Caller) -> [u64; 4] {
    use emberkeep_service::Reach::Own;
    let volumes = house
        .service
        .volumes(caller, Default::default(), Own)
        .await
        .unwrap()
        .items;
    let backups = house
        .service
        .backups(caller, Default::default(), Own)
        .await
        .unwrap()
        .items;
    [
        volumes.len() as u64,
        volumes.iter().map(|v| u64::from(v.size.0)).sum(),
        backups.len() as u64,
        backups.iter().map(|b| u64::from(b.size.0)).sum(),
    ]
}

/// A process dies after it has answered and before anything is done, at every step of a backup's life.
#[tokio::test]
async fn usage_is_what_exists_after_every_restart() {
    let member = caller("p1", Role::Member);
    let house = House::new().await.work();
    let volume = house.volume(&member, "v1").await;
    house.write(volume.id, 0, 1, 100_000);
    let house = house.restarted().await;
    assert_eq!(usage(&house, &member).await, [1, 1, 0, 0]);

    let backup = house
        .service
        .create_backup(&member, of(volume.id))
        .await
        .unwrap();
    let house = house.restarted().await;
    assert_eq!(usage(&house, &member).await, [1, 1, 1, 1], "asked for");
    let house = house.work();
    house.available(&member, backup.id).await;
    assert_eq!(usage(&house, &member).await, [1, 1, 1, 1], "made");
    let house = house.restarted().await;

    let to = RestoreTo::New { name: None };
    let restore = house
        .service
        .restore_backup(&member, backup.id, to)
        .await
        .unwrap();
    let house = house.restarted().await;
    assert_eq!(
        usage(&house, &member).await,
        [2, 2, 1, 1],
        "a restore asked for"
    );
    let house = house.work();
    house
        .volume_is(&member, restore.volume.id, VolumeStatus::Available)
        .await;
    house.available(&member, backup.id).await;
    let house = house.restarted().await;
    assert_eq!(usage(&house, &member).await, [2, 2, 1, 1], "restored");

    house
        .service
        .delete_backup(&member, backup.id)
        .await
        .unwrap();
    let house = house.restarted().await;
    assert_eq!(
        usage(&house, &member).await,
        [2, 2, 1, 1],
        "still there until it is gone"
    );
    let house = house.work();
    house.backup_gone(&member, backup.id).await;
    assert_eq!(usage(&house, &member).await, [2, 2, 0, 0]);
    assert_eq!(usage(&house, &member).await, seen(&house, &member).await);
}

#[tokio::test]
async fn what_fails_or_is_refused_takes_nothing_that_is_not_there() {
    let member = caller("p1", Role::Member);
    let admin = caller("p1", Role::Admin);
    let house = House::new().await.work();
    let volume = house.volume(&member, "v1").await;
    let wanted = BTreeMap::from([("volumes".to_owned(), 1), ("backups".to_owned(), 1)]);
    house
        .service
        .set_quotas(&admin, &admin.project_id, &wanted)
        .await
        .unwrap();
    let new = || NewVolume {
        size: Some(Gib(1)),
        ..NewVolume::default()
    };
    for _ in 0..3 {
        let refused = house
            .service
            .create_volume(&member, new())
            .await
            .unwrap_err();
        assert_eq!(refused.fault(), Fault::OverQuota, "{refused}");
    }
    // Growing counts from the moment it is asked for, and no longer when it has failed.
    let house = house.restarted().await;
    house
        .service
        .extend_volume(&member, volume.id, Gib(3))
        .await
        .unwrap();
    assert_eq!(usage(&house, &member).await[1], 3, "promised");
    std::fs::remove_file(house.path(volume.id)).unwrap();
    let house = house.work();
    house
        .volume_is(&member, volume.id, VolumeStatus::ErrorExtending)
        .await;
    assert_eq!(usage(&house, &member).await, [1, 1, 0, 0]);
    let available = ResetVolume {
        status: Some(VolumeStatus::Available),
        detached: false,
    };
    house
        .service
        .reset_volume(&admin, volume.id, available)
        .await
        .unwrap();

    // A backup that fails is there all the same, until it is deleted.
    let backup = house
        .service
        .create_backup(&member, of(volume.id))
        .await
        .unwrap();
    let look = || async { house.service.backup(&member, backup.id).await.unwrap() };
    let failed = common::until("the backup to fail", look, |b| !b.state.is_busy()).await;
    assert_eq!(failed.state.word(), "failed", "{:?}", failed.fail_reason);
    assert_eq!(usage(&house, &member).await, seen(&house, &member).await);
    let refused = house.service.create_backup(&member, of(volume.id)).await;
    assert!(
        matches!(refused, Err(ServiceError::Storage(_))),
        "{refused:?}"
    );
    let messages = house
        .service
        .messages(&member, Default::default())
        .await
        .unwrap()
        .items;
    let told: Vec<_> = messages.iter().map(|one| one.action.as_str()).collect();
    assert_eq!(told, ["013", "007"], "what failed is told");
    house
        .service
        .delete_backup(&member, backup.id)
        .await
        .unwrap();
    house.backup_gone(&member, backup.id).await;
    assert_eq!(usage(&house, &member).await, [1, 1, 0, 0]);
}
