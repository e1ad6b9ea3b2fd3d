//! What all APIs share: addresses, health, metrics.

use crate::house;

use std::net::SocketAddr;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use emberkeep_http::{App, BODY_LIMIT, HttpSettings, Peer, router};
use tower::ServiceExt;

use house::House;

#[tokio::test]
async fn links_follow_the_way_the_client_came() {
    let house = House::new().await;
    let proxy: SocketAddr = "10.0.0.1:1".parse().expect("is an address");
    let stranger: SocketAddr = "192.0.2.1:1".parse().expect("is an address");
    let settings = HttpSettings {
        trusted_proxies: vec!["10.0.0.0/8".parse().expect("is a network")],
        ..HttpSettings::default()
    };
    let router = router(App {
        settings: settings.into(),
        ..house.app.clone()
    });
    let forwarded = vec![
        ("host", "in:1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "out"),
        ("x-forwarded-prefix", "/backup/"),
    ];
    let host = |host| vec![("host", host)];
    for (what, address, secure, headers, want) in [
        (
            "host",
            stranger,
            false,
            host("10.0.0.1:80"),
            "http://10.0.0.1:80",
        ),
        ("TLS", stranger, true, host("one:443"), "https://one:443"),
        (
            "proxy",
            proxy,
            false,
            forwarded.clone(),
            "https://out/backup",
        ),
        ("silent proxy", proxy, false, host("in:1"), "http://in:1"),
        (
            "silent proxy, TLS",
            proxy,
            true,
            host("in:1"),
            "https://in:1",
        ),
        ("no proxy", stranger, false, forwarded, "http://in:1"),
        (
            "IPv6",
            stranger,
            false,
            host("[::1]:8776"),
            "http://[::1]:8776",
        ),
        ("no host", stranger, false, vec![], "http://localhost"),
        (
            "no such host",
            stranger,
            false,
            host("a/b\"c"),
            "http://localhost",
        ),
    ] {
        let mut request = Request::get("/identity/v3").extension(Peer { address, secure });
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Body::empty()).expect("is a request");
        let answer = router.clone().oneshot(request).await.expect("answers");
        let body = to_bytes(answer.into_body(), 4096).await.expect("is read");
        let body: serde_json::Value = serde_json::from_slice(&body).expect("is JSON");
        let href = body["version"]["links"][0]["href"].clone();
        assert_eq!(href, format!("{want}/identity/v3/"), "{what}");
    }
}

#[tokio::test]
async fn with_an_identity_elsewhere_there_is_none_here() {
    let house = House::new().await;
    let settings = HttpSettings {
        identity_url: Some("http://keystone:5000/v3".to_owned()),
        ..HttpSettings::default()
    };
    let router = router(App {
        settings: settings.into(),
        ..house.app.clone()
    });
    for path in ["/identity", "/identity/v3", "/identity/v3/auth/tokens"] {
        let request = Request::get(path)
            .body(Body::empty())
            .expect("is a request");
        let answer = router.clone().oneshot(request).await.expect("answers");
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let request = Request::get("/cbr/v3/p/vaults").body(Body::empty());
    let answer = router.oneshot(request.expect("is a request")).await;
    let answer = answer.expect("answers");
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let hint = &answer.headers()["www-authenticate"];
    assert_eq!(hint, "Keystone uri=\"http://keystone:5000/v3\"");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_in_each_form() {
    let house = House::new().await;
    let token = house.token("admin").await;
    let project = house.admin.project.id.clone();
    for (path, code) in [
        ("/identity/v3/projects".to_owned(), "/error/code"),
        (format!("/volume/v3/{project}/volumes"), "/overLimit/code"),
        (format!("/cbr/v3/{project}/vaults"), "/error_code"),
    ] {
        let request = Request::post(&path)
            .header("x-auth-token", &token)
            .header("content-type", "application/json")
            .body(Body::from(vec![b' '; BODY_LIMIT + 1]));
        let answer = house.send(request.expect("is a request")).await;
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE, "{path}");
        assert!(answer.json().pointer(code).is_some(), "{path}");
    }
}

#[tokio::test]
async fn health_metrics_and_the_way_to_the_console() {
    let house = House::new().await;
    let answer = house.get("/healthz", "").await;
    assert_eq!(
        (answer.status, answer.body.as_ref()),
        (StatusCode::OK, b"ok".as_slice())
    );
    assert_eq!(house.get("/readyz", "").await.status, StatusCode::OK);
    let root = house.get("/", "").await;
    assert!(root.status.is_redirection());
    assert_eq!(root.header("location"), "/console");

    let before = house.get("/identity/v3", "").await;
    let other = house.get("/identity/v3", "").await;
    let id = "x-openstack-request-id";
    assert_ne!(
        before.header(id),
        other.header(id),
        "each request has an id of its own"
    );
    let text = String::from_utf8(house.get("/metrics", "").await.body.to_vec()).expect("is text");
    for line in [
        "emberkeep_http_requests_total{api=\"identity\",method=\"GET\",status=\"200\"}",
        "emberkeep_http_request_seconds_bucket{api=\"identity\",method=\"GET\",le=\"0.1\"}",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}
