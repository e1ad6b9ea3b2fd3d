//! Reads that an index answers at once. They run where they are asked for: handing such a read over to another
//! thread and back costs several times what the read itself does.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, OpenFlags, Row, ToSql};

use super::Opening;
use crate::sql::{Bind, ByteBound, Cell, Record, Statement};

/// Connections that are kept for the next read; more than run at once on most machines.
const KEPT: usize = 8;
/// Statements that each of them keeps prepared.
const PREPARED: usize = 128;
/// What each of them remembers of the file, in KiB.
const CACHE_KIB: i64 = 8192;

/// Connections for quick reads.
#[derive(Debug)]
pub(super) struct QuickReaders {
    path: PathBuf,
    opening: Opening,
    idle: Mutex<Vec<Connection>>,
}

impl QuickReaders {
    /// Will open the database in the file `path`.
    pub(super) fn new(path: &Path, opening: Opening) -> Self {
        Self {
            path: path.to_owned(),
            opening,
            idle: Mutex::default(),
        }
    }

    /// Runs statements that only read; all see the same moment.
    pub(super) fn run(&self, statements: &[Statement]) -> rusqlite::Result<Vec<Vec<Record>>> {
        let idle = self.lock().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.open()?,
        };
        let records = read_all(&connection, statements);
        // The state of a connection that failed is unknown: it is closed, and the next read opens another.
        if records.is_ok() {
            let mut idle = self.lock();
            if idle.len() < KEPT {
                idle.push(connection);
            }
        }
        records
    }

    /// Closes the connections that nobody uses just now.
    pub(super) fn close(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = match self.opening.vfs {
            Some(vfs) => Connection::open_with_flags_and_vfs(&self.path, flags, vfs)?,
            None => Connection::open_with_flags(&self.path, flags)?,
        };
        connection.busy_timeout(self.opening.busy)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        connection.set_prepared_statement_cache_capacity(PREPARED);
        Ok(connection)
    }
}

/// Counts what a statement makes SQLite do: a measure of work that no other load on the machine changes.
#[cfg(test)]
pub(super) fn work_of(path: &Path, statement: &Statement) -> rusqlite::Result<(usize, i32)> {
    let readers = QuickReaders::new(path, Opening::default());
    let connection = readers.open()?;
    let found = read(&connection, statement)?.len();
    let prepared = connection.prepare_cached(&statement.text)?;
    Ok((
        found,
        prepared.get_status(rusqlite::StatementStatus::VmStep),
    ))
}

fn read_all(
    connection: &Connection,
    statements: &[Statement],
) -> rusqlite::Result<Vec<Vec<Record>>> {
    // A single statement sees one moment anyway.
    let moment = match statements.len() {
        0 | 1 => None,
        _ => Some(connection.unchecked_transaction()?),
    };
    let records = statements
        .iter()
        .map(|statement| read(connection, statement))
        .collect::<rusqlite::Result<_>>()?;
    if let Some(moment) = moment {
        moment.commit()?;
    }
    Ok(records)
}

fn read(connection: &Connection, statement: &Statement) -> rusqlite::Result<Vec<Record>> {
    let mut prepared = connection.prepare_cached(&statement.text)?;
    let width = prepared.column_count();
    // To SQLite `$2` is a name like any other, and takes its place where it first stands.
    for place in 1..=prepared.parameter_count() {
        let number = prepared
            .parameter_name(place)
            .and_then(|name| name.strip_prefix('$')?.parse::<usize>().ok())
            .unwrap_or(place);
        if let Some(bind) = statement.binds.get(number.wrapping_sub(1)) {
            prepared.raw_bind_parameter(place, bind)?;
        }
    }
    let mut rows = prepared.raw_query();
    let mut bound = ByteBound::of(statement);
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let record = record(row, width)?;
        let is_full = bound.is_reached_with(&record);
        records.push(record);
        if is_full {
            break;
        }
    }
    Ok(records)
}

fn record(row: &Row<'_>, width: usize) -> rusqlite::Result<Record> {
    (0..width)
        .map(|column| {
            Ok(match row.get_ref(column)? {
                ValueRef::Null => Cell::Null,
                ValueRef::Integer(number) => Cell::Int(number),
                ValueRef::Text(text) => Cell::Text(String::from_utf8_lossy(text).into_owned()),
                ValueRef::Real(_) => Cell::Odd("REAL".to_owned()),
                ValueRef::Blob(_) => Cell::Odd("BLOB".to_owned()),
            })
        })
        .collect()
}

impl ToSql for Bind {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Int(None) | Self::Text(None) | Self::Bool(None) => {
                ToSqlOutput::Owned(Value::Null)
            }
            Self::Int(Some(number)) => ToSqlOutput::Owned(Value::Integer(*number)),
            Self::Bool(Some(truth)) => ToSqlOutput::Owned(Value::Integer(i64::from(*truth))),
            Self::Text(Some(text)) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}
