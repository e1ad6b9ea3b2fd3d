//! Lists as the wire asks for them, as questions to the service.

use emberkeep_model::{Gib, Timestamp};
use emberkeep_service::Reach;
use emberkeep_service::query::{
    BackupField, BackupQuery, Comparison, Direction, Paging, SnapshotField, SnapshotQuery, Sort,
    TextFilter, TimeFilter, VolumeField, VolumeQuery,
};
use emberkeep_wire::cinder::{
    Fault, Json, Listing, Microversion, query_bool, states_holding, states_shown_as,
};
use emberkeep_wire::time;

use super::call::{backup_id, snapshot_id, volume_id};

/// From here on a word that is no boolean is refused.
const BOOTABLE_IS_CHECKED: Microversion = Microversion::v3(2);

/// From here on volumes can be filtered by instants.
const TIMES_ARE_HEARD: Microversion = Microversion::v3(31);

/// Backups' columns by Cinder's names.
const BACKUP_COLUMNS: [(&str, BackupField); 24] = [
    ("created_at", BackupField::CreatedAt),
    ("updated_at", BackupField::UpdatedAt),
    ("data_timestamp", BackupField::DataTimestamp),
    ("id", BackupField::Id),
    ("project_id", BackupField::ProjectId),
    ("user_id", BackupField::UserId),
    ("display_name", BackupField::Name),
    ("display_description", BackupField::Description),
    ("size", BackupField::Size),
    ("volume_id", BackupField::VolumeId),
    ("snapshot_id", BackupField::SnapshotId),
    ("parent_id", BackupField::ParentId),
    ("restore_volume_id", BackupField::RestoreVolumeId),
    ("container", BackupField::Container),
    ("availability_zone", BackupField::AvailabilityZone),
    ("fail_reason", BackupField::FailReason),
    ("host", BackupField::Host),
    ("service", BackupField::Service),
    ("service_metadata", BackupField::ServiceMetadata),
    ("object_count", BackupField::ObjectCount),
    ("temp_volume_id", BackupField::TempVolumeId),
    ("temp_snapshot_id", BackupField::TempSnapshotId),
    ("num_dependent_backups", BackupField::NumDependentBackups),
    ("encryption_key_id", BackupField::EncryptionKeyId),
];

/// Volumes' columns by Cinder's names.
const VOLUME_COLUMNS: [(&str, VolumeField); 15] = [
    ("created_at", VolumeField::CreatedAt),
    ("updated_at", VolumeField::UpdatedAt),
    ("id", VolumeField::Id),
    ("project_id", VolumeField::ProjectId),
    ("user_id", VolumeField::UserId),
    ("display_name", VolumeField::Name),
    ("display_description", VolumeField::Description),
    ("size", VolumeField::Size),
    ("status", VolumeField::Status),
    ("availability_zone", VolumeField::AvailabilityZone),
    ("bootable", VolumeField::Bootable),
    ("volume_type_id", VolumeField::VolumeTypeId),
    ("volume_type", VolumeField::VolumeTypeId),
    ("snapshot_id", VolumeField::SnapshotId),
    ("source_volid", VolumeField::SourceVolumeId),
];

/// Columns of Cinder's that hold the same of all volumes here: an order by them says nothing.
const SAME_FOR_VOLUMES: [&str; 13] = [
    "volume_metadata",
    "host",
    "migration_status",
    "replication_status",
    "multiattach",
    "encryption_key_id",
    "consistencygroup_id",
    "group_id",
    "provider_id",
    "cluster_name",
    "service_uuid",
    "shared_targets",
    "attach_status",
];

/// Snapshots' columns by Cinder's names.
const SNAPSHOT_COLUMNS: [(&str, SnapshotField); 10] = [
    ("created_at", SnapshotField::CreatedAt),
    ("updated_at", SnapshotField::UpdatedAt),
    ("id", SnapshotField::Id),
    ("project_id", SnapshotField::ProjectId),
    ("user_id", SnapshotField::UserId),
    ("display_name", SnapshotField::Name),
    ("display_description", SnapshotField::Description),
    ("volume_size", SnapshotField::Size),
    ("status", SnapshotField::Status),
    ("volume_id", SnapshotField::VolumeId),
];

/// The same for snapshots.
const SAME_FOR_SNAPSHOTS: [&str; 6] = [
    "cgsnapshot_id",
    "group_snapshot_id",
    "encryption_key_id",
    "provider_id",
    "provider_location",
    "progress",
];

/// Finds a column by the name that Cinder gives it.
fn column<F: Copy>(columns: &[(&str, F)], name: &str) -> Option<F> {
    let name = match name {
        "name" => "display_name",
        "description" => "display_description",
        name => name,
    };
    let found = columns.iter().find(|(known, _)| *known == name);
    found.map(|(_, field)| *field)
}

/// Reads the condition on a column, `key~` for one that must hold the value somewhere; none if
/// there is no such column.
fn text_filter<F: Copy>(columns: &[(&str, F)], key: &str, value: &str) -> Option<TextFilter<F>> {
    let (name, like) = match key.strip_suffix('~') {
        Some(name) => (name, true),
        None => (key, false),
    };
    Some(TextFilter {
        field: column(columns, name)?,
        value: value.to_owned(),
        like,
    })
}

/// Reads an instant as it is shown, with or without a zone.
fn instant(text: &str) -> Option<Timestamp> {
    let zoned = time::parse(text).or_else(|_| time::parse(&format!("{text}Z")));
    zoned.ok()
}

/// A question, unless the answer is known to be nothing.
pub(super) enum Question<Q> {
    /// Ask it.
    Ask(Q),
    /// No row can match.
    Nothing,
}

/// Returns whose things are asked for.
pub(super) fn reach(listing: &Listing) -> Reach {
    if listing.all_tenants {
        Reach::AllProjects
    } else {
        Reach::Own
    }
}

/// Asks for backups. Administrators may ask by any column; what is none is in no row, as Cinder has it.
pub(super) fn backups(listing: &Listing) -> Result<Question<BackupQuery>, Fault> {
    let mut query = BackupQuery {
        sort: sort(listing, BackupField::CreatedAt, |key| match key {
            "status" => Some(Key::By(BackupField::State)),
            // Those that have one are not shown.
            "deleted" | "deleted_at" => Some(Key::Same),
            key => column(&BACKUP_COLUMNS, key).map(Key::By),
        })?,
        paging: paging(listing, backup_id)?,
        ..BackupQuery::default()
    };
    for (key, value) in &listing.filters {
        if key == "metadata" {
            match pairs(value) {
                Some(pairs) => query.metadata = pairs,
                None => return Ok(Question::Nothing),
            }
        } else if narrow_backups(&mut query, key, value).is_none() {
            return Ok(Question::Nothing);
        }
    }
    Ok(Question::Ask(query))
}

/// Adds a filter, unless no row can meet it.
fn narrow_backups(query: &mut BackupQuery, key: &str, value: &str) -> Option<()> {
    match key {
        "name" | "display_name" => query.name = Some(value.to_owned()),
        "status" => query.states = some(states_shown_as(value).to_vec())?,
        "status~" => query.states = some(states_holding(value))?,
        "volume_id" => query.volumes = vec![value.parse().ok()?],
        "parent_id" => query.parent = Some(value.parse().ok()?),
        "size" => query.size = Some(Gib(value.parse().ok()?)),
        "project_id" => query.project = Some(value.parse().ok()?),
        "created_at" => {
            let at = Some(instant(value)?);
            (query.created_from, query.created_to) = (at, at);
        }
        "updated_at" => query.updated_at = Some(instant(value)?),
        "data_timestamp" => query.taken_at = Some(instant(value)?),
        "deleted" if matches!(value.to_ascii_lowercase().as_str(), "false" | "0") => {}
        other => query.text.push(text_filter(&BACKUP_COLUMNS, other, value)?),
    }
    Some(())
}

/// Returns a list that is not empty.
fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    Some(list).filter(|list| !list.is_empty())
}

/// Asks for volumes.
pub(super) fn volumes(
    listing: &Listing,
    version: Microversion,
) -> Result<Question<VolumeQuery>, Fault> {
    let mut query = VolumeQuery {
        sort: sort(listing, VolumeField::CreatedAt, |key| {
            let same = SAME_FOR_VOLUMES.contains(&key).then_some(Key::Same);
            column(&VOLUME_COLUMNS, key).map(Key::By).or(same)
        })?,
        paging: paging(listing, volume_id)?,
        ..VolumeQuery::default()
    };
    for (key, value) in &listing.filters {
        match key.as_str() {
            "bootable" if version >= BOOTABLE_IS_CHECKED && query_bool(value).is_none() => {
                return Err(Fault::invalid_input(format!("'bootable = {value}'")));
            }
            "created_at" | "updated_at" if version < TIMES_ARE_HEARD => {}
            "created_at" => query
                .times
                .extend(times(key, VolumeField::CreatedAt, value)?),
            "updated_at" => query
                .times
                .extend(times(key, VolumeField::UpdatedAt, value)?),
            _ if narrow_volumes(&mut query, key, value).is_none() => {
                return Ok(Question::Nothing);
            }
            _ => {}
        }
    }
    Ok(Question::Ask(query))
}

/// Adds a filter, unless no row can meet it.
fn narrow_volumes(query: &mut VolumeQuery, key: &str, value: &str) -> Option<()> {
    match key {
        "name" | "display_name" => query.name = Some(value.to_owned()),
        "status" => query.status = Some(value.to_owned()),
        "availability_zone" => query.availability_zone = Some(value.to_owned()),
        "bootable" => query.bootable = Some(query_bool(value)?),
        "size" => query.size = Some(Gib(value.parse().ok()?)),
        "snapshot_id" => query.snapshot = Some(value.parse().ok()?),
        "id" => query.ids = Some(vec![value.parse().ok()?]),
        "project_id" => query.project = Some(value.parse().ok()?),
        "metadata" => query.metadata = pairs(value)?,
        // All do.
        "consumes_quota" if query_bool(value) == Some(true) => {}
        // None is encrypted, or in several hands.
        "encrypted" | "multiattach" if query_bool(value) == Some(false) => {}
        other => query.text.push(text_filter(&VOLUME_COLUMNS, other, value)?),
    }
    Some(())
}

/// Asks for snapshots.
pub(super) fn snapshots(listing: &Listing, zone: &str) -> Result<Question<SnapshotQuery>, Fault> {
    let mut query = SnapshotQuery {
        sort: sort(listing, SnapshotField::CreatedAt, |key| {
            let same = SAME_FOR_SNAPSHOTS.contains(&key).then_some(Key::Same);
            column(&SNAPSHOT_COLUMNS, key).map(Key::By).or(same)
        })?,
        paging: paging(listing, snapshot_id)?,
        ..SnapshotQuery::default()
    };
    for (key, value) in &listing.filters {
        // There is one zone: any other has no snapshots.
        let own_zone = key == "availability_zone" && value == zone;
        if !own_zone && narrow_snapshots(&mut query, key, value).is_none() {
            return Ok(Question::Nothing);
        }
    }
    Ok(Question::Ask(query))
}

/// Adds a filter, unless no row can meet it.
fn narrow_snapshots(query: &mut SnapshotQuery, key: &str, value: &str) -> Option<()> {
    match key {
        "name" | "display_name" => query.name = Some(value.to_owned()),
        "status" => query.status = Some(value.to_owned()),
        "volume_id" => query.volume = Some(value.parse().ok()?),
        "project_id" => query.project = Some(value.parse().ok()?),
        "metadata" => query.metadata = pairs(value)?,
        // All do.
        "consumes_quota" if query_bool(value) == Some(true) => {}
        other => query
            .text
            .push(text_filter(&SNAPSHOT_COLUMNS, other, value)?),
    }
    Some(())
}

/// Reads pairs as clients write them into a query: a dictionary of Python's, or one of JSON.
pub(super) fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let read = |text: &str| Json::read(text.as_bytes()).ok();
    // Good enough for what clients send: their keys and values hold no quotes.
    let json = read(text).or_else(|| read(&text.replace('\'', "\"")))?;
    let members = json.members()?.iter();
    members
        .map(|(key, value)| Some((key.clone(), value.text()?.to_owned())))
        .collect()
}

/// Reads instants to compare with, as in `gt:2026-11-29T00:00:00,lt:2026-11-30T00:00:00`.
fn times<F: Copy>(key: &str, field: F, text: &str) -> Result<Vec<TimeFilter<F>>, Fault> {
    let one = |unit: &str| {
        let (operator, at) = unit.split_once(':').unwrap_or((unit, ""));
        let is = match operator {
            "gt" => Comparison::Above,
            "gte" => Comparison::From,
            "eq" => Comparison::Equal,
            "neq" => Comparison::Unequal,
            "lt" => Comparison::Below,
            "lte" => Comparison::UpTo,
            _ => return Err(Fault::bad_request(format!("Invalid {operator} operator"))),
        };
        // A day alone is its beginning.
        let at = instant(at).or_else(|| instant(&format!("{at}T00:00:00")));
        let at = at.ok_or_else(|| Fault::bad_request(format!("Invalid {key} value")))?;
        Ok(TimeFilter { field, is, at })
    };
    text.split(',').map(one).collect()
}

/// What a key of an order means.
pub(super) enum Key<F> {
    /// By this column.
    By(F),
    /// All rows have the same there: it decides nothing.
    Same,
}

/// Reads an order; `created` is the column that decides where no key does.
pub(super) fn sort<F>(
    listing: &Listing,
    created: F,
    key: impl Fn(&str) -> Option<Key<F>>,
) -> Result<Sort<F>, Fault> {
    let way = |descending: bool| {
        if descending {
            Direction::Descending
        } else {
            Direction::Ascending
        }
    };
    let mut order = Vec::with_capacity(listing.sort.len());
    for one in &listing.sort {
        match key(&one.key).ok_or_else(|| Fault::invalid_input("Invalid sort key"))? {
            Key::By(field) => order.push((field, way(one.descending))),
            Key::Same => {}
        }
    }
    // Which way the first key runs, the rest runs too.
    match listing.sort.first() {
        Some(first) if order.is_empty() => Ok(vec![(created, way(first.descending))]),
        _ => Ok(order),
    }
}

/// A page ends once its rows hold so many bytes of text, with a link to the next one. A thousand rows
/// without many pairs stay far below.
const PAGE_BYTES: u64 = 4 << 20;

fn paging<I>(listing: &Listing, id: impl Fn(&str) -> Result<I, Fault>) -> Result<Paging<I>, Fault> {
    Ok(Paging {
        limit: Some(listing.limit),
        offset: listing.offset,
        marker: listing.marker.as_deref().map(id).transpose()?,
        with_total: listing.with_count,
        max_bytes: Some(PAGE_BYTES),
    })
}
