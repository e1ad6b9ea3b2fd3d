//! What only Emberkeep has, and its own identity.

use bytes::Bytes;
use emberkeep_sdk::block_storage::NewBackup;
use emberkeep_sdk::cbr::{
    AddResource, Backup, BackupQuery, Cbr, NewCheckpoint, NewPolicy, NewVault, ProtectableQuery,
    RestoreTarget, word,
};
use emberkeep_sdk::native_types::{Export, PolicyTrial};
use emberkeep_sdk::{
    Connection, FileSystemId, Gib, NewFileSystem, NewImport, NewServer, ResourceId, SdkError,
    Secret, ServerId, ServerVolumes, TaskFilter, VaultId, VolumeExport, VolumeId,
};

use crate::{served, shared, soon, text, volume};

/// Reads an export to its end: how many bytes are data, and whether they are all `byte`.
async fn data(mut export: VolumeExport, byte: u8) -> usize {
    let mut sum = 0;
    while let Some((_, piece)) = export.next().await.expect("goes on") {
        assert!(piece.iter().all(|one| *one == byte));
        sum += piece.len();
    }
    sum
}

/// Runs over a vault of one thing; returns its backup.
async fn run(cbr: &Cbr, vault: &VaultId) -> Backup {
    let run = cbr.create_checkpoint(&NewCheckpoint::of(vault)).await;
    let run = run.expect("begun").id;
    cbr.wait_for_checkpoint(&run, soon()).await.expect("ended");
    let made = cbr.backups(&BackupQuery::of_checkpoint(&run)).all().await;
    made.expect("a list").remove(0)
}

async fn gone(cbr: &Cbr, vault: &VaultId) {
    let gone = soon().until_gone(async || cbr.vault(vault).await);
    gone.await.expect("gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_backups_and_tasks_of_the_native_api() {
    let (_dir, running, config) = served().await;
    let cloud = Connection::open(config).await.expect("signed in");
    let (native, api) = (cloud.native(), cloud.block_storage());

    // In and out.
    let mut import = native.import_volume(NewImport {
        name: Some("image".to_owned()),
        description: None,
        size_bytes: 1 << 30,
    });
    import
        .write(1 << 20, Bytes::from(vec![7; 1 << 20]))
        .await
        .expect("taken");
    let made = VolumeId::from(import.finish().await.expect("made").id.to_string());
    assert!(native.volume_path(&made).await.expect("told").is_some());
    let export = native.export_volume(&made).await.expect("begun");
    assert_eq!(export.size(), 1 << 30);
    assert_eq!(data(export, 7).await, 1 << 20);

    // Backups.
    let new = NewBackup {
        volume_id: made.clone(),
        ..NewBackup::default()
    };
    let backup = api.create_backup(&new).await.expect("begun");
    api.wait_for_backup(&backup, soon()).await.expect("made");
    assert_eq!(
        native.backups(None, Some(&made)).await.expect("all").len(),
        1
    );
    let shown = native.backup(&backup).await.expect("shown");
    assert!(shown.damage.is_none() && shown.bytes.is_some(), "{shown:?}");
    let read = native.read_backup(&backup).await.expect("begun");
    assert_eq!(data(read, 7).await, 1 << 20);
    native.backup_origin(&backup).await.expect("told");
    let refused = native.adopt_backup(&backup).await.expect_err("is ours");
    assert!(matches!(refused, SdkError::Refused { .. }), "{refused}");
    let export = native.begin_export(&backup, false).await.expect("served");
    assert_eq!(export.size_bytes, 1 << 30);
    assert!(export.uri.is_some(), "its maker gets the address");
    let served = native.exports().await.expect("a list");
    let listed = Export {
        uri: None,
        ..export.clone()
    };
    assert_eq!(served, [listed], "no list has the address");
    native.end_export(&export.id).await.expect("ended");
    let instant = native.begin_instant_restore(&backup).await;
    let instant = instant.expect("usable at once");
    assert!(instant.writable && instant.complete.is_some());
    native.end_export(&instant.id).await.expect("ended");
    let project = cloud.project_id().await.expect("of a project");
    let counted = native.erase_project(&project, None).await.expect("counted");
    assert_eq!((counted.backups, counted.done), (1, false));

    // Tasks.
    let filter = TaskFilter {
        volume_id: Some(made),
        ..TaskFilter::default()
    };
    let workers = native.workers().await.expect("a list");
    assert!(workers.iter().any(|worker| worker.name == "tasks"));
    assert!(workers.iter().all(|worker| worker.restarts == 0));
    let tasks = native.tasks(&filter).await.expect("a list");
    let done = tasks[0].id.into();
    let shown = native.task(&done).await.expect("shown");
    assert_eq!(shown.id, tasks[0].id);
    let refused = native.cancel_task(&done).await.expect_err("is over");
    assert!(matches!(refused, SdkError::Refused { .. }), "{refused}");
    native.sweep().await.expect("begun");
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_file_systems_and_policies_of_the_native_api() {
    let (dir, running, config) = served().await;
    let cloud = Connection::open(config).await.expect("signed in");
    let (native, cbr) = (cloud.native(), cloud.cbr());
    let (root, more) = (volume(&cloud, "root").await, volume(&cloud, "more").await);
    let parsed = |id: &VolumeId| id.as_str().parse().expect("is an id");

    // Servers.
    let new = NewServer {
        name: "web".to_owned(),
        volumes: vec![parsed(&root)],
        ..NewServer::default()
    };
    let server = native.create_server(&new).await.expect("made");
    let id = ServerId::from(server.id);
    let disks = ServerVolumes {
        volumes: vec![parsed(&more)],
    };
    let larger = native.add_server_volumes(&id, &disks).await.expect("added");
    assert_eq!(larger.volumes.len(), 2);
    let smaller = native.remove_server_volumes(&id, &disks).await;
    assert_eq!(smaller.expect("removed").volumes.len(), 1);
    let named = native.servers(Some("web")).await.expect("a list");
    assert_eq!(named.len(), 1);
    assert_eq!(native.server(&id).await.expect("shown"), named[0]);
    let kind = word::ObjectType::Server;
    let seen = cbr.protectables(&kind, &ProtectableQuery::default()).all();
    assert_eq!(seen.await.expect("a list").len(), 1);
    let resource = AddResource::new(id.as_str(), word::ResourceType::Server);
    let new = NewVault::for_servers("servers", Gib(10)).holding([resource]);
    let vault = cbr.create_vault(&new).await.expect("made").id;
    let made = run(&cbr, &vault).await;
    assert_eq!(made.children.len(), 1);
    let told = cbr.backup_metadata(&made.id).await.expect("told");
    assert_eq!((told.backup_id, told.volumes.len()), (made.id, 1));
    cbr.delete_vault(&vault).await.expect("begun");
    gone(&cbr, &vault).await;
    native.delete_server(&id).await.expect("gone");

    // File systems, and back what was lost of one.
    let path = shared(&dir).join("homes");
    std::fs::create_dir(&path).expect("made");
    std::fs::write(path.join("letter"), "dear all").expect("written");
    let new = NewFileSystem {
        name: "homes".to_owned(),
        path: text(&path),
        ..NewFileSystem::default()
    };
    let homes = native.create_file_system(&new).await.expect("registered");
    let id = FileSystemId::from(homes.id);
    assert_eq!(native.file_system(&id).await.expect("shown").name, "homes");
    let named = native.file_systems(Some("homes")).await.expect("a list");
    assert_eq!(named.len(), 1);
    let resource = ResourceId::from(id.as_str());
    let kind = word::ResourceType::Turbo;
    let new = NewVault::new("files", word::ObjectType::Turbo, Gib(10))
        .holding([AddResource::new(resource.clone(), kind)]);
    let vault = cbr.create_vault(&new).await.expect("made").id;
    let made = run(&cbr, &vault).await;
    std::fs::remove_file(path.join("letter")).expect("lost");
    let target = RestoreTarget::file_system(&resource);
    let task = cbr.restore_backup(&made.id, &target).await.expect("begun");
    cbr.wait_for_task(&task.expect("is told"), soon())
        .await
        .expect("restored");
    let letter = std::fs::read_to_string(path.join("letter"));
    assert_eq!(letter.expect("is back"), "dear all");

    // Policies.
    let new = NewPolicy::backup("nightly", ["FREQ=DAILY;INTERVAL=1;BYHOUR=1;BYMINUTE=00"]);
    let policy = cbr.create_policy(&new).await.expect("made").id;
    assert_eq!(cbr.policy(&policy).await.expect("shown").name, "nightly");
    let preview = native
        .preview_policy(&policy, &PolicyTrial::default())
        .await;
    assert!(!preview.expect("told").next_runs.is_empty());

    cbr.delete_vault(&vault).await.expect("begun");
    gone(&cbr, &vault).await;
    native.delete_file_system(&id).await.expect("forgotten");
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_of_the_identity_api() {
    let (_dir, running, config) = served().await;
    let cloud = Connection::open(config).await.expect("signed in");
    let people = cloud.identity();
    let project = people.create_project("lab", Some("tests")).await;
    let project = project.expect("made");
    assert_eq!(project.description, "tests");
    let password = Secret::new("a long password");
    let user = people.create_user("ada", &password, None).await;
    let user = user.expect("made");
    let named = people.users(Some("ada")).await.expect("a list");
    assert_eq!(named, std::slice::from_ref(&user));
    let named = people.projects(Some("lab")).await.expect("a list");
    assert_eq!(named, std::slice::from_ref(&project));
    let role = people
        .roles(Some("reader"))
        .await
        .expect("a list")
        .remove(0);
    people
        .add_role(&user.id, &project.id, &role.id)
        .await
        .expect("given");
    let had = async || {
        let all = people.assignments().await.expect("a list");
        all.iter()
            .any(|one| one.user == "ada" && one.project == "lab")
    };
    assert!(had().await);
    people
        .remove_role(&user.id, &project.id, &role.id)
        .await
        .expect("taken");
    assert!(!had().await);
    running.shutdown().await;
}
