//! Backups: made, shown, listed, changed, restored, deleted, refused.

use axum::http::{Method, StatusCode};
use emberkeep_model::Role;
use serde_json::{Value, json};

use crate::cinder::tenant::{MISSING, Tenant, ids, refused, text};
use crate::house::BASE;

#[tokio::test]
async fn a_volume_is_backed_up_and_comes_back() {
    let tenant = Tenant::new().await;
    let volume = tenant.volume("v1").await;
    tenant.write(&volume, b"first").await;
    let full = tenant.backup(&volume, "full", false).await;
    tenant.write(&volume, b"\0\0\0\0\0second").await;
    let next = tenant.backup(&volume, "next", true).await;

    let shown = tenant
        .ask("GET", &format!("backups/{next}"), 64, Value::Null)
        .await
        .json();
    let shown = &shown["backup"];
    assert_eq!(shown["is_incremental"], true);
    assert_eq!(shown["has_dependent_backups"], false);
    assert_eq!(shown["volume_id"], volume.as_str());
    assert_eq!(shown["size"], 1);
    assert_eq!(shown["metadata"], json!({}));
    assert_eq!(shown.get("user_id"), None, "that is for administrators");
    let project = &tenant.project.id;
    assert_eq!(
        shown["links"][0]["href"],
        format!("{BASE}/volume/v3/{project}/backups/{next}")
    );
    let admin = tenant.house.token("admin").await;
    let answer = tenant
        .house
        .get(&format!("/volume/v3/backups/{next}"), &admin)
        .await;
    assert_eq!(
        answer.json()["backup"]["id"],
        next.as_str(),
        "an admin sees all by id"
    );

    // Onto a new volume, which the server names.
    let answer = tenant
        .ask(
            "POST",
            &format!("backups/{full}/restore"),
            64,
            json!({"restore": {}}),
        )
        .await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let restore = answer.json()["restore"].clone();
    assert_eq!(restore["backup_id"], full.as_str());
    assert_eq!(restore["volume_name"], format!("restore_backup_{full}"));
    let restored = text(&restore["volume_id"]);
    tenant
        .wait(&format!("volumes/{restored}"), "available")
        .await;
    assert_eq!(tenant.bytes(&restored).await, b"first");
    tenant.wait(&format!("backups/{full}"), "available").await;

    // Onto the one that is there.
    let body = json!({"restore": {"volume_id": restored, "name": null}});
    let answer = tenant
        .ask("POST", &format!("backups/{next}/restore"), 64, body)
        .await;
    assert_eq!(answer.json()["restore"]["volume_id"], restored.as_str());
    tenant.wait(&format!("backups/{next}"), "available").await;
    tenant
        .wait(&format!("volumes/{restored}"), "available")
        .await;
    assert_eq!(tenant.bytes(&restored).await, b"\0\0\0\0\0second");

    // As a volume made from a backup.
    let body =
        json!({"volume": {"size": 2, "backup_id": full, "name": "larger", "description": "d"}});
    let answer = tenant.ask("POST", "volumes", 47, body).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{:?}", answer.body);
    assert_eq!(answer.json()["volume"]["status"], "creating");
    let larger = text(&answer.json()["volume"]["id"]);
    let shown = tenant.wait(&format!("volumes/{larger}"), "available").await;
    assert_eq!(
        (&shown["size"], &shown["name"]),
        (&json!(2), &json!("larger"))
    );
    assert_eq!(shown["metadata"]["src_backup_id"], full.as_str());
    assert_eq!(tenant.bytes(&larger).await, b"first");
    tenant.wait(&format!("backups/{full}"), "available").await;
    let body = json!({"volume": {"size": 1, "backup_id": full, "name": "v3"}});
    let answer = tenant.ask("POST", "volumes", 47, body).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{:?}", answer.body);
    let made = text(&answer.json()["volume"]["id"]);
    assert_eq!(
        tenant.wait(&format!("volumes/{made}"), "available").await["name"],
        "v3"
    );
    assert_eq!(tenant.bytes(&made).await, b"first");
    tenant.wait(&format!("backups/{full}"), "available").await;

    // The first one goes, the second one stays whole.
    let answer = tenant
        .ask("DELETE", &format!("backups/{full}"), 0, Value::Null)
        .await;
    assert_eq!(
        (answer.status, answer.body.len()),
        (StatusCode::ACCEPTED, 0)
    );
    tenant.wait_gone(&format!("backups/{full}")).await;
    let body = json!({"restore": {"name": "again"}});
    let answer = tenant
        .ask("POST", &format!("backups/{next}/restore"), 0, body)
        .await;
    let again = text(&answer.json()["restore"]["volume_id"]);
    tenant.wait(&format!("volumes/{again}"), "available").await;
    assert_eq!(tenant.bytes(&again).await, b"\0\0\0\0\0second");
}

#[tokio::test]
async fn backups_are_refused_in_cinders_words() {
    let tenant = Tenant::new().await;
    let volume = tenant.volume("v1").await;
    let create = |body: Value| async move {
        let mut backup = json!({"volume_id": null});
        for (key, value) in body.as_object().expect("is one") {
            backup[key] = value.clone();
        }
        json!({ "backup": backup })
    };
    for (body, code, key, message) in [
        (
            json!({"volume_id": MISSING}),
            404,
            "itemNotFound",
            format!("Volume {MISSING} could not be found."),
        ),
        (
            json!({"volume_id": volume, "incremental": true}),
            400,
            "badRequest",
            "Invalid backup: No backups available to do an incremental backup.".to_owned(),
        ),
        (
            json!({"volume_id": volume, "snapshot_id": MISSING}),
            404,
            "itemNotFound",
            format!("Snapshot {MISSING} could not be found."),
        ),
        (
            json!({"volume_id": "abc"}),
            400,
            "badRequest",
            "Invalid input for field/attribute volume_id. Value: abc. 'abc' is not a 'uuid'"
                .to_owned(),
        ),
    ] {
        let answer = tenant.ask("POST", "backups", 0, create(body).await).await;
        refused(&answer, code, key, &message);
    }
    assert_eq!(tenant.get("backups").await, json!({"backups": []}));
    for id in [MISSING, "my backup", "full.one"] {
        let path = format!("backups/{}", id.replace(' ', "%20"));
        let message = format!("Backup {id} could not be found.");
        for (method, body) in [
            ("GET", Value::Null),
            ("DELETE", Value::Null),
            ("PUT", json!({"backup": {}})),
        ] {
            refused(
                &tenant.ask(method, &path, 64, body).await,
                404,
                "itemNotFound",
                &message,
            );
        }
        let body = json!({"restore": {}});
        let answer = tenant
            .ask("POST", &format!("{path}/restore"), 64, body)
            .await;
        refused(&answer, 404, "itemNotFound", &message);
    }
    let full = tenant.backup(&volume, "full", false).await;
    let body = json!({"restore": {"volume_id": MISSING}});
    let answer = tenant
        .ask("POST", &format!("backups/{full}/restore"), 0, body)
        .await;
    refused(
        &answer,
        404,
        "itemNotFound",
        &format!("Volume {MISSING} could not be found."),
    );
}

#[tokio::test]
async fn other_projects_see_nothing_and_readers_change_nothing() {
    let tenant = Tenant::new().await;
    let volume = tenant.volume("v1").await;
    let backup = tenant.backup(&volume, "b1", false).await;
    let beta = tenant.house.project("beta").await;
    tenant.house.user("bob", &beta, Role::Member).await;
    let other = tenant.house.token("bob").await;
    for (path, message) in [
        (
            format!("backups/{backup}"),
            format!("Backup {backup} could not be found."),
        ),
        (
            format!("volumes/{volume}"),
            format!("Volume {volume} could not be found."),
        ),
    ] {
        for method in [Method::GET, Method::DELETE] {
            let path = format!("/volume/v3/{path}");
            let answer = tenant.house.call(method, &path, &other, Value::Null).await;
            refused(&answer, 404, "itemNotFound", &message);
        }
    }
    let answer = tenant
        .house
        .get("/volume/v3/backups?all_tenants=True", &other)
        .await;
    assert_eq!(answer.json(), json!({"backups": []}));
    let admin = tenant.house.token("admin").await;
    let own = tenant
        .house
        .get("/volume/v3/backups?all_tenants=False", &admin)
        .await
        .json();
    assert_eq!(own, json!({"backups": []}));
    let all = tenant
        .house
        .get("/volume/v3/backups?all_tenants=True", &admin)
        .await
        .json();
    assert_eq!(ids(&all["backups"]), std::slice::from_ref(&backup));

    for (query, want) in [
        (
            format!("all_tenants=True&project_id={}", tenant.project.id),
            vec![backup.clone()],
        ),
        (format!("all_tenants=True&project_id={}", beta.id), vec![]),
        ("all_tenants=True&nonsense=1".to_owned(), vec![]),
        ("all_tenants=True&host=h".to_owned(), vec![]),
    ] {
        let path = format!("/volume/v3/backups?{query}");
        let found = tenant.house.get(&path, &admin).await.json();
        assert_eq!(ids(&found["backups"]), want, "{query}");
    }

    tenant
        .house
        .user("ruth", &tenant.project, Role::Reader)
        .await;
    let reader = tenant.house.token("ruth").await;
    let answer = tenant
        .ask_as(&reader, "GET", &format!("backups/{backup}"), 0, Value::Null)
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    let answer = tenant
        .ask_as(
            &reader,
            "DELETE",
            &format!("backups/{backup}"),
            0,
            Value::Null,
        )
        .await;
    refused(
        &answer,
        403,
        "forbidden",
        "Policy doesn't allow backup:delete to be performed.",
    );
}

#[tokio::test]
async fn lists_are_filtered_sorted_and_paged() {
    let tenant = Tenant::new().await;
    let volume = tenant.volume("v1").await;
    let mut made = Vec::new();
    for name in ["a", "b", "c"] {
        made.push(tenant.backup(&volume, name, false).await);
    }
    let newest_first: Vec<String> = made.iter().rev().cloned().collect();
    let listed = |query: &str| {
        let path = format!("backups/detail?{query}");
        let tenant = &tenant;
        async move { ids(&tenant.get(&path).await["backups"]) }
    };
    assert_eq!(listed("").await, newest_first);
    assert_eq!(listed("all_tenants=False&name=b").await, [made[1].clone()]);
    assert_eq!(listed("status=available&sort=display_name:asc").await, made);
    assert!(listed("status=creating").await.is_empty());
    assert!(listed("status=nonsense").await.is_empty());
    assert_eq!(listed(&format!("volume_id={volume}")).await.len(), 3);
    assert!(listed("volume_id=nonsense").await.is_empty());
    assert!(listed("limit=0").await.is_empty());

    // A client follows the links until there is none.
    let mut path = "backups?limit=2".to_owned();
    let mut seen = Vec::new();
    for pages in 1.. {
        let page = tenant.get(&path).await;
        seen.extend(ids(&page["backups"]));
        let Some(next) = page.get("backups_links") else {
            assert_eq!(pages, 2);
            break;
        };
        let last = seen.last().expect("is there");
        let project = &tenant.project.id;
        let want = format!("{BASE}/volume/v3/{project}/backups?limit=2&marker={last}");
        assert_eq!(next, &json!([{"rel": "next", "href": want}]));
        path = format!("backups?limit=2&marker={last}");
    }
    assert_eq!(seen, newest_first);

    let counted = tenant
        .ask("GET", "backups?with_count=true&limit=1", 45, Value::Null)
        .await;
    assert_eq!(counted.json()["count"], 3);
    for (query, minor, code, key, message) in [
        (
            format!("marker={MISSING}"),
            0,
            404,
            "itemNotFound",
            format!("Backup {MISSING} could not be found."),
        ),
        (
            "marker=x".to_owned(),
            0,
            404,
            "itemNotFound",
            "Backup x could not be found.".to_owned(),
        ),
        (
            "sort=fish".to_owned(),
            0,
            400,
            "badRequest",
            "Invalid input received: Invalid sort key".to_owned(),
        ),
        (
            "foo=1".to_owned(),
            31,
            400,
            "badRequest",
            "Invalid filters foo are found in query options.".to_owned(),
        ),
    ] {
        let answer = tenant
            .ask("GET", &format!("backups?{query}"), minor, Value::Null)
            .await;
        refused(&answer, code, key, &message);
    }
    assert_eq!(
        tenant
            .ask("GET", "backups?foo=1", 30, Value::Null)
            .await
            .status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn backups_are_renamed_from_3_9_on() {
    let tenant = Tenant::new().await;
    let volume = tenant.volume("v1").await;
    let id = tenant.backup(&volume, "b1", false).await;
    let path = format!("backups/{id}");
    let body = json!({"backup": {"name": " renamed ", "description": "d2"}});
    let answer = tenant.ask("PUT", &path, 9, body).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json()["backup"]["name"], "renamed");
    assert_eq!(
        answer.json()["backup"].as_object().expect("is one").len(),
        3
    );
    let body = json!({"backup": {"metadata": {"x": "y"}}});
    assert_eq!(
        tenant.ask("PUT", &path, 42, body.clone()).await.status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        tenant.ask("PUT", &path, 43, body).await.status,
        StatusCode::OK
    );
    let empty = json!({"backup": {}});
    assert_eq!(
        tenant.ask("PUT", &path, 9, empty).await.status,
        StatusCode::OK
    );
    let shown = tenant.ask("GET", &path, 43, Value::Null).await.json();
    assert_eq!(shown["backup"]["name"], "renamed");
    assert_eq!(shown["backup"]["description"], "d2");
    assert_eq!(shown["backup"]["metadata"], json!({"x": "y"}));
    // What gophercloud sends.
    let answer = tenant.ask("PUT", &path, 9, json!({"name": "n"})).await;
    refused(
        &answer,
        400,
        "badRequest",
        "'backup' is a required property",
    );
}
