//! `emberkeep repo` on real files, through the binary.

use crate::support;

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::{Bench, assert_same, noise};

const MIB: usize = 1 << 20;

/// Makes a sparse image of 40 MiB that is not a whole number of blocks long.
fn image(path: &Path) {
    let file = File::create(path).expect("the image");
    file.set_len(40 * MIB as u64 + 777).expect("its size");
    for (at, seed, length) in [
        (0, 1, 3 * MIB),
        (17 * MIB, 2, 2 * MIB + 5),
        (40 * MIB, 3, 777),
    ] {
        file.write_all_at(&noise(seed, length), at as u64)
            .expect("its data");
    }
}

fn write_at(path: &Path, offset: usize, bytes: &[u8]) {
    let file = OpenOptions::new().write(true).open(path).expect("the file");
    file.write_all_at(bytes, offset as u64).expect("written");
}

fn packs(repo: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut dirs = vec![repo.join("p")];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.components().any(|part| part.as_os_str() == "packs") {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn an_image_comes_back_as_it_was_at_each_instant() {
    let bench = Bench::new();
    let disk = bench.path("disk.img");
    image(&disk);
    bench.ok(&["repo", "init", "r"]);

    let first = bench.json(&["repo", "backup", "r", "disk.img", "--name", "monday"]);
    assert!(first["parent_id"].is_null());
    let was = bench.path("was.img");
    fs::copy(&disk, &was).expect("a copy");

    write_at(&disk, 20 * MIB, &noise(9, 300_000));
    write_at(&disk, MIB, &[0; 65_536]);
    let second = bench.json(&["repo", "backup", "r", "./disk.img", "--name", "tuesday"]);
    assert_eq!(
        second["parent_id"], first["id"],
        "the newest backup of the image is the parent"
    );
    let new = second["new_bytes"].as_u64().expect("a number");
    assert!(
        (300_000..2_000_000).contains(&new),
        "{new} new bytes for 300 KB of change"
    );

    let unchanged = bench.json(&["repo", "backup", "r", "disk.img", "--name", "same"]);
    assert_eq!(unchanged["new_bytes"], 0);
    let full = bench.json(&[
        "repo", "backup", "r", "disk.img", "--name", "full", "--full",
    ]);
    assert!(full["parent_id"].is_null());
    let list = bench.json(&["repo", "list", "r"]);
    let names: Vec<_> = list
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| &row["name"])
        .collect();
    assert_eq!(names, ["full", "same", "tuesday", "monday"]);

    bench.ok(&["repo", "restore", "r", "monday", "out1.img"]);
    assert_same(&bench.path("out1.img"), &was);
    let id = second["id"].as_str().expect("an id");
    bench.ok(&["repo", "restore", "r", &id[..13], "out2.img"]);
    assert_same(&bench.path("out2.img"), &disk);
    let room = fs::metadata(bench.path("out2.img"))
        .expect("restored")
        .blocks()
        * 512;
    assert!(
        room < 10 * MIB as u64,
        "{room} bytes on disk for 5 MiB of data: holes were filled"
    );

    let before = bench.json(&["repo", "stats", "r"]);
    assert_eq!(before["backups"], 4);
    for name in ["monday", "tuesday", "same"] {
        bench.ok(&["repo", "delete", "r", name]);
    }
    let plan = bench.json(&["repo", "sweep", "r", "--dry-run"]);
    assert_eq!(plan["dry_run"], true);
    assert_eq!(
        bench.json(&["repo", "stats", "r"])["packs"],
        before["packs"],
        "a dry run changes nothing"
    );
    bench.ok(&["repo", "sweep", "r"]);
    let after = bench.json(&["repo", "stats", "r"]);
    assert_eq!(after["backups"], 1);
    assert!(
        after["stored_bytes"].as_u64() < before["stored_bytes"].as_u64(),
        "{after}"
    );
    bench.ok(&["repo", "check", "r", "--read-data"]);
    bench.ok(&["repo", "restore", "r", "full", "out3.img"]);
    assert_same(&bench.path("out3.img"), &disk);
}

#[test]
fn a_file_that_holds_data_is_written_over_only_when_asked() {
    let bench = Bench::new();
    let disk = bench.path("disk.img");
    image(&disk);
    bench.ok(&["repo", "init", "r"]);
    bench.ok(&["repo", "backup", "r", "disk.img", "--name", "b"]);
    let length = fs::metadata(&disk).expect("there").len();
    let junk = vec![0xA5; usize::try_from(length).expect("small")];
    for (what, size) in [("as large", junk.len()), ("smaller", 1000)] {
        fs::write(bench.path("out.img"), &junk[..size]).expect("junk");
        let words = bench.fails(4, &["repo", "restore", "r", "b", "out.img"]);
        assert!(words.contains("--force"), "{words}");
        assert_eq!(
            fs::read(bench.path("out.img")).expect("there"),
            &junk[..size],
            "untouched"
        );
        bench.ok(&["repo", "restore", "r", "b", "out.img", "--force"]);
        assert_eq!(
            fs::metadata(bench.path("out.img")).expect("there").len(),
            length,
            "{what}"
        );
        assert_same(&bench.path("out.img"), &disk);
    }
    // What is larger keeps its end.
    let mut larger = junk.clone();
    larger.extend_from_slice(b"the end");
    fs::write(bench.path("out.img"), &larger).expect("junk");
    bench.ok(&["repo", "restore", "r", "b", "out.img", "--in-place"]);
    let restored = fs::read(bench.path("out.img")).expect("there");
    assert!(restored[..junk.len()] == fs::read(&disk).expect("there"));
    assert_eq!(&restored[junk.len()..], b"the end");
}

#[test]
fn what_is_not_clear_is_refused_with_its_own_code() {
    let bench = Bench::new();
    image(&bench.path("disk.img"));
    fs::create_dir(bench.path("full")).expect("a directory");
    fs::write(bench.path("full/letter.txt"), "dear").expect("a file");
    let words = bench.fails(4, &["repo", "init", "full"]);
    assert!(words.contains("letter.txt"), "{words}");
    let words = bench.fails(3, &["repo", "list", "nowhere"]);
    assert!(
        words.contains("not a repository") && words.contains("repo init"),
        "{words}"
    );

    bench.ok(&["repo", "init", "r"]);
    assert!(
        bench
            .fails(4, &["repo", "init", "r"])
            .contains("holds a repository already")
    );
    for _ in 0..2 {
        bench.ok(&["repo", "backup", "r", "disk.img", "--name", "twin"]);
    }
    let words = bench.fails(4, &["repo", "restore", "r", "twin", "out.img"]);
    assert_eq!(words.matches("  twin\n").count(), 2, "{words}");
    assert!(
        bench
            .fails(3, &["repo", "restore", "r", "nobody", "out.img"])
            .contains("'nobody'")
    );
    assert!(!bench.path("out.img").exists());
    bench.fails(
        3,
        &["repo", "backup", "r", "disk.img", "--parent", "nobody"],
    );
    bench.fails(3, &["repo", "backup", "r", "missing.img"]);
    bench.fails(
        2,
        &[
            "repo", "backup", "r", "disk.img", "--full", "--parent", "twin",
        ],
    );
    bench.fails(2, &["repo", "init", "other", "--chunk-size", "5K"]);
    bench.fails(2, &["repo"]);
}

#[test]
fn without_its_key_a_repository_stays_shut() {
    let bench = Bench::new();
    image(&bench.path("disk.img"));
    bench.ok(&["repo", "init", "r"]);
    let key = bench.path("r/master.key");
    assert_eq!(
        fs::metadata(&key).expect("made").permissions().mode() & 0o777,
        0o600
    );
    bench.ok(&["repo", "backup", "r", "disk.img", "--name", "b"]);

    bench.ok(&["repo", "init", "other"]);
    let words = bench.fails(4, &["repo", "list", "r", "--key-file", "other/master.key"]);
    assert!(words.contains("was made with master key"), "{words}");

    fs::rename(&key, bench.path("safe.key")).expect("moved");
    let words = bench.fails(4, &["repo", "backup", "r", "disk.img"]);
    assert!(
        words.contains("does not exist") && words.contains("--key-file"),
        "{words}"
    );
    assert!(
        !key.exists(),
        "a key must never be made anew over existing data"
    );
    bench.ok(&[
        "repo",
        "restore",
        "r",
        "b",
        "out.img",
        "--key-file",
        "safe.key",
    ]);
    assert_same(&bench.path("out.img"), &bench.path("disk.img"));

    fs::write(&key, "no key").expect("written");
    let mode = |mode| fs::set_permissions(&key, fs::Permissions::from_mode(mode)).expect("changed");
    mode(0o644);
    let words = bench.fails(4, &["repo", "list", "r"]);
    assert!(words.contains("chmod 600"), "{words}");
    mode(0o600);
    let words = bench.fails(4, &["repo", "list", "r"]);
    assert!(words.contains("damaged"), "{words}");
}

#[test]
fn a_flipped_byte_is_found_and_never_restored() {
    let bench = Bench::new();
    image(&bench.path("disk.img"));
    bench.ok(&["repo", "init", "r"]);
    let made = bench.json(&["repo", "backup", "r", "disk.img", "--name", "b"]);
    let id = made["id"].as_str().expect("an id");
    let repo = bench.path("r");
    let largest = packs(&repo)
        .into_iter()
        .max_by_key(|path| fs::metadata(path).expect("there").len())
        .expect("a pack");
    let mut bytes = fs::read(&largest).expect("there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::set_permissions(&largest, fs::Permissions::from_mode(0o600)).expect("writable");
    fs::write(&largest, &bytes).expect("flipped");

    let ended = bench.run(&["repo", "check", "r", "--read-data"]);
    assert_eq!(ended.code, Some(1), "{} {}", ended.out, ended.err);
    assert!(ended.out.contains(id), "{}", ended.out);
    let report = bench.run(&["repo", "check", "r", "--read-data", "-o", "json"]);
    let report: serde_json::Value = serde_json::from_str(&report.out).expect("JSON");
    assert_eq!(report["problems"][0]["backups"][0], id);

    let words = bench.fails(1, &["repo", "restore", "r", "b", "out.img"]);
    assert!(words.contains(id), "{words}");
    assert!(
        !bench.path("out.img").exists(),
        "half a restore must not look like a whole one"
    );
}

#[test]
fn a_qcow2_image_is_backed_up_as_the_disk_it_holds() {
    let bench = Bench::new();
    image(&bench.path("disk.img"));
    // qcow2 counts in sectors.
    let file = OpenOptions::new()
        .write(true)
        .open(bench.path("disk.img"))
        .expect("there");
    file.set_len(41 * MIB as u64).expect("its size");
    let converted = Command::new("qemu-img")
        .args(["convert", "-O", "qcow2"])
        .args([bench.path("disk.img"), bench.path("disk.qcow2")])
        .status()
        .expect("qemu-img has to be installed");
    assert!(converted.success());
    bench.ok(&["repo", "init", "r"]);
    bench.ok(&["repo", "backup", "r", "disk.qcow2", "--name", "q"]);
    bench.ok(&["repo", "restore", "r", "q", "out.img"]);
    assert_same(&bench.path("out.img"), &bench.path("disk.img"));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let bench = Bench::new();
    let mut child = bench
        .command(&["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    drop(child.stdout.take());
    let ended = child.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(0));
    assert!(
        ended.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
}

/// Files of the repository whose paths hold `part`.
fn stored(repo: &Path, part: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut dirs = vec![repo.join("p")];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.to_string_lossy().contains(part) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn what_the_store_lost_is_missed_and_each_refusal_names_a_way_out() {
    let bench = Bench::new();
    let (disk, repo) = (bench.path("disk.img"), bench.path("r"));
    image(&disk);
    bench.ok(&["repo", "init", "r"]);
    let mut ids = Vec::new();
    for name in ["a", "b", "c"] {
        let made = bench.json(&["repo", "backup", "r", "disk.img", "--name", name]);
        ids.push(made["id"].as_str().expect("an id").to_owned());
    }
    bench.ok(&["repo", "check", "r"]);

    // A manifest: check and sweep miss it, and --force gives it up.
    let lost = stored(&repo, &format!("manifests/{}", ids[0])).remove(0);
    fs::remove_file(&lost).expect("removed");
    let ended = bench.run(&["repo", "check", "r"]);
    assert_eq!(ended.code, Some(1), "{} {}", ended.out, ended.err);
    assert!(ended.out.contains(&ids[0]), "{}", ended.out);
    let ended = bench.run(&["repo", "sweep", "r"]);
    assert_ne!(ended.code, Some(0));
    assert!(ended.err.contains(&ids[0]), "{}", ended.err);
    assert!(ended.err.contains("repo delete --force"), "{}", ended.err);
    bench.fails(2, &["repo", "delete", "--force", "r", "a"]);
    bench.ok(&["repo", "delete", "--force", "r", &ids[0]]);
    bench.ok(&["repo", "sweep", "r"]);
    bench.ok(&["repo", "check", "r"]);

    // The index: everything is restored all the same, and it is written anew.
    for run in stored(&repo, "/index/") {
        fs::remove_file(run).expect("removed");
    }
    bench.ok(&["repo", "restore", "r", "b", "out.img"]);
    assert_same(&bench.path("out.img"), &disk);
    let ended = bench.run(&["repo", "check", "r"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.out.contains("no data is lost"), "{}", ended.out);
    assert!(ended.out.contains("--repair-index"), "{}", ended.out);
    assert!(!ended.out.contains("lost: bytes"), "{}", ended.out);
    bench.ok(&["repo", "check", "r", "--repair-index"]);
    bench.ok(&["repo", "check", "r", "--read-data"]);

    // The whole store, back to an earlier state.
    let earlier = bench.path("earlier");
    let copy = |from: &Path, to: &Path| {
        let done = std::process::Command::new("cp")
            .arg("-a")
            .args([from, to])
            .status();
        assert!(done.expect("cp runs").success());
    };
    copy(&repo, &earlier);
    bench.ok(&["repo", "backup", "r", "disk.img", "--name", "d"]);
    bench.ok(&["repo", "check", "r"]);
    fs::remove_dir_all(&repo).expect("removed");
    copy(&earlier, &repo);
    let ended = bench.run(&["repo", "check", "r"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.out.contains("rolled back"), "{}", ended.out);
    assert!(ended.out.contains("repo accept-rollback"), "{}", ended.out);
    bench.ok(&["repo", "accept-rollback", "r"]);
    bench.ok(&["repo", "check", "r"]);
    bench.ok(&["repo", "sweep", "r"]);
    bench.ok(&["repo", "restore", "r", "c", "out2.img"]);
    assert_same(&bench.path("out2.img"), &disk);
}
