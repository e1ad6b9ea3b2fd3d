//! What a page of fifty backups costs among 1,000, 10,000 and 100,000:
//! `cargo run --release -p emberkeep-catalog --features testing --example pages`.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement for people"
)]

use std::time::Instant;

use emberkeep_catalog::conformance::sample_backup;
use emberkeep_catalog::{
    BackupField, BackupQuery, Catalog, Change, Direction, Paging, Row, SqliteCatalog,
};

const ROWS: [usize; 3] = [1_000, 10_000, 100_000];
const ROUNDS: u32 = 200;

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(measure());
}

async fn measure() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = SqliteCatalog::open(dir.path().join("catalogue.db"))
        .await
        .unwrap();
    let mut begun = 0;
    for rows in ROWS {
        for from in (begun..rows).step_by(500) {
            let to = (from + 500).min(rows);
            let changes = (from..to).map(|n| Change::Insert(Row::Backup(sample_backup(n))));
            catalog.apply(changes.collect()).await.unwrap();
        }
        begun = rows;
        println!("{rows} backups of the project");
        for (what, query) in queries(rows) {
            let found = catalog.backups_seen(&query).await.unwrap();
            let start = Instant::now();
            for _ in 0..ROUNDS {
                catalog.backups_seen(&query).await.unwrap();
            }
            let micros = start.elapsed().as_micros() / u128::from(ROUNDS);
            println!("  {what:<32} {micros:>7} µs for {} rows", found.items.len());
        }
    }
}

fn queries(rows: usize) -> Vec<(&'static str, BackupQuery)> {
    let middle = sample_backup(rows / 2);
    let all = BackupQuery {
        project: Some(middle.project_id.clone()),
        paging: Paging {
            limit: Some(50),
            ..Paging::default()
        },
        ..BackupQuery::default()
    };
    let sorted = |field| BackupQuery {
        sort: vec![(field, Direction::Ascending)],
        ..all.clone()
    };
    let mut after = all.clone();
    after.paging.marker = Some(middle.id);
    let mut counted = all.clone();
    counted.paging.with_total = true;
    vec![
        ("newest first", all.clone()),
        ("after a marker in the middle", after),
        ("by name", sorted(BackupField::Name)),
        ("by size", sorted(BackupField::Size)),
        ("by status", sorted(BackupField::State)),
        ("by change", sorted(BackupField::UpdatedAt)),
        (
            "with a status",
            BackupQuery {
                states: vec!["available"],
                ..all.clone()
            },
        ),
        (
            "of a volume",
            BackupQuery {
                volumes: vec![middle.volume_id],
                ..all.clone()
            },
        ),
        (
            "with a name",
            BackupQuery {
                name: middle.name,
                ..all
            },
        ),
        ("newest first, and counted", counted),
    ]
}
