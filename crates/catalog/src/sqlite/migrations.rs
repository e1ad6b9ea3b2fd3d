//! The sequence of migrations, and databases of every older version.

use sqlx::migrate::Migration;
use tempfile::TempDir;

use super::*;

fn sequence() -> Vec<Migration> {
    MIGRATIONS.iter().cloned().collect()
}

#[test]
fn numbers_have_no_gap_and_no_duplicate() {
    let numbers: Vec<i64> = sequence().iter().map(|one| one.version).collect();
    let want: Vec<i64> = (1..).take(numbers.len()).collect();
    assert_eq!(numbers, want);
}

/// Returns every statement of the schema, in order of names.
async fn schema(path: &Path) -> Vec<(String, Option<String>)> {
    let options = SqliteConnectOptions::new().filename(path);
    let pool = pool(1).connect_with(options).await.expect("connect");
    let statements = "SELECT name, sql FROM sqlite_master ORDER BY name";
    let found = sqlx::query_as(statements).fetch_all(&pool).await;
    pool.close().await;
    found.expect("schema")
}

async fn opened(path: &Path) -> Vec<(String, Option<String>)> {
    let catalog = SqliteCatalog::open(path).await.expect("open");
    catalog.close().await;
    schema(path).await
}

#[tokio::test]
async fn a_catalog_of_each_older_version_is_brought_up_to_date() {
    let dir = TempDir::new().expect("directory");
    let fresh = opened(&dir.path().join("fresh.db")).await;
    let all = sequence();
    for count in 1..all.len() {
        // Number 10 came after 11 was in use: an older catalog may lack it alone.
        let with_gap = all.iter().filter(|one| one.version != 10);
        for (name, applied) in [
            ("first", all.iter().take(count).cloned().collect::<Vec<_>>()),
            ("gap", with_gap.take(count).cloned().collect()),
        ] {
            let path = dir.path().join(format!("{name}-{count}.db"));
            let options = SqliteConnectOptions::new()
                .filename(&path)
                .create_if_missing(true);
            let older = pool(1).connect_with(options).await.expect("connect");
            let migrator = Migrator::with_migrations(applied);
            migrator.run(&older).await.expect("migrate");
            older.close().await;
            assert_eq!(opened(&path).await, fresh, "{name} {count}");
        }
    }
}
