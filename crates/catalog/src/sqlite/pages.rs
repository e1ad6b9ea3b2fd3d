//! A page costs what a page costs, however many rows there are.

use emberkeep_model::Backup;
use tempfile::TempDir;

use super::*;
use crate::conformance::sample_backup;
use crate::sql::list_statements;
use crate::{BackupField, BackupQuery, Catalog, Change, Direction, Paging, Row};

/// Rows are written so many at a time.
const AT_ONCE: usize = 500;
const PAGE: u32 = 50;

async fn fill(catalog: &SqliteCatalog, from: usize, to: usize) -> Vec<Backup> {
    let rows: Vec<Backup> = (from..to).map(sample_backup).collect();
    for rows in rows.chunks(AT_ONCE) {
        let insert = |row: &Backup| Change::Insert(Row::Backup(row.clone()));
        catalog
            .apply(rows.iter().map(insert).collect())
            .await
            .expect("apply");
    }
    rows
}

fn queries(middle: &Backup) -> Vec<(String, BackupQuery)> {
    let all = BackupQuery {
        project: Some(middle.project_id.clone()),
        paging: Paging {
            limit: Some(PAGE),
            ..Paging::default()
        },
        ..BackupQuery::default()
    };
    let mut queries = vec![("newest".to_owned(), all.clone())];
    for field in [
        BackupField::CreatedAt,
        BackupField::Name,
        BackupField::State,
        BackupField::Size,
        BackupField::VolumeId,
        BackupField::UpdatedAt,
        BackupField::DataTimestamp,
        BackupField::Id,
    ] {
        for way in [Direction::Ascending, Direction::Descending] {
            let query = BackupQuery {
                sort: vec![(field, way)],
                ..all.clone()
            };
            queries.push((format!("by {field:?} {way:?}"), query));
        }
    }
    let mut after = all.clone();
    after.paging.marker = Some(middle.id);
    queries.push(("after a marker in the middle".to_owned(), after));
    queries.push((
        "with a name".to_owned(),
        BackupQuery {
            name: middle.name.clone(),
            ..all.clone()
        },
    ));
    queries.push((
        "with a status".to_owned(),
        BackupQuery {
            states: vec!["available"],
            ..all.clone()
        },
    ));
    queries.push((
        "of a volume".to_owned(),
        BackupQuery {
            volumes: vec![middle.volume_id],
            ..all
        },
    ));
    queries
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_grows_with_the_page_and_not_with_the_table() {
    let dir = TempDir::new().expect("directory");
    let path = dir.path().join("catalog.db");
    let catalog = SqliteCatalog::open(&path).await.expect("open");
    let mut before: Option<Vec<i32>> = None;
    let mut begun = 0;
    for rows in [1_000, 10_000] {
        let made = fill(&catalog, begun, rows).await;
        begun = rows;
        let mut work = Vec::new();
        for (what, query) in queries(&made[made.len() / 2]) {
            let (page, ids) = list_statements(&query);
            let (found, steps) = quick::work_of(&path, &page).expect("reads");
            assert!(found > 0, "{what} of {rows}");
            assert!(found <= PAGE as usize, "{what} of {rows}: {found}");
            let (_, id_steps) = quick::work_of(&path, &ids).expect("reads");
            assert!(id_steps < steps, "{what}: ids alone cost less");
            work.push(steps);
        }
        if let Some(before) = &before {
            for ((was, is), (what, _)) in before.iter().zip(&work).zip(queries(&made[0])) {
                assert!(
                    f64::from(*is) < f64::from(*was) * 1.2,
                    "{what}: {was} steps for a page of 1,000 rows, {is} of {rows}"
                );
            }
        }
        before = Some(work);
    }
}
