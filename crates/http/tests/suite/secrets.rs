//! What may be kept of answers, and where: nothing that is a secret, and nothing in the clear.

use std::net::SocketAddr;

use axum::body::Body;
use axum::http::Request;
use emberkeep_http::Peer;
use emberkeep_model::Role;
use serde_json::{Value, json};

use crate::house::House;

#[tokio::test]
async fn no_cache_keeps_tokens_and_only_tls_asks_for_tls() {
    let house = House::new().await;
    let answer = house.sign_in("admin", "sesame").await;
    assert_eq!(answer.header("cache-control"), "no-store");
    let token = answer.header("x-subject-token").to_owned();
    let answer = house.get("/api/v1/exports", &token).await;
    assert_eq!(answer.header("cache-control"), "no-store");
    let answer = house.get("/api/v1/tasks", &token).await;
    assert_eq!(answer.header("cache-control"), "", "no secret is in it");
    for (secure, want) in [(true, "max-age=31536000"), (false, "")] {
        let address: SocketAddr = "192.0.2.1:4000".parse().expect("an address");
        let request = Request::get("/healthz").extension(Peer { address, secure });
        let answer = house.send(request.body(Body::empty()).expect("is one"));
        let answer = answer.await;
        assert_eq!(answer.header("strict-transport-security"), want, "{secure}");
    }
}

#[tokio::test]
async fn a_private_type_is_in_the_quota_set_of_those_who_have_it_alone() {
    let house = House::new().await;
    let admin = house.token("admin").await;
    let (alpha, beta) = (house.project("alpha").await, house.project("beta").await);
    house.user("alice", &alpha, Role::Member).await;
    house.user("bob", &beta, Role::Member).await;
    let types = format!("/volume/v3/{}/types", house.admin.project.id);
    let body = json!({"volume_type": {"name": "gold", "os-volume-type-access:is_public": false}});
    let made = house.post(&types, &admin, body).await.json();
    let id = made["volume_type"]["id"].as_str().expect("an id");
    let body = json!({"addProjectAccess": {"project": alpha.id}});
    let action = format!("{types}/{id}/action");
    let added = house.post(&action, &admin, body).await;
    assert_eq!(added.status.as_u16(), 202, "{:?}", added.body);
    for (user, project, sees) in [("alice", &alpha, true), ("bob", &beta, false)] {
        let token = house.token(user).await;
        for end in ["", "/defaults"] {
            let path = format!("/volume/v3/{0}/os-quota-sets/{0}{end}", project.id);
            let answer = house.get(&path, &token).await.json();
            let set: &Value = &answer["quota_set"];
            assert!(set["volumes"].is_i64(), "{user}{end}: {answer}");
            let named = set.get("volumes_gold").is_some();
            assert_eq!(named, sees, "{user}{end}: {answer}");
        }
    }
}
