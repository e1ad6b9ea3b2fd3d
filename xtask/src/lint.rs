//! `cargo xtask lint`: what a reviewer should not have to look for.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::layers::Graph;
use crate::process::{cargo, output, root, run, say};
use crate::shapes::hand_made;
use crate::test_files::misplaced;

/// Longer files are named, not refused.
const LONG_FILE_LINES: usize = 700;

/// Runs every lint, also after one has failed, so that one run shows all there is.
pub(crate) fn lint() -> Result<()> {
    let mut failed = Vec::new();
    for (name, done) in [
        ("fmt", run(cargo().args(["fmt", "--all", "--check"]))),
        ("layers", layers()),
        ("shapes", shapes()),
        ("test files", test_files()),
        (
            "clippy",
            run(cargo().args([
                "clippy",
                "--workspace",
                "--all-targets",
                "--locked",
                "--",
                "-D",
                "warnings",
            ])),
        ),
        (
            "doc",
            run(cargo()
                .args(["doc", "--workspace", "--no-deps", "--locked", "--quiet"])
                .env("RUSTDOCFLAGS", "-D warnings")),
        ),
    ] {
        if let Err(error) = done {
            say(&format!("{name}: {error:#}"));
            failed.push(name);
        }
    }
    for (path, lines) in long_files(&root())? {
        say(&format!(
            "note: {} has {lines} lines; consider a second file",
            path.display()
        ));
    }
    if !failed.is_empty() {
        bail!("lints failed: {}", failed.join(", "));
    }
    say("lints: clean");
    Ok(())
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
