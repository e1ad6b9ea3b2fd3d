//! Nothing runs in the background of the service but under a supervisor.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What starts a thread or a task, besides calls that are waited for (`spawn_blocking`).
const STARTS: [&str; 4] = [
    "tokio::spawn(",
    "thread::spawn(",
    "thread::Builder::new(",
    ".spawn(",
];

/// Where the crates of the daemon may start any, how often, and why it is no loop that could end
/// unnoticed.
const ALLOWED: [(&str, usize, &str); 6] = [
    ("service/src/task/supervisor.rs", 2, "the supervisor itself"),
    (
        "service/src/task/worker.rs",
        1,
        "claimed tasks: their worker waits for them, and their leases run out",
    ),
    (
        "service/src/volume/import.rs",
        1,
        "clean-up after an import that broke off; the start does what is left",
    ),
    (
        "service/src/exports/filling.rs",
        2,
        "fills one export; failures and panics are tried again until it is dropped",
    ),
    (
        "server/src/connections.rs",
        1,
        "one connection; its listener waits for it",
    ),
    (
        "http/src/guard.rs",
        1,
        "one request; whoever asked waits for it",
    ),
];

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            found.push(path);
        }
    }
}

/// Counts what a source starts outside of its tests.
fn starts(code: &str) -> usize {
    let code = code.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let starts = |line: &str| {
        let found = STARTS.iter().filter(|start| line.contains(**start));
        found.count().min(1)
    };
    lines.map(starts).sum()
}

#[test]
fn what_is_started_is_counted() {
    for (code, want) in [
        ("tokio::spawn(work());", 1),
        ("let t = std::thread::Builder::new()\n    .spawn(work)?;", 2),
        ("tasks.spawn(work());", 1),
        ("spawn_blocking(work).await", 0),
        ("// tokio::spawn(work())", 0),
        ("fn f() {}\n#[cfg(test)]\nmod tests { tokio::spawn(x) }", 0),
    ] {
        assert_eq!(starts(code), want, "{code}");
    }
}

#[test]
fn no_background_work_runs_outside_of_a_supervisor() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = BTreeMap::new();
    for name in ["service", "server", "http"] {
        let mut files = Vec::new();
        sources(&crates.join(name).join("src"), &mut files);
        assert!(files.len() > 5, "{name}");
        for file in files {
            let count = starts(&std::fs::read_to_string(&file).unwrap());
            if count > 0 {
                let path = file.strip_prefix(crates).unwrap();
                found.insert(path.to_string_lossy().into_owned(), count);
            }
        }
    }
    let allowed: BTreeMap<_, _> = ALLOWED
        .iter()
        .map(|(path, count, _)| ((*path).to_owned(), *count))
        .collect();
    assert_eq!(
        found, allowed,
        "make it a `Worker` and start it through a `Supervisor`, or say here why it needs none"
    );
}

/// Printing panics where nobody can read it; the daemon logs instead.
#[test]
fn the_daemon_does_not_print() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let prints = ["println!(", "print!(", "dbg!("];
    for name in [
        "catalog", "cloud", "engine", "http", "keys", "nbd", "server", "service", "store",
        "volumes",
    ] {
        let mut files = Vec::new();
        sources(&crates.join(name).join("src"), &mut files);
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            let is_test = file.file_stem().is_some_and(|stem| stem == "tests")
                || file.parent().is_some_and(|dir| dir.ends_with("tests"));
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let found = prints.iter().find(|print| code.contains(**print));
            assert!(is_test || found.is_none(), "{}: {found:?}", file.display());
        }
    }
}

/// A field that is added to a row has one place that must know it: its constructor in `model`.
#[test]
fn rows_are_made_by_their_constructors() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&source, &mut files);
    assert!(files.len() > 50);
    let mut found = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for line in code.lines().map(str::trim) {
            if makes_a_row(line) {
                found.push(format!("{}: {line}", file.display()));
            }
        }
    }
    assert_eq!(found, Vec::<String>::new(), "call the constructor");
}

/// Tells whether a line begins a struct literal of a row that has a constructor.
fn makes_a_row(line: &str) -> bool {
    ["Backup", "Task", "Volume"].iter().any(|row| {
        let begin = format!("{row} {{");
        let Some(before) = line.strip_suffix(begin.as_str()) else {
            return false;
        };
        let named = before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
        let declared = ["struct ", "impl ", "for ", "enum ", "-> "];
        !named && !declared.iter().any(|word| before.ends_with(word))
    })
}

#[test]
fn struct_literals_of_rows_are_told_from_others() {
    for (line, want) in [
        ("Backup {", true),
        ("Ok(Some(Backup {", true),
        ("let task = Task {", true),
        ("Work::Backup {", false),
        ("NewVolume {", false),
        ("impl Volume {", false),
        ("pub(crate) fn row(&self) -> Backup {", false),
        ("impl From<Row> for Task {", false),
    ] {
        assert_eq!(makes_a_row(line), want, "{line}");
    }
}
