//! The native API and the console as clients see them.

use crate::house;

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use bytes::Bytes;
use emberkeep_model::ByteCount;
use emberkeep_wire::native::{EXTENTS_CONTENT_TYPE, ExtentDecoder, ExtentEncoder, ExtentItem};
use serde_json::{Value, json};

use house::{Answer, BASE, House};

const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

fn encoded(total: u64, extents: &[(u64, &[u8])]) -> Vec<u8> {
    let (mut encoder, head) = ExtentEncoder::new(ByteCount(total));
    let mut stream = head.to_vec();
    for (offset, bytes) in extents {
        let frame = encoder
            .frame(*offset, bytes.len())
            .expect("fits")
            .expect("is not empty");
        stream.extend_from_slice(&frame);
        stream.extend_from_slice(bytes);
    }
    stream.extend_from_slice(&encoder.end());
    stream
}

fn decoded(stream: &[u8]) -> Vec<ExtentItem> {
    let mut decoder = ExtentDecoder::default();
    decoder.feed(stream);
    let mut items = Vec::new();
    while let Some(item) = decoder.next_item().expect("is a stream") {
        items.push(item);
    }
    decoder.finish().expect("is whole");
    items
}

async fn import(house: &House, token: &str, query: &str, body: Body) -> Answer {
    let request = Request::post(format!("/api/v1/volumes/import?{query}"))
        .header("host", "ember.test:8776")
        .header("x-auth-token", token)
        .header("content-type", EXTENTS_CONTENT_TYPE)
        .body(body)
        .expect("is a request");
    house.send(request).await
}

/// Waits until the project has no volumes.
async fn until_no_volumes(house: &House, token: &str) {
    let project = &house.admin.project.id;
    let begun = Instant::now();
    loop {
        let list = house.get(&format!("/cbr/v3/{project}/vaults"), token).await;
        assert_eq!(list.status, StatusCode::OK);
        let caller = emberkeep_model::Caller {
            user_id: house.admin.user.id.clone(),
            project_id: project.clone(),
            roles: emberkeep_model::Role::ALL.to_vec(),
            request_id: "req-test".to_owned(),
        };
        let query = emberkeep_service::query::VolumeQuery::default();
        let left = house
            .app
            .service
            .volumes(&caller, query, emberkeep_service::Reach::Own)
            .await
            .expect("lists")
            .items;
        if left.is_empty() {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{left:?} stay");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn bytes_go_in_and_come_out() {
    let house = House::new().await;
    let token = house.token("admin").await;
    // Longer than one piece of the export, at an odd place; and zeroes that need not travel back.
    let long = emberkeep_testkit::content::generate(
        emberkeep_testkit::content::Kind::Random,
        (1 << 20) + 77,
        5,
    );
    let zeroes = vec![0; 1 << 20];
    let stream = encoded(
        50 << 20,
        &[(4096, &long), (8 << 20, &zeroes), ((50 << 20) - 3, b"end")],
    );
    let pieces: Vec<_> = stream
        .chunks(100_000)
        .map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece)))
        .collect();
    let body = Body::from_stream(futures::stream::iter(pieces));
    let answer = import(
        &house,
        &token,
        "size_bytes=52428800&name=disk&description=from%20a%20file",
        body,
    )
    .await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.json());
    let volume = answer.json();
    assert_eq!(
        (&volume["name"], &volume["size_gib"], &volume["status"]),
        (&json!("disk"), &json!(1), &json!("available"))
    );
    assert_eq!(volume["description"], "from a file");
    let id = volume["id"].as_str().expect("an id");
    let held = house
        .volumes
        .bytes(id.parse().expect("an id"))
        .expect("is there");
    assert!(held[4096..4096 + long.len()] == long[..] && &held[(50 << 20) - 3..50 << 20] == b"end");

    let answer = house
        .get(&format!("/api/v1/volumes/{id}/data"), &token)
        .await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (StatusCode::OK, EXTENTS_CONTENT_TYPE)
    );
    assert!(
        answer.body.len() < 5 << 20,
        "{} bytes: zeroes have travelled",
        answer.body.len()
    );
    let mut back = vec![0; 1 << 30];
    let items = decoded(&answer.body);
    assert_eq!(items.first(), Some(&ExtentItem::Size(ByteCount(1 << 30))));
    for item in items {
        if let ExtentItem::Data { offset, bytes } = item {
            let at = usize::try_from(offset).expect("small");
            back[at..at + bytes.len()].copy_from_slice(&bytes);
        }
    }
    assert!(back == held, "every byte came back");
    assert_eq!(
        house
            .get(&format!("/api/v1/volumes/{id}/path"), &token)
            .await
            .json(),
        json!({"path": null})
    );
}

#[tokio::test]
async fn a_bad_import_leaves_nothing_behind() {
    let house = House::new().await;
    let token = house.token("admin").await;
    let whole = encoded(4096, &[(0, b"abc"), (10, b"def")]);
    let mut overlap = whole.clone();
    overlap[14 + 12 + 3] = 1;
    let mut trailing = whole.clone();
    trailing.push(0);
    for (what, query, body, message) in [
        ("no size", "name=a", whole.clone(), "size_bytes"),
        ("no number", "size_bytes=big", whole.clone(), "size_bytes"),
        (
            "other size",
            "size_bytes=4097",
            whole.clone(),
            "size_bytes says 4097, the stream 4096",
        ),
        (
            "long name",
            &format!("size_bytes=4096&name={}", "x".repeat(256)),
            whole.clone(),
            "name: must be at most 255",
        ),
        (
            "no such type",
            "size_bytes=4096&volume_type=gold",
            whole.clone(),
            "gold",
        ),
        ("empty", "size_bytes=4096", vec![], "cut off"),
        (
            "a raw image",
            "size_bytes=4096",
            vec![7; 4096],
            "not a stream of extents",
        ),
        (
            "cut off",
            "size_bytes=4096",
            whole[..whole.len() - 1].to_vec(),
            "cut off",
        ),
        ("overlapping", "size_bytes=4096", overlap, "begins before"),
        ("trailing", "size_bytes=4096", trailing, "follow the end"),
        ("no bytes at all", "size_bytes=0", encoded(0, &[]), "empty"),
    ] {
        let answer = import(&house, &token, query, Body::from(body)).await;
        assert!(
            matches!(
                answer.status,
                StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND
            ),
            "{what}: {}",
            answer.status
        );
        let error = answer.json()["error"].clone();
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|text| text.contains(message)),
            "{what}: {error}"
        );
        assert_eq!(
            error["request_id"],
            answer.header("x-openstack-request-id"),
            "{what}"
        );
    }
    // A client that hangs up in the middle.
    let pieces = vec![
        Ok(Bytes::copy_from_slice(&whole[..30])),
        Err(std::io::Error::other("gone")),
    ];
    let answer = import(
        &house,
        &token,
        "size_bytes=4096",
        Body::from_stream(futures::stream::iter(pieces)),
    )
    .await;
    assert_eq!(
        (answer.status, &answer.json()["error"]["code"]),
        (StatusCode::BAD_REQUEST, &json!("bad_request"))
    );
    until_no_volumes(&house, &token).await;
}

#[tokio::test]
async fn tasks_of_every_kind_are_shown() {
    let house = House::new().await;
    let token = house.token("admin").await;
    let answer = house.post("/api/v1/sweep", &token, Value::Null).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.json());
    let id = answer.json()["task_id"].as_str().expect("an id").to_owned();
    let begun = Instant::now();
    let task = loop {
        let task = house
            .get(&format!("/api/v1/tasks/{id}"), &token)
            .await
            .json();
        if !["waiting", "running"].contains(&task["status"].as_str().expect("a status")) {
            break task;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{task}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(
        (&task["kind"], &task["status"], &task["progress"]["percent"]),
        (&json!("sweep"), &json!("succeeded"), &json!(100))
    );
    assert_eq!(task["request_id"], answer.header("x-openstack-request-id"));
    let cancelled = house
        .post(&format!("/api/v1/tasks/{id}/cancel"), &token, Value::Null)
        .await;
    assert_eq!(
        (cancelled.status, &cancelled.json()["error"]["code"]),
        (StatusCode::BAD_REQUEST, &json!("bad_request"))
    );
    for (query, count) in [
        ("", 1),
        ("kind=sweep,backup&status=succeeded", 1),
        ("kind=backup", 0),
        ("status=failed,waiting", 0),
        (&format!("vault_id={NOBODY}"), 0),
    ] {
        let page = house
            .get(&format!("/api/v1/tasks?{query}"), &token)
            .await
            .json();
        assert_eq!(
            (&page["count"], page["tasks"].as_array().map(Vec::len)),
            (&json!(count), Some(count)),
            "{query}"
        );
    }
    assert_eq!(
        house.get("/api/v1/backups", &token).await.json(),
        json!({"backups": [], "count": 0})
    );
}

#[tokio::test]
async fn refusals_have_one_form() {
    let house = House::new().await;
    let token = house.token("admin").await;
    for (method, path, token, status, code) in [
        ("GET", "/tasks", "", 401, "unauthorized"),
        ("GET", "/tasks", "nonsense", 401, "unauthorized"),
        (
            "POST",
            "/volumes/import?size_bytes=1",
            "",
            401,
            "unauthorized",
        ),
        (
            "GET",
            &format!("/volumes/{NOBODY}/data"),
            "",
            401,
            "unauthorized",
        ),
        ("GET", "/tasks/x", &token, 400, "bad_request"),
        ("GET", &format!("/tasks/{NOBODY}"), &token, 404, "not_found"),
        (
            "POST",
            &format!("/tasks/{NOBODY}/cancel"),
            &token,
            404,
            "not_found",
        ),
        ("GET", "/tasks?limit=0", &token, 400, "bad_request"),
        ("GET", "/tasks?limit=1001", &token, 400, "bad_request"),
        ("GET", "/tasks?status=fine", &token, 400, "bad_request"),
        ("GET", "/tasks?kind=work", &token, 400, "bad_request"),
        ("GET", "/backups?vault_id=x", &token, 400, "bad_request"),
        (
            "GET",
            &format!("/volumes/{NOBODY}/path"),
            &token,
            404,
            "not_found",
        ),
        (
            "GET",
            &format!("/volumes/{NOBODY}/data"),
            &token,
            404,
            "not_found",
        ),
        ("GET", "/nothing", &token, 404, "not_found"),
        ("GET", "", &token, 404, "not_found"),
        ("DELETE", "/tasks", &token, 405, "method_not_allowed"),
        ("GET", "/volumes/import", &token, 405, "method_not_allowed"),
    ] {
        let method: Method = method.parse().expect("a method");
        let answer = house
            .call(
                method.clone(),
                &format!("/api/v1{path}"),
                token,
                Value::Null,
            )
            .await;
        let body = answer.json();
        assert_eq!(
            (answer.status.as_u16(), &body["error"]["code"]),
            (status, &json!(code)),
            "{method} {path}: {body}"
        );
        assert!(
            body["error"]["message"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{method} {path}"
        );
        let challenge = if status == 401 {
            format!("Keystone uri=\"{BASE}/identity/v3\"")
        } else {
            String::new()
        };
        assert_eq!(
            answer.header("www-authenticate"),
            challenge,
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn the_console_is_whole_and_shut_in() {
    let house = House::new().await;
    let root = house.get("/", "").await;
    assert_eq!(
        (root.status.is_redirection(), root.header("location")),
        (true, "/console")
    );
    for path in ["/console", "/console/"] {
        let page = house.get(path, "").await;
        assert_eq!(
            (page.status, page.header("content-type")),
            (StatusCode::OK, "text/html; charset=utf-8"),
            "{path}"
        );
        let policy = page.header("content-security-policy");
        assert!(
            policy.contains("default-src 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
    }
    let page = house.get("/console", "").await;
    let page = String::from_utf8(page.body.to_vec()).expect("is text");
    // All it loads is ours and there; nothing is inline, which the policy would stop.
    let mut loaded = 0;
    for part in page
        .split([' ', '>'])
        .filter(|part| part.starts_with("href=") || part.starts_with("src="))
    {
        let path = part.split('"').nth(1).expect("a path");
        let answer = house.get(path, "").await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert!(
            path.starts_with("/console/") && !answer.header("content-type").is_empty(),
            "{path}"
        );
        loaded += 1;
    }
    assert_eq!(loaded, 2);
    assert!(!page.contains("style=") && !page.contains("onclick=") && !page.contains("<style"));
    let script = house.get("/console/app.js", "").await;
    let script = String::from_utf8(script.body.to_vec()).expect("is text");
    assert!(
        !script.contains("innerHTML"),
        "what is shown is text, never markup"
    );
    // Every element that the script asks for is on the page.
    for part in script.split("$(\"").skip(1) {
        let id = part.split('"').next().expect("an id");
        assert!(page.contains(&format!("id=\"{id}\"")), "{id}");
    }
    assert_eq!(
        house.get("/console/nothing", "").await.status,
        StatusCode::NOT_FOUND
    );
}
