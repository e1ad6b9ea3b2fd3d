//! The system packages that the tests stand on.

use std::process::Command;

use anyhow::{Result, bail};

use crate::process::{find, run, say};

/// What must be there: how we notice, and the Debian package that brings it.
const NEEDS: [(&str, Need); 14] = [
    ("python3", Need::Program("python3")),
    ("python3-venv", Need::PythonModule("ensurepip")),
    ("e2fsprogs", Need::Program("mkfs.ext4")),
    ("qemu-utils", Need::Program("qemu-img")),
    ("diffutils", Need::Program("cmp")),
    ("memcached", Need::Program("memcached")),
    ("libnbd-bin", Need::Program("nbdinfo")),
    ("nbdkit", Need::Program("nbdkit")),
    ("fuse3", Need::Program("fusermount3")),
    ("openssl", Need::Program("openssl")),
    ("util-linux", Need::Program("losetup")),
    ("xfsprogs", Need::Program("mkfs.xfs")),
    ("btrfs-progs", Need::Program("mkfs.btrfs")),
    ("chromium", Need::Program("chromium")),
];

#[derive(Clone, Copy)]
enum Need {
    Program(&'static str),
    PythonModule(&'static str),
}

impl Need {
    fn is_met(self) -> bool {
        match self {
            Self::Program(name) => find(name).is_some(),
            Self::PythonModule(name) => Command::new("python3")
                .args(["-c", &format!("import {name}")])
                .stderr(std::process::Stdio::null())
                .status()
                .is_ok_and(|status| status.success()),
        }
    }
}

/// Installs what is missing when it may, else says what to install.
pub(crate) fn ensure() -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if !(is_root() && find("apt-get").is_some()) {
        bail!(
            "these system packages (Debian names) are missing; install them and run this again: {list}"
        );
    }
    say(&format!("installing system packages: {list}"));
    apt(&["update", "-qq"])?;
    let mut install = vec!["install", "-y", "-qq", "--no-install-recommends"];
    install.extend(&missing);
    apt(&install)?;
    let still = self::missing();
    if !still.is_empty() {
        bail!(
            "these system packages were installed, and what they bring is still missing: {}",
            still.join(" ")
        );
    }
    Ok(())
}

/// Programs that some unit tests run.
const UNIT_TESTS_RUN: [&str; 7] = [
    "qemu-img",
    "qemu-io",
    "qemu-nbd",
    "qemu-storage-daemon",
    "nbdinfo",
    "nbdkit",
    "fusermount3",
];

/// Returns those of the programs that unit tests run which are missing, if there are any.
pub(crate) fn missing_for_unit_tests() -> Option<String> {
    let missing: Vec<&str> = UNIT_TESTS_RUN
        .into_iter()
        .filter(|name| find(name).is_none())
        .collect();
    (!missing.is_empty()).then(|| missing.join(", "))
}

fn missing() -> Vec<&'static str> {
    NEEDS
        .into_iter()
        .filter(|(_, need)| !need.is_met())
        .map(|(package, _)| package)
        .collect()
}

fn apt(arguments: &[&str]) -> Result<()> {
    run(Command::new("apt-get")
        .args(["-o", "DPkg::Lock::Timeout=300"])
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive"))
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
