//! One type for each shape: what this service writes, and what other clouds write.

use std::fs;
use std::path::{Path, PathBuf};

use emberkeep_model::{Gib, Timestamp};
use emberkeep_wire::cbr::{
    Backup, Checkpoint, Instance, Member, Mib, Policy, ProjectTag, TaggedVault, Task, Vault, word,
};
use emberkeep_wire::time;
use serde::de::DeserializeOwned;
use serde_json::Value;

fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cbr_shapes")
}

fn shape(name: &str) -> Value {
    let path = dir().join(name).with_extension("json");
    let text = fs::read_to_string(&path).unwrap_or_else(|cause| panic!("{name}: {cause}"));
    serde_json::from_str(&text).unwrap_or_else(|cause| panic!("{name}: {cause}"))
}

fn read<T: DeserializeOwned>(name: &str, key: &str) -> T {
    let value = shape(name)[key].clone();
    serde_json::from_value(value).unwrap_or_else(|cause| panic!("{name}: {cause}"))
}

fn at(text: &str) -> Option<Timestamp> {
    time::parse(text).ok()
}

/// Reads one body of an answer and writes it again.
fn there_and_back(stem: &str, value: Value) -> Value {
    fn pass<T: DeserializeOwned + serde::Serialize>(value: Value) -> Value {
        let read: T = serde_json::from_value(value).expect("readable");
        serde_json::to_value(read).expect("writable")
    }
    match stem {
        "vault" => pass::<Vault>(value),
        "policy" => pass::<Policy>(value),
        "checkpoint" => pass::<Checkpoint>(value),
        "backup" => pass::<Backup>(value),
        "task" => pass::<Task>(value),
        "member" => pass::<Member>(value),
        "tagged_vault" => pass::<Vec<TaggedVault>>(value),
        "project_tags" => pass::<Vec<ProjectTag>>(value),
        "protectable" => pass::<Instance>(value),
        other => panic!("no type is known for {other}"),
    }
}

/// Gives every file of a directory with what lies under its one main key.
fn files(of: &str) -> Vec<(String, Value)> {
    let mut all: Vec<_> = fs::read_dir(dir().join(of))
        .expect("shapes")
        .map(|entry| {
            let path = entry.expect("a file").path();
            let stem = path
                .file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            let body = shape(&format!("{of}/{stem}"));
            let main = body
                .as_object()
                .and_then(|keys| keys.values().find(|value| !value.is_number()))
                .expect("a main key");
            (stem, main.clone())
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

#[test]
fn our_own_shapes_come_back_unchanged() {
    let all = files("documented");
    assert_eq!(all.len(), 8);
    for (stem, value) in all {
        assert_eq!(there_and_back(&stem, value.clone()), value, "{stem}");
    }
}

/// Names every key of `before` that is not in `after`, and every plain value that reads otherwise.
fn lost(path: &str, before: &Value, after: &Value, found: &mut Vec<String>) {
    match (before, after) {
        (Value::Null, _) => {}
        (Value::Object(before), Value::Object(after)) => {
            for (key, value) in before {
                lost(
                    &format!("{path}.{key}"),
                    value,
                    after.get(key).unwrap_or(&Value::Null),
                    found,
                );
            }
        }
        (Value::Array(before), Value::Array(after)) => {
            for (at, value) in before.iter().enumerate() {
                lost(
                    &format!("{path}[{at}]"),
                    value,
                    after.get(at).unwrap_or(&Value::Null),
                    found,
                );
            }
        }
        // An object in a text, and the reverse, are the same to us.
        (Value::String(text), after) if text.starts_with('{') => {
            let inner: Value = serde_json::from_str(text).unwrap_or_default();
            lost(path, &inner, after, found);
        }
        (before, Value::String(text)) if text.starts_with('{') => {
            let inner: Value = serde_json::from_str(text).unwrap_or_default();
            lost(path, before, &inner, found);
        }
        // One entry without a list around it.
        (before, Value::Array(after)) if after.len() == 1 => lost(path, before, &after[0], found),
        (before, after) => {
            let plain = |value: &Value| match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let empty = matches!(before, Value::String(text) if text.is_empty())
                || before.as_array().is_some_and(Vec::is_empty)
                || before.as_object().is_some_and(serde_json::Map::is_empty);
            if plain(before) != plain(after) && !(empty && after.is_null()) {
                found.push(format!("{path}: {before} became {after}"));
            }
        }
    }
}

#[test]
fn nothing_that_other_clouds_say_is_lost() {
    for cloud in ["otc", "huawei"] {
        for (stem, value) in files(cloud) {
            let mut found = Vec::new();
            lost(
                "",
                &value,
                &there_and_back(&stem, value.clone()),
                &mut found,
            );
            assert!(found.is_empty(), "{cloud}/{stem}: {found:#?}");
        }
    }
}

#[test]
fn open_telekom_cloud_is_understood() {
    let vault: Vault = read("otc/vault", "vault");
    assert_eq!(vault.billing.object_type, word::ObjectType::Server);
    assert_eq!(vault.billing.used, Mib(1024));
    assert_eq!(vault.resources[0].extra_info.exclude_volumes.len(), 1);
    assert_eq!(vault.created_at.at(), at("2026-03-01T09:31:04.118"));

    let checkpoint: Checkpoint = read("otc/checkpoint", "checkpoint");
    assert_eq!(checkpoint.status, word::CheckpointStatus::Available);
    assert_eq!(checkpoint.extra_info.name, "", "this cloud forgets it");
    let resource = &checkpoint.vault.resources[0];
    assert_eq!(resource.resource_size, Some(Gib(40)));
    assert_eq!(resource.backup_size, Some(Mib(0)));
    assert!(checkpoint.vault.skipped_resources.is_empty());

    let backup: Backup = read("otc/backup", "backup");
    assert_eq!(
        backup.expired_at.and_then(|when| when.at()),
        at("2026-05-21T07:00:54.060493")
    );
    assert_eq!(backup.children[0].parent_id.as_ref(), Some(&backup.id));
    assert_eq!(backup.children[0].expired_at, None, "an empty text");
    assert_eq!(backup.children[0].extend_info.bootable, Some(true));

    let task: Task = read("otc/task", "operation_log");
    assert_eq!(task.vault_id, None);
    let detail = task.extra_info.backup.expect("a backup");
    assert_eq!(detail.incremental, Some(true), "a flag in a text");

    let policy: Policy = read("otc/policy", "policy");
    assert_eq!(policy.operation_definition.max_backups, Some(-1));
    let schedule = &policy.trigger.properties;
    assert_eq!(
        schedule.start_time.as_ref().and_then(time::Moment::at),
        at("2026-03-01T06:57:05")
    );
}

#[test]
fn huawei_cloud_is_understood() {
    let vault: Vault = read("huawei/vault", "vault");
    assert_eq!(vault.billing.object_type, word::ObjectType::Rds);
    assert_eq!(vault.billing.period_num, Some(1));
    assert_eq!(vault.billing.is_auto_renew, Some(false));
    assert!(vault.auto_bind, "a flag in a text");
    let resource = &vault.resources[0];
    assert_eq!(resource.id.as_str(), "a1b2c3d4e5f60718293a4b5c6d7e8f90in01");
    assert_eq!(
        resource.kind,
        word::ResourceType::Other("OS::Rds::Instance".to_owned())
    );
    assert_eq!((resource.size, resource.backup_count), (Gib(200), 3));
    let disk = &resource.extra_info.include_volumes[0];
    assert_eq!(disk.os_version.as_deref(), Some("CentOS 7.6 64bit"));
    assert_eq!(vault.more["availability_zone"], "cn-north-4a");

    let checkpoint: Checkpoint = read("huawei/checkpoint", "checkpoint");
    let resource = &checkpoint.vault.resources[0];
    assert_eq!((resource.backup_size, resource.backup_count), (None, None));
    assert_eq!(resource.extra_info.exclude_volumes.len(), 1);
    assert_eq!(checkpoint.extra_info.retention_duration, 30);

    let backup: Backup = read("huawei/backup", "backup");
    assert_eq!(backup.resource_type, word::ResourceType::Desktop);
    assert_eq!(
        backup.replication_records[0].status,
        word::ReplicationStatus::Success
    );
    assert_eq!(backup.version, Some(3));

    let task: Task = read("huawei/task", "operation_log");
    assert_eq!(task.extra_info.common.progress, 40, "a number in a text");
    assert_eq!(task.created_at.at(), at("2026-03-01T01:00:32"));
    assert!(task.extra_info.replication.is_some());

    let tags: Vec<ProjectTag> = read("huawei/project_tags", "tags");
    assert_eq!(tags[1].values, ["prod"]);
}
