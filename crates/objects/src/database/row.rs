//! Rows of the backups table (`cinder-backup.md §1.5`).

use emberkeep_model::Timestamp;

use crate::class::{BACKUP, Kind};
use crate::data::{Item, Metadata};
use crate::datetime::{DateTime, TimeError};

/// What one column of a row holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Nothing.
    Null,
    /// Text.
    Text(String),
    /// A number.
    Int(i64),
    /// Yes or no.
    Bool(bool),
    /// An instant.
    Time(Timestamp),
}

impl Cell {
    /// Takes what a field holds; objects and dicts have no column.
    pub(crate) fn from_item(item: &Item) -> Result<Option<Self>, TimeError> {
        Ok(Some(match item {
            Item::Null => Self::Null,
            Item::Text(text) => Self::Text(text.clone()),
            Item::Int(value) => Self::Int(*value),
            Item::Bool(value) => Self::Bool(*value),
            Item::Time(time) => Self::Time(time.timestamp()?),
            Item::Dict(_) | Item::Object(_) | Item::Objects(_) => return Ok(None),
        }))
    }

    pub(crate) fn into_item(self) -> Result<Item, TimeError> {
        Ok(match self {
            Self::Null => Item::Null,
            Self::Text(text) => Item::Text(text),
            Self::Int(value) => Item::Int(value),
            Self::Bool(value) => Item::Bool(value),
            Self::Time(time) => Item::Time(DateTime::from_timestamp(time)?),
        })
    }
}

/// A column of the backups table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Column(&'static str);

impl Column {
    /// Finds a column: every field but the parent and the metadata, which has a table of its own.
    pub fn named(name: &str) -> Option<Self> {
        let fields = BACKUP.fields.iter().map(|field| field.name);
        fields
            .filter(|field| !BACKUP.optional.contains(field))
            .find(|field| *field == name)
            .map(Self)
    }

    /// Returns all of them.
    pub fn all() -> impl Iterator<Item = Self> {
        BACKUP
            .fields
            .iter()
            .filter_map(|field| Self::named(field.name))
    }

    /// Returns its name.
    pub fn name(self) -> &'static str {
        self.0
    }

    /// Returns what it holds.
    pub fn kind(self) -> Kind {
        let place = BACKUP.position(self.0).unwrap_or_default();
        BACKUP.fields[place].kind
    }

    pub(crate) const ID: Self = Self("id");
    pub(crate) const CREATED_AT: Self = Self("created_at");
    pub(crate) const FAIL_REASON: Self = Self("fail_reason");
    pub(crate) const DELETED_AT: Self = Self("deleted_at");
    pub(crate) const HOST: Self = Self("host");
    pub(crate) const PROJECT_ID: Self = Self("project_id");
    pub(crate) const VOLUME_ID: Self = Self("volume_id");
}

/// Declares the row, and reading and writing its columns by name.
macro_rules! row {
    (text: $($text:ident),+; int: $($int:ident),+; time: $($time:ident),+; bool: $($bool:ident),+) => {
        /// A row with the pairs of metadata that are not deleted.
        #[derive(Debug, Clone, Default, PartialEq)]
        #[expect(missing_docs, reason = "each member is the column it is named for")]
        pub struct BackupRow {
            pub id: String,
            $(pub $text: Option<String>,)+
            $(pub $int: Option<i64>,)+
            $(pub $time: Option<Timestamp>,)+
            $(pub $bool: Option<bool>,)+
            pub metadata: Metadata,
        }

        impl BackupRow {
            /// Returns what a column holds.
            pub fn cell(&self, column: Column) -> Cell {
                match column.0 {
                    $(stringify!($text) => self.$text.clone().map_or(Cell::Null, Cell::Text),)+
                    $(stringify!($int) => self.$int.map_or(Cell::Null, Cell::Int),)+
                    $(stringify!($time) => self.$time.map_or(Cell::Null, Cell::Time),)+
                    $(stringify!($bool) => self.$bool.map_or(Cell::Null, Cell::Bool),)+
                    _ => Cell::Text(self.id.clone()),
                }
            }

            /// Sets a column; a cell of another type than the column's leaves it as it is and gives `false`.
            pub fn set(&mut self, column: Column, cell: Cell) -> bool {
                match (column.0, cell) {
                    $((stringify!($text), Cell::Text(text)) => self.$text = Some(text),
                    (stringify!($text), Cell::Null) => self.$text = None,)+
                    $((stringify!($int), Cell::Int(value)) => self.$int = Some(value),
                    (stringify!($int), Cell::Null) => self.$int = None,)+
                    $((stringify!($time), Cell::Time(time)) => self.$time = Some(time),
                    (stringify!($time), Cell::Null) => self.$time = None,)+
                    $((stringify!($bool), Cell::Bool(value)) => self.$bool = Some(value),
                    (stringify!($bool), Cell::Null) => self.$bool = None,)+
                    ("id", Cell::Text(id)) => self.id = id,
                    _ => return false,
                }
                true
            }
        }
    };
}

row!(
    text: user_id, project_id, volume_id, host, availability_zone, container, parent_id, status,
        fail_reason, display_name, display_description, service_metadata, service, temp_volume_id,
        temp_snapshot_id, snapshot_id, restore_volume_id, encryption_key_id;
    int: size, object_count, num_dependent_backups;
    time: data_timestamp, created_at, updated_at, deleted_at;
    bool: deleted
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_keeps_what_it_is_given() {
        let mut row = BackupRow::default();
        for column in Column::all() {
            let cell = match column.kind() {
                Kind::Int => Cell::Int(7),
                Kind::Bool => Cell::Bool(true),
                Kind::Time => Cell::Time(Timestamp(7)),
                _ => Cell::Text("x".to_owned()),
            };
            assert!(row.set(column, cell.clone()), "{}", column.name());
            assert_eq!(row.cell(column), cell, "{}", column.name());
            assert_eq!(
                row.set(column, Cell::Null),
                column != Column::ID,
                "{}",
                column.name()
            );
        }
        assert_eq!(Column::all().count(), BACKUP.fields.len() - 2);
        assert!(!row.set(Column::HOST, Cell::Int(1)));
    }
}
