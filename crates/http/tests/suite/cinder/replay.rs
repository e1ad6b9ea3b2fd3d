//! Replays what the real service was asked and holds our answers against its own.
//!
//! Ids, addresses and times differ and are mapped. What differs on purpose is listed in [`DELIBERATE`],
//! each with its reason; nothing else may.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use emberkeep_model::{Role, VolumeStatus};
use emberkeep_objects::Json;
use emberkeep_service::{NewVolume, Settings};
use serde_json::{Value, json};

use crate::cinder::tenant::text;
use crate::house::{Answer, House};

/// Members of answers that we fill otherwise, and why.
const DELIBERATE: &[(&str, &str)] = &[
    (
        "object_count",
        "content is shared between backups: none of ours owns objects",
    ),
    (
        "container",
        "the posix driver makes up a directory; a container that nobody gave stays null",
    ),
    (
        "totalVolumesUsed",
        "the recorded service had volumes it never counted; ours are counted",
    ),
    ("totalGigabytesUsed", "the same"),
    ("volumes", "the same, in a quota set with usage"),
    ("gigabytes", "the same"),
    ("volumes___DEFAULT__", "the same"),
    ("gigabytes___DEFAULT__", "the same"),
    ("host", "names the machine"),
    ("backup_service", "names the driver"),
    (
        "backup_url",
        "holds all of the above; its own test decodes it",
    ),
];

/// Whole answers that differ, and why.
const DELIBERATE_STEPS: &[(&str, &str)] = &[(
    "services as admin",
    "one process is all of the services, so all of them are listed; the filtered list is compared",
)];

/// Returns the recording, and the bodies of its requests as they were sent: keys in their order.
fn vectors() -> (Value, Vec<String>) {
    let dir = std::env::var_os("EMBERKEEP_VECTORS").map_or_else(
        || {
            PathBuf::from(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../tests/vectors/cinder"
            ))
        },
        PathBuf::from,
    );
    let path = dir.join("rest.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let ordered = Json::parse(&text).expect("is JSON");
    let log = ordered
        .get("log")
        .and_then(Json::as_list)
        .expect("is a list");
    let bodies = log.iter().map(|entry| {
        let body = entry.get("request").and_then(|request| request.get("body"));
        body.map(Json::to_string).unwrap_or_default()
    });
    let bodies = bodies.collect();
    (serde_json::from_str(&text).expect("is JSON"), bodies)
}

struct Replay {
    house: House,
    tokens: BTreeMap<String, String>,
    /// Their words and ours for the same thing.
    names: Vec<(String, String)>,
    admin: String,
    /// The last record that was exported, theirs and ours.
    record: Option<(String, String)>,
}

impl Replay {
    async fn new(vectors: &Value) -> Self {
        let settings = Settings {
            default_volume_type: "__DEFAULT__".to_owned(),
            // The recorded service counts them.
            count_dependents: true,
            ..Settings::default()
        };
        let house = House::idle(settings).await;
        let mut names = vec![(
            "http://volume.example.test:8776".to_owned(),
            format!("{}/volume", crate::house::BASE),
        )];
        let mut projects = BTreeMap::new();
        for (name, theirs) in vectors["setup"]["project_ids"]
            .as_object()
            .expect("is a map")
        {
            let project = house.project(name).await;
            names.push((text(theirs), project.id.to_string()));
            projects.insert(name.clone(), project);
        }
        let mut tokens = BTreeMap::new();
        for (who, persona) in vectors["personas"].as_object().expect("is a map") {
            let strongest = text(&persona["roles"][0])
                .parse::<Role>()
                .expect("is a role");
            let user = house
                .user(
                    &format!("the {who}"),
                    &projects[&text(&persona["name"])],
                    strongest,
                )
                .await;
            names.push((text(&persona["user_id"]), user.id.to_string()));
            tokens.insert(who.clone(), house.token(&format!("the {who}")).await);
        }
        let admin = tokens["admin"].clone();
        Self {
            house,
            tokens,
            names,
            admin,
            record: None,
        }
    }

    /// Makes the volumes that the recording begins with.
    async fn volumes(&mut self, vectors: &Value) {
        self.house.work();
        for (name, theirs) in vectors["setup"]["volumes"].as_object().expect("is a map") {
            let who = if name == "vother" { "other" } else { "member" };
            let body = json!({"volume": {"size": 1, "name": name, "metadata": if name == "v1" { json!({"m": "1"}) } else { json!({}) }}});
            let answer = self
                .house
                .post("/volume/v3/volumes", &self.tokens[who], body)
                .await;
            let id = text(&answer.json()["volume"]["id"]);
            self.names.push((text(theirs), id.clone()));
            self.settle("volumes", &id).await;
            let body = match name.as_str() {
                "vuse" => json!({"os-attach": {"host_name": "h", "mountpoint": "/dev/vdb"}}),
                "verr" => json!({"os-reset_status": {"status": "error"}}),
                _ => continue,
            };
            let path = format!("/volume/v3/volumes/{id}/action");
            let answer = self.house.post(&path, &self.admin, body).await;
            assert_eq!(answer.status.as_u16(), 202, "{:?}", answer.body);
        }
        self.house.rest().await;
        // The other project may have no backups.
        let beta = self.ours("84e44562-6a1a-423a-a94b-1cbba0445aaa");
        let path = format!("/volume/v3/os-quota-sets/{beta}");
        let body = json!({"quota_set": {"backups": 0}});
        let answer = self
            .house
            .call(axum::http::Method::PUT, &path, &self.admin, body)
            .await;
        assert_eq!(answer.status.as_u16(), 200, "{:?}", answer.body);
    }

    /// Waits until nothing goes on with a thing.
    async fn settle(&self, collection: &str, id: &str) {
        let path = format!("/volume/v3/{collection}/{id}");
        let waited = tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                let answer = self.house.get(&path, &self.admin).await;
                if answer.status.as_u16() == 404 {
                    return;
                }
                let shown = answer.json();
                let status = text(&shown[collection.trim_end_matches('s')]["status"]);
                if ["available", "error", "in-use"].contains(&status.as_str()) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        assert!(waited.await.is_ok(), "{path} never came to rest");
    }

    async fn settle_all(&self) {
        for (_, ours) in &self.names {
            if ours.len() == 36 {
                self.settle("backups", ours).await;
                self.settle("volumes", ours).await;
            }
        }
    }

    /// Says in our words what is said in theirs.
    fn ours(&self, text: &str) -> String {
        self.names
            .iter()
            .fold(text.to_owned(), |text, (theirs, ours)| {
                text.replace(theirs, ours)
            })
    }

    async fn ask(&self, request: &Value, sent: &str) -> Answer {
        let mut path = self.ours(&text(&request["path"]));
        if !path.starts_with("/volume") {
            path = format!("/volume{path}");
        }
        let mut asked = Request::builder()
            .method(text(&request["method"]).as_str())
            .uri(path)
            .header("host", "ember.test:8776")
            .header("x-auth-token", &self.tokens[&text(&request["as"])]);
        if let Some(version) = request["microversion"].as_str() {
            asked = asked.header("OpenStack-API-Version", format!("volume {version}"));
        }
        let body = match request.get("body") {
            None => Body::empty(),
            Some(body) => {
                asked = asked.header("content-type", "application/json");
                Body::from(self.body(body, sent))
            }
        };
        self.house
            .send(asked.body(body).expect("is a request"))
            .await
    }

    /// Says a body in our words; a record is our own, under the id that theirs has.
    fn body(&self, body: &Value, sent: &str) -> String {
        let Some(theirs) = body["backup-record"]["backup_url"].as_str() else {
            return self.ours(sent);
        };
        let decode = |record: &str| -> Value {
            serde_json::from_slice(&STANDARD.decode(record).expect("is base64")).expect("is JSON")
        };
        let (exported, ours) = self.record.as_ref().expect("was exported before");
        let (exported, theirs, mut ours) = (decode(exported), decode(theirs), decode(ours));
        if exported["id"] != theirs["id"] {
            ours["id"] = theirs["id"].clone();
        }
        json!({"backup-record": {
            "backup_service": "cinder.backup.drivers.emberkeep.EmberkeepBackupDriver",
            "backup_url": STANDARD.encode(ours.to_string()),
        }})
        .to_string()
    }

    /// Learns what we call things that this answer has made.
    fn learn(&mut self, theirs: &Value, ours: &Value) {
        for (a, b) in [
            (&theirs["backup"]["id"], &ours["backup"]["id"]),
            (
                &theirs["restore"]["volume_id"],
                &ours["restore"]["volume_id"],
            ),
        ] {
            if let (Some(a), Some(b)) = (a.as_str(), b.as_str())
                && self.names.iter().all(|(known, _)| known != a)
            {
                self.names.push((a.to_owned(), b.to_owned()));
            }
        }
        if let Some(record) = theirs["backup-record"]["backup_url"].as_str() {
            let ours = text(&ours["backup-record"]["backup_url"]);
            self.record = Some((record.to_owned(), ours));
        }
    }

    /// Rewrites an answer of theirs into what ours must be.
    fn expected(&self, body: &Value) -> Value {
        let text = self.ours(&body.to_string());
        normal(serde_json::from_str(&text).expect("is JSON"))
    }

    /// Compares rows that the recording shows between the requests.
    async fn compare_rows(&self, name: &str, state: &Value, id: &str) {
        let answer = self
            .house
            .get(&format!("/volume/v3/backups/{id}"), &self.admin)
            .await;
        let want = &state["backup"];
        if want["deleted"] == true {
            assert_eq!(answer.status.as_u16(), 404, "{name}");
            return;
        }
        let shown = answer.json()["backup"].clone();
        for key in ["status", "fail_reason", "size", "availability_zone"] {
            assert_eq!(shown[key], want[key], "{name}: {key}");
        }
        assert_eq!(
            shown["is_incremental"],
            !want["parent_id"].is_null(),
            "{name}"
        );
        let dependents = want["num_dependent_backups"] != 0;
        assert_eq!(shown["has_dependent_backups"], dependents, "{name}");
    }
}

/// Puts what is never the same on two runs, and what differs on purpose, out of the way.
fn normal(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .filter(|(key, _)| DELIBERATE.iter().all(|(known, _)| known != key))
                .map(|(key, value)| (key, normal(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(normal).collect()),
        Value::String(text) if is_time(&text) => json!("<time>"),
        other => other,
    }
}

/// Tells whether a text is an instant as Block Storage writes it, fraction and all.
fn is_time(text: &str) -> bool {
    let shape: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    shape == "0000-00-00T00:00:00.000000"
}

#[tokio::test]
async fn the_recorded_exchanges_come_out_the_same() {
    let (vectors, bodies) = vectors();
    let mut replay = Replay::new(&vectors).await;
    replay.volumes(&vectors).await;
    let log = vectors["log"].as_array().expect("is a list").clone();
    let mut differences = Vec::new();
    let (mut compared, mut last_backup) = (0, String::new());
    for (entry, sent) in log.iter().zip(&bodies) {
        let name = text(&entry["name"]);
        if entry.get("state").is_some() {
            if name != "rows while creating" {
                replay.house.work();
                replay.settle_all().await;
            }
            let id = if name.starts_with("parent row")
                || name == "last row"
                || name == "rows after restore"
            {
                replay.ours("90579aca-bb30-4c39-b80b-8f6d92efeace")
            } else {
                last_backup.clone()
            };
            replay.compare_rows(&name, &entry["state"], &id).await;
            compared += 1;
            continue;
        }
        let down = name.contains("service is down");
        if down {
            switch(&replay, "disable").await;
        }
        let (request, response) = (&entry["request"], &entry["response"]);
        let answer = replay.ask(request, sent).await;
        if down {
            switch(&replay, "enable").await;
        }
        let ours: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        if answer.status.is_success() {
            replay.learn(&response["body"], &ours);
        }
        if let Some(id) = touched(request, &ours, &replay) {
            last_backup = id;
        }
        if request["method"] != "GET" && !name.contains("has not run") {
            replay.house.work();
            replay.settle_all().await;
        }
        if DELIBERATE_STEPS.iter().any(|(step, _)| *step == name) {
            continue;
        }
        compared += 1;
        let (got, want) = (normal(ours), replay.expected(&response["body"]));
        let mut differs = |what: &str, got: &Value, want: &Value| {
            if got != want {
                differences.push(format!("{name}: {what}\n  ours   {got}\n  theirs {want}"));
            }
        };
        differs(
            "status",
            &json!(answer.status.as_u16()),
            &response["status"],
        );
        differs("body", &got, &want);
        for header in [
            "openstack-api-version",
            "vary",
            "retry-after",
            "content-type",
        ] {
            let want = response["headers"][header].as_str().unwrap_or_default();
            // Without a body there is no kind of it.
            if header != "content-type" || !response["body"].is_null() {
                differs(header, &json!(answer.header(header)), &json!(want));
            }
        }
    }
    println!("{compared} of {} entries compared", log.len());
    assert!(compared > 0, "the recording is empty");
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Returns the backup that a request is about, in our words.
fn touched(request: &Value, answer: &Value, replay: &Replay) -> Option<String> {
    if request["method"] == "POST"
        && let Some(id) = answer["backup"]["id"].as_str()
    {
        return Some(id.to_owned());
    }
    let path = replay.ours(&text(&request["path"]));
    let rest = path.split("/backups/").nth(1)?;
    let id = rest.split(['/', '?']).next()?;
    (id.len() == 36).then(|| id.to_owned())
}

async fn switch(replay: &Replay, verb: &str) {
    let path = format!("/volume/v3/os-services/{verb}");
    let body = json!({"binary": "cinder-backup", "host": "emberkeep"});
    let answer = replay
        .house
        .call(axum::http::Method::PUT, &path, &replay.admin, body)
        .await;
    assert_eq!(answer.status.as_u16(), 200, "{:?}", answer.body);
}

/// The names of settings that the replay relies on are used; a volume can be made in them.
#[tokio::test]
async fn a_default_type_of_any_name_is_found_as_the_default() {
    let settings = Settings {
        default_volume_type: "__DEFAULT__".to_owned(),
        ..Settings::default()
    };
    let mut house = House::idle(settings).await;
    house.work();
    let caller = emberkeep_model::Caller {
        user_id: "u".parse().expect("is an id"),
        project_id: "p".parse().expect("is an id"),
        roles: Role::Member.implied().to_vec(),
        request_id: String::new(),
    };
    let new = NewVolume {
        size: Some(emberkeep_model::Gib(1)),
        ..NewVolume::default()
    };
    let volume = house
        .app
        .service
        .create_volume(&caller, new)
        .await
        .expect("makes");
    assert_eq!(volume.status, VolumeStatus::Creating);
    let found = house
        .app
        .service
        .volume_type(&caller, "default")
        .await
        .expect("is there");
    assert_eq!(Some(found.id), volume.volume_type_id);
}
