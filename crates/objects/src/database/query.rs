//! Which rows a call is about: pure, so that a database and the copy in memory can agree.

use emberkeep_model::Timestamp;
use std::cmp::Ordering;

use crate::class::Kind;
use crate::data::{Metadata, ReadDeleted};
use crate::database::row::{BackupRow, Cell, Column};

/// One condition on a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// The column holds this; null asks for null.
    Is(Column, Cell),
    /// The column holds one of these.
    AnyOf(Column, Vec<Cell>),
    /// The column holds none of these; null counts as different from all but null.
    NoneOf(Column, Vec<Cell>),
    /// The column's text holds this text; `%` and `_` in it stand for any text and any character.
    Like(Column, String),
    /// The metadata has all these pairs.
    Metadata(Metadata),
    /// The column's instant is before this one.
    Before(Column, Timestamp),
    /// The column's instant is after this one, or null.
    NotUntil(Column, Timestamp),
}

/// Which rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Selection {
    /// Whether deleted rows are among them.
    pub read_deleted: ReadDeleted,
    /// Conditions that all hold.
    pub filters: Vec<Filter>,
}

/// Up or down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Smallest first, null before all.
    Ascending,
    /// Largest first, null after all.
    Descending,
}

/// Which rows, in which order, which of them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BackupQuery {
    /// Which rows.
    pub selection: Selection,
    /// By what to sort; empty for no order.
    pub order: Vec<(Column, Direction)>,
    /// Only rows after this one in that order. Null counts as the smallest value of its type here.
    pub after: Option<BackupRow>,
    /// How many at most.
    pub limit: Option<u64>,
    /// How many to leave out first.
    pub offset: u64,
}

impl Filter {
    /// Tells whether a row fulfils the condition.
    pub fn takes(&self, row: &BackupRow) -> bool {
        match self {
            Self::Is(column, wanted) => holds(row, *column, wanted),
            Self::AnyOf(column, wanted) => wanted.iter().any(|cell| holds(row, *column, cell)),
            Self::NoneOf(column, unwanted) => {
                !unwanted.iter().any(|cell| holds(row, *column, cell))
            }
            Self::Like(column, text) => match row.cell(*column) {
                Cell::Text(found) => like(&found, text),
                Cell::Int(found) => like(&found.to_string(), text),
                Cell::Null | Cell::Bool(_) | Cell::Time(_) => false,
            },
            Self::Metadata(wanted) => wanted
                .iter()
                .all(|(key, text)| row.metadata.get(key) == Some(text)),
            Self::Before(column, limit) => {
                matches!(row.cell(*column), Cell::Time(time) if time < *limit)
            }
            Self::NotUntil(column, limit) => match row.cell(*column) {
                Cell::Time(time) => time > *limit,
                _ => true,
            },
        }
    }
}

impl Selection {
    /// Tells whether a row is taken.
    pub fn takes(&self, row: &BackupRow) -> bool {
        self.read_deleted.shows(row) && self.filters.iter().all(|filter| filter.takes(row))
    }
}

impl BackupQuery {
    /// Answers the query from all rows there are.
    pub fn answer<'a>(&self, rows: impl IntoIterator<Item = &'a BackupRow>) -> Vec<BackupRow> {
        let mut found: Vec<&BackupRow> = rows
            .into_iter()
            .filter(|row| self.selection.takes(row))
            .filter(|row| {
                self.after
                    .as_ref()
                    .is_none_or(|last| self.is_after(row, last))
            })
            .collect();
        found.sort_by(|a, b| self.compare(a, b, |row, column| order_key(row.cell(column))));
        let skip = usize::try_from(self.offset).unwrap_or(usize::MAX);
        let limit = self.limit.map_or(usize::MAX, |limit| {
            usize::try_from(limit).unwrap_or(usize::MAX)
        });
        found.into_iter().skip(skip).take(limit).cloned().collect()
    }

    fn is_after(&self, row: &BackupRow, last: &BackupRow) -> bool {
        let key =
            |row: &BackupRow, column: Column| order_key(or_smallest(row.cell(column), column));
        self.compare(row, last, key) == Ordering::Greater
    }

    fn compare<K: Ord>(
        &self,
        a: &BackupRow,
        b: &BackupRow,
        key: impl Fn(&BackupRow, Column) -> K,
    ) -> Ordering {
        let each = self.order.iter().map(|(column, direction)| {
            let order = key(a, *column).cmp(&key(b, *column));
            match direction {
                Direction::Ascending => order,
                Direction::Descending => order.reverse(),
            }
        });
        each.fold(Ordering::Equal, Ordering::then)
    }
}

/// Cells of one column in order; null comes first.
fn order_key(cell: Cell) -> (u8, i64, String) {
    match cell {
        Cell::Null => (0, 0, String::new()),
        Cell::Bool(value) => (1, value.into(), String::new()),
        Cell::Int(value) => (1, value, String::new()),
        Cell::Time(time) => (1, time.0, String::new()),
        Cell::Text(text) => (1, 0, text),
    }
}

/// What stands in for null when a page goes on: for a time it is the year 1900.
fn or_smallest(cell: Cell, column: Column) -> Cell {
    const YEAR_1900: Timestamp = Timestamp(-2_208_988_800_000_000);
    match (cell, column.kind()) {
        (Cell::Null, Kind::Int) => Cell::Int(0),
        (Cell::Null, Kind::Bool) => Cell::Bool(false),
        (Cell::Null, Kind::Time) => Cell::Time(YEAR_1900),
        (Cell::Null, _) => Cell::Text(String::new()),
        (cell, _) => cell,
    }
}

/// Compares as a database does: a number and its text are the same.
fn holds(row: &BackupRow, column: Column, wanted: &Cell) -> bool {
    match (row.cell(column), wanted) {
        (Cell::Int(found), Cell::Text(text)) => text.trim().parse() == Ok(found),
        (Cell::Text(found), Cell::Int(value)) => found == value.to_string(),
        (Cell::Int(found), Cell::Bool(value)) => found == i64::from(*value),
        (Cell::Bool(found), Cell::Int(value)) => i64::from(found) == *value,
        (found, wanted) => found == *wanted,
    }
}

/// Tells whether `text` holds `part` as `LIKE %part%` means it: letters of ASCII in either case.
fn like(text: &str, part: &str) -> bool {
    let text: Vec<char> = text.chars().map(|c| c.to_ascii_lowercase()).collect();
    let pattern: Vec<char> = format!("%{part}%").to_ascii_lowercase().chars().collect();
    let (mut at, mut of) = (0, 0);
    let mut retry = None;
    while at < text.len() {
        match pattern.get(of) {
            Some('%') => {
                retry = Some((at, of));
                of += 1;
            }
            Some(c) if *c == '_' || *c == text[at] => {
                at += 1;
                of += 1;
            }
            _ => {
                // The last `%` takes one character more.
                let Some((from, wildcard)) = retry else {
                    return false;
                };
                retry = Some((from + 1, wildcard));
                at = from + 1;
                of = wildcard + 1;
            }
        }
    }
    pattern[of..].iter().all(|c| *c == '%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likeness() {
        for (text, part, want) in [
            ("nightly", "ight", true),
            ("nightly", "IGHT", true),
            ("nightly", "", true),
            ("nightly", "day", false),
            ("nightly", "n%y", true),
            ("nightly", "n_ght", true),
            ("nightly", "n__ght", false),
            ("", "", true),
            ("", "x", false),
            ("aab", "ab", true),
        ] {
            assert_eq!(like(text, part), want, "{text} {part}");
        }
    }
}
