//! What this client sends, the service's own readers take: neither can move without the other.

use std::fmt::Debug;

use emberkeep_sdk::cbr::{
    AddResource, BindRules, NewCheckpoint, NewPolicy, NewVault, OperationDefinition, PolicyChange,
    ResourceDetails, RestoreTarget, Tag, TagCondition, TagQuery, VaultChange, word,
};
use emberkeep_sdk::{Gib, VaultId, VolumeId};
use emberkeep_wire::cbr as server;
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

#[test]
fn a_vault_to_be_made_is_understood() {
    let mut new = NewVault::for_disks("disks-a", Gib(100)).holding([VolumeId::from(DISK)]);
    new.description = Some("team A".to_owned());
    new.tags = vec![tag()];
    new.auto_bind = Some(true);
    new.bind_rules = Some(BindRules { tags: vec![tag()] });
    new.threshold = Some(90);
    let read = taken(server::VaultCreate::parse, json!({"vault": new}));
    assert_eq!((read.name.as_str(), read.size), ("disks-a", 100));
    assert_eq!(read.description.as_deref(), Some("team A"));
    assert_eq!(read.resources[0].id, DISK);
    assert_eq!(read.resources[0].kind, "OS::Cinder::Volume");
    assert_eq!((read.tags, read.bind_rules), (vec![tag()], vec![tag()]));
    assert!(read.auto_bind && !read.auto_expand);
    assert_eq!(read.threshold, 90);
}

#[test]
fn changes_of_a_vault_are_understood() {
    let change = VaultChange {
        size: Some(Gib(7)),
        bind_rules: Some(Default::default()),
        ..VaultChange::default()
    };
    let read = taken(server::VaultUpdate::parse, json!({"vault": change}));
    assert_eq!(read.size, Some(7));
    assert_eq!(read.bind_rules, Some(vec![]), "an empty list clears them");
    assert_eq!(read.name, None);
    let nothing = VaultChange::default();
    taken(server::VaultUpdate::parse, json!({"vault": nothing}));
    let resources = [AddResource::from(VolumeId::from(DISK))];
    let read = taken(server::AddResources::parse, json!({"resources": resources}));
    assert_eq!(read.resources[0].id, DISK);
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
    let read = taken(server::CheckpointCreate::parse, json!({"checkpoint": new}));
    let shown = format!("{read:?}");
    assert!(
        shown.contains(VAULT) && shown.contains(DISK) && shown.contains("before"),
        "{shown}"
    );
    let target = RestoreTarget::volume(&VolumeId::from(DISK));
    let read = taken(server::RestoreAsked::parse, json!({"restore": target}));
    assert!(format!("{read:?}").contains(DISK));
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
    let read = taken(server::PolicyCreate::parse, json!({"policy": new}));
    assert!(format!("{read:?}").contains(daily));
    let change = PolicyChange {
        enabled: Some(false),
        pattern: Some(vec![daily.to_owned()]),
        ..PolicyChange::default()
    };
    let read = taken(server::PolicyUpdate::parse, json!({"policy": change}));
    assert!(format!("{read:?}").contains(daily));
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
    let read = taken(server::TagQuery::parse, body);
    let shown = format!("{read:?}");
    assert!(shown.contains("env") && shown.contains("disk"), "{shown}");
}
