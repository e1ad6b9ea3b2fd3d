//! Lists of backups, as the real Cinder gave them for the same rows.

use emberkeep_model::Timestamp;

use super::Subject;
use crate::{
    Backup, BackupImport, BackupList, BackupStore, Cell, Column, Context, DateTime, Dict, Filter,
    Json, ListQuery, Metadata, ObjectError, ReadDeleted, Selection, VersionedObject,
};

fn text<'a>(json: &'a Json, name: &str) -> Option<&'a str> {
    json.get(name).and_then(Json::as_text)
}

fn texts(json: &Json, name: &str) -> Vec<String> {
    let list = json.get(name).and_then(Json::as_list).unwrap_or_default();
    list.iter()
        .filter_map(Json::as_text)
        .map(str::to_owned)
        .collect()
}

fn count(json: &Json, name: &str) -> Option<u64> {
    match json.get(name) {
        Some(Json::Int(value)) => u64::try_from(*value).ok(),
        _ => None,
    }
}

fn time(json: &Json, name: &str) -> Option<DateTime> {
    text(json, name).map(|text| DateTime::parse(text).unwrap())
}

fn context(name: &str) -> Context {
    let admin = Context::admin("u", "p1");
    match name {
        "admin" => admin,
        "user" => Context::user("u", "p1"),
        "other" => Context::user("u", "p2"),
        "nobody" => Context::default(),
        "read_deleted" => Context {
            read_deleted: ReadDeleted::Yes,
            ..admin
        },
        "only_deleted" => Context {
            read_deleted: ReadDeleted::Only,
            ..admin
        },
        other => panic!("no context {other}"),
    }
}

async fn fill(store: &dyn BackupStore, rows: &[Json]) {
    for row in rows {
        let mut backup = BackupImport::new(context("admin"));
        let mut columns = row.as_dict().unwrap().clone();
        let deleted_at = columns.remove("deleted_at");
        for (name, value) in columns.iter() {
            backup.assign(name, value.clone()).unwrap();
        }
        backup.create(store).await.unwrap();
        if let Some(Json::Text(at)) = deleted_at {
            let at: Timestamp = DateTime::parse(&at).unwrap().timestamp().unwrap();
            let id = text(row, "id").unwrap();
            let which = Selection {
                read_deleted: ReadDeleted::No,
                filters: vec![
                    Filter::Metadata(Metadata::default()),
                    Filter::Is(Column::ID, Cell::Text(id.to_owned())),
                ],
            };
            store.soft_delete(&which, at).await.unwrap();
        }
    }
}

async fn answer(store: &dyn BackupStore, query: &Json) -> Result<Vec<String>, ObjectError> {
    let context = context(text(query, "context").unwrap());
    let filters: Dict = query
        .get("filters")
        .and_then(Json::as_dict)
        .cloned()
        .unwrap_or_default();
    let page = ListQuery {
        filters: filters.clone(),
        marker: text(query, "marker").map(str::to_owned),
        limit: count(query, "limit"),
        offset: count(query, "offset").unwrap_or(0),
        sort_keys: texts(query, "sort_keys"),
        sort_dirs: texts(query, "sort_dirs"),
    };
    let said = |name| text(query, name).unwrap_or_default();
    let list = match said("call") {
        "all" => BackupList::get_all(store, &context, &page).await,
        "project" => {
            BackupList::get_all_by_project(store, &context, said("project_id"), &page).await
        }
        "host" => BackupList::get_all_by_host(store, &context, said("host")).await,
        "volume" => {
            let (volume, project) = (said("volume_id"), said("vol_project_id"));
            BackupList::get_all_by_volume(store, &context, volume, project, &filters).await
        }
        "window" => {
            let (begin, end) = (time(query, "begin").unwrap(), time(query, "end"));
            BackupList::get_all_active_by_window(store, &context, begin, end).await
        }
        other => panic!("no call {other}"),
    }?;
    assert!(list.what_changed().is_empty());
    Ok(list
        .iter()
        .map(|backup| backup.get(Backup::ID).value().unwrap().to_owned())
        .collect())
}

/// Asks every recorded question.
pub(super) async fn run<S: Subject>(make: &impl AsyncFn() -> S) {
    let recorded = Json::parse(include_str!("lists.json")).unwrap();
    let list = |name| recorded.get(name).and_then(Json::as_list).unwrap();
    let store = make().await;
    fill(&store, list("rows")).await;
    let mut wrong = Vec::new();
    for query in list("queries") {
        let found = match answer(&store, query).await {
            Ok(ids) => format!("{ids:?}"),
            Err(error) => format!("{}: {error}", error.class().name),
        };
        let wanted = match query.get("error") {
            Some(error) => {
                format!(
                    "{}: {}",
                    text(error, "type").unwrap(),
                    text(error, "message").unwrap()
                )
            }
            None => format!("{:?}", texts(query, "ids")),
        };
        if found != wanted {
            wrong.push(format!("{query}\n  gives {found}\n  not   {wanted}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(list("queries").len() > 100);
}
