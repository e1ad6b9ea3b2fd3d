//! The CBR API as clients see it: what it does.

use crate::desk;

use axum::http::{Method, StatusCode};
use emberkeep_model::VolumeId;
use serde_json::{Value, json};

use desk::{Desk, NOBODY, disk, text, vault};

#[tokio::test]
async fn vaults_are_made_changed_listed_and_deleted() {
    let desk = Desk::new().await;
    let mut body = vault("disks-a", json!([]));
    body["description"] = json!("team A");
    body["tags"] = json!([{"key": "team", "value": "a"}]);
    body["bind_rules"] = json!({"tags": [{"key": "env", "value": "prod"}]});
    let made = desk.post("/vaults", json!({"vault": body})).await["vault"].clone();
    let id = text(&made["id"]);
    assert_eq!(made["project_id"], desk.project.as_str());
    assert_eq!(made["tags"], json!([{"key": "team", "value": "a"}]));
    assert_eq!(
        made["bind_rules"],
        json!({"tags": [{"key": "env", "value": "prod"}]})
    );
    assert_eq!(made["billing"]["spec_code"], "vault.backup.volume.normal");
    assert_eq!(
        desk.get(&format!("/vaults/{id}")).await["vault"],
        made,
        "POST and GET agree"
    );

    let change = json!({"vault": {"name": "disks-b", "billing": {"size": 50}, "bind_rules": {"tags": []}, "threshold": 90}});
    let changed = desk
        .call(Method::PUT, &format!("/vaults/{id}"), change)
        .await
        .json()["vault"]
        .clone();
    assert_eq!(
        (&changed["name"], &changed["billing"]["size"]),
        (&json!("disks-b"), &json!(50))
    );
    assert_eq!(
        (&changed["bind_rules"], &changed["threshold"]),
        (&json!({}), &json!(90))
    );
    assert_eq!(changed["description"], "team A");
    assert_eq!(
        desk.get(&format!("/vaults/{id}")).await["vault"],
        changed,
        "PUT and GET agree"
    );

    for name in ["disks-c", "disks-d"] {
        desk.vault(name, json!([])).await;
    }
    // As openstacksdk does: on with the marker until a page is empty.
    let mut names = Vec::new();
    let mut marker = String::new();
    loop {
        let page = desk.get(&format!("/vaults?limit=1&offset=0{marker}")).await;
        assert_eq!((&page["count"], &page["limit"]), (&json!(3), &json!(1)));
        let Some(one) = page["vaults"].get(0) else {
            break;
        };
        names.push(text(&one["name"]));
        marker = format!("&marker={}", text(&one["id"]));
    }
    assert_eq!(names, ["disks-d", "disks-c", "disks-b"]);
    for (query, want) in [
        ("name=disks-c", vec!["disks-c"]),
        (&format!("id={id}&id={NOBODY}"), vec!["disks-b"]),
        ("object_type=server", vec![]),
        ("protect_type=hybrid", vec![]),
        ("status=available&offset=1&limit=1", vec!["disks-c"]),
        (&format!("policy_id={NOBODY}"), vec![]),
        (&format!("resource_ids={NOBODY}"), vec![]),
        (&format!("marker={NOBODY}"), vec![]),
    ] {
        let page = desk.get(&format!("/vaults?{query}")).await;
        let names: Vec<_> = page["vaults"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|one| text(&one["name"]))
            .collect();
        assert_eq!(names, want, "{query}");
    }

    let answer = desk
        .call(Method::DELETE, &format!("/vaults/{id}"), Value::Null)
        .await;
    assert_eq!(
        (answer.status, answer.body.len()),
        (StatusCode::NO_CONTENT, 0)
    );
    desk.until(&format!("/vaults/{id}"), |answer| {
        answer.status == StatusCode::NOT_FOUND
    })
    .await;
    let log = desk.until(
        "/operation-logs?operation_type=vault_delete&status=success",
        |answer| answer.json()["count"] == 1,
    );
    assert_eq!(
        log.await.json()["operation_logs"][0]["vault_name"],
        "disks-b"
    );
}

#[tokio::test]
async fn a_volume_is_protected_and_comes_back() {
    let desk = Desk::new().await;
    let content =
        emberkeep_testkit::content::generate(emberkeep_testkit::content::Kind::Random, 3 << 20, 7);
    let volume = desk.volume(&content).await;
    let vault = desk.vault("disks-a", json!([disk(&volume)])).await;
    let id = text(&vault["id"]);
    assert_eq!(vault["resources"][0]["name"], "data-1");
    assert_eq!(
        (
            &vault["billing"]["allocated"],
            &vault["resources"][0]["size"]
        ),
        (&json!(1), &json!(1))
    );
    let again = desk
        .post(
            &format!("/vaults/{id}/addresources"),
            json!({"resources": [disk(&volume)]}),
        )
        .await;
    assert_eq!(again, json!({"add_resource_ids": [volume]}));

    let asked = json!({"checkpoint": {"vault_id": id, "parameters": {"name": "before", "description": "by hand", "incremental": true}}});
    let made = desk.post("/checkpoints", asked).await["checkpoint"].clone();
    assert_eq!(
        (&made["status"], &made["vault"]["skipped_resources"]),
        (&json!("protecting"), &json!([]))
    );
    assert_eq!(made["vault"]["resources"][0]["resource_size"], "1");
    let checkpoint = text(&made["id"]);
    let done = desk
        .until(&format!("/checkpoints/{checkpoint}"), |answer| {
            answer.json()["checkpoint"]["status"] != "protecting"
        })
        .await;
    assert_eq!(
        done.json()["checkpoint"]["status"],
        "available",
        "{}",
        done.json()
    );
    assert_eq!(
        done.json()["checkpoint"]["extra_info"],
        json!({"name": "before", "description": "by hand", "retention_duration": -1})
    );

    let list = desk
        .get(&format!(
            "/backups?vault_id={id}&checkpoint_id={checkpoint}&status=available"
        ))
        .await;
    assert_eq!(
        (&list["count"], list["backups"].as_array().map(Vec::len)),
        (&json!(1), Some(1))
    );
    let backup = text(&list["backups"][0]["id"]);
    let shown = desk.get(&format!("/backups/{backup}")).await["backup"].clone();
    assert_eq!(shown, list["backups"][0]);
    assert_eq!(
        (&shown["name"], &shown["resource_id"]),
        (&json!("before"), &json!(volume))
    );
    assert_eq!(
        (
            &shown["extend_info"]["progress"],
            &shown["protected_at"].is_string()
        ),
        (&json!(100), &true)
    );
    let used = desk.get(&format!("/vaults/{id}")).await["vault"].clone();
    assert_eq!(used["billing"]["used"], 4, "3 MiB and a little, rounded up");
    assert_eq!(
        (
            &used["resources"][0]["backup_count"],
            &used["resources"][0]["protect_status"]
        ),
        (&json!(1), &json!("available"))
    );
    assert_eq!(desk.get("/backups?used_percent=1").await["count"], 0);

    let logs = desk.get(&format!("/operation-logs?vault_id={id}")).await;
    let log = &logs["operation_logs"][0];
    assert_eq!(
        (&logs["count"], &log["operation_type"], &log["status"]),
        (&json!(1), &json!("backup"), &json!("success"))
    );
    assert_eq!(
        (
            &log["extra_info"]["backup"]["backup_id"],
            &log["extra_info"]["backup"]["incremental"]
        ),
        (&json!(backup), &json!("false"))
    );
    let one = desk
        .get(&format!("/operation-logs/{}", text(&log["id"])))
        .await;
    assert_eq!(one["operation_log"], *log);

    // What the volume holds is lost, and comes back.
    let volume_id: VolumeId = volume.parse().expect("an id");
    desk.house.volumes.set(volume_id, vec![0xAA; 1 << 30]);
    let begun = desk
        .call(
            Method::POST,
            &format!("/backups/{backup}/restore"),
            json!({"restore": {"mappings": [], "power_on": true, "volume_id": volume}}),
        )
        .await;
    assert_eq!(begun.status, StatusCode::ACCEPTED, "{}", begun.json());
    let job = text(&begun.json()["job_id"]);
    let done = desk
        .until(&format!("/operation-logs/{job}"), |answer| {
            !["waiting", "running"].contains(
                &answer.json()["operation_log"]["status"]
                    .as_str()
                    .expect("a status"),
            )
        })
        .await;
    let log = done.json()["operation_log"].clone();
    assert_eq!(
        (&log["status"], &log["error_info"]),
        (&json!("success"), &json!({"code": "", "message": ""}))
    );
    assert_eq!(
        log["extra_info"]["restore"]["target_resource_id"],
        json!(volume)
    );
    let bytes = desk.house.volumes.bytes(volume_id).expect("is there");
    assert!(bytes[..content.len()] == content[..], "the content is back");
    let rest = vec![0; bytes.len() - content.len()];
    assert!(bytes[content.len()..] == rest[..], "and the zeroes too");
    drop(bytes);
    for (body, status, code) in [
        (json!({"restore": {}}), 400, "BackupService.9900"),
        (
            json!({"restore": {"server_id": NOBODY}}),
            400,
            "BackupService.9900",
        ),
        (
            json!({"restore": {"volume_id": NOBODY}}),
            404,
            "BackupService.7000",
        ),
    ] {
        let refused = desk
            .call(
                Method::POST,
                &format!("/backups/{backup}/restore"),
                body.clone(),
            )
            .await;
        assert_eq!(
            (refused.status.as_u16(), &refused.json()["error_code"]),
            (status, &json!(code)),
            "{body}"
        );
    }

    let renamed = desk
        .call(
            Method::PUT,
            &format!("/backups/{backup}"),
            json!({"backup": {"name": "kept"}}),
        )
        .await;
    assert_eq!(renamed.json()["backup"]["name"], "kept");
    let answer = desk
        .call(Method::DELETE, &format!("/backups/{backup}"), Value::Null)
        .await;
    assert_eq!(
        (answer.status, answer.body.len()),
        (StatusCode::NO_CONTENT, 0)
    );
    desk.until(&format!("/backups/{backup}"), |answer| {
        answer.status == StatusCode::NOT_FOUND
    })
    .await;
    let log = desk
        .until(
            &format!("/operation-logs?operation_type=delete&vault_id={id}"),
            |answer| answer.json()["operation_logs"][0]["status"] == "success",
        )
        .await;
    assert_eq!(
        log.json()["operation_logs"][0]["extra_info"]["delete"]["backup_id"],
        json!(backup)
    );

    let removed = desk
        .post(
            &format!("/vaults/{id}/removeresources"),
            json!({"resource_ids": [volume]}),
        )
        .await;
    assert_eq!(removed, json!({"remove_resource_ids": [volume]}));
    desk.until(&format!("/vaults/{id}"), |answer| {
        answer.json()["vault"]["resources"] == json!([])
    })
    .await;
    // The volume's own making and the sweeps are nobody's operation log.
    let kinds = desk.get("/operation-logs").await;
    let kinds: Vec<_> = kinds["operation_logs"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|log| text(&log["operation_type"]))
        .collect();
    assert_eq!(kinds, ["remove_resource", "delete", "restore", "backup"]);
}

/// The answers that clients are tested with: the same files as in the tests of the SDK.
macro_rules! shape {
    ($name:literal) => {
        serde_json::from_str::<Value>(include_str!(concat!(
            "../../../wire/tests/cbr_shapes/documented/",
            $name,
            ".json"
        )))
        .expect("a shape")
    };
}

/// Names what one of two answers has and the other has not, or has of another kind. What is null or an empty list in
/// either may be anything in the other.
fn differences(path: &str, wanted: &Value, found: &Value, all: &mut Vec<String>) {
    match (wanted, found) {
        (Value::Null, _) | (_, Value::Null) => {}
        (Value::Object(wanted), Value::Object(found)) => {
            for (key, value) in wanted {
                match found.get(key) {
                    Some(other) => differences(&format!("{path}.{key}"), value, other, all),
                    None => all.push(format!("{path}.{key} is not there")),
                }
            }
            let more = found.keys().filter(|key| !wanted.contains_key(*key));
            all.extend(more.map(|key| format!("{path}.{key} is too much")));
        }
        (Value::Array(wanted), Value::Array(found)) => {
            if let (Some(one), Some(other)) = (wanted.first(), found.first()) {
                differences(&format!("{path}[]"), one, other, all);
            }
        }
        _ if std::mem::discriminant(wanted) == std::mem::discriminant(found) => {}
        _ => all.push(format!("{path} is {found}, not like {wanted}")),
    }
}

#[tokio::test]
async fn answers_have_the_form_that_clients_are_tested_with() {
    let desk = Desk::new().await;
    let volume = desk.volume(b"some content").await;
    let mut body = vault("disks-a", json!([disk(&volume)]));
    body["description"] = json!("team A");
    body["tags"] = json!([{"key": "team", "value": "a"}]);
    body["bind_rules"] = json!({"tags": [{"key": "env", "value": "prod"}]});
    let made = desk.post("/vaults", json!({"vault": body})).await["vault"].clone();
    let id = text(&made["id"]);
    let policy = json!({"policy": {"name": "nightly", "operation_type": "backup",
        "operation_definition": {"max_backups": 14, "day_backups": 7, "week_backups": 4, "month_backups": 0,
            "year_backups": 0, "timezone": "UTC+02:00"},
        "trigger": {"properties": {"pattern": ["FREQ=DAILY;INTERVAL=1;BYHOUR=1;BYMINUTE=00"]}}}});
    let policy = text(&desk.post("/policies", policy).await["policy"]["id"]);
    let bound = json!({"policy_id": policy});
    desk.post(&format!("/vaults/{id}/associatepolicy"), bound)
        .await;
    let asked = json!({"checkpoint": {"vault_id": id, "parameters": {"name": "before", "description": "by hand"}}});
    let checkpoint = desk.post("/checkpoints", asked).await;
    let run = text(&checkpoint["checkpoint"]["id"]);
    desk.until(&format!("/checkpoints/{run}"), |answer| {
        answer.json()["checkpoint"]["status"] == "available"
    })
    .await;
    let backups = desk.get(&format!("/backups?checkpoint_id={run}")).await;
    let backup = text(&backups["backups"][0]["id"]);
    let other = desk.house.project("beta").await.id.to_string();
    let members = format!("/backups/{backup}/members");
    desk.post(&members, json!({"members": [other]})).await;
    let restore = json!({"restore": {"volume_id": volume}});
    let task = desk
        .post(&format!("/backups/{backup}/restore"), restore)
        .await;
    let task = format!("/operation-logs/{}", text(&task["job_id"]));
    desk.until(&task, |answer| {
        answer.json()["operation_log"]["status"] == "success"
    })
    .await;
    let tagged = json!({"action": "filter", "tags": [{"key": "team", "values": ["a"]}]});

    let mut all = Vec::new();
    for (what, wanted, found) in [
        (
            "vault",
            shape!("vault"),
            desk.get(&format!("/vaults/{id}")).await,
        ),
        ("checkpoint", shape!("checkpoint"), checkpoint),
        (
            "backup",
            shape!("backup"),
            desk.get(&format!("/backups/{backup}")).await,
        ),
        (
            "policy",
            shape!("policy"),
            desk.get(&format!("/policies/{policy}")).await,
        ),
        ("task", shape!("task"), desk.get(&task).await),
        (
            "member",
            shape!("member"),
            desk.get(&format!("{members}/{other}")).await,
        ),
        (
            "tagged vaults",
            shape!("tagged_vault"),
            desk.post("/vault/resource_instances/action", tagged).await,
        ),
        (
            "protectable",
            shape!("protectable"),
            desk.get(&format!("/protectables/disk/instances/{volume}"))
                .await,
        ),
    ] {
        differences(what, &wanted, &found, &mut all);
    }
    // What a resource's own service says of it is its own, and the file has a part of it.
    all.retain(|line| !line.starts_with("protectable.instance.detail."));
    assert!(all.is_empty(), "{all:#?}");
}
