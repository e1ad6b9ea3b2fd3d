//! What this client sends, the service's own readers take: neither can move without the other.

use std::fmt::Debug;

use emberkeep_model::command;
use emberkeep_model::{Limit, ObjectType, ProtectType, VolumeChoice};
use emberkeep_sdk::cbr::{
    AddResource, BindRules, NewCheckpoint, NewPolicy, NewVault, OperationDefinition, PolicyChange,
    ResourceDetails, RestoreTarget, Tag, TagCondition, TagQuery, VaultChange, word,
};
use emberkeep_sdk::{Gib, VaultId, VolumeId};
use emberkeep_wire::cbr::{TagQuery as TagSearch, request};
use serde_json::{Value, json};

const DISK: &str = "b0a7c1d2-3e4f-4a5b-8c6d-7e8f9a0b1c2d";
const VAULT: &str = "2f1d7b1e-59a4-4b50-8d7d-9a9d3b1c5e02";

fn taken<T: Debug, E: Debug>(parse: fn(&[u8]) -> Result<T, E>, body: Value) -> T {
    parse(body.to_string().as_bytes()).expect("the service takes it")
}

fn tag() -> Tag {
    Tag {
        key: "team".to_owned(),
        value: "a".to_owned(),
    }
}

fn rule() -> Tag {
    Tag {
        key: "tier".to_owned(),
        value: "b".to_owned(),
    }
}

fn disk() -> command::NewResource {
    command::NewResource {
        id: DISK.to_owned(),
        kind: "OS::Cinder::Volume".to_owned(),
        name: None,
        choice: VolumeChoice::default(),
    }
}

#[test]
fn a_vault_to_be_made_is_understood() {
    let mut new = NewVault::for_disks("disks-a", Gib(100)).holding([VolumeId::from(DISK)]);
    new.description = Some("team A".to_owned());
    new.tags = vec![tag()];
    new.auto_bind = Some(true);
    new.bind_rules = Some(BindRules { tags: vec![rule()] });
    new.threshold = Some(90);
    let read = taken(request::new_vault, json!({"vault": new}));
    let meant = command::NewVault {
        name: "disks-a".to_owned(),
        description: Some("team A".to_owned()),
        object_type: ObjectType::Disk,
        protect_type: ProtectType::Backup,
        size: 100,
        auto_expand: false,
        auto_bind: true,
        bind_rules: vec![rule()],
        tags: vec![tag()],
        locked: false,
        smn_notify: true,
        threshold: 90,
        backup_name_prefix: None,
        backup_policy_id: None,
        resources: vec![disk()],
    };
    assert_eq!(read, meant);
}

#[test]
fn changes_of_a_vault_are_understood() {
    let change = VaultChange {
        size: Some(Gib(7)),
        bind_rules: Some(Default::default()),
        ..VaultChange::default()
    };
    let read = taken(request::vault_edit, json!({"vault": change}));
    let meant = command::VaultEdit {
        size: Some(7),
        bind_rules: Some(vec![]),
        ..command::VaultEdit::default()
    };
    assert_eq!(read, meant, "an empty list clears them");
    let nothing = VaultChange::default();
    let read = taken(request::vault_edit, json!({"vault": nothing}));
    assert_eq!(read, command::VaultEdit::default());
    let resources = [AddResource::from(VolumeId::from(DISK))];
    let read = taken(request::resources_to_add, json!({"resources": resources}));
    assert_eq!(read, [disk()]);
}

#[test]
fn a_run_is_understood() {
    let mut new = NewCheckpoint::of(&VaultId::from(VAULT)).named("before");
    new.parameters.incremental = Some(false);
    new.parameters.resource_details = vec![ResourceDetails {
        id: DISK.into(),
        resource_type: word::ResourceType::Volume,
        ..ResourceDetails::default()
    }];
    let read = taken(request::new_checkpoint, json!({"checkpoint": new}));
    let meant = command::NewCheckpoint {
        vault_id: VAULT.parse().expect("an id"),
        name: Some("before".to_owned()),
        description: None,
        incremental: false,
        automatic: false,
        resources: vec![(DISK.to_owned(), None)],
        policy_id: None,
        retention_days: None,
    };
    assert_eq!(read, meant);
    let target = RestoreTarget::volume(&VolumeId::from(DISK));
    let read = taken(request::restore, json!({"restore": target}));
    let meant = command::CbrRestore {
        volume_id: Some(DISK.parse().expect("an id")),
        ..command::CbrRestore::default()
    };
    assert_eq!(read, meant);
}

#[test]
fn a_policy_is_understood() {
    let daily = "FREQ=DAILY;INTERVAL=1;BYHOUR=1;BYMINUTE=00";
    let mut new = NewPolicy::backup("nightly", [daily]);
    new.operation_definition = OperationDefinition {
        max_backups: Some(14),
        day_backups: Some(7),
        timezone: Some("UTC+02:00".to_owned()),
        ..OperationDefinition::default()
    };
    let read = taken(request::new_policy, json!({"policy": new}));
    let meant = command::NewPolicy {
        name: "nightly".to_owned(),
        enabled: true,
        operation_type: emberkeep_model::OperationType::Backup,
        definition: emberkeep_model::OperationDefinition {
            max_backups: Some(Limit(14)),
            day_backups: Some(Limit(7)),
            timezone: Some("UTC+02:00".to_owned()),
            ..emberkeep_model::OperationDefinition::default()
        },
        patterns: vec![daily.to_owned()],
        zone: None,
    };
    assert_eq!(read, meant);
    let change = PolicyChange {
        enabled: Some(false),
        pattern: Some(vec![daily.to_owned()]),
        ..PolicyChange::default()
    };
    let read = taken(request::policy_edit, json!({"policy": change}));
    let meant = command::PolicyEdit {
        enabled: Some(false),
        patterns: Some(vec![daily.to_owned()]),
        ..command::PolicyEdit::default()
    };
    assert_eq!(read, meant);
}

#[test]
fn a_search_by_tags_is_understood() {
    let query = TagQuery {
        not_tags_any: vec![TagCondition {
            key: "env".to_owned(),
            values: vec![],
        }],
        name_part: Some("disk".to_owned()),
        ..TagQuery::default()
    };
    let mut body = json!(query);
    body["action"] = json!("filter");
    body["limit"] = json!("1000");
    body["offset"] = json!("0");
    let read = taken(TagSearch::parse, body);
    let meant = TagSearch {
        not_tags_any: query.not_tags_any,
        name: Some("disk".to_owned()),
        limit: 1000,
        ..TagSearch::default()
    };
    assert_eq!(read, meant);
}
