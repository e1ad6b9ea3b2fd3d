use emberkeep_model::{ObjectType, ProtectType, Tag};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::cbr::Code;
use crate::cbr::ask::Rename;

const DISK: &str = "b0a7c1d2-3e4f-4a5b-8c6d-7e8f9a0b1c2d";
const VAULT: &str = "2f1d7b1e-59a4-4b50-8d7d-9a9d3b1c5e02";

fn vault(change: impl FnOnce(&mut Value)) -> Result<NewVault, Refused> {
    let mut body = json!({"vault": {"name": "disks-a", "resources": [], "billing": {
        "object_type": "disk", "protect_type": "backup", "consistent_level": "crash_consistent", "size": 100}}});
    change(&mut body["vault"]);
    new_vault(body.to_string().as_bytes())
}

#[test]
fn a_vault_is_read_with_its_defaults() {
    let least = vault(|vault| {
        vault
            .as_object_mut()
            .expect("an object")
            .remove("resources");
    })
    .expect("enough");
    assert_eq!(
        least,
        NewVault {
            name: "disks-a".to_owned(),
            description: None,
            object_type: ObjectType::Disk,
            protect_type: ProtectType::Backup,
            size: 100,
            resources: vec![],
            backup_policy_id: None,
            tags: vec![],
            auto_bind: false,
            bind_rules: vec![],
            auto_expand: false,
            locked: false,
            smn_notify: true,
            threshold: 80,
            backup_name_prefix: None,
        }
    );
    // What the command line sends beside, and the SDK's key for the protect type.
    let cli = vault(|vault| {
        vault["bind_rules"] = json!({"tags": []});
        vault["description"] = json!(null);
        vault["tags"] = json!([{"key": " team ", "value": "数据"}]);
        vault["backup_policy_id"] = json!(VAULT);
        vault["resources"] = json!([{"id": DISK, "type": "OS::Cinder::Volume", "extra_info": {"exclude_volumes": []}}]);
        vault["billing"] = json!({"object_type": "disk", "operation_type": "backup", "size": 10,
            "consistent_level": "app_consistent", "is_auto_renew": true, "is_auto_pay": true, "period_type": "month",
            "charging_mode": "post_paid", "cloud_type": "public"});
    })
    .expect("as sent");
    assert_eq!(
        cli.tags,
        [Tag {
            key: "team".to_owned(),
            value: "数据".to_owned()
        }]
    );
    assert_eq!(cli.protect_type, ProtectType::Backup);
    assert_eq!(cli.resources[0].id, DISK);
    assert_eq!(
        cli.backup_policy_id.map(|id| id.to_string()).as_deref(),
        Some(VAULT)
    );
}

#[test]
fn what_is_wrong_with_a_vault_is_named() {
    let long = "x".repeat(65);
    let twenty_one: Vec<_> = (0..21)
        .map(|n| json!({"key": format!("k{n}"), "value": ""}))
        .collect();
    let many: Vec<_> = (0..257)
        .map(|_| json!({"id": DISK, "type": "OS::Cinder::Volume"}))
        .collect();
    for (path, value, code, message) in [
        (
            "/name",
            json!(null),
            Code::BadParameter,
            "vault.name: is required",
        ),
        (
            "/name",
            json!(7),
            Code::BadParameter,
            "vault.name: must be a string",
        ),
        (
            "/name",
            json!(""),
            Code::BadParameter,
            "vault.name: must be 1 to 64 characters long",
        ),
        (
            "/name",
            json!(long),
            Code::BadParameter,
            "vault.name: must be 1 to 64 characters long",
        ),
        (
            "/name",
            json!("a b"),
            Code::BadParameter,
            "vault.name: may hold only letters, digits, '_' and '-'",
        ),
        (
            "/description",
            json!("<b>"),
            Code::BadParameter,
            "vault.description: may not hold '<' or '>'",
        ),
        (
            "/description",
            json!(long),
            Code::BadParameter,
            "vault.description: must be 0 to 64 characters long",
        ),
        (
            "/billing",
            json!(null),
            Code::BadParameter,
            "vault.billing: is required",
        ),
        (
            "/billing",
            json!([]),
            Code::BadParameter,
            "vault.billing: must be an object",
        ),
        (
            "/billing/size",
            json!(null),
            Code::BadParameter,
            "vault.billing.size: is required",
        ),
        (
            "/billing/size",
            json!("100"),
            Code::BadParameter,
            "vault.billing.size: must be a whole number",
        ),
        (
            "/billing/size",
            json!(1.5),
            Code::BadParameter,
            "vault.billing.size: must be a whole number",
        ),
        (
            "/billing/object_type",
            json!("rds"),
            Code::BadParameter,
            "vault.billing.object_type: 'rds' is none of: server, disk, turbo",
        ),
        (
            "/billing/protect_type",
            json!(null),
            Code::BadParameter,
            "vault.billing.protect_type: is required",
        ),
        (
            "/billing/consistent_level",
            json!(null),
            Code::BadParameter,
            "vault.billing.consistent_level: is required",
        ),
        (
            "/billing/charging_mode",
            json!("pre_paid"),
            Code::BadParameter,
            "vault.billing.charging_mode: 'pre_paid' is none of: post_paid",
        ),
        (
            "/resources",
            json!({}),
            Code::BadParameter,
            "vault.resources: must be an array",
        ),
        (
            "/resources",
            json!([3]),
            Code::BadParameter,
            "vault.resources[0]: must be an object",
        ),
        (
            "/resources",
            json!([{"id": DISK}]),
            Code::BadParameter,
            "vault.resources[0].type: is required",
        ),
        (
            "/resources",
            json!(many),
            Code::VaultTooManyResources,
            "vault.resources: at most 256 are taken",
        ),
        (
            "/tags",
            json!([{"key": "a"}, {"key": "a"}]),
            Code::BadParameter,
            "vault.tags[1].key: 'a' is there twice",
        ),
        (
            "/tags",
            json!([{"key": "a=b", "value": ""}]),
            Code::BadParameter,
            "vault.tags[0].key: may hold only letters, digits, '_' and '-'",
        ),
        (
            "/tags",
            json!(twenty_one),
            Code::TooManyTags,
            "vault.tags: at most 20 tags are taken",
        ),
        (
            "/bind_rules",
            json!([]),
            Code::BadParameter,
            "vault.bind_rules: must be an object",
        ),
        (
            "/auto_bind",
            json!("false"),
            Code::BadParameter,
            "vault.auto_bind: must be true or false",
        ),
        (
            "/threshold",
            json!(101),
            Code::BadParameter,
            "vault.threshold: must be 1 to 100",
        ),
        (
            "/backup_policy_id",
            json!("nightly"),
            Code::BadParameter,
            "vault.backup_policy_id: 'nightly' is not a UUID",
        ),
    ] {
        let refused = vault(|vault| {
            let (parent, name) = path.rsplit_once('/').expect("a path");
            vault.pointer_mut(parent).expect("there")[name] = value.clone();
        })
        .expect_err(path);
        assert_eq!(
            (refused.code, refused.message.as_str()),
            (code, message),
            "{path} = {value}"
        );
    }
    for (what, bytes, message) in [
        (
            "nothing",
            "",
            "body: is not JSON: EOF while parsing a value at line 1 column 0",
        ),
        ("no object", "[]", "body: must be a JSON object"),
        ("no wrapper", "{}", "vault: is required"),
        ("wrapper is null", r#"{"vault":null}"#, "vault: is required"),
        (
            "wrapper is no object",
            r#"{"vault":"a"}"#,
            "vault: must be an object",
        ),
    ] {
        let refused = new_vault(bytes.as_bytes()).expect_err(what);
        assert_eq!(
            (refused.code, refused.message.as_str()),
            (Code::BadParameter, message),
            "{what}"
        );
    }
}

#[test]
fn an_update_takes_what_is_there() {
    let empty = vault_edit(br#"{"vault":{"billing":{}}}"#).expect("the command line's");
    assert_eq!(empty, VaultEdit::default());
    let cleared =
        vault_edit(br#"{"vault":{"bind_rules":{"tags":[]},"billing":{"size":1}}}"#).expect("fine");
    assert_eq!(cleared.bind_rules, Some(vec![]));
    assert_eq!(cleared.size, Some(1));
}

#[test]
fn resources_are_added_and_removed() {
    let added = resources_to_add(
        json!({"resources": [{"id": DISK, "type": "OS::Cinder::Volume", "name": ""}]})
            .to_string()
            .as_bytes(),
    );
    let wanted = NewResource {
        id: DISK.to_owned(),
        kind: "OS::Cinder::Volume".to_owned(),
        name: None,
        choice: VolumeChoice::default(),
    };
    assert_eq!(added, Ok(vec![wanted]));
    let removed = resources_to_remove(br#"{"resource_ids":["a","b","a"]}"#).expect("two");
    assert_eq!(removed, ["a", "b"]);
    for bytes in [
        r#"{"resources":[]}"#,
        "{}",
        r#"{"resource_ids":[]}"#,
        r#"{"resource_ids":[""]}"#,
        r#"{"resources":7,"resource_ids":[1]}"#,
    ] {
        assert!(resources_to_add(bytes.as_bytes()).is_err(), "{bytes}");
        assert!(resources_to_remove(bytes.as_bytes()).is_err(), "{bytes}");
    }
}

#[test]
fn a_checkpoint_reads_its_parameters_wherever_they_are() {
    let bare = new_checkpoint(
        json!({"checkpoint": {"vault_id": VAULT}})
            .to_string()
            .as_bytes(),
    )
    .expect("enough");
    assert!(bare.incremental && !bare.automatic && bare.resources.is_empty());
    assert_eq!((bare.name, bare.retention_days), (None, None));
    for (what, body, name, resources) in [
        (
            "the documents' place",
            json!({"parameters": {"name": "a", "resources": [DISK, DISK]}}),
            Some("a"),
            vec![DISK],
        ),
        (
            "Ansible's place",
            json!({"name": "b", "resources": [DISK]}),
            Some("b"),
            vec![DISK],
        ),
        (
            "both",
            json!({"name": "b", "parameters": {"name": "a"}}),
            Some("a"),
            vec![],
        ),
        (
            "details",
            json!({"parameters": {"resources": [], "resource_details": [{"id": DISK, "type": "OS::Cinder::Volume"}]}}),
            None,
            vec![DISK],
        ),
        (
            "one detail",
            json!({"parameters": {"resource_details": {"id": DISK, "type": "OS::Cinder::Volume"}}}),
            None,
            vec![DISK],
        ),
    ] {
        let mut body = json!({"checkpoint": body});
        body["checkpoint"]["vault_id"] = json!(VAULT);
        let read = new_checkpoint(body.to_string().as_bytes()).expect(what);
        assert_eq!(
            (read.name.as_deref(), read.resources),
            (
                name,
                resources
                    .into_iter()
                    .map(|id: &str| (id.to_owned(), None))
                    .collect()
            ),
            "{what}"
        );
    }
    for (what, parameters, message) in [
        (
            "name",
            json!({"name": "a/b"}),
            "checkpoint.parameters.name: may hold only letters, digits, '_' and '-'",
        ),
        (
            "days",
            json!({"retention_duration_days": 0}),
            "checkpoint.parameters.retention_duration_days: must be -1 or 1 to 36500",
        ),
        (
            "days and automatic",
            json!({"retention_duration_days": 5, "auto_trigger": true}),
            "checkpoint.parameters.retention_duration_days: cannot be set when auto_trigger is true",
        ),
        (
            "resources",
            json!({"resources": [5]}),
            "checkpoint.parameters.resources[0]: must be a string that is not empty",
        ),
        (
            "no object",
            json!([]),
            "checkpoint.parameters: must be an object",
        ),
    ] {
        let body = json!({"checkpoint": {"vault_id": VAULT, "parameters": parameters}});
        let refused = new_checkpoint(body.to_string().as_bytes()).expect_err(what);
        assert_eq!(refused.message, message, "{what}");
    }
    let refused = new_checkpoint(br#"{"checkpoint":{"vault_id":"x"}}"#).expect_err("no id");
    assert_eq!(refused.message, "checkpoint.vault_id: 'x' is not a UUID");
}

#[test]
fn a_restore_names_its_target() {
    let target = |body: Value| {
        restore(json!({"restore": body}).to_string().as_bytes()).map(|asked| {
            let volume = asked.volume_id.map(|id| id.to_string());
            volume.or(asked.resource_id.map(|id| id.to_string()))
        })
    };
    assert_eq!(
        target(json!({"volume_id": DISK, "mappings": [], "power_on": true})),
        Ok(Some(DISK.to_owned()))
    );
    assert_eq!(
        target(json!({"resource_id": DISK, "volume_id": null})),
        Ok(Some(DISK.to_owned()))
    );
    assert_eq!(target(json!({})), Ok(None));
    for body in [
        json!({"volume_id": "x"}),
        json!({"mappings": [{"backup_id": DISK}]}),
        json!({"power_on": 1}),
        json!([]),
    ] {
        assert!(target(body.clone()).is_err(), "{body}");
    }
    assert!(Rename::read(br#"{"backup":{"name":"b-2"}}"#).is_ok());
    assert!(Rename::read(br#"{"backup":{}}"#).is_err());
}

proptest! {
    /// No body makes a parser do anything but answer.
    #[test]
    fn any_body_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64), at in 0usize..200, byte in any::<u8>()) {
        let mut whole = json!({"vault": {"name": "a", "billing": {"size": 10}, "tags": [{"key": "k"}]}, "checkpoint": {"vault_id": VAULT, "resource_details": {"id": "a"}},
            "restore": {"mappings": []}, "backup": {"name": "n"}, "resources": [], "resource_ids": []}).to_string().into_bytes();
        if let Some(place) = whole.get_mut(at) {
            *place = byte;
        }
        for body in [&bytes[..], &whole] {
            let _ = new_vault(body);
            let _ = vault_edit(body);
            let _ = resources_to_add(body);
            let _ = resources_to_remove(body);
            let _ = new_checkpoint(body);
            let _ = restore(body);
            let _ = Rename::read(body);
        }
    }
}
