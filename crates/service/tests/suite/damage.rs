//! Damage of stored data: however it is found, the affected backups say so, with the bytes that are lost,
//! and no longer than it lasts.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use crate::common;

use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use common::{House, caller, of, until};
use emberkeep_model::{Backup, BackupId, BackupState, Caller, DamageFinder, Role, VolumeStatus};
use emberkeep_service::query::MessageQuery;
use emberkeep_service::{RestoreTo, Run, ServiceError};

const MIB: usize = 1 << 20;

/// The packs of data, largest first.
fn packs(house: &House) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![house.dir.path().join("repository")];
    while let Some(dir) = left.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else if path.to_string_lossy().contains("/packs/") {
                found.push(path);
            }
        }
    }
    found.sort_by_key(|path| std::cmp::Reverse(std::fs::metadata(path).unwrap().len()));
    found
}

/// Flips a byte in the middle of the largest pack.
fn flip(house: &House) -> PathBuf {
    let pack = packs(house).remove(0);
    let file = std::fs::File::options().read(true).write(true).open(&pack);
    // Packs are made read-only.
    let file = file.unwrap_or_else(|_| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&pack, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::File::options()
            .read(true)
            .write(true)
            .open(&pack)
            .unwrap()
    });
    let at = file.metadata().unwrap().len() / 2;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x40], at).unwrap();
    pack
}

async fn row(house: &House, caller: &Caller, id: BackupId) -> Backup {
    (*house.service.backup(caller, id).await.unwrap()).clone()
}

async fn messages(house: &House, caller: &Caller) -> Vec<String> {
    let found = house
        .service
        .messages(caller, MessageQuery::default())
        .await
        .unwrap();
    found.items.into_iter().map(|m| m.resource_id).collect()
}

fn is_damaged(backup: &Backup) -> bool {
    matches!(backup.state, BackupState::Damaged(_))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_scrub_finds_is_told_and_healed_by_a_later_backup() {
    let house = House::new().await.work();
    let alice = caller("alpha", Role::Member);
    let volume = house.volume(&alice, "data").await;
    house.write(volume.id, 0, 1, 4 * MIB);
    let hurt = house.backup(&alice, of(volume.id)).await;
    let twin = house.backup(&alice, of(volume.id)).await;
    let other = house.volume(&alice, "other").await;
    house.write(other.id, 0, 2, MIB);
    let sound = house.backup(&alice, of(other.id)).await;

    flip(&house);
    house
        .service
        .verify_some(u64::MAX, Run::new())
        .await
        .unwrap();
    for id in [hurt.id, twin.id] {
        let found = row(&house, &alice, id).await;
        assert!(is_damaged(&found), "{found:?}");
        let damage = found.damage.as_ref().unwrap();
        assert_eq!(damage.found_by, DamageFinder::Scrub);
        assert!((1..=1 << 20).contains(&damage.lost_bytes()), "{damage:?}");
        assert!(damage.lost.iter().all(|span| span.end <= 4 << 20));
        assert!(damage.what.contains("/packs/"), "{damage:?}");
        assert_eq!(found.fail_reason, Some(damage.summary()));
    }
    let untouched = row(&house, &alice, sound.id).await;
    assert!(!is_damaged(&untouched) && untouched.damage.is_none());
    let mut told = messages(&house, &alice).await;
    told.sort();
    let mut want = vec![hurt.id.to_string(), twin.id.to_string()];
    want.sort();
    assert_eq!(told, want, "one message each");

    // Found again, nothing new is said; it is not restored from, nor built upon.
    let before = row(&house, &alice, hurt.id).await;
    house
        .service
        .verify_some(u64::MAX, Run::new())
        .await
        .unwrap();
    assert_eq!(row(&house, &alice, hurt.id).await, before);
    assert_eq!(messages(&house, &alice).await.len(), 2);
    assert_eq!(house.service.recheck_damage(&Run::new()).await.unwrap(), 0);
    let refused = house
        .service
        .restore_backup(&alice, hurt.id, RestoreTo::New { name: None })
        .await;
    assert!(matches!(
        refused,
        Err(ServiceError::BackupNotRestorable { .. })
    ));

    // The next backup stores anew what it meets.
    let healing = house.backup(&alice, of(volume.id)).await;
    for id in [hurt.id, twin.id] {
        let found = house.healed(&alice, id).await;
        assert_eq!((found.damage, found.fail_reason), (None, None));
    }
    for id in [hurt.id, healing.id] {
        let restore = house
            .service
            .restore_backup(&alice, id, RestoreTo::New { name: None })
            .await
            .unwrap();
        house
            .volume_is(&alice, restore.volume.id, VolumeStatus::Available)
            .await;
        assert_eq!(house.content(restore.volume.id), house.content(volume.id));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_restore_meets_names_every_backup_that_it_hurts() {
    let house = House::new().await.work();
    let alice = caller("alpha", Role::Member);
    let volume = house.volume(&alice, "data").await;
    house.write(volume.id, 0, 1, 4 * MIB);
    let hurt = house.backup(&alice, of(volume.id)).await;
    let twin = house.backup(&alice, of(volume.id)).await;
    let pack = packs(&house).remove(0);
    let aside = house.dir.path().join("aside");
    std::fs::rename(&pack, &aside).unwrap();

    let restore = house
        .service
        .restore_backup(&alice, hurt.id, RestoreTo::New { name: None })
        .await
        .unwrap();
    house
        .volume_is(&alice, restore.volume.id, VolumeStatus::Error)
        .await;
    for id in [hurt.id, twin.id] {
        let found = row(&house, &alice, id).await;
        assert!(is_damaged(&found), "{found:?}");
        let damage = found.damage.unwrap();
        assert_eq!(damage.found_by, DamageFinder::Restore);
        assert!(damage.lost_bytes() > 0, "{damage:?}");
    }

    // It can be deleted, and the other one is whole once the pack is there again.
    house.service.delete_backup(&alice, hurt.id).await.unwrap();
    house.backup_gone(&alice, hurt.id).await;
    assert_eq!(house.service.recheck_damage(&Run::new()).await.unwrap(), 0);
    std::fs::rename(&aside, &pack).unwrap();
    house.service.recheck_damage(&Run::new()).await.unwrap();
    let found = house.healed(&alice, twin.id).await;
    assert_eq!((found.damage, found.fail_reason), (None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_reader_meets_is_looked_into() {
    let house = House::new().await.work();
    let alice = caller("alpha", Role::Member);
    let volume = house.volume(&alice, "data").await;
    house.write(volume.id, 0, 1, 4 * MIB);
    let hurt = house.backup(&alice, of(volume.id)).await;
    flip(&house);

    let target = emberkeep_volumes::VolumeProvider::create(
        house.volumes.as_ref(),
        volume_id(),
        emberkeep_model::ByteCount(1 << 30),
    );
    target.unwrap();
    let open = house.service.read_backup(&alice, hurt.id).await.unwrap();
    let volumes = house.volumes.clone();
    let failed = tokio::task::spawn_blocking(move || {
        let target = emberkeep_volumes::VolumeProvider::open_target(
            volumes.as_ref(),
            volume_id(),
            emberkeep_volumes::TargetState::Zeroed,
        );
        open.write_to(target.unwrap().as_ref(), &Run::new())
    })
    .await
    .unwrap();
    assert!(failed.is_err());
    let look = || row(&house, &alice, hurt.id);
    let found = until("the damage", look, is_damaged).await;
    assert_eq!(found.damage.unwrap().found_by, DamageFinder::Export);
}

fn volume_id() -> emberkeep_model::VolumeId {
    emberkeep_model::VolumeId(uuid::Uuid::from_u128(7))
}
