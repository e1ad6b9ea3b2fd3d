//! Every error after which SQLite may roll back by itself, at every call that a workload makes to its files.

use std::ffi::c_int;

use emberkeep_model::{Project, ProjectId, Timestamp};
use rusqlite::ffi;
use tempfile::TempDir;

use super::faulty_vfs::{self, Lasts, arm, disarm};
use super::*;
use crate::{Catalog, Change, Key, Row, VolumeQuery};

/// Result codes with the names that a failure shows.
const FAULTS: &[(&str, c_int)] = &[
    ("SQLITE_FULL", ffi::SQLITE_FULL),
    ("SQLITE_IOERR_WRITE", ffi::SQLITE_IOERR_WRITE),
    ("SQLITE_IOERR_FSYNC", ffi::SQLITE_IOERR_FSYNC),
    ("SQLITE_IOERR_READ", ffi::SQLITE_IOERR_READ),
    ("SQLITE_NOMEM", ffi::SQLITE_NOMEM),
    ("SQLITE_BUSY", ffi::SQLITE_BUSY),
    ("SQLITE_INTERRUPT", ffi::SQLITE_INTERRUPT),
    ("SQLITE_CORRUPT", ffi::SQLITE_CORRUPT),
];

/// More calls than the workload makes.
const MOST_CALLS: u64 = 500;

fn project(name: &str) -> Project {
    let id: ProjectId = name.parse().expect("an id");
    Project {
        id,
        name: name.to_owned(),
        // Long enough that a commit writes several pages.
        description: "x".repeat(6000),
        enabled: true,
        created_at: Timestamp(0),
        revision: 0,
    }
}

async fn names(catalog: &SqliteCatalog) -> Result<Vec<String>, CatalogError> {
    let projects = catalog.projects().await?;
    Ok(projects.into_iter().map(|p| p.name).collect())
}

fn both(label: &str, step: u32) -> [String; 2] {
    [format!("{label}-{step}-a"), format!("{label}-{step}-b")]
}

/// Writes and reads in turn; returns the names that a success was reported for. An error ends nothing.
async fn workload(catalog: &SqliteCatalog, label: &str) -> Vec<String> {
    let mut written = Vec::new();
    for step in 0..3 {
        let pair = both(label, step);
        let rows = pair
            .iter()
            .map(|name| Change::Insert(Row::Project(project(name))));
        if catalog.apply(rows.collect()).await.is_ok() {
            written.extend(pair);
        }
        let id = project(&format!("{label}-0-a")).id;
        // What they return is judged when the fault has ended: here each kind of reader meets it.
        drop(catalog.project(&id).await);
        drop(names(catalog).await);
        let mut counted = VolumeQuery::default();
        counted.paging.with_total = true;
        drop(catalog.volumes(&counted).await);
    }
    written
}

/// Tries the whole matrix; says what went wrong first.
#[expect(
    clippy::await_holding_lock,
    reason = "the shim is the process's: one test at a time, each with a runtime of its own"
)]
async fn every_call(lasts: Lasts, faults: &[(&str, c_int)]) {
    let _alone = faulty_vfs::register();
    let dir = TempDir::new().expect("directory");
    let opening = Opening {
        // Connections that are being replaced may still hold a lock for a moment.
        busy: BUSY_TIMEOUT,
        vfs: Some(faulty_vfs::NAME),
    };
    let mut cases = 0;
    for (name, code) in faults {
        let path = dir.path().join(format!("{name}.db"));
        // One catalog for all calls: it is never opened again.
        let catalog = SqliteCatalog::open_with(&path, opening)
            .await
            .expect("open");
        for at in 1.. {
            assert!(at < MOST_CALLS, "{name}: the workload never comes through");
            let what = format!("{name} at call {at}, {lasts:?}");
            let label = format!("{name}-{at}");
            arm(at, *code, lasts);
            let written = workload(&catalog, &label).await;
            let met = disarm();
            let after = format!("{label}-after");
            let insert = Change::Insert(Row::Project(project(&after)));
            let ended = catalog.apply(vec![insert]).await;
            assert!(ended.is_ok(), "{what}: the next write: {ended:?}");
            let seen = names(&catalog).await;
            let seen = seen.unwrap_or_else(|e| panic!("{what}: the next list: {e:?}"));
            let read = catalog.project(&project(&after).id).await;
            let read = read.unwrap_or_else(|e| panic!("{what}: the next read: {e:?}"));
            assert!(read.is_some(), "{what}: what was written is read");
            for step in 0..3 {
                let pair = both(&label, step);
                let there = pair.each_ref().map(|one| seen.contains(one));
                let reported = written.contains(&pair[0]);
                assert_eq!(there[0], there[1], "{what}: {pair:?} is whole or absent");
                // A commit that cannot be made durable may have reached the log: where every connection had to
                // be replaced, recovery reads it from there. The error said that the outcome is unknown.
                let may_be_there = reported || lasts == Lasts::UntilDisarmed;
                assert!(there[0] || !reported, "{what}: {pair:?} was reported");
                assert!(!there[0] || may_be_there, "{what}: {pair:?} was refused");
            }
            let remove = seen
                .iter()
                .map(|one| Change::Remove(Key::Project(project(one).id), 0));
            catalog.apply(remove.collect()).await.expect(&what);
            cases += u64::from(met);
            if !met {
                assert_eq!(written.len(), 6, "{what}: no fault, no failure");
                break;
            }
        }
        let whole = sqlx::query_scalar::<_, String>("PRAGMA integrity_check")
            .fetch_one(&catalog.readers)
            .await;
        assert_eq!(whole.expect(name), "ok", "{name}");
        catalog.close().await;
    }
    assert!(cases > 20 * faults.len() as u64, "only {cases} calls");
}

#[tokio::test]
async fn one_failed_call_costs_one_operation() {
    every_call(Lasts::Once, FAULTS).await;
}

#[tokio::test]
async fn all_works_again_when_a_lasting_fault_ends() {
    every_call(Lasts::UntilDisarmed, &FAULTS[..3]).await;
}
