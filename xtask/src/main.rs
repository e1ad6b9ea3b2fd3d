//! The workspace's own tool: `cargo xtask test|lint|ci|bench|vectors|fuzz|cinder`.
//!
//! Never part of the product. Start at `suites.rs` for what the test command runs,
//! at `layers.rs` for the rules that the crates' dependencies obey.

mod bench;
mod bench_api;
mod bench_lists;
mod ci;
mod cinder;
mod clients;
mod conformance;
mod fuzz;
mod image;
mod layers;
mod lint;
mod load;
mod measure;
mod options;
mod outside;
mod packages;
mod peers;
mod process;
mod shapes;
mod side_by_side;
mod suites;
mod test_files;
mod times;
mod vectors;

use std::process::ExitCode;

use crate::options::Options;

const USAGE: &str = "\
cargo xtask test  [--only unit|e2e|crash|quickstart] [--suite NAME[,NAME…]] [--jobs N] [--rounds N] [--seed S]
    everything: unit tests, end-to-end tests with real clients, crash test, quickstart, N suites at a time;
    installs what it needs when it may, else says what is missing; --only unit needs no packages;
    EMBERKEEP_BIN names a binary to test in place of the one that is built here
cargo xtask conformance [--suite tempest|tempest-identity|openstacksdk|cinderclient]
    tempest's and the clients' own functional tests, unmodified, against a running service
cargo xtask ci    [--jobs N]
    what continuous integration runs: the quick lints, the tests, the other lints, and one table of their times
cargo xtask lint
    formatting, clippy and documentation with warnings denied, direction of dependencies, test files
cargo xtask bench [--size-gib N] [--tree DIR] [--json FILE] [--keep]
    full, unchanged and changed backups and restores of a real image, beside restic if it is installed
cargo xtask bench peers [--size-gib N] [--tree DIR] [--restic FILE] [--cinder yes] [--binary FILE] [--json FILE] [--keep]
    the five sets of volumes (4 GiB, or scaled to N), through every peer that is installed: restic, borg, casync, cp, and
    the released Cinder if asked for; a bare loop, hinted runs, huge and many volumes; needs some ten times N of disk
cargo xtask bench first-byte
    how long it takes until the first byte of an export can be read, of 1 GiB and of 8 TiB; 200 ms is the goal
cargo xtask bench index [--chunks N]
    time and memory to open a repository of ten million chunks
cargo xtask bench-api [--seconds N] [--json FILE] [--binary FILE] [--beside DIR | --rows N]
    requests per second of processor time: show, list of fifty, create and delete, at 1, 8 and 64 connections;
    DIR holds the pid files of a real Cinder (tools/real_cinder/README.md) to put beside;
    with --rows, lists of fifty of N backups, of a tenth and of a hundredth of that
cargo xtask outside
    a program of ten lines outside the workspace that uses the SDK by path: its crates and its clean build's time
cargo xtask vectors [DIR]
    what the real Cinder recorded, entry by entry; the folder is that of the repository unless one is given
cargo xtask fuzz [--only TARGET] [--seconds N] [--jobs N]
    the decoders of records, of the format and of NBD, ten minutes each unless told otherwise, one on
    each processor; not part of the tests
cargo xtask cinder [--size-gib N [--tree DIR]]
    the released Cinder from PyPI takes what we write, and we what it writes; with a size, restores of its
    backups are timed beside its own driver; not part of the tests";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    let mut command = arguments.next().unwrap_or_default();
    if command == "bench"
        && let Some(what) = arguments.next_if(|word| !word.starts_with("--"))
    {
        command = format!("bench {what}");
    }
    if command == "vectors" {
        return finish(vectors::vectors(arguments));
    }
    let options = match Options::parse(arguments) {
        Ok(options) => options,
        Err(error) => return usage(&format!("{error:#}")),
    };
    let done = match command.as_str() {
        "test" => options
            .only(&["only", "suite", "jobs", "rounds", "seed"])
            .and_then(|()| suites::test(&options)),
        "conformance" => options
            .only(&["suite"])
            .and_then(|()| conformance::conformance(&options)),
        "outside" => options.only(&[]).and_then(|()| outside::outside()),
        "lint" => options.only(&[]).and_then(|()| lint::lint()),
        "ci" => options.only(&["jobs"]).and_then(|()| ci::ci(&options)),
        "bench" => options
            .only(&["size-gib", "tree", "json", "keep"])
            .and_then(|()| bench::bench(&options)),
        "bench peers" => options
            .only(&[
                "size-gib", "tree", "json", "keep", "restic", "cinder", "binary",
            ])
            .and_then(|()| peers::peers(&options)),
        "bench first-byte" => options.only(&[]).and_then(|()| suites::first_byte()),
        "bench index" => options
            .only(&["chunks"])
            .and_then(|()| peers::index(&options)),
        "cinder" => options
            .only(&["size-gib", "tree"])
            .and_then(|()| cinder::cinder(&options)),
        "fuzz" => options
            .only(&["only", "seconds", "jobs"])
            .and_then(|()| fuzz::fuzz(&options)),
        "bench-api" => options
            .only(&["seconds", "json", "binary", "beside", "rows"])
            .and_then(|()| bench_api::bench(&options)),
        "help" | "--help" | "-h" => {
            process::say(USAGE);
            return ExitCode::SUCCESS;
        }
        other => return usage(&format!("there is no command `{other}`")),
    };
    finish(done)
}

fn finish(done: anyhow::Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            process::complain(&format!("xtask: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn usage(problem: &str) -> ExitCode {
    process::complain(&format!("xtask: {problem}\n\n{USAGE}"));
    ExitCode::from(2)
}
