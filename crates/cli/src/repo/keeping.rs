//! `emberkeep repo recover|rotate-key|erase-project`: what a catalogue needs to be rebuilt, a new
//! master key, and the end of a project.

use std::collections::BTreeMap;

use clap::Args;
use emberkeep_engine::{Manifest, Repository};
use emberkeep_keys::MasterKey;
use emberkeep_model::ByteCount;
use serde_json::{Value, json};

use super::key::key_error;
use super::{PlaceArgs, find, repository_error};
use crate::error::CliError;
use crate::output::Output;

/// Options of `repo erase-project`.
#[derive(Debug, Args)]
pub(super) struct EraseArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// The project's name once more: nothing of it can be read afterwards, by anyone, ever
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    /// Tell what would be erased and change nothing
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
               "bytes": would.bytes, "done": done})
    };
    if args.dry_run {
        return output.done(&format!("would erase {what}"), project, &json(false));
    }
    if args.confirm.as_ref() != Some(project) {
        let words = format!("this would erase {what}, for ever");
        return Err(CliError::refused(words).hint(format!("--confirm {project} does it")));
    }
    repository.erase_project(project).map_err(failed)?;
    output.done(&format!("erased {what}"), project, &json(true))
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

/// Runs `repo rotate-key`. Whenever it is broken off, a key file opens the repository: this
/// one, or the one beside it that ends in `.new`; running it again goes on from there.
pub(super) fn rotate(place: &PlaceArgs, output: &Output) -> Result<(), CliError> {
    let path = place.key.place(&place.repo)?;
    let mut new_path = path.clone().into_os_string();
    new_path.push(".new");
    let new_path = std::path::PathBuf::from(new_path);
    let key_failed = |error| key_error(&error);
    let failed = |error| repository_error(&error);
    let repository = place.open()?;
    let new = if new_path.exists() {
        MasterKey::load(&new_path).map_err(key_failed)?.key
    } else {
        MasterKey::create(&new_path).map_err(key_failed)?
    };
    repository.add_master_key(&new).map_err(failed)?;
    MasterKey::replace(&new_path, &path).map_err(key_failed)?;
    let dropped = reopened(place, &new)?
        .keep_only_master_key(&new)
        .map_err(failed)?;
    let words = format!(
        "the repository has master key {} now, in {}\nolder keys open it no more; keep a copy of the new one elsewhere",
        new.id(),
        path.display()
    );
    let json = json!({"key_id": new.id().to_string(), "key_file": path, "keys_dropped": dropped});
    output.done(&words, &new.id().to_string(), &json)
}

fn reopened(place: &PlaceArgs, key: &MasterKey) -> Result<Repository, CliError> {
    let store = super::place::open(&place.repo)?;
    Repository::open(store, key).map_err(|error| repository_error(&error))
}
