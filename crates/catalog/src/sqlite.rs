//! SQLite: one file, one writer, a few readers. Holds no statement of its own but the migrations.

mod fault;
mod lent;
mod quick;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt as _;
use sqlx::Connection as _;
use sqlx::error::ErrorKind;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool,
    SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{Arguments as _, AssertSqlSafe, Row as _, TypeInfo as _, ValueRef as _};

use crate::sql::{Bind, ByteBound, Cell, Engine, Known, Needs, Record, Statement, Step};
use crate::{CatalogChanges, CatalogError, CatalogFileError, Change};
use fault::{failure, quick_failure};
use lent::Lent;
use quick::QuickReaders;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// How long a statement waits for another process (a backup tool, a curious `sqlite3`) to let go.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads are short; more readers than this only wait for the same disk.
const READERS: u32 = 4;

/// A catalogue in an SQLite database.
#[derive(Debug, Clone)]
pub struct SqliteCatalog {
    /// Has one connection, which makes writers queue here rather than fight over the file's lock.
    writer: SqlitePool,
    readers: SqlitePool,
    /// `None` where there is no file that another connection could open.
    quick: Option<Arc<QuickReaders>>,
    known: Arc<Known>,
    changes: Arc<CatalogChanges>,
    what: String,
}

impl SqliteCatalog {
    /// Opens the catalogue in the file `path`, which is made if it is not there, readable by its owner alone.
    /// An older schema is brought up to date; a newer one is refused and left as it is.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, CatalogError> {
        Self::open_with(path.as_ref(), Opening::default()).await
    }

    /// Opens a catalogue that is gone when the last clone of it is dropped.
    pub async fn in_memory() -> Result<Self, CatalogError> {
        let what = "the catalogue in memory".to_owned();
        let options = SqliteConnectOptions::new()
            .in_memory(true)
            .pragma("temp_store", "MEMORY")
            .foreign_keys(true);
        // The database lives in its connection: there is one, for reading and writing, and it stays.
        let pool = pool(1)
            .connect_with(options)
            .await
            .map_err(|e| failure(e, &what))?;
        migrate(&pool, &what).await?;
        Ok(Self {
            readers: pool.clone(),
            writer: pool,
            quick: None,
            known: Arc::default(),
            changes: Arc::default(),
            what,
        })
    }

    async fn open_with(path: &Path, opening: Opening) -> Result<Self, CatalogError> {
        let what = format!("the catalogue {}", path.display());
        make_private(path).map_err(|e| CatalogError::Failed(Box::new(e)))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .foreign_keys(true)
            .busy_timeout(opening.busy)
            // A statement journal in /var/tmp would fail with that disk, and lies outside the data directory.
            .pragma("temp_store", "MEMORY")
            // A row that says a backup is available must survive a power cut as the backup does.
            .synchronous(SqliteSynchronous::Full);
        let options = match opening.vfs {
            Some(vfs) => options.vfs(vfs),
            None => options,
        };
        let writing = options.clone().journal_mode(SqliteJournalMode::Wal);
        let writer = pool(1)
            .connect_with(writing)
            .await
            .map_err(|e| failure(e, &what))?;
        migrate(&writer, &what).await?;
        let readers = pool(READERS).connect_lazy_with(options.pragma("query_only", "ON"));
        Ok(Self {
            writer,
            readers,
            quick: Some(Arc::new(QuickReaders::new(path, opening))),
            known: Arc::default(),
            changes: Arc::default(),
            what,
        })
    }

    /// Makes an empty catalog of an older schema in a file that is not there, and closes it.
    pub(crate) async fn create_at(path: &Path, schema: i64) -> Result<(), CatalogFileError> {
        let known = MIGRATIONS.iter().map(|m| m.version).max().unwrap_or(0);
        if schema > known {
            return Err(CatalogFileError::TooNew {
                found: schema,
                known,
            });
        }
        let what = format!("the catalogue {}", path.display());
        let io = |cause| CatalogFileError::Io {
            path: path.to_owned(),
            cause,
        };
        make_private(path).map_err(io)?;
        let options = SqliteConnectOptions::new().filename(path);
        let made = pool(1).connect_with(options).await;
        let made = made.map_err(|e| failure(e, &what))?;
        let older = MIGRATIONS.iter().filter(|m| m.version <= schema);
        let older = Migrator::with_migrations(older.cloned().collect());
        let ran = older.run(&made).await;
        made.close().await;
        ran.map_err(|e| migration_failure(e, &what))?;
        Ok(())
    }

    /// Returns what counts the changes of this catalog, all clones together.
    pub fn changes(&self) -> Arc<CatalogChanges> {
        Arc::clone(&self.changes)
    }

    /// Waits until every statement under way has ended, then closes the file.
    pub async fn close(&self) {
        if let Some(quick) = &self.quick {
            quick.close();
        }
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Takes a connection from `pool`. In memory the connection is the database and cannot be replaced.
    async fn borrow(&self, pool: &SqlitePool) -> Result<Lent, CatalogError> {
        match Lent::from(pool, self.quick.is_some()).await {
            Ok(connection) => Ok(connection),
            Err(e) => Err(failure(e, &self.what)),
        }
    }
}

/// How a catalog in a file is opened.
#[derive(Debug, Clone, Copy)]
struct Opening {
    /// How long a statement waits for another process.
    busy: Duration,
    /// What SQLite reaches files through; `None` for the system's own.
    vfs: Option<&'static str>,
}

impl Default for Opening {
    fn default() -> Self {
        Self {
            busy: BUSY_TIMEOUT,
            vfs: None,
        }
    }
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        // Connections to a file do not go stale.
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
}

/// Makes an empty file for its owner alone, unless there is one: it will hold hashes of passwords.
/// SQLite gives its companion files the same mode.
fn make_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => Err(e),
        _ => Ok(()),
    }
}

async fn migrate(pool: &SqlitePool, what: &str) -> Result<(), CatalogError> {
    let mut connection = pool.acquire().await.map_err(|e| failure(e, what))?;
    let known = MIGRATIONS.iter().map(|m| m.version).max().unwrap_or(0);
    let found = schema_version(&mut connection)
        .await
        .map_err(|e| failure(e, what))?;
    if found > known {
        return Err(CatalogError::TooNew { found, known });
    }
    let ran = MIGRATIONS.run(&mut *connection).await;
    ran.map_err(|e| migration_failure(e, what))
}

fn migration_failure(error: MigrateError, what: &str) -> CatalogError {
    match error {
        MigrateError::Execute(e) | MigrateError::ExecuteMigration(e, _) => failure(e, what),
        e => CatalogError::Failed(Box::new(e)),
    }
}

/// Returns the newest migration that was applied; 0 for an empty database.
async fn schema_version(connection: &mut SqliteConnection) -> sqlx::Result<i64> {
    let tables = "SELECT COUNT(*) FROM sqlite_master WHERE name = '_sqlx_migrations'";
    if sqlx::query_scalar::<_, i64>(tables)
        .fetch_one(&mut *connection)
        .await?
        == 0
    {
        return Ok(0);
    }
    sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations")
        .fetch_one(connection)
        .await
}

impl Engine for SqliteCatalog {
    async fn read(&self, statements: Vec<Statement>) -> Result<Vec<Vec<Record>>, CatalogError> {
        let failed = |e| failure(e, &self.what);
        let mut results = Vec::with_capacity(statements.len());
        let mut connection = self.borrow(&self.readers).await?;
        // A single statement sees one moment anyway.
        if statements.len() < 2 {
            for statement in statements {
                results.push(run(&mut connection, statement).await.map_err(failed)?);
            }
        } else {
            let mut transaction = connection.begin().await.map_err(failed)?;
            for statement in statements {
                results.push(run(&mut transaction, statement).await.map_err(failed)?);
            }
            transaction.commit().await.map_err(failed)?;
        }
        connection.give_back();
        Ok(results)
    }

    async fn read_quick(
        &self,
        statements: Vec<Statement>,
    ) -> Result<Vec<Vec<Record>>, CatalogError> {
        match &self.quick {
            Some(quick) => quick
                .run(&statements)
                .map_err(|error| quick_failure(error, &self.what)),
            None => self.read(statements).await,
        }
    }

    fn known(&self) -> Option<&Known> {
        Some(&self.known)
    }

    fn note(&self, changes: &[Change]) {
        self.changes.note(changes);
    }

    async fn write(&self, steps: Vec<Step>) -> Result<Vec<Vec<Record>>, CatalogError> {
        let failed = |e| failure(e, &self.what);
        let mut connection = self.borrow(&self.writer).await?;
        // Takes the lock at once: a read that becomes a write later could not be retried.
        let mut transaction = connection
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(failed)?;
        let mut results = Vec::with_capacity(steps.len());
        for step in steps {
            let refusal = match run(&mut transaction, step.statement).await {
                Ok(records) if records.is_empty() && step.needs == Needs::Row => {
                    CatalogError::Stale { what: step.what }
                }
                Ok(records) => {
                    results.push(records);
                    continue;
                }
                Err(e) => match e.as_database_error().map(|e| e.kind()) {
                    Some(ErrorKind::UniqueViolation) => CatalogError::Exists { what: step.what },
                    Some(ErrorKind::ForeignKeyViolation) => CatalogError::Stale { what: step.what },
                    // SQLite may have rolled back by itself: the connection is not used again.
                    _ => return Err(failed(e)),
                },
            };
            // Nothing was written either way: closing the connection rolls back too.
            if transaction.rollback().await.is_ok() {
                connection.give_back();
            }
            return Err(refusal);
        }
        transaction.commit().await.map_err(failed)?;
        connection.give_back();
        Ok(results)
    }
}

async fn run(connection: &mut SqliteConnection, statement: Statement) -> sqlx::Result<Vec<Record>> {
    let mut bound = ByteBound::of(&statement);
    let mut arguments = SqliteArguments::default();
    for bind in statement.binds {
        match bind {
            Bind::Int(value) => arguments.add(value),
            Bind::Text(value) => arguments.add(value),
            Bind::Bool(value) => arguments.add(value),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    // Safe: the text is put together from our own words alone, all values are bound.
    let query = sqlx::query_with(AssertSqlSafe(statement.text), arguments);
    let mut rows = query.fetch(connection);
    let mut records = Vec::new();
    while let Some(row) = rows.try_next().await? {
        let record = record(&row)?;
        let is_full = bound.is_reached_with(&record);
        records.push(record);
        if is_full {
            break;
        }
    }
    Ok(records)
}

fn record(row: &SqliteRow) -> sqlx::Result<Record> {
    (0..row.len())
        .map(|i| {
            let value = row.try_get_raw(i)?;
            if value.is_null() {
                return Ok(Cell::Null);
            }
            let kind = value.type_info();
            match kind.name() {
                "INTEGER" => row.try_get_unchecked(i).map(Cell::Int),
                "TEXT" => row.try_get_unchecked(i).map(Cell::Text),
                other => Ok(Cell::Odd(other.to_owned())),
            }
        })
        .collect()
}

#[cfg(test)]
mod faults;
#[cfg(test)]
mod faulty_vfs;
#[cfg(test)]
mod migrations;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod tests;
