//! `cargo xtask vectors`: what the real Cinder recorded, counted by file.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use emberkeep_objects::vectors::{FileResult, run_vectors};

use crate::process;

/// Runs the vectors of the folder that is given, else of the repository's own.
pub(crate) fn vectors(mut arguments: impl Iterator<Item = String>) -> Result<()> {
    let folder = arguments.next().map_or_else(
        || process::root().join("tests/vectors/cinder"),
        PathBuf::from,
    );
    if let Some(more) = arguments.next() {
        bail!("one folder at a time: what is `{more}`?");
    }
    let mut results =
        run_vectors(&folder).with_context(|| format!("vectors in {}", folder.display()))?;
    results.extend(
        emberkeep_chunked::vectors::run(&folder)
            .into_iter()
            .map(as_result),
    );
    for line in report(&results) {
        process::say(&line);
    }
    let passed: usize = results.iter().map(|result| result.passed).sum();
    let failed: usize = results.iter().map(|result| result.failed).sum();
    let replayed = replay(&folder);
    match (passed, failed) {
        (0, 0) => bail!("no vectors in {}", folder.display()),
        (_, 0) => replayed,
        _ => bail!("{failed} of {} entries differ", passed + failed),
    }
}

/// Asks our Block Storage what the real one was asked, by the test that can: this tool does not link a service.
fn replay(folder: &Path) -> Result<()> {
    let exchanges = folder.join("rest.json");
    if !exchanges.exists() {
        return Ok(());
    }
    let test = [
        "test",
        "--locked",
        "--quiet",
        "--package",
        "emberkeep-http",
        "--test",
        "suite",
        "--",
        "--exact",
        "--nocapture",
        "cinder::replay::the_recorded_exchanges_come_out_the_same",
    ];
    let mut command = process::cargo();
    command
        .args(test)
        .env("EMBERKEEP_VECTORS", folder.canonicalize()?);
    let (_, well) = process::follow(&mut command)?;
    if !well {
        bail!("{}: answers differ", exchanges.display());
    }
    process::say("rest.json: all as recorded, but for the differences that its test argues");
    Ok(())
}

/// Puts what came of a repository in the form of the other files.
fn as_result(report: emberkeep_chunked::vectors::FileReport) -> FileResult {
    FileResult {
        file: report.file,
        passed: report.passed,
        failed: report.failed.len(),
        skipped: 0,
        failures: report.failed,
    }
}

fn report(results: &[FileResult]) -> Vec<String> {
    let mut lines = Vec::new();
    for result in results {
        let elsewhere = match result.skipped {
            0 => String::new(),
            skipped => format!(", {skipped} about something else"),
        };
        lines.push(format!(
            "{}: {} passed, {} failed{elsewhere}",
            result.file, result.passed, result.failed
        ));
        lines.extend(result.failures.iter().map(|line| format!("    {line}")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_count_and_name_what_differs() {
        let results = [FileResult {
            file: "records.json".to_owned(),
            passed: 3,
            failed: 1,
            skipped: 2,
            failures: vec!["decode[0] \"x\": wrong".to_owned()],
        }];
        assert_eq!(
            report(&results),
            [
                "records.json: 3 passed, 1 failed, 2 about something else",
                "    decode[0] \"x\": wrong"
            ]
        );
    }
}
