//! `cargo xtask test`: every suite, and one line that says how it went.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::options::Options;
use crate::process::{cargo, find, follow, root, run, say, target};
use crate::side_by_side::{Job, Share, run_all};
use crate::times::Times;
use crate::{clients, packages};

/// An end-to-end suite.
struct Suite {
    name: &'static str,
    /// The environment whose interpreter runs it.
    environment: &'static str,
    /// How long it takes by itself, in seconds: the longest begin first.
    secs: u32,
    share: Share,
}

const fn suite(name: &'static str, environment: &'static str, secs: u32) -> Suite {
    Suite {
        name,
        environment,
        secs,
        share: Share::Machine,
    }
}

impl Suite {
    const fn sharing(self, share: Share) -> Self {
        Self { share, ..self }
    }
}

/// Mounts and loop devices, of which there is one set.
const DEVICES: Share = Share::But("devices");

/// End-to-end suites. One that judges times or memory shares nothing.
const END_TO_END: &[Suite] = &[
    suite("helpers", "cli", 3),
    suite("repo", "cli", 30),
    suite("format", "reader", 15),
    suite("nbd", "cli", 60),
    suite("s3", "cli", 110),
    suite("loop", "cli", 25).sharing(DEVICES),
    suite("bad_input", "cli", 10).sharing(DEVICES),
    suite("console", "cli", 4),
    suite("openstack", "cli", 40),
    suite("people", "cli", 15),
    suite("tls", "cli", 10),
    suite("keystone", "cli", 75),
    suite("otc", "otc", 40),
    suite("otc_full", "otc", 60),
    suite("otc_servers", "otc", 40),
    suite("huawei", "huawei", 15),
    suite("fifty", "cli", 15),
    suite("minutes", "cli", 250),
    suite("replicas", "cli", 90),
    suite("foreign", "cli", 60),
    suite("parity", "otc", 5),
    suite("sdk", "cli", 120),
    suite("openapi", "openapi", 90),
    suite("crash_steps", "cli", 30),
    suite("connections", "cli", 90).sharing(Share::Nothing),
    suite("cancel", "cli", 30).sharing(Share::Nothing),
    suite("resume", "cli", 30),
    suite("log", "cli", 30),
    suite("damage", "cli", 30),
    suite("catalog", "cli", 240),
    suite("power_loss", "cli", 60),
    suite("syscall_faults", "cli", 110),
    suite("full_disk", "cli", 30).sharing(DEVICES),
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

/// What the parts of a run came to.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    unit: Option<String>,
    tally: Option<Tally>,
}

impl Outcome {
    /// Prints the closing lines; any failure is an error.
    pub(crate) fn close(&self) -> Result<()> {
        if let Some(error) = &self.unit {
            say(&format!("unit tests: {error}"));
        }
        if let Some(tally) = &self.tally {
            say("end-to-end, crash and quickstart:");
            say(&format!("{} passed, {} failed", tally.passed, tally.failed));
            if tally.failed > 0 {
                bail!("{} end-to-end checks failed", tally.failed);
            }
        }
        match &self.unit {
            Some(_) => bail!("unit tests failed"),
            None => Ok(()),
        }
    }
}

/// Runs what was asked for; any failure is an error after everything has run.
pub(crate) fn test(options: &Options) -> Result<()> {
    let begun = Instant::now();
    let mut times = Times::default();
    let outcome = run_parts(options, &mut times);
    times.print(begun.elapsed());
    outcome?.close()
}

/// Runs the parts, and notes how long each took.
///
/// Packages and clients, which come from the network, are made ready while the compiler and the unit tests run.
pub(crate) fn run_parts(options: &Options, times: &mut Times) -> Result<Outcome> {
    let parts = Part::wanted(options)?;
    let mut jobs = jobs(&parts, options)?;
    let places = match options.number("jobs")? {
        Some(places) => usize::try_from(places)?,
        None => std::thread::available_parallelism().map_or(2, |count| count.get() + 1),
    };
    let with_unit = parts.contains(&Part::Unit);
    if with_unit {
        // Only then it has just been built; the suite builds it otherwise.
        for job in &mut jobs {
            job.command.env(
                "EMBERKEEP_SDK_EXAMPLE",
                target().join("debug/examples/checkpoint"),
            );
        }
    }
    let mut outcome = Outcome::default();
    std::thread::scope(|scope| {
        let (installed, packages) = std::sync::mpsc::channel();
        let (with_packages, with_clients) = (!jobs.is_empty(), parts.contains(&Part::EndToEnd));
        let preparing = scope.spawn(move || {
            let mut times = Times::default();
            let ready = match with_packages {
                true => times.of("packages", packages::ensure),
                false => Ok(()),
            };
            let go_on = ready.is_ok() && with_clients;
            // Who waits for it may have failed in the meantime.
            let _ = installed.send(ready);
            let made = match go_on {
                true => times.of("clients", clients::ensure),
                false => Ok(()),
            };
            (times, made)
        });
        // A binary that is given is tested as it is.
        let built = match with_unit || given_binary().is_none() {
            true => times.of("build", || build(with_unit)),
            false => Ok(()),
        };
        packages.recv().context("the packages' thread ended")??;
        built?;
        if with_unit {
            outcome.unit = unit_tests(times).err().map(|error| format!("{error:#}"));
        }
        let (prepared, made) = preparing
            .join()
            .map_err(|_| anyhow::anyhow!("the clients' thread ended"))?;
        times.extend(prepared);
        made?;
        if !jobs.is_empty() {
            outcome.tally = Some(side_by_side(jobs, places, times)?);
        }
        Ok(outcome)
    })
}

/// Runs suites, crash test and quickstart side by side.
fn side_by_side(jobs: Vec<Job>, places: usize, times: &mut Times) -> Result<Tally> {
    let begun = Instant::now();
    let mut all = Tally::default();
    run_all(jobs, places, |ended| {
        say(&format!(
            "{}: {:.1} s",
            ended.name,
            ended.took.as_secs_f64()
        ));
        all.add(match ended.name.as_str() {
            // It is no suite: that it ends well is its one check.
            QUICKSTART => Tally {
                passed: u64::from(ended.well),
                failed: u64::from(!ended.well),
            },
            _ => judge(&ended.lines, ended.well),
        });
        times.note(ended.name, ended.took);
    })?;
    times.note("suites, side by side", begun.elapsed());
    Ok(all)
}

/// Returns what the parts run beside one another.
fn jobs(parts: &[Part], options: &Options) -> Result<Vec<Job>> {
    let mut jobs = Vec::new();
    for part in parts {
        match part {
            Part::Unit => {}
            Part::EndToEnd => jobs.extend(end_to_end(options.get("suite"))?),
            Part::Crash => jobs.push(crash(options)?),
            Part::Quickstart => jobs.push(quickstart()),
        }
    }
    Ok(jobs)
}

/// Builds once what all parts run. The same set of targets as the unit tests need,
/// so that cargo settles on one set of features and compiles nothing twice.
pub(crate) fn build(with_unit: bool) -> Result<()> {
    let mut command = cargo();
    command.args(["build", "--locked"]);
    if with_unit {
        // With the SDK's example, which by itself would get features, and so dependencies, of its own.
        command.args([
            "--workspace",
            "--bins",
            "--tests",
            "--example",
            "checkpoint",
        ]);
    } else {
        command.args(["--package", "emberkeep"]);
    }
    run(&mut command)
}

fn unit_tests(times: &mut Times) -> Result<()> {
    let lacking = packages::lacking_for_unit_tests();
    if let Some(lacking) = &lacking {
        let what = format!("{} (tests in {})", lacking.programs, lacking.sources);
        if std::env::var_os("CI").is_some() {
            bail!("unit tests need programs that are missing: {what}");
        }
        say(&format!("SKIPPED, since programs are missing: {what}"));
    }
    if find("cargo-nextest").is_none() {
        say(
            "cargo-nextest is not installed (`cargo install cargo-nextest --locked`); using cargo test",
        );
        let all = ["test", "--workspace", "--locked", "--no-fail-fast"];
        return times.of("unit and doc tests", || run(cargo().args(all)));
    }
    let mut unit = cargo();
    unit.args([
        "nextest",
        "run",
        "--workspace",
        "--locked",
        "--no-fail-fast",
    ]);
    if let Some(lacking) = &lacking {
        unit.args(["-E", &lacking.others]);
    }
    times.of("unit tests", || run(&mut unit))?;
    // nextest leaves the examples in the documentation to cargo.
    let doc = ["test", "--workspace", "--locked", "--doc", "--quiet"];
    times.of("doc tests", || run(cargo().args(doc)))?;
    if let Some(lacking) = &lacking {
        say(&format!(
            "SKIPPED, since programs are missing: {}",
            lacking.sources
        ));
    }
    Ok(())
}

fn binary() -> PathBuf {
    given_binary().unwrap_or_else(|| target().join("debug/emberkeep"))
}

fn given_binary() -> Option<PathBuf> {
    std::env::var_os("EMBERKEEP_BIN").map(PathBuf::from)
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

/// Builds an optimised binary and measures the first byte of exports with it.
pub(crate) fn first_byte() -> Result<()> {
    let python3 = find("python3").context("python3 is missing")?;
    let mut measure = python(&python3, "first_byte.py");
    if given_binary().is_none() {
        run(cargo().args(["build", "--release", "--locked", "--package", "emberkeep"]))?;
        measure.env("EMBERKEEP_BIN", target().join("release/emberkeep"));
    }
    run(&mut measure)
}

/// Follows a suite.
pub(crate) fn tally(command: &mut Command) -> Result<Tally> {
    let (lines, well) = follow(command)?;
    Ok(judge(&lines, well))
}

/// Believes a suite's closing line only together with its exit status.
fn judge(lines: &[String], well: bool) -> Tally {
    let mut tally = lines
        .iter()
        .rev()
        .find_map(|line| Tally::read(line))
        .unwrap_or_default();
    if tally == Tally::default() || well != (tally.failed == 0) {
        tally.failed += 1;
    }
    tally
}

fn end_to_end(only: Option<&str>) -> Result<Vec<Job>> {
    let jobs: Vec<Job> = END_TO_END
        .iter()
        .filter(|suite| only.is_none_or(|names| names.split(',').any(|name| name == suite.name)))
        .map(|suite| {
            let mut command = python(&clients::python(suite.environment), "run.py");
            command.arg(suite.name);
            Job {
                name: suite.name.to_owned(),
                secs: suite.secs,
                share: suite.share,
                command,
            }
        })
        .collect();
    let wanted = only.map_or(END_TO_END.len(), |names| names.split(',').count());
    if jobs.len() != wanted {
        bail!("there is no suite `{}`", only.unwrap_or_default());
    }
    Ok(jobs)
}

fn crash(options: &Options) -> Result<Job> {
    let mut command = python(Path::new("python3"), "crash.py");
    for name in ["rounds", "seed"] {
        if let Some(value) = options.number(name)? {
            command.arg(format!("--{name}")).arg(value.to_string());
        }
    }
    Ok(Job {
        name: "crash".to_owned(),
        secs: 300,
        share: Share::Machine,
        command,
    })
}

const QUICKSTART: &str = "quickstart";

/// The README's first command, on a data directory of its own.
fn quickstart() -> Job {
    let place = std::env::temp_dir().join(format!("emberkeep-quickstart-{}", std::process::id()));
    // The shell removes it whatever comes of it; it is ours alone, and may not have been made at all.
    let script = "\"$0\" quickstart --exit --listen 127.0.0.1:0 --data-dir \"$1\"; s=$?; rm -rf \"$1\"; exit $s";
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(binary()).arg(place);
    Job {
        name: QUICKSTART.to_owned(),
        secs: 20,
        share: Share::Machine,
        command,
    }
}

#[cfg(test)]
mod tests {
    use super::{END_TO_END, Tally, judge};

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

    #[test]
    fn a_closing_line_counts_only_with_its_status() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        for (what, said, well, want) in [
            ("all well", "e2e: 12 passed, 0 failed", true, (12, 0)),
            ("it says so", "e2e: 11 passed, 1 failed", false, (11, 1)),
            ("died after it", "e2e: 12 passed, 0 failed", false, (12, 1)),
            (
                "a failure and a good status",
                "e2e: 1 passed, 1 failed",
                true,
                (1, 2),
            ),
            ("no closing line", "suite x", true, (0, 1)),
        ] {
            let got = judge(&lines(said), well);
            assert_eq!((got.passed, got.failed), want, "{what}");
        }
    }

    #[test]
    fn every_suite_is_in_the_table_once() {
        let mut listed: Vec<_> = END_TO_END
            .iter()
            .map(|suite| suite.name.to_owned())
            .collect();
        listed.sort();
        let folder = std::fs::read_dir(crate::process::root().join("tests-e2e")).expect("folder");
        let mut found: Vec<_> = folder
            .filter_map(|entry| {
                let name = entry.expect("entry").file_name().into_string().ok()?;
                Some(name.strip_prefix("suite_")?.strip_suffix(".py")?.to_owned())
            })
            .collect();
        found.sort();
        assert_eq!(listed, found);
    }
}
