//! Servers: kept together, backed up at one instant, restored together.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use crate::common;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use common::{House, caller, of, until};
use emberkeep_catalog::{Change, Row};
use emberkeep_model::{
    BackupId, BackupState, Caller, CheckpointId, CheckpointStatus, Gib, ObjectType, ProtectStatus,
    ProtectType, Role, ServerId, SkipReason, TaskState, VaultId, Volume, VolumeChoice, VolumeId,
    VolumeStatus,
};
use emberkeep_service::query::{BackupQuery, TaskQuery};
use emberkeep_service::{
    BackupView, CbrError, CbrRestore, NewCheckpoint, NewResource, NewServer, NewVault,
    ProtectableQuery, Reach, SERVER_RESOURCE, ServiceError, VOLUME_RESOURCE,
};
use emberkeep_volumes::VolumeProvider;

fn alice() -> Caller {
    caller("alpha", Role::Member)
}

fn server_vault(size: i64, resources: Vec<NewResource>) -> NewVault {
    NewVault {
        name: "servers".into(),
        description: None,
        object_type: ObjectType::Server,
        protect_type: ProtectType::Backup,
        size,
        auto_expand: false,
        auto_bind: false,
        bind_rules: vec![],
        tags: vec![],
        locked: false,
        smn_notify: true,
        threshold: 80,
        backup_name_prefix: None,
        backup_policy_id: None,
        resources,
    }
}

fn resource(id: ServerId, choice: VolumeChoice) -> NewResource {
    NewResource {
        id: id.to_string(),
        kind: SERVER_RESOURCE.into(),
        name: None,
        choice,
    }
}

fn run_over(vault_id: VaultId) -> NewCheckpoint {
    NewCheckpoint {
        vault_id,
        name: Some("run".into()),
        description: None,
        incremental: true,
        automatic: false,
        resources: vec![],
        retention_days: None,
        policy_id: None,
    }
}

/// A server of two volumes in a vault of 10 GB.
struct Set {
    server: ServerId,
    volumes: Vec<Volume>,
    vault: VaultId,
}

async fn set(house: &House, names: &[&str]) -> Set {
    let mut volumes = Vec::new();
    for (seed, name) in names.iter().enumerate() {
        let volume = house.volume(&alice(), name).await;
        house.write(volume.id, 0, seed as u64, 3 << 20);
        volumes.push(volume);
    }
    let new = NewServer {
        name: "web".into(),
        volumes: volumes.iter().map(|v| v.id).collect(),
        ..NewServer::default()
    };
    let server = house.service.create_server(&alice(), new).await.unwrap();
    let server = server.server.id;
    let new = server_vault(10, vec![resource(server, VolumeChoice::default())]);
    let vault = house.service.create_vault(&alice(), new).await.unwrap();
    Set {
        server,
        volumes,
        vault: vault.vault.id,
    }
}

async fn ended(house: &House, id: CheckpointId) -> CheckpointStatus {
    let look = || async {
        let view = house.service.checkpoint(&alice(), id).await.unwrap();
        view.checkpoint.status
    };
    until("the run to end", look, |status| {
        *status != CheckpointStatus::Protecting
    })
    .await
}

/// Makes a run and returns the server's backup.
async fn backed_up(house: &House, vault: VaultId) -> BackupView {
    let (caller, new) = (alice(), run_over(vault));
    let made = house.service.create_checkpoint(&caller, new).await;
    let made = made.unwrap().checkpoint.id;
    assert_eq!(ended(house, made).await, CheckpointStatus::Available);
    only_backup(house, made).await
}

async fn only_backup(house: &House, checkpoint: CheckpointId) -> BackupView {
    let query = BackupQuery {
        checkpoint: Some(checkpoint),
        ..BackupQuery::default()
    };
    let mut page = house.service.cbr_backups(&alice(), query).await.unwrap();
    assert_eq!(page.items.len(), 1, "one item: the server's");
    page.items.remove(0)
}

fn part_of(view: &BackupView, volume: VolumeId) -> BackupId {
    let part = view.parts.iter().find(|p| p.backup.volume_id == volume);
    part.unwrap().backup.id
}

async fn restored(house: &House, backup: BackupId, to: CbrRestore) -> TaskState {
    let task = house
        .service
        .cbr_restore(&alice(), backup, to)
        .await
        .unwrap();
    let look = || async { house.service.task(&alice(), task).await.unwrap().state };
    until("the restore to end", look, |s| s.has_ended()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_one_backup_with_a_part_for_each_volume() {
    let house = House::new().await.work();
    let set = set(&house, &["root", "data"]).await;
    let before: Vec<_> = set.volumes.iter().map(|v| house.content(v.id)).collect();
    let whole = backed_up(&house, set.vault).await;
    assert_eq!(whole.backup.cbr.kind, ObjectType::Server);
    assert_eq!(whole.backup.volume_name.as_deref(), Some("web"));
    assert_eq!(whole.backup.size, Gib(2));
    assert_eq!(whole.parts.len(), 2);
    for part in &whole.parts {
        assert_eq!(part.backup.name.as_deref(), Some("run_web"));
        assert_eq!(part.backup.cbr.part_of, Some(whole.backup.id));
        assert!(matches!(part.backup.state, BackupState::Available(_)));
    }
    let stored = |view: &BackupView| view.backup.state.sealed().unwrap().stored.0;
    assert_eq!(stored(&whole), whole.parts.iter().map(stored).sum::<u64>());

    // The vault counts one backup of one resource, and what its parts store once.
    let vault = house.service.vault(&alice(), set.vault).await.unwrap();
    assert_eq!(vault.usage.backups, 1);
    assert_eq!(vault.usage.used.0, stored(&whole));
    assert_eq!(vault.usage.allocated, Gib(2));
    let (bound, used) = &vault.resources[0];
    assert_eq!((used.backups, used.used.0), (1, stored(&whole)));
    assert_eq!(bound.status, ProtectStatus::Available);
    let usage = house.service.storage_usage(&alice()).await.unwrap();
    assert_eq!(usage.len(), 1);
    assert_eq!(usage[0].kind, ObjectType::Server);
    assert_eq!((usage[0].backups, usage[0].used.0), (1, stored(&whole)));

    // One task, about the server.
    let query = TaskQuery {
        work: vec!["backup"],
        ..TaskQuery::default()
    };
    let tasks = house.service.tasks(&alice(), query).await.unwrap().items;
    assert_eq!(tasks.len(), 1);
    assert_eq!(tasks[0].object_type, ObjectType::Server);
    assert_eq!(tasks[0].volume_id, Some(VolumeId(set.server.0)));
    // The rows come first, then what is held for them is let go.
    let held = || async { house.volumes.freezes().unwrap() };
    until("the volumes to be let go", held, Vec::is_empty).await;

    // Block Storage shows the parts and knows nothing of the whole.
    let all = BackupQuery::default();
    let shown = house.service.backups(&alice(), all, Reach::Own).await;
    let mut shown: Vec<_> = shown.unwrap().items.iter().map(|b| b.id).collect();
    let mut parts: Vec<_> = whole.parts.iter().map(|p| p.backup.id).collect();
    shown.sort();
    parts.sort();
    assert_eq!(shown, parts);
    let hidden = house.service.backup(&alice(), whole.backup.id).await;
    assert!(matches!(hidden, Err(ServiceError::NoSuchBackup(_))));

    // A part does not go alone, by either way.
    let part = parts[0];
    for refused in [
        house.service.cbr_delete_backup(&alice(), part).await.err(),
        house.service.delete_backup(&alice(), part).await.err(),
    ] {
        assert!(
            matches!(
                refused,
                Some(ServiceError::Cbr(CbrError::PartOfServer { .. }))
            ),
            "{refused:?}"
        );
    }

    // Back where it was.
    for (seed, volume) in set.volumes.iter().enumerate() {
        house.write(volume.id, 1 << 20, 90 + seed as u64, 4 << 20);
    }
    let to = CbrRestore {
        server_id: Some(set.server),
        ..CbrRestore::default()
    };
    assert_eq!(
        restored(&house, whole.backup.id, to).await,
        TaskState::Succeeded
    );
    let after: Vec<_> = set.volumes.iter().map(|v| house.content(v.id)).collect();
    assert_eq!(before, after);
    for volume in &set.volumes {
        let volume = house.service.volume(&alice(), volume.id).await.unwrap();
        assert_eq!(volume.status, VolumeStatus::Available);
    }

    // The whole goes with its parts, and their room with them.
    house
        .service
        .cbr_delete_backup(&alice(), whole.backup.id)
        .await
        .unwrap();
    for part in parts {
        house.backup_gone(&alice(), part).await;
    }
    let look = || async {
        house
            .service
            .vault(&alice(), set.vault)
            .await
            .unwrap()
            .usage
    };
    until("the vault to be empty", look, |usage| {
        usage.backups == 0 && usage.used.0 == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_can_map_parts_to_other_volumes() {
    let house = House::new().await.work();
    let set = set(&house, &["root", "data"]).await;
    let (root, data) = (&set.volumes[0], &set.volumes[1]);
    let contents = (house.content(root.id), house.content(data.id));
    let whole = backed_up(&house, set.vault).await;
    let id = whole.backup.id;
    let server = |mappings| CbrRestore {
        server_id: Some(set.server),
        mappings,
        ..CbrRestore::default()
    };
    let part = part_of(&whole, root.id);

    // A new server takes the root only.
    let spare = house.volume(&alice(), "spare").await;
    house.write(spare.id, 0, 77, 5 << 20);
    let new = NewServer {
        name: "twin".into(),
        volumes: vec![spare.id],
        ..NewServer::default()
    };
    let twin = house.service.create_server(&alice(), new).await.unwrap();
    let to = CbrRestore {
        server_id: Some(twin.server.id),
        mappings: vec![(part, spare.id)],
        ..CbrRestore::default()
    };
    assert_eq!(restored(&house, id, to).await, TaskState::Succeeded);
    assert_eq!(house.content(spare.id), contents.0);

    // Swapped, on the original.
    let swapped = server(vec![(part, data.id), (part_of(&whole, data.id), root.id)]);
    assert_eq!(restored(&house, id, swapped).await, TaskState::Succeeded);
    assert_eq!((house.content(data.id), house.content(root.id)), contents);

    // A part alone, as a disk.
    let to = CbrRestore {
        volume_id: Some(root.id),
        ..CbrRestore::default()
    };
    assert_eq!(restored(&house, part, to).await, TaskState::Succeeded);
    assert_eq!(house.content(root.id), contents.0);

    let small = NewServer {
        name: "empty".into(),
        ..NewServer::default()
    };
    let empty = house.service.create_server(&alice(), small).await.unwrap();
    let mut snapshot = house.service.volume(&alice(), data.id).await.unwrap();
    snapshot.bootable = true;
    house
        .catalog
        .apply(vec![Change::Save(Row::Volume(snapshot))])
        .await
        .unwrap();
    for (what, to, want) in [
        ("no target", CbrRestore::default(), "server_id"),
        (
            "another server's volume",
            server(vec![(part, spare.id)]),
            "does not belong to server",
        ),
        (
            "no such part",
            server(vec![(BackupId(spare.id.0), root.id)]),
            "could not be found",
        ),
        (
            "a volume twice",
            server(vec![(part, root.id), (part_of(&whole, data.id), root.id)]),
            "named once",
        ),
        (
            "a disk",
            CbrRestore {
                volume_id: Some(root.id),
                ..CbrRestore::default()
            },
            "another kind",
        ),
        (
            "no volumes to map to",
            CbrRestore {
                server_id: Some(empty.server.id),
                ..CbrRestore::default()
            },
            "does not belong to server",
        ),
        (
            "data onto the system disk",
            server(vec![(part, data.id)]),
            "system disk",
        ),
    ] {
        let refused = house.service.cbr_restore(&alice(), id, to).await;
        let text = refused.expect_err(what).to_string();
        assert!(text.contains(want), "{what}: {text}");
    }
    for volume in [root.id, data.id, spare.id] {
        let volume = house.service.volume(&alice(), volume).await.unwrap();
        assert_eq!(volume.status, VolumeStatus::Available, "nothing was begun");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_can_be_left_out_for_ever_or_for_one_run() {
    let house = House::new().await.work();
    let set = set(&house, &["root", "data", "scratch"]).await;
    let [root, data, scratch] = [0, 1, 2].map(|i| set.volumes[i].id);
    let exclude = |ids: &[VolumeId]| VolumeChoice {
        exclude: ids.to_vec(),
        ..VolumeChoice::default()
    };
    // Adding what is there changes which volumes are meant.
    let changed = resource(set.server, exclude(&[scratch]));
    house
        .service
        .add_resources(&alice(), set.vault, vec![changed])
        .await
        .unwrap();
    let vault = house.service.vault(&alice(), set.vault).await.unwrap();
    assert_eq!(
        vault.usage.allocated,
        Gib(2),
        "what is left out needs no room"
    );
    let volumes = |view: &BackupView| {
        let mut ids: Vec<_> = view.parts.iter().map(|p| p.backup.volume_id).collect();
        ids.sort();
        ids
    };
    let sorted = |mut ids: Vec<VolumeId>| {
        ids.sort();
        ids
    };
    let whole = backed_up(&house, set.vault).await;
    assert_eq!(volumes(&whole), sorted(vec![root, data]));

    // For one run, something else.
    let mut once = run_over(set.vault);
    once.resources = vec![(set.server.to_string(), Some(exclude(&[root])))];
    let made = house
        .service
        .create_checkpoint(&alice(), once)
        .await
        .unwrap();
    ended(&house, made.checkpoint.id).await;
    let whole = only_backup(&house, made.checkpoint.id).await;
    assert_eq!(volumes(&whole), sorted(vec![data, scratch]));

    // A volume that is added takes part, unless only some are included.
    let late = house.volume(&alice(), "late").await;
    house
        .service
        .add_server_volumes(&alice(), set.server, &[late.id, root])
        .await
        .unwrap();
    let whole = backed_up(&house, set.vault).await;
    assert_eq!(volumes(&whole), sorted(vec![root, data, late.id]));
    let included = VolumeChoice {
        include: vec![emberkeep_model::IncludedVolume {
            id: root,
            os_version: Some("Debian 12".into()),
        }],
        ..VolumeChoice::default()
    };
    house
        .service
        .add_resources(
            &alice(),
            set.vault,
            vec![resource(set.server, included.clone())],
        )
        .await
        .unwrap();
    let whole = backed_up(&house, set.vault).await;
    assert_eq!(volumes(&whole), [root]);
    let vault = house.service.vault(&alice(), set.vault).await.unwrap();
    assert_eq!(vault.resources[0].0.choice, included);

    // Nothing left: refused where it is asked for, skipped where it has come to be so.
    let all = exclude(&[root, data, scratch, late.id]);
    let refused = house
        .service
        .add_resources(&alice(), set.vault, vec![resource(set.server, all)])
        .await;
    assert!(matches!(
        refused,
        Err(ServiceError::Cbr(CbrError::NoDisks(_)))
    ));
    house
        .service
        .remove_server_volumes(&alice(), set.server, &[root])
        .await
        .unwrap();
    let refused = house
        .service
        .create_checkpoint(&alice(), run_over(set.vault))
        .await;
    assert!(matches!(refused, Err(ServiceError::NothingToBackUp)));
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_are_refused_and_skipped_with_reasons() {
    let house = House::new().await.work();
    let set = set(&house, &["root", "data"]).await;
    let service = &house.service;
    let (root, data) = (set.volumes[0].id, set.volumes[1].id);

    // A volume is in one server only; a server in one vault only; of the right kind.
    let again = NewServer {
        name: "thief".into(),
        volumes: vec![root],
        ..NewServer::default()
    };
    let refused = service.create_server(&alice(), again).await;
    assert!(matches!(
        refused,
        Err(ServiceError::Cbr(CbrError::VolumeInServer { .. }))
    ));
    let bound = resource(set.server, VolumeChoice::default());
    let refused = service
        .create_vault(&alice(), server_vault(10, vec![bound.clone()]))
        .await;
    assert!(matches!(
        refused,
        Err(ServiceError::ResourceInOtherVault { .. })
    ));
    let disk = NewResource {
        kind: VOLUME_RESOURCE.into(),
        ..resource(ServerId(root.0), VolumeChoice::default())
    };
    let refused = service.add_resources(&alice(), set.vault, vec![disk]).await;
    assert!(matches!(refused, Err(ServiceError::ResourceType { .. })));
    let missing = resource(ServerId(root.0), VolumeChoice::default());
    let refused = service
        .add_resources(&alice(), set.vault, vec![missing])
        .await;
    assert!(matches!(
        refused,
        Err(ServiceError::Cbr(CbrError::NoSuchServer(_)))
    ));
    let bob = caller("beta", Role::Member);
    assert!(service.server(&bob, set.server).await.is_err());
    let refused = service
        .create_vault(&bob, server_vault(10, vec![bound.clone()]))
        .await;
    assert!(
        matches!(refused, Err(ServiceError::Cbr(CbrError::NoSuchServer(_)))),
        "who may not know of it is not told where it is: {refused:?}"
    );

    // Room: one volume more than the vault holds is refused, or the vault grows.
    let mut more = Vec::new();
    for n in 0..2 {
        more.push(house.volume(&alice(), &format!("v{n}")).await.id);
    }
    let mut row = house.catalog.volume(more[1]).await.unwrap().unwrap();
    row.size = Gib(9);
    house
        .catalog
        .apply(vec![Change::Save(Row::Volume(row))])
        .await
        .unwrap();
    let refused = service
        .add_server_volumes(&alice(), set.server, &more)
        .await;
    assert!(matches!(refused, Err(ServiceError::VaultCapacity { .. })));
    let seen = service.server(&alice(), set.server).await.unwrap();
    assert_eq!(seen.volumes.len(), 2, "nothing was added");

    // What stands in the way of a run shows.
    let stand = |id: VolumeId, status: VolumeStatus| {
        let house = &house;
        async move {
            let mut row = house.catalog.volume(id).await.unwrap().unwrap();
            row.status = status;
            house
                .catalog
                .apply(vec![Change::Save(Row::Volume(row))])
                .await
                .unwrap();
        }
    };
    let other = NewServer {
        name: "other".into(),
        volumes: vec![more[0]],
        ..NewServer::default()
    };
    let other = service.create_server(&alice(), other).await.unwrap();
    service
        .add_resources(
            &alice(),
            set.vault,
            vec![resource(other.server.id, VolumeChoice::default())],
        )
        .await
        .unwrap();
    for (status, want) in [
        (VolumeStatus::Error, SkipReason::ServerStatus),
        (VolumeStatus::BackingUp, SkipReason::BackupRunning),
        (VolumeStatus::RestoringBackup, SkipReason::Restoring),
    ] {
        stand(data, status).await;
        let made = service
            .create_checkpoint(&alice(), run_over(set.vault))
            .await
            .unwrap();
        let skipped = &made.checkpoint.skipped;
        assert_eq!(skipped.len(), 1, "{status}");
        assert_eq!(skipped[0].reason, want);
        assert_eq!(skipped[0].resource_id, set.server.into());
        ended(&house, made.checkpoint.id).await;
    }
    stand(data, VolumeStatus::Available).await;
    service.delete_server(&alice(), set.server).await.unwrap();
    let made = service
        .create_checkpoint(&alice(), run_over(set.vault))
        .await
        .unwrap();
    assert_eq!(made.checkpoint.skipped[0].reason, SkipReason::ServerGone);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_volume_that_cannot_be_frozen_fails_all_and_holds_nothing() {
    let house = House::new().await.work();
    let set = set(&house, &["root", "data"]).await;
    std::fs::remove_file(house.path(set.volumes[1].id)).unwrap();
    let made = house
        .service
        .create_checkpoint(&alice(), run_over(set.vault))
        .await
        .unwrap();
    assert_eq!(
        ended(&house, made.checkpoint.id).await,
        CheckpointStatus::Error
    );
    let whole = only_backup(&house, made.checkpoint.id).await;
    let reason = whole.backup.fail_reason.clone().unwrap();
    assert!(reason.contains("does not exist"), "{reason}");
    for part in &whole.parts {
        assert!(matches!(part.backup.state, BackupState::Failed { .. }));
    }
    for volume in &set.volumes {
        let volume = house.service.volume(&alice(), volume.id).await.unwrap();
        assert_eq!(volume.status, VolumeStatus::Available);
    }
    let frozen = || async { house.volumes.freezes().unwrap() };
    until("the freezes to go", frozen, Vec::is_empty).await;
    // It is good for nothing but being deleted.
    let to = CbrRestore {
        server_id: Some(set.server),
        ..CbrRestore::default()
    };
    let refused = house
        .service
        .cbr_restore(&alice(), whole.backup.id, to)
        .await;
    assert!(matches!(
        refused,
        Err(ServiceError::BackupNotRestorable { .. })
    ));
    house
        .service
        .cbr_delete_backup(&alice(), whole.backup.id)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_run_has_one_instant() {
    let house = House::new().await;
    let catalog = Arc::clone(&house.catalog);
    let house = house.work();
    let set = set(&house, &["root", "data"]).await;
    let [root, data] = [0, 1].map(|i| set.volumes[i].id);
    // The workers are gone when the run is asked for, as after a crash.
    let house = house.restarted().await;
    drop(catalog);
    let made = house
        .service
        .create_checkpoint(&alice(), run_over(set.vault))
        .await
        .unwrap();
    let whole = only_backup(&house, made.checkpoint.id).await;
    let query = TaskQuery {
        work: vec!["backup"],
        ..TaskQuery::default()
    };
    let task = house.service.tasks(&alice(), query).await.unwrap().items[0].id;
    let name = |volume| format!("{task}.{}", part_of(&whole, volume));

    // One volume was frozen when the process ended, and both have changed since: that freeze
    // is of another instant than any that can be made now.
    house.volumes.freeze(root, &name(root)).unwrap();
    house.write(root, 0, 40, 2 << 20);
    house.write(data, 0, 41, 2 << 20);
    let now = (house.content(root), house.content(data));
    let house = house.restarted().await.work();
    assert_eq!(
        ended(&house, made.checkpoint.id).await,
        CheckpointStatus::Available
    );
    house.write(root, 0, 50, 2 << 20);
    house.write(data, 0, 51, 2 << 20);
    let to = || CbrRestore {
        server_id: Some(set.server),
        ..CbrRestore::default()
    };
    restored(&house, whole.backup.id, to()).await;
    assert_eq!((house.content(root), house.content(data)), now);

    // Both were frozen: that is the instant, whatever has happened since.
    let house = house.restarted().await;
    let made = house
        .service
        .create_checkpoint(&alice(), run_over(set.vault))
        .await
        .unwrap();
    let whole = only_backup(&house, made.checkpoint.id).await;
    let query = TaskQuery {
        work: vec!["backup"],
        states: vec!["waiting"],
        ..TaskQuery::default()
    };
    let task = house.service.tasks(&alice(), query).await.unwrap().items[0].id;
    for volume in [root, data] {
        let name = format!("{task}.{}", part_of(&whole, volume));
        house.volumes.freeze(volume, &name).unwrap();
    }
    house.write(root, 0, 60, 2 << 20);
    let house = house.restarted().await.work();
    assert_eq!(
        ended(&house, made.checkpoint.id).await,
        CheckpointStatus::Available
    );
    restored(&house, whole.backup.id, to()).await;
    assert_eq!((house.content(root), house.content(data)), now);
}

/// Writes one counter to two volumes, first to one, then to the other, over and over. It holds
/// both files' locks while it does so, as `emberkeep-volumes` asks of who wants both or neither.
fn lockstep(paths: [PathBuf; 2], stop: Arc<AtomicBool>, counted: Arc<AtomicU64>) {
    let files = paths.map(|path| {
        let lock = File::open(&path).unwrap();
        (lock, OpenOptions::new().write(true).open(path).unwrap())
    });
    for count in 1_u64.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        for (lock, _) in &files {
            lock.lock_shared().unwrap();
        }
        for (_, file) in &files {
            // Far apart, so that what copies the file front to back would tear it.
            file.write_all_at(&count.to_le_bytes(), 0).unwrap();
            file.write_all_at(&count.to_le_bytes(), 900 << 20).unwrap();
        }
        for (lock, _) in &files {
            lock.unlock().unwrap();
        }
        counted.store(count, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_volumes_of_a_server_are_of_one_instant() {
    let house = House::new().await.work();
    let set = set(&house, &["one", "two"]).await;
    let ids = [set.volumes[0].id, set.volumes[1].id];
    let mut paths = ids.map(|id| house.path(id));
    paths.sort();
    let stop = Arc::new(AtomicBool::new(false));
    let counted = Arc::new(AtomicU64::new(0));
    let writer = std::thread::spawn({
        let (stop, counted) = (Arc::clone(&stop), Arc::clone(&counted));
        move || lockstep(paths, stop, counted)
    });
    let mut wholes = Vec::new();
    for _ in 0..3 {
        let begun = counted.load(Ordering::Relaxed);
        let look = || async { counted.load(Ordering::Relaxed) };
        until("the writer to go on", look, |count| *count > begun + 10).await;
        let least = counted.load(Ordering::Relaxed);
        let whole = backed_up(&house, set.vault).await;
        wholes.push((least, counted.load(Ordering::Relaxed), whole));
    }
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    let last = counted.load(Ordering::Relaxed);
    for (least, most, whole) in wholes {
        let to = CbrRestore {
            server_id: Some(set.server),
            ..CbrRestore::default()
        };
        assert_eq!(
            restored(&house, whole.backup.id, to).await,
            TaskState::Succeeded
        );
        let read = |id: VolumeId, at: u64| {
            let mut bytes = [0; 8];
            let file = File::open(house.path(id)).unwrap();
            file.read_exact_at(&mut bytes, at).unwrap();
            u64::from_le_bytes(bytes)
        };
        let first = read(ids[0], 0);
        assert!(
            first >= least && first <= most + 1,
            "{least} {first} {most}"
        );
        assert!(first < last, "the writer went on meanwhile");
        for (id, at) in [(ids[0], 900 << 20), (ids[1], 0), (ids[1], 900 << 20)] {
            assert_eq!(read(id, at), first, "volume {id} at {at}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_show_among_what_can_be_protected() {
    let house = House::new().await.work();
    let set = set(&house, &["root", "data"]).await;
    let query = ProtectableQuery {
        name: Some("web".into()),
        ..ProtectableQuery::default()
    };
    let page = house
        .service
        .protectables(&alice(), ObjectType::Server, query)
        .await
        .unwrap();
    assert_eq!(page.items.len(), 1);
    assert_eq!(page.items[0].status(), "SHUTOFF");
    let vault = page.items[0].vault.as_ref().unwrap();
    assert_eq!(vault.vault.id, set.vault);
    let of_server = ProtectableQuery {
        server: Some(set.server),
        ..ProtectableQuery::default()
    };
    let page = house
        .service
        .protectables(&alice(), ObjectType::Disk, of_server)
        .await
        .unwrap();
    assert_eq!(page.items.len(), 2);
    let none = ProtectableQuery {
        status: Some("ACTIVE".into()),
        ..ProtectableQuery::default()
    };
    let page = house
        .service
        .protectables(&alice(), ObjectType::Server, none)
        .await
        .unwrap();
    assert_eq!(page.items.len(), 0);

    // What leaves the vault takes its backups along, all of them.
    let whole = backed_up(&house, set.vault).await;
    house
        .service
        .remove_resources(&alice(), set.vault, vec![set.server.to_string()])
        .await
        .unwrap();
    for part in &whole.parts {
        house.backup_gone(&alice(), part.backup.id).await;
    }
    let look = || async {
        house
            .service
            .vault(&alice(), set.vault)
            .await
            .unwrap()
            .resources
            .len()
    };
    until("the server to leave", look, |count| *count == 0).await;
    let plain = house.backup(&alice(), of(set.volumes[0].id)).await;
    assert!(plain.cbr.part_of.is_none());
}
