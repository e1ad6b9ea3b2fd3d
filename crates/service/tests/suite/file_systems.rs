//! File systems: trees of files in vaults, there and back.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use crate::common;

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use common::{House, caller, until};
use emberkeep_model::{
    BackupState, Caller, CheckpointStatus, FileSystem, ObjectType, ProtectType, Role, SkipReason,
    TaskState, VaultId,
};
use emberkeep_service::query::BackupQuery;
use emberkeep_service::{
    BackupView, CbrError, CbrRestore, FILE_SYSTEM_RESOURCE, NewCheckpoint, NewFileSystem,
    NewResource, NewVault, ProtectableQuery, Reach, ServiceError, Settings,
};
use emberkeep_volumes::VolumeProvider;

fn alice() -> Caller {
    caller("alpha", Role::Member)
}

fn admin() -> Caller {
    caller("alpha", Role::Admin)
}

fn vault_of(system: &FileSystem) -> NewVault {
    NewVault {
        name: "files".into(),
        description: None,
        object_type: ObjectType::Turbo,
        protect_type: ProtectType::Backup,
        size: 10,
        auto_expand: false,
        auto_bind: false,
        bind_rules: vec![],
        tags: vec![],
        locked: false,
        smn_notify: true,
        threshold: 80,
        backup_name_prefix: None,
        backup_policy_id: None,
        resources: vec![NewResource {
            id: system.id.to_string(),
            kind: FILE_SYSTEM_RESOURCE.into(),
            name: None,
            choice: Default::default(),
        }],
    }
}

async fn house(root: &Path) -> House {
    let root = root.to_owned();
    House::with(move |settings: &mut Settings| settings.turbo_roots = vec![root.clone()]).await
}

async fn registered(house: &House, name: &str, path: PathBuf) -> FileSystem {
    let new = NewFileSystem {
        name: name.into(),
        path,
        ..NewFileSystem::default()
    };
    house
        .service
        .create_file_system(&admin(), new)
        .await
        .unwrap()
}

async fn backed_up(house: &House, vault: VaultId) -> BackupView {
    let new = NewCheckpoint {
        vault_id: vault,
        name: None,
        description: None,
        incremental: true,
        automatic: false,
        resources: vec![],
        retention_days: None,
        policy_id: None,
    };
    let caller = alice();
    let made = house.service.create_checkpoint(&caller, new).await.unwrap();
    let id = made.checkpoint.id;
    let look = || async { house.service.checkpoint(&caller, id).await.unwrap() };
    let ended = until("the run to end", look, |view| {
        view.checkpoint.status != CheckpointStatus::Protecting
    })
    .await;
    let query = BackupQuery {
        checkpoint: Some(id),
        ..BackupQuery::default()
    };
    let backup = house.service.cbr_backups(&caller, query).await.unwrap();
    let backup = backup.items.into_iter().next().unwrap();
    let reason = &backup.backup.fail_reason;
    assert_eq!(
        ended.checkpoint.status,
        CheckpointStatus::Available,
        "{reason:?}"
    );
    backup
}

async fn restored(house: &House, backup: &BackupView, to: &FileSystem) -> TaskState {
    let target = CbrRestore {
        resource_id: Some(to.id.into()),
        ..CbrRestore::default()
    };
    let (caller, id) = (alice(), backup.backup.id);
    let task = house
        .service
        .cbr_restore(&caller, id, target)
        .await
        .unwrap();
    let look = || async { house.service.task(&caller, task).await.unwrap().state };
    until("the restore to end", look, |s| s.has_ended()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_of_files_comes_back() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("share");
    fs::create_dir_all(dir.join("a/b")).unwrap();
    fs::write(dir.join("a/one"), vec![1; 3 << 20]).unwrap();
    let odd = dir.join(std::ffi::OsStr::from_bytes(b"a/b/\xff odd"));
    fs::write(&odd, b"odd").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", dir.join("link")).unwrap();
    let house = house(root.path()).await.work();
    let share = registered(&house, "share", dir.clone()).await;
    let vault = house.service.create_vault(&alice(), vault_of(&share)).await;
    let vault = vault.unwrap().vault.id;

    let first = backed_up(&house, vault).await;
    assert_eq!(first.backup.cbr.kind, ObjectType::Turbo);
    assert!(!first.backup.is_incremental());
    fs::write(dir.join("a/one"), b"changed").unwrap();
    fs::write(dir.join("later"), b"later").unwrap();
    let second = backed_up(&house, vault).await;
    assert!(second.backup.is_incremental());
    let stored = |view: &BackupView| view.backup.state.sealed().unwrap().stored.0;
    assert!(stored(&second) < stored(&first) + (1 << 20));
    let frozen = || async { house.volumes.freezes().unwrap() };
    until("the images to go", frozen, Vec::is_empty).await;

    // Block Storage knows nothing of it.
    let all = house
        .service
        .backups(&alice(), BackupQuery::default(), Reach::Own)
        .await;
    assert_eq!(all.unwrap().items.len(), 0);

    // Back over itself: what came later is gone. Then to another directory.
    assert_eq!(restored(&house, &first, &share).await, TaskState::Succeeded);
    assert_eq!(fs::read(dir.join("a/one")).unwrap(), vec![1; 3 << 20]);
    assert_eq!(fs::read(&odd).unwrap(), b"odd");
    assert!(!dir.join("later").exists());
    assert_eq!(
        fs::read_link(dir.join("link")).unwrap(),
        Path::new("/etc/passwd")
    );
    let other = root.path().join("other");
    fs::create_dir(&other).unwrap();
    let other_system = registered(&house, "other", other.clone()).await;
    assert_eq!(
        restored(&house, &second, &other_system).await,
        TaskState::Succeeded
    );
    assert_eq!(fs::read(other.join("a/one")).unwrap(), b"changed");
    assert_eq!(fs::read(other.join("later")).unwrap(), b"later");
    until("the images to go", frozen, Vec::is_empty).await;

    // It shows, with its vault; and is skipped once it is gone.
    let page = house
        .service
        .protectables(&alice(), ObjectType::Turbo, ProtectableQuery::default())
        .await
        .unwrap();
    assert_eq!(page.items.len(), 2);
    house
        .service
        .cbr_delete_backup(&alice(), first.backup.id)
        .await
        .unwrap();
    house
        .service
        .delete_file_system(&admin(), share.id)
        .await
        .unwrap();
    let new = NewCheckpoint {
        vault_id: vault,
        name: None,
        description: None,
        incremental: true,
        automatic: false,
        resources: vec![],
        retention_days: None,
        policy_id: None,
    };
    let refused = house.service.create_checkpoint(&alice(), new).await;
    assert!(matches!(refused, Err(ServiceError::NothingToBackUp)));
    assert!(dir.exists(), "the directory stays");
    let _ = SkipReason::FileSystemGone;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_administrator_names_directories_and_only_allowed_ones() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("share");
    fs::create_dir_all(dir.join("inner")).unwrap();
    std::os::unix::fs::symlink("/etc", root.path().join("link")).unwrap();
    let house = house(root.path()).await;
    let new = |path: &Path| NewFileSystem {
        name: "x".into(),
        path: path.to_owned(),
        ..NewFileSystem::default()
    };
    let refused = house.service.create_file_system(&alice(), new(&dir)).await;
    assert!(matches!(refused, Err(ServiceError::Policy { .. })));
    for (what, path) in [
        ("of the host", PathBuf::from("/etc")),
        ("the root itself", root.path().to_owned()),
        ("out of the root", root.path().join("share/../../../etc")),
        ("through a link", root.path().join("link")),
        ("relative", PathBuf::from("share")),
        ("absent", root.path().join("none")),
    ] {
        let refused = house.service.create_file_system(&admin(), new(&path)).await;
        assert!(
            matches!(refused, Err(ServiceError::Cbr(CbrError::Directory(_)))),
            "{what}: {refused:?}"
        );
    }
    house
        .service
        .create_file_system(&admin(), new(&dir))
        .await
        .unwrap();
    for path in [&dir, &dir.join("inner")] {
        let refused = house.service.create_file_system(&admin(), new(path)).await;
        assert!(matches!(
            refused,
            Err(ServiceError::Cbr(CbrError::Directory(_)))
        ));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_swapped_for_a_link_is_not_read() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("share");
    fs::create_dir(&dir).unwrap();
    let house = house(root.path()).await.work();
    let share = registered(&house, "share", dir.clone()).await;
    let vault = house.service.create_vault(&alice(), vault_of(&share)).await;
    let vault = vault.unwrap().vault.id;
    fs::remove_dir(&dir).unwrap();
    std::os::unix::fs::symlink("/etc", &dir).unwrap();
    let new = NewCheckpoint {
        vault_id: vault,
        name: None,
        description: None,
        incremental: true,
        automatic: false,
        resources: vec![],
        retention_days: None,
        policy_id: None,
    };
    let made = house
        .service
        .create_checkpoint(&alice(), new)
        .await
        .unwrap();
    let query = || BackupQuery {
        checkpoint: Some(made.checkpoint.id),
        ..BackupQuery::default()
    };
    let look = || async {
        let page = house.service.cbr_backups(&alice(), query()).await.unwrap();
        page.items[0].backup.state.clone()
    };
    let state = until("the backup to end", look, |state| !state.is_busy()).await;
    assert!(matches!(state, BackupState::Failed { .. }), "{state:?}");
}
