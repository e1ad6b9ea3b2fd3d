//! `cargo xtask outside`: a program of ten lines outside the workspace that uses the SDK by path.
//!
//! It is built from nothing, which shows that the SDK needs nothing of the workspace, how many
//! crates it brings along and how long they take.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::process::{cargo, output, root, run, say};

const PROGRAM: &str = r#"use emberkeep_sdk::block_storage::VolumeQuery;
use emberkeep_sdk::{CloudConfig, OsArgs, blocking::Connection};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cloud = Connection::open(CloudConfig::discover(&OsArgs::from_env())?)?;
    for volume in cloud.block_storage().volumes(&VolumeQuery::default())? {
        println!("{}  {}  {}", volume.id, volume.size, volume.name.unwrap_or_default());
    }
    Ok(())
}
"#;

/// Builds the program, says what it took, and runs it if the environment names a cloud.
pub(crate) fn outside() -> Result<()> {
    let place = std::env::temp_dir().join(format!("emberkeep-outside-{}", std::process::id()));
    let done = inside(&place);
    // It is ours alone, and may not have been made at all.
    let _ = fs::remove_dir_all(&place);
    done
}

fn inside(place: &std::path::Path) -> Result<()> {
    let manifest = format!(
        "[package]\nname = \"outside\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\nemberkeep-sdk = {{ path = \"{}\", features = [\"blocking\"] }}\n\n[workspace]\n",
        root().join("crates/sdk").display()
    );
    fs::create_dir_all(place.join("src")).context("making the program's directory")?;
    fs::write(place.join("Cargo.toml"), manifest).context("writing its manifest")?;
    fs::write(place.join("src/main.rs"), PROGRAM).context("writing the program")?;
    // The versions that all else here is tested with.
    fs::copy(root().join("Cargo.lock"), place.join("Cargo.lock")).context("copying the lock")?;
    let own = || {
        let mut command = cargo();
        command
            .current_dir(place)
            .env("CARGO_TARGET_DIR", place.join("target"));
        command
    };
    let tree = output(own().args([
        "tree",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--no-dedupe",
    ]))?;
    let crates: BTreeSet<_> = tree
        .lines()
        .map(|line| line.split_once(" (").map_or(line, |(name, _)| name).trim())
        .filter(|name| !name.is_empty() && !name.starts_with("outside "))
        .collect();
    run(own().arg("fetch"))?;
    let begun = Instant::now();
    run(own().args(["build", "--quiet"]))?;
    say(&format!(
        "outside: {} lines, {} crates besides its own, built from nothing in {} s",
        PROGRAM.lines().count(),
        crates.len(),
        begun.elapsed().as_secs()
    ));
    let named = ["OS_CLOUD", "OS_AUTH_URL"]
        .iter()
        .any(|name| std::env::var_os(name).is_some());
    if named {
        run(&mut Command::new(place.join("target/debug/outside")))?;
    }
    Ok(())
}
