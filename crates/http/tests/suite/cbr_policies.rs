//! Policies, tags, shares and the rarer vault calls, as clients of CBR see them.

use crate::desk;

use axum::http::{Method, StatusCode};
use emberkeep_model::Role;
use serde_json::{Value, json};

use desk::{Desk, NOBODY, disk, text, vault};

fn nightly() -> Value {
    json!({"name": "nightly", "operation_type": "backup", "enabled": true,
        "operation_definition": {"max_backups": 14, "day_backups": 7, "timezone": "UTC+02:00"},
        "trigger": {"properties": {"pattern": ["FREQ=DAILY;INTERVAL=1;BYHOUR=1;BYMINUTE=00"]}}})
}

async fn refused(desk: &Desk, method: Method, rest: &str, body: Value, want: (u16, &str)) {
    let answer = desk.call(method, rest, body.clone()).await;
    let code = format!("BackupService.{}", want.1);
    assert_eq!(
        (answer.status.as_u16(), answer.json()["error_code"].as_str()),
        (want.0, Some(code.as_str())),
        "{rest} {body}: {}",
        answer.json()
    );
}

#[tokio::test]
async fn policies_are_made_bound_changed_and_deleted() {
    let desk = Desk::new().await;
    let made = desk.post("/policies", json!({"policy": nightly()})).await["policy"].clone();
    let id = text(&made["id"]);
    assert_eq!(
        made["trigger"]["properties"]["pattern"],
        nightly()["trigger"]["properties"]["pattern"]
    );
    assert_eq!(
        made["operation_definition"],
        nightly()["operation_definition"],
        "echoed as sent"
    );
    assert_eq!(
        (&made["trigger"]["name"], &made["trigger"]["type"]),
        (&json!("default"), &json!("time"))
    );
    let start = text(&made["trigger"]["properties"]["start_time"]);
    assert_eq!((start.len(), &start[10..11]), (19, " "), "{start}");
    assert_eq!(made["associated_vaults"], json!([]));
    assert_eq!(desk.get(&format!("/policies/{id}")).await["policy"], made);

    // As Terraform does: made with it, then bound again.
    let mut body = vault("disks-a", json!([]));
    body["backup_policy_id"] = json!(id);
    let made = desk.post("/vaults", json!({"vault": body})).await["vault"].clone();
    let vault_id = text(&made["id"]);
    assert_eq!(made["backup_policy_id"], json!(id));
    let bind = |policy: &str| json!({"policy_id": policy});
    let bound = desk
        .post(&format!("/vaults/{vault_id}/associatepolicy"), bind(&id))
        .await;
    assert_eq!(
        bound,
        json!({"associate_policy": {"vault_id": vault_id, "policy_id": id}})
    );
    assert_eq!(
        desk.get(&format!("/policies?vault_id={vault_id}")).await["policies"][0]["associated_vaults"],
        json!([{"vault_id": vault_id}])
    );
    assert_eq!(
        desk.get(&format!("/vaults?policy_id={id}")).await["count"],
        1
    );
    assert_eq!(
        desk.get("/policies?operation_type=replication").await,
        json!({"policies": [], "count": 0})
    );

    // Another of its kind takes its place.
    let other = desk.post("/policies", json!({"policy": nightly()})).await["policy"].clone();
    let other = text(&other["id"]);
    desk.post(
        &format!("/vaults/{vault_id}/associatepolicy"),
        json!({"add_policy_ids": [other]}),
    )
    .await;
    let shown = desk.get(&format!("/vaults/{vault_id}")).await["vault"].clone();
    assert_eq!(shown["backup_policy_id"], json!(other));
    let dissociate = format!("/vaults/{vault_id}/dissociatepolicy");
    refused(&desk, Method::POST, &dissociate, bind(&id), (404, "6002")).await;
    let gone = desk.post(&dissociate, bind(&other)).await;
    assert_eq!(gone["dissociate_policy"]["policy_id"], json!(other));

    let edit = json!({"policy": {"name": "weekly", "enabled": false, "operation_definition": {"retention_duration_days": 30},
        "trigger": {"properties": {"pattern": ["FREQ=WEEKLY;BYDAY=MO;BYHOUR=3"]}}}});
    let path = format!("/policies/{id}");
    let changed = desk.call(Method::PUT, &path, edit).await.json()["policy"].clone();
    assert_eq!(
        (&changed["name"], &changed["enabled"]),
        (&json!("weekly"), &json!(false))
    );
    assert_eq!(
        changed["operation_definition"],
        json!({"retention_duration_days": 30}),
        "replaced as a whole"
    );
    assert_eq!(desk.get(&path).await["policy"], changed);

    // A policy goes while it is bound, and so does a vault.
    desk.post(&format!("/vaults/{vault_id}/associatepolicy"), bind(&id))
        .await;
    let deleted = desk.call(Method::DELETE, &path, Value::Null).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    refused(&desk, Method::GET, &path, Value::Null, (404, "6000")).await;
    desk.post(&format!("/vaults/{vault_id}/associatepolicy"), bind(&other))
        .await;
    desk.call(Method::DELETE, &format!("/vaults/{vault_id}"), Value::Null)
        .await;
    desk.until(&format!("/vaults/{vault_id}"), |answer| {
        answer.status == StatusCode::NOT_FOUND
    })
    .await;
    assert_eq!(
        desk.get(&format!("/policies/{other}")).await["policy"]["associated_vaults"],
        json!([])
    );
}

#[tokio::test]
async fn policies_that_make_no_sense_are_refused() {
    let desk = Desk::new().await;
    let vault_id = text(&desk.vault("disks-a", json!([])).await["id"]);
    let with = |pointer: &str, value: Value| {
        let mut policy = nightly();
        match pointer.rsplit_once('/') {
            Some((object, key)) => policy.pointer_mut(object).expect("is there")[key] = value,
            None => policy[pointer] = value,
        }
        json!({"policy": policy})
    };
    let pattern = |text: &str| with("/trigger/properties/pattern", json!([text]));
    for body in [
        json!({}),
        with("name", json!("a b")),
        with("operation_type", json!("copy")),
        with("operation_definition", Value::Null),
        with("trigger", Value::Null),
        with("/trigger/properties/pattern", json!([])),
        pattern("FREQ=HOURLY;BYHOUR=1"),
        pattern("FREQ=DAILY;BYDAY=MO;BYHOUR=1"),
        pattern("FREQ=WEEKLY;BYHOUR=1"),
        pattern("FREQ=DAILY;INTERVAL=31;BYHOUR=1"),
        pattern("FREQ=DAILY;BYHOUR=24"),
        with(
            "/trigger/properties/pattern",
            json!([
                "FREQ=DAILY;BYHOUR=1;BYMINUTE=00",
                "FREQ=DAILY;BYHOUR=1;BYMINUTE=30"
            ]),
        ),
        with("operation_definition", json!({"day_backups": 7})),
        with(
            "operation_definition",
            json!({"max_backups": 3, "retention_duration_days": 3}),
        ),
        with("operation_definition", json!({"max_backups": 100_000})),
        with("operation_definition", json!({"max_backups": "3"})),
        with("operation_type", json!("replication")),
    ] {
        refused(&desk, Method::POST, "/policies", body, (400, "9900")).await;
    }
    // "Not set", as clients say it.
    for definition in [
        json!({"max_backups": -1, "retention_duration_days": -1}),
        json!({"max_backups": 0, "retention_duration_days": 0, "day_backups": 0, "year_backups": 0}),
        json!({"timezone": "UTC+03:00"}),
    ] {
        desk.post("/policies", with("operation_definition", definition))
            .await;
    }
    refused(
        &desk,
        Method::GET,
        "/policies/x",
        Value::Null,
        (400, "9900"),
    )
    .await;
    let associate = format!("/vaults/{vault_id}/associatepolicy");
    refused(
        &desk,
        Method::POST,
        &associate,
        json!({"policy_id": NOBODY}),
        (404, "6000"),
    )
    .await;
    refused(&desk, Method::POST, &associate, json!({}), (400, "9900")).await;
    let mut body = vault("disks-b", json!([]));
    body["backup_policy_id"] = json!(NOBODY);
    refused(
        &desk,
        Method::POST,
        "/vaults",
        json!({"vault": body.clone()}),
        (404, "6000"),
    )
    .await;
    let definition = json!({"destination_region": "elsewhere", "destination_project_id": "0123456789abcdef0123456789abcdef"});
    let mut away = with("operation_definition", definition);
    away["policy"]["operation_type"] = json!("replication");
    let away = text(&desk.post("/policies", away).await["policy"]["id"]);
    body["backup_policy_id"] = json!(away);
    refused(
        &desk,
        Method::POST,
        "/vaults",
        json!({"vault": body}),
        (400, "6127"),
    )
    .await;
    refused(
        &desk,
        Method::POST,
        &associate,
        json!({"policy_id": away}),
        (400, "9900"),
    )
    .await;
    // Nobody fills the vaults of others.
    refused(
        &desk,
        Method::POST,
        &associate,
        json!({"policy_id": away, "destination_vault_id": NOBODY}),
        (400, "1011"),
    )
    .await;
    assert_eq!(desk.get("/vaults").await["count"], 1, "nothing half-made");
    for _ in 3..32 {
        desk.post("/policies", json!({"policy": nightly()})).await;
    }
    refused(
        &desk,
        Method::POST,
        "/policies",
        json!({"policy": nightly()}),
        (400, "6001"),
    )
    .await;
}

#[tokio::test]
async fn the_native_side_previews_and_knows_real_time_zones() {
    let desk = Desk::new().await;
    let made = desk.post("/policies", json!({"policy": nightly()})).await["policy"].clone();
    let id = text(&made["id"]);
    let path = format!("/api/v1/policies/{id}/preview");
    let seen = desk.house.get(&path, &desk.token).await.json();
    let runs = seen["next_runs"].as_array().expect("a list").clone();
    assert_eq!(runs.len(), 10);
    assert!(
        runs.iter().all(|run| text(run).contains("T01:00:00")),
        "{runs:?}"
    );
    let trial = json!({"pattern": ["FREQ=WEEKLY;BYDAY=SU;BYHOUR=4"], "zone": "Asia/Kolkata"});
    let seen = desk.house.post(&path, &desk.token, trial).await.json();
    assert!(text(&seen["next_runs"][0]).contains("T22:30:00"), "{seen}");
    let zone = format!("/api/v1/policies/{id}/zone");
    let set = |name: &'static str| {
        desk.house
            .call(Method::PUT, &zone, &desk.token, json!({"zone": name}))
    };
    assert_eq!(set("Mars/Olympus").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        set("Asia/Kolkata").await.json(),
        json!({"zone": "Asia/Kolkata"})
    );
    let seen = desk.house.get(&path, &desk.token).await.json();
    assert!(text(&seen["next_runs"][0]).contains("T19:30:00"), "{seen}");
}

#[tokio::test]
async fn vaults_are_tagged_and_found_by_tags() {
    let desk = Desk::new().await;
    let a = text(&desk.vault("disks-a", json!([])).await["id"]);
    let b = text(&desk.vault("disks-b", json!([])).await["id"]);
    let tags = format!("/vault/{a}/tags");
    let act = format!("{tags}/action");
    let set = |key: &str, value: &str| json!({"tag": {"key": key, "value": value}});
    for (path, body) in [
        (tags.clone(), set("env", "test")),
        (tags.clone(), set(" env ", "prod")),
        (
            act.clone(),
            json!({"action": "create", "tags": [{"key": "tier", "value": ""}, {"key": "old", "value": "x"}]}),
        ),
        (
            act.clone(),
            json!({"action": "delete", "tags": [{"key": "old"}, {"key": "old"}, {"key": "what ever"}]}),
        ),
        (format!("/vault/{b}/tags"), set("env", "stage")),
    ] {
        let answer = desk.call(Method::POST, &path, body.clone()).await;
        assert_eq!(
            (answer.status, answer.body.len()),
            (StatusCode::NO_CONTENT, 0),
            "{body}"
        );
    }
    let want = json!({"tags": [{"key": "env", "value": "prod"}, {"key": "tier", "value": ""}]});
    assert_eq!(desk.get(&tags).await, want);
    let all = json!({"tags": [{"key": "env", "values": ["prod", "stage"]}, {"key": "tier", "values": [""]}]});
    assert_eq!(desk.get("/vault/tags").await, all);

    let find = "/vault/resource_instances/action";
    let found = desk.post(find, json!({"action": "filter", "limit": "50", "offset": "0",
        "tags": [{"key": "env", "values": ["prod", "stage"]}], "not_tags_any": [{"key": "tier", "values": []}]})).await;
    assert_eq!(
        (&found["total_count"], &found["resources"][0]["resource_id"]),
        (&json!(1), &json!(b))
    );
    assert_eq!(
        found["resources"][0]["resource_detail"]["vault"]["name"],
        "disks-b"
    );
    assert_eq!(
        desk.post(find, json!({"action": "count", "tags": []}))
            .await,
        json!({"total_count": 2})
    );

    let one = format!("{tags}/tier");
    assert_eq!(
        desk.call(Method::DELETE, &one, Value::Null).await.status,
        StatusCode::NO_CONTENT
    );
    refused(&desk, Method::DELETE, &one, Value::Null, (404, "6601")).await;
    refused(
        &desk,
        Method::GET,
        &format!("/vault/{NOBODY}/tags"),
        Value::Null,
        (404, "6105"),
    )
    .await;
    refused(
        &desk,
        Method::GET,
        "/vault/x/tags",
        Value::Null,
        (400, "9900"),
    )
    .await;
    for body in [
        set("", "v"),
        set("a=b", "v"),
        set("k", "a|b"),
        json!({"tag": {"key": "k"}}),
        json!({}),
    ] {
        refused(&desk, Method::POST, &tags, body, (400, "9900")).await;
    }
    for body in [
        json!({"action": "create", "tags": []}),
        json!({"action": "drop", "tags": [{"key": "k", "value": "v"}]}),
        json!({"action": "create", "tags": [{"key": "k", "value": "v"}, {"key": "k", "value": "w"}]}),
    ] {
        refused(&desk, Method::POST, &act, body, (400, "9900")).await;
    }
    let many: Vec<_> = (0..20)
        .map(|n| json!({"key": format!("k{n}"), "value": "v"}))
        .collect();
    refused(
        &desk,
        Method::POST,
        &act,
        json!({"action": "create", "tags": many}),
        (400, "6600"),
    )
    .await;
    for body in [
        json!({"action": "filter", "limit": "0"}),
        json!({"action": "filter", "limit": "1001"}),
        json!({"action": "filter", "offset": "-1"}),
        json!({"action": "look"}),
        json!({"action": "filter", "tags": [{"key": "env"}]}),
        json!({"action": "filter", "matches": [{"key": "id", "value": "x"}]}),
    ] {
        refused(&desk, Method::POST, find, body, (400, "9900")).await;
    }
}

#[tokio::test]
async fn a_backup_is_shared_accepted_and_restored_in_the_other_project() {
    let desk = Desk::new().await;
    let beta = desk.house.project("beta").await;
    desk.house.user("bob", &beta, Role::Member).await;
    let bob = desk.house.token("bob").await;
    let bobs = |rest: &str| format!("/cbr/v3/{}{rest}", beta.id);
    let content =
        emberkeep_testkit::content::generate(emberkeep_testkit::content::Kind::Random, 1 << 20, 5);
    let volume = desk.volume(&content).await;
    let vault_id = text(&desk.vault("disks-a", json!([disk(&volume)])).await["id"]);
    let run = desk
        .post(
            "/checkpoints",
            json!({"checkpoint": {"vault_id": vault_id}}),
        )
        .await;
    let run = text(&run["checkpoint"]["id"]);
    desk.until(&format!("/checkpoints/{run}"), |a| {
        a.json()["checkpoint"]["status"] == "available"
    })
    .await;
    let backup = text(&desk.get("/backups").await["backups"][0]["id"]);
    let members = format!("/backups/{backup}/members");

    let with = |project: &str| json!({"members": [project]});
    let shared = desk.post(&members, with(beta.id.as_str())).await;
    assert_eq!(
        (&shared["count"], &shared["members"][0]["status"]),
        (&json!(1), &json!("pending"))
    );
    let record = text(&shared["members"][0]["id"]);
    assert_eq!(shared["members"][0]["vault_id"], Value::Null);
    for name in [beta.id.as_str(), &record] {
        assert_eq!(
            desk.get(&format!("{members}/{name}")).await["member"],
            shared["members"][0]
        );
    }
    let project = desk.project.clone();
    for (body, code) in [
        (with(beta.id.as_str()), "6703"),
        (with(&project), "6704"),
        (with("nobody"), "6704"),
        (json!({"members": []}), "9900"),
    ] {
        refused(&desk, Method::POST, &members, body, (400, code)).await;
    }
    refused(
        &desk,
        Method::GET,
        &format!("{members}/nobody"),
        Value::Null,
        (404, "6705"),
    )
    .await;

    // The receiver sees it when asked for, and answers.
    let list = |query: &str| {
        let path = bobs(&format!("/backups{query}"));
        let bob = bob.clone();
        let house = &desk.house;
        async move { house.get(&path, &bob).await.json()["count"].clone() }
    };
    assert_eq!(list("").await, 0);
    assert_eq!(list("?own_type=shared").await, 1);
    assert_eq!(list("?own_type=all_granted").await, 1);
    assert_eq!(list("?own_type=shared&member_status=accept").await, 0);
    let one = bobs(&format!("/backups/{backup}"));
    assert_eq!(desk.house.get(&one, &bob).await.status, StatusCode::OK);
    let made = desk
        .house
        .post(
            &bobs("/vaults"),
            &bob,
            json!({"vault": vault("bobs", json!([]))}),
        )
        .await
        .json();
    let bobs_vault = text(&made["vault"]["id"]);
    let answer_path = bobs(&format!("{members}/{}", beta.id));
    let answer = |body: Value| desk.house.call(Method::PUT, &answer_path, &bob, body);
    for (body, status, code) in [
        (json!({"status": "accepted"}), 400, "6706"),
        (json!({"status": "pending"}), 400, "6706"),
        (json!({"status": "maybe"}), 400, "9900"),
        (
            json!({"status": "accepted", "vault_id": vault_id}),
            404,
            "6105",
        ),
    ] {
        let seen = answer(body.clone()).await;
        assert_eq!(
            (seen.status.as_u16(), seen.json()["error_code"].clone()),
            (status, json!(format!("BackupService.{code}"))),
            "{body}"
        );
    }
    let seen = desk
        .call(
            Method::PUT,
            &format!("{members}/{}", beta.id),
            json!({"status": "rejected"}),
        )
        .await;
    assert_eq!(
        seen.json()["error_code"],
        "BackupService.6706",
        "the owner does not answer"
    );
    let target = desk
        .house
        .post(
            &format!("/volume/v3/{}/volumes", beta.id),
            &bob,
            json!({"volume": {"size": 1}}),
        )
        .await;
    let target = text(&target.json()["volume"]["id"]);
    loop {
        let seen = desk
            .house
            .get(&format!("/volume/v3/{}/volumes/{target}", beta.id), &bob)
            .await
            .json();
        if seen["volume"]["status"] == "available" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let restore = json!({"restore": {"volume_id": target}});
    let restore_path = bobs(&format!("/backups/{backup}/restore"));
    assert_eq!(
        desk.house
            .post(&restore_path, &bob, restore.clone())
            .await
            .status,
        StatusCode::BAD_REQUEST
    );
    let accepted = answer(json!({"status": "accepted", "vault_id": bobs_vault}))
        .await
        .json();
    assert_eq!(
        (
            &accepted["member"]["status"],
            &accepted["member"]["vault_id"]
        ),
        (&json!("accepted"), &json!(bobs_vault))
    );
    assert_eq!(list("?own_type=shared&member_status=accepted").await, 1);
    assert_eq!(
        desk.house.get(&one, &bob).await.json()["backup"]["vault_id"],
        json!(bobs_vault)
    );

    let begun = desk.house.post(&restore_path, &bob, restore).await;
    assert_eq!(begun.status, StatusCode::ACCEPTED, "{}", begun.json());
    let task = bobs(&format!(
        "/operation-logs/{}",
        text(&begun.json()["job_id"])
    ));
    loop {
        let seen = desk.house.get(&task, &bob).await.json();
        let status = text(&seen["operation_log"]["status"]);
        assert_ne!(status, "failed", "{seen}");
        if status == "success" {
            assert_eq!(
                seen["operation_log"]["vault_id"],
                Value::Null,
                "where the owner keeps it is not told"
            );
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let bytes = desk
        .house
        .volumes
        .bytes(target.parse().expect("an id"))
        .expect("is there");
    assert!(bytes.starts_with(&content));

    // Neither may the receiver share it on or delete it; when it goes the share goes.
    let on = desk.house.post(&bobs(&members), &bob, with(&project)).await;
    assert_eq!(on.json()["error_code"], "BackupService.6707");
    assert_eq!(
        desk.house
            .call(Method::DELETE, &one, &bob, Value::Null)
            .await
            .status,
        StatusCode::NOT_FOUND
    );
    desk.call(Method::DELETE, &format!("/backups/{backup}"), Value::Null)
        .await;
    desk.until(&format!("/backups/{backup}"), |a| {
        a.status == StatusCode::NOT_FOUND
    })
    .await;
    assert_eq!(list("?own_type=shared").await, 0);
    assert_eq!(
        desk.house.get(&one, &bob).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn resources_move_pause_and_are_counted() {
    let desk = Desk::new().await;
    let volume = desk.volume(b"something").await;
    let loose = desk.volume(b"else").await;
    let a = text(&desk.vault("disks-a", json!([disk(&volume)])).await["id"]);
    let b = text(&desk.vault("disks-b", json!([])).await["id"]);
    let run = desk
        .post(
            "/checkpoints",
            json!({"checkpoint": {"vault_id": a, "parameters": {"retention_duration_days": 3}}}),
        )
        .await;
    let run = text(&run["checkpoint"]["id"]);
    desk.until(&format!("/checkpoints/{run}"), |x| {
        x.json()["checkpoint"]["status"] == "available"
    })
    .await;

    let list = desk.get("/protectables/disk/instances").await;
    assert_eq!(list["count"], 2);
    let one = desk
        .get(&format!("/protectables/disk/instances/{volume}"))
        .await["instance"]
        .clone();
    assert_eq!(
        (&one["protectable"]["result"], &one["protectable"]["code"]),
        (&json!(false), &json!("BackupService.6103"))
    );
    assert_eq!(one["protectable"]["vault"]["id"], json!(a));
    let one = desk
        .get(&format!("/protectables/disk/instances/{loose}"))
        .await["instance"]
        .clone();
    assert_eq!(
        (&one["protectable"]["result"], &one["protectable"]["code"]),
        (&json!(true), &json!(""))
    );
    assert_eq!(
        desk.get("/protectables/server/instances").await,
        json!({"instances": [], "count": 0})
    );
    refused(
        &desk,
        Method::GET,
        &format!("/protectables/disk/instances/{NOBODY}"),
        Value::Null,
        (404, "6302"),
    )
    .await;

    let pause = |action: &str| json!({"resource_ids": [volume], "action": action});
    for (action, want) in [("suspend", false), ("unsuspend", true)] {
        let set = desk
            .call(
                Method::PUT,
                &format!("/vaults/{a}/set-resources"),
                pause(action),
            )
            .await;
        assert_eq!(set.json(), json!({"set_resource_ids": [volume]}));
        let shown = desk.get(&format!("/vaults/{a}")).await;
        assert_eq!(shown["vault"]["resources"][0]["auto_protect"], want);
    }
    let all = desk
        .call(
            Method::PUT,
            "/vaults/batch-update",
            json!({"vault": {"threshold": 55}}),
        )
        .await;
    assert_eq!(
        all.json()["updated_vaults_id"].as_array().map(Vec::len),
        Some(2)
    );
    assert_eq!(
        desk.get(&format!("/vaults/{b}")).await["vault"]["threshold"],
        55
    );

    let day = json!({"expect_expiration_date": "2099-12-31", "time_zone": "UTC+02:00"});
    let moved = desk
        .call(
            Method::PUT,
            &format!("/vaults/{a}/update-backup-expiration-time"),
            day,
        )
        .await;
    assert_eq!(moved.json()["affected_backups_count"], 1);
    let log = text(&moved.json()["operation_log_id"]);
    let log = desk.get(&format!("/operation-logs/{log}")).await["operation_log"].clone();
    assert_eq!(
        (
            &log["operation_type"],
            &log["status"],
            &log["vault_id"],
            &log["extra_info"]["update_expiration_time"]
        ),
        (
            &json!("update_expiration_time"),
            &json!("success"),
            &json!(a),
            &json!({"affected_backups_count": 1, "expiration_day": "2099-12-31"})
        )
    );
    let over = json!({"expect_expiration_date": "2001-12-31", "time_zone": "UTC+02:00"});
    refused(
        &desk,
        Method::PUT,
        &format!("/vaults/{a}/update-backup-expiration-time"),
        over,
        (400, "9900"),
    )
    .await;
    let shown = desk.get("/backups").await["backups"][0].clone();
    assert_eq!(shown["expired_at"], "2099-12-31T22:00:00.000000");

    let move_to =
        |to: &str, what: &str| json!({"destination_vault_id": to, "resource_ids": [what]});
    let migrate = format!("/vaults/{a}/migrateresources");
    refused(
        &desk,
        Method::POST,
        &migrate,
        move_to(NOBODY, &volume),
        (400, "6120"),
    )
    .await;
    refused(
        &desk,
        Method::POST,
        &migrate,
        move_to(&b, &loose),
        (400, "6135"),
    )
    .await;
    let moved = desk.post(&migrate, move_to(&b, &volume)).await;
    assert_eq!(moved, json!({"migrated_resources": [volume]}));
    assert_eq!(
        desk.get(&format!("/backups?vault_id={b}")).await["count"],
        1
    );
    let shown = desk.get(&format!("/vaults/{b}")).await["vault"].clone();
    assert_eq!(
        (
            &shown["billing"]["allocated"],
            &shown["resources"][0]["backup_count"]
        ),
        (&json!(1), &json!(1))
    );

    let sums = desk.get("/vaults/summary").await;
    assert_eq!(
        (&sums["size"], sums["used_size"].as_u64() > Some(0)),
        (&json!(200), true)
    );
    let usage = desk.get("/storage_usage").await;
    assert_eq!(
        (
            &usage["resource_count"],
            &usage["storage_usage"][0]["resource_id"]
        ),
        (&json!(1), &json!(volume))
    );
    assert_eq!(desk.get("/cbr-features").await["replication.enable"], false);
    assert_eq!(
        desk.get("/cbr-features/replication.enable").await,
        json!({"replication.enable": false})
    );
    assert_eq!(
        desk.get("/replication-capabilities").await["regions"][0]["replication_destinations"],
        json!([])
    );
}
