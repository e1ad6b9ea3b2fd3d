//! The queries that make lists of backups (`cinder-backup.md §1.2`).

use crate::data::{Backup, BackupList, Context, Metadata, ReadDeleted, Value};
use crate::database::lifecycle::wanted;
use crate::database::query::{BackupQuery, Direction, Filter, Selection};
use crate::database::row::{BackupRow, Cell, Column};
use crate::database::store::BackupStore;
use crate::datetime::DateTime;
use crate::error::ObjectError;
use crate::json::{Dict, Json};
use crate::object::VersionedObject;

/// What a caller may ask of a list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ListQuery {
    /// Values by column. A list means any of them, a name that ends in `~` any text that holds it, and
    /// `metadata` is a dict of pairs. A name of no column gives an empty list.
    pub filters: Dict,
    /// The last backup of the page before.
    pub marker: Option<String>,
    /// How many at most.
    pub limit: Option<u64>,
    /// How many to leave out first.
    pub offset: u64,
    /// By what to sort; time of creation and id are always added.
    pub sort_keys: Vec<String>,
    /// `asc` or `desc` for each of these.
    pub sort_dirs: Vec<String>,
}

impl BackupList {
    /// Lists the backups of all projects; for administrators.
    pub async fn get_all(
        store: &dyn BackupStore,
        context: &Context,
        query: &ListQuery,
    ) -> Result<Self, ObjectError> {
        context.require_admin()?;
        Self::page(store, context, query).await
    }

    /// Lists the backups of a project.
    pub async fn get_all_by_project(
        store: &dyn BackupStore,
        context: &Context,
        project_id: &str,
        query: &ListQuery,
    ) -> Result<Self, ObjectError> {
        context.require_project(project_id)?;
        let mut query = query.clone();
        query.filters.insert(Column::PROJECT_ID.name(), project_id);
        Self::page(store, context, &query).await
    }

    /// Lists the backups of a volume of a project.
    pub async fn get_all_by_volume(
        store: &dyn BackupStore,
        context: &Context,
        volume_id: &str,
        vol_project_id: &str,
        filters: &Dict,
    ) -> Result<Self, ObjectError> {
        context.require_project(vol_project_id)?;
        let mut query = ListQuery {
            filters: filters.clone(),
            ..ListQuery::default()
        };
        query.filters.insert(Column::VOLUME_ID.name(), volume_id);
        Self::page(store, context, &query).await
    }

    /// Lists the backups that a host owns, in no order; for administrators.
    pub async fn get_all_by_host(
        store: &dyn BackupStore,
        context: &Context,
        host: &str,
    ) -> Result<Self, ObjectError> {
        context.require_admin()?;
        let filter = Filter::Is(Column::HOST, Cell::Text(host.to_owned()));
        Self::unsorted(store, context, context.read_deleted, vec![filter]).await
    }

    /// Lists the backups that were there at some time between `begin` and `end`, deleted ones among them.
    pub async fn get_all_active_by_window(
        store: &dyn BackupStore,
        context: &Context,
        begin: DateTime,
        end: Option<DateTime>,
    ) -> Result<Self, ObjectError> {
        context.require()?;
        let mut filters = vec![Filter::NotUntil(Column::DELETED_AT, begin.timestamp()?)];
        if let Some(end) = end {
            filters.push(Filter::Before(Column::CREATED_AT, end.timestamp()?));
        }
        Self::unsorted(store, context, ReadDeleted::Yes, filters).await
    }

    async fn unsorted(
        store: &dyn BackupStore,
        context: &Context,
        read_deleted: ReadDeleted,
        filters: Vec<Filter>,
    ) -> Result<Self, ObjectError> {
        let query = BackupQuery {
            selection: Selection {
                read_deleted,
                filters,
            },
            ..BackupQuery::default()
        };
        Self::from_rows(store.list(&query).await?, context)
    }

    /// The order of checks is Cinder's: filters, sorting, marker.
    async fn page(
        store: &dyn BackupStore,
        context: &Context,
        query: &ListQuery,
    ) -> Result<Self, ObjectError> {
        let Some(filters) = filters(&query.filters)? else {
            return Ok(Self::new(Some(context.clone())));
        };
        let order = sort_order(&query.sort_keys, &query.sort_dirs)?;
        let mut after = None;
        if let Some(marker) = &query.marker {
            let row = store.fetch(marker).await?;
            let seen = row.filter(|row| context.sees(row));
            after = Some(seen.ok_or_else(|| ObjectError::NotFound { id: marker.clone() })?);
        }
        let query = BackupQuery {
            selection: Selection {
                read_deleted: context.read_deleted,
                filters,
            },
            order: columns(order)?,
            after,
            limit: query.limit,
            offset: query.offset,
        };
        Self::from_rows(store.list(&query).await?, context)
    }

    fn from_rows(rows: Vec<BackupRow>, context: &Context) -> Result<Self, ObjectError> {
        let backups = rows.into_iter().map(|row| Backup::from_row(row, context));
        let mut list = Self::of(
            backups.collect::<Result<Vec<_>, _>>()?,
            Some(context.clone()),
        );
        list.reset_changes();
        Ok(list)
    }
}

/// Reads the filters; `None` if one of them can match nothing.
fn filters(given: &Dict) -> Result<Option<Vec<Filter>>, ObjectError> {
    let mut filters = Vec::new();
    for (name, value) in given.iter() {
        if name == "metadata" {
            let Json::Dict(pairs) = value else {
                return Ok(None);
            };
            let pairs = pairs
                .iter()
                .map(|(key, text)| (key, Value::from(text.clone()).text()));
            filters.push(Filter::Metadata(pairs.collect::<Metadata>()));
            continue;
        }
        let plain = name.trim_end_matches('~');
        if plain == "metadata" {
            // Pairs cannot be looked for by a part of them; Cinder then filters by nothing.
            continue;
        }
        let Some(column) = Column::named(plain) else {
            return Ok(None);
        };
        filters.push(match value {
            _ if name.ends_with('~') => match value {
                Json::Text(_) | Json::Int(_) | Json::Bool(_) => {
                    Filter::Like(column, Value::from(value.clone()).text())
                }
                _ => continue,
            },
            Json::List(values) => {
                let mut cells = Vec::new();
                for value in values {
                    cells.extend(wanted(column, value.clone().into())?);
                }
                Filter::AnyOf(column, cells)
            }
            value => match wanted(column, value.clone().into())? {
                Some(cell) => Filter::Is(column, cell),
                None => Filter::AnyOf(column, Vec::new()),
            },
        });
    }
    Ok(Some(filters))
}

/// Completes what to sort by; the direction of what is added is that of the first.
fn sort_order(keys: &[String], dirs: &[String]) -> Result<Vec<(String, Direction)>, ObjectError> {
    let refused = |reason| ObjectError::InvalidInput { reason };
    let mut directions = Vec::new();
    for dir in dirs {
        directions.push(match dir.as_str() {
            "asc" => Direction::Ascending,
            "desc" => Direction::Descending,
            _ => {
                return Err(refused("Unknown sort direction, must be 'desc' or 'asc'."));
            }
        });
    }
    if directions.len() > keys.len() {
        return Err(refused(
            "Sort direction array size exceeds sort key array size.",
        ));
    }
    let default = directions.first().copied().unwrap_or(Direction::Descending);
    let mut order: Vec<(String, Direction)> = Vec::new();
    for (n, key) in keys.iter().enumerate() {
        order.push((key.clone(), directions.get(n).copied().unwrap_or(default)));
    }
    for key in [Column::CREATED_AT.name(), Column::ID.name()] {
        if !keys.iter().any(|given| given == key) {
            order.push((key.to_owned(), default));
        }
    }
    Ok(order)
}

fn columns(order: Vec<(String, Direction)>) -> Result<Vec<(Column, Direction)>, ObjectError> {
    let columns = order.into_iter().map(|(key, direction)| {
        let column = Column::named(&key).ok_or(ObjectError::InvalidInput {
            reason: "Invalid sort key",
        })?;
        Ok((column, direction))
    });
    columns.collect()
}
