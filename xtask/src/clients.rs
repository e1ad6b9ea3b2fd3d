//! Virtual environments with real, unmodified clients, at versions that are pinned.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};

use crate::process::{output, root, run, say, target};

/// One environment: its name, also of its constraints file, and what it holds.
///
/// Each client gets its own: they disagree about versions.
const ENVIRONMENTS: &[(&str, &[&str])] = &[
    (
        "cli",
        &[
            "python-openstackclient",
            "python-cinderclient",
            "openstacksdk",
        ],
    ),
    ("otc", &["otcextensions", "python-openstackclient"]),
    ("huawei", &["huaweicloudsdkcbr", "huaweicloudsdkcore"]),
    ("keystone", &["keystone"]),
    ("openapi", &["schemathesis"]),
    ("stores", &["moto[server]", "swift"]),
    ("reader", &["blake3", "zstandard", "cryptography"]),
];

/// Those that only `cargo xtask conformance` needs.
const SUITES: &[(&str, &[&str])] = &[
    ("tempest", &["tempest", "cinder-tempest-plugin"]),
    (
        "func",
        &[
            "openstacksdk",
            "python-cinderclient",
            "tempest",
            "oslotest",
            "stestr",
            "ddt",
            "testscenarios",
            "requests-mock",
        ],
    ),
];

/// The released Cinder, as a library; only `cargo xtask cinder` needs it.
const CINDER: &[(&str, &[&str])] = &[("cinder", &["cinder"])];

/// Returns where the environments lie.
pub(crate) fn folder() -> PathBuf {
    std::env::var_os("EMBERKEEP_TEST_ENV").map_or_else(|| target().join("test-env"), PathBuf::from)
}

/// Makes the environments that are not there in the wanted form.
pub(crate) fn ensure() -> Result<()> {
    ensure_all(ENVIRONMENTS)
}

/// Makes those with other people's suites.
pub(crate) fn ensure_suites() -> Result<()> {
    ensure_all(SUITES)
}

/// Makes the one with the released Cinder.
pub(crate) fn ensure_cinder() -> Result<()> {
    ensure_all(CINDER)
}

/// How many are made at once: most of it is waiting for the network and unpacking.
const AT_ONCE: usize = 3;

fn ensure_all(environments: &[(&str, &[&str])]) -> Result<()> {
    let waiting = Mutex::new(environments.iter());
    let next = || {
        waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next()
    };
    std::thread::scope(|scope| {
        let makers: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                scope.spawn(|| {
                    while let Some((name, packages)) = next() {
                        ensure_one(name, packages).with_context(|| {
                            format!("the client environment `{name}` could not be made")
                        })?;
                    }
                    Ok(())
                })
            })
            .collect();
        for maker in makers {
            maker
                .join()
                .unwrap_or_else(|_| bail!("a thread that makes environments ended"))?;
        }
        Ok(())
    })
}

fn ensure_one(name: &str, packages: &[&str]) -> Result<()> {
    let place = folder().join(name);
    let constraints = root()
        .join("tests-e2e/constraints")
        .join(format!("{name}.txt"));
    let stamp = place.join("emberkeep-stamp");
    let python = output(Command::new("python3").arg("--version"))?;
    // The whole wish is the stamp: any change of it makes the environment anew.
    let wish = format!(
        "{python}{}\n{}",
        packages.join(" "),
        fs::read_to_string(&constraints)?
    );
    if fs::read_to_string(&stamp).is_ok_and(|made| made == wish) {
        return Ok(());
    }
    say(&format!(
        "making the client environment `{name}` in {}",
        place.display()
    ));
    fs::create_dir_all(&place)?;
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&place))?;
    run(Command::new(place.join("bin/pip"))
        .args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--constraint",
        ])
        .arg(&constraints)
        .args(packages))?;
    fs::write(&stamp, wish).context("the stamp could not be written")?;
    Ok(())
}

/// Returns the interpreter of an environment.
pub(crate) fn python(environment: &str) -> PathBuf {
    Path::new(&folder()).join(environment).join("bin/python")
}
