//! CBR: vaults, runs, copies, shares.

use emberkeep_sdk::block_storage::{NewBackup, VolumeQuery};
use emberkeep_sdk::cbr::{
    self, AddResource, Cbr, MemberAnswer, MemberQuery, NewCheckpoint, NewPolicy, NewReplication,
    NewVault, PolicyChange, PolicyQuery, ProtectableQuery, RestoreTarget, Sharing,
    StorageUsageQuery, Tag, TagCondition, TagQuery, TaskQuery, VaultChange, VaultQuery,
    VaultsChange, word,
};
use emberkeep_sdk::{
    CloudConfig, Connection, Credentials, Gib, Method, Named, ProjectId, Scope, Secret, VolumeId,
    blocking,
};

use crate::{ELSEWHERE, served, soon, volume};

/// Waits until nothing is left to do.
async fn settled(api: &Cbr) {
    for task in api.tasks(&TaskQuery::default()).all().await.expect("tasks") {
        if task.status != word::TaskStatus::Failed {
            api.wait_for_task(&task.id, soon()).await.expect("ends");
        }
    }
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
    let shown = api.checkpoint(&checkpoint).await.expect("shown");
    assert_eq!(shown.id, checkpoint);
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

    // Copies in another region.
    let mut new = NewVault::for_disks("copies", Gib(10));
    new.billing.protect_type = word::ProtectType::Replication;
    let copies = api.create_vault(&new).await.expect("made").id;
    let to = NewReplication {
        destination_project_id: ProjectId(cloud.project_id().await.expect("one")),
        destination_region: ELSEWHERE.to_owned(),
        destination_vault_id: copies.clone(),
        name: None,
        description: None,
        auto_trigger: None,
        enable_acceleration: None,
    };
    let begun = api.replicate_backup(&one.id, &to).await.expect("begun");
    assert!(begun.more.is_empty(), "{begun:?}");
    assert_eq!(begun.backup_id.as_ref(), Some(&one.id));
    settled(&api).await;
    let begun = api.replicate_vault(&vault, &to).await.expect("begun");
    assert_eq!(begun.vault_id.as_ref(), Some(&vault));
    let rest = begun.backups.expect("are named");
    assert_eq!(rest.len(), 1, "the other one is there already: {rest:?}");
    settled(&api).await;
    let there = api.backups(&cbr::BackupQuery::in_vault(&copies)).all();
    let there = there.await.expect("a list");
    assert_eq!(there.len(), 2);
    for copy in &there {
        assert_eq!(copy.image_type, word::ImageType::Replication);
        api.delete_backup(&copy.id).await.expect("begun");
        api.wait_for_backup_gone(&copy.id, soon())
            .await
            .expect("gone");
    }
    api.delete_vault(&copies).await.expect("begun");

    // Sharing.
    let people = cloud.identity();
    let other = people.create_project("other", None).await;
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
    let receiver = Connection::open(receiver(&cloud, &other, &config).await);
    let receiver = receiver.await.expect("signed in").cbr();
    let taken = NewVault::for_disks("taken", Gib(10));
    let taken = receiver.create_vault(&taken).await.expect("made").id;
    let answer = MemberAnswer::Accept(taken);
    let answered = receiver.update_member(&one.id, &which, &answer).await;
    assert_eq!(
        answered.expect("taken").status,
        word::MemberStatus::Accepted
    );
    let shown = receiver.backup(&one.id).await.expect("seen");
    assert_eq!(shown.name, "tuesday");
    api.delete_member(&one.id, &which).await.expect("ended");

    // What could be protected, and what the service can do.
    let disk = word::ObjectType::Disk;
    let disks = api
        .protectables(&disk, &ProtectableQuery::default())
        .all()
        .await;
    assert_eq!(disks.expect("a list").len(), 2);
    api.protectable(&disk, &(&web).into()).await.expect("shown");
    let features = api.features().await.expect("all");
    assert!(features.more.is_empty(), "{features:?}");
    assert_eq!(features.replication_enable, Some(true));
    api.feature("replication.enable").await.expect("one");
    assert_eq!(
        api.replication_capabilities().await.expect("a list").len(),
        1
    );

    // The rarer calls about vaults.
    let moved = api.move_backup_expiry(&vault, "2099-03-01", "UTC+02:00");
    let moved = moved.await.expect("moved");
    assert_eq!(moved.affected_backups_count, 0, "they were made by hand");
    assert_eq!(moved.new_expiration_day, "2099-03-01");
    let second = NewVault::for_disks("second", Gib(10));
    let second = api.create_vault(&second).await.expect("made").id;
    let went = api
        .migrate_resources(&vault, &second, &[(&db).into()])
        .await;
    assert_eq!(went.expect("moved"), [(&db).into()]);
    assert_eq!(api.vault(&second).await.expect("shown").resources.len(), 1);
    let back = api
        .migrate_resources(&second, &vault, &[(&db).into()])
        .await;
    back.expect("moved back");
    api.delete_vault(&second).await.expect("begun");

    api.delete_backup(&one.id).await.expect("begun");
    api.wait_for_backup_gone(&one.id, soon())
        .await
        .expect("gone");
    api.dissociate_resources(&vault, &[(&db).into()])
        .await
        .expect("begun");
    // The backups that go with it are at work until they are gone.
    settled(&api).await;
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

/// Makes a user who works in another project, and says how to sign in.
async fn receiver(cloud: &Connection, project: &ProjectId, config: &CloudConfig) -> CloudConfig {
    let people = cloud.identity();
    let password = Secret::new("correct horse battery");
    let user = people.create_user("receiver", &password, Some(project.as_str()));
    let user = user.await.expect("made");
    let roles = people.roles(Some("member")).await.expect("a list");
    people
        .add_role(&user.id, project.as_str(), &roles[0].id)
        .await
        .expect("given");
    let method = Method::Password {
        user: Named::Id(user.id),
        domain: Named::Id("default".to_owned()),
        password,
    };
    let scope = Scope::Project {
        project: Named::Id(project.to_string()),
        domain: Named::Id("default".to_owned()),
    };
    CloudConfig {
        credentials: Credentials { method, scope },
        ..config.clone()
    }
}
