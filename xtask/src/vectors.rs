//! `cargo xtask vectors`: what the real Cinder recorded. Started as programs of their own, since they link the product.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::process::{cargo, follow, root, say};

/// Runs the vectors of the folder that is given, else of the repository's own.
pub(crate) fn vectors(mut arguments: impl Iterator<Item = String>) -> Result<()> {
    let folder = arguments
        .next()
        .map_or_else(|| root().join("tests/vectors/cinder"), PathBuf::from);
    if let Some(more) = arguments.next() {
        bail!("one folder at a time: what is `{more}`?");
    }
    let folder = folder
        .canonicalize()
        .with_context(|| format!("vectors in {}", folder.display()))?;
    let mut entries = cargo();
    entries
        .args([
            "run",
            "--locked",
            "--quiet",
            "--package",
            "xtask-vectors",
            "--",
        ])
        .arg(&folder);
    let (_, entries_pass) = follow(&mut entries)?;
    let exchanges = folder.join("rest.json");
    let answers_pass = !exchanges.exists() || {
        // Block Storage is asked what the real one was asked, by the test that can.
        let mut replay = cargo();
        replay
            .args([
                "test",
                "--locked",
                "--quiet",
                "--package",
                "emberkeep-http",
                "--test",
                "suite",
                "--",
                "--exact",
                "--nocapture",
                "cinder::replay::the_recorded_exchanges_come_out_the_same",
            ])
            .env("EMBERKEEP_VECTORS", &folder);
        follow(&mut replay)?.1
    };
    if !answers_pass {
        bail!("{}: answers differ", exchanges.display());
    }
    if exchanges.exists() {
        say("rest.json: all as recorded, but for the differences that its test argues");
    }
    if !entries_pass {
        bail!("entries differ");
    }
    Ok(())
}
