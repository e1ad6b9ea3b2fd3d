//! `cargo xtask cinder`: proof, and speed, beside the released Cinder. Not part of the tests: it installs Cinder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::options::Options;
use crate::process::{cargo, root, run, say, target};
use crate::{clients, image};

/// Installs Cinder from PyPI, and shows that each side takes what the other makes; with `--size-gib`, times restores.
pub(crate) fn cinder(options: &Options) -> Result<()> {
    clients::ensure_cinder()?;
    for package in [
        ("emberkeep-chunked", &["restore_backup", "write_backup"][..]),
        ("emberkeep-objects", &["interchange"][..]),
    ] {
        let mut build = cargo();
        build.args(["build", "--release", "--locked", "--package", package.0]);
        for example in package.1 {
            build.args(["--example", example]);
        }
        run(&mut build)?;
    }
    match options.number("size-gib")? {
        None => run(&mut script("cinder_interop.py")),
        Some(gib) => {
            let tree = PathBuf::from(options.get("tree").unwrap_or("/usr"));
            speed(gib << 30, &tree)
        }
    }
}

fn speed(size: u64, tree: &Path) -> Result<()> {
    let place = target().join("cinder-speed");
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    fs::create_dir_all(&place)?;
    say(&format!(
        "making an image of {} MiB from {}",
        size >> 20,
        tree.display()
    ));
    let disk = place.join("disk.img");
    let timed = image::make(&disk, size, tree).and_then(|files| {
        say(&format!("{} MiB of files", files >> 20));
        run(script("cinder_speed.py").arg(&disk).arg(&place))
    });
    fs::remove_dir_all(&place)?;
    timed
}

fn script(name: &str) -> Command {
    let mut command = Command::new(clients::python("cinder"));
    command
        .args(["-B", "-W", "ignore"])
        .arg(root().join("tests-e2e").join(name))
        .env("EMBERKEEP_EXAMPLES", target().join("release/examples"));
    command
}
