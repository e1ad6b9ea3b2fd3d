//! `objects.json`: methods that an entry's name alone tells.

use emberkeep_model::Timestamp;

use crate::conformance::Subject;
use crate::data::{Backup, BackupImport};
use crate::database::memory::MemoryBackups;
use crate::error::ObjectError;
use crate::json::{Dict, Json};
use crate::object::VersionedObject;

use super::entry::{Outcome, admin, expect, now, text};
use super::persisted::edit_to;

pub(super) fn methods(entry: &Json, _: &Json) -> Outcome {
    now(method(entry, &MemoryBackups::default()))
}

/// Does what an entry's name tells in a new database.
pub(super) async fn method(entry: &Json, store: &dyn Subject) -> Outcome {
    let name = text(entry, "name")?;
    store.set_now(Timestamp(1_700_000_000_000_000));
    match run(store, name, entry).await {
        Some(found) => expect(entry, "result", found),
        None => Err("this runner does not know what to do".to_owned()),
    }
}

/// The id that the recorded message names, so that messages can be compared.
fn recorded_id(entry: &Json) -> String {
    let message = entry.get("error").and_then(|error| error.get("message"));
    let words = message.and_then(Json::as_text).unwrap_or_default();
    let id = words.split(' ').nth(1);
    id.unwrap_or("11111111-2222-4333-8444-555555555555")
        .to_owned()
}

fn fresh() -> Result<Backup, ObjectError> {
    let mut backup = Backup::new(admin());
    for name in ["user_id", "project_id", "volume_id"] {
        backup.assign(name, name)?;
    }
    Ok(backup)
}

async fn saved(store: &dyn Subject) -> Result<Backup, ObjectError> {
    let mut backup = fresh()?;
    backup.create(store).await?;
    Backup::get_by_id(store, &admin(), &id_of(&backup)).await
}

fn id_of(backup: &Backup) -> String {
    backup
        .get(Backup::ID)
        .value()
        .unwrap_or_default()
        .to_owned()
}

async fn run(store: &dyn Subject, name: &str, entry: &Json) -> Option<Result<Json, ObjectError>> {
    Some(match name {
        "create_twice" => create_twice(store).await,
        "create_with_id" => create_with_id(store).await,
        "import_create_same_id" => import_twice(store).await,
        "create_without_volume_id" => create_without_volume_id(store).await,
        "get_unset_field" => Backup::new(admin()).value("size").map(|_| Json::Null),
        "orphan_lazy_load" => {
            let mut orphan = Backup::orphan();
            orphan.parent(store).await.map(|_| Json::Null)
        }
        "orphan_destroy" => Backup::orphan().destroy(store).await.map(|()| Json::Null),
        "save_changed_id" => save_changed_id(store, recorded_id(entry))
            .await
            .map(|_| Json::Null),
        "row_by_old_id" => row_by_old_id(store, recorded_id(entry)).await,
        "save_missing_row" => save_missing_row(store, recorded_id(entry)).await,
        "metadata_in_place" => metadata_in_place(store, entry).await,
        "metadata_none" => metadata_none(store).await,
        "fail_reason_length_then_null" => fail_reason(store).await,
        _ => return None,
    })
}

async fn create_twice(store: &dyn Subject) -> Result<Json, ObjectError> {
    let mut backup = fresh()?;
    backup.create(store).await?;
    backup.create(store).await.map(|()| Json::Null)
}

async fn create_with_id(store: &dyn Subject) -> Result<Json, ObjectError> {
    let mut backup = fresh()?;
    backup.assign("id", "x")?;
    backup.create(store).await.map(|()| Json::Null)
}

async fn import_twice(store: &dyn Subject) -> Result<Json, ObjectError> {
    for _ in 0..2 {
        let mut import = BackupImport::new(admin());
        for name in ["id", "user_id", "project_id", "volume_id"] {
            import.assign(name, name)?;
        }
        import.create(store).await?;
    }
    Ok(Json::Null)
}

async fn create_without_volume_id(store: &dyn Subject) -> Result<Json, ObjectError> {
    let mut backup = fresh()?;
    backup.unset(Backup::VOLUME_ID);
    backup.create(store).await.map(|()| Json::Null)
}

/// Gives the backup another id and saves it; returns the old id.
async fn save_changed_id(store: &dyn Subject, id: String) -> Result<String, ObjectError> {
    let mut backup = saved(store).await?;
    backup.set(Backup::ID, id)?;
    backup.save(store).await?;
    Ok(id_of(&backup))
}

async fn row_by_old_id(store: &dyn Subject, id: String) -> Result<Json, ObjectError> {
    let mut backup = saved(store).await?;
    let old = id_of(&backup);
    backup.set(Backup::ID, id)?;
    let refused = backup.save(store).await.is_err();
    let there = Backup::get_by_id(store, &admin(), &old).await.is_ok();
    Ok(Json::Bool(refused && there))
}

async fn save_missing_row(store: &dyn Subject, id: String) -> Result<Json, ObjectError> {
    let mut backup = fresh()?;
    backup.set(Backup::ID, id)?;
    backup.save(store).await.map(|()| Json::Null)
}

async fn metadata_in_place(store: &dyn Subject, entry: &Json) -> Result<Json, ObjectError> {
    let wanted = entry.get("result").and_then(|result| result.get("now"));
    let wanted = wanted.and_then(Json::as_dict).cloned().unwrap_or_default();
    let mut backup = saved(store).await?;
    let before = [("a", "1"), ("b", "1")].into_iter().collect();
    backup.set(Backup::METADATA, before)?;
    backup.save(store).await?;
    if let Some(metadata) = backup.edit(Backup::METADATA) {
        edit_to(metadata, &wanted);
    }
    let changed = backup.what_changed().into_iter().map(Json::from).collect();
    backup.save(store).await?;
    let loaded = Backup::get_by_id(store, &admin(), &id_of(&backup)).await?;
    let found = loaded.get(Backup::METADATA).value();
    let mut result = Dict::new();
    result.insert("changed", Json::List(changed));
    result.insert("now", found.map_or(Json::Null, crate::field::metadata_json));
    Ok(result.into())
}

async fn metadata_none(store: &dyn Subject) -> Result<Json, ObjectError> {
    let mut backup = saved(store).await?;
    backup.set_null(Backup::METADATA)?;
    backup.save(store).await.map(|()| Json::Null)
}

async fn fail_reason(store: &dyn Subject) -> Result<Json, ObjectError> {
    let mut backup = saved(store).await?;
    let mut found = Vec::new();
    backup.set(Backup::FAIL_REASON, "x".repeat(300))?;
    backup.save(store).await?;
    let loaded = Backup::get_by_id(store, &admin(), &id_of(&backup)).await?;
    let reason = loaded.get(Backup::FAIL_REASON).value().unwrap_or_default();
    found.push(Json::Int(reason.chars().count() as i128));
    backup.set_null(Backup::FAIL_REASON)?;
    backup.save(store).await?;
    let loaded = Backup::get_by_id(store, &admin(), &id_of(&backup)).await?;
    let reason = loaded.get(Backup::FAIL_REASON).value();
    found.push(reason.map_or(Json::Null, Json::from));
    Ok(Json::List(found))
}
