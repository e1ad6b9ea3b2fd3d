//! Whether all calls are made: those of each face of the SDK, looked for in the tests of it.

use std::collections::BTreeSet;
use std::path::Path;

/// Where the calls of each face are written down, and where they are made.
const FACES: [(&str, &str); 4] = [
    (
        "block_storage",
        concat!(
            include_str!("block_storage.rs"),
            include_str!("administration.rs"),
            include_str!("main.rs")
        ),
    ),
    (
        "cbr",
        concat!(include_str!("cbr.rs"), include_str!("native.rs")),
    ),
    ("native", include_str!("native.rs")),
    ("identity", include_str!("native.rs")),
];

/// Reads the names of the calls in a file: what asks the other side is `async` or gives pages.
fn calls(source: &str, found: &mut BTreeSet<String>) {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    for (at, _) in code.match_indices("pub ") {
        let rest = &code[at + "pub ".len()..];
        let name = |text: &str| -> String {
            let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
            text[..end.unwrap_or(text.len())].to_owned()
        };
        let head = &rest[..rest.find('{').unwrap_or(rest.len())];
        if let Some(call) = rest.strip_prefix("async fn ") {
            found.insert(name(call));
        } else if let Some(call) = rest.strip_prefix("fn ")
            && (head.contains("-> Pages<") || head.contains("-> VolumeImport"))
        {
            found.insert(name(call));
        }
    }
    // The calls that a macro makes for each kind of thing that has pairs.
    for line in code
        .lines()
        .filter(|line| line.trim_start().starts_with('"'))
    {
        if let Some((_, names)) = line.split_once("Id: ") {
            found.extend(names.split_whitespace().map(str::to_owned));
        }
    }
    found.remove("");
}

/// Reads a file, and the files of the folder of its name.
fn calls_of(face: &str) -> BTreeSet<String> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/src");
    let mut files = vec![sources.join(face).with_extension("rs")];
    let folder = sources.join(face);
    if folder.is_dir() {
        let inside = std::fs::read_dir(folder).expect("a folder");
        files.extend(inside.map(|entry| entry.expect("an entry").path()));
    }
    let mut found = BTreeSet::new();
    for file in files {
        calls(
            &std::fs::read_to_string(file).expect("a source"),
            &mut found,
        );
    }
    found
}

#[test]
fn every_call_of_the_sdk_is_made_against_the_service() {
    let mut missing = Vec::new();
    let mut sum = 0;
    for (face, tests) in FACES {
        let calls = calls_of(face);
        assert!(calls.len() > 5, "{face}: {calls:?}");
        sum += calls.len();
        for call in calls {
            let path = format!("{face}::{call}");
            if !tests.contains(&format!(".{call}(")) {
                missing.push(path);
            }
        }
    }
    assert!(missing.is_empty(), "of {sum}: {missing:?}");
    assert!(sum > 150, "all are found: {sum}");
}
