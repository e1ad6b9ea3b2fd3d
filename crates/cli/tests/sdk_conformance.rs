//! The SDK against the service itself: every call of both APIs is made, every answer is
//! understood, and none holds anything that the shapes have no field for.

use std::collections::BTreeMap;
use std::time::Duration;

use emberkeep_sdk::block_storage::{
    AttachmentQuery, BackupChange, BackupQuery, MessageQuery, NewAttachment, NewBackup,
    NewSnapshot, NewVolume, NewVolumeType, RestoreTo, SnapshotQuery, VolumeChange, VolumeQuery,
    VolumeTypeChange,
};
use emberkeep_sdk::cbr::{
    self, AddResource, MemberQuery, NewCheckpoint, NewPolicy, NewVault, PolicyChange, PolicyQuery,
    ProtectableQuery, RestoreTarget, Sharing, StorageUsageQuery, Tag, TagCondition, TagQuery,
    TaskQuery, VaultChange, VaultQuery, VaultsChange, word,
};
use emberkeep_sdk::{
    CloudConfig, Connection, Gib, ProjectId, TaskFilter, VolumeId, Wait, blocking,
};
use emberkeep_server::{Config, ConfigArgs, Running};
use tempfile::TempDir;

async fn served() -> (TempDir, Running, CloudConfig) {
    let dir = tempfile::tempdir().expect("a directory");
    let args = ConfigArgs {
        data_dir: Some(dir.path().join("data")),
        listen: Some("127.0.0.1:0".to_owned()),
        ..ConfigArgs::default()
    };
    let config = Config::from_sources(args, |_| None).expect("is good");
    let running = emberkeep_server::start(config).await.expect("starts");
    let file = dir.path().join("data/clouds.yaml");
    let cloud = CloudConfig::from_file(&file, Some("emberkeep")).expect("written");
    (dir, running, cloud)
}

fn soon() -> Wait {
    Wait::timeout(Duration::from_secs(60)).every(Duration::from_millis(50))
}

fn pairs(key: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(key.to_owned(), value.to_owned())])
}

/// Makes a volume and waits for it.
async fn volume(cloud: &Connection, name: &str) -> VolumeId {
    let api = cloud.block_storage();
    let new = NewVolume {
        name: Some(name.to_owned()),
        size: Some(Gib(1)),
        metadata: pairs("a", "b"),
        ..NewVolume::default()
    };
    let made = api.create_volume(&new).await.expect("made");
    let ready = api.wait_for_volume(&made.id, "available", soon()).await;
    let ready = ready.expect("ready");
    assert!(ready.more.is_empty(), "{:?}", ready.more);
    assert_eq!(ready.metadata, pairs("a", "b"));
    ready.id
}

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
        description: Some("d".to_owned()),
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
        description: Some("d".to_owned()),
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
        description: Some("d".to_owned()),
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
    assert_eq!(api.limits().await.expect("limits").total_volumes_used, 1);
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
    let messages = api.messages(&MessageQuery::default()).all().await;
    assert!(messages.expect("a list").is_empty());
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cbr_is_understood_to_the_last_field() {
    let (_dir, running, config) = served().await;
    let cloud = Connection::open(config.clone()).await.expect("signed in");
    let api = cloud.cbr();
    let (web, db) = (volume(&cloud, "web").await, volume(&cloud, "db").await);

    // Vaults.
    let mut new = NewVault::for_disks("disks", Gib(10)).holding([&web]);
    new.tags.push(Tag {
        key: "team".to_owned(),
        value: "a".to_owned(),
    });
    let vault = api.create_vault(&new).await.expect("made").id;
    api.wait_for_vault(&vault, soon()).await.expect("ready");
    let added = api
        .associate_resources(&vault, &[AddResource::from(&db)])
        .await;
    assert_eq!(added.expect("added").len(), 1);
    let change = VaultChange {
        size: Some(Gib(20)),
        ..VaultChange::default()
    };
    api.update_vault(&vault, &change).await.expect("changed");
    let found = api
        .find_vault("disks")
        .await
        .expect("an answer")
        .expect("found");
    assert_eq!((found.billing.size, found.resources.len()), (Gib(20), 2));
    assert_eq!(
        api.vaults(&VaultQuery::named("disks"))
            .all()
            .await
            .expect("a list")
            .len(),
        1
    );
    api.suspend_resources(&vault, &[(&db).into()])
        .await
        .expect("out");
    api.resume_resources(&vault, &[(&db).into()])
        .await
        .expect("in");
    let change = VaultsChange {
        threshold: Some(90),
        ..VaultsChange::default()
    };
    assert_eq!(
        api.update_vaults(&change).await.expect("changed"),
        std::slice::from_ref(&vault)
    );
    assert_eq!(api.vaults_summary().await.expect("a sum").size, Gib(20));

    // Policies.
    let new = NewPolicy::backup("nightly", ["FREQ=DAILY;INTERVAL=1;BYHOUR=1;BYMINUTE=00"]);
    let policy = api.create_policy(&new).await.expect("made").id;
    api.bind_policy(&vault, &policy, None).await.expect("bound");
    let change = PolicyChange {
        enabled: Some(false),
        ..PolicyChange::default()
    };
    assert!(
        !api.update_policy(&policy, &change)
            .await
            .expect("changed")
            .enabled
    );
    assert_eq!(
        api.policies(&PolicyQuery::default())
            .all()
            .await
            .expect("a list")
            .len(),
        1
    );
    api.find_policy("nightly")
        .await
        .expect("an answer")
        .expect("found");
    api.unbind_policy(&vault, &policy).await.expect("unbound");
    api.delete_policy(&policy).await.expect("gone");

    // Tags.
    let tag = Tag {
        key: "env".to_owned(),
        value: "prod".to_owned(),
    };
    api.set_tag(&vault, &tag).await.expect("set");
    api.set_tags(&vault, std::slice::from_ref(&tag))
        .await
        .expect("set");
    assert_eq!(api.tags(&vault).await.expect("a list").len(), 2);
    assert_eq!(api.project_tags().await.expect("a list").len(), 2);
    let query = TagQuery {
        tags: vec![TagCondition {
            key: "env".to_owned(),
            values: vec!["prod".to_owned()],
        }],
        ..TagQuery::default()
    };
    assert_eq!(api.tagged_vaults(&query).await.expect("a list").len(), 1);
    assert_eq!(api.count_tagged_vaults(&query).await.expect("a count"), 1);
    api.delete_tag(&vault, "team").await.expect("gone");
    api.delete_tags(&vault, &["env"]).await.expect("gone");

    // Runs, backups, tasks.
    let begun = api
        .create_checkpoint(&NewCheckpoint::of(&vault).named("monday"))
        .await;
    let checkpoint = begun.expect("begun").id;
    let ended = api
        .wait_for_checkpoint(&checkpoint, soon())
        .await
        .expect("ended");
    assert_eq!(ended.vault.resources.len(), 2);
    let backups = api
        .backups(&cbr::BackupQuery::of_checkpoint(&checkpoint))
        .all()
        .await;
    let backups = backups.expect("a list");
    assert_eq!(backups.len(), 2);
    let one = &backups[0];
    assert_eq!(
        api.rename_backup(&one.id, "tuesday")
            .await
            .expect("renamed")
            .name,
        "tuesday"
    );
    api.find_backup("tuesday")
        .await
        .expect("an answer")
        .expect("found");
    let target = RestoreTarget::volume(&VolumeId::from(&one.resource_id));
    let task = api.restore_backup(&one.id, &target).await.expect("begun");
    if let Some(task) = &task {
        api.wait_for_task(task, soon()).await.expect("restored");
    }
    api.wait_for_backup(&one.id, soon())
        .await
        .expect("usable again");
    let tasks = api
        .tasks(&TaskQuery::default())
        .all()
        .await
        .expect("a list");
    assert!(tasks.len() >= 3, "{tasks:?}");
    assert!(
        api.storage_usage(&StorageUsageQuery::default())
            .first()
            .await
            .expect("a list")
            .is_some()
    );

    // Sharing.
    let other = cloud.identity().create_project("other", None).await;
    let other = ProjectId::from(other.expect("made").id);
    api.add_members(&one.id, std::slice::from_ref(&other))
        .await
        .expect("shared");
    let which = Sharing::from(&other);
    assert_eq!(
        api.member(&one.id, &which).await.expect("shown").status,
        word::MemberStatus::Pending
    );
    assert_eq!(
        api.members(&one.id, &MemberQuery::default())
            .all()
            .await
            .expect("a list")
            .len(),
        1
    );
    api.delete_member(&one.id, &which).await.expect("ended");

    // What could be protected, and what the service can do.
    let disk = word::ObjectType::Disk;
    let disks = api
        .protectables(&disk, &ProtectableQuery::default())
        .all()
        .await;
    assert_eq!(disks.expect("a list").len(), 2);
    api.protectable(&disk, &(&web).into()).await.expect("shown");
    assert!(!api.features().await.expect("all").is_empty());
    api.feature("replication.enable").await.expect("one");
    assert_eq!(
        api.replication_capabilities().await.expect("a list").len(),
        1
    );

    // What only Emberkeep has.
    let native = cloud.native();
    let filter = TaskFilter {
        vault_id: Some(vault.clone()),
        ..TaskFilter::default()
    };
    let own = native.tasks(&filter).await.expect("a list");
    native.task(&own[0].id.into()).await.expect("shown");
    native.sweep().await.expect("begun");

    api.delete_backup(&one.id).await.expect("begun");
    api.wait_for_backup_gone(&one.id, soon())
        .await
        .expect("gone");
    api.dissociate_resources(&vault, &[(&db).into()])
        .await
        .expect("begun");
    api.delete_vault(&vault).await.expect("begun");

    // The same without a runtime: from a thread that has none.
    let blocked = tokio::task::spawn_blocking(move || {
        let cloud = blocking::Connection::open(config).expect("signed in");
        let volumes = cloud
            .block_storage()
            .volumes(&VolumeQuery::default())
            .expect("a list");
        let new = NewBackup {
            volume_id: volumes[0].id.clone(),
            ..NewBackup::default()
        };
        let id = cloud.block_storage().create_backup(&new).expect("begun");
        let made = cloud
            .block_storage()
            .wait_for_backup(&id, soon())
            .expect("made");
        assert_eq!(made.status, "available");
        cloud.cbr().vaults(&VaultQuery::default()).expect("a list");
    });
    blocked.await.expect("it ends well");
    running.shutdown().await;
}
