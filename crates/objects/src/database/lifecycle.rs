//! Backups in a database: creating, saving, deleting, finding again (`cinder-backup.md §1.2`).

use std::ops::{Deref, DerefMut};

use crate::class::{FieldInfo, Kind};
use crate::data::{Backup, BackupImport, Context, Core, Item, ReadDeleted, Value};
use crate::database::query::{Filter, Selection};
use crate::database::row::{BackupRow, Cell, Column};
use crate::database::store::BackupStore;
use crate::datetime::DateTime;
use crate::error::StoreError;
use crate::error::{CoerceError, ObjectError};
use crate::field::coerce;
use crate::object::VersionedObject;

/// The database cuts reasons of failures at this many characters.
const MAX_FAIL_REASON: usize = 255;

/// What a column must hold for a conditional update to happen.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// This.
    Is(Value),
    /// One of these.
    AnyOf(Vec<Value>),
    /// Something else than this; null is something else.
    Not(Value),
    /// None of these.
    NoneOf(Vec<Value>),
}

/// A compare-and-swap.
#[derive(Debug, Clone, PartialEq)]
pub struct ConditionalUpdate {
    /// What to set.
    pub values: Vec<(String, Value)>,
    /// What must hold for the row of this backup. `None`: all that is set and unchanged here must be unchanged there.
    pub expected: Option<Vec<(String, Condition)>>,
    /// Conditions besides.
    pub filters: Vec<Filter>,
    /// Whether other changes of the object are saved with it.
    pub save_all: bool,
    /// Whether the object gets the values too.
    pub reflect: bool,
}

impl ConditionalUpdate {
    /// Sets values if conditions hold, and in the object too.
    pub fn new(values: Vec<(String, Value)>, expected: Option<Vec<(String, Condition)>>) -> Self {
        Self {
            values,
            expected,
            filters: Vec::new(),
            save_all: false,
            reflect: true,
        }
    }
}

impl Backup {
    /// Adds the backup to the database, with an id that is made there.
    pub async fn create(&mut self, store: &dyn BackupStore) -> Result<(), ObjectError> {
        if self.core().named("id").is_some() {
            return Err(ObjectError::Action {
                action: "create",
                reason: "already created".to_owned(),
            });
        }
        self.insert(store).await
    }

    async fn insert(&mut self, store: &dyn BackupStore) -> Result<(), ObjectError> {
        let context = self.caller("create")?;
        context.require()?;
        let mut row = BackupRow::default();
        for (name, item) in self.changes() {
            match (Column::named(name), item) {
                (Some(column), item) => {
                    if let Some(cell) = Cell::from_item(item)? {
                        row.set(column, stored(column, cell));
                    }
                }
                (None, Item::Dict(metadata)) => row.metadata = metadata.clone(),
                (None, _) => {}
            }
        }
        if row.id.is_empty() {
            row.id = store.new_id();
        }
        // What would be refused after the row was written is refused before.
        if row.volume_id.is_none() {
            return Err(StoreError::Rejected {
                column: "volume_id",
            }
            .into());
        }
        for (name, given) in [("user_id", &row.user_id), ("project_id", &row.project_id)] {
            if given.is_none() {
                return Err(CoerceError::Null {
                    field: name.to_owned(),
                }
                .into());
            }
        }
        let mut seen = row.clone();
        seen.deleted.get_or_insert(false);
        if !context.sees(&seen) {
            return Err(ObjectError::NotFound { id: row.id });
        }
        let row = store.insert(row).await?;
        self.take_columns(&row)?;
        self.reset_changes();
        Ok(())
    }

    /// Saves what changed, the metadata by replacing it. Deleted backups can be saved too.
    pub async fn save(&mut self, store: &dyn BackupStore) -> Result<(), ObjectError> {
        if self.what_changed().is_empty() {
            self.reset_changes();
            return Ok(());
        }
        let context = self.caller("save")?.clone();
        context.require()?;
        let id = self.own_id()?;
        let changes: Vec<(&'static str, Item)> = self
            .changes()
            .map(|(name, item)| (name, item.clone()))
            .collect();
        let mut cells = Vec::new();
        for (name, item) in &changes {
            let (Some(column), Some(cell)) = (Column::named(name), Cell::from_item(item)?) else {
                continue;
            };
            cells.push((column, stored(column, cell)));
        }
        for (name, item) in changes {
            match (name, item) {
                ("metadata", Item::Dict(metadata)) => {
                    load_row(store, &context, &id).await?;
                    let kept = store.replace_metadata(&id, &metadata).await?;
                    self.set(Self::METADATA, kept)?;
                }
                ("metadata", _) => return Err(ObjectError::NullMetadata),
                _ => {}
            }
        }
        if store
            .update(&with_id(&id, ReadDeleted::Yes), &cells)
            .await?
            == 0
        {
            return Err(ObjectError::NotFound { id });
        }
        self.reset_changes();
        Ok(())
    }

    /// Marks the backup deleted; that there is no such row is no error.
    pub async fn destroy(&mut self, store: &dyn BackupStore) -> Result<(), ObjectError> {
        let context = self.caller("obj_as_admin")?;
        let id = self.own_id()?;
        let now = store.now();
        let which = with_id(&id, context.read_deleted);
        store.soft_delete(&which, now).await?;
        let time = DateTime::from_timestamp(now)?;
        let core = self.core_mut();
        core.assign("status", "deleted".into())?;
        core.assign("deleted", true.into())?;
        core.assign("deleted_at", time.into())?;
        core.reset_changes_of(&["status", "deleted", "deleted_at"]);
        Ok(())
    }

    /// Loads a backup that the caller may see.
    pub async fn get_by_id(
        store: &dyn BackupStore,
        context: &Context,
        id: &str,
    ) -> Result<Self, ObjectError> {
        context.require()?;
        let row = load_row(store, context, id).await?;
        Self::from_row(row, context)
    }

    /// Makes an object of a row.
    pub(crate) fn from_row(row: BackupRow, context: &Context) -> Result<Self, ObjectError> {
        let mut backup = Self::new(context.clone());
        backup.take_columns(&row)?;
        backup.set(Self::METADATA, row.metadata)?;
        backup.reset_changes();
        Ok(backup)
    }

    /// Loads everything anew; the parent is forgotten.
    pub async fn refresh(&mut self, store: &dyn BackupStore) -> Result<(), ObjectError> {
        let context = self.caller("refresh")?.clone();
        let current = Self::get_by_id(store, &context, &self.own_id()?).await?;
        let class = self.core().class;
        *self = current;
        self.core_mut().class = class;
        Ok(())
    }

    /// Opens a scope in which deleted rows are seen.
    pub fn as_read_deleted(
        &mut self,
        mode: ReadDeleted,
    ) -> Result<ReadDeletedScope<'_>, ObjectError> {
        let before = self.caller("as_read_deleted")?.read_deleted;
        if let Some(context) = &mut self.core_mut().context {
            context.read_deleted = mode;
        }
        Ok(ReadDeletedScope {
            backup: self,
            before,
        })
    }

    /// Returns the parent, loading it the first time; once loaded it stays, whatever happens to the parent id.
    pub async fn parent(&mut self, store: &dyn BackupStore) -> Result<Option<&Self>, ObjectError> {
        if !self.get(Self::PARENT).is_set() {
            let context = self.caller("obj_load_attr")?.clone();
            match self.core().read("parent_id")? {
                Item::Text(id) if !id.is_empty() => {
                    let parent = Self::get_by_id(store, &context, &id.clone()).await?;
                    self.set(Self::PARENT, parent)?;
                }
                _ => self.set_null(Self::PARENT)?,
            }
            self.core_mut().reset_changes_of(&["parent"]);
        }
        Ok(self.get(Self::PARENT).value())
    }

    /// Changes the row if conditions hold, in one step; tells whether they did.
    pub async fn conditional_update(
        &mut self,
        store: &dyn BackupStore,
        update: ConditionalUpdate,
    ) -> Result<bool, ObjectError> {
        let context = self.caller("conditional_update")?;
        context.require()?;
        let mut which = Selection {
            // Deleted rows are never touched, whatever the caller sees.
            read_deleted: ReadDeleted::No,
            filters: update.filters,
        };
        match update.expected {
            Some(expected) => {
                which
                    .filters
                    .push(Filter::Is(Column::ID, Cell::Text(self.own_id()?)));
                for (name, condition) in expected {
                    which.filters.push(self.condition(&name, condition)?);
                }
            }
            None => self.expect_unchanged(&mut which.filters)?,
        }
        let mut changes = Vec::new();
        let given: Vec<&str> = update
            .values
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        if update.save_all {
            for (name, item) in self.changes().filter(|(name, _)| !given.contains(name)) {
                if let (Some(column), Some(cell)) = (Column::named(name), Cell::from_item(item)?) {
                    changes.push((column, cell));
                }
            }
        }
        for (name, value) in &update.values {
            changes.push(self.cell(name, value.clone())?);
        }
        let done = store.update(&which, &changes).await? > 0;
        if done && update.reflect {
            for (column, _) in &changes {
                let given = update.values.iter().find(|(name, _)| name == column.name());
                if let Some((name, value)) = given {
                    self.assign(name, value.clone())?;
                }
                self.core_mut().reset_changes_of(&[column.name()]);
            }
        }
        Ok(done)
    }

    /// Demands that all columns that are set and unchanged here are the same in the row.
    fn expect_unchanged(&self, filters: &mut Vec<Filter>) -> Result<(), ObjectError> {
        let changed = self.what_changed();
        for column in Column::all().filter(|column| !changed.contains(&column.name())) {
            if let Some(item) = self.core().named(column.name())
                && let Some(cell) = Cell::from_item(item)?
            {
                filters.push(Filter::Is(column, cell));
            }
        }
        Ok(())
    }

    fn condition(&self, name: &str, condition: Condition) -> Result<Filter, ObjectError> {
        let column = self.column(name)?;
        let cells = |values: Vec<Value>| -> Result<Vec<Cell>, ObjectError> {
            let cells = values.into_iter().map(|value| wanted(column, value));
            Ok(cells
                .collect::<Result<Vec<_>, _>>()?
                .into_iter()
                .flatten()
                .collect())
        };
        Ok(match condition {
            Condition::Is(value) => Filter::AnyOf(column, cells(vec![value])?),
            Condition::AnyOf(values) => Filter::AnyOf(column, cells(values)?),
            Condition::Not(value) => Filter::NoneOf(column, cells(vec![value])?),
            Condition::NoneOf(values) => Filter::NoneOf(column, cells(values)?),
        })
    }

    fn column(&self, name: &str) -> Result<Column, ObjectError> {
        Column::named(name).ok_or_else(|| ObjectError::NoSuchField {
            object: self.class().name,
            name: name.to_owned(),
        })
    }

    fn cell(&self, name: &str, value: Value) -> Result<(Column, Cell), ObjectError> {
        let column = self.column(name)?;
        let item = self.core().coerced(self.core().place(name)?, value)?;
        let cell = Cell::from_item(&item)?.unwrap_or(Cell::Null);
        Ok((column, cell))
    }

    fn caller(&self, method: &'static str) -> Result<&Context, ObjectError> {
        self.context().ok_or_else(|| self.core().orphaned(method))
    }

    fn own_id(&self) -> Result<String, ObjectError> {
        match self.core().read("id")? {
            Item::Text(id) => Ok(id.clone()),
            _ => Err(ObjectError::not_loadable("id")),
        }
    }

    /// The changed fields that are set, with what they hold.
    fn changes(&self) -> impl Iterator<Item = (&'static str, &Item)> {
        let names = self.what_changed().into_iter();
        names.filter_map(|name| self.core().named(name).map(|item| (name, item)))
    }

    /// Takes the columns of a row: a null number becomes 0.
    fn take_columns(&mut self, row: &BackupRow) -> Result<(), ObjectError> {
        for column in Column::all() {
            let item = match (row.cell(column), column.kind()) {
                (Cell::Null, Kind::Int) => Item::Int(0),
                (cell, _) => cell.into_item()?,
            };
            self.core_mut().assign(column.name(), item.to_value())?;
        }
        Ok(())
    }
}

impl BackupImport {
    /// Adds the backup to the database under its own id, if it has one.
    pub async fn create(&mut self, store: &dyn BackupStore) -> Result<(), ObjectError> {
        self.insert(store).await
    }
}

/// Takes a value for comparing with a column: what does not fit the column's type matches nothing.
pub(crate) fn wanted(column: Column, value: Value) -> Result<Option<Cell>, ObjectError> {
    let cell = match (&value, column.kind()) {
        (Value::Null, _) => Cell::Null,
        (Value::Bool(value), Kind::Bool) => Cell::Bool(*value),
        (Value::Int(value @ 0..=1), Kind::Bool) => Cell::Bool(*value == 1),
        (_, Kind::Bool) => return Ok(None),
        (_, Kind::Int | Kind::Time) => match loose(column, value) {
            Ok(item) => Cell::from_item(&item)?.unwrap_or(Cell::Null),
            Err(_) => return Ok(None),
        },
        (Value::List(_) | Value::Dict(_) | Value::Object(_), _) => return Ok(None),
        _ => Cell::Text(value.text()),
    };
    Ok(Some(cell))
}

fn loose(column: Column, value: Value) -> Result<Item, CoerceError> {
    let field = FieldInfo {
        name: column.name(),
        kind: column.kind(),
        nullable: true,
        default: None,
    };
    coerce(&crate::class::BACKUP, &field, value)
}

fn with_id(id: &str, read_deleted: ReadDeleted) -> Selection {
    Selection {
        read_deleted,
        filters: vec![Filter::Is(Column::ID, Cell::Text(id.to_owned()))],
    }
}

async fn load_row(
    store: &dyn BackupStore,
    context: &Context,
    id: &str,
) -> Result<BackupRow, ObjectError> {
    let row = store.fetch(id).await?;
    row.filter(|row| context.sees(row))
        .ok_or_else(|| ObjectError::NotFound { id: id.to_owned() })
}

/// What is written into a column: a reason of failure that is given is never null and never too long.
fn stored(column: Column, cell: Cell) -> Cell {
    match (column, cell) {
        (Column::FAIL_REASON, Cell::Text(reason)) => {
            Cell::Text(reason.chars().take(MAX_FAIL_REASON).collect())
        }
        (Column::FAIL_REASON, _) => Cell::Text(String::new()),
        (_, cell) => cell,
    }
}

/// A backup while deleted rows are seen; how it was before comes back when this is dropped.
#[derive(Debug)]
pub struct ReadDeletedScope<'a> {
    backup: &'a mut Backup,
    before: ReadDeleted,
}

impl Deref for ReadDeletedScope<'_> {
    type Target = Backup;

    fn deref(&self) -> &Backup {
        self.backup
    }
}

impl DerefMut for ReadDeletedScope<'_> {
    fn deref_mut(&mut self) -> &mut Backup {
        self.backup
    }
}

impl Drop for ReadDeletedScope<'_> {
    fn drop(&mut self) {
        let core: &mut Core = self.backup.core_mut();
        if let Some(context) = &mut core.context {
            context.read_deleted = self.before;
        }
    }
}
