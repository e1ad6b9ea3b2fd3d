//! Makes a catalog from exported rows.

use std::path::Path;

use rusqlite::types::Value as Cell;
use rusqlite::{Connection, params_from_iter};
use serde_json::Value;

use super::{CatalogFile, CatalogFileError, EXPORT_VERSION, is_exported};
use crate::SqliteCatalog;

struct TableHead {
    table: String,
    columns: Vec<String>,
}

/// What became of exported rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Imported {
    /// Rows that the new catalog has.
    pub rows: u64,
    /// Rows left out, since what they belong to was not among the texts.
    pub orphans: u64,
}

impl CatalogFile {
    /// Makes a new catalog from exported texts, whole and durable on return, in a file that must not be there.
    /// Texts of an older schema are brought up to date.
    pub async fn import(&self, texts: Vec<Vec<u8>>) -> Result<Imported, CatalogFileError> {
        let schema = schema_of(&texts)?;
        SqliteCatalog::create_at(self.path(), schema).await?;
        let imported = self.fill(&texts)?;
        SqliteCatalog::open(self.path()).await?.close().await;
        self.fold_log()?;
        sync(self.path())?;
        Ok(imported)
    }

    fn fill(&self, texts: &[Vec<u8>]) -> Result<Imported, CatalogFileError> {
        let connection = self.open()?;
        self.run(|| connection.execute_batch("PRAGMA foreign_keys = OFF; BEGIN IMMEDIATE"))?;
        let mut imported = Imported::default();
        for text in texts {
            imported.rows += self.fill_from(&connection, text)?;
        }
        imported.orphans = self.drop_orphans(&connection)?;
        imported.rows -= imported.orphans;
        self.run(|| connection.execute_batch("COMMIT"))?;
        Ok(imported)
    }

    fn fill_from(&self, connection: &Connection, text: &[u8]) -> Result<u64, CatalogFileError> {
        let mut insert = None;
        let mut rows = 0;
        for line in text.split(|byte| *byte == b'\n').skip(1) {
            match line.first() {
                None => continue,
                Some(b'{') => insert = Some(statement(&table_head(&read(line)?)?)?),
                Some(_) => {
                    let Some(insert) = &insert else {
                        return Err(unreadable("a row before its table"));
                    };
                    let Value::Array(cells) = read(line)? else {
                        return Err(unreadable("a row is no list"));
                    };
                    let cells = cells.into_iter().map(cell).collect::<Result<Vec<_>, _>>()?;
                    self.run(|| {
                        let mut prepared = connection.prepare_cached(insert)?;
                        prepared.execute(params_from_iter(cells))
                    })?;
                    rows += 1;
                }
            }
        }
        Ok(rows)
    }

    /// Removes rows that refer to rows which are not there; returns how many.
    fn drop_orphans(&self, connection: &Connection) -> Result<u64, CatalogFileError> {
        let mut dropped = 0;
        loop {
            let found: Vec<(String, i64)> = self.run(|| {
                let mut prepared = connection.prepare("PRAGMA foreign_key_check")?;
                let rows = prepared.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
                rows.collect()
            })?;
            if found.is_empty() {
                return Ok(dropped);
            }
            for (table, rowid) in found {
                let removed = self.run(|| {
                    let statement = format!("DELETE FROM {table} WHERE rowid = ?1");
                    connection.execute(&statement, [rowid])
                })?;
                dropped += removed as u64;
            }
        }
    }
}

/// Returns the schema that all texts are of.
fn schema_of(texts: &[Vec<u8>]) -> Result<i64, CatalogFileError> {
    let mut schema = None;
    for text in texts {
        let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let head = read(line)?;
        let of = |name: &str| head.get(name).and_then(Value::as_i64);
        if of("version") != Some(EXPORT_VERSION) {
            return Err(unreadable("its version is not known"));
        }
        let found = of("schema").ok_or_else(|| unreadable("it names no schema"))?;
        if *schema.get_or_insert(found) != found {
            return Err(unreadable("its parts are of different schemas"));
        }
    }
    schema.ok_or_else(|| unreadable("it is empty"))
}

/// Builds the statement that inserts a row; the names come from a file and are checked.
fn statement(head: &TableHead) -> Result<String, CatalogFileError> {
    let is_name = |name: &String| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    };
    if !is_exported(&head.table) {
        return Err(unreadable(&format!(
            "'{}' is no table of a copy",
            head.table
        )));
    }
    if head.columns.is_empty() || !head.columns.iter().all(is_name) {
        return Err(unreadable("a column's name is not valid"));
    }
    let places: Vec<String> = (1..=head.columns.len())
        .map(|at| format!("?{at}"))
        .collect();
    Ok(format!(
        "INSERT INTO {} ({}) VALUES ({})",
        head.table,
        head.columns.join(", "),
        places.join(", ")
    ))
}

fn cell(value: Value) -> Result<Cell, CatalogFileError> {
    match value {
        Value::Null => Ok(Cell::Null),
        Value::String(text) => Ok(Cell::Text(text)),
        Value::Number(number) => number
            .as_i64()
            .map(Cell::Integer)
            .ok_or_else(|| unreadable("a number is out of range")),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            Err(unreadable("a value is of no type that a row has"))
        }
    }
}

fn table_head(head: &Value) -> Result<TableHead, CatalogFileError> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let table = head.get("table").and_then(text);
    let columns = head.get("columns").and_then(Value::as_array);
    let columns = columns.and_then(|columns| columns.iter().map(text).collect());
    match (table, columns) {
        (Some(table), Some(columns)) => Ok(TableHead { table, columns }),
        _ => Err(unreadable("a table's head is not valid")),
    }
}

fn read(line: &[u8]) -> Result<Value, CatalogFileError> {
    serde_json::from_slice(line).map_err(|error| unreadable(&error.to_string()))
}

fn unreadable(reason: &str) -> CatalogFileError {
    CatalogFileError::Export {
        reason: reason.to_owned(),
    }
}

/// Makes a file and its name durable.
fn sync(path: &Path) -> Result<(), CatalogFileError> {
    let failed = |cause| CatalogFileError::Io {
        path: path.to_owned(),
        cause,
    };
    let sync = |path: &Path| std::fs::File::open(path)?.sync_all();
    sync(path).map_err(failed)?;
    match path.parent() {
        Some(directory) => sync(directory).map_err(failed),
        None => Ok(()),
    }
}
