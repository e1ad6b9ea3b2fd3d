//! `emberkeep repo recover|rotate-key|erase-project`: what a catalogue needs to be rebuilt, a new
//! master key, and the end of a project.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use emberkeep_engine::Manifest;
use emberkeep_keys::{KeyFile, KeyKeeper, KeySource, MasterKey};
use emberkeep_model::ByteCount;
use serde_json::{Value, json};

use super::{PlaceArgs, find, key_error, repository_error};
use crate::error::CliError;
use crate::output::Output;

/// Options of `repo erase-project`.
#[derive(Debug, Args)]
pub(super) struct EraseArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Confirm by repeating the project's name; its data cannot be recovered afterwards
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    /// Print what would be erased and change nothing
    #[arg(long, conflicts_with = "confirm")]
    dry_run: bool,
}

/// Runs `repo erase-project`.
pub(super) fn erase(args: EraseArgs, output: &Output) -> Result<(), CliError> {
    let Some(project) = &args.place.project else {
        return Err(CliError::usage("give --project NAME"));
    };
    let failed = |error| repository_error(&error);
    let repository = args.place.open()?;
    let would = repository.erasable(project).map_err(failed)?;
    if !would.had_key && would.objects == 0 {
        let words = format!("the repository holds no project '{project}'");
        return Err(CliError::not_found(words));
    }
    let what = format!(
        "{} backups of project '{project}', {} objects, {}",
        would.backups,
        would.objects,
        ByteCount(would.bytes)
    );
    let json = |done: bool| {
        json!({"project": project, "backups": would.backups, "objects": would.objects,
               "bytes": would.bytes, "done": done,
               "copies_stay_readable": would.copies_stay_readable})
    };
    if args.dry_run {
        return output.done(&format!("would erase {what}"), project, &json(false));
    }
    if args.confirm.as_ref() != Some(project) {
        let words = format!("this would erase {what}, for ever");
        return Err(CliError::refused(words).hint(format!("--confirm {project} does it")));
    }
    let erased = repository.erase_project(project).map_err(failed)?;
    let source = args.place.key.source(&args.place.repo)?;
    let copies = if erased.copies_stay_readable {
        "copies of the store made before can still be opened with this master key; \
         `rotate-key`, and destroying every copy of the old key file, ends that"
            .to_owned()
    } else if lies_within(&source, &args.place.repo) {
        format!(
            "{} has changed and opens it no more; copies of this directory made before hold the \
             key file as it was, and bring the project back: destroy them",
            source
        )
    } else {
        format!(
            "{} has changed and opens it no more, in copies of the store neither; destroy copies of \
             that file made before, and keep a new one elsewhere",
            source
        )
    };
    output.done(&format!("erased {what}\n{copies}"), project, &json(true))
}

/// Returns whether a copy of the repository's directory contains its key file.
fn lies_within(source: &KeySource, repo: &Path) -> bool {
    let whole = |path: &Path| path.canonicalize().ok();
    match (source.file().and_then(whole), whole(repo)) {
        (Some(key_file), Some(repo)) => key_file.starts_with(repo),
        _ => false,
    }
}

/// Runs `repo recover`: every manifest whole, as JSON, with what the catalogue put there; and the
/// backups of servers, which have none of their own, as their parts tell of them.
pub(super) fn recover(place: &PlaceArgs, output: &Output) -> Result<(), CliError> {
    let mut backups: Vec<Manifest> = Vec::new();
    for project in place.projects()? {
        let found = find::manifests(std::slice::from_ref(&project))?;
        backups.extend(found.into_iter().map(|found| found.manifest));
    }
    backups.sort_by_key(|manifest| (manifest.created_at, manifest.backup_id));
    let json = json!({"backups": backups, "servers": servers(&backups)});
    let words = serde_json::to_string_pretty(&json)
        .map_err(|error| CliError::failed(format!("a manifest cannot be written: {error}")))?;
    output.done(&words, &backups.len().to_string(), &json)
}

/// Puts together what the parts of servers' backups say of the wholes.
fn servers(backups: &[Manifest]) -> Vec<Value> {
    let mut wholes: BTreeMap<String, (Value, Vec<String>)> = BTreeMap::new();
    for manifest in backups {
        let Some(whole) = manifest.extra.get("whole") else {
            continue;
        };
        let Some(id) = whole.get("id").and_then(Value::as_str) else {
            continue;
        };
        let entry = wholes.entry(id.to_owned());
        let (_, found) = entry.or_insert_with(|| (whole.clone(), Vec::new()));
        found.push(manifest.backup_id.to_string());
    }
    let wholes = wholes.into_values().map(|(mut whole, found)| {
        let wanted = whole.get("parts").and_then(Value::as_u64);
        if let Some(facts) = whole.as_object_mut() {
            let complete = wanted.is_none_or(|wanted| wanted == found.len() as u64);
            facts.insert("complete".to_owned(), complete.into());
            facts.insert("backups".to_owned(), found.into());
        }
        whole
    });
    wholes.collect()
}

/// Runs `repo rotate-key`. Whenever it is broken off, the key file opens the repository; running it
/// again goes on from there.
pub(super) fn rotate(place: &PlaceArgs, output: &Output) -> Result<(), CliError> {
    let source = place.key.source(&place.repo)?;
    let repository = place.open()?;
    if let Some(path) = source.file() {
        take_over_new_file(path)?;
    }
    let done = repository
        .rotate_keys()
        .map_err(|error| repository_error(&error))?;
    let words = format!(
        "the repository has master key {} now, in {}, and new data keys for {} projects\n\
         the old key opens nothing that is stored from now on, here or in copies; it still opens \
         copies made before: destroy it, and keep a copy of the new one elsewhere",
        done.key, source, done.projects,
    );
    let json = json!({"key_id": done.key.to_string(), "key_file": source.file(),
                      "keys_dropped": done.dropped, "projects": done.projects});
    output.done(&words, &done.key.to_string(), &json)
}

/// Goes on from where an earlier version was broken off: it had put the new key into a file beside
/// the old one, and the repository may open with either.
fn take_over_new_file(path: &Path) -> Result<(), CliError> {
    let mut new_path = path.to_owned().into_os_string();
    new_path.push(".new");
    let new_path = PathBuf::from(new_path);
    if !new_path.exists() {
        return Ok(());
    }
    let failed = |error| key_error(&error);
    let new = MasterKey::load(&new_path).map_err(failed)?;
    KeyFile::new(path)
        .change(
            &|key| match key.with_retired().any(|one| one.id() == new.id()) {
                true => key.clone(),
                false => new.clone().succeeding(key),
            },
        )
        .map_err(failed)?;
    std::fs::remove_file(&new_path)
        .map_err(|error| CliError::failed_by("the key file beside it", &error))
}
