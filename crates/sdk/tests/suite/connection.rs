//! A connection against a cloud of canned answers: signing in, microversions, retries, refusals.

use crate::cloud;

use std::time::Duration;

use cloud::{Answer, Cloud, document, signed_in, unauthorized};
use emberkeep_sdk::block_storage::{NewBackup, NewVolume};
use emberkeep_sdk::cbr::{NewCheckpoint, VaultQuery};
use emberkeep_sdk::{Connection, Credentials, Microversion, SdkError, Secret, VaultId, VolumeId};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const VOLUME: &str = "00000000-0000-4000-8000-00000000000a";
const SIGN_IN: &str = "POST /identity/v3/auth/tokens";
const DOCUMENT: &str = "GET /volume/v3/";

fn volume(id: &str) -> Value {
    json!({"id": id, "name": "v", "size": 1, "status": "available", "created_at": null, "zone": "nova"})
}

#[tokio::test]
async fn a_token_that_ran_out_is_renewed_once() {
    let cloud =
        Cloud::start(
            |url, asked, at| match (asked.line.as_str(), asked.token.as_deref()) {
                (SIGN_IN, _) if at == 0 => signed_in("old", url),
                (SIGN_IN, _) => signed_in("new", url),
                (DOCUMENT, _) => document("3.71"),
                (_, Some("new")) => Answer::json(200, json!({"volume": volume(VOLUME)})),
                _ => unauthorized(),
            },
        )
        .await;
    let connection = cloud.connect().await;
    let found = connection
        .block_storage()
        .volume(&VolumeId::from(VOLUME))
        .await
        .expect("found");
    assert_eq!(
        found.more["zone"], "nova",
        "what has no field of its own is kept"
    );
    let show = format!("GET /volume/v3/p1/volumes/{VOLUME}");
    assert_eq!(cloud.lines(), [SIGN_IN, DOCUMENT, &show, SIGN_IN, &show]);
}

#[tokio::test]
async fn a_token_that_is_never_good_is_not_renewed_for_ever() {
    let cloud = Cloud::start(|url, asked, _| match asked.line.as_str() {
        SIGN_IN => signed_in("bad", url),
        _ => unauthorized(),
    })
    .await;
    let connection = cloud.connect().await;
    let query = VaultQuery::default();
    let error = connection
        .cbr()
        .vaults(&query)
        .all()
        .await
        .expect_err("refused");
    let refusal = error.refusal().expect("a refusal");
    assert_eq!(
        (refusal.status, refusal.request_id.as_deref()),
        (401, Some("req-3"))
    );
    // The project is added where the catalogue leaves it out.
    assert_eq!(
        cloud.lines()[1],
        "GET /cbr/v3/p1/vaults?limit=1000&offset=0"
    );
    assert_eq!(cloud.lines().len(), 4);
}

#[tokio::test]
async fn a_wrong_password_is_told_from_other_refusals() {
    let cloud = Cloud::start(|_, _, _| unauthorized()).await;
    let error = Connection::open(cloud.config()).await.expect_err("refused");
    assert!(matches!(error, SdkError::SignIn { .. }), "{error}");
    assert_eq!(cloud.lines().len(), 1);
}

#[tokio::test]
async fn a_token_and_an_application_credential_sign_in_too() {
    use emberkeep_sdk::{ApplicationCredential, Method, Scope};

    let cloud = Cloud::signed_in(|_| Answer::json(200, json!({}))).await;
    for (method, want) in [
        (
            Method::Token(Secret::new("before")),
            json!({"methods": ["token"], "token": {"id": "before"}}),
        ),
        (
            Method::ApplicationCredential {
                credential: ApplicationCredential::Id("i".to_owned()),
                secret: Secret::new("s"),
            },
            json!({"methods": ["application_credential"], "application_credential": {"id": "i", "secret": "s"}}),
        ),
    ] {
        let mut config = cloud.config();
        config.credentials = Credentials {
            method,
            scope: Scope::Unscoped,
        };
        let connection = Connection::open(config).await.expect("signed in");
        assert_eq!(connection.project_id().await.as_deref(), Some("p1"));
        let body = cloud.asked().pop().expect("asked").body;
        assert_eq!(body, json!({"auth": {"identity": want}}));
    }
}

#[tokio::test]
async fn the_newest_common_microversion_is_spoken() {
    for (newest, pinned, spoken) in [
        ("3.71", None, Some("volume 3.71")),
        ("3.50", None, Some("volume 3.50")),
        ("3.99", None, Some("volume 3.71")),
        ("", None, None),
        ("3.71", Some(Microversion::v3(9)), Some("volume 3.9")),
    ] {
        let cloud = Cloud::start(move |url, asked, _| match asked.line.as_str() {
            SIGN_IN => signed_in("t", url),
            DOCUMENT => document(newest),
            _ => Answer::json(200, json!({"volume": volume(VOLUME)})),
        })
        .await;
        let mut config = cloud.config();
        config.block_storage_version = pinned;
        let connection = Connection::open(config).await.expect("signed in");
        let api = connection.block_storage();
        for _ in 0..2 {
            api.volume(&VolumeId::from(VOLUME)).await.expect("shown");
        }
        let asked = cloud.asked();
        let shown = asked.last().expect("asked");
        assert_eq!(shown.version.as_deref(), spoken, "{newest} {pinned:?}");
        let documents = asked.iter().filter(|asked| asked.line == DOCUMENT).count();
        assert_eq!(documents, usize::from(pinned.is_none()), "asked for once");
    }
}

#[tokio::test]
async fn what_a_service_is_too_old_for_is_not_asked() {
    let cloud = Cloud::start(|url, asked, _| match asked.line.as_str() {
        SIGN_IN => signed_in("t", url),
        _ => document("3.40"),
    })
    .await;
    let api = cloud.connect().await.block_storage();
    let mut backup = NewBackup {
        volume_id: VolumeId::from(VOLUME),
        ..NewBackup::default()
    };
    backup.metadata.insert("a".to_owned(), "b".to_owned());
    let error = api.create_backup(&backup).await.expect_err("too old");
    assert_eq!(
        error.to_string(),
        "metadata of backups needs microversion 3.43, but the service offers 3.40 at most"
    );
    let new = NewVolume {
        backup_id: Some("b".into()),
        ..NewVolume::default()
    };
    assert!(matches!(
        api.create_volume(&new).await,
        Err(SdkError::TooOld { .. })
    ));
    assert_eq!(cloud.lines().len(), 2);
}

#[tokio::test]
async fn only_what_may_be_sent_again_is() {
    // What is answered first, whether to a question or an order, and how often it is sent.
    for (what, first, ask, sent) in [
        (
            "a question at a bad gateway",
            Answer::text(502, ""),
            true,
            2,
        ),
        ("an order at a bad gateway", Answer::text(502, ""), false, 1),
        (
            "a question to a busy service",
            Answer::text(503, ""),
            true,
            2,
        ),
        (
            "an order to a busy service",
            Answer::text(503, ""),
            false,
            1,
        ),
        (
            "an order put off",
            Answer::text(503, "").retry_after(0),
            false,
            2,
        ),
        (
            "an order among too many",
            Answer::text(429, "").retry_after(0),
            false,
            2,
        ),
        (
            "a question put off for too long",
            Answer::text(503, "").retry_after(3600),
            true,
            1,
        ),
        (
            "over the quota",
            Answer::json(413, json!({"overLimit": {"code": 413, "message": "no"}})).retry_after(0),
            false,
            1,
        ),
        ("a mistake of the service", Answer::text(500, ""), true, 1),
    ] {
        let cloud = Cloud::start(move |url, asked, at| match (asked.line.as_str(), at) {
            (SIGN_IN, _) => signed_in("t", url),
            (_, 1) => first.clone(),
            _ => Answer::json(
                200,
                json!({"checkpoint": {"id": "c", "status": "available"}}),
            ),
        })
        .await;
        let api = cloud.connect().await.cbr();
        let answer = if ask {
            api.checkpoint(&"c".into()).await
        } else {
            api.create_checkpoint(&NewCheckpoint::of(&VaultId::from("v")))
                .await
        };
        assert_eq!(cloud.lines().len() - 1, sent, "{what}");
        assert_eq!(answer.is_ok(), sent == 2, "{what}");
    }
}

#[tokio::test]
async fn trying_again_has_an_end() {
    let cloud = Cloud::start(|url, asked, _| match asked.line.as_str() {
        SIGN_IN => signed_in("t", url),
        _ => Answer::text(503, "<html>"),
    })
    .await;
    let api = cloud.connect().await.cbr();
    let error = api.vault(&"v".into()).await.expect_err("refused");
    assert_eq!(error.refusal().map(|refusal| refusal.status), Some(503));
    assert_eq!(cloud.lines().len(), 1 + 4);
}

#[tokio::test]
async fn answers_that_are_none_are_told_apart() {
    for (what, answer, want) in [
        (
            "a web page",
            Answer::text(200, "<!DOCTYPE html>"),
            "it is a web page",
        ),
        (
            "half of it",
            Answer::text(200, "{\"vault\": {"),
            "it ends too early",
        ),
        ("nothing", Answer::text(200, ""), "it is empty"),
        (
            "something else",
            Answer::text(200, "{}"),
            "it has no 'vault'",
        ),
        (
            "another shape",
            Answer::text(200, "{\"vault\": {\"billing\": 7}}"),
            "in 'vault', invalid type",
        ),
        (
            "too much",
            Answer::text(200, " ".repeat((64 << 20) + 1)),
            "it is longer than 64 MiB",
        ),
    ] {
        let cloud = Cloud::signed_in(move |_| answer.clone()).await;
        let api = cloud.connect().await.cbr();
        let error = api.vault(&"v".into()).await.expect_err(what);
        let words = error.to_string();
        assert!(
            matches!(error, SdkError::BadAnswer { .. }) && words.contains(want),
            "{what}: {words}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_answer() {
    let cloud = Cloud::signed_in(|_| Answer {
        wrong_length: Some(1000),
        ..Answer::text(200, "{\"vault\": {}}")
    })
    .await;
    let api = cloud.connect().await.cbr();
    let error = api.vault(&"v".into()).await.expect_err("broken off");
    assert!(matches!(error, SdkError::Transport { .. }), "{error:?}");
}

#[tokio::test]
async fn silence_is_not_waited_out() {
    let cloud = Cloud::signed_in(|_| Answer {
        silent: true,
        ..Answer::default()
    })
    .await;
    let mut config = cloud.config();
    config.timeouts.total = Duration::from_millis(50);
    config.retries.count = 1;
    let api = Connection::open(config).await.expect("signed in").cbr();
    let error = api.vault(&"v".into()).await.expect_err("no answer");
    assert!(matches!(error, SdkError::NoAnswer { .. }), "{error:?}");
    let asked = NewCheckpoint::of(&VaultId::from("v"));
    let error = api.create_checkpoint(&asked).await.expect_err("no answer");
    assert!(matches!(error, SdkError::NoAnswer { .. }), "{error:?}");
    // Each once: the time is for all tries together, and an order may have arrived.
    assert_eq!(cloud.lines().len(), 1 + 1 + 1);
    // Silence within the time leaves some for a question to be asked again.
    let mut config = cloud.config();
    config.timeouts.read = Duration::from_millis(50);
    config.retries.count = 1;
    let api = Connection::open(config).await.expect("signed in").cbr();
    let error = api.vault(&"v".into()).await.expect_err("no answer");
    assert!(matches!(error, SdkError::NoAnswer { .. }), "{error:?}");
    assert_eq!(cloud.lines().len(), 3 + 1 + 2);
}

#[tokio::test]
async fn all_tries_together_end_in_time() {
    let cloud = Cloud::start(|url, asked, _| match asked.line.as_str() {
        SIGN_IN => signed_in("t", url),
        _ => Answer::text(503, ""),
    })
    .await;
    let mut config = cloud.config();
    config.retries.count = 1000;
    config.retries.first_pause = Duration::from_millis(20);
    config.timeouts.total = Duration::from_millis(500);
    let api = Connection::open(config).await.expect("signed in").cbr();
    let begun = std::time::Instant::now();
    let error = api.vault(&"v".into()).await.expect_err("refused");
    assert_eq!(error.refusal().map(|refusal| refusal.status), Some(503));
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    assert!(cloud.lines().len() > 3, "it was tried again");
}

#[tokio::test]
async fn a_token_given_that_ran_out_is_told_from_a_wrong_password() {
    let cloud = Cloud::start(|_, _, _| unauthorized()).await;
    let mut config = cloud.config();
    config.credentials.method = emberkeep_sdk::Method::Token(Secret::new("old-token"));
    let error = Connection::open(config).await.expect_err("refused");
    assert!(matches!(error, SdkError::TokenRefused { .. }), "{error:?}");
    assert!(!format!("{error:?} {error}").contains("old-token"));
}

#[tokio::test]
async fn a_service_that_is_not_there_is_named() {
    let cloud = Cloud::signed_in(|_| Answer::json(200, json!({}))).await;
    let mut config = cloud.config();
    config.region = Some("far".to_owned());
    config.interface = "admin".to_owned();
    let connection = Connection::open(config).await.expect("signed in");
    let error = connection.cbr().vault(&"v".into()).await.expect_err("none");
    assert_eq!(
        error.to_string(),
        "the cloud offers no 'cbr' service in region far at its admin address"
    );
    let mut config = cloud.config();
    let elsewhere = format!("{}/elsewhere/v3/p1", cloud.url);
    config.endpoints.insert("cbr".to_owned(), elsewhere);
    let connection = Connection::open(config).await.expect("signed in");
    let answer = connection.cbr().vault(&"v".into()).await;
    assert!(answer.is_err());
    assert_eq!(
        cloud.lines().pop().as_deref(),
        Some("GET /elsewhere/v3/p1/vaults/v")
    );
}

#[tokio::test]
async fn nobody_listening_is_told_as_such() {
    let cloud = Cloud::signed_in(|_| Answer::json(200, json!({}))).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let mut config = cloud.config();
    config.auth_url = format!("http://{}", listener.local_addr().expect("its address"));
    drop(listener);
    let error = Connection::open(config).await.expect_err("nobody there");
    assert!(matches!(error, SdkError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn no_secret_shows_itself() {
    let cloud = Cloud::signed_in(|_| unauthorized()).await;
    let connection = cloud.connect().await;
    let error = connection
        .cbr()
        .vault(&"v".into())
        .await
        .expect_err("refused");
    for shown in [
        format!("{connection:?}"),
        format!("{:?}", connection.config()),
        format!("{error:?}"),
    ] {
        assert!(!shown.contains("secret\""), "{shown}");
        assert!(!shown.contains("\"t\""), "{shown}");
    }
}
