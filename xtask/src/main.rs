//! The workspace's own tool: `cargo xtask test|lint|bench|vectors`.
//!
//! Never part of the product. Start at `suites.rs` for what the test command runs,
//! at `layers.rs` for the rules that the crates' dependencies obey.

mod bench;
mod clients;
mod image;
mod layers;
mod lint;
mod measure;
mod options;
mod packages;
mod process;
mod suites;
mod vectors;

use std::process::ExitCode;

use crate::options::Options;

const USAGE: &str = "\
cargo xtask test  [--only unit|e2e|crash|quickstart] [--suite NAME] [--rounds N] [--seed S]
    everything: unit tests, end-to-end tests with real clients, crash test, quickstart;
    installs what it needs when it may, else says what is missing
cargo xtask lint
    formatting, clippy with warnings denied, direction of dependencies
cargo xtask bench [--size-gib N] [--tree DIR] [--json FILE] [--keep]
    full, unchanged and changed backups and restores of a real image, beside restic if it is installed
cargo xtask vectors [DIR]
    what the real Cinder recorded, entry by entry; the folder is that of the repository unless one is given";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    if command == "vectors" {
        return finish(vectors::vectors(arguments));
    }
    let options = match Options::parse(arguments) {
        Ok(options) => options,
        Err(error) => return usage(&format!("{error:#}")),
    };
    let done = match command.as_str() {
        "test" => options
            .only(&["only", "suite", "rounds", "seed"])
            .and_then(|()| suites::test(&options)),
        "lint" => options.only(&[]).and_then(|()| lint::lint()),
        "bench" => options
            .only(&["size-gib", "tree", "json", "keep"])
            .and_then(|()| bench::bench(&options)),
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
