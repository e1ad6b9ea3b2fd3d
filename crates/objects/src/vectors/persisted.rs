//! `objects.json`: a backup through its whole life in the database.

use crate::conformance::Subject;
use crate::data::{Backup, BackupImport, Context, Metadata, ReadDeleted};
use crate::database::memory::MemoryBackups;
use crate::datetime::DateTime;
use crate::error::ObjectError;
use crate::json::{Dict, Json};
use crate::object::VersionedObject;
use crate::primitive::DATA;

use super::entry::{
    Outcome, admin, assign_all, dict, equal, now, part, same_error, same_names, text,
};

pub(super) fn persisted(entry: &Json, _: &Json) -> Outcome {
    now(life(entry, &MemoryBackups::default()))
}

fn said(error: &ObjectError) -> String {
    format!("refused: {}: {error}", error.class().name)
}

/// Sets the clock to a recorded time.
fn set_clock(store: &dyn Subject, time: Option<&Json>) -> Outcome {
    if let Some(text) = time.and_then(Json::as_text) {
        let time = DateTime::parse(text).and_then(DateTime::timestamp);
        store.set_now(time.map_err(|error| error.to_string())?);
    }
    Ok(())
}

fn data_of<'a>(entry: &'a Json, primitive: &str, field: &str) -> Option<&'a Json> {
    entry.get(primitive)?.get(DATA)?.get(field)
}

/// Lives an entry's life in a new database.
pub(super) async fn life(entry: &Json, store: &dyn Subject) -> Outcome {
    let context = admin();
    set_clock(store, data_of(entry, "primitive", "created_at"))?;
    let input = dict(entry, "input")?;
    let mut row = BackupImport::new(context.clone());
    assign_all(&mut *row, input).map_err(|error| said(&error))?;
    row.create(store).await.map_err(|error| said(&error))?;
    let id = text(part(entry, "input")?, "id")?;
    let mut backup = load(store, &context, id).await?;
    equal(
        "primitive",
        part(entry, "primitive")?,
        &backup.to_primitive(),
    )?;
    same_changes("changes after load", entry, "changes_after_load", &backup)?;

    if let Some(Json::Dict(after)) = entry.get("after_save_primitive").and_then(|p| p.get(DATA)) {
        edit(&mut backup, part(entry, "primitive")?, after)?;
        same_changes("changes after edit", entry, "after_edit_changes", &backup)?;
        set_clock(store, after.get("updated_at"))?;
        backup.save(store).await.map_err(|error| said(&error))?;
        let loaded = load(store, &context, id).await?;
        let wanted = part(entry, "after_save_primitive")?;
        equal("after save", wanted, &loaded.to_primitive())?;
        let changes = "after_save_object_changes";
        same_changes("changes after save", entry, changes, &backup)?;
    }

    let Some(Json::Dict(destroyed)) = entry.get("after_destroy") else {
        return Ok(());
    };
    set_clock(store, destroyed.get("deleted_at"))?;
    backup.destroy(store).await.map_err(|error| said(&error))?;
    let found = backup.to_primitive();
    for (field, wanted) in destroyed.iter() {
        let found = found.get(DATA).and_then(|data| data.get(field));
        equal(field, wanted, found.unwrap_or(&Json::Null))?;
    }
    if let Some(wanted) = entry.get("get_after_destroy") {
        match Backup::get_by_id(store, &context, id).await {
            Ok(_) => return Err("found after destroy".to_owned()),
            Err(error) => same_error(wanted, &error)?,
        }
    }
    if let Some(wanted) = entry.get("row_after_destroy") {
        let seeing = Context {
            read_deleted: ReadDeleted::Yes,
            ..context
        };
        let row = load(store, &seeing, id).await?;
        equal("row after destroy", wanted, &row.to_primitive())?;
    }
    Ok(())
}

async fn load(store: &dyn Subject, context: &Context, id: &str) -> Result<Backup, String> {
    Backup::get_by_id(store, context, id)
        .await
        .map_err(|error| said(&error))
}

fn same_changes(what: &str, entry: &Json, name: &str, backup: &Backup) -> Outcome {
    let Some(wanted) = entry.get(name) else {
        return Ok(());
    };
    let found: Vec<String> = backup
        .what_changed()
        .into_iter()
        .map(str::to_owned)
        .collect();
    same_names(what, wanted, &found)
}

/// Makes the recorded edits: whatever differs before and after, the metadata in place.
fn edit(backup: &mut Backup, before: &Json, after: &Dict) -> Outcome {
    for (name, value) in after.iter() {
        let was = before.get(DATA).and_then(|data| data.get(name));
        if was == Some(value) || name == "updated_at" {
            continue;
        }
        match (name, value) {
            ("metadata", Json::Dict(pairs)) => {
                let metadata = backup.edit(Backup::METADATA).ok_or("no metadata to edit")?;
                edit_to(metadata, pairs);
            }
            _ => backup
                .assign(name, value.clone())
                .map_err(|error| said(&error))?,
        }
    }
    Ok(())
}

/// Changes metadata in place, pair by pair.
pub(super) fn edit_to(metadata: &mut Metadata, pairs: &Dict) {
    let names: Vec<String> = metadata.iter().map(|(name, _)| name.to_owned()).collect();
    for name in names {
        if pairs.get(&name).is_none() {
            metadata.remove(&name);
        }
    }
    for (name, text) in pairs.iter() {
        metadata.insert(name, text.as_text().unwrap_or_default());
    }
}
