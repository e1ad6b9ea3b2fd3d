//! `cargo xtask ci`: the lints and the tests in one run, with one table of their times.

use std::time::Instant;

use anyhow::{Result, bail};

use crate::lint::{COMPILED, Failed, QUICK, run_all};
use crate::options::Options;
use crate::process::say;
use crate::suites;
use crate::times::Times;

/// Runs everything; failures are reported after all has run.
pub(crate) fn ci(options: &Options) -> Result<()> {
    let begun = Instant::now();
    let mut times = Times::default();
    let mut failed = run_all(&QUICK, &mut times);
    let outcome = suites::run_parts(options, &mut times);
    failed.extend(run_all(&COMPILED, &mut times));
    times.print(begun.elapsed());
    say(&match failed.is_empty() {
        true => "lints: clean".to_owned(),
        false => format!("lints failed: {}", names(&failed)),
    });
    let tested = outcome.and_then(|outcome| outcome.close());
    tested?;
    if !failed.is_empty() {
        bail!("lints failed: {}", names(&failed));
    }
    Ok(())
}

fn names(failed: &[Failed]) -> String {
    failed.join(", ")
}
