//! Answers that the released Cinder gave when it was asked the same as this service, side by side, where no
//! other test comes by them: a table of requests, and what each is refused with.

use axum::http::StatusCode;
use emberkeep_model::Role;
use serde_json::{Value, json};

use crate::cinder::tenant::{MISSING, Tenant, refused, text};

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Member,
    Root,
}
use Who::{Member, Root};

#[tokio::test]
async fn refusals_are_those_of_the_real_one() {
    let tenant = Tenant::new().await;
    tenant
        .house
        .user("root", &tenant.project, Role::Admin)
        .await;
    let admin = tenant.house.token("root").await;
    let volume = tenant.volume("v1").await;
    let backup = tenant.backup(&volume, "b1", false).await;
    let bare = backup.replace('-', "");
    let act = format!("volumes/{volume}/action");
    let quotas = format!("os-quota-sets/{}", tenant.project.id);
    let class = "os-quota-class-sets/foo".to_owned();
    let no_text = "The server could not comply with the request since it is either malformed or otherwise incorrect.";
    let none = Value::Null;
    let missing_image = format!("Glance metadata for volume/snapshot {volume} cannot be found.");
    let no_bare = format!("Backup {bare} could not be found.");
    let limits = |name: &str, value: Value| json!({"quota_set": {name: value}});
    for (who, method, path, minor, body, code, key, message) in [
        (
            Member,
            "GET",
            format!("backups/{bare}"),
            0,
            none.clone(),
            404,
            "itemNotFound",
            no_bare.as_str(),
        ),
        (
            Member,
            "GET",
            "backups?a=1&b=2".to_owned(),
            31,
            none.clone(),
            400,
            "badRequest",
            "Invalid filters a,b are found in query options.",
        ),
        (
            Root,
            "GET",
            "backups?all_tenants=x".to_owned(),
            31,
            none.clone(),
            400,
            "badRequest",
            "all_tenants must be a boolean, got 'x'.",
        ),
        (
            Member,
            "GET",
            "snapshots?sort=name".to_owned(),
            29,
            none.clone(),
            400,
            "badRequest",
            "Invalid input received: Invalid sort key",
        ),
        (
            Member,
            "GET",
            "snapshots?sort=size".to_owned(),
            71,
            none.clone(),
            400,
            "badRequest",
            "Invalid input received: Invalid sort key",
        ),
        (
            Member,
            "GET",
            "volumes?bootable=x".to_owned(),
            31,
            none.clone(),
            400,
            "badRequest",
            "Invalid input received: 'bootable = x'",
        ),
        (
            Member,
            "GET",
            "volumes?created_at=foo".to_owned(),
            31,
            none.clone(),
            400,
            "badRequest",
            "Invalid foo operator",
        ),
        (
            Member,
            "GET",
            "volumes?snapshot_id=x".to_owned(),
            31,
            none.clone(),
            400,
            "badRequest",
            "Invalid filters snapshot_id are found in query options.",
        ),
        (
            Root,
            "GET",
            "types?is_public=x".to_owned(),
            0,
            none.clone(),
            400,
            "badRequest",
            "Invalid is_public filter [x]",
        ),
        (
            Root,
            "GET",
            "types/default/encryption".to_owned(),
            0,
            none.clone(),
            404,
            "itemNotFound",
            "Volume type default could not be found.",
        ),
        (
            Member,
            "GET",
            "types/default/encryption".to_owned(),
            0,
            none.clone(),
            403,
            "forbidden",
            "Policy doesn't allow volume_extension:volume_type_encryption:get to be performed.",
        ),
        (
            Member,
            "GET",
            "qos-specs".to_owned(),
            0,
            none.clone(),
            403,
            "forbidden",
            "Policy doesn't allow volume_extension:qos_specs_manage:get_all to be performed.",
        ),
        (
            Member,
            "GET",
            "groups".to_owned(),
            12,
            none.clone(),
            404,
            "itemNotFound",
            "The resource could not be found.",
        ),
        (
            Member,
            "GET",
            "group_types".to_owned(),
            10,
            none.clone(),
            404,
            "itemNotFound",
            "The resource could not be found.",
        ),
        (
            Member,
            "POST",
            "volumes".to_owned(),
            0,
            json!({"volume": {"size": 1, "backup_id": MISSING}}),
            404,
            "itemNotFound",
            "Backup 0b667eb3-2eef-421d-ac9e-bd3fe40e9afd could not be found.",
        ),
        (
            Member,
            "POST",
            "volumes".to_owned(),
            0,
            json!({"volume": {"size": 1, "backup_id": "x"}}),
            404,
            "itemNotFound",
            "Backup x could not be found.",
        ),
        (
            Member,
            "POST",
            "volumes".to_owned(),
            0,
            json!({"volume": {"size": 1, "volume_type": "nope"}}),
            404,
            "itemNotFound",
            "Volume type with name nope could not be found.",
        ),
        (
            Member,
            "POST",
            "volumes".to_owned(),
            0,
            json!({"volume": {"size": 1, "availability_zone": "nope"}}),
            400,
            "badRequest",
            "Availability zone 'nope' is invalid.",
        ),
        (
            Member,
            "POST",
            act.clone(),
            0,
            json!({"os-show_image_metadata": {}}),
            404,
            "itemNotFound",
            missing_image.as_str(),
        ),
        (
            Member,
            "POST",
            act.clone(),
            0,
            json!({"os-unset_image_metadata": {"key": "zz"}}),
            404,
            "itemNotFound",
            missing_image.as_str(),
        ),
        (
            Member,
            "POST",
            act.clone(),
            0,
            json!({"os-attach": {}}),
            400,
            "badRequest",
            "Invalid input for field/attribute os-attach. Value: {}. 'mountpoint' is a required property",
        ),
        (
            Root,
            "POST",
            act.clone(),
            0,
            json!({"os-reset_status": {"status": "error", "x": 1}}),
            400,
            "badRequest",
            "Invalid input for field/attribute os-reset_status. Value: {'status': 'error', 'x': 1}. Additional properties are not allowed ('x' was unexpected)",
        ),
        (
            Root,
            "POST",
            format!("backups/{backup}/action"),
            0,
            json!({"os-reset_status": {"status": null}}),
            400,
            "badRequest",
            "Invalid input for field/attribute status. Value: None. None is not of type 'string'",
        ),
        (
            Root,
            "POST",
            "backups/import_record".to_owned(),
            0,
            json!({"backup-record": {"backup_service": "x", "backup_url": ""}}),
            400,
            "badRequest",
            "Invalid input for field/attribute backup_url. Value: . '' should be non-empty",
        ),
        (
            Root,
            "POST",
            "backups/import_record".to_owned(),
            0,
            json!({"backup-record": {"backup_service": null, "backup_url": "eA=="}}),
            400,
            "badRequest",
            "Invalid input for field/attribute backup_service. Value: None. None is not of type 'string'",
        ),
        // A record of {"id": "a"}.
        (
            Root,
            "POST",
            "backups/import_record".to_owned(),
            0,
            json!({"backup-record": {"backup_service": "x", "backup_url": "eyJpZCI6ICJhIn0="}}),
            400,
            "badRequest",
            "Invalid input received: Provided backup record is missing size attribute",
        ),
        (
            Member,
            "PUT",
            quotas.clone(),
            0,
            limits("bogus", json!(1)),
            400,
            "badRequest",
            "Invalid input received: Bad key(s) in quota set: bogus",
        ),
        (
            Root,
            "PUT",
            quotas.clone(),
            0,
            limits("backups", json!(-2)),
            400,
            "badRequest",
            "backups must be >= -1",
        ),
        (
            Root,
            "PUT",
            quotas.clone(),
            0,
            limits("backups", json!("x")),
            400,
            "badRequest",
            "backups must be an integer",
        ),
        (
            Root,
            "PUT",
            quotas.clone(),
            0,
            limits("backups", json!(1.5)),
            400,
            "badRequest",
            "backups must be an integer",
        ),
        (
            Root,
            "PUT",
            quotas.clone(),
            0,
            limits("backups", json!("5")),
            400,
            "badRequest",
            no_text,
        ),
        (
            Root,
            "PUT",
            quotas.clone(),
            0,
            limits("backups", json!(2_147_483_648_i64)),
            400,
            "badRequest",
            "backups must be <= 2147483647",
        ),
        (
            Root,
            "PUT",
            quotas.clone(),
            0,
            json!({"quota_set": {"backups": 5}, "x": 1}),
            400,
            "badRequest",
            "Additional properties are not allowed ('x' was unexpected)",
        ),
        (
            Root,
            "PUT",
            quotas.clone(),
            0,
            json!({"quota_set": {}}),
            400,
            "badRequest",
            "Invalid input for field/attribute quota_set. Value: {}. {} should be non-empty",
        ),
        (
            Member,
            "PUT",
            class.clone(),
            0,
            json!({"quota_class_set": {"bogus": 1}}),
            400,
            "badRequest",
            "Invalid input received: Bad key(s) in quota class set: bogus",
        ),
        (
            Member,
            "PUT",
            class.clone(),
            0,
            json!({"quota_class_set": {}}),
            403,
            "forbidden",
            "Policy doesn't allow volume_extension:quota_classes:update to be performed.",
        ),
        (
            Root,
            "PUT",
            "os-services/enable".to_owned(),
            0,
            json!({"host": "x"}),
            400,
            "badRequest",
            "{'host': 'x'} is not valid under any of the given schemas",
        ),
        (
            Root,
            "PUT",
            "os-services/disable-log-reason".to_owned(),
            0,
            json!({"binary": "cinder-backup", "host": "x"}),
            404,
            "itemNotFound",
            "Service cinder-backup could not be found on host x.",
        ),
        (
            Root,
            "PUT",
            "os-services/disable-log-reason".to_owned(),
            0,
            json!({"binary": "cinder-backup", "host": "emberkeep", "disabled_reason": ""}),
            400,
            "badRequest",
            "Invalid input for field/attribute disabled_reason. Value: . '' should be non-empty",
        ),
        (
            Root,
            "POST",
            "types".to_owned(),
            0,
            json!({"volume_type": {"name": ""}}),
            400,
            "badRequest",
            "Invalid input for field/attribute name. Value: . '' should be non-empty",
        ),
        (
            Member,
            "PUT",
            format!("volumes/{volume}/metadata/a"),
            0,
            json!({"meta": {}}),
            400,
            "badRequest",
            "Invalid input for field/attribute meta. Value: {}. {} should be non-empty",
        ),
    ] {
        let token = match who {
            Member => &tenant.member,
            Root => &admin,
        };
        let answer = tenant
            .ask_as(token, method, &path, minor, body.clone())
            .await;
        println!("{who:?} {method} {path} at 3.{minor} with {body}");
        refused(&answer, code, key, message);
    }
}

#[tokio::test]
async fn what_the_real_one_takes_is_taken() {
    let tenant = Tenant::new().await;
    tenant
        .house
        .user("root", &tenant.project, Role::Admin)
        .await;
    let admin = tenant.house.token("root").await;
    let volume = tenant.volume("v1").await;
    // What members say of other projects is dropped unread, whatever it is.
    for (path, list) in [
        ("volumes?all_tenants=x", "volumes"),
        ("volumes?metadata=x", ""),
        ("volumes?group_id=x", "volumes"),
        ("volumes?created_at=foo", "volumes"),
        ("messages?sort=fish", ""),
    ] {
        let answer = tenant.ask("GET", path, 4, Value::Null).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {:?}", answer.body);
        if !list.is_empty() {
            let found = answer.json()[list].as_array().map(Vec::len);
            assert_eq!(found, Some(1), "{path}");
        }
    }
    let summary = "volumes/summary?all_tenants=x";
    let answer = tenant.ask("GET", summary, 12, Value::Null).await;
    assert_eq!(answer.json()["volume-summary"]["total_count"], 1);
    // From 3.31 on the same are filters, and heard.
    let since = "created_at=gt:2020-01-01T00:00:00";
    for (query, found) in [("group_id=x", 0), (since, 1), ("metadata=x", 0)] {
        let path = format!("volumes?{query}");
        let answer = tenant.ask("GET", &path, 31, Value::Null).await.json();
        let seen = answer["volumes"].as_array().map(Vec::len);
        assert_eq!(seen, Some(found), "{query}");
    }
    let reasonless = json!({"binary": "cinder-volume", "host": "emberkeep@files"});
    let path = "os-services/disable-log-reason";
    let answer = tenant.ask_as(&admin, "PUT", path, 0, reasonless).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    assert_eq!(answer.json()["disabled_reason"], Value::Null);
    for verb in ["freeze", "thaw"] {
        let (path, body) = (
            format!("os-services/{verb}"),
            json!({"host": "invalid_host"}),
        );
        let answer = tenant.ask_as(&admin, "PUT", &path, 0, body.clone()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{verb}");
        let answer = tenant.ask("PUT", &path, 0, body).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{verb}");
    }
    let class = json!({"quota_class_set": {}});
    let path = "os-quota-class-sets/foo";
    let answer = tenant.ask_as(&admin, "PUT", path, 0, class).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    let pools = "scheduler-stats/get_pools?name=fish";
    let answer = tenant.ask_as(&admin, "GET", pools, 28, Value::Null).await;
    assert_eq!(answer.json(), json!({"pools": []}));
    let backup = tenant.backup(&volume, "b1", false).await;
    let body = json!({"volume": {"backup_id": backup, "name": "early"}});
    let answer = tenant.ask("POST", "volumes", 46, body).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{:?}", answer.body);
    let made = text(&answer.json()["volume"]["id"]);
    tenant.wait(&format!("volumes/{made}"), "available").await;
}
