//! What all APIs share: addresses, health, metrics.

mod house;

use axum::body::Body;
use axum::http::{Request, StatusCode};

use house::House;

#[tokio::test]
async fn links_follow_the_way_the_client_came() {
    let house = House::new().await;
    for (what, headers, want) in [
        ("host", vec![("host", "10.0.0.1:80")], "http://10.0.0.1:80"),
        (
            "proxy",
            vec![
                ("host", "in:1"),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-host", "out"),
            ],
            "https://out",
        ),
        ("IPv6", vec![("host", "[::1]:8776")], "http://[::1]:8776"),
        ("no host", vec![], "http://localhost"),
        ("no such host", vec![("host", "a/b\"c")], "http://localhost"),
    ] {
        let mut request = Request::get("/identity/v3");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = house
            .send(request.body(Body::empty()).expect("is a request"))
            .await;
        let href = answer.json()["version"]["links"][0]["href"].clone();
        assert_eq!(href, format!("{want}/identity/v3/"), "{what}");
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
