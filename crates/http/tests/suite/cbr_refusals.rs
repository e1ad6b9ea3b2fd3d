//! The CBR API as clients see it: what it refuses, and how.

use crate::desk;
use crate::house;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use emberkeep_model::Role;
use serde_json::{Value, json};

use desk::{Desk, NOBODY, disk, text, vault};
use house::{BASE, House};

#[tokio::test]
async fn versions_need_no_token() {
    let house = House::new().await;
    for path in ["/cbr", "/cbr/", "/cbr/v3", "/cbr/v3/"] {
        let answer = house.get(path, "").await;
        assert_eq!(answer.status, StatusCode::MULTIPLE_CHOICES, "{path}");
        let link = json!({"href": format!("{BASE}/cbr/v3"), "rel": "self"});
        let want = json!({"versions": [{"id": "v3", "status": "CURRENT", "links": [link]}]});
        assert_eq!(answer.json(), want, "{path}");
    }
}

#[tokio::test]
async fn who_calls_is_asked_first() {
    let desk = Desk::new().await;
    for token in ["", "nonsense"] {
        let answer = desk.house.get(&desk.path("/vaults/x"), token).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer.json()["error_code"], "APIGW.0301");
        let want = format!("Keystone uri=\"{BASE}/identity/v3\"");
        assert_eq!(answer.header("www-authenticate"), want);
        assert!(answer.header("x-request-id").starts_with("req-"));
        assert_eq!(
            answer.header("x-request-id"),
            answer.header("x-openstack-request-id")
        );
    }
    let admin = desk.house.token("admin").await;
    for project in [desk.project.as_str(), "not-mine", "a%20b"] {
        let answer = desk
            .house
            .get(&format!("/cbr/v3/{project}/vaults"), &admin)
            .await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{project}");
        assert_eq!(answer.json()["error_code"], "APIGW.0302", "{project}");
    }
    // A reader may look, but not make.
    let alpha = desk.house.app.identity.projects().await.expect("lists");
    let alpha = alpha
        .into_iter()
        .find(|one| one.name == "alpha")
        .expect("is there");
    desk.house.user("rita", &alpha, Role::Reader).await;
    let reader = desk.house.token("rita").await;
    let answer = desk.house.get(&desk.path("/vaults"), &reader).await;
    assert_eq!(answer.status, StatusCode::OK);
    let body = json!({"vault": vault("v", json!([]))});
    let answer = desk.house.post(&desk.path("/vaults"), &reader, body).await;
    assert_eq!(
        (answer.status, &answer.json()["error_code"]),
        (StatusCode::FORBIDDEN, &json!("APIGW.0302"))
    );
}

#[tokio::test]
async fn what_is_refused_is_refused_in_cbrs_words() {
    let desk = Desk::new().await;
    let id = text(&desk.vault("kept", json!([])).await["id"]);
    let at = |rest: &str| rest.replace("{vault}", &id).replace("{nobody}", NOBODY);
    let create = |change: Value| {
        let mut body = vault("v", json!([]));
        for (key, value) in change.as_object().expect("an object") {
            if key == "size" {
                body["billing"]["size"] = value.clone()
            } else {
                body[key] = value.clone()
            }
        }
        json!({"vault": body})
    };
    let resources = |kind: &str, id: &str| json!({"resources": [{"id": id, "type": kind}]});
    let tags: Vec<_> = (0..21)
        .map(|n| json!({"key": format!("k{n}"), "value": ""}))
        .collect();
    for (method, rest, body, status, code) in [
        // What is malformed.
        ("GET", "/vaults/x", Value::Null, 400, "BackupService.9900"),
        (
            "GET",
            "/vaults/2f1d7b1e59a44b508d7d9a9d3b1c5e02",
            Value::Null,
            400,
            "BackupService.9900",
        ),
        (
            "GET",
            "/vaults?limit=0",
            Value::Null,
            400,
            "BackupService.9900",
        ),
        (
            "GET",
            "/backups?sort=size",
            Value::Null,
            400,
            "BackupService.9900",
        ),
        (
            "GET",
            "/operation-logs?status=fine",
            Value::Null,
            400,
            "BackupService.9900",
        ),
        ("POST", "/vaults", Value::Null, 400, "BackupService.9900"),
        (
            "POST",
            "/vaults",
            json!({"name": "no wrapper"}),
            400,
            "BackupService.9900",
        ),
        (
            "POST",
            "/vaults",
            create(json!({"name": "a b"})),
            400,
            "BackupService.9900",
        ),
        (
            "POST",
            "/vaults",
            create(json!({"tags": tags})),
            400,
            "BackupService.6600",
        ),
        (
            "PUT",
            "/vaults/{vault}",
            json!({"vault": {"threshold": 0}}),
            400,
            "BackupService.9900",
        ),
        (
            "POST",
            "/checkpoints",
            json!({"checkpoint": {"vault_id": "x"}}),
            400,
            "BackupService.9900",
        ),
        // What is out of range, or names what is not there.
        (
            "POST",
            "/vaults",
            create(json!({"size": 9})),
            400,
            "BackupService.6101",
        ),
        (
            "POST",
            "/vaults",
            create(json!({"size": 10_485_761})),
            400,
            "BackupService.6101",
        ),
        (
            "POST",
            "/vaults",
            create(json!({"backup_policy_id": NOBODY})),
            404,
            "BackupService.6000",
        ),
        (
            "POST",
            "/vaults",
            create(json!({"resources": [{"id": NOBODY, "type": "OS::Nova::Server"}]})),
            400,
            "BackupService.6102",
        ),
        (
            "POST",
            "/vaults",
            create(json!({"resources": [disk(NOBODY)]})),
            404,
            "BackupService.7000",
        ),
        (
            "GET",
            "/vaults/{nobody}",
            Value::Null,
            404,
            "BackupService.6105",
        ),
        (
            "PUT",
            "/vaults/{nobody}",
            json!({"vault": {"name": "n"}}),
            404,
            "BackupService.6105",
        ),
        (
            "DELETE",
            "/vaults/{nobody}",
            Value::Null,
            404,
            "BackupService.6105",
        ),
        (
            "POST",
            "/vaults/{nobody}/addresources",
            resources("OS::Cinder::Volume", NOBODY),
            404,
            "BackupService.6105",
        ),
        (
            "POST",
            "/vaults/{vault}/addresources",
            resources("OS::Cinder::Volume", NOBODY),
            404,
            "BackupService.7000",
        ),
        (
            "POST",
            "/vaults/{vault}/addresources",
            json!({"resources": []}),
            400,
            "BackupService.9900",
        ),
        (
            "POST",
            "/vaults/{vault}/removeresources",
            json!({"resource_ids": [NOBODY]}),
            400,
            "BackupService.6135",
        ),
        (
            "POST",
            "/checkpoints",
            json!({"checkpoint": {"vault_id": NOBODY}}),
            404,
            "BackupService.6105",
        ),
        (
            "POST",
            "/checkpoints",
            json!({"checkpoint": {"vault_id": id}}),
            400,
            "BackupService.0001",
        ),
        (
            "GET",
            "/checkpoints/{nobody}",
            Value::Null,
            404,
            "BackupService.6217",
        ),
        (
            "GET",
            "/backups/{nobody}",
            Value::Null,
            404,
            "BackupService.6200",
        ),
        (
            "PUT",
            "/backups/{nobody}",
            json!({"backup": {"name": "n"}}),
            404,
            "BackupService.6200",
        ),
        (
            "DELETE",
            "/backups/{nobody}",
            Value::Null,
            404,
            "BackupService.6200",
        ),
        (
            "POST",
            "/backups/{nobody}/restore",
            json!({"restore": {}}),
            404,
            "BackupService.6200",
        ),
        (
            "GET",
            "/operation-logs/{nobody}",
            Value::Null,
            404,
            "BackupService.6500",
        ),
        // What we do not have.
        ("GET", "/vaults/external", Value::Null, 404, "APIGW.0101"),
        (
            "GET",
            "/organization-policies",
            Value::Null,
            404,
            "APIGW.0101",
        ),
        ("DELETE", "/vaults", Value::Null, 404, "APIGW.0101"),
        (
            "POST",
            "/checkpoints/{nobody}",
            json!({}),
            404,
            "APIGW.0101",
        ),
        ("GET", "", Value::Null, 404, "APIGW.0101"),
    ] {
        let method: Method = method.parse().expect("a method");
        let answer = desk.call(method.clone(), &at(rest), body.clone()).await;
        let what = format!("{method} {rest} {body}");
        assert_eq!(answer.status.as_u16(), status, "{what}: {}", answer.json());
        assert_eq!(
            answer.json()["error_code"],
            code,
            "{what}: {}",
            answer.json()
        );
        assert!(
            answer.json()["error_msg"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{what}"
        );
        assert_eq!(answer.header("content-type"), "application/json", "{what}");
    }
    // Nothing of all this has changed anything.
    assert_eq!(desk.get("/vaults").await["count"], 1);
    let huge = Request::post(desk.path("/vaults"))
        .header("x-auth-token", &desk.token)
        .body(Body::from(vec![b' '; 2 << 20]))
        .expect("is a request");
    assert_eq!(
        desk.house.send(huge).await.status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
}

#[tokio::test]
async fn another_projects_things_are_not_there() {
    let desk = Desk::new().await;
    let id = text(&desk.vault("kept", json!([])).await["id"]);
    let beta = desk.house.project("beta").await;
    desk.house.user("bob", &beta, Role::Member).await;
    let bob = desk.house.token("bob").await;
    let answer = desk
        .house
        .get(&format!("/cbr/v3/{}/vaults/{id}", beta.id), &bob)
        .await;
    assert_eq!(
        (answer.status, &answer.json()["error_code"]),
        (StatusCode::NOT_FOUND, &json!("BackupService.6105"))
    );
    let list = desk
        .house
        .get(&format!("/cbr/v3/{}/vaults", beta.id), &bob)
        .await
        .json();
    assert_eq!(
        list,
        json!({"vaults": [], "count": 0, "limit": 1000, "offset": 0})
    );
}
