//! Tokens checked by a Keystone that is played here, over real sockets.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use emberkeep_cloud::{Keystone, KeystoneSettings};
use emberkeep_model::{Role, Timestamp};
use emberkeep_service::{Authenticator, Clock, Fault, ServiceError, TokenInfo};
use emberkeep_wire::time::zulu;
use serde_json::{Value, json};

const DAY: i64 = 86_400;

#[derive(Default)]
struct Played {
    /// Tokens by their text.
    tokens: Mutex<HashMap<String, Value>>,
    /// The service user's token; each sign-in makes a new one.
    own: AtomicUsize,
    checks: AtomicUsize,
    broken: Mutex<Option<StatusCode>>,
}

struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

impl Hands {
    fn pass(&self, secs: i64) {
        self.0.fetch_add(secs * 1_000_000, Ordering::SeqCst);
    }
}

async fn sign_in(State(played): State<Arc<Played>>, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap();
    let user = &body["auth"]["identity"]["password"]["user"];
    if user["name"] != "ember"
        || user["password"] != "s3cret"
        || user["domain"]["name"] != "Default"
    {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    assert_eq!(body["auth"]["scope"]["project"]["name"], "service");
    let number = played.own.fetch_add(1, Ordering::SeqCst) + 1;
    let token = format!("own-{number}");
    (StatusCode::CREATED, [("x-subject-token", token)], "{}").into_response()
}

async fn check(State(played): State<Arc<Played>>, headers: HeaderMap) -> Response {
    played.checks.fetch_add(1, Ordering::SeqCst);
    if let Some(status) = *played.broken.lock().unwrap() {
        return status.into_response();
    }
    let own = format!("own-{}", played.own.load(Ordering::SeqCst));
    if headers["x-auth-token"] != own.as_str() {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    assert_eq!(headers["openstack-identity-access-rules"], "1");
    let subject = headers["x-subject-token"].to_str().unwrap();
    match played.tokens.lock().unwrap().get(subject) {
        Some(token) => axum::Json(json!({ "token": token })).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

struct Stage {
    played: Arc<Played>,
    clock: Arc<Hands>,
    keystone: Keystone,
}

impl Stage {
    async fn new(password: &str) -> Self {
        let played = Arc::new(Played::default());
        let router = Router::new()
            .route("/v3/auth/tokens", get(check).post(sign_in))
            .with_state(Arc::clone(&played));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let clock = Arc::new(Hands(AtomicI64::new(1_700_000_000_000_000)));
        let settings = settings(&format!("http://{address}/"), password);
        let keystone = Keystone::new(settings, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        Self {
            played,
            clock,
            keystone,
        }
    }

    fn give(&self, token: &str, roles: &[&str], secs: i64) {
        let roles: Vec<Value> = roles
            .iter()
            .map(|r| json!({"id": "r", "name": r}))
            .collect();
        let described = json!({
            "user": {"id": "u1", "name": "alice", "domain": {"id": "default", "name": "Default"}},
            "project": {"id": "p1", "name": "alpha", "domain": {"id": "default", "name": "Default"}},
            "roles": roles, "methods": ["password"], "audit_ids": ["a"],
            "issued_at": zulu(self.clock.now()),
            "expires_at": zulu(self.clock.now().plus_secs(secs)),
        });
        self.played
            .tokens
            .lock()
            .unwrap()
            .insert(token.to_owned(), described);
    }

    async fn ask(&self, token: &str) -> Result<TokenInfo, ServiceError> {
        self.keystone.validate(token).await
    }

    fn checks(&self) -> usize {
        self.played.checks.load(Ordering::SeqCst)
    }
}

fn settings(auth_url: &str, password: &str) -> KeystoneSettings {
    KeystoneSettings {
        auth_url: auth_url.to_owned(),
        username: "ember".into(),
        password: password.into(),
        project_name: "service".into(),
        user_domain_name: "Default".into(),
        project_domain_name: "Default".into(),
        keep: Duration::from_secs(300),
        public_url: None,
        ca_pem: None,
    }
}

#[tokio::test]
async fn a_good_token_is_asked_about_once_in_a_while() {
    let stage = Stage::new("s3cret").await;
    stage.give("t1", &["manager", "swiftoperator"], DAY);
    let info = stage.ask("t1").await.unwrap();
    assert_eq!(info.roles, [Role::Manager, Role::Member, Role::Reader]);
    assert_eq!(info.project.as_ref().unwrap().1, "alpha");
    stage.ask("t1").await.unwrap();
    assert_eq!(stage.checks(), 1, "the answer is kept");
    // Taken back: noticed when the while is over.
    stage.played.tokens.lock().unwrap().clear();
    stage.clock.pass(299);
    stage.ask("t1").await.unwrap();
    stage.clock.pass(1);
    assert!(matches!(
        stage.ask("t1").await,
        Err(ServiceError::Unauthenticated)
    ));
    assert_eq!(stage.checks(), 2);
}

#[tokio::test]
async fn rules_of_access_come_with_the_token() {
    let stage = Stage::new("s3cret").await;
    stage.give("plain", &["member"], 600);
    assert_eq!(stage.ask("plain").await.unwrap().access_rules, None);
    stage.give("bound", &["member"], 600);
    let rule = json!({"id": "1", "service": "volumev3", "method": "GET", "path": "/v3/**"});
    stage
        .played
        .tokens
        .lock()
        .unwrap()
        .get_mut("bound")
        .unwrap()["application_credential"] =
        json!({"id": "c", "name": "n", "restricted": true, "access_rules": [rule]});
    let rules = stage.ask("bound").await.unwrap().access_rules.unwrap();
    assert!(rules[0].allows("volumev3", "GET", "/v3/p/backups"));
    assert!(!rules[0].allows("volumev3", "DELETE", "/v3/p/backups/b"));
}

#[tokio::test]
async fn an_answer_is_not_kept_beyond_the_tokens_end() {
    let stage = Stage::new("s3cret").await;
    stage.give("t1", &["reader"], 20);
    stage.ask("t1").await.unwrap();
    stage.clock.pass(20);
    assert!(matches!(
        stage.ask("t1").await,
        Err(ServiceError::Unauthenticated)
    ));
}

#[tokio::test]
async fn a_bad_token_is_remembered_briefly() {
    let stage = Stage::new("s3cret").await;
    for _ in 0..3 {
        assert!(matches!(
            stage.ask("bad").await,
            Err(ServiceError::Unauthenticated)
        ));
    }
    assert_eq!(stage.checks(), 1);
    stage.give("bad", &["admin"], DAY);
    stage.clock.pass(10);
    assert_eq!(stage.ask("bad").await.unwrap().roles, Role::ALL);
    let long = "x".repeat(20_000);
    assert!(matches!(
        stage.ask(&long).await,
        Err(ServiceError::Unauthenticated)
    ));
    assert_eq!(
        stage.checks(),
        2,
        "what cannot be a token is nobody's business"
    );
}

#[tokio::test]
async fn a_stale_token_of_our_own_is_replaced_once() {
    let stage = Stage::new("s3cret").await;
    stage.give("t1", &["member"], DAY);
    stage.ask("t1").await.unwrap();
    // Keystone has forgotten ours.
    stage.played.own.fetch_add(1, Ordering::SeqCst);
    stage.give("t2", &["member"], DAY);
    stage.ask("t2").await.unwrap();
    assert_eq!(
        stage.played.own.load(Ordering::SeqCst),
        3,
        "signed in once more"
    );
    *stage.played.broken.lock().unwrap() = Some(StatusCode::UNAUTHORIZED);
    unavailable(stage.ask("t3").await);
    assert_eq!(
        stage.played.own.load(Ordering::SeqCst),
        4,
        "and not for ever"
    );
}

#[tokio::test]
async fn a_keystone_that_does_not_answer_is_told_as_such() {
    let stage = Stage::new("s3cret").await;
    for status in [
        StatusCode::INTERNAL_SERVER_ERROR,
        StatusCode::FORBIDDEN,
        StatusCode::BAD_GATEWAY,
    ] {
        *stage.played.broken.lock().unwrap() = Some(status);
        unavailable(stage.ask("t1").await);
    }
    *stage.played.broken.lock().unwrap() = None;
    stage.give("t1", &["member"], DAY);
    stage.ask("t1").await.unwrap();

    // Nobody listens.
    let clock: Arc<dyn Clock> = Arc::new(Hands(AtomicI64::new(0)));
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let keystone = Keystone::new(settings(&url, "s3cret"), clock).unwrap();
    unavailable(keystone.validate("t1").await);

    // Our own password is wrong: that is our fault, not the caller's.
    let stage = Stage::new("wrong").await;
    unavailable(stage.ask("t1").await);
}

#[track_caller]
fn unavailable(answer: Result<TokenInfo, ServiceError>) {
    let error = answer.expect_err("is refused");
    assert_eq!(error.fault(), Fault::Unavailable, "{error:?}");
}
