//! The suite on SQLite, and what only a file can show.

use emberkeep_model::{Project, ProjectId, Timestamp};
use tempfile::TempDir;

use super::*;
use crate::sql::plan_probes;
use crate::{Catalog, Change, Row, conformance};

const WORKERS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn conforms_in_memory() {
    conformance::run(async || SqliteCatalog::in_memory().await.expect("open")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn conforms_in_a_file() {
    let dir = TempDir::new().expect("directory");
    let count = std::cell::Cell::new(0);
    conformance::run(async || {
        count.set(count.get() + 1);
        let path = dir.path().join(format!("{}.db", count.get()));
        SqliteCatalog::open(path).await.expect("open")
    })
    .await;
}

fn project(name: &str) -> Project {
    let id: ProjectId = name.parse().expect("an id");
    Project {
        id,
        name: name.to_owned(),
        description: String::new(),
        enabled: true,
        created_at: Timestamp(0),
        revision: 0,
    }
}

fn insertion(name: &str) -> Change {
    Change::Insert(Row::Project(project(name)))
}

async fn names(catalog: &SqliteCatalog) -> Vec<String> {
    let projects = catalog.projects().await.expect("list");
    projects.into_iter().map(|p| p.name).collect()
}

#[tokio::test]
async fn rows_outlive_the_process() {
    let dir = TempDir::new().expect("directory");
    let path = dir.path().join("catalog.db");
    let mut want = Vec::new();
    for (i, closed) in [true, false, false, true].into_iter().enumerate() {
        let catalog = SqliteCatalog::open(&path).await.expect("open");
        assert_eq!(names(&catalog).await, want, "opening number {i}");
        want.push(format!("p{i}"));
        catalog
            .apply(vec![insertion(&want[i])])
            .await
            .expect("apply");
        if closed {
            catalog.close().await;
        } else {
            drop(catalog);
        }
    }
}

/// What lies on disk at the moment `apply` returns is all there is after a crash.
#[tokio::test]
async fn what_was_applied_survives_a_crash() {
    let dir = TempDir::new().expect("directory");
    let path = dir.path().join("catalog.db");
    let catalog = SqliteCatalog::open(&path).await.expect("open");
    let mut want = Vec::new();
    for i in 0..5 {
        let name = format!("p{i}");
        catalog.apply(vec![insertion(&name)]).await.expect("apply");
        want.push(name);
        // Somebody is in the middle of something.
        let mut unfinished = catalog
            .writer
            .begin_with("BEGIN IMMEDIATE")
            .await
            .expect("begin");
        sqlx::query("DELETE FROM projects")
            .execute(&mut *unfinished)
            .await
            .expect("delete");
        let crashed = dir.path().join(format!("crash-{i}.db"));
        for suffix in ["", "-wal"] {
            let (from, to) = [&path, &crashed]
                .map(|p| format!("{}{suffix}", p.display()))
                .into();
            std::fs::copy(from, to).expect("copy");
        }
        unfinished.rollback().await.expect("rollback");
        let after = SqliteCatalog::open(&crashed)
            .await
            .expect("open after a crash");
        assert_eq!(names(&after).await, want);
    }
}

/// Whoever stops waiting for `apply` leaves all of it or nothing, and nobody stuck behind it.
#[tokio::test]
async fn an_abandoned_write_is_whole_or_nothing() {
    let dir = TempDir::new().expect("directory");
    let catalog = SqliteCatalog::open(dir.path().join("catalog.db"))
        .await
        .expect("open");
    let mut abandoned = 0;
    for patience in 0..200 {
        let (one, two) = (format!("one-{patience}"), format!("two-{patience}"));
        let write = catalog.apply(vec![insertion(&one), insertion(&two)]);
        let give_up = async {
            for _ in 0..patience / 4 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            done = write => done.expect("apply"),
            () = give_up => abandoned += 1,
        }
        catalog
            .apply(vec![insertion(&format!("after-{patience}"))])
            .await
            .expect("the next write");
        let names = names(&catalog).await;
        assert_eq!(
            names.contains(&one),
            names.contains(&two),
            "after {patience} yields"
        );
    }
    assert!(abandoned > 0, "at least the most impatient gave up");
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let dir = TempDir::new().expect("directory");
    let path = dir.path().join("catalog.db");
    let catalog = SqliteCatalog::open(&path).await.expect("open");
    let known = schema_version(&mut catalog.writer.acquire().await.expect("acquire")).await;
    let known = known.expect("version");
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (9999, 'from the future', TRUE, x'00', 0)";
    sqlx::query(newer)
        .execute(&catalog.writer)
        .await
        .expect("insert");
    catalog.apply(vec![insertion("kept")]).await.expect("apply");
    catalog.close().await;
    let before = std::fs::read(&path).expect("read");
    for _ in 0..2 {
        match SqliteCatalog::open(&path).await {
            Err(CatalogError::TooNew {
                found: 9999,
                known: ours,
            }) => assert_eq!(ours, known),
            other => panic!("{other:?}"),
        }
    }
    assert!(
        std::fs::read(&path).expect("read") == before,
        "not a byte has changed"
    );
}

#[tokio::test]
async fn another_process_is_told_apart() {
    let dir = TempDir::new().expect("directory");
    let path = dir.path().join("catalog.db");
    let opening = Opening {
        busy: Duration::from_millis(50),
        ..Opening::default()
    };
    let open = || SqliteCatalog::open_with(&path, opening);
    let (mine, theirs) = (open().await.expect("open"), open().await.expect("open"));
    let lock = theirs
        .writer
        .begin_with("BEGIN IMMEDIATE")
        .await
        .expect("begin");
    match mine.apply(vec![insertion("p")]).await {
        Err(CatalogError::InUse { what }) => assert!(what.contains("catalog.db"), "{what}"),
        other => panic!("{other:?}"),
    }
    assert!(names(&mine).await.is_empty(), "reading goes on");
    lock.rollback().await.expect("rollback");
    mine.apply(vec![insertion("p")]).await.expect("free again");
    assert_eq!(names(&theirs).await, ["p"]);
}

#[tokio::test]
async fn what_is_no_catalogue_is_refused() {
    let dir = TempDir::new().expect("directory");
    let path = dir.path().join("notes.txt");
    let text = "not a database at all, but long enough to have been one. ".repeat(40);
    std::fs::write(&path, &text).expect("write");
    let got = SqliteCatalog::open(&path).await;
    assert!(matches!(got, Err(CatalogError::Failed(_))), "{got:?}");
    assert_eq!(
        std::fs::read_to_string(&path).expect("read"),
        text,
        "left alone"
    );
    let got = SqliteCatalog::open(dir.path().join("no/such/place.db")).await;
    assert!(matches!(got, Err(CatalogError::Failed(_))), "{got:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = TempDir::new().expect("directory");
    let catalog = SqliteCatalog::open(dir.path().join("catalog.db"))
        .await
        .expect("open");
    catalog.apply(vec![insertion("p")]).await.expect("apply");
    assert_eq!(names(&catalog).await, ["p"]);
    let mut files = 0;
    for entry in std::fs::read_dir(dir.path()).expect("list") {
        let entry = entry.expect("entry");
        let mode = entry.metadata().expect("metadata").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", entry.path().display());
        files += 1;
    }
    assert!(files >= 2, "the database and its log");
}

#[tokio::test]
async fn connections_are_set_up_as_meant() {
    let dir = TempDir::new().expect("directory");
    let catalog = SqliteCatalog::open(dir.path().join("catalog.db"))
        .await
        .expect("open");
    for (what, pool, pragma, want) in [
        (
            "write-ahead log",
            &catalog.writer,
            "PRAGMA journal_mode",
            "wal",
        ),
        (
            "every commit is synced",
            &catalog.writer,
            "PRAGMA synchronous",
            "2",
        ),
        (
            "references are checked",
            &catalog.writer,
            "PRAGMA foreign_keys",
            "1",
        ),
        (
            "temporary data of the writer stays in memory",
            &catalog.writer,
            "PRAGMA temp_store",
            "2",
        ),
        (
            "temporary data of readers too",
            &catalog.readers,
            "PRAGMA temp_store",
            "2",
        ),
        ("readers read", &catalog.readers, "PRAGMA query_only", "1"),
        (
            "readers see the log",
            &catalog.readers,
            "PRAGMA journal_mode",
            "wal",
        ),
    ] {
        let row = sqlx::query(pragma).fetch_one(pool).await.expect(what);
        let got: Result<String, _> = row.try_get_unchecked(0);
        assert_eq!(got.expect(what), want, "{what}");
    }
}

#[tokio::test]
async fn impossible_rows_are_named() {
    let dir = TempDir::new().expect("directory");
    let catalog = SqliteCatalog::open(dir.path().join("catalog.db"))
        .await
        .expect("open");
    let id: emberkeep_model::BackupId = "6f1c1f0c-0000-4000-8000-000000000001".parse().expect("id");
    let insert = "INSERT INTO backups (id, project_id, user_id, volume_id, metadata, size, automatic, state, \
                  data_timestamp, created_at, revision) VALUES ($1, 'p', 'u', $1, '{}', 1, 0, 'queued', 0, 0, 0)";
    sqlx::query(insert)
        .bind(id.to_string())
        .execute(&catalog.writer)
        .await
        .expect("insert");
    assert!(catalog.backup(id).await.expect("a good row").is_some());
    let sealed = "sealed_at = 1, bytes_read = 1, bytes_data = 1, bytes_new = 1, bytes_stored = 1";
    let available = format!("state = 'available', {sealed}");
    for (what, set) in [
        ("an unknown state", "state = 'lost'".to_owned()),
        (
            "available without a manifest",
            "state = 'available'".to_owned(),
        ),
        ("half a manifest", format!("{available}, bytes_new = NULL")),
        (
            "queued with a manifest",
            format!("state = 'queued', {sealed}"),
        ),
        (
            "restoring nowhere",
            available.replace("available", "restoring"),
        ),
        ("failed without a reason", "state = 'failed'".to_owned()),
        (
            "available with a reason",
            format!("{available}, reason = 'none'"),
        ),
        ("a negative size", "size = -1".to_owned()),
        ("a huge size", "size = 4294967296".to_owned()),
        ("text for a number", "size = 'many'".to_owned()),
        ("a fraction", "size = 1.5".to_owned()),
        ("bytes for text", "metadata = x'7b7d'".to_owned()),
        ("broken JSON", "metadata = '{'".to_owned()),
        ("half true", "automatic = 2".to_owned()),
        ("no project", "project_id = ''".to_owned()),
        ("a broken id", "parent_id = 'x'".to_owned()),
    ] {
        let mut change = catalog.writer.begin().await.expect("begin");
        let reset = "UPDATE backups SET state = 'queued', sealed_at = NULL, bytes_read = NULL, bytes_data = NULL, \
                     bytes_new = NULL, bytes_stored = NULL, reason = NULL, size = 1, metadata = '{}', \
                     automatic = 0, project_id = 'p', parent_id = NULL";
        sqlx::query(reset).execute(&mut *change).await.expect(what);
        // The later of two settings of a column wins, as in the half manifest.
        for part in set.split(", ") {
            let text = AssertSqlSafe(format!("UPDATE backups SET {part}"));
            sqlx::query(text).execute(&mut *change).await.expect(what);
        }
        change.commit().await.expect(what);
        match catalog.backup(id).await {
            Err(CatalogError::Corrupt { what: row, reason }) => {
                assert_eq!(row, format!("backup {id}"), "{what}");
                assert!(!reason.is_empty(), "{what}");
            }
            other => panic!("{what}: {other:?}"),
        }
    }
}

/// The lists that clients ask for walk an index in its order, from the marker on, and sort nothing.
#[tokio::test]
async fn common_lists_walk_an_index() {
    let catalog = SqliteCatalog::in_memory().await.expect("open");
    for probe in plan_probes() {
        let mut explain = probe.statement;
        explain.text = format!("EXPLAIN QUERY PLAN {}", explain.text);
        let mut connection = catalog.writer.acquire().await.expect("acquire");
        let records = run(&mut connection, explain).await.expect(probe.what);
        let steps: Vec<_> = records
            .into_iter()
            .filter_map(|record| match record.into_iter().last() {
                Some(Cell::Text(step)) => Some(step),
                _ => None,
            })
            .collect();
        let plan = steps.join("\n");
        for part in probe.uses {
            assert!(
                plan.contains(part),
                "{}: no '{part}' in\n{plan}",
                probe.what
            );
        }
        for part in probe.avoids {
            assert!(!plan.contains(part), "{}: '{part}' in\n{plan}", probe.what);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_see_whole_changes_while_writers_write() {
    let dir = TempDir::new().expect("directory");
    let catalog = SqliteCatalog::open(dir.path().join("catalog.db"))
        .await
        .expect("open");
    let writer = catalog.clone();
    let writing = tokio::spawn(async move {
        for i in 0..60 {
            let changes = vec![insertion(&format!("a{i}")), insertion(&format!("b{i}"))];
            writer.apply(changes).await.expect("apply");
        }
    });
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..WORKERS {
        let reader = catalog.clone();
        readers.spawn(async move {
            let mut last = 0;
            while last < 120 {
                let seen = names(&reader).await.len();
                assert!(seen.is_multiple_of(2), "half a change: {seen}");
                assert!(seen >= last, "never back in time");
                last = seen;
            }
        });
    }
    readers.join_all().await;
    writing.await.expect("writer");
}
