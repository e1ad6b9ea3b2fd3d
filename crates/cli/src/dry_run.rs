//! `--dry-run`: saying what would be destroyed instead of destroying it.

use clap::Args;
use serde_json::{Value, json};

use crate::error::CliError;
use crate::output::Output;

/// Whether anything is done at all.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct DryRun {
    /// Print what would be done and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// One thing that would go, with what goes with it.
#[derive(Debug, Clone)]
pub(crate) struct Doomed {
    id: String,
    words: String,
}

impl Doomed {
    /// Names a thing.
    pub(crate) fn new(id: impl ToString, words: impl Into<String>) -> Self {
        Self {
            id: id.to_string(),
            words: words.into(),
        }
    }
}

/// Says what would be deleted.
pub(crate) fn tell(output: &Output, noun: &str, doomed: &[Doomed]) -> Result<(), CliError> {
    tell_that(output, &format!("would delete {noun}"), doomed)
}

/// Says what would be destroyed, in words of its own.
pub(crate) fn tell_that(output: &Output, what: &str, doomed: &[Doomed]) -> Result<(), CliError> {
    let words: Vec<_> = doomed
        .iter()
        .map(|one| format!("{what} {}: {}", one.id, one.words))
        .collect();
    let ids: Vec<_> = doomed.iter().map(|one| one.id.clone()).collect();
    let json: Vec<Value> = doomed
        .iter()
        .map(|one| json!({"id": one.id, "what": one.words}))
        .collect();
    output.done(
        &words.join("\n"),
        &ids.join("\n"),
        &json!({"would_delete": json, "done": false}),
    )
}
