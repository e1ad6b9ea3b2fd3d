//! What gophercloud and Horizon ask, as they ask it, and what they need of the answers. Neither negotiates a
//! microversion as the command lines do, and both stop at the first answer that they do not expect.

use axum::http::StatusCode;
use emberkeep_model::Role;
use serde_json::{Value, json};

use crate::cinder::tenant::{Tenant, ids, refused, text};

/// One request, the code that the client waits for, and what has to stand in the answer, each by its place.
type Step = (
    &'static str,
    String,
    u16,
    Value,
    u16,
    Vec<(&'static str, Value)>,
);

async fn walk(tenant: &Tenant, token: &str, steps: Vec<Step>) {
    for (method, path, minor, body, code, wanted) in steps {
        let answer = tenant.ask_as(token, method, &path, minor, body).await;
        assert_eq!(
            answer.status.as_u16(),
            code,
            "{method} {path}: {:?}",
            answer.body
        );
        for (place, want) in wanted {
            let answer = answer.json();
            assert_eq!(
                answer.pointer(place),
                Some(&want),
                "{method} {path}: {answer}"
            );
        }
    }
}

/// Tells whether a time is as gophercloud reads it: six digits behind the second, and no zone.
fn is_time(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    let shape: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '9' } else { c })
        .collect();
    shape == "9999-99-99T99:99:99.999999"
}

#[tokio::test]
async fn gophercloud_gets_on() {
    let tenant = Tenant::new().await;
    tenant
        .house
        .user("root", &tenant.project, Role::Admin)
        .await;
    // Its acceptance tests act as an administrator.
    let admin = tenant.house.token("root").await;
    let volume = tenant.volume("gopher").await;
    let body = json!({"backup": {"volume_id": volume, "name": "ACPTTESTx"}});
    let answer = tenant.ask_as(&admin, "POST", "backups", 0, body).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let backup = text(&answer.json()["backup"]["id"]);
    tenant.wait(&format!("backups/{backup}"), "available").await;
    let one = format!("backups/{backup}");
    let shown = tenant
        .ask_as(&admin, "GET", &one, 0, Value::Null)
        .await
        .json();
    for field in ["created_at", "updated_at", "data_timestamp"] {
        assert!(is_time(&shown["backup"][field]), "{field}: {shown}");
    }
    // It decodes into a structure of its own: numbers are numbers, flags are flags.
    assert!(shown["backup"]["size"].is_u64() && shown["backup"]["object_count"].is_u64());
    assert!(shown["backup"]["is_incremental"].is_boolean());
    let shown = tenant
        .ask_as(&admin, "GET", &format!("volumes/{volume}"), 0, Value::Null)
        .await
        .json();
    assert!(is_time(&shown["volume"]["created_at"]), "{shown}");
    assert_eq!(shown["volume"]["bootable"], "false", "text, there");

    let second = tenant.backup(&volume, "ACPTTESTy", true).await;
    // Pages are followed by their links until one is empty or has none.
    let mut seen = Vec::new();
    let mut next = Some("backups/detail?limit=1".to_owned());
    while let Some(path) = next {
        let page = tenant.ask_as(&admin, "GET", &path, 0, Value::Null).await;
        assert_eq!(page.status, StatusCode::OK);
        let page = page.json();
        seen.extend(ids(&page["backups"]));
        let link = page.pointer("/backups_links/0/href").map(text);
        next = link.map(|href| {
            let (_, path) = href.split_once("/backups").expect("is one of ours");
            format!("backups{path}")
        });
    }
    assert_eq!(seen, [second.clone(), backup.clone()], "newest first");

    let record = tenant
        .ask_as(
            &admin,
            "GET",
            &format!("{one}/export_record"),
            0,
            Value::Null,
        )
        .await
        .json();
    let taken = json!({"backup-record": record["backup-record"]});
    let act = format!("{one}/action");
    walk(
        &tenant,
        &admin,
        vec![
            (
                "GET",
                "backups?all_tenants=true&name=ACPTTESTx".into(),
                0,
                Value::Null,
                200,
                vec![("/backups/0/id", json!(backup))],
            ),
            // Its helper for updates forgets the wrapper, and wants 3.9 said.
            ("PUT", one.clone(), 0, json!({"name": "n"}), 404, vec![]),
            (
                "PUT",
                one.clone(),
                9,
                json!({"name": "n"}),
                400,
                vec![(
                    "/badRequest/message",
                    json!("'backup' is a required property"),
                )],
            ),
            (
                "POST",
                format!("{one}/restore"),
                0,
                json!({"restore": {"name": "ACPTTESTr"}}),
                202,
                vec![
                    ("/restore/backup_id", json!(backup)),
                    ("/restore/volume_name", json!("ACPTTESTr")),
                ],
            ),
        ],
    )
    .await;
    tenant.wait(&one, "available").await;
    walk(
        &tenant,
        &admin,
        vec![
            (
                "POST",
                act.clone(),
                0,
                json!({"os-reset_status": {"status": "error"}}),
                202,
                vec![],
            ),
            (
                "GET",
                one.clone(),
                0,
                Value::Null,
                200,
                vec![("/backup/status", json!("error"))],
            ),
            (
                "POST",
                act.clone(),
                0,
                json!({"os-force_delete": {}}),
                202,
                vec![],
            ),
        ],
    )
    .await;
    tenant.wait_gone(&one).await;
    // What it exported comes back under its old id.
    walk(
        &tenant,
        &admin,
        vec![(
            "POST",
            "backups/import_record".into(),
            0,
            taken,
            201,
            vec![("/backup/id", json!(backup))],
        )],
    )
    .await;

    // Volumes, snapshots and attachments as Terraform's provider uses them.
    let server = "6f1c1f0c-0000-4000-8000-00000000000b";
    let at = format!("volumes/{volume}/action");
    tenant.wait(&format!("volumes/{volume}"), "available").await;
    walk(
        &tenant,
        &tenant.member,
        vec![
            (
                "PUT",
                format!("volumes/{volume}"),
                0,
                json!({"volume": {"name": "renamed", "metadata": {"k": "v"}}}),
                200,
                vec![
                    ("/volume/name", json!("renamed")),
                    ("/volume/metadata/k", json!("v")),
                ],
            ),
            (
                "POST",
                at.clone(),
                0,
                json!({"os-attach": {"instance_uuid": server, "mountpoint": "/mnt", "mode": "rw"}}),
                202,
                vec![],
            ),
            (
                "GET",
                format!("volumes/{volume}"),
                0,
                Value::Null,
                200,
                vec![
                    ("/volume/status", json!("in-use")),
                    ("/volume/attachments/0/server_id", json!(server)),
                ],
            ),
            ("POST", at.clone(), 0, json!({"os-detach": {}}), 202, vec![]),
            (
                "POST",
                at.clone(),
                0,
                json!({"os-reserve": {}}),
                202,
                vec![],
            ),
            (
                "POST",
                at.clone(),
                0,
                json!({"os-unreserve": {}}),
                202,
                vec![],
            ),
            (
                "POST",
                at,
                0,
                json!({"os-extend": {"new_size": 2}}),
                202,
                vec![],
            ),
            (
                "GET",
                format!("os-quota-sets/{}?usage=true", tenant.project.id),
                0,
                Value::Null,
                200,
                vec![("/quota_set/volumes/reserved", json!(0))],
            ),
            (
                "GET",
                "os-availability-zone".into(),
                0,
                Value::Null,
                200,
                vec![("/availabilityZoneInfo/0/zoneState/available", json!(true))],
            ),
        ],
    )
    .await;
    tenant.wait(&format!("volumes/{volume}"), "available").await;
    walk(
        &tenant,
        &tenant.member,
        vec![(
            "DELETE",
            format!("volumes/{volume}?cascade=true"),
            0,
            Value::Null,
            202,
            vec![],
        )],
    )
    .await;
}

#[tokio::test]
async fn horizon_gets_on() {
    let tenant = Tenant::new().await;
    let me = tenant.member.clone();
    let volume = tenant.volume("panel").await;
    let mut made = Vec::new();
    for name in ["b1", "b2", "b3"] {
        made.push(tenant.backup(&volume, name, false).await);
    }
    made.reverse();
    // A page of two is asked for with one more, to know whether to offer the next.
    let list = "backups/detail?limit=3&sort=created_at%3Adesc";
    let first = tenant.ask("GET", list, 45, Value::Null).await.json();
    assert_eq!(ids(&first["backups"]), made);
    let next = format!("{list}&marker={}", made[1]);
    let rest = tenant.ask("GET", &next, 45, Value::Null).await.json();
    assert_eq!(ids(&rest["backups"]), made[2..]);
    // And back: the same in the other order.
    let back = format!(
        "backups/detail?limit=3&sort=created_at%3Aasc&marker={}",
        made[2]
    );
    let before = tenant.ask("GET", &back, 45, Value::Null).await.json();
    let reversed: Vec<String> = made[..2].iter().rev().cloned().collect();
    assert_eq!(ids(&before["backups"]), reversed);

    let project = tenant.project.id.to_string();
    walk(
        &tenant,
        &me,
        vec![
            // What its overview and its forms begin with.
            ("GET", "extensions".into(), 0, Value::Null, 200, vec![("/extensions/0/alias", json!("backups"))]),
            ("GET", "limits".into(), 0, Value::Null, 200, vec![("/limits/absolute/totalBackupsUsed", json!(3))]),
            ("GET", format!("os-quota-sets/{project}?usage=False"), 0, Value::Null, 200, vec![("/quota_set/backups", json!(10))]),
            ("GET", "types".into(), 0, Value::Null, 200, vec![("/volume_types/0/name", json!("standard"))]),
            ("GET", "types/default".into(), 0, Value::Null, 200, vec![]),
            // Administrators only; its page does without.
            ("GET", "qos-specs".into(), 0, Value::Null, 403, vec![("/forbidden/code", json!(403))]),
            ("GET", "os-volume-transfer/detail".into(), 0, Value::Null, 200, vec![("/transfers", json!([]))]),
            ("GET", "volumes/detail?limit=21&sort=created_at%3Adesc".into(), 13, Value::Null, 200, vec![("/volumes/0/id", json!(volume))]),
            ("GET", "snapshots/detail?limit=21&sort=created_at%3Adesc".into(), 14, Value::Null, 200, vec![("/snapshots", json!([]))]),
            ("GET", "groups/detail".into(), 13, Value::Null, 200, vec![("/groups", json!([]))]),
            ("GET", format!("messages?resource_uuid={volume}&resource_type=volume"), 5, Value::Null, 200, vec![("/messages", json!([]))]),
            // Its forms send every field, empty ones as empty text.
            ("POST", "backups".into(), 0, json!({"backup": {"volume_id": volume, "container": "", "name": "form", "description": "", "incremental": false, "force": false, "snapshot_id": null}}), 202, vec![("/backup/name", json!("form"))]),
            // Restoring with the name of a volume to be made.
            ("POST", format!("backups/{}/restore", made[0]), 0, json!({"restore": {"volume_id": null, "name": "from the panel"}}), 202, vec![("/restore/volume_name", json!("from the panel"))]),
        ],
    )
    .await;
    // A member's panel for administrators is refused in words.
    let answer = tenant.ask("GET", "os-services", 0, Value::Null).await;
    refused(
        &answer,
        403,
        "forbidden",
        "Policy doesn't allow volume_extension:services:index to be performed.",
    );
}
