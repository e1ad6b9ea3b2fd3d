//! Block Storage, as people use it.

use std::collections::BTreeMap;

use emberkeep_sdk::block_storage::{
    AttachmentQuery, BackupChange, BackupQuery, Field, NewAttachment, NewBackup, NewSnapshot,
    NewVolumeType, RestoreTo, SnapshotChange, SnapshotQuery, VolumeChange, VolumeQuery,
    VolumeTypeChange,
};
use emberkeep_sdk::{Connection, Gib, ProjectId};

use crate::{pairs, served, soon, volume};

#[tokio::test(flavor = "multi_thread")]
async fn block_storage_is_understood_to_the_last_field() {
    let (_dir, running, config) = served().await;
    let cloud = Connection::open(config).await.expect("signed in");
    let api = cloud.block_storage();
    let id = volume(&cloud, "web").await;

    // Volumes.
    let listed = api
        .volumes(&VolumeQuery::named("web"))
        .all()
        .await
        .expect("a list");
    assert!(listed.len() == 1 && listed[0].more.is_empty(), "{listed:?}");
    assert_eq!(
        api.find_volume("web")
            .await
            .expect("an answer")
            .expect("found")
            .id,
        id
    );
    let change = VolumeChange {
        description: Field::Is("d".to_owned()),
        ..VolumeChange::default()
    };
    api.update_volume(&id, &change).await.expect("changed");
    api.extend_volume(&id, Gib(2)).await.expect("begun");
    let grown = api
        .wait_for_volume(&id, "available", soon())
        .await
        .expect("larger");
    assert_eq!(
        (grown.size, grown.description.as_deref()),
        (Gib(2), Some("d"))
    );
    let both = api
        .set_volume_metadata(&id, &pairs("c", "d"))
        .await
        .expect("set");
    assert_eq!(both.len(), 2);
    assert_eq!(api.volume_metadata(&id).await.expect("all"), both);
    assert_eq!(api.volume_metadata_value(&id, "c").await.expect("one"), "d");
    api.delete_volume_metadata(&id, "c").await.expect("gone");
    assert_eq!(
        api.replace_volume_metadata(&id, &pairs("e", "f"))
            .await
            .expect("set"),
        pairs("e", "f")
    );
    api.set_volume_bootable(&id, true).await.expect("marked");
    api.set_volume_readonly(&id, false).await.expect("marked");
    api.set_image_metadata(&id, &pairs("os", "x"))
        .await
        .expect("set");
    assert_eq!(api.image_metadata(&id).await.expect("known")["os"], "x");
    api.delete_image_metadata(&id, "os").await.expect("gone");
    api.reserve_volume(&id).await.expect("set aside");
    api.unreserve_volume(&id).await.expect("given up");
    assert_eq!(
        api.volume_summary(false).await.expect("a sum").total_count,
        1
    );

    // Attachments.
    let new = NewAttachment {
        volume_id: id.clone(),
        ..NewAttachment::default()
    };
    let made = api.create_attachment(&new).await.expect("set aside");
    let attachment = made.summary.id;
    let host = pairs("host", "h");
    api.update_attachment(&attachment, &host)
        .await
        .expect("taken");
    api.complete_attachment(&attachment).await.expect("in use");
    let shown = api.attachment(&attachment).await.expect("shown");
    assert_eq!(shown.summary.volume_id, id);
    let all = api.attachments(&AttachmentQuery::default()).all().await;
    assert_eq!(all.expect("a list").len(), 1);
    assert_eq!(api.volume(&id).await.expect("shown").attachments.len(), 1);
    api.delete_attachment(&attachment).await.expect("ended");
    api.wait_for_volume(&id, "available", soon())
        .await
        .expect("free");

    // Snapshots.
    let new = NewSnapshot {
        volume_id: id.clone(),
        name: Some("friday".to_owned()),
        ..NewSnapshot::default()
    };
    let snapshot = api.create_snapshot(&new).await.expect("begun").id;
    let taken = api
        .wait_for_snapshot(&snapshot, soon())
        .await
        .expect("taken");
    assert!(taken.more.is_empty(), "{:?}", taken.more);
    assert_eq!(
        api.set_snapshot_metadata(&snapshot, &pairs("a", "b"))
            .await
            .expect("set"),
        pairs("a", "b")
    );
    let kept = api.snapshot_metadata(&snapshot).await.expect("all");
    assert_eq!(kept, pairs("a", "b"));
    let value = api.snapshot_metadata_value(&snapshot, "a").await;
    assert_eq!(value.expect("one"), "b");
    let other = pairs("c", "d");
    let set = api.replace_snapshot_metadata(&snapshot, &other).await;
    assert_eq!(set.expect("set"), other);
    api.delete_snapshot_metadata(&snapshot, "c")
        .await
        .expect("gone");
    let change = SnapshotChange {
        description: Field::Is("d".to_owned()),
        ..SnapshotChange::default()
    };
    let changed = api.update_snapshot(&snapshot, &change).await;
    assert_eq!(changed.expect("changed").description.as_deref(), Some("d"));
    let found = api.find_snapshot("friday").await.expect("an answer");
    assert_eq!(found.expect("found").id, snapshot);
    assert_eq!(api.snapshot(&snapshot).await.expect("shown").id, snapshot);
    let listed = api.snapshots(&SnapshotQuery::named("friday")).all().await;
    assert_eq!(listed.expect("a list").len(), 1);

    // Backups.
    let new = NewBackup {
        volume_id: id.clone(),
        snapshot_id: Some(snapshot.clone()),
        name: Some("monday".to_owned()),
        metadata: pairs("a", "b"),
        ..NewBackup::default()
    };
    let backup = api.create_backup(&new).await.expect("begun");
    let made = api.wait_for_backup(&backup, soon()).await.expect("made");
    assert!(made.more.is_empty(), "{:?}", made.more);
    assert_eq!(
        (made.size, made.snapshot_id),
        (Gib(2), Some(snapshot.clone()))
    );
    let listed = api
        .backups(&BackupQuery::named("monday"))
        .all()
        .await
        .expect("a list");
    assert!(listed.len() == 1 && listed[0].more.is_empty());
    assert_eq!(
        api.count_backups(&BackupQuery::default())
            .await
            .expect("a count"),
        1
    );
    let change = BackupChange {
        description: Field::Is("d".to_owned()),
        ..BackupChange::default()
    };
    api.update_backup(&backup, &change).await.expect("changed");
    assert_eq!(
        api.set_backup_metadata(&backup, &pairs("c", "d"))
            .await
            .expect("set")
            .len(),
        2
    );
    assert_eq!(api.backup_metadata(&backup).await.expect("all").len(), 2);
    let value = api.backup_metadata_value(&backup, "c").await;
    assert_eq!(value.expect("one"), "d");
    api.delete_backup_metadata(&backup, "c")
        .await
        .expect("gone");
    let other = pairs("e", "f");
    let set = api.replace_backup_metadata(&backup, &other).await;
    assert_eq!(set.expect("set"), other);
    let found = api.find_backup("monday").await.expect("an answer");
    assert_eq!(found.expect("found").id, backup);
    assert_eq!(api.backup(&backup).await.expect("shown").id, backup);
    let record = api.export_backup(&backup).await.expect("a record");
    assert!(!record.backup_url.is_empty());
    let begun = api
        .restore_backup(&backup, &RestoreTo::NewVolume(Some("again".to_owned())))
        .await;
    let restored = begun.expect("begun").volume_id;
    api.wait_for_volume(&restored, "available", soon())
        .await
        .expect("restored");
    api.delete_backup(&backup).await.expect("begun");
    api.wait_for_backup_gone(&backup, soon())
        .await
        .expect("gone");
    api.delete_snapshot(&snapshot).await.expect("begun");
    api.wait_for_snapshot_gone(&snapshot, soon())
        .await
        .expect("gone");
    api.delete_volume(&restored).await.expect("begun");
    api.wait_for_volume_gone(&restored, soon())
        .await
        .expect("gone");

    // What there is besides.
    let new = NewVolumeType {
        name: "fast".to_owned(),
        is_public: Some(false),
        ..NewVolumeType::default()
    };
    let kind = api.create_volume_type(&new).await.expect("made");
    assert!(kind.more.is_empty(), "{:?}", kind.more);
    let change = VolumeTypeChange {
        description: Field::Is("d".to_owned()),
        ..VolumeTypeChange::default()
    };
    api.update_volume_type(&kind.id, &change)
        .await
        .expect("changed");
    api.set_extra_specs(&kind.id, &pairs("a", "b"))
        .await
        .expect("set");
    assert_eq!(
        api.extra_specs(&kind.id).await.expect("known"),
        pairs("a", "b")
    );
    api.delete_extra_spec(&kind.id, "a").await.expect("gone");
    let project = ProjectId(cloud.project_id().await.expect("one"));
    api.add_type_access(&kind.id, &project)
        .await
        .expect("let in");
    assert_eq!(api.type_access(&kind.id).await.expect("a list").len(), 1);
    api.remove_type_access(&kind.id, &project)
        .await
        .expect("out");
    assert!(!api.volume_types().await.expect("a list").is_empty());
    api.volume_type("default").await.expect("there is one");
    api.delete_volume_type(&kind.id).await.expect("gone");
    let services = api.services(None, None).await.expect("a list");
    assert!(
        services.iter().all(|one| one.more.is_empty()),
        "{services:?}"
    );
    api.disable_service(&services[0].binary, &services[0].host, Some("r"))
        .await
        .expect("off");
    api.enable_service(&services[0].binary, &services[0].host)
        .await
        .expect("on");
    assert_eq!(api.pools(true).await.expect("a list").len(), 1);
    assert!(
        !api.resource_filters(Some("backup")).await.expect("a list")[0]
            .filters
            .is_empty()
    );
    assert_eq!(api.availability_zones().await.expect("a list").len(), 1);
    assert_eq!(
        api.limits().await.expect("limits").total_volumes_used,
        Some(1)
    );
    api.limits_of(&project).await.expect("limits");
    api.set_quotas(&project, &BTreeMap::from([("backups".to_owned(), 7)]))
        .await
        .expect("set");
    assert_eq!(
        api.quota_usage(&project).await.expect("usage")["backups"].limit,
        7
    );
    assert_eq!(
        api.quotas(&project).await.expect("limits").limits["backups"],
        7
    );
    api.reset_quotas(&project).await.expect("forgotten");
    api.default_quotas(&project).await.expect("limits");
    api.class_quotas("default").await.expect("limits");
    let limits = BTreeMap::from([("backups".to_owned(), 8)]);
    let set = api.set_class_quotas("default", &limits).await;
    assert_eq!(set.expect("set").limits["backups"], 8);
    running.shutdown().await;
}
