//! What the real Cinder recorded, entry by entry.

use std::path::{Path, PathBuf};

use emberkeep_objects::vectors::run_vectors;

/// The folder that `EMBERKEEP_VECTORS` names, else the one in this repository.
///
/// A relative name is taken from the repository's root: tests run elsewhere.
fn folder() -> PathBuf {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let named = std::env::var_os("EMBERKEEP_VECTORS");
    root.join(named.unwrap_or_else(|| "tests/vectors/cinder".into()))
}

#[test]
fn every_entry_comes_out_as_recorded() {
    let folder = folder();
    let results = run_vectors(&folder).unwrap();
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
    let passed: usize = results.iter().map(|result| result.passed).sum();
    assert!(
        passed + failures.len() > 0,
        "no entries in {}",
        folder.display()
    );
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
