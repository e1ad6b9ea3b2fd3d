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

/// What is remembered of rows never stands in for what has become of them since, whoever has changed them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_shows_in_the_very_next_look() {
    let dir = TempDir::new().expect("directory");
    let path = dir.path().join("catalog.db");
    let own = SqliteCatalog::open(&path).await.expect("open");
    // As another process has it: with connections, and a memory, of its own.
    let other = SqliteCatalog::open(&path).await.expect("open");
    let mut rows = fill(&own, 0, 60).await;
    let newest = queries(&rows[30]).swap_remove(0).1;
    let counted = BackupQuery {
        paging: Paging {
            with_total: true,
            ..newest.paging.clone()
        },
        ..newest.clone()
    };
    for round in 0..20 {
        let (writer, reader) = if round % 3 == 0 {
            (&own, &own)
        } else {
            (&other, &own)
        };
        let row = &mut rows[59 - round];
        row.name = Some(format!("round {round}"));
        let mut changes = vec![Change::Save(Row::Backup(row.clone()))];
        row.revision += 1;
        let added = sample_backup(60 + round);
        changes.push(Change::Insert(Row::Backup(added.clone())));
        let (id, want) = (row.id, row.clone());
        rows.push(added);
        writer.apply(changes).await.expect("apply");
        for catalog in [reader, writer] {
            let seen = catalog.backup_seen(id).await.expect("looks up");
            assert_eq!(seen.as_deref(), Some(&want), "round {round}");
            let want: Vec<&Backup> = rows.iter().rev().take(PAGE as usize).collect();
            for (query, total) in [(&newest, None), (&counted, Some(rows.len() as u64))] {
                let page = catalog.backups_seen(query).await.expect("list");
                let got: Vec<&Backup> = page.items.iter().map(AsRef::as_ref).collect();
                assert_eq!(got, want, "round {round}");
                assert_eq!(page.total, total, "round {round}");
            }
        }
    }
}

/// The counts that the database keeps are what counting the rows gives.
#[tokio::test]
async fn counts_follow_every_change() {
    let catalog = SqliteCatalog::in_memory().await.expect("open");
    let mut rows = fill(&catalog, 0, 300).await;
    let projects: [emberkeep_model::ProjectId; 2] = ["p1", "p2"].map(|p| p.parse().expect("an id"));
    let vaults = [10, 11].map(|n| Some(emberkeep_model::VaultId(sample_backup(n).id.0)));
    for (n, row) in rows.iter_mut().enumerate() {
        match n % 6 {
            0 => row.state = emberkeep_model::BackupState::Deleted,
            1 => row.vault_id = vaults[n / 6 % 2],
            2 => row.size = emberkeep_model::Gib(7),
            3 => row.project_id = projects[n / 6 % 2].clone(),
            4 => row.cbr.part_of = Some(sample_backup(n).id),
            _ => row.state = emberkeep_model::BackupState::Queued,
        }
        let save = Change::Save(Row::Backup(row.clone()));
        row.revision += 1;
        let remove = Change::Remove(crate::Key::Backup(row.id), row.revision);
        let changes = if n % 7 == 0 {
            vec![save, remove]
        } else {
            vec![save]
        };
        catalog.apply(changes).await.expect("apply");
    }
    let kept = "SELECT project_id, vault_id, state, kind, part, replica, rows, size, stored FROM backup_counts";
    let counted = "SELECT project_id, COALESCE(vault_id, ''), state, kind, part_of IS NOT NULL, \
                   replica_of IS NOT NULL, COUNT(*), SUM(size), SUM(COALESCE(bytes_stored, 0)) FROM backups \
                   GROUP BY 1, 2, 3, 4, 5, 6";
    let mut tables = Vec::new();
    for text in [kept, counted] {
        let statement = Statement {
            max_bytes: None,
            text: format!("{text} ORDER BY 1, 2, 3, 4, 5, 6"),
            binds: Vec::new(),
        };
        tables.extend(catalog.read(vec![statement]).await.expect("reads"));
    }
    assert!(tables[0].len() >= 8, "{}", tables[0].len());
    assert_eq!(tables[0], tables[1]);
}
