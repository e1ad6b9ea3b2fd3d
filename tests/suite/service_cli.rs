//! `emberkeep serve` and the commands that talk to it, through the binary.

use crate::support;

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, Stdio};

use support::{Bench, assert_same, noise};

const MIB: usize = 1 << 20;

/// A service in the data directory `d`, stopped when dropped.
struct Served(Child);

impl Served {
    fn start(bench: &Bench) -> Self {
        Self::start_with(bench, &[])
    }

    /// Starts it with settings of its own.
    fn start_with(bench: &Bench, settings: &[(&str, String)]) -> Self {
        let mut child = bench
            .command(&["serve", "--data-dir", "d", "--listen", "127.0.0.1:0"])
            .envs(settings.iter().map(|(key, value)| (*key, value)))
            .stdout(Stdio::piped())
            .stderr(File::create(bench.path("serve.log")).expect("a log"))
            .spawn()
            .expect("the binary runs");
        let mut line = String::new();
        let out = child.stdout.take().expect("a pipe");
        BufReader::new(out).read_line(&mut line).expect("a line");
        assert!(line.starts_with("ready http://127.0.0.1:"), "{line}");
        Self(child)
    }

    /// Asks it to stop as an operator does; returns its exit code.
    fn stop(mut self) -> Option<i32> {
        let asked = Command::new("kill").arg(self.0.id().to_string()).status();
        assert!(asked.is_ok_and(|status| status.success()));
        self.0.wait().expect("it ends").code()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_volume_goes_in_is_backed_up_comes_back_and_goes_out() {
    let bench = Bench::new();
    let disk = bench.path("disk.img");
    let file = File::create(&disk).expect("the image");
    file.set_len(1 << 30).expect("its size");
    for (at, seed, length) in [
        (0, 1, 5 * MIB),
        (700 * MIB, 2, MIB + 5),
        ((1 << 30) - 9, 3, 9),
    ] {
        file.write_all_at(&noise(seed, length), at as u64)
            .expect("its data");
    }
    let served = Served::start(&bench);

    let volume = bench.json(&[
        "volume",
        "import",
        "disk.img",
        "--name",
        "web",
        "--data-dir",
        "d",
    ]);
    assert_eq!(volume["size"], 1);
    let path = bench.ok(&["--data-dir", "d", "volume", "path", "web"]);
    assert_same(path.trim_end().as_ref(), &disk);

    let made = [
        "--data-dir",
        "d",
        "backup",
        "create",
        "web",
        "--name",
        "monday",
        "--wait",
    ];
    let backup = bench.json(&made);
    assert_eq!(backup["status"], "available");
    let restore = [
        "--data-dir",
        "d",
        "backup",
        "restore",
        "monday",
        "--name",
        "again",
        "--wait",
    ];
    let restored = bench.json(&restore);
    assert_eq!(restored["done"], true);
    bench.ok(&["--data-dir", "d", "volume", "export", "again", "out.img"]);
    assert_same(&bench.path("out.img"), &disk);

    bench.ok(&[
        "--data-dir",
        "d",
        "vault",
        "create",
        "v",
        "--size",
        "10",
        "--volume",
        "web",
    ]);
    let run = bench.json(&["--data-dir", "d", "checkpoint", "create", "v", "--wait"]);
    assert_eq!(run["status"], "available");
    assert_eq!(run["backups"].as_array().map(Vec::len), Some(1));
    let tasks = bench.json(&["--data-dir", "d", "task", "list", "--status", "succeeded"]);
    assert!(tasks.as_array().is_some_and(|tasks| tasks.len() >= 3));

    let words = bench.fails(3, &["--data-dir", "d", "backup", "restore", "tuesday"]);
    assert!(words.contains("'tuesday'"), "{words}");
    let words = bench.fails(4, &["--data-dir", "d", "volume", "extend", "web", "1"]);
    assert!(
        words.contains("must be greater") && words.contains("request id: req-"),
        "{words}"
    );
    let words = bench.fails(
        4,
        &["--data-dir", "d", "volume", "export", "web", "out.img"],
    );
    assert!(words.contains("--force"), "{words}");

    let words = bench.fails(1, &["serve", "--data-dir", "d", "--listen", "127.0.0.1:0"]);
    assert!(words.contains("did not start"), "{words}");

    assert_eq!(served.stop(), Some(0));
    let id = volume["id"].as_str().expect("an id");
    assert_eq!(
        bench.ok(&["--data-dir", "d", "volume", "path", id]),
        path,
        "no service is needed"
    );
    let words = bench.fails(1, &["--data-dir", "d", "volume", "list"]);
    assert!(words.contains("is the service running?"), "{words}");
    // What the service stored can be read without it.
    let list = bench.json(&["repo", "list", "d/repository"]);
    assert_eq!(list.as_array().map(Vec::len), Some(2));
    bench.ok(&["repo", "restore", "d/repository", "monday", "offline.img"]);
    assert_same(&bench.path("offline.img"), &disk);
}

/// Splits a command line at its blanks.
fn words(line: &str) -> Vec<&str> {
    ["--data-dir", "d"]
        .into_iter()
        .chain(line.split(' '))
        .collect()
}

#[test]
fn policies_tags_quotas_and_restores_are_within_reach() {
    let bench = Bench::new();
    let served = Served::start(&bench);
    for line in [
        "volume create --size 1 web --wait",
        "vault create disks --size 10 --volume web",
        "policy create nightly --at FREQ=DAILY;INTERVAL=1;BYHOUR=1 --keep 14",
        "policy bind nightly disks",
        "policy update nightly --enabled false --keep 7",
        "tag set disks team=a env=prod",
        "tag delete disks team",
        "checkpoint create disks --name monday --wait",
    ] {
        bench.ok(&words(line));
    }
    let policy = bench.json(&words("policy show nightly"));
    assert_eq!(policy["enabled"], false);
    assert_eq!(policy["operation_definition"]["max_backups"], 7);
    let bound = policy["associated_vaults"].as_array().map(Vec::len);
    assert_eq!(bound, Some(1));
    let text = bench.ok(&words("policy list -o yaml -c name --sort name:desc"));
    assert_eq!(text, "- name: nightly\n");

    assert_eq!(bench.ok(&words("tag list -o value")), "env\tprod\n");
    let found = bench.ok(&words("tag find env=prod -o value -c resource_name"));
    assert_eq!(found, "disks\n");
    assert_eq!(bench.ok(&words("tag find env=test -o value")), "");

    let disks = bench.json(&words("protectable list"));
    assert_eq!(disks[0]["protectable"]["result"], false, "it is in a vault");
    let quota = bench.json(&words("quota set volumes=5"));
    let volumes = quota
        .as_array()
        .and_then(|rows| rows.iter().find(|row| row["resource"] == "volumes"))
        .expect("volumes are counted");
    assert_eq!(
        (&volumes["limit"], &volumes["in_use"]),
        (&5.into(), &1.into())
    );

    let told = bench.json(&words("restore monday --dry-run"));
    assert_eq!(told["done"], false);
    let done = bench.json(&words("restore monday --wait"));
    assert_eq!(
        (&done["done"], &done["volume_id"]),
        (&true.into(), &told["volume_id"])
    );

    // What would go is named, and does not go.
    let text = bench.ok(&words("vault delete disks --dry-run"));
    assert!(text.contains("1 backup"), "{text}");
    bench.ok(&words("vault show disks"));
    let text = bench.fails(3, &words("policy delete weekly"));
    assert!(
        text.contains("no policy has the name or id 'weekly'"),
        "{text}"
    );
    let text = bench.fails(2, &words("policy list --sort colour"));
    assert!(text.contains("no column 'colour'"), "{text}");
    bench.ok(&words("policy delete nightly"));
    assert_eq!(served.stop(), Some(0));
}

/// Runs what only shows something: as a table that fits into 80 columns, and as JSON.
fn shown(bench: &Bench, line: &str) {
    let told = bench
        .command(&words(line))
        .env("COLUMNS", "80")
        .output()
        .expect("the binary runs");
    let (out, err) = (
        String::from_utf8(told.stdout).expect("text"),
        String::from_utf8(told.stderr).expect("text"),
    );
    assert!(told.status.success(), "{line}: {err}");
    assert!(!out.trim().is_empty(), "{line} shows nothing");
    for row in out.lines() {
        assert!(row.chars().count() <= 80, "{line}: {row}");
    }
    let json = bench.json(&words(line));
    assert!(json.is_object() || json.is_array(), "{line}: {json}");
}

#[test]
fn every_noun_can_be_made_shown_and_brought_back() {
    let bench = Bench::new();
    let shares = bench.path("shares");
    let homes = shares.join("homes");
    fs::create_dir_all(&homes).expect("a directory");
    fs::write(homes.join("letter"), "dear all").expect("a file");
    let text = |path: &std::path::Path| path.to_str().expect("text").to_owned();
    let served = Served::start_with(
        &bench,
        &[
            ("EMBERKEEP_TURBO_ROOTS", text(&shares)),
            (
                "EMBERKEEP_REPLICAS",
                format!("RegionTwo={}", text(&bench.path("away"))),
            ),
            (
                "EMBERKEEP_NBD_LISTEN",
                format!("unix:{}", text(&bench.path("nbd"))),
            ),
        ],
    );
    let register = format!("filesystem create homes --path {}", text(&homes));
    for line in [
        "volume create --size 1 web --wait",
        "volume create --size 1 root --wait",
        "volume create --size 1 data --wait",
        "snapshot create web --name friday --wait",
        "server create host --volume root --volume data",
        &register,
        "policy create nightly --at FREQ=DAILY;INTERVAL=1;BYHOUR=1 --keep 14",
        "vault create disks --size 10 --volume web --tag team=a --policy nightly",
        "vault create servers --size 10 --server host",
        "vault create files --size 10 --filesystem homes",
        "vault create later --size 10 --kind turbo",
        "vault create copies --size 10 --for-copies",
        "checkpoint create disks --name monday --wait",
        "checkpoint create servers --name tuesday --wait",
        "checkpoint create files --name wednesday --wait",
        "project create other",
        "share create monday other",
        "export monday",
    ] {
        bench.ok(&words(line));
    }

    // Copies in another region, of one backup and of a vault.
    let begun = bench.json(&words(
        "replicate backup monday --to-region RegionTwo --to-vault copies --name away",
    ));
    assert_eq!(begun["destination_region"], "RegionTwo");
    finished(&bench);
    let begun = bench.json(&words(
        "replicate vault disks --to-region RegionTwo --to-vault copies",
    ));
    assert_eq!(
        begun["backups"],
        serde_json::json!([]),
        "it is there already"
    );
    let copies = bench.json(&words("vault show copies"));
    assert_eq!(copies["billing"]["protect_type"], "replication");

    // A file system comes back, and goes onto nothing else.
    fs::remove_file(homes.join("letter")).expect("lost");
    let told = bench.json(&words("restore wednesday --dry-run"));
    assert_eq!(told["done"], false);
    let wrong = bench.fails(2, &words("restore wednesday --volume web"));
    assert!(wrong.contains("onto a file system only"), "{wrong}");
    let done = bench.json(&words("restore wednesday --filesystem homes --wait"));
    assert_eq!(done["filesystem_id"], told["filesystem_id"]);
    assert_eq!(
        fs::read_to_string(homes.join("letter")).expect("is back"),
        "dear all"
    );
    bench.ok(&words("restore tuesday --server host --wait"));
    let none = bench.fails(3, &words("vault add files nobody"));
    assert!(none.contains("no file system has the name or id"), "{none}");

    let task = bench.json(&words("task list"))[0]["id"].clone();
    let task = format!("task show {}", task.as_str().expect("an id"));
    let run = bench.json(&words("backup show monday"));
    assert_eq!(run["name"], "monday");
    for line in [
        "volume list",
        "volume show web",
        "snapshot list",
        "snapshot show friday",
        "backup list",
        "backup show monday",
        "server list",
        "server show host",
        "filesystem list",
        "filesystem show homes",
        "vault list",
        "vault show disks",
        "vault show servers",
        "vault show later",
        "policy list",
        "policy show nightly",
        "policy preview nightly",
        "share list monday",
        "share show monday other",
        "tag list",
        "tag find team=a",
        "protectable list",
        "protectable list --kind server",
        "protectable list --kind turbo",
        "protectable show web",
        "protectable show host --kind server",
        "protectable show homes --kind turbo",
        "quota show",
        "task list",
        &task,
        "user list",
        "user show admin",
        "project list",
        "project show other",
        "role list",
        "export --list",
    ] {
        shown(&bench, line);
    }
    assert_eq!(served.stop(), Some(0));
}

/// Waits until nothing is going on.
fn finished(bench: &Bench) {
    let tasks = bench.json(&words("task list"));
    for task in tasks.as_array().expect("a list") {
        let id = task["id"].as_str().expect("an id");
        bench.ok(&words(&format!("task watch {id}")));
    }
}

#[test]
fn quickstart_works_and_works_again() {
    let bench = Bench::new();
    for _ in 0..2 {
        let args = [
            "quickstart",
            "--exit",
            "--size-mib",
            "32",
            "--listen",
            "127.0.0.1:0",
        ];
        let told = bench.ok(&args);
        assert!(told.contains("every byte as in the image"), "{told}");
    }
    let own = bench.path("emberkeep-data");
    assert!(own.join("clouds.yaml").exists());
    assert!(
        !own.join("quickstart").exists(),
        "the image it made is cleaned up"
    );
}

#[test]
fn quickstart_takes_an_image_and_leaves_it_alone() {
    let bench = Bench::new();
    let disk = bench.path("mine.raw");
    fs::write(&disk, noise(4, 3 * MIB)).expect("the image");
    let args = [
        "quickstart",
        "--exit",
        "--image",
        "mine.raw",
        "--listen",
        "127.0.0.1:0",
    ];
    let told = bench.ok(&args);
    assert!(told.contains("every byte as in the image"), "{told}");
    assert_eq!(fs::read(&disk).expect("there"), noise(4, 3 * MIB));
    let words = bench.run(&[
        "quickstart",
        "--exit",
        "--image",
        "missing.raw",
        "--listen",
        "127.0.0.1:0",
    ]);
    assert_eq!(words.code, Some(1), "{}", words.err);
    assert!(
        words.err.contains("missing.raw does not exist"),
        "{}",
        words.err
    );
}
