//! Block Storage, as other services and administrators use it: attaching in steps, statuses set
//! by hand, records of backups, messages about what failed.

use emberkeep_sdk::Connection;
use emberkeep_sdk::block_storage::{
    BlockStorage, MessageQuery, NewBackup, NewSnapshot, Settled, SnapshotStatus, VolumeStatus,
};
use emberkeep_sdk::{BackupId, SdkError, SnapshotId, VolumeId};

use crate::{pairs, served, soon, volume};

const SERVER: &str = "6f1c1f0c-0000-4000-8000-000000000001";

async fn is(api: &BlockStorage, id: &VolumeId, status: &str) {
    let found = api.volume(id).await.expect("shown");
    assert_eq!(found.status, status);
}

async fn backup(api: &BlockStorage, volume: &VolumeId) -> BackupId {
    let new = NewBackup {
        volume_id: volume.clone(),
        ..NewBackup::default()
    };
    api.create_backup(&new).await.expect("begun")
}

async fn snapshot(api: &BlockStorage, volume: &VolumeId) -> SnapshotId {
    let new = NewSnapshot {
        volume_id: volume.clone(),
        ..NewSnapshot::default()
    };
    let id = api.create_snapshot(&new).await.expect("begun").id;
    api.wait_for_snapshot(&id, soon()).await.expect("taken").id
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_services_and_administrators_ask_is_understood() {
    let (_dir, running, config) = served().await;
    let cloud = Connection::open(config).await.expect("signed in");
    let api = cloud.block_storage();
    let id = volume(&cloud, "web").await;

    // Attaching in steps.
    let host = pairs("host", "h");
    let info = api.initialize_connection(&id, &host).await.expect("told");
    assert!(info.more.is_empty(), "{info:?}");
    assert_eq!(info.driver_volume_type, "local");
    assert_eq!(info.data["volume_id"], id.as_str());
    api.reserve_volume(&id).await.expect("set aside");
    api.attach_volume(&id, SERVER, "/dev/vdb")
        .await
        .expect("attached");
    is(&api, &id, "in-use").await;
    api.begin_detaching_volume(&id).await.expect("noted");
    is(&api, &id, "detaching").await;
    api.roll_detaching_volume(&id).await.expect("noted");
    is(&api, &id, "in-use").await;
    api.detach_volume(&id, None).await.expect("detached");
    api.terminate_connection(&id, &host).await.expect("told");
    is(&api, &id, "available").await;

    // Statuses set by hand, and deletion in whatever status.
    let kept = backup(&api, &id).await;
    api.wait_for_backup(&kept, soon()).await.expect("made");
    api.reset_backup_status(&kept, Settled::Error)
        .await
        .expect("set");
    assert_eq!(api.backup(&kept).await.expect("shown").status, "error");
    api.reset_backup_status(&kept, Settled::Available)
        .await
        .expect("set");

    // Records. One that is here already is refused, one that is gone cannot be read again.
    let record = api.export_backup(&kept).await.expect("a record");
    let refused = api.import_backup(&record).await.expect_err("is here");
    assert!(matches!(refused, SdkError::Refused { .. }), "{refused}");
    api.delete_backup(&kept).await.expect("begun");
    api.wait_for_backup_gone(&kept, soon()).await.expect("gone");
    let again = api.import_backup(&record).await.expect("taken up");
    assert_eq!(again, kept);
    let wait = soon().failing_at(["available"]);
    let stands = wait.until_status(&["error"], async || api.backup(&again).await);
    let stands = stands.await.expect("looked at");
    assert!(stands.fail_reason.is_some(), "{stands:?}");
    api.force_delete_backup(&again).await.expect("begun");
    api.wait_for_backup_gone(&again, soon())
        .await
        .expect("gone");

    let taken = snapshot(&api, &id).await;
    api.reset_snapshot_status(&taken, SnapshotStatus::Error)
        .await
        .expect("set");
    assert_eq!(api.snapshot(&taken).await.expect("shown").status, "error");
    api.force_delete_snapshot(&taken).await.expect("begun");
    api.wait_for_snapshot_gone(&taken, soon())
        .await
        .expect("gone");

    // Messages about what failed.
    let services = api.services(Some("cinder-backup"), None).await;
    let service = services.expect("a list").remove(0);
    api.disable_service(&service.binary, &service.host, None)
        .await
        .expect("off");
    let failed = backup(&api, &id).await;
    let messages = api.messages(&MessageQuery::default()).all().await;
    let message = messages.expect("a list").remove(0);
    assert_eq!(message.resource_uuid.as_deref(), Some(failed.as_str()));
    assert_eq!(api.message(&message.id).await.expect("shown"), message);
    api.delete_message(&message.id).await.expect("gone");

    api.reset_volume_status(&id, VolumeStatus::Error)
        .await
        .expect("set");
    is(&api, &id, "error").await;
    api.force_delete_volume(&id).await.expect("begun");
    api.wait_for_volume_gone(&id, soon()).await.expect("gone");
    let other = volume(&cloud, "db").await;
    let found = api.find_volume("db").await.expect("an answer");
    assert_eq!(found.expect("found").id, other);
    snapshot(&api, &other).await;
    api.delete_volume_with_snapshots(&other)
        .await
        .expect("begun");
    api.wait_for_volume_gone(&other, soon())
        .await
        .expect("gone");
    running.shutdown().await;
}
