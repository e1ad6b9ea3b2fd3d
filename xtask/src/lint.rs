//! `cargo xtask lint`: what a reviewer should not have to look for.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::layers::Graph;
use crate::process::{cargo, output, root, run, say};
use crate::shapes::hand_made;
use crate::test_files::misplaced;
use crate::times::Times;

/// Longer files are named, not refused.
const LONG_FILE_LINES: usize = 700;

/// A lint: its name, and what checks it.
pub(crate) type Lint = (&'static str, fn() -> Result<()>);

/// The name of a lint that failed.
pub(crate) type Failed = &'static str;

/// Those that compile nothing.
pub(crate) const QUICK: [Lint; 4] = [
    ("fmt", fmt),
    ("layers", layers),
    ("shapes", shapes),
    ("test files", test_files),
];

/// Those that compile the workspace: with the same features as its tests, so that what C builds is built once.
pub(crate) const COMPILED: [Lint; 2] = [("clippy", clippy), ("doc", doc)];

/// Runs every lint.
pub(crate) fn lint() -> Result<()> {
    let begun = Instant::now();
    let mut times = Times::default();
    let mut failed = run_all(&QUICK, &mut times);
    failed.extend(run_all(&COMPILED, &mut times));
    for (path, lines) in long_files(&root())? {
        say(&format!(
            "note: {} has {lines} lines; consider a second file",
            path.display()
        ));
    }
    times.print(begun.elapsed());
    if !failed.is_empty() {
        bail!("lints failed: {}", failed.join(", "));
    }
    say("lints: clean");
    Ok(())
}

/// Runs lints, also after one has failed, so that one run shows all there is; returns the names of those that failed.
pub(crate) fn run_all(lints: &[Lint], times: &mut Times) -> Vec<Failed> {
    let mut failed = Vec::new();
    for (name, check) in lints {
        if let Err(error) = times.of(&format!("lint: {name}"), check) {
            say(&format!("{name}: {error:#}"));
            failed.push(*name);
        }
    }
    failed
}

fn fmt() -> Result<()> {
    run(cargo().args(["fmt", "--all", "--check"]))
}

fn clippy() -> Result<()> {
    let all = ["clippy", "--workspace", "--all-targets", "--locked"];
    run(cargo().args(all).args(["--", "-D", "warnings"]))
}

fn doc() -> Result<()> {
    let mut command = cargo();
    command
        .args(["doc", "--workspace", "--no-deps", "--locked", "--quiet"])
        .env("RUSTDOCFLAGS", "-D warnings");
    run(&mut command)
}

fn layers() -> Result<()> {
    let tree = output(cargo().args([
        "tree",
        "--workspace",
        "--locked",
        "--edges",
        "normal",
        "--prefix",
        "depth",
    ]))?;
    let broken = Graph::read(&tree)?.broken_rules();
    for line in &broken {
        say(line);
    }
    if !broken.is_empty() {
        bail!("{} rules of dependency are broken", broken.len());
    }
    say("layers: dependencies point one way");
    Ok(())
}

fn shapes() -> Result<()> {
    let broken = hand_made(&root())?;
    for line in &broken {
        say(line);
    }
    if !broken.is_empty() {
        bail!("{} places make or read an answer by hand", broken.len());
    }
    say("shapes: each is defined once");
    Ok(())
}

fn test_files() -> Result<()> {
    let wrong = misplaced(&root())?;
    for line in &wrong {
        say(line);
    }
    if !wrong.is_empty() {
        bail!("{} test files are misplaced or forgotten", wrong.len());
    }
    say("test files: one binary a crate, and no file is forgotten");
    Ok(())
}

fn long_files(root: &Path) -> Result<Vec<(PathBuf, usize)>> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = ["src", "crates", "xtask", "tests-e2e"]
        .map(|name| root.join(name))
        .to_vec();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path
                .extension()
                .is_some_and(|kind| kind == "rs" || kind == "py")
            {
                let lines = fs::read_to_string(&path)?.lines().count();
                if lines > LONG_FILE_LINES {
                    found.push((path.strip_prefix(root).unwrap_or(&path).to_owned(), lines));
                }
            }
        }
    }
    found.sort();
    Ok(found)
}
