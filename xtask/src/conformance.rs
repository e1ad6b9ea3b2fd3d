//! `cargo xtask conformance`: the suites that OpenStack's projects judge a Block Storage service by.
//!
//! Not part of `cargo xtask test`: they take a quarter of an hour, most of it in the suites' own starting.

use anyhow::{Result, bail};

use crate::options::Options;
use crate::process::say;
use crate::suites::{Tally, build, python, tally};
use crate::{clients, packages};

/// The suites, each with the environment that holds it.
const SUITES: [(&str, &str); 4] = [
    ("tempest", "tempest"),
    ("tempest-identity", "tempest"),
    ("openstacksdk", "func"),
    ("cinderclient", "func"),
];

/// Runs one suite or all of them; any test that fails is an error after everything has run.
pub(crate) fn conformance(options: &Options) -> Result<()> {
    let only = options.get("suite");
    if let Some(name) = only
        && !SUITES.iter().any(|(suite, _)| *suite == name)
    {
        bail!("there is no suite `{name}`");
    }
    packages::ensure()?;
    build(false)?;
    clients::ensure_suites()?;
    let mut all = Tally::default();
    for (suite, environment) in SUITES {
        if only.is_none_or(|name| name == suite) {
            let mut command = python(&clients::python(environment), "conformance.py");
            all.add(tally(command.arg(suite))?);
        }
    }
    say(&format!("{} passed, {} failed", all.passed, all.failed));
    if all.failed > 0 {
        bail!("{} conformance tests failed", all.failed);
    }
    Ok(())
}
