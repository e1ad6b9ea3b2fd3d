//! Lists of backups, as the real Cinder gave them for the same rows.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::future::Future;
use std::pin::pin;
use std::task::{Poll, Waker};

use emberkeep_model::Timestamp;
use emberkeep_objects::{
    Backup, BackupImport, BackupList, BackupStore, Context, DateTime, Dict, Json, ListQuery,
    MemoryBackups, ObjectError, ReadDeleted, Selection, VersionedObject,
};

fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    match future
        .as_mut()
        .poll(&mut std::task::Context::from_waker(Waker::noop()))
    {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("memory never waits"),
    }
}

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

fn store(rows: &[Json]) -> MemoryBackups {
    let store = MemoryBackups::default();
    for row in rows {
        let mut backup = BackupImport::new(context("admin"));
        let mut columns = row.as_dict().unwrap().clone();
        let deleted_at = columns.remove("deleted_at");
        for (name, value) in columns.iter() {
            backup.assign(name, value.clone()).unwrap();
        }
        now(backup.create(&store)).unwrap();
        if let Some(Json::Text(at)) = deleted_at {
            let at: Timestamp = DateTime::parse(&at).unwrap().timestamp().unwrap();
            let id = text(row, "id").unwrap();
            let only = emberkeep_objects::Filter::Metadata(Default::default());
            let column = emberkeep_objects::Column::named("id").unwrap();
            let id =
                emberkeep_objects::Filter::Is(column, emberkeep_objects::Cell::Text(id.to_owned()));
            let which = Selection {
                read_deleted: ReadDeleted::No,
                filters: vec![only, id],
            };
            now(store.soft_delete(&which, at)).unwrap();
        }
    }
    store
}

fn run(store: &MemoryBackups, query: &Json) -> Result<Vec<String>, ObjectError> {
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
        "all" => now(BackupList::get_all(store, &context, &page)),
        "project" => now(BackupList::get_all_by_project(
            store,
            &context,
            said("project_id"),
            &page,
        )),
        "host" => now(BackupList::get_all_by_host(store, &context, said("host"))),
        "volume" => {
            let (volume, project) = (said("volume_id"), said("vol_project_id"));
            now(BackupList::get_all_by_volume(
                store, &context, volume, project, &filters,
            ))
        }
        "window" => {
            let (begin, end) = (time(query, "begin").unwrap(), time(query, "end"));
            now(BackupList::get_all_active_by_window(
                store, &context, begin, end,
            ))
        }
        other => panic!("no call {other}"),
    }?;
    assert!(list.what_changed().is_empty());
    Ok(list
        .iter()
        .map(|backup| backup.get(Backup::ID).value().unwrap().to_owned())
        .collect())
}

#[test]
fn lists_are_those_of_cinder() {
    let recorded = Json::parse(include_str!("lists.json")).unwrap();
    let list = |name| recorded.get(name).and_then(Json::as_list).unwrap();
    let store = store(list("rows"));
    let mut wrong = Vec::new();
    for query in list("queries") {
        let found = match run(&store, query) {
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
