//! The bodies of `cbr-v3.md §5`, byte for byte but for the order of keys.

use std::collections::BTreeMap;

use emberkeep_model as model;
use emberkeep_model::{
    BackupState, ByteCount, CheckpointStatus, Emptied, Gib, ObjectType, Progress, ProtectStatus,
    ProtectType, Sealed, SkipReason, Tag, TaskState, VaultStatus, Work,
};
use serde_json::{Value, json};

use super::*;
use crate::time;

const PROJECT: &str = "5b1e9d0c7a3f4e2d8c6b0a1f2e3d4c5b";
const USER: &str = "9c8b7a6f5e4d3c2b1a0f9e8d7c6b5a40";
const VAULT: &str = "2f1d7b1e-59a4-4b50-8d7d-9a9d3b1c5e02";
const DISK: &str = "b0a7c1d2-3e4f-4a5b-8c6d-7e8f9a0b1c2d";
const CHECKPOINT: &str = "7c9e6a10-1f2b-4d3c-9e8a-5b6c7d8e9f01";
const BACKUP: &str = "e3b1f5c4-8d2a-4b7e-9f60-0a1b2c3d4e5f";
const TASK: &str = "41d0a6e2-7b8c-4c9d-8e0f-1a2b3c4d5e6f";

fn id<Id: std::str::FromStr>(text: &str) -> Id
where
    Id::Err: std::fmt::Debug,
{
    text.parse().expect("an id")
}

fn at(text: &str) -> model::Timestamp {
    time::parse(text).expect("a time")
}

fn vault() -> model::Vault {
    model::Vault {
        id: id(VAULT),
        project_id: id(PROJECT),
        user_id: id(USER),
        name: "disks-a".to_owned(),
        description: Some("team A".to_owned()),
        object_type: ObjectType::Disk,
        protect_type: ProtectType::Backup,
        size: Gib(100),
        status: VaultStatus::Available,
        auto_expand: false,
        auto_bind: false,
        bind_rules: vec![],
        tags: vec![Tag {
            key: "team".to_owned(),
            value: "a".to_owned(),
        }],
        locked: false,
        smn_notify: true,
        threshold: 80,
        backup_name_prefix: None,
        frozen_scene: None,
        created_at: at("2026-03-01T09:31:04.118230"),
        updated_at: None,
        revision: 1,
    }
}

fn resource(
    status: ProtectStatus,
    used: u64,
    backups: u64,
) -> (model::VaultResource, model::ResourceUsage) {
    let resource = model::VaultResource {
        vault_id: id(VAULT),
        resource_id: id(DISK),
        name: Some("data-1".to_owned()),
        size: Gib(20),
        status,
        auto_protect: true,
        choice: model::VolumeChoice::default(),
        created_at: at("2026-03-01T09:32:00"),
        revision: 1,
    };
    let usage = model::ResourceUsage {
        resource_id: id(DISK),
        used: ByteCount(used),
        backups,
    };
    (resource, usage)
}

fn assert_shown(shown: impl serde::Serialize, golden: &Value) {
    assert_eq!(&serde_json::to_value(shown).expect("JSON"), golden);
}

#[test]
fn vault_as_documented() {
    let mut golden = json!({"id": VAULT, "name": "disks-a", "description": "team A",
      "project_id": PROJECT, "user_id": USER, "enterprise_project_id": "0",
      "provider_id": "d1603440-187d-4516-af25-121250c7cc97", "created_at": "2026-03-01T09:31:04.118230",
      "auto_bind": false, "auto_expand": false, "bind_rules": {}, "smn_notify": true, "threshold": 80, "locked": false,
      "sys_lock_source_service": null, "backup_policy_id": null, "tags": [{"key": "team", "value": "a"}], "resources": [],
      "billing": {"size": 100, "allocated": 0, "used": 0, "status": "available", "protect_type": "backup", "object_type": "disk",
        "consistent_level": "crash_consistent", "charging_mode": "post_paid", "cloud_type": "public",
        "spec_code": "vault.backup.volume.normal", "order_id": null, "product_id": null, "storage_unit": null, "frozen_scene": null}});
    assert_shown(
        Vault::of(&vault(), &model::VaultUsage::default(), &[]),
        &golden,
    );

    let mut filled = vault();
    filled.bind_rules = vec![Tag {
        key: "env".to_owned(),
        value: "prod".to_owned(),
    }];
    let usage = model::VaultUsage {
        allocated: Gib(20),
        used: ByteCount((3 << 20) + 1),
        backups: 2,
    };
    golden["bind_rules"] = json!({"tags": [{"key": "env", "value": "prod"}]});
    golden["billing"]["allocated"] = json!(20);
    golden["billing"]["used"] = json!(4);
    golden["resources"] = json!([{"id": DISK, "name": "data-1", "type": "OS::Cinder::Volume", "size": 20,
        "protect_status": "available", "backup_size": 4, "backup_count": 2, "extra_info": {}, "auto_protect": true}]);
    let shown = Vault::of(
        &filled,
        &usage,
        &[resource(ProtectStatus::Available, (3 << 20) + 1, 2)],
    );
    assert_shown(&shown, &golden);
    assert_eq!(
        serde_json::from_value::<Vault>(golden).expect("reads back"),
        shown
    );
}

#[test]
fn checkpoint_as_documented() {
    let mut checkpoint = model::Checkpoint {
        id: id(CHECKPOINT),
        project_id: id(PROJECT),
        user_id: id(USER),
        vault_id: id(VAULT),
        name: "before-upgrade".to_owned(),
        description: Some("by hand".to_owned()),
        automatic: false,
        retention_days: None,
        status: CheckpointStatus::Protecting,
        resources: vec![model::CheckpointResource {
            resource_id: id(DISK),
            name: Some("data-1".to_owned()),
            size: Gib(20),
            choice: model::VolumeChoice::default(),
        }],
        skipped: vec![],
        created_at: at("2026-03-01T09:40:12.004511"),
        updated_at: None,
        revision: 1,
    };
    let mut golden = json!({"id": CHECKPOINT, "project_id": PROJECT, "status": "protecting",
      "created_at": "2026-03-01T09:40:12.004511",
      "extra_info": {"name": "before-upgrade", "description": "by hand", "retention_duration": -1},
      "vault": {"id": VAULT, "name": "disks-a", "provider_id": "d1603440-187d-4516-af25-121250c7cc97",
        "resources": [{"id": DISK, "name": "data-1", "type": "OS::Cinder::Volume", "protect_status": "protecting",
          "resource_size": "20", "backup_size": "0", "backup_count": "0", "extra_info": "{}"}],
        "skipped_resources": []}});
    let resources = [resource(ProtectStatus::Protecting, 0, 0)];
    let shown = Checkpoint::of(&checkpoint, Some(&vault()), &resources);
    assert_shown(&shown, &golden);
    assert_eq!(
        serde_json::from_value::<Checkpoint>(golden.clone()).expect("reads back"),
        shown
    );

    // Later: its vault is gone, and one resource had been left out.
    checkpoint.status = CheckpointStatus::Deleted;
    checkpoint.retention_days = Some(30);
    checkpoint.skipped = vec![model::SkippedResource {
        resource_id: id(DISK),
        name: Some("data-2".to_owned()),
        reason: SkipReason::BackupRunning,
    }];
    golden["status"] = json!("deleted");
    golden["extra_info"]["retention_duration"] = json!(30);
    golden["vault"]["name"] = json!("");
    golden["vault"]["resources"][0]["protect_status"] = json!("available");
    golden["vault"]["skipped_resources"] = json!([{"id": DISK, "type": "OS::Cinder::Volume", "name": "data-2",
        "code": "BackupService.6125", "reason": "A backup of this disk is running."}]);
    assert_shown(Checkpoint::of(&checkpoint, None, &[]), &golden);
}

fn backup() -> model::Backup {
    model::Backup {
        id: id(BACKUP),
        project_id: id(PROJECT),
        user_id: id(USER),
        volume_id: id(DISK),
        volume_name: Some("data-1".to_owned()),
        snapshot_id: None,
        vault_id: Some(id(VAULT)),
        checkpoint_id: Some(id(CHECKPOINT)),
        parent_id: None,
        name: Some("before-upgrade".to_owned()),
        description: Some("by hand".to_owned()),
        container: None,
        availability_zone: Some("az1".to_owned()),
        metadata: BTreeMap::new(),
        size: Gib(20),
        automatic: false,
        state: BackupState::Available(Sealed {
            at: at("2026-03-01T09:41:55.700412"),
            read: ByteCount(20 << 30),
            data: ByteCount(1 << 30),
            new: ByteCount(1 << 30),
            stored: ByteCount(1 << 29),
        }),
        fail_reason: None,
        restore_volume_id: None,
        data_timestamp: at("2026-03-01T09:40:12.1"),
        created_at: at("2026-03-01T09:40:12.030518"),
        updated_at: Some(at("2026-03-01T09:41:55.712003")),
        deleted_at: None,
        damage: None,
        content: None,
        cinder: Default::default(),
        cbr: Default::default(),
        revision: 3,
    }
}

#[test]
fn backup_as_documented() {
    let mut golden = json!({"id": BACKUP, "name": "before-upgrade", "description": "by hand", "status": "available",
      "image_type": "backup", "checkpoint_id": CHECKPOINT, "vault_id": VAULT,
      "project_id": PROJECT, "provider_id": "d1603440-187d-4516-af25-121250c7cc97", "enterprise_project_id": "0",
      "resource_id": DISK, "resource_name": "data-1", "resource_type": "OS::Cinder::Volume",
      "resource_size": 20, "resource_az": "az1", "created_at": "2026-03-01T09:40:12.030518", "updated_at": "2026-03-01T09:41:55.712003",
      "protected_at": "2026-03-01T09:41:55.700412", "expired_at": null, "parent_id": null, "children": [], "replication_records": [], "incremental": false,
      "extend_info": {"auto_trigger": false, "bootable": false, "incremental": false, "snapshot_id": null, "support_lld": false,
        "supported_restore_mode": "backup", "os_images_data": null, "contain_system_disk": null, "encrypted": false, "system_disk": false,
        "architecture": null, "progress": 100, "app_consistency": null}});
    let shown = Backup::of(&backup(), None, false);
    assert_shown(&shown, &golden);
    assert_eq!(
        serde_json::from_value::<Backup>(golden.clone()).expect("reads back"),
        shown
    );

    let mut running = backup();
    running.state = BackupState::Copying;
    running.parent_id = Some(id(TASK));
    let half = Progress {
        bytes_done: 1,
        bytes_total: 2,
        bytes_per_sec: 1,
    };
    golden["status"] = json!("protecting");
    golden["protected_at"] = json!(null);
    golden["incremental"] = json!(true);
    golden["extend_info"]["incremental"] = json!(true);
    golden["extend_info"]["bootable"] = json!(true);
    golden["extend_info"]["progress"] = json!(50);
    golden["extend_info"]["supported_restore_mode"] = json!("na");
    assert_shown(Backup::of(&running, Some(half), true), &golden);
}

fn task(work: Work, state: TaskState) -> model::Task {
    let ended = at("2026-03-01T10:02:41.508222");
    model::Task {
        id: id(TASK),
        project_id: id(PROJECT),
        user_id: id(USER),
        request_id: "req-5f0e6a7b-8c9d-4e0f-a1b2-c3d4e5f60718".to_owned(),
        work,
        state,
        generation: 1,
        progress: Progress::default(),
        cancel_asked: false,
        not_before: at("2026-03-01T10:02:00"),
        object_type: model::ObjectType::Disk,
        volume_id: Some(id(DISK)),
        volume_name: Some("data-1".to_owned()),
        backup_id: Some(id(BACKUP)),
        backup_name: Some("before-upgrade".to_owned()),
        vault_id: Some(id(VAULT)),
        vault_name: Some("disks-a".to_owned()),
        checkpoint_id: Some(id(CHECKPOINT)),
        policy_id: None,
        notes: vec![],
        created_at: at("2026-03-01T10:02:00.100200"),
        started_at: Some(at("2026-03-01T10:02:00.140871")),
        updated_at: ended,
        ended_at: Some(ended),
        revision: 4,
    }
}

#[test]
fn task_as_documented() {
    let golden = json!({"id": TASK, "operation_type": "restore", "status": "success",
      "project_id": PROJECT, "provider_id": "d1603440-187d-4516-af25-121250c7cc97",
      "vault_id": VAULT, "vault_name": "disks-a", "checkpoint_id": CHECKPOINT, "policy_id": null,
      "created_at": "2026-03-01T10:02:00.100200", "started_at": "2026-03-01T10:02:00.140871", "updated_at": "2026-03-01T10:02:41.508222",
      "ended_at": "2026-03-01T10:02:41.508222", "error_info": {"code": "", "message": ""},
      "extra_info": {"common": {"progress": 100, "request_id": "req-5f0e6a7b-8c9d-4e0f-a1b2-c3d4e5f60718", "task_id": null},
        "resource": {"id": DISK, "name": "data-1", "type": "OS::Cinder::Volume"},
        "restore": {"backup_id": BACKUP, "backup_name": "before-upgrade", "target_resource_id": DISK, "target_resource_name": "data-1"}}});
    let work = Work::Restore {
        backup_id: id(BACKUP),
        volume_id: id(DISK),
        fresh: false,
    };
    let shown = Task::of(&task(work, TaskState::Succeeded), None).expect("shown");
    assert_shown(&shown, &golden);
    assert_eq!(
        serde_json::from_value::<Task>(golden).expect("reads back"),
        shown
    );
}

#[test]
fn each_kind_of_task_has_its_part() {
    let failed = || TaskState::Failed {
        reason: "the disk is full".to_owned(),
    };
    let resource = json!({"id": DISK, "name": "data-1", "type": "OS::Cinder::Volume"});
    for (work, kind, key, part) in [
        (
            Work::Backup {
                backup_id: id(BACKUP),
            },
            "backup",
            "backup",
            json!({"backup_id": BACKUP, "backup_name": "before-upgrade", "incremental": "true", "app_consistency_status": "0",
                "app_consistency_error_code": "0", "app_consistency_error_message": ""}),
        ),
        (
            Work::DeleteBackup {
                backup_id: id(BACKUP),
            },
            "delete",
            "delete",
            json!({"backup_id": BACKUP, "backup_name": "before-upgrade"}),
        ),
        (
            Work::RemoveResources {
                vault_id: id(VAULT),
                resource_ids: vec![id(DISK)],
                names: vec![Some("data-1".to_owned())],
            },
            "remove_resource",
            "remove_resources",
            json!({"fail_count": 1, "total_count": 1, "resources": [resource]}),
        ),
        (
            Work::DeleteVault {
                vault_id: id(VAULT),
                backups: Emptied {
                    total: Some(5),
                    left: 2,
                },
            },
            "vault_delete",
            "vault_delete",
            json!({"fail_count": 2, "total_count": 5}),
        ),
    ] {
        let shown =
            serde_json::to_value(Task::of(&task(work, failed()), Some(true))).expect("JSON");
        assert_eq!(shown["operation_type"], kind);
        assert_eq!(shown["status"], "failed");
        assert_eq!(
            shown["error_info"],
            json!({"code": "BackupService.9910", "message": "the disk is full"})
        );
        assert_eq!(shown["extra_info"][key], part);
        assert_eq!(
            shown["extra_info"].as_object().map(serde_json::Map::len),
            Some(3),
            "common, resource, {key}"
        );
    }
    let late = TaskState::TimedOut {
        reason: "it took longer than 2 hours".to_owned(),
    };
    let work = Work::Backup {
        backup_id: id(BACKUP),
    };
    let shown = serde_json::to_value(Task::of(&task(work, late), None)).expect("JSON");
    assert_eq!(shown["status"], "timeout");
    assert_eq!(
        shown["error_info"],
        json!({"code": "BackupService.9910", "message": "it took longer than 2 hours"})
    );
    let read: Task = serde_json::from_value(shown).expect("reads back");
    assert_eq!(read.status, super::word::TaskStatus::Timeout);
    for hidden in [
        Work::Sweep,
        Work::DeleteVolume {
            volume_id: id(DISK),
        },
    ] {
        assert_eq!(Task::of(&task(hidden, TaskState::Succeeded), None), None);
    }
}
