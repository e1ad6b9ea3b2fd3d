//! What stands around the backups: quotas, attachments, types, volume actions, pairs of backups.

use axum::http::StatusCode;
use emberkeep_model::Role;
use serde_json::{Value, json};

use crate::cinder::tenant::{Tenant, refused, text};

async fn with_admin() -> (Tenant, String) {
    let tenant = Tenant::new().await;
    tenant
        .house
        .user("root", &tenant.project, Role::Admin)
        .await;
    let admin = tenant.house.token("root").await;
    (tenant, admin)
}

#[track_caller]
fn over(answer: &crate::house::Answer, message: &str) {
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer.header("retry-after"), "0");
    assert_eq!(
        answer.json(),
        json!({"overLimit": {"code": 413, "message": message, "retryAfter": "0"}})
    );
}

#[tokio::test]
async fn quotas_are_set_counted_and_kept() {
    let (tenant, admin) = with_admin().await;
    let path = format!("os-quota-sets/{}", tenant.project.id);
    let set = |limits: Value| {
        let (tenant, admin, path) = (&tenant, &admin, &path);
        async move {
            let body = json!({"quota_set": limits});
            tenant.ask_as(admin, "PUT", path, 0, body).await
        }
    };
    let shown = tenant.get(&path).await["quota_set"].clone();
    assert_eq!(shown["backups"], 10);
    assert_eq!(shown["volumes_standard"], -1);
    assert_eq!(shown["id"], tenant.project.id.as_str());

    let answer = set(json!({"volumes": 1, "backups": 1, "backup_gigabytes": 1})).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    assert_eq!(answer.json()["quota_set"]["volumes"], 1);
    assert_eq!(answer.json()["quota_set"].get("id"), None);
    let volume = tenant.volume("v1").await;
    let answer = tenant
        .ask("POST", "volumes", 0, json!({"volume": {"size": 1}}))
        .await;
    over(
        &answer,
        "VolumeLimitExceeded: Maximum number of volumes allowed (1) exceeded for quota 'volumes'.",
    );
    let first = tenant.backup(&volume, "b1", false).await;
    let body = json!({"backup": {"volume_id": volume}});
    let answer = tenant.ask("POST", "backups", 0, body.clone()).await;
    over(
        &answer,
        "VolumeBackupSizeExceedsAvailableQuota: Requested backup exceeds allowed Backup gigabytes quota. Requested 1G, quota is 1G and 1G has been consumed.",
    );
    set(json!({"backup_gigabytes": 5})).await;
    let answer = tenant.ask("POST", "backups", 0, body).await;
    over(
        &answer,
        "BackupLimitExceeded: Maximum number of backups allowed (1) exceeded",
    );
    // A refusal leaves nothing behind; the volume is as it was.
    tenant.wait(&format!("volumes/{volume}"), "available").await;
    let answer = tenant
        .ask(
            "POST",
            &format!("backups/{first}/restore"),
            0,
            json!({"restore": {}}),
        )
        .await;
    over(
        &answer,
        "VolumeLimitExceeded: Maximum number of volumes allowed (1) exceeded for quota 'volumes'.",
    );
    tenant.wait(&format!("backups/{first}"), "available").await;
    set(json!({"gigabytes": 2, "per_volume_gigabytes": 3})).await;
    let act = format!("volumes/{volume}/action");
    let extend = |size: u32| json!({"os-extend": {"new_size": size}});
    let answer = tenant.ask("POST", &act, 0, extend(4)).await;
    over(
        &answer,
        "VolumeSizeExceedsLimit: Requested volume size 4G is larger than maximum allowed limit 3G.",
    );
    let answer = tenant.ask("POST", &act, 0, extend(3)).await;
    over(
        &answer,
        "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota. Requested 2G, quota is 2G and 1G has been consumed.",
    );
    let body = json!({"snapshot": {"volume_id": volume}});
    set(json!({"snapshots": 0})).await;
    let answer = tenant.ask("POST", "snapshots", 0, body).await;
    over(
        &answer,
        "SnapshotLimitExceeded: Maximum number of snapshots allowed (0) exceeded",
    );

    let usage = tenant.get(&format!("{path}?usage=True")).await["quota_set"].clone();
    assert_eq!(
        usage["backups"],
        json!({"limit": 1, "in_use": 1, "reserved": 0})
    );
    assert_eq!(
        usage["gigabytes"],
        json!({"limit": 2, "in_use": 1, "reserved": 0})
    );
    for (limits, message) in [
        (
            json!({"backups": 0}),
            "Quota backups limit must be equal or greater than existing resources. Current usage is 1 and the requested limit is 0.",
        ),
        (
            json!({"bogus": 1}),
            "Invalid input received: Bad key(s) in quota set: bogus",
        ),
    ] {
        refused(&set(limits).await, 400, "badRequest", message);
    }
    let answer = tenant
        .ask("PUT", &path, 0, json!({"quota_set": {"backups": 5}}))
        .await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let answer = tenant
        .ask(
            "GET",
            "os-quota-sets/0123456789abcdef0123456789abcdef",
            0,
            Value::Null,
        )
        .await;
    assert_eq!(
        answer.status,
        StatusCode::FORBIDDEN,
        "another project's are not shown"
    );

    assert_eq!(
        tenant
            .ask_as(&admin, "DELETE", &path, 0, Value::Null)
            .await
            .status,
        StatusCode::OK
    );
    assert_eq!(tenant.get(&path).await["quota_set"]["backups"], 10);
    let class = json!({"quota_class_set": {"backups": 7}});
    let answer = tenant
        .ask_as(&admin, "PUT", "os-quota-class-sets/default", 0, class)
        .await;
    assert_eq!(answer.json()["quota_class_set"]["backups"], 7);
    assert_eq!(tenant.get(&path).await["quota_set"]["backups"], 7);
    let defaults = tenant.get(&format!("{path}/defaults")).await;
    assert_eq!(defaults["quota_set"]["backups"], 7);
}

/// Many ask at once; the project never has more than it may.
#[tokio::test]
async fn of_many_requests_at_once_only_so_many_fit() {
    let (tenant, admin) = with_admin().await;
    let volumes = [tenant.volume("v1").await, tenant.volume("v2").await];
    let body = json!({"quota_set": {"volumes": 5}});
    tenant
        .ask_as(
            &admin,
            "PUT",
            &format!("os-quota-sets/{}", tenant.project.id),
            0,
            body,
        )
        .await;
    let tries = (0..12).map(|_| tenant.ask("POST", "volumes", 0, json!({"volume": {"size": 1}})));
    let answers = futures::future::join_all(tries).await;
    let count = |status| answers.iter().filter(|a| a.status == status).count();
    assert_eq!(count(StatusCode::ACCEPTED), 5 - volumes.len());
    assert_eq!(
        count(StatusCode::PAYLOAD_TOO_LARGE),
        12 - (5 - volumes.len())
    );
}

#[tokio::test]
async fn a_volume_in_use_is_attached_to_something() {
    let tenant = Tenant::new().await;
    let volume = tenant.volume("v1").await;
    let path = format!("volumes/{volume}");
    let act = format!("{path}/action");
    let server = "6f1c1f0c-0000-4000-8000-00000000000a";
    let status = async || text(&tenant.get(&path).await["volume"]["status"]);
    for (body, want) in [
        (json!({"os-reserve": null}), "attaching"),
        (json!({"os-unreserve": null}), "available"),
        (json!({"os-reserve": {}}), "attaching"),
        (
            json!({"os-attach": {"instance_uuid": server, "mountpoint": "/dev/vdb", "mode": "rw"}}),
            "in-use",
        ),
        (json!({"os-begin_detaching": null}), "detaching"),
        (json!({"os-roll_detaching": null}), "in-use"),
    ] {
        let answer = tenant.ask("POST", &act, 0, body.clone()).await;
        assert_eq!(
            answer.status,
            StatusCode::ACCEPTED,
            "{body}: {:?}",
            answer.body
        );
        assert_eq!(status().await, want, "{body}");
    }
    let shown = tenant.get(&path).await["volume"]["attachments"][0].clone();
    assert_eq!(
        (&shown["server_id"], &shown["device"]),
        (&json!(server), &json!("/dev/vdb"))
    );
    assert_eq!(
        tenant.get("volumes/detail").await["volumes"][0]["attachments"][0],
        shown
    );
    let answer = tenant
        .ask(
            "POST",
            "backups",
            0,
            json!({"backup": {"volume_id": volume}}),
        )
        .await;
    refused(
        &answer,
        400,
        "badRequest",
        "Invalid volume: Backing up an in-use volume must use the force flag.",
    );
    let answer = tenant
        .ask(
            "POST",
            "backups",
            0,
            json!({"backup": {"volume_id": volume, "force": true}}),
        )
        .await;
    let backup = text(&answer.json()["backup"]["id"]);
    tenant.wait(&format!("backups/{backup}"), "available").await;
    tenant.wait(&path, "in-use").await;
    assert_eq!(
        tenant.ask("DELETE", &path, 0, Value::Null).await.status,
        StatusCode::BAD_REQUEST
    );
    let answer = tenant.ask("POST", &act, 0, json!({"os-detach": {}})).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(status().await, "available");
    // There is nothing to take it from, and it stays as it is.
    let answer = tenant.ask("POST", &act, 0, json!({"os-detach": {}})).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(status().await, "available");

    // The same in the newer way.
    let body = json!({"attachment": {"volume_uuid": volume, "instance_uuid": server}});
    assert_eq!(
        tenant
            .ask("POST", "attachments", 26, body.clone())
            .await
            .status,
        StatusCode::NOT_FOUND
    );
    let answer = tenant.ask("POST", "attachments", 54, body.clone()).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    let made = answer.json()["attachment"].clone();
    assert_eq!(
        (&made["status"], &made["instance"]),
        (&json!("reserved"), &json!(server))
    );
    assert_eq!(status().await, "reserved");
    assert_eq!(
        tenant.ask("POST", "attachments", 54, body).await.status,
        StatusCode::BAD_REQUEST
    );
    let one = format!("attachments/{}", text(&made["id"]));
    let body = json!({"attachment": {"connector": {"host": "h1", "initiator": "iqn"}}});
    assert_eq!(
        tenant.ask("PUT", &one, 54, body).await.json()["attachment"]["status"],
        "attaching"
    );
    let complete = tenant
        .ask(
            "POST",
            &format!("{one}/action"),
            54,
            json!({"os-complete": null}),
        )
        .await;
    assert_eq!(complete.status, StatusCode::NO_CONTENT);
    assert_eq!(status().await, "in-use");
    let list = tenant
        .ask(
            "GET",
            &format!("attachments?volume_id={volume}"),
            54,
            Value::Null,
        )
        .await
        .json();
    assert_eq!(list["attachments"][0]["status"], "attached");
    assert_eq!(
        tenant.ask("DELETE", &one, 54, Value::Null).await.json(),
        json!({"attachments": []})
    );
    assert_eq!(status().await, "available");
    assert_eq!(
        tenant.ask("GET", &one, 54, Value::Null).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn volumes_carry_flags_and_image_properties_through_a_backup() {
    let (tenant, admin) = with_admin().await;
    let volume = tenant.volume("v1").await;
    let path = format!("volumes/{volume}");
    let act = format!("{path}/action");
    for (body, code) in [
        (json!({"os-update_readonly_flag": {"readonly": true}}), 202),
        (
            json!({"os-set_image_metadata": {"metadata": {"os": "linux"}}}),
            200,
        ),
        (json!({"os-set_bootable": {"bootable": true}}), 200),
        (json!({"os-initialize_connection": {"connector": {}}}), 200),
        (json!({"os-terminate_connection": {"connector": {}}}), 202),
        (json!({"os-unset_image_metadata": {"key": "none"}}), 404),
        (json!({"os-reset_status": {"status": "error"}}), 403),
    ] {
        let answer = tenant.ask("POST", &act, 0, body.clone()).await;
        assert_eq!(answer.status.as_u16(), code, "{body}: {:?}", answer.body);
    }
    let shown = tenant.get(&path).await["volume"].clone();
    assert_eq!(shown["metadata"]["readonly"], "True");
    assert_eq!(shown["volume_image_metadata"], json!({"os": "linux"}));
    let pairs = json!({"metadata": {"a": "1"}});
    tenant
        .ask("POST", &format!("{path}/metadata"), 0, pairs)
        .await;
    let backup = tenant.backup(&volume, "b1", false).await;
    let answer = tenant
        .ask(
            "POST",
            &format!("backups/{backup}/restore"),
            0,
            json!({"restore": {}}),
        )
        .await;
    let restored = text(&answer.json()["restore"]["volume_id"]);
    let shown = tenant
        .wait(&format!("volumes/{restored}"), "available")
        .await;
    assert_eq!(
        shown["name"], "v1",
        "a made-up name gives way to the source's own"
    );
    assert_eq!(shown["bootable"], "true");
    assert_eq!(shown["volume_image_metadata"], json!({"os": "linux"}));
    assert_eq!(
        shown["metadata"],
        json!({"a": "1", "src_backup_id": backup})
    );
    // Over itself: what came since goes, and nothing says where it came from.
    let pairs = json!({"metadata": {"b": "2"}});
    tenant
        .ask("POST", &format!("{path}/metadata"), 0, pairs)
        .await;
    tenant.wait(&format!("backups/{backup}"), "available").await;
    let body = json!({"restore": {"volume_id": volume}});
    tenant
        .ask("POST", &format!("backups/{backup}/restore"), 0, body)
        .await;
    let shown = tenant.wait(&path, "available").await;
    assert_eq!(shown["metadata"], json!({"a": "1", "readonly": "True"}));
    // A backup of a volume without any says nothing of them: the target keeps its own.
    let plain = tenant.volume("plain").await;
    let silent = tenant.backup(&plain, "b2", false).await;
    let body = json!({"restore": {"volume_id": restored}});
    tenant
        .ask("POST", &format!("backups/{silent}/restore"), 0, body)
        .await;
    let shown = tenant
        .wait(&format!("volumes/{restored}"), "available")
        .await;
    let kept = json!({"a": "1", "src_backup_id": silent});
    assert_eq!(shown["metadata"], kept);
    assert_eq!(shown["volume_image_metadata"], json!({"os": "linux"}));
    tenant.wait(&format!("backups/{silent}"), "available").await;
    let gone = format!("volumes/{plain}");
    tenant.ask("DELETE", &gone, 0, Value::Null).await;
    tenant.wait_gone(&gone).await;

    let summary = tenant
        .ask("GET", "volumes/summary", 36, Value::Null)
        .await
        .json();
    assert_eq!(summary["volume-summary"]["total_count"], 2);
    assert_eq!(summary["volume-summary"]["metadata"]["a"], json!(["1"]));
    let filtered = tenant
        .get("volumes?metadata=%7B%27a%27%3A%20%271%27%7D")
        .await;
    assert_eq!(filtered["volumes"].as_array().map(Vec::len), Some(2));
    let none = tenant
        .get("volumes?metadata=%7B%22a%22%3A%20%22%22%7D")
        .await;
    assert_eq!(none["volumes"], json!([]));

    for (status, want) in [("maintenance", "maintenance"), ("available", "available")] {
        let body = json!({"os-reset_status": {"status": status}});
        let answer = tenant.ask_as(&admin, "POST", &act, 0, body).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED);
        assert_eq!(tenant.get(&path).await["volume"]["status"], want);
    }
    tenant
        .ask_as(
            &admin,
            "POST",
            &act,
            0,
            json!({"os-reset_status": {"status": "backing-up"}}),
        )
        .await;
    let answer = tenant
        .ask_as(&admin, "POST", &act, 0, json!({"os-force_delete": {}}))
        .await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    tenant.wait_gone(&path).await;
}

#[tokio::test]
async fn types_are_made_used_and_kept_from_others() {
    let (tenant, admin) = with_admin().await;
    let ask = |method: &'static str, path: String, body: Value| {
        let (tenant, admin) = (&tenant, &admin);
        async move { tenant.ask_as(admin, method, &path, 0, body).await }
    };
    let body = json!({"volume_type": {
        "name": "gold", "description": "fast", "os-volume-type-access:is_public": false,
        "extra_specs": {"a:b": "1"},
    }});
    assert_eq!(
        tenant.ask("POST", "types", 0, body.clone()).await.status,
        StatusCode::FORBIDDEN
    );
    let answer = ask("POST", "types".into(), body.clone()).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    let made = answer.json()["volume_type"].clone();
    assert_eq!(
        (&made["is_public"], &made["extra_specs"]),
        (&json!(false), &json!({"a:b": "1"}))
    );
    assert_eq!(
        ask("POST", "types".into(), body).await.status,
        StatusCode::CONFLICT
    );
    let id = text(&made["id"]);
    let one = format!("types/{id}");
    assert_eq!(
        tenant.ask("GET", &one, 0, Value::Null).await.status,
        StatusCode::NOT_FOUND
    );
    let project = tenant.project.id.to_string();
    let add = json!({"addProjectAccess": {"project": project}});
    assert_eq!(
        ask("POST", format!("{one}/action"), add.clone())
            .await
            .status,
        StatusCode::ACCEPTED
    );
    assert_eq!(
        ask("POST", format!("{one}/action"), add).await.status,
        StatusCode::CONFLICT
    );
    let list = ask("GET", format!("{one}/os-volume-type-access"), Value::Null)
        .await
        .json();
    assert_eq!(list["volume_type_access"][0]["project_id"], project);
    let shown = tenant.get(&one).await["volume_type"].clone();
    assert_eq!(
        shown["extra_specs"],
        json!({}),
        "others do not see the operator's pairs"
    );
    let names: Vec<String> = tenant.get("types").await["volume_types"]
        .as_array()
        .expect("is a list")
        .iter()
        .map(|one| text(&one["name"]))
        .collect();
    assert_eq!(names, ["gold", "standard"]);

    let specs = format!("{one}/extra_specs");
    let answer = ask("POST", specs.clone(), json!({"extra_specs": {"c": "2"}})).await;
    assert_eq!(answer.json(), json!({"extra_specs": {"c": "2"}}));
    assert_eq!(
        ask("PUT", format!("{specs}/c"), json!({"c": "3"}))
            .await
            .json(),
        json!({"c": "3"})
    );
    assert_eq!(
        ask("GET", format!("{specs}/c"), Value::Null).await.json(),
        json!({"c": "3"})
    );
    assert_eq!(
        ask("DELETE", format!("{specs}/c"), Value::Null)
            .await
            .status,
        StatusCode::ACCEPTED
    );
    assert_eq!(
        ask("DELETE", format!("{specs}/c"), Value::Null)
            .await
            .status,
        StatusCode::NOT_FOUND
    );
    let edit = json!({"volume_type": {"name": "silver", "is_public": true}});
    assert_eq!(
        ask("PUT", one.clone(), edit).await.json()["volume_type"]["name"],
        "silver"
    );

    let body = json!({"volume": {"size": 1, "volume_type": "silver"}});
    let volume = text(&tenant.ask("POST", "volumes", 0, body).await.json()["volume"]["id"]);
    tenant.wait(&format!("volumes/{volume}"), "available").await;
    assert_eq!(
        ask("DELETE", one.clone(), Value::Null).await.status,
        StatusCode::BAD_REQUEST
    );
    let retype = json!({"os-retype": {"new_type": "standard", "migration_policy": "never"}});
    let answer = tenant
        .ask("POST", &format!("volumes/{volume}/action"), 0, retype)
        .await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(
        tenant.get(&format!("volumes/{volume}")).await["volume"]["volume_type"],
        "standard"
    );
    assert_eq!(
        ask("DELETE", one.clone(), Value::Null).await.status,
        StatusCode::ACCEPTED
    );
    assert_eq!(
        ask("GET", one, Value::Null).await.status,
        StatusCode::NOT_FOUND
    );
    let standard = text(&tenant.get("types/default").await["volume_type"]["id"]);
    assert_eq!(
        ask("DELETE", format!("types/{standard}"), Value::Null)
            .await
            .status,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn openstacksdks_helpers_for_a_backups_pairs_work() {
    let tenant = Tenant::new().await;
    let volume = tenant.volume("v1").await;
    let backup = tenant.backup(&volume, "b1", false).await;
    let path = format!("backups/{backup}/metadata");
    for (method, path, body, want) in [
        (
            "POST",
            path.clone(),
            json!({"metadata": {"a": "1"}}),
            json!({"metadata": {"a": "1"}}),
        ),
        (
            "PUT",
            format!("{path}/b"),
            json!({"meta": {"b": "2"}}),
            json!({"meta": {"b": "2"}}),
        ),
        (
            "GET",
            path.clone(),
            Value::Null,
            json!({"metadata": {"a": "1", "b": "2"}}),
        ),
        (
            "PUT",
            path.clone(),
            json!({"metadata": {"c": "3"}}),
            json!({"metadata": {"c": "3"}}),
        ),
    ] {
        let answer = tenant.ask(method, &path, 64, body).await;
        assert_eq!(
            (answer.status, answer.json()),
            (StatusCode::OK, want),
            "{method}"
        );
    }
    let answer = tenant
        .ask("DELETE", &format!("{path}/c"), 64, Value::Null)
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    let shown = tenant
        .ask("GET", &format!("backups/{backup}"), 64, Value::Null)
        .await;
    assert_eq!(shown.json()["backup"]["metadata"], json!({}));
}

#[tokio::test]
async fn clients_find_the_lists_that_are_empty_here() {
    let (tenant, admin) = with_admin().await;
    for (path, minor, key) in [
        ("os-volume-transfer/detail", 0, "transfers"),
        ("volume-transfers", 0, "transfers"),
        ("qos-specs", 0, "qos_specs"),
        ("groups/detail", 13, "groups"),
        ("group_types", 11, "group_types"),
    ] {
        let answer = tenant.ask_as(&admin, "GET", path, minor, Value::Null).await;
        assert_eq!(answer.json(), json!({ key: [] }), "{path}");
    }
    let pools = tenant
        .ask_as(
            &admin,
            "GET",
            "scheduler-stats/get_pools?detail=True",
            0,
            Value::Null,
        )
        .await
        .json();
    assert_eq!(
        pools["pools"][0]["capabilities"]["storage_protocol"],
        "file"
    );
    let answer = tenant
        .ask("GET", "scheduler-stats/get_pools", 0, Value::Null)
        .await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}
