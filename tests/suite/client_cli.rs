//! The command line as a client of a cloud that is not Emberkeep: what each noun says at 80 and at
//! 200 columns, and what waiting looks like.
//!
//! The cloud answers with the shapes that public clouds have; what is printed stands in
//! `golden/`. With `UPDATE_GOLDEN=1` it is written there anew.

#[allow(dead_code, reason = "each test file uses a part of it")]
use crate::support;

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::{Value, json};
use support::Bench;
use support::cloud::{Cloud, Reply, sign_in, versions};

const VOLUME: &str = "b0a7c1d2-3e4f-4a5b-8c6d-7e8f9a0b1c2d";
const BACKUP: &str = "e3b1f5c4-8d2a-4b7e-9f60-0a1b2c3d4e5f";
const HOMES: &str = "3d0a1b2c-4e5f-4a6b-8c7d-9e0f1a2b3c4d";
const HOMES_BACKUP: &str = "6a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d";
const TASK: &str = "41d0a6e2-7b8c-4c9d-8e0f-1a2b3c4d5e6f";

macro_rules! shape {
    ($name:literal, $key:literal) => {
        serde_json::from_str::<Value>(include_str!(concat!(
            "../../crates/wire/tests/cbr_shapes/",
            $name,
            ".json"
        )))
        .expect("a shape")[$key]
            .clone()
    };
}

fn volume(id: &str, name: &str) -> Value {
    json!({"id": id, "name": name, "description": null, "size": 20, "status": "available", "bootable": "false",
        "volume_type": "SSD", "created_at": "2026-03-01T08:00:00.000000", "metadata": {}, "snapshot_id": null,
        "source_volid": null, "os-volume-replication:extended_status": null})
}

fn cinder_backup(status: &str) -> Value {
    json!({"id": BACKUP, "name": "before-upgrade", "description": "by hand", "volume_id": VOLUME, "snapshot_id": null,
        "size": 20, "status": status, "container": "volumebackups", "is_incremental": true, "has_dependent_backups": false,
        "object_count": 22, "fail_reason": null, "created_at": "2026-03-01T09:40:12.030518",
        "data_timestamp": "2026-03-01T09:40:12.030518"})
}

/// A file system that can be protected, a vault for such, and a backup of it.
fn homes(what: &str) -> Value {
    let mut shown = match what {
        "instance" => shape!("documented/protectable", "instance"),
        "vault" => shape!("documented/vault", "vault"),
        _ => shape!("documented/backup", "backup"),
    };
    match what {
        "instance" => {
            shown["id"] = json!(HOMES);
            shown["name"] = json!("homes");
            shown["type"] = json!("OS::Sfs::Turbo");
        }
        "vault" => {
            shown["name"] = json!("file-systems");
            shown["billing"]["object_type"] = json!("turbo");
            shown["resources"] = json!([{"id": HOMES, "name": "homes", "type": "OS::Sfs::Turbo",
                "protect_status": "available", "backup_count": 0}]);
        }
        _ => {
            shown["id"] = json!(HOMES_BACKUP);
            shown["name"] = json!("homes-monday");
            shown["resource_type"] = json!("OS::Sfs::Turbo");
            shown["resource_id"] = json!(HOMES);
            shown["resource_name"] = json!("homes");
        }
    }
    shown
}

/// What a cloud without Emberkeep's own API answers.
fn elsewhere(line: &str) -> Reply {
    let list = |key: &str, items: Value| Reply::Json(200, json!({key: items, "count": 1}));
    let path = line.split_once(' ').map_or(line, |(_, path)| path);
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let snapshot = json!({"id": "c1b8d2e3-3e4f-4a5b-8c6d-7e8f9a0b1c2d", "name": "friday", "volume_id": VOLUME, "size": 20,
        "status": "available", "created_at": "2026-03-01T08:30:00.000000"});
    let mut huge = volume(
        "9e6f2a70-0c11-4f8b-8d0e-6f1f5b8f3a10",
        "a volume with a name that is much longer than people should give, but they do",
    );
    huge["status"] = json!("in-use");
    match path {
        "/volume/v3/p/volumes/detail" => list("volumes", json!([volume(VOLUME, "data-1"), huge])),
        "/volume/v3/p/snapshots/detail" => list("snapshots", json!([snapshot])),
        "/volume/v3/p/backups/detail" => list("backups", json!([cinder_backup("available")])),
        "/volume/v3/p/os-quota-sets/p" => Reply::Json(
            200,
            json!({"quota_set": {"id": "p", "backups": {"limit": 10, "in_use": 3, "reserved": 0},
                "backup_gigabytes": {"limit": -1, "in_use": 60, "reserved": 20}}}),
        ),
        "/cbr/v3/p/vaults" if line.starts_with("POST ") => {
            Reply::Json(200, json!({"vault": homes("vault")}))
        }
        "/cbr/v3/p/protectables/turbo/instances" => list("instances", json!([homes("instance")])),
        "/cbr/v3/p/backups" if line.contains("name=homes-monday") => {
            list("backups", json!([homes("backup")]))
        }
        _ if path == format!("/cbr/v3/p/backups/{HOMES_BACKUP}") => {
            Reply::Json(200, json!({"backup": homes("backup")}))
        }
        "/cbr/v3/p/vaults" => list(
            "vaults",
            json!([
                shape!("documented/vault", "vault"),
                shape!("otc/vault", "vault")
            ]),
        ),
        "/cbr/v3/p/backups" => list("backups", json!([shape!("documented/backup", "backup")])),
        "/cbr/v3/p/policies" => list(
            "policies",
            json!([
                shape!("documented/policy", "policy"),
                shape!("otc/policy", "policy")
            ]),
        ),
        "/cbr/v3/p/operation-logs" => list(
            "operation_logs",
            json!([
                shape!("otc/task", "operation_log"),
                shape!("huawei/task", "operation_log")
            ]),
        ),
        "/cbr/v3/p/protectables/disk/instances" => list(
            "instances",
            json!([shape!("documented/protectable", "instance")]),
        ),
        "/cbr/v3/p/vault/tags" => Reply::Json(
            200,
            json!({"tags": [{"key": "env", "values": ["prod", "test"]}]}),
        ),
        _ if path == format!("/cbr/v3/p/backups/{BACKUP}") => Reply::Json(
            200,
            json!({"backup": shape!("documented/backup", "backup")}),
        ),
        _ if path.ends_with("/members") => {
            list("members", json!([shape!("documented/member", "member")]))
        }
        _ if path.starts_with("/cbr/v3/p/checkpoints/") => Reply::Json(
            200,
            json!({"checkpoint": shape!("documented/checkpoint", "checkpoint")}),
        ),
        _ if path.starts_with("/cbr/v3/p/operation-logs/") => Reply::Json(
            200,
            json!({"operation_log": shape!("huawei/task", "operation_log")}),
        ),
        _ if path.starts_with("/api/v1/") => Reply::Raw(
            "HTTP/1.1 404 Not Found\r\nContent-Length: 13\r\nConnection: close\r\n\r\n<html>no</html>",
        ),
        _ => Reply::Json(
            404,
            json!({"itemNotFound": {"code": 404, "message": format!("No {path}.")}}),
        ),
    }
}

fn serve(reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> (Bench, Cloud) {
    let cloud = Cloud::start(move |url, line| match line {
        "POST /identity/v3/auth/tokens" => sign_in(url, &["volumev3", "cbr"]),
        "GET /volume/v3/" => versions(),
        _ => reply(line),
    });
    let bench = Bench::new();
    std::fs::write(bench.path("clouds.yaml"), cloud.yaml()).expect("written");
    (bench, cloud)
}

#[test]
fn every_noun_works_with_another_cloud_at_80_and_at_200_columns() {
    let (bench, _cloud) = serve(elsewhere);
    for columns in ["80", "200"] {
        let mut told = String::new();
        for line in [
            "volume list",
            "volume show data-1",
            "snapshot list",
            "backup list",
            "backup show before-upgrade",
            "backup restore before-upgrade --volume data-1 --dry-run",
            "backup delete before-upgrade --dry-run",
            "vault list --sort billing.used:desc",
            "vault show disks-a",
            "vault remove disks-a data-1 --dry-run",
            "checkpoint show 7c9e6a10-1f2b-4d3c-9e8a-5b6c7d8e9f01",
            "restore before-upgrade --dry-run",
            "policy list",
            "task list",
            "task show 41d0a6e2-7b8c-4c9d-8e0f-1a2b3c4d5e6f",
            "share list before-upgrade",
            "tag list",
            "protectable list",
            "quota show",
            "vault list -o value -c name -c billing.used",
            "vault list -o yaml -c id -c billing.size",
            "volume list -o json -c name",
            "volume show twins",
            "protectable list --kind turbo",
            "vault create file-systems --size 100 --filesystem homes",
            "restore homes-monday --dry-run",
            "restore homes-monday --volume data-1",
            "snapshot delete friday",
        ] {
            let args: Vec<_> = line.split(' ').collect();
            let ended = bench
                .command(&args)
                .env("COLUMNS", columns)
                .output()
                .expect("the binary runs");
            let out = String::from_utf8(ended.stdout).expect("text");
            let err = String::from_utf8(ended.stderr).expect("text");
            assert!(
                !out.contains('\u{1b}'),
                "{line} writes more than text into a pipe"
            );
            told += &format!("$ emberkeep {line}\n{out}{err}");
            if ended.status.code() != Some(0) {
                told += &format!("[{}]\n", ended.status.code().unwrap_or(-1));
            }
            told.push('\n');
        }
        if columns == "80" {
            let wide: Vec<_> = told
                .lines()
                .filter(|line| line.chars().count() > 80)
                .collect();
            // What was typed, sentences and JSON wrap by themselves.
            let tables = wide
                .iter()
                .filter(|line| !line.starts_with(['$', ' ']) && !line.starts_with("would "))
                .filter(|line| !line.starts_with("emberkeep: "));
            assert_eq!(tables.count(), 0, "{wide:#?}");
        }
        golden(&format!("client_{columns}.txt"), &told);
    }
}

/// Compares with what stands in a file.
fn golden(name: &str, told: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, told).expect("written");
    }
    let want = std::fs::read_to_string(&file).unwrap_or_default();
    for (at, (told, want)) in told.lines().zip(want.lines()).enumerate() {
        assert_eq!(
            told,
            want,
            "{name}:{}; UPDATE_GOLDEN=1 writes it anew",
            at + 1
        );
    }
    assert_eq!(
        told.len(),
        want.len(),
        "{name}; UPDATE_GOLDEN=1 writes it anew"
    );
}

#[test]
fn several_are_made_and_waited_for_together() {
    let asked = AtomicU64::new(0);
    let (bench, cloud) = serve(move |line| match line {
        "POST /volume/v3/p/backups" => Reply::Json(202, json!({"backup": {"id": BACKUP}})),
        _ if line.starts_with("GET /volume/v3/p/volumes/detail?name=") => {
            let name = line.rsplit('=').next().unwrap_or_default();
            Reply::Json(200, json!({"volumes": [volume(VOLUME, name)]}))
        }
        _ if line.starts_with("GET /volume/v3/p/backups/") => {
            let ready = asked.fetch_add(1, Relaxed) > 3;
            let status = if ready { "available" } else { "creating" };
            Reply::Json(200, json!({"backup": cinder_backup(status)}))
        }
        _ => elsewhere(line),
    });
    let made = bench.json(&[
        "backup", "create", "web", "db", "--name", "nightly", "--wait",
    ]);
    assert_eq!(made.as_array().map(Vec::len), Some(2));
    assert_eq!(made[1]["status"], "available");
    let orders = cloud
        .asked()
        .iter()
        .filter(|line| line.starts_with("POST /volume/v3/p/backups"))
        .count();
    assert_eq!(orders, 2);
    // A slip in one name leaves nothing half begun.
    let before = cloud.asked().len();
    bench.fails(2, &["backup", "create", "--wait"]);
    assert_eq!(cloud.asked().len(), before);
}

#[test]
fn a_restore_that_the_cloud_names_no_task_for_is_followed_in_its_log() {
    let asked = AtomicU64::new(0);
    let (bench, cloud) = serve(move |line| {
        if line == format!("POST /cbr/v3/p/backups/{BACKUP}/restore") {
            return Reply::Raw(
                "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            );
        }
        let task = |id: &str, status: &str| {
            json!({"id": id, "operation_type": "restore", "status": status,
                "error_info": {"code": "BackupService.2011", "message": "the disk went away"},
                "extra_info": {"restore": {"backup_id": BACKUP}}})
        };
        if line.starts_with("GET /cbr/v3/p/operation-logs?") {
            let mut all = vec![task("old", "success")];
            // Not at once, and the backup looks as it always did.
            if asked.fetch_add(1, Relaxed) > 1 {
                all.insert(0, task(TASK, "running"));
            }
            return Reply::Json(200, json!({"operation_logs": all, "count": all.len()}));
        }
        if line == format!("GET /cbr/v3/p/operation-logs/{TASK}") {
            return Reply::Json(200, json!({"operation_log": task(TASK, "failed")}));
        }
        elsewhere(line)
    });
    let told = bench.fails(1, &["restore", "before-upgrade", "--wait"]);
    assert!(told.contains("the disk went away"), "{told}");
    let asked = cloud.asked();
    assert!(
        !asked
            .iter()
            .any(|line| line.ends_with("operation-logs/old")),
        "{asked:#?}"
    );
}

/// A terminal; what is shown on it is gathered until nobody has it open any more.
struct Terminal {
    other: File,
    seen: Arc<Mutex<String>>,
}

impl Terminal {
    fn open() -> Self {
        let own = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&own).expect("granted");
        unlockpt(&own).expect("unlocked");
        let name = ptsname(&own, Vec::new()).expect("its name");
        let other = File::options()
            .read(true)
            .write(true)
            .open(name.to_str().expect("text"))
            .expect("its other side");
        let size = rustix::termios::Winsize {
            ws_row: 24,
            ws_col: 80,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        rustix::termios::tcsetwinsize(&own, size).expect("its size");
        let seen = Arc::new(Mutex::new(String::new()));
        let sink = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut own = File::from(own);
            let mut piece = [0; 4096];
            while let Ok(read @ 1..) = own.read(&mut piece) {
                sink.lock()
                    .expect("sound")
                    .push_str(&String::from_utf8_lossy(&piece[..read]));
            }
        });
        Self { other, seen }
    }

    fn side(&self) -> Stdio {
        self.other.try_clone().expect("a handle").into()
    }

    fn seen(&self) -> String {
        self.seen.lock().expect("sound").clone()
    }

    /// Waits until something is shown.
    fn shows(&self, words: &str) {
        let begun = Instant::now();
        while !self.seen().contains(words) {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "no '{words}' in {:?}",
                self.seen()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Emberkeep's own account of a backup that has come so far.
fn own_task(done: u64) -> Value {
    json!({"id": TASK, "kind": "backup", "status": "running", "reason": null, "cancel_asked": false, "project_id": "5b1e9d0c7a3f4e2d8c6b0a1f2e3d4c5b", "user_id": "9c8b7a6f5e4d3c2b1a0f9e8d7c6b5a40",
        "request_id": "req-1", "progress": {"percent": done / 10, "bytes_done": done << 20, "bytes_total": 1000_u64 << 20, "bytes_per_sec": 1 << 20, "seconds_left": 9},
        "volume": null, "backup": {"id": BACKUP, "name": "before-upgrade"}, "vault": null, "checkpoint_id": null,
        "created_at": "2026-03-01T09:40:12.030518Z", "started_at": null, "updated_at": "2026-03-01T09:40:12.030518Z", "ended_at": null})
}

#[test]
fn waiting_shows_how_far_it_is_and_ctrl_c_leaves_it_going() {
    let done = AtomicU64::new(100);
    let (bench, cloud) = serve(move |line| match line {
        "POST /volume/v3/p/backups" => Reply::Json(202, json!({"backup": {"id": BACKUP}})),
        _ if line.starts_with("GET /volume/v3/p/backups/") => {
            Reply::Json(200, json!({"backup": cinder_backup("creating")}))
        }
        _ if line.starts_with("GET /api/v1/tasks/") => Reply::Json(200, own_task(500)),
        _ if line.starts_with("GET /api/v1/tasks") => Reply::Json(
            200,
            json!({"tasks": [own_task(done.fetch_add(5, Relaxed))], "count": 1}),
        ),
        _ => elsewhere(line),
    });
    for (args, label) in [
        (
            &["backup", "create", "data-1", "--name", "monday", "--wait"][..],
            "backing up [",
        ),
        (&["task", "watch", TASK], "task 41d0a6e2"),
    ] {
        let terminal = Terminal::open();
        let mut child = bench
            .command(args)
            .env("TERM", "xterm")
            .stdout(Stdio::null())
            .stderr(terminal.side())
            .spawn()
            .expect("the binary runs");
        terminal.shows(label);
        for words in [" of 1000", " left"] {
            terminal.shows(words);
        }
        let asked = Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status();
        assert!(asked.is_ok_and(|status| status.success()));
        assert_eq!(child.wait().expect("it ends").code(), Some(1), "{args:?}");
        terminal.shows(&format!("emberkeep task watch {TASK}"));
        terminal.shows(&format!("emberkeep task cancel {TASK}"));
        assert!(terminal.seen().contains("the service goes on with it"));
    }
    let destroys = |line: &String| line.contains("cancel") || line.starts_with("DELETE");
    assert!(
        !cloud.asked().iter().any(destroys),
        "nothing is stopped: {:?}",
        cloud.asked()
    );
}

#[test]
fn what_has_no_bytes_shows_that_it_goes_on() {
    let (bench, cloud) = serve(move |line| match line {
        _ if line.starts_with("GET /cbr/v3/p/vaults/") => {
            Reply::Json(200, json!({"vault": shape!("documented/vault", "vault")}))
        }
        _ if line.starts_with("DELETE /cbr/v3/p/vaults/") => Reply::Json(204, Value::Null),
        _ => elsewhere(line),
    });
    let terminal = Terminal::open();
    let mut child = bench
        .command(&["vault", "delete", "disks-a", "--wait", "--timeout", "2"])
        .env("TERM", "xterm")
        .stdout(Stdio::null())
        .stderr(terminal.side())
        .spawn()
        .expect("the binary runs");
    terminal.shows("deleting … ");
    assert_eq!(
        child.wait().expect("it ends").code(),
        Some(5),
        "{}",
        terminal.seen()
    );
    terminal.shows("deleting: not done after 2 s");
    assert!(cloud.asked().iter().any(|line| line.starts_with("DELETE")));
}

#[test]
fn no_color_means_none() {
    let bench = Bench::new();
    for (no_color, colours) in [(true, false), (false, true)] {
        let terminal = Terminal::open();
        let mut command = bench.command(&["volume", "lift"]);
        command
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .stderr(terminal.side());
        if no_color {
            command.env("NO_COLOR", "1");
        }
        let mut child = command
            .stdout(Stdio::null())
            .spawn()
            .expect("the binary runs");
        assert_eq!(child.wait().expect("it ends").code(), Some(2));
        terminal.shows("--help");
        assert_eq!(
            terminal.seen().contains("\u{1b}["),
            colours,
            "{:?}",
            terminal.seen()
        );
    }
}
