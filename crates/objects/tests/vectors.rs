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
