//! The system packages that the tests stand on.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Result, bail};

use crate::process::{find, run, say};

/// What must be there: how we notice, and the Debian package that brings it.
const NEEDS: [(&str, Need); 15] = [
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
    ("strace", Need::Program("strace")),
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

/// Unit tests that run programs of others.
struct Guests {
    programs: &'static [&'static str],
    /// The file the tests are in.
    source: &'static str,
    /// Which tests they are, as nextest's filters say it.
    tests: &'static str,
}

/// All unit tests that fail where a program is missing.
const GUESTS: [Guests; 4] = [
    Guests {
        programs: &[
            "cmp", "nbdcopy", "nbdinfo", "nbdkit", "qemu-img", "qemu-io", "qemu-nbd",
        ],
        source: "crates/nbd/tests/suite/tools.rs",
        tests: "package(emberkeep-nbd) and test(/^tools::/)",
    },
    Guests {
        programs: &["qemu-img"],
        source: "crates/volumes/src/image/tests.rs",
        tests: "package(emberkeep-volumes) and test(/^image::tests::/)",
    },
    Guests {
        programs: &["fusermount3", "qemu-img", "qemu-storage-daemon"],
        source: "crates/volumes/src/qmp/tests.rs",
        tests: "package(emberkeep-volumes) and test(/^qmp::tests::/)",
    },
    Guests {
        programs: &["qemu-img"],
        source: "tests/suite/repo_cli.rs",
        tests: "package(emberkeep) and test(/^repo_cli::a_qcow2_image/)",
    },
];

/// What unit tests lack here.
pub(crate) struct Lacking {
    /// The programs that are missing.
    pub(crate) programs: String,
    /// Where the tests are that need them.
    pub(crate) sources: String,
    /// All other tests, as nextest's filters say it.
    pub(crate) others: String,
}

/// Returns what unit tests lack, if they lack something.
pub(crate) fn lacking_for_unit_tests() -> Option<Lacking> {
    lacking(|program| find(program).is_some())
}

fn lacking(is_there: impl Fn(&str) -> bool) -> Option<Lacking> {
    let mut programs = BTreeSet::new();
    let (mut sources, mut tests) = (Vec::new(), Vec::new());
    for guests in &GUESTS {
        let missing: Vec<_> = guests
            .programs
            .iter()
            .filter(|name| !is_there(name))
            .copied()
            .collect();
        if !missing.is_empty() {
            programs.extend(missing);
            sources.push(guests.source);
            tests.push(format!("({})", guests.tests));
        }
    }
    (!tests.is_empty()).then(|| Lacking {
        programs: programs.into_iter().collect::<Vec<_>>().join(", "),
        sources: sources.join(", "),
        others: format!("not ({})", tests.join(" or ")),
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_named() {
        assert!(lacking(|_| true).is_none());
        let lacks = lacking(|program| program != "fusermount3").expect("one is missing");
        assert_eq!(lacks.programs, "fusermount3");
        assert_eq!(lacks.sources, "crates/volumes/src/qmp/tests.rs");
        assert_eq!(
            lacks.others,
            "not ((package(emberkeep-volumes) and test(/^qmp::tests::/)))"
        );
        let all = lacking(|_| false).expect("all are missing");
        assert_eq!(all.sources.split(", ").count(), GUESTS.len());
    }

    #[test]
    fn the_tests_are_where_the_table_says() {
        for guests in &GUESTS {
            let source = std::fs::read_to_string(crate::process::root().join(guests.source));
            let source = source.unwrap_or_else(|cause| panic!("{}: {cause}", guests.source));
            assert!(
                source.contains("has to be installed"),
                "{}: says nothing when a program is missing",
                guests.source
            );
        }
    }
}
