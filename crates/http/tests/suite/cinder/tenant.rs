//! A project with a member, and what its tests do again and again.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use emberkeep_model::{Caller, Project, Role};
use serde_json::{Value, json};

use crate::house::{Answer, House};

/// A project with a member and a reader, in a house.
pub(crate) struct Tenant {
    pub(crate) house: House,
    pub(crate) project: Project,
    pub(crate) member: String,
}

impl Tenant {
    pub(crate) async fn new() -> Self {
        Self::in_house(House::on_files().await).await
    }

    /// In a house of one's own.
    pub(crate) async fn in_house(house: House) -> Self {
        let project = house.project("alpha").await;
        house.user("alice", &project, Role::Member).await;
        let member = house.token("alice").await;
        Self {
            house,
            project,
            member,
        }
    }

    /// Sends a request for the project's `path` in a microversion (none if 0).
    pub(crate) async fn ask(&self, method: &str, path: &str, minor: u16, body: Value) -> Answer {
        self.ask_as(&self.member, method, path, minor, body).await
    }

    pub(crate) async fn ask_as(
        &self,
        token: &str,
        method: &str,
        path: &str,
        minor: u16,
        body: Value,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/volume/v3/{}/{path}", self.project.id))
            .header("host", "ember.test:8776")
            .header("x-auth-token", token);
        if minor > 0 {
            request = request.header("OpenStack-API-Version", format!("volume 3.{minor}"));
        }
        let body = if body.is_null() {
            Body::empty()
        } else {
            request = request.header("content-type", "application/json");
            Body::from(body.to_string())
        };
        self.house
            .send(request.body(body).expect("is a request"))
            .await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path, 0, Value::Null).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {:?}", answer.body);
        answer.json()
    }

    /// Asks again until the thing has the status, and returns it.
    pub(crate) async fn wait(&self, path: &str, status: &str) -> Value {
        let collection = path.split('/').next().expect("names a collection");
        let key = collection.trim_end_matches('s');
        let mut seen = Value::Null;
        let waited = tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                seen = self.get(path).await[key].clone();
                if seen["status"] == status {
                    return;
                }
                assert_ne!(seen["status"], "error", "{path}: {seen}");
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        assert!(waited.await.is_ok(), "{path} never came to be {status}");
        self.get(path).await[key].clone()
    }

    pub(crate) async fn wait_gone(&self, path: &str) {
        let waited = tokio::time::timeout(Duration::from_secs(20), async {
            while self.ask("GET", path, 0, Value::Null).await.status != StatusCode::NOT_FOUND {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        assert!(waited.await.is_ok(), "{path} never went");
    }

    /// Makes a volume as openstackclient does, and returns its id.
    pub(crate) async fn volume(&self, name: &str) -> String {
        let body = json!({"volume": {
            "size": 1, "source_volid": null, "name": name, "description": null, "backup_id": null,
            "snapshot_id": null, "metadata": null, "volume_type": null, "consistencygroup_id": null,
            "imageRef": null, "availability_zone": null,
        }});
        let answer = self.ask("POST", "volumes", 71, body).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{:?}", answer.body);
        let id = text(&answer.json()["volume"]["id"]);
        self.wait(&format!("volumes/{id}"), "available").await;
        id
    }

    /// Makes a backup as openstackclient does, waits for it, and returns its id.
    pub(crate) async fn backup(&self, volume: &str, name: &str, incremental: bool) -> String {
        let body = json!({"backup": {
            "volume_id": volume, "container": null, "name": name, "description": null,
            "force": false, "incremental": incremental,
        }});
        let answer = self.ask("POST", "backups", 64, body).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{:?}", answer.body);
        let answer = answer.json();
        let keys: Vec<&String> = answer["backup"]
            .as_object()
            .expect("is one")
            .keys()
            .collect();
        assert_eq!(keys, ["id", "links", "name"]);
        let id = text(&answer["backup"]["id"]);
        self.wait(&format!("backups/{id}"), "available").await;
        self.wait(&format!("volumes/{volume}"), "available").await;
        id
    }

    /// Returns a volume's first MiB without the zeros at the end.
    pub(crate) async fn bytes(&self, volume: &str) -> Vec<u8> {
        let mut bytes = vec![0; 1 << 20];
        self.file(volume)
            .await
            .read_exact_at(&mut bytes, 0)
            .expect("reads");
        bytes.truncate(
            bytes
                .iter()
                .rposition(|b| *b != 0)
                .map_or(0, |last| last + 1),
        );
        bytes
    }

    /// Writes bytes to the beginning of a volume.
    pub(crate) async fn write(&self, volume: &str, bytes: &[u8]) {
        self.file(volume)
            .await
            .write_all_at(bytes, 0)
            .expect("writes");
    }

    pub(crate) async fn file(&self, volume: &str) -> File {
        let caller = Caller {
            user_id: "u".parse().expect("is an id"),
            project_id: self.project.id.clone(),
            // Where a volume lies is for operators.
            roles: Role::Admin.implied().to_vec(),
            request_id: String::new(),
        };
        let id = volume.parse().expect("is an id");
        let path = self
            .house
            .app
            .service
            .volume_path(&caller, id)
            .await
            .expect("is there");
        let path = path.expect("is a file");
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .expect("opens")
    }
}

pub(crate) fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no text"))
        .to_owned()
}

pub(crate) fn ids(list: &Value) -> Vec<String> {
    list.as_array()
        .expect("is a list")
        .iter()
        .map(|one| text(&one["id"]))
        .collect()
}

#[track_caller]
pub(crate) fn refused(answer: &Answer, code: u16, key: &str, message: &str) {
    assert_eq!(
        answer.json(),
        json!({ key: {"code": code, "message": message} })
    );
    assert_eq!(answer.status.as_u16(), code);
}

/// An id that nothing has.
pub(crate) const MISSING: &str = "0b667eb3-2eef-421d-ac9e-bd3fe40e9afd";
