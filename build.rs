//! Tells the binary which commit it was built from, for `emberkeep --version`.

#![allow(clippy::print_stdout, reason = "how a build script speaks to cargo")]

use std::path::Path;
use std::process::Command;

fn main() {
    let commit = git(&["rev-parse", "--short=12", "HEAD"]);
    let date = git(&["show", "--no-patch", "--format=%cs", "HEAD"]);
    println!(
        "cargo::rustc-env=EMBERKEEP_COMMIT={}",
        commit.as_deref().unwrap_or("unknown commit")
    );
    println!(
        "cargo::rustc-env=EMBERKEEP_COMMIT_DATE={}",
        date.as_deref().unwrap_or("unknown date")
    );
    let profile = std::env::var("PROFILE").unwrap_or_default();
    let target = std::env::var("TARGET").unwrap_or_default();
    println!("cargo::rustc-env=EMBERKEEP_BUILD={profile} build for {target}");
    println!("cargo::rerun-if-changed=build.rs");
    // A commit moves the branch and appends to the log of HEAD; a source archive has neither.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"])
        && Path::new(&log).exists()
    {
        println!("cargo::rerun-if-changed={log}");
    }
}

/// Returns what git prints, or `None` without git or outside a checkout.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim();
    (output.status.success() && !text.is_empty()).then(|| text.to_owned())
}
