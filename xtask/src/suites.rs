//! `cargo xtask test`: every suite, and one line that says how it went.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::options::Options;
use crate::process::{cargo, find, follow, root, run, say, target};
use crate::{clients, packages};

/// End-to-end suites, each with the environment whose interpreter runs it.
const END_TO_END: &[(&str, &str)] = &[
    ("helpers", "cli"),
    ("repo", "cli"),
    ("format", "reader"),
    ("nbd", "cli"),
    ("s3", "cli"),
    ("loop", "cli"),
    ("bad_input", "cli"),
    ("console", "cli"),
    ("openstack", "cli"),
    ("people", "cli"),
    ("tls", "cli"),
    ("keystone", "cli"),
    ("otc", "otc"),
    ("otc_full", "otc"),
    ("otc_servers", "otc"),
    ("huawei", "huawei"),
    ("fifty", "cli"),
    ("minutes", "cli"),
    ("replicas", "cli"),
    ("foreign", "cli"),
    ("parity", "otc"),
    ("sdk", "cli"),
    ("openapi", "openapi"),
    ("crash_steps", "cli"),
    ("connections", "cli"),
    ("cancel", "cli"),
    ("resume", "cli"),
];

/// How many checks went well and how many did not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// Reads a closing line, e.g. `e2e: 12 passed, 0 failed`.
    fn read(line: &str) -> Option<Self> {
        let (_, counts) = line.split_once(": ")?;
        let (passed, failed) = counts.split_once(" passed, ")?;
        Some(Self {
            passed: passed.parse().ok()?,
            failed: failed.strip_suffix(" failed")?.parse().ok()?,
        })
    }
}

/// Which parts to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Unit,
    EndToEnd,
    Crash,
    Quickstart,
}

impl Part {
    const ALL: [Self; 4] = [Self::Unit, Self::EndToEnd, Self::Crash, Self::Quickstart];

    fn wanted(options: &Options) -> Result<Vec<Self>> {
        Ok(match options.get("only") {
            None => Self::ALL.to_vec(),
            Some("unit") => vec![Self::Unit],
            Some("e2e") => vec![Self::EndToEnd],
            Some("crash") => vec![Self::Crash],
            Some("quickstart") => vec![Self::Quickstart],
            Some(other) => bail!("--only takes unit, e2e, crash or quickstart, not `{other}`"),
        })
    }
}

/// Runs what was asked for; any failure is an error after everything has run.
pub(crate) fn test(options: &Options) -> Result<()> {
    let parts = Part::wanted(options)?;
    let begun = Instant::now();
    packages::ensure()?;
    let with_unit = parts.contains(&Part::Unit);
    build(with_unit)?;
    let mut unit = Ok(());
    let mut tally = Tally::default();
    for part in &parts {
        match part {
            Part::Unit => unit = unit_tests(),
            Part::EndToEnd => tally.add(end_to_end(options.get("suite"))?),
            Part::Crash => tally.add(crash(options)?),
            Part::Quickstart => tally.add(quickstart()?),
        }
    }
    say(&format!("took {} s", begun.elapsed().as_secs()));
    if let Err(error) = &unit {
        say(&format!("unit tests: {error:#}"));
    }
    if parts.iter().any(|part| *part != Part::Unit) {
        say("end-to-end, crash and quickstart:");
        say(&format!("{} passed, {} failed", tally.passed, tally.failed));
    }
    unit?;
    if tally.failed > 0 {
        bail!("{} end-to-end checks failed", tally.failed);
    }
    Ok(())
}

/// Builds once what all parts run. The same set of targets as the unit tests need,
/// so that cargo settles on one set of features and compiles nothing twice.
pub(crate) fn build(with_unit: bool) -> Result<()> {
    let mut command = cargo();
    command.args(["build", "--locked"]);
    if with_unit {
        command.args(["--workspace", "--bins", "--tests"]);
    } else {
        command.args(["--package", "emberkeep"]);
    }
    run(&mut command)
}

fn unit_tests() -> Result<()> {
    if find("cargo-nextest").is_some() {
        run(cargo().args([
            "nextest",
            "run",
            "--workspace",
            "--locked",
            "--no-fail-fast",
        ]))?;
        // nextest leaves the examples in the documentation to cargo.
        run(cargo().args(["test", "--workspace", "--locked", "--doc", "--quiet"]))
    } else {
        say(
            "cargo-nextest is not installed (`cargo install cargo-nextest --locked`); using cargo test",
        );
        run(cargo().args(["test", "--workspace", "--locked", "--no-fail-fast"]))
    }
}

fn binary() -> PathBuf {
    target().join("debug/emberkeep")
}

pub(crate) fn python(interpreter: &Path, script: &str) -> Command {
    let mut command = Command::new(interpreter);
    command
        .arg("-B")
        .arg(script)
        .current_dir(root().join("tests-e2e"))
        .env("EMBERKEEP_BIN", binary())
        .env("EMBERKEEP_TEST_ENV", clients::folder());
    command
}

/// Follows a suite, and believes its closing line only together with its exit status.
pub(crate) fn tally(command: &mut Command) -> Result<Tally> {
    let (lines, well) = follow(command)?;
    let mut tally = lines
        .iter()
        .rev()
        .find_map(|line| Tally::read(line))
        .unwrap_or_default();
    if tally == Tally::default() || well != (tally.failed == 0) {
        tally.failed += 1;
    }
    Ok(tally)
}

fn end_to_end(only: Option<&str>) -> Result<Tally> {
    clients::ensure()?;
    let mut all = Tally::default();
    let mut found = false;
    for (suite, environment) in END_TO_END {
        if only.is_none_or(|name| name == *suite) {
            found = true;
            all.add(tally(
                python(&clients::python(environment), "run.py").arg(suite),
            )?);
        }
    }
    if !found {
        bail!("there is no suite `{}`", only.unwrap_or_default());
    }
    Ok(all)
}

fn crash(options: &Options) -> Result<Tally> {
    let python3 = find("python3").context("python3 is missing")?;
    let mut command = python(&python3, "crash.py");
    for name in ["rounds", "seed"] {
        if let Some(value) = options.number(name)? {
            command.arg(format!("--{name}")).arg(value.to_string());
        }
    }
    tally(&mut command)
}

/// The README's first command, on a data directory of its own.
fn quickstart() -> Result<Tally> {
    let place = std::env::temp_dir().join(format!("emberkeep-quickstart-{}", std::process::id()));
    let done = run(Command::new(binary())
        .args([
            "quickstart",
            "--exit",
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
        ])
        .arg(&place));
    // It is ours alone, and may not have been made at all.
    let _ = std::fs::remove_dir_all(&place);
    Ok(match done {
        Ok(()) => Tally {
            passed: 1,
            failed: 0,
        },
        Err(error) => {
            say(&format!("{error:#}"));
            Tally {
                passed: 0,
                failed: 1,
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn closing_lines() {
        for (line, want) in [
            ("e2e: 12 passed, 0 failed", Some((12, 0))),
            ("crash: 31 passed, 1 failed", Some((31, 1))),
            ("suite x: 3 passed, 0 failed, 1 skipped", None),
            ("  ok    test_01 (0.1 s)", None),
            ("12 passed, 0 failed", None),
        ] {
            assert_eq!(
                Tally::read(line).map(|tally| (tally.passed, tally.failed)),
                want,
                "{line}"
            );
        }
    }
}
