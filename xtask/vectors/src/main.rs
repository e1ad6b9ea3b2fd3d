//! What the real Cinder recorded, counted by file: `cargo xtask vectors` runs this.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use emberkeep_objects::vectors::{FileResult, run_vectors};

/// Runs the vectors of one folder.
fn main() -> Result<()> {
    let folder = std::env::args_os()
        .nth(1)
        .map(PathBuf::from)
        .context("usage: xtask-vectors DIR")?;
    let mut results =
        run_vectors(&folder).with_context(|| format!("vectors in {}", folder.display()))?;
    results.extend(
        emberkeep_chunked::vectors::run(&folder)
            .into_iter()
            .map(as_result),
    );
    for line in report(&results) {
        println!("{line}");
    }
    let passed: usize = results.iter().map(|result| result.passed).sum();
    let failed: usize = results.iter().map(|result| result.failed).sum();
    match (passed, failed) {
        (0, 0) => bail!("no vectors in {}", folder.display()),
        (_, 0) => Ok(()),
        _ => bail!("{failed} of {} entries differ", passed + failed),
    }
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
