//! A store that has lost a manifest: noticed, named, and nothing else is lost by it.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use crate::common;

use std::path::PathBuf;

use common::{House, caller, of, until};
use emberkeep_model::{
    BackupId, BackupState, Caller, DamageFinder, Role, TaskId, TaskState, VolumeStatus,
};
use emberkeep_service::RestoreTo;

const MIB: usize = 1 << 20;

/// Files under the repository whose names hold `part`.
fn files(house: &House, part: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![house.dir.path().join("repository")];
    while let Some(dir) = left.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else if path.to_string_lossy().contains(part) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn manifest(house: &House, id: BackupId) -> PathBuf {
    files(house, &format!("manifests/{id}")).remove(0)
}

/// Sweeps and returns how that ended.
async fn swept(house: &House, caller: &Caller) -> TaskState {
    let id: TaskId = house.service.sweep(caller).await.unwrap();
    let look = || async { house.service.task(caller, id).await.unwrap() };
    until("the sweep", look, |task| task.state.has_ended())
        .await
        .state
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_manifest_stops_every_sweep_until_it_is_back_or_given_up() {
    let house = House::new().await.work();
    let alice = caller("alpha", Role::Member);
    let volume = house.volume(&alice, "data").await;
    house.write(volume.id, 0, 1, 4 * MIB);
    let content = house.content(volume.id);
    let lost = house.backup(&alice, of(volume.id)).await;
    house.write(volume.id, 0, 2, 4 * MIB);
    let kept = house.backup(&alice, of(volume.id)).await;
    assert!(
        house
            .service
            .compare_with_stores(DamageFinder::Scrub)
            .await
            .unwrap()
            .is_empty()
    );

    let place = manifest(&house, lost.id);
    let aside = house.dir.path().join("aside");
    std::fs::rename(&place, &aside).unwrap();
    let packs = files(&house, "/packs/");
    for _ in 0..2 {
        match swept(&house, &alice).await {
            TaskState::Failed { reason } => {
                assert!(reason.contains(&lost.id.to_string()), "{reason}");
                assert!(!reason.contains(&kept.id.to_string()), "{reason}");
                assert!(reason.contains("put them back"), "{reason}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(files(&house, "/packs/"), packs);

    // The scrub and the start say so, and mark it.
    assert_eq!(
        house
            .service
            .compare_with_stores(DamageFinder::Scrub)
            .await
            .unwrap(),
        [lost.id]
    );
    let marked = house.service.backup(&alice, lost.id).await.unwrap();
    assert!(
        matches!(marked.state, BackupState::Damaged(_)),
        "{marked:?}"
    );
    let reason = marked.fail_reason.clone().unwrap();
    assert!(reason.contains("manifest"), "{reason}");
    let untouched = house.available(&alice, kept.id).await;
    assert_eq!(untouched.fail_reason, None);

    // Put back, it is as good as before.
    std::fs::rename(&aside, &place).unwrap();
    assert_eq!(swept(&house, &alice).await, TaskState::Succeeded);
    assert!(
        house
            .service
            .compare_with_stores(DamageFinder::Scrub)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(house.healed(&alice, lost.id).await.fail_reason, None);
    let restore = house
        .service
        .restore_backup(&alice, lost.id, RestoreTo::New { name: None })
        .await
        .unwrap();
    house
        .volume_is(&alice, restore.volume.id, VolumeStatus::Available)
        .await;
    assert_eq!(house.content(restore.volume.id), content);
    house.available(&alice, lost.id).await;

    // Given up, it no longer stands in the way.
    std::fs::rename(&place, &aside).unwrap();
    house.service.delete_backup(&alice, lost.id).await.unwrap();
    house.backup_gone(&alice, lost.id).await;
    assert_eq!(swept(&house, &alice).await, TaskState::Succeeded);
    assert!(
        house
            .service
            .compare_with_stores(DamageFinder::Scrub)
            .await
            .unwrap()
            .is_empty()
    );
    house.available(&alice, kept.id).await;
}
