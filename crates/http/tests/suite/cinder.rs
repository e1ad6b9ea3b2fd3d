//! The Block Storage API as clients see it: `openstack`, `cinder`, tempest.

use crate::house;

mod admin;
mod around;
mod backups;
mod beside;
mod columns;
mod fields;
mod grids;
mod habits;
mod inventory;
mod pairs;
mod refusals;
mod replay;
mod tenant;
mod told;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};

use house::{BASE, House};
use tenant::{MISSING, Tenant, refused};

#[tokio::test]
async fn versions_are_told_to_everybody() {
    let house = House::new().await;
    for (path, status) in [("/volume", 300), ("/volume/", 300), ("/volume/v3/", 200)] {
        let answer = house.get(path, "").await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
        assert_eq!(
            answer.header("openstack-api-version"),
            "volume 3.0",
            "{path}"
        );
        assert_eq!(answer.header("vary"), "OpenStack-API-Version", "{path}");
        let version = &answer.json()["versions"][0];
        assert_eq!(version["version"], "3.71");
        assert_eq!(version["links"][1]["href"], format!("{BASE}/volume/v3/"));
    }
    let answer = house.get("/volume/v3", "").await;
    assert_eq!(answer.status, StatusCode::FOUND);
    assert_eq!(answer.header("location"), format!("{BASE}/volume/v3/"));
    assert_eq!(house.get("/volume/healthcheck", "").await.body, "OK");
}

#[tokio::test]
async fn strangers_are_refused_in_keystones_form() {
    let house = House::new().await;
    for token in ["", "rubbish"] {
        let answer = house.get("/volume/v3/volumes", token).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(
            answer.json(),
            json!({"error": {"code": 401, "title": "Unauthorized",
                "message": "The request you have made requires authentication."}})
        );
        let want = format!("Keystone uri=\"{BASE}/identity/v3\"");
        assert_eq!(answer.header("www-authenticate"), want);
    }
}

#[tokio::test]
async fn what_is_common_to_all_requests_is_checked_first() {
    let tenant = Tenant::new().await;
    let answer = tenant.ask("GET", "volumes", 43, Value::Null).await;
    assert_eq!(answer.header("openstack-api-version"), "volume 3.43");
    assert_eq!(answer.header("vary"), "OpenStack-API-Version");
    let id = answer.header("x-compute-request-id");
    assert!(id.starts_with("req-"), "{id}");
    assert_eq!(id, answer.header("x-openstack-request-id"));

    let answer = tenant.ask("GET", "volumes", 99, Value::Null).await;
    refused(
        &answer,
        406,
        "computeFault",
        "Version 3.99 is not supported by the API. Minimum is 3.0 and maximum is 3.71.",
    );
    let answer = tenant
        .ask(
            "PUT",
            &format!("backups/{MISSING}"),
            8,
            json!({"backup": {}}),
        )
        .await;
    refused(
        &answer,
        404,
        "itemNotFound",
        "The resource could not be found.",
    );
    assert_eq!(answer.header("openstack-api-version"), "volume 3.8");

    let answer = tenant
        .house
        .get(&format!("/volume/v3/{}/volumes", MISSING), &tenant.member)
        .await;
    refused(&answer, 400, "badRequest", "Malformed request url");
    let answer = tenant.house.get("/volume/v3/volumes", &tenant.member).await;
    assert_eq!(
        answer.json(),
        json!({"volumes": []}),
        "the project may be left out"
    );

    for (method, path) in [
        (Method::GET, "/volume/v3/nonsense"),
        (Method::GET, "/volume/v2/volumes"),
        (Method::DELETE, "/volume/v3/volumes"),
        (Method::POST, "/volume/v3/backups/export_record"),
    ] {
        let answer = tenant
            .house
            .call(method, path, &tenant.member, Value::Null)
            .await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(
            answer.header("content-type").starts_with("text/plain"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn bodies_that_cannot_be_read_are_refused() {
    let tenant = Tenant::new().await;
    for (what, kind, body, code, key, message) in [
        (
            "no JSON",
            "application/json",
            "{\"volume\":".to_owned(),
            400,
            "badRequest",
            "Malformed request body",
        ),
        (
            "empty",
            "application/json",
            String::new(),
            400,
            "badRequest",
            "Malformed request body",
        ),
        (
            "a form",
            "application/x-www-form-urlencoded",
            "a=b".to_owned(),
            415,
            "badMediaType",
            "Unsupported Content-Type",
        ),
        (
            "too large",
            "application/json",
            " ".repeat((1 << 20) + 1),
            413,
            "overLimit",
            "Request is too large.",
        ),
        (
            "a list",
            "application/json",
            "[]".to_owned(),
            400,
            "badRequest",
            "[] is not of type 'object'",
        ),
    ] {
        let request = Request::post("/volume/v3/volumes")
            .header("x-auth-token", &tenant.member)
            .header("content-type", kind)
            .body(Body::from(body))
            .expect("is a request");
        let answer = tenant.house.send(request).await;
        assert_eq!(answer.status.as_u16(), code, "{what}");
        refused(&answer, code, key, message);
    }
    assert_eq!(tenant.get("volumes").await, json!({"volumes": []}));
}
