//! `emberkeep cinder-repo` on repositories that Cinder wrote, through the binary.

use crate::support;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::{Bench, assert_same, noise};

/// `EMBERKEEP_VECTORS`, or what lies in the source tree.
fn sets() -> Vec<PathBuf> {
    let own = || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/cinder");
    let folder = std::env::var_os("EMBERKEEP_VECTORS").map_or_else(own, PathBuf::from);
    let sets: Vec<_> = fs::read_dir(folder.join("chunked"))
        .expect("a folder of vectors")
        .map(|set| set.expect("an entry").path())
        .filter(|set| set.join("expected.json").is_file())
        .collect();
    assert!(!sets.is_empty(), "no vectors in {}", folder.display());
    sets
}

fn expected(set: &Path) -> Vec<Value> {
    let text = fs::read(set.join("expected.json")).expect("expectations");
    let mut json: Value = serde_json::from_slice(&text).expect("JSON");
    match json["backups"].take() {
        Value::Array(backups) => backups,
        other => panic!("{} is no list of backups", other),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

/// Copies a repository to where it may be damaged.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let place = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &place);
        } else {
            fs::write(place, fs::read(entry.path()).expect("a file")).expect("a copy");
        }
    }
}

#[test]
fn backups_of_cinder_are_listed_verified_and_restored() {
    for set in sets() {
        let bench = Bench::new();
        let repo = set.join("repo").display().to_string();
        let backups = expected(&set);
        let Value::Array(list) = bench.json(&["cinder-repo", "list", &repo]) else {
            panic!("{repo}: no list");
        };
        assert_eq!(list.len(), backups.len(), "{repo}");
        let Value::Array(verified) = bench.json(&["cinder-repo", "verify", &repo, "--image"])
        else {
            panic!("{repo}: no list");
        };
        assert_eq!(verified.len(), backups.len(), "{repo}");
        for backup in &backups {
            let id = text(&backup["backup_id"]);
            let what = format!("{repo}: {id}");
            let row = list.iter().find(|row| row["id"] == id).expect(&what);
            for (ours, theirs) in [
                ("parent_id", "parent_id"),
                ("container", "container"),
                ("prefix", "service_metadata"),
                ("objects", "object_count"),
                ("created_at", "created_at_str"),
            ] {
                assert_eq!(row[ours], backup[theirs], "{what}: {ours}");
            }
            let want = &backup["restore_over_junk"];
            let file = format!("{id}.raw");
            let told = bench.json(&["cinder-repo", "restore", &repo, id, &file]);
            assert_eq!(told["size_bytes"], want["length"], "{what}");
            let length = want["length"].as_u64().expect("a length");
            assert_eq!(
                fs::metadata(bench.path(&file)).expect("a file").len(),
                length,
                "{what}"
            );

            // Over what was there before, the same comes out.
            let again = bench.path("junk.raw");
            let junk = noise(7, usize::try_from(length).expect("small"));
            fs::write(&again, junk).expect("junk");
            bench.fails(4, &["cinder-repo", "restore", &repo, id, "junk.raw"]);
            bench.ok(&["cinder-repo", "restore", &repo, id, "junk.raw", "--force"]);
            assert_same(&bench.path(&file), &again);
        }
    }
}

#[test]
fn damage_is_named() {
    for set in sets() {
        let bench = Bench::new();
        let repo = bench.path("repo");
        copy(&set.join("repo"), &repo);
        let backups = expected(&set);
        let backup = &backups[0];
        let id = text(&backup["backup_id"]);
        let name = format!("{}-00001", text(&backup["service_metadata"]));
        let place = repo.join(text(&backup["container"])).join(&name);
        let mut bytes = fs::read(&place).expect("an object");
        bytes.pop();
        fs::write(&place, bytes).expect("damage");

        let ended = bench.run(&["cinder-repo", "verify", "repo"]);
        assert_eq!(ended.code, Some(1), "{}", ended.err);
        assert!(
            ended
                .out
                .contains(&format!("damage: object {name} at offset ")),
            "{}",
            ended.out
        );
        let err = bench.fails(1, &["cinder-repo", "restore", "repo", id, "out.raw"]);
        assert!(err.contains(&name), "{err}");
        assert!(!bench.path("out.raw").exists(), "half a volume has no name");
        bench.fails(3, &["cinder-repo", "restore", "repo", "nothing", "out.raw"]);
        fs::create_dir(bench.path("empty")).expect("a directory");
        bench.fails(3, &["cinder-repo", "list", "empty"]);
    }
}
