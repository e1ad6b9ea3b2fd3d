//! Every served operation under every role, against the table of `docs/rights.md`.
//!
//! The operations are those that the service itself lists, so that a route that is added has to choose:
//! this test fails until its row is in the table. `EMBERKEEP_BLESS=1` writes the table anew; read the
//! difference before it is committed.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::Path;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use emberkeep_catalog::{Change, Row};
use emberkeep_model::{
    ByteCount, FileSystem, FileSystemId, Gib, Message, MessageAction, MessageDetail, MessageId,
    Role, Timestamp,
};
use emberkeep_wire::native::ExtentEncoder;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::desk::{Desk, NOBODY};
use crate::house::House;

/// Who asks, least first: what the table calls them, and the user.
const ROLES: [(&str, &str); 4] = [
    ("everybody", ""),
    ("reader", "rita"),
    ("member", "alice"),
    ("admin", "root"),
];

/// What an answer says about rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// The caller may not, or may not know of the thing.
    Stopped(&'static str),
    /// The caller may.
    Done,
    /// The caller may, but the thing does not allow it as it stands.
    Refused(u16),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped(why) => f.write_str(why),
            Self::Done => f.write_str("passes"),
            Self::Refused(status) => write!(f, "passes, refused ({status})"),
        }
    }
}

/// One project with one thing of each kind, in a service whose workers rest: what is deleted stays
/// there as `deleting`, and no call finds what another one's task has left.
struct World {
    house: House,
    tokens: BTreeMap<&'static str, String>,
    projects: BTreeMap<&'static str, String>,
    ids: BTreeMap<&'static str, String>,
}

fn text(value: &Value) -> String {
    value.as_str().expect("is text").to_owned()
}

impl World {
    async fn new() -> Self {
        let desk = Desk::of(House::with_exports().await).await;
        let alpha = desk.house.app.identity.project(&desk.project).await;
        let alpha = alpha.expect("the project of the desk");
        let beta = desk.house.project("beta").await;
        let spare = desk.house.project("spare").await;
        desk.house.user("rita", &alpha, Role::Reader).await;
        desk.house.user("root", &alpha, Role::Admin).await;
        desk.house.user("otto", &beta, Role::Member).await;
        let vera = desk.house.user("vera", &alpha, Role::Member).await;
        let volume = desk.volume(b"secret").await;
        let disk = json!([{"id": volume, "type": "OS::Cinder::Volume"}]);
        let vault = text(&desk.vault("disks", disk).await["id"]);
        let policy = json!({"policy": {"name": "nightly", "operation_type": "backup", "enabled": false,
            "operation_definition": {"max_backups": 14},
            "trigger": {"properties": {"pattern": ["FREQ=DAILY;INTERVAL=1;BYHOUR=1;BYMINUTE=00"]}}}});
        let policy = text(&desk.post("/policies", policy).await["policy"]["id"]);
        let run = json!({"checkpoint": {"vault_id": vault}});
        let run = text(&desk.post("/checkpoints", run).await["checkpoint"]["id"]);
        let query = format!("/backups?checkpoint_id={run}");
        let made = desk
            .until(&query, |answer| {
                answer.json()["backups"][0]["status"] == "available"
            })
            .await;
        let backup = text(&made.json()["backups"][0]["id"]);
        let cinder = format!("/volume/v3/{}", desk.project);
        let token = desk.token.clone();
        let mut house = desk.house;
        let made = async |path: String, body: Value| {
            let (status, answer) = ask(&house, "POST", &path, &token, &body).await;
            assert!(status.is_success(), "{path}: {answer}");
            answer
        };
        let body = json!({"snapshot": {"volume_id": volume}});
        let snapshot = made(format!("{cinder}/snapshots"), body).await;
        let body = json!({"name": "web", "volumes": []});
        let server = made("/api/v1/servers".to_owned(), body).await;
        let body = json!({"attachment": {"volume_uuid": volume, "instance_uuid": NOBODY}});
        let attachment = made(format!("{cinder}/attachments"), body).await;
        let path = format!("/api/v1/exports?backup_id={backup}");
        let export = made(path, Value::Null).await;
        let path = "/api/v1/tasks?kind=backup";
        let (_, tasks) = ask(&house, "GET", path, &token, &Value::Null).await;
        let (_, types) = ask(
            &house,
            "GET",
            &format!("{cinder}/types"),
            &token,
            &Value::Null,
        )
        .await;
        house.rest().await;
        let row = house.catalog.volume(volume.parse().expect("an id")).await;
        let row = row.expect("reads").expect("is there");
        let (system, message) = (Uuid::new_v4(), Uuid::new_v4());
        let at = Timestamp(1_700_000_000_000_000);
        let rows = [
            Row::FileSystem(FileSystem {
                id: FileSystemId(system),
                project_id: alpha.id.clone(),
                user_id: row.user_id.clone(),
                name: "homes".to_owned(),
                description: None,
                path: "/srv/homes".to_owned(),
                size: Gib(1),
                metadata: BTreeMap::new(),
                created_at: at,
                updated_at: None,
                revision: 0,
            }),
            Row::Message(Message {
                id: MessageId(message),
                project_id: alpha.id.clone(),
                request_id: "req-1".to_owned(),
                resource_type: "VOLUME_BACKUP".to_owned(),
                resource_id: backup.clone(),
                action: MessageAction::CreateBackup,
                detail: MessageDetail::Unknown,
                created_at: at,
                expires_at: Timestamp(i64::MAX / 2),
                revision: 0,
            }),
        ];
        let inserts = rows.into_iter().map(Change::Insert).collect();
        house.catalog.apply(inserts).await.expect("is taken");
        let mut tokens = BTreeMap::from([("", String::new())]);
        for user in ["rita", "alice", "root", "otto"] {
            tokens.insert(user, house.token(user).await);
        }
        let found = async |collection: &str, name: &str| {
            let path = format!("/identity/v3/{collection}");
            let (_, answer) = ask(&house, "GET", &path, &tokens["root"], &Value::Null).await;
            let all = answer[collection].as_array().expect("a list").clone();
            let mut named = all
                .iter()
                .filter(|one| name.is_empty() || one["name"] == name);
            text(&named.next().expect("one of the name")["id"])
        };
        let (role, service) = (found("roles", "member").await, found("services", "").await);
        let endpoint = found("endpoints", "").await;
        let specs = format!(
            "{cinder}/types/{}/extra_specs",
            text(&types["volume_types"][0]["id"])
        );
        let specs = (specs, json!({"extra_specs": {"team": "a"}}));
        let pairs = json!({"metadata": {"team": "a"}});
        let metadata = [
            format!("{cinder}/volumes/{volume}/metadata"),
            format!("{cinder}/backups/{backup}/metadata"),
            format!(
                "{cinder}/snapshots/{}/metadata",
                text(&snapshot["snapshot"]["id"])
            ),
        ];
        let metadata = metadata.into_iter().map(|path| (path, pairs.clone()));
        let shared = json!({"members": [spare.id.to_string()]});
        let shared = (
            format!("/cbr/v3/{}/backups/{backup}/members", alpha.id),
            shared,
        );
        for (path, body) in metadata.chain([specs, shared]) {
            let (status, answer) = ask(&house, "POST", &path, &tokens["root"], &body).await;
            assert!(status.is_success(), "{path}: {answer}");
        }
        let ids = BTreeMap::from([
            ("role", role),
            ("service", service),
            ("endpoint", endpoint),
            ("volume", volume),
            ("vault", vault),
            ("policy", policy),
            ("checkpoint", run),
            ("backup", backup),
            ("snapshot", text(&snapshot["snapshot"]["id"])),
            ("server", text(&server["id"])),
            ("attachment", text(&attachment["attachment"]["id"])),
            ("export", text(&export["id"])),
            ("task", text(&tasks["tasks"][0]["id"])),
            ("type", text(&types["volume_types"][0]["id"])),
            ("system", system.to_string()),
            ("message", message.to_string()),
            ("user", vera.id.to_string()),
            ("alpha", alpha.id.to_string()),
            ("beta", beta.id.to_string()),
            ("spare", spare.id.to_string()),
        ]);
        let projects = BTreeMap::from([("otto", beta.id.to_string()), ("", alpha.id.to_string())]);
        Self {
            house,
            tokens,
            projects,
            ids,
        }
    }

    fn id(&self, kind: &str) -> &str {
        self.ids.get(kind).map_or("unknown", String::as_str)
    }

    /// Writes the path of an operation as `user` asks for it.
    fn path(&self, path: &str, user: &str) -> String {
        let project = self.projects.get(user).unwrap_or(&self.projects[""]);
        let collection = |part: &str| match part {
            "volumes" => "volume",
            "backups" => "backup",
            "vaults" | "vault" => "vault",
            "policies" => "policy",
            "checkpoints" => "checkpoint",
            "operation-logs" | "tasks" => "task",
            "servers" => "server",
            "file-systems" => "system",
            "exports" => "export",
            "instances" => "volume",
            _ => "",
        };
        let mut out = String::new();
        let mut before = "";
        for part in path.split('/').skip(1) {
            let filled = match part {
                "{project_id}" => project.as_str(),
                "{project}" if path.starts_with("/cbr") => project.as_str(),
                "{project}" => self.id("spare"),
                "{target_project_id}" => self.id("alpha"),
                "{id}" => self.id(collection(before)),
                "{volume_id}" => self.id("volume"),
                "{backup_id}" => self.id("backup"),
                "{snapshot_id}" => self.id("snapshot"),
                "{attachment_id}" => self.id("attachment"),
                "{type_id}" => self.id("type"),
                "{message_id}" => self.id("message"),
                "{user}" => self.id("user"),
                "{role}" => self.id("role"),
                "{service}" => self.id("service"),
                "{endpoint}" => self.id("endpoint"),
                "{domain}" => "default",
                "{region}" => "RegionOne",
                "{class_name}" => "default",
                "{verb}" => "enable",
                "{name}" if before == "protectables" => "disk",
                "{name}" if before == "cbr-features" => "replication.enable",
                "{name}" if before == "members" => self.id("spare"),
                "{name}" | "{key}" => "team",
                "{alias}" => "backups",
                other => other,
            };
            let _ = write!(out, "/{filled}");
            before = part;
        }
        out
    }

    /// Returns a body that is well formed, where one is taken, and a query.
    fn body(&self, method: &str, path: &str) -> (Value, String) {
        let id = |kind| json!(self.id(kind));
        let end = path.rsplit_once('}').map_or(path, |(_, end)| end);
        let end = if end.is_empty() { path } else { end };
        let end = end
            .trim_start_matches("/volume/v3")
            .trim_start_matches("/cbr/v3");
        let pair = json!({"team": "a"});
        let body = match (method, end) {
            ("get" | "delete", _) => Value::Null,
            (_, "/backups") if path.contains("volume") => {
                json!({"backup": {"volume_id": id("volume"), "force": true}})
            }
            (_, "/restore") if path.starts_with("/cbr") => {
                json!({"restore": {"volume_id": id("volume")}})
            }
            (_, "/restore") => json!({"restore": {}}),
            (_, "/metadata") => json!({"metadata": pair}),
            (_, "/extra_specs") => json!({"extra_specs": pair}),
            (_, "/volumes") if path.starts_with("/volume") => json!({"volume": {"size": 1}}),
            (_, "/snapshots") => json!({"snapshot": {"volume_id": id("volume"), "force": true}}),
            (_, "/attachments") => {
                json!({"attachment": {"volume_uuid": id("volume"), "instance_uuid": NOBODY}})
            }
            (_, "/types") => json!({"volume_type": {"name": "fast"}}),
            (_, "/backups/import_record") => {
                json!({"backup-record": {"backup_service": "x", "backup_url": "e30="}})
            }
            (_, "/vaults") => {
                json!({"vault": {"name": "v", "resources": [], "billing": {"object_type": "disk",
                "protect_type": "backup", "consistent_level": "crash_consistent", "size": 100}}})
            }
            (_, "/addresources") => {
                json!({"resources": [{"id": id("volume"), "type": "OS::Cinder::Volume"}]})
            }
            (_, "/removeresources") => json!({"resource_ids": [id("volume")]}),
            (_, "/set-resources") => json!({"resource_ids": [id("volume")], "action": "suspend"}),
            (_, "/migrateresources") => {
                json!({"destination_vault_id": NOBODY, "resource_ids": [id("volume")]})
            }
            (_, "/update-backup-expiration-time") => {
                json!({"expect_expiration_date": "2099-12-31", "time_zone": "UTC+02:00"})
            }
            (_, "/associatepolicy" | "/dissociatepolicy") => json!({"policy_id": id("policy")}),
            (_, "/policies") => json!({"policy": {"name": "p", "operation_type": "backup",
                "operation_definition": {"max_backups": 14},
                "trigger": {"properties": {"pattern": ["FREQ=DAILY;INTERVAL=1;BYHOUR=1;BYMINUTE=00"]}}}}),
            (_, "/tags") => json!({"tag": {"key": "team", "value": "a"}}),
            (_, "/tags/action") => {
                json!({"action": "create", "tags": [{"key": "tier", "value": "b"}]})
            }
            (_, "/vault/resource_instances/action") => json!({"action": "filter"}),
            (_, "/members") => json!({"members": [id("spare")]}),
            (_, "/checkpoints") => json!({"checkpoint": {"vault_id": id("vault")}}),
            (_, "/zone") => json!({"zone": "Europe/Berlin"}),
            (_, "/preview") => json!({}),
            (_, "/freeze") => json!({"reason": "hold"}),
            (_, "/api/v1/servers") => json!({"name": "s", "volumes": []}),
            (_, "/volumes/remove") => json!({"volumes": [id("volume")]}),
            (_, "/api/v1/file-systems") => json!({"name": "f", "path": "/srv/f"}),
            (_, "/identity/v3/projects") => json!({"project": {"name": "gamma"}}),
            (_, "/identity/v3/users") => json!({"user": {"name": "gus", "password": "gus"}}),
            (_, "/application_credentials") => json!({"application_credential": {"name": "a"}}),
            (_, "/password") => json!({"user": {"original_password": "vera", "password": "new"}}),
            _ => self.body_of_one(method, path),
        };
        let query = match path {
            "/api/v1/erase" => format!("?project_id={}", self.id("alpha")),
            "/api/v1/exports" if method == "post" => format!("?backup_id={}", self.id("backup")),
            "/api/v1/volumes/import" => "?size_bytes=1073741824&name=x".to_owned(),
            _ => String::new(),
        };
        (body, query)
    }

    /// The same of operations on one thing.
    fn body_of_one(&self, method: &str, path: &str) -> Value {
        let named = |key: &str| json!({key: {"name": "other"}});
        match (method, path) {
            ("post", path) if path.ends_with("volumes/{volume_id}/action") => {
                json!({"os-extend": {"new_size": 2}})
            }
            ("post", path) if path.ends_with("{snapshot_id}/action") => {
                json!({"os-reset_status": {"status": "available"}})
            }
            ("post", path) if path.ends_with("{backup_id}/action") => {
                json!({"os-reset_status": {"status": "available"}})
            }
            ("post", path) if path.ends_with("{attachment_id}/action") => {
                json!({"os-complete": {}})
            }
            ("post", path) if path.ends_with("{type_id}/action") => {
                json!({"addProjectAccess": {"project": self.id("beta")}})
            }
            (_, path) if path.ends_with("/metadata/{key}") => json!({"meta": {"team": "a"}}),
            (_, path) if path.ends_with("/extra_specs/{key}") => json!({"team": "a"}),
            ("put", path) if path.ends_with("{attachment_id}") => {
                json!({"attachment": {"connector": {"host": "h"}}})
            }
            ("put", path) if path.ends_with("volumes/{volume_id}") => named("volume"),
            ("put", path) if path.ends_with("{snapshot_id}") => named("snapshot"),
            ("put", path) if path.ends_with("{backup_id}") => named("backup"),
            ("put", path) if path.ends_with("{type_id}") => {
                json!({"volume_type": {"description": "other"}})
            }
            ("put", path) if path.ends_with("vaults/{id}") => named("vault"),
            ("put", path) if path.ends_with("policies/{id}") => named("policy"),
            ("put", path) if path.ends_with("backups/{id}") => named("backup"),
            ("put", path) if path.ends_with("members/{name}") => json!({"status": "rejected"}),
            ("put", path) if path.ends_with("os-quota-sets/{target_project_id}") => {
                json!({"quota_set": {"volumes": -1}})
            }
            ("put", path) if path.ends_with("{class_name}") => {
                json!({"quota_class_set": {"volumes": -1}})
            }
            ("put", path) if path.ends_with("{verb}") => {
                json!({"binary": "cinder-backup", "host": "emberkeep"})
            }
            ("patch", path) if path.ends_with("{project}") => named("project"),
            ("patch", path) if path.ends_with("{user}") => named("user"),
            ("put", path) if path.ends_with("batch-update") => {
                json!({"vault_ids": [self.id("vault")], "vault": {"threshold": 80}})
            }
            ("post", path) if path.ends_with("backups/sync") => {
                json!({"sync": [{"backup_id": self.id("backup")}]})
            }
            ("post", path) if path.ends_with("checkpoints/sync") => {
                json!({"sync": {"vault_id": self.id("vault")}})
            }
            ("post", "/identity/v3/auth/tokens") => {
                let user = json!({"name": "vera", "domain": {"id": "default"}, "password": "vera"});
                json!({"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}})
            }
            ("post", path) if path.ends_with("/replicate") => json!({"replicate": {
                "vault_id": self.id("vault"), "destination_region": "x", "destination_project_id": self.id("alpha"),
                "destination_vault_id": NOBODY}}),
            ("post", path) if path.ends_with("servers/{id}/volumes") => {
                json!({"volumes": [self.id("volume")]})
            }
            _ => Value::Null,
        }
    }

    /// Asks as `user`; says what the answer means.
    async fn outcome(&self, method: &str, path: &str, user: &str) -> Outcome {
        let (body, query) = self.body(method, path);
        let place = format!("{}{query}", self.path(path, user));
        let method = method.to_uppercase();
        let (status, _) = ask(&self.house, &method, &place, &self.tokens[user], &body).await;
        match status {
            StatusCode::UNAUTHORIZED => Outcome::Stopped("must sign in"),
            StatusCode::FORBIDDEN => Outcome::Stopped("forbidden"),
            StatusCode::NOT_FOUND => Outcome::Stopped("not found"),
            status if status.is_success() || status.is_redirection() => Outcome::Done,
            status => Outcome::Refused(status.as_u16()),
        }
    }
}

/// Sends a request in the newest microversion and reads its JSON answer; null if it is not JSON.
async fn ask(
    house: &House,
    method: &str,
    path: &str,
    token: &str,
    body: &Value,
) -> (StatusCode, Value) {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "ember.test:8776")
        .header("openstack-api-version", "volume 3.71");
    if !token.is_empty() {
        request = request.header("x-auth-token", token);
    }
    let body = if path.starts_with("/api/v1/volumes/import") {
        let (encoder, mut stream) = {
            let (encoder, head) = ExtentEncoder::new(ByteCount(1 << 30));
            (encoder, head.to_vec())
        };
        stream.extend_from_slice(&encoder.end());
        Body::from(stream)
    } else if body.is_null() {
        Body::empty()
    } else {
        request = request.header("content-type", "application/json");
        Body::from(body.to_string())
    };
    let answer = house.send(request.body(body).expect("is a request")).await;
    let json = serde_json::from_slice(&answer.body).unwrap_or_default();
    (answer.status, json)
}

/// Reads before changes, changes before deletions: each finds what it is about.
fn turn(method: &str) -> u8 {
    match method {
        "get" => 0,
        "post" | "put" | "patch" => 1,
        _ => 2,
    }
}

#[tokio::test]
async fn every_operation_under_every_role() {
    let world = World::new().await;
    let (_, document) = ask(&world.house, "GET", "/openapi.json", "", &Value::Null).await;
    let mut operations: Vec<(String, String)> = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        // The same operation is served without the project, too.
        if path.starts_with("/volume/v3/") && !path.contains("{project_id}") {
            let twin = path.replacen("/volume/v3/", "/volume/v3/{project_id}/", 1);
            if document["paths"].get(&twin).is_some() {
                continue;
            }
        }
        for method in methods.as_object().expect("methods").keys() {
            operations.push((path.clone(), method.clone()));
        }
    }
    operations.sort_by_key(|(path, method)| (turn(method), path.clone(), method.clone()));
    let (mut rows, mut unclear) = (BTreeMap::new(), Vec::new());
    for (path, method) in operations {
        let other = world.outcome(&method, &path, "otto").await;
        let mut least = "-".to_owned();
        for (role, user) in ROLES {
            match world.outcome(&method, &path, user).await {
                Outcome::Stopped(_) => continue,
                Outcome::Done => least = role.to_owned(),
                Outcome::Refused(status) => {
                    // A body that is not well-formed is refused before anybody is asked for a role.
                    if method != "get" && matches!(role, "everybody" | "reader") {
                        unclear.push(format!("{method} {path}: {role} {status}"));
                    }
                    least = format!("{role} ({status})");
                }
            }
            break;
        }
        rows.insert((path, turn(&method), method), (least, other));
    }
    assert!(
        unclear.is_empty(),
        "say in `World::body` what they take: {unclear:#?}"
    );
    let mut table = String::new();
    for ((path, _, method), (least, other)) in rows {
        let _ = writeln!(
            table,
            "| `{} {path}` | {least} | {other} |",
            method.to_uppercase()
        );
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rights.md");
    let written = std::fs::read_to_string(&file).expect("docs/rights.md");
    let (head, _) = written.split_once(BEGIN).expect("the head of the table");
    let wanted = format!("{head}{BEGIN}{table}");
    if std::env::var_os("EMBERKEEP_BLESS").is_some() {
        std::fs::write(&file, wanted).expect("is written");
        return;
    }
    let (had, has): (Vec<_>, Vec<_>) = (written.lines().collect(), wanted.lines().collect());
    let new: Vec<_> = has.iter().filter(|line| !had.contains(line)).collect();
    let old: Vec<_> = had.iter().filter(|line| !has.contains(line)).collect();
    assert!(
        new.is_empty() && old.is_empty(),
        "docs/rights.md says otherwise (EMBERKEEP_BLESS=1 writes it anew)\nserved: {new:#?}\nwritten: {old:#?}"
    );
}

/// What stands before the rows.
const BEGIN: &str =
    "| operation | least role | a member of another project |\n| --- | --- | --- |\n";
