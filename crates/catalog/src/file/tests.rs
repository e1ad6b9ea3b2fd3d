//! Files are checked, exported and made again.

use emberkeep_model::{BackupId, Project, Timestamp, User};
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::conformance::sample_vault_with_backup;
use crate::{BackupQuery, Catalog, Change, Row, SqliteCatalog, VaultQuery};

struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = TempDir::new().expect("directory");
        Self { dir }
    }

    fn file(&self, name: &str) -> CatalogFile {
        CatalogFile::new(self.dir.path().join(name))
    }

    /// Makes a catalog with rows of two projects and of none.
    async fn filled(&self, name: &str) -> (CatalogFile, SqliteCatalog) {
        let file = self.file(name);
        let catalog = SqliteCatalog::open(file.path()).await.expect("opens");
        catalog.apply(rows()).await.expect("are stored");
        (file, catalog)
    }
}

fn project(name: &str) -> Project {
    Project {
        id: name.parse().expect("an id"),
        name: name.to_owned(),
        description: "näme \u{1F525}".to_owned(),
        enabled: true,
        created_at: Timestamp(1),
        revision: 0,
    }
}

/// The backup of each project's vault.
fn backup_id(seed: u64) -> BackupId {
    sample_vault_with_backup(seed).2.id
}

fn rows() -> Vec<Change> {
    let user = User {
        id: "u".parse().expect("an id"),
        name: "anna".to_owned(),
        password_hash: "hash".to_owned(),
        default_project_id: None,
        enabled: true,
        created_at: Timestamp(1),
        revision: 0,
    };
    let mut rows = vec![Row::User(user)];
    for (at, of) in ["p1", "p2"].into_iter().enumerate() {
        let (mut vault, resource, mut backup) = sample_vault_with_backup(at as u64 + 1);
        vault.project_id = of.parse().expect("an id");
        backup.project_id = of.parse().expect("an id");
        rows.extend([
            Row::Project(project(of)),
            Row::Vault(vault),
            Row::VaultResource(resource),
            Row::Backup(backup),
        ]);
    }
    rows.into_iter().map(Change::Insert).collect()
}

fn texts(exported: &[ExportedRows]) -> Vec<Vec<u8>> {
    exported.iter().map(|rows| rows.text.clone()).collect()
}

#[tokio::test]
async fn every_table_is_exported_or_left_out_on_purpose() {
    let place = Place::new();
    let (file, catalog) = place.filled("a.db").await;
    catalog.close().await;
    let connection = Connection::open(file.path()).expect("opens");
    let mut prepared = connection
        .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        .expect("is prepared");
    let tables = prepared.query_map([], |row| row.get::<_, String>(0));
    for table in tables.expect("are listed") {
        let table = table.expect("a name");
        let (exported, left_out) = (is_exported(&table), LEFT_OUT.contains(&table.as_str()));
        assert!(
            exported != left_out,
            "{table} must be in one of the two lists"
        );
    }
}

#[tokio::test]
async fn what_is_exported_comes_back_row_by_row_with_its_counts() {
    let place = Place::new();
    let (file, catalog) = place.filled("a.db").await;
    // While the catalog is in use, and with rows that are in its log alone.
    let exported = file.export().expect("is exported");
    let owners: Vec<_> = exported
        .iter()
        .map(|rows| rows.project.as_deref())
        .collect();
    assert_eq!(owners, [None, Some("p1"), Some("p2")]);
    let p1 = String::from_utf8(exported[1].text.clone()).expect("is text");
    assert!(p1.contains("\"p1\"") && !p1.contains("\"p2\""), "{p1}");

    let made = place.file("b.db");
    let imported = made.import(texts(&exported)).await.expect("is imported");
    assert_eq!(
        imported,
        Imported {
            rows: 9,
            orphans: 0
        }
    );
    assert_eq!(made.export().expect("is exported"), exported);
    assert!(
        !made.path().with_extension("db-wal").exists(),
        "it is one file"
    );
    let again = SqliteCatalog::open(made.path()).await.expect("opens");
    let (vaults, backups) = (VaultQuery::default(), BackupQuery::default());
    assert_eq!(
        again.vaults(&vaults).await.expect("lists").items,
        catalog.vaults(&vaults).await.expect("lists").items
    );
    assert_eq!(
        again.backups(&backups).await.expect("lists").items,
        catalog.backups(&backups).await.expect("lists").items
    );
    let ids: Vec<_> = again.vaults(&vaults).await.expect("lists").items;
    let ids: Vec<_> = ids.iter().map(|vault| vault.id).collect();
    assert_eq!(
        again.vault_usage(&ids).await.expect("is counted"),
        catalog.vault_usage(&ids).await.expect("is counted")
    );
}

#[tokio::test]
async fn a_project_that_is_left_out_leaves_no_trace() {
    let place = Place::new();
    let (file, catalog) = place.filled("a.db").await;
    catalog.close().await;
    let mut exported = file.export().expect("is exported");
    exported.remove(1);
    let made = place.file("b.db");
    let imported = made.import(texts(&exported)).await.expect("is imported");
    assert_eq!(
        imported,
        Imported {
            rows: 5,
            orphans: 0
        }
    );
    let bytes = std::fs::read(made.path()).expect("is read");
    assert!(!bytes.windows(4).any(|four| four == b"\"p1\""));
}

#[tokio::test]
async fn rows_without_what_they_refer_to_are_dropped() {
    let place = Place::new();
    let (file, catalog) = place.filled("a.db").await;
    catalog.close().await;
    let mut exported = file.export().expect("is exported");
    // The vault goes, its resource stays.
    let text = String::from_utf8(exported[1].text.clone()).expect("is text");
    let mut vaults = false;
    let kept: String = text
        .lines()
        .filter(|line| {
            if line.starts_with('{') {
                vaults = line.contains("\"table\":\"vaults\"");
            }
            !vaults
        })
        .map(|line| format!("{line}\n"))
        .collect();
    exported[1].text = kept.into_bytes();
    let imported = place.file("b.db").import(texts(&exported)).await;
    assert_eq!(
        imported.expect("is imported"),
        Imported {
            rows: 7,
            orphans: 1
        }
    );
}

#[tokio::test]
async fn texts_of_every_older_schema_are_brought_up_to_date_and_later_ones_refused() {
    let place = Place::new();
    let newest = {
        let (file, catalog) = place.filled("a.db").await;
        catalog.close().await;
        let text = String::from_utf8(file.export().expect("is exported")[0].text.clone());
        let head: Value =
            serde_json::from_str(text.expect("is text").lines().next().expect("a line"))
                .expect("is a head");
        head["schema"].as_i64().expect("a number")
    };
    for schema in 1..=newest {
        let text = format!(
            "{{\"version\":1,\"schema\":{schema},\"project\":null}}\n{{\"table\":\"projects\",\"columns\":[\"id\",\"name\",\"description\",\"enabled\",\"created_at\",\"revision\"]}}\n[\"p\",\"p\",\"\",1,5,0]\n"
        );
        let file = place.file(&format!("{schema}.db"));
        let imported = file.import(vec![text.into_bytes()]).await;
        assert_eq!(imported.expect("is imported").rows, 1, "schema {schema}");
        let catalog = SqliteCatalog::open(file.path()).await.expect("opens");
        assert_eq!(
            catalog.projects().await.expect("lists").len(),
            1,
            "{schema}"
        );
    }
    let head = |head: String| vec![format!("{head}\n").into_bytes()];
    let later = format!("{{\"version\":1,\"schema\":{}}}", newest + 1);
    let refused = place.file("later.db").import(head(later)).await;
    assert!(
        matches!(refused, Err(CatalogFileError::TooNew { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn no_text_but_ours_is_imported() {
    let place = Place::new();
    let (file, catalog) = place.filled("a.db").await;
    catalog.close().await;
    let head = String::from_utf8(file.export().expect("is exported")[0].text.clone());
    let head = head.expect("is text");
    let head = head.lines().next().expect("a line");
    for (at, (what, rest)) in [
        (
            "another table",
            "{\"table\":\"tokens\",\"columns\":[\"hash\"]}\n[\"x\"]",
        ),
        (
            "a statement",
            "{\"table\":\"users\",\"columns\":[\"id) VALUES (1); --\"]}\n[1]",
        ),
        ("no columns", "{\"table\":\"users\",\"columns\":[]}\n[]"),
        ("a row before its table", "[1]"),
        (
            "a list in a row",
            "{\"table\":\"users\",\"columns\":[\"id\"]}\n[[1]]",
        ),
        ("half a line", "{\"table\":\"users\",\"col"),
    ]
    .into_iter()
    .enumerate()
    {
        let made = place.file(&format!("{at}.db"));
        let text = format!("{head}\n{rest}\n").into_bytes();
        let refused = made.import(vec![text]).await;
        assert!(
            matches!(refused, Err(CatalogFileError::Export { .. })),
            "{what}: {refused:?}"
        );
    }
    assert!(place.file("none.db").import(Vec::new()).await.is_err());
}

#[tokio::test]
async fn flipped_bytes_of_ids_and_pages_are_found_and_a_lock_is_no_damage() {
    let place = Place::new();
    let (file, catalog) = place.filled("a.db").await;
    catalog.close().await;
    for depth in [CheckDepth::Structure, CheckDepth::Whole] {
        file.check(depth).expect("is whole");
    }
    let whole = std::fs::read(file.path()).expect("is read");
    let id = backup_id(1).to_string();
    let at = |needle: &[u8]| {
        let mut places = whole.windows(needle.len()).enumerate();
        let found = places.find(|(_, window)| *window == needle);
        found.expect("is in the file").0
    };
    let page = 4096;
    let root = at(id.as_bytes()) / page * page;
    for (what, range) in [
        ("the file's head", 0..16),
        ("an id", at(id.as_bytes())..at(id.as_bytes()) + 4),
        ("a page's head", root..root + 8),
        ("a page", root..root + page),
    ] {
        let mut bad = whole.clone();
        for byte in &mut bad[range] {
            *byte ^= 0x15;
        }
        let damaged = place.file("bad.db");
        std::fs::write(damaged.path(), bad).expect("is written");
        let found = damaged.check(CheckDepth::Whole);
        assert!(
            matches!(found, Err(CatalogFileError::Damaged { .. })),
            "{what}: {found:?}"
        );
    }
    let half = place.file("half.db");
    std::fs::write(half.path(), &whole[..whole.len() / 2]).expect("is written");
    assert!(matches!(
        half.check(CheckDepth::Structure),
        Err(CatalogFileError::Damaged { .. })
    ));
    assert!(matches!(
        place.file("none.db").check(CheckDepth::Structure),
        Err(CatalogFileError::Failed { .. })
    ));
}

#[tokio::test]
async fn a_catalog_remembers_what_it_was_told_of_itself() {
    let place = Place::new();
    let (file, catalog) = place.filled("a.db").await;
    assert_eq!(file.state(StateName::LastCopy).expect("is read"), None);
    for value in ["1.x", "2.y"] {
        file.set_state(StateName::LastCopy, value)
            .expect("is stored");
    }
    let last = file.state(StateName::LastCopy).expect("is read");
    assert_eq!(last.as_deref(), Some("2.y"));
    assert_eq!(file.state(StateName::Accepted).expect("is read"), None);
    let known = file.backup_ids().expect("are read");
    assert_eq!(known, [1, 2].map(backup_id).into());
    catalog.close().await;
}
