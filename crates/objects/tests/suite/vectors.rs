//! What the real Cinder recorded, entry by entry.

use std::path::{Path, PathBuf};

use emberkeep_objects::vectors::run_vectors;

/// The folder that `EMBERKEEP_VECTORS` names, else those in this repository.
///
/// A relative name is taken from the repository's root: tests run elsewhere.
fn folders() -> Vec<PathBuf> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    match std::env::var_os("EMBERKEEP_VECTORS") {
        Some(named) => vec![root.join(named)],
        None => ["cinder", "cinder_metadata"]
            .map(|name| root.join("tests/vectors").join(name))
            .to_vec(),
    }
}

#[test]
fn every_entry_comes_out_as_recorded() {
    let mut results = Vec::new();
    for folder in folders() {
        let found = run_vectors(&folder).unwrap();
        assert!(
            found.iter().any(|file| file.passed + file.failed > 0),
            "no entries in {}",
            folder.display()
        );
        results.extend(found);
    }
    let mut failures = Vec::new();
    for result in &results {
        println!(
            "{}: {} passed, {} failed, {} about something else",
            result.file, result.passed, result.failed, result.skipped
        );
        failures.extend(
            result
                .failures
                .iter()
                .map(|line| format!("{}: {line}", result.file)),
        );
    }
    assert!(
        failures.is_empty(),
        "{} entries differ:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn a_wrong_recording_is_noticed() {
    let text = r#"{"format": "records/1", "decode": [
        {"name": "right", "record": "MQ==", "result": 1},
        {"name": "wrong", "record": "MQ==", "result": 2},
        {"name": "not refused", "record": "MQ==", "error": {"type": "InvalidInput"}},
        {"name": "refused", "record": "M", "result": 1}
    ], "elsewhere": [1, 2]}"#;
    let result = emberkeep_objects::vectors::run_text("x.json", text).unwrap();
    assert_eq!((result.passed, result.failed, result.skipped), (1, 3, 2));
    assert_eq!(result.failures.len(), 3);
}

#[test]
fn a_wrong_message_is_noticed() {
    let entry = |inner: &str, beside: &str| {
        let inner = emberkeep_objects::Json::from(inner);
        format!(
            r#"{{"body": {{"oslo.version": "2.0", "oslo.message": {inner}}}, "message": {beside}}}"#
        )
    };
    let right = r#"{"method": "m", "args": {"n": 1}}"#;
    let alien = r#"{"method": "m", "args": {"b": {"versioned_object.name": "Backup", "versioned_object.namespace": "nova", "versioned_object.version": "1.7", "versioned_object.data": {}}}}"#;
    let changed = r#"{"method": "m", "args": {"b": {"versioned_object.name": "Backup", "versioned_object.namespace": "cinder", "versioned_object.version": "1.7", "versioned_object.data": {"size": "8"}}}}"#;
    let sent = [
        entry(right, right),
        entry(right, "{}"),
        entry(alien, alien),
        entry(changed, changed),
        entry("{", "{}"),
    ];
    let text = format!(r#"{{"format": "rpc/1", "sent": [{}]}}"#, sent.join(","));
    let result = emberkeep_objects::vectors::run_text("rpc.json", &text).unwrap();
    assert_eq!(
        (result.passed, result.failed),
        (1, 4),
        "{:?}",
        result.failures
    );
}

/// What a restart makes of rows that it does not touch, and of one whose key cannot be deleted.
#[test]
fn a_restart_leaves_what_it_has_to_leave() {
    let entry = |name: &str, before: &str, after: &str| {
        let row = |status: &str, host: &str, key: &str| {
            format!(
                r#"{{"backup": {{"status": {status}, "host": "{host}", "fail_reason": null, "deleted": false, "encryption_key_id": {key}}}, "volume": null}}"#
            )
        };
        let side = |words: &str| {
            let parts: Vec<&str> = words.split(' ').collect();
            row(parts[0], parts[1], parts[2])
        };
        format!(
            r#"{{"name": "{name}", "before": {}, "after": {}}}"#,
            side(before),
            side(after)
        )
    };
    let entries = [
        entry(
            "encrypted",
            "\"deleting\" backuphost1 \"k\"",
            "\"error_deleting\" backuphost1 \"k\"",
        ),
        entry(
            "null status",
            "null backuphost1 null",
            "null backuphost1 null",
        ),
        entry(
            "another host",
            "\"creating\" elsewhere null",
            "\"creating\" elsewhere null",
        ),
    ];
    let text = format!(
        r#"{{"format": "behaviour/1", "recovery": [{}]}}"#,
        entries.join(",")
    );
    let result = emberkeep_objects::vectors::run_text("behaviour.json", &text).unwrap();
    assert_eq!(
        (result.passed, result.failed),
        (3, 0),
        "{:?}",
        result.failures
    );
}
