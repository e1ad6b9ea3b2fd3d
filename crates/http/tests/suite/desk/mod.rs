//! A member of a project who speaks CBR.

#![allow(dead_code, reason = "each test file needs a part of it")]

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use emberkeep_model::{ByteCount, Role};
use emberkeep_wire::native::ExtentEncoder;
use serde_json::{Value, json};

use crate::house::{Answer, House};

/// An id that nothing has.
pub(crate) const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

/// One project of a house, seen by one of its members.
pub(crate) struct Desk {
    /// The house.
    pub(crate) house: House,
    /// The project's id.
    pub(crate) project: String,
    /// The member's token.
    pub(crate) token: String,
}

impl Desk {
    /// Makes one.
    pub(crate) async fn new() -> Self {
        Self::of(House::new().await).await
    }

    /// Makes one in a house.
    pub(crate) async fn of(house: House) -> Self {
        let alpha = house.project("alpha").await;
        house.user("alice", &alpha, Role::Member).await;
        let token = house.token("alice").await;
        Self {
            project: alpha.id.to_string(),
            house,
            token,
        }
    }

    /// Returns a path of the project.
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/cbr/v3/{}{rest}", self.project)
    }

    /// Calls a path of the project.
    pub(crate) async fn call(&self, method: Method, rest: &str, body: Value) -> Answer {
        self.house
            .call(method, &self.path(rest), &self.token, body)
            .await
    }

    /// Gets what must be there.
    pub(crate) async fn get(&self, rest: &str) -> Value {
        let answer = self.call(Method::GET, rest, Value::Null).await;
        assert_eq!(answer.status, StatusCode::OK, "{rest}: {}", answer.json());
        answer.json()
    }

    /// Posts what must be taken.
    pub(crate) async fn post(&self, rest: &str, body: Value) -> Value {
        let answer = self.call(Method::POST, rest, body).await;
        assert!(answer.status.is_success(), "{rest}: {}", answer.json());
        answer.json()
    }

    /// Makes a volume of 1 GiB that begins with `bytes`.
    pub(crate) async fn volume(&self, bytes: &[u8]) -> String {
        let (mut encoder, mut stream) = {
            let (encoder, head) = ExtentEncoder::new(ByteCount(1 << 30));
            (encoder, head.to_vec())
        };
        let frame = encoder
            .frame(0, bytes.len())
            .expect("fits")
            .expect("is not empty");
        stream.extend_from_slice(&frame);
        stream.extend_from_slice(bytes);
        stream.extend_from_slice(&encoder.end());
        let request = Request::post("/api/v1/volumes/import?name=data-1&size_bytes=1073741824")
            .header("x-auth-token", &self.token)
            .body(Body::from(stream))
            .expect("is a request");
        let answer = self.house.send(request).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.json());
        answer.json()["id"].as_str().expect("an id").to_owned()
    }

    /// Makes a vault.
    pub(crate) async fn vault(&self, name: &str, resources: Value) -> Value {
        self.post("/vaults", json!({"vault": vault(name, resources)}))
            .await["vault"]
            .clone()
    }

    /// Waits until a backup that was begun through Block Storage is available.
    pub(crate) async fn until_made(&self, backup: &str) {
        let path = format!("/volume/v3/{}/backups/{backup}", self.project);
        let begun = Instant::now();
        loop {
            let answer = self.house.get(&path, &self.token).await.json();
            if answer["backup"]["status"] == "available" {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "stays {answer}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asks until `done` likes the answer.
    pub(crate) async fn until(&self, rest: &str, done: impl Fn(&Answer) -> bool) -> Answer {
        let begun = Instant::now();
        loop {
            let answer = self.call(Method::GET, rest, Value::Null).await;
            if done(&answer) {
                return answer;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "{rest} stays {}",
                answer.json()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Returns a vault to be made.
pub(crate) fn vault(name: &str, resources: Value) -> Value {
    json!({"name": name, "resources": resources, "billing": {"object_type": "disk", "protect_type": "backup",
        "consistent_level": "crash_consistent", "size": 100}})
}

/// Returns a volume as a resource.
pub(crate) fn disk(id: &str) -> Value {
    json!({"id": id, "type": "OS::Cinder::Volume"})
}

/// Returns a text.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().expect("is text").to_owned()
}
