//! A catalog's file as a whole: its check, its export and what it knows of itself.
//!
//! Everything here blocks and opens connections of its own, beside those of a running service.

mod import;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use emberkeep_model::BackupId;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _};
use serde_json::{Value, json};

pub use import::Imported;

/// How long a statement waits for another process or connection to let go.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
/// Findings of a check that are reported at most.
const MOST_FINDINGS: usize = 5;
/// The version of the exported text.
pub(crate) const EXPORT_VERSION: i64 = 1;

/// Why a whole-file operation failed, worded for what the operator can do about it.
#[derive(Debug, thiserror::Error)]
pub enum CatalogFileError {
    /// The file is not the database it should be.
    #[error("the catalog {path} is damaged: {}", findings.join(", "))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the database found.
        findings: Vec<String>,
    },
    /// Another process uses it.
    #[error("the catalog {path} is in use by another process")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// An exported text cannot be read.
    #[error("exported catalog rows cannot be read: {reason}")]
    Export {
        /// What is wrong.
        reason: String,
    },
    /// An exported text was written by a newer version of Emberkeep.
    #[error("the copy has catalog schema {found}, this version knows up to {known}")]
    TooNew {
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The file system failed.
    #[error("{path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        cause: io::Error,
    },
    /// The database failed.
    #[error("the catalog {path} failed")]
    Failed {
        /// The file.
        path: PathBuf,
        /// The database's answer.
        #[source]
        cause: rusqlite::Error,
    },
    /// The catalog could not be made or opened.
    #[error(transparent)]
    Catalog(#[from] crate::CatalogError),
}

/// How thoroughly a file is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckDepth {
    /// The structure of every page (`PRAGMA quick_check`).
    Structure,
    /// The structure, and every index against its table (`PRAGMA integrity_check`).
    Whole,
}

/// The rows of one project, or those of none, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedRows {
    /// The project; `None` for rows that belong to no project.
    pub project: Option<String>,
    /// One JSON document a line: a head, then for each table its name and columns, and its rows.
    pub text: Vec<u8>,
}

/// What a catalog knows of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateName {
    /// The latest sealed copy: its number and id.
    LastCopy,
    /// Ids of backups in the store that the operator told it to leave alone.
    Accepted,
}

impl StateName {
    /// Returns the name it is stored under.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LastCopy => "last_copy",
            Self::Accepted => "accepted",
        }
    }
}

/// How the rows of a table are exported.
struct Table {
    name: &'static str,
    /// An expression for the project that a row `t` belongs to.
    owner: &'static str,
}

const NOBODY: &str = "NULL";

const fn table(name: &'static str, owner: &'static str) -> Table {
    Table { name, owner }
}

/// Every table whose rows a copy holds; those that others refer to come first.
const EXPORTED: &[Table] = &[
    table("volume_types", NOBODY),
    table("quota_classes", NOBODY),
    table("service_switches", NOBODY),
    table("users", NOBODY),
    table("projects", "t.id"),
    table("assignments", "t.project_id"),
    table("app_credentials", "t.project_id"),
    table("quota_sets", "t.project_id"),
    table("volumes", "t.project_id"),
    table("snapshots", "t.project_id"),
    table("attachments", "t.project_id"),
    table("servers", "t.project_id"),
    table(
        "server_volumes",
        "(SELECT o.project_id FROM servers o WHERE o.id = t.server_id)",
    ),
    table("file_systems", "t.project_id"),
    table("vaults", "t.project_id"),
    table(
        "vault_resources",
        "(SELECT o.project_id FROM vaults o WHERE o.id = t.vault_id)",
    ),
    table("policies", "t.project_id"),
    table(
        "policy_bindings",
        "(SELECT o.project_id FROM vaults o WHERE o.id = t.vault_id)",
    ),
    table("checkpoints", "t.project_id"),
    table("backups", "t.project_id"),
    table(
        "members",
        "(SELECT o.project_id FROM backups o WHERE o.id = t.backup_id)",
    ),
    table("tasks", "t.project_id"),
    table("messages", "t.project_id"),
];

/// Tables that no copy holds: tokens are revoked by a restore, counts are kept by triggers, and what a
/// catalog knows of itself is true of that one alone.
#[cfg(test)]
const LEFT_OUT: &[&str] = &[
    "_sqlx_migrations",
    "backup_counts",
    "catalog_state",
    "task_counts",
    "tokens",
    "vault_counts",
];

/// Tells whether exported rows may be of this table.
pub(crate) fn is_exported(name: &str) -> bool {
    EXPORTED.iter().any(|table| table.name == name)
}

/// The file of a catalog.
#[derive(Debug, Clone)]
pub struct CatalogFile {
    path: PathBuf,
}

impl CatalogFile {
    /// Names the file; it need not be there.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Returns where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Tells whether there is a file.
    pub fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Returns the file's size in bytes; 0 if the file is missing.
    pub fn size(&self) -> u64 {
        self.path.metadata().map_or(0, |facts| facts.len())
    }

    /// Refuses a file that is damaged. Changes nothing.
    pub fn check(&self, depth: CheckDepth) -> Result<(), CatalogFileError> {
        let connection = self.open()?;
        let pragma = match depth {
            CheckDepth::Structure => "quick_check",
            CheckDepth::Whole => "integrity_check",
        };
        let statement = format!("PRAGMA {pragma}({MOST_FINDINGS})");
        let findings: Vec<String> = self.run(|| {
            let mut prepared = connection.prepare(&statement)?;
            let rows = prepared.query_map([], |row| row.get::<_, String>(0))?;
            rows.collect()
        })?;
        match findings.as_slice() {
            [only] if only == "ok" => Ok(()),
            // One finding may have several lines; the first says what it is.
            _ => Err(self.damaged(
                findings
                    .iter()
                    .flat_map(|finding| finding.lines())
                    .filter(|line| !line.starts_with("***"))
                    .take(MOST_FINDINGS)
                    .map(str::to_owned)
                    .collect(),
            )),
        }
    }

    /// Returns the ids of all backups that it has rows of, deleted ones too, and of content that they show.
    pub fn backup_ids(&self) -> Result<BTreeSet<BackupId>, CatalogFileError> {
        let connection = self.open()?;
        let ids: Vec<String> = self.run(|| {
            let all = "SELECT id FROM backups UNION SELECT content_id FROM backups WHERE content_id IS NOT NULL";
            let mut prepared = connection.prepare(all)?;
            let rows = prepared.query_map([], |row| row.get::<_, String>(0))?;
            rows.collect()
        })?;
        let parsed = ids.iter().map(|id| {
            id.parse()
                .map_err(|_| self.damaged(vec![format!("'{id}' is no backup id")]))
        });
        parsed.collect()
    }

    /// Returns what it knows of itself; `None` where it was never told.
    pub fn state(&self, name: StateName) -> Result<Option<String>, CatalogFileError> {
        let connection = self.open()?;
        self.run(|| {
            connection
                .query_row(
                    "SELECT value FROM catalog_state WHERE name = ?1",
                    [name.as_str()],
                    |row| row.get(0),
                )
                .optional()
        })
    }

    /// Stores what it knows of itself; durable on return.
    pub fn set_state(&self, name: StateName, value: &str) -> Result<(), CatalogFileError> {
        let connection = self.open()?;
        self.run(|| {
            connection.execute(
                "INSERT INTO catalog_state (name, value) VALUES (?1, ?2)
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                [name.as_str(), value],
            )
        })?;
        Ok(())
    }

    /// Exports all rows as they are at one instant, one project after the other.
    pub fn export(&self) -> Result<Vec<ExportedRows>, CatalogFileError> {
        let connection = self.open()?;
        self.run(|| connection.execute_batch("BEGIN"))?;
        let schema: i64 = self.run(|| {
            let newest = "SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations";
            connection.query_row(newest, [], |row| row.get(0))
        })?;
        // Whose rows lie where: eight bytes a row, so that each project is read by itself.
        let mut owned: BTreeMap<Option<String>, Vec<(usize, i64)>> = BTreeMap::new();
        owned.insert(None, Vec::new());
        for (at, table) in EXPORTED.iter().enumerate() {
            let statement = format!(
                "SELECT t.rowid, {} FROM {} t ORDER BY 1",
                table.owner, table.name
            );
            self.run(|| {
                let mut prepared = connection.prepare(&statement)?;
                let mut rows = prepared.query([])?;
                while let Some(row) = rows.next()? {
                    owned
                        .entry(row.get(1)?)
                        .or_default()
                        .push((at, row.get(0)?));
                }
                Ok(())
            })?;
        }
        let mut exported = Vec::with_capacity(owned.len());
        for (project, rows) in owned {
            let head = json!({"version": EXPORT_VERSION, "schema": schema, "project": project});
            let mut text = head.to_string().into_bytes();
            text.push(b'\n');
            for group in rows.chunk_by(|one, next| one.0 == next.0) {
                self.export_rows(&connection, EXPORTED[group[0].0].name, group, &mut text)?;
            }
            exported.push(ExportedRows { project, text });
        }
        self.run(|| connection.execute_batch("COMMIT"))?;
        Ok(exported)
    }

    fn export_rows(
        &self,
        connection: &Connection,
        table: &str,
        rows: &[(usize, i64)],
        text: &mut Vec<u8>,
    ) -> Result<(), CatalogFileError> {
        let statement = format!("SELECT * FROM {table} WHERE rowid = ?1");
        let mut prepared = self.run(|| connection.prepare(&statement))?;
        let columns: Vec<String> = prepared
            .column_names()
            .iter()
            .map(|&name| name.to_owned())
            .collect();
        let head = json!({"table": table, "columns": columns});
        text.extend_from_slice(head.to_string().as_bytes());
        text.push(b'\n');
        for (_, rowid) in rows {
            let cells = self.run(|| {
                prepared.query_row([rowid], |row| {
                    (0..columns.len())
                        .map(|at| Ok(cell(row.get_ref(at)?)))
                        .collect::<rusqlite::Result<Vec<_>>>()
                })
            })?;
            let cells: Result<Vec<Value>, String> = cells.into_iter().collect();
            let cells = cells.map_err(|kind| {
                self.damaged(vec![format!("a value of {table} is of type {kind}")])
            })?;
            text.extend_from_slice(Value::Array(cells).to_string().as_bytes());
            text.push(b'\n');
        }
        Ok(())
    }

    /// Moves everything that is in the write-ahead log to the file itself; nobody else may use it.
    pub fn fold_log(&self) -> Result<(), CatalogFileError> {
        let connection = self.open()?;
        self.run(|| {
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
                row.get::<_, i64>(0)
            })
        })?;
        Ok(())
    }

    /// Opens it, which must be there.
    pub(crate) fn open(&self) -> Result<Connection, CatalogFileError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        self.run(|| {
            let connection = Connection::open_with_flags(&self.path, flags)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            connection.pragma_update(None, "temp_store", "MEMORY")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            Ok(connection)
        })
    }

    /// Tells damage and use by others apart from all else that may fail.
    pub(crate) fn run<T>(
        &self,
        act: impl FnOnce() -> rusqlite::Result<T>,
    ) -> Result<T, CatalogFileError> {
        act().map_err(|cause| match cause.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                self.damaged(vec![cause.to_string()])
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => CatalogFileError::InUse {
                path: self.path.clone(),
            },
            _ => CatalogFileError::Failed {
                path: self.path.clone(),
                cause,
            },
        })
    }

    fn damaged(&self, findings: Vec<String>) -> CatalogFileError {
        CatalogFileError::Damaged {
            path: self.path.clone(),
            findings,
        }
    }
}

/// Returns a cell as JSON, or the type that none of ours has.
fn cell(value: ValueRef<'_>) -> Result<Value, String> {
    match value {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Integer(number) => Ok(number.into()),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => Ok(text.into()),
            Err(_) => Err("text that is not UTF-8".to_owned()),
        },
        ValueRef::Real(_) => Err("real".to_owned()),
        ValueRef::Blob(_) => Err("blob".to_owned()),
    }
}

#[cfg(test)]
mod tests;
