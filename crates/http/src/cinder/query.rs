//! Lists as the wire asks for them, as questions to the service.

use emberkeep_model::BackupId;
use emberkeep_service::Reach;
use emberkeep_service::query::{
    BackupField, BackupQuery, Direction, Paging, SnapshotQuery, Sort, VolumeField, VolumeQuery,
};
use emberkeep_wire::cinder::{Fault, Listing, states_shown_as};

use super::call::{backup_id, snapshot_id, volume_id};

/// Columns of Cinder's that backups cannot be filtered by here.
const UNSERVED: [&str; 22] = [
    "id",
    "user_id",
    "host",
    "container",
    "fail_reason",
    "size",
    "display_description",
    "service",
    "service_metadata",
    "object_count",
    "temp_volume_id",
    "temp_snapshot_id",
    "num_dependent_backups",
    "snapshot_id",
    "data_timestamp",
    "restore_volume_id",
    "encryption_key_id",
    "created_at",
    "updated_at",
    "deleted_at",
    "deleted",
    "metadata",
];

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

/// Asks for backups.
pub(super) fn backups(listing: &Listing) -> Result<Question<BackupQuery>, Fault> {
    let mut query = BackupQuery {
        sort: sort(listing, |key| match key {
            "created_at" => Some(BackupField::CreatedAt),
            "updated_at" => Some(BackupField::UpdatedAt),
            "data_timestamp" => Some(BackupField::DataTimestamp),
            "id" => Some(BackupField::Id),
            "display_name" => Some(BackupField::Name),
            "size" => Some(BackupField::Size),
            "status" => Some(BackupField::State),
            "volume_id" => Some(BackupField::VolumeId),
            _ => None,
        })?,
        paging: paging(listing, backup_id)?,
        ..BackupQuery::default()
    };
    for (key, value) in &listing.filters {
        match key.as_str() {
            "name" | "display_name" => query.name = Some(value.clone()),
            "status" => match states_shown_as(value) {
                [] => return Ok(Question::Nothing),
                states => query.states = states.to_vec(),
            },
            "volume_id" => match value.parse() {
                Ok(id) => query.volumes = vec![id],
                Err(_) => return Ok(Question::Nothing),
            },
            "parent_id" => match value.parse::<BackupId>() {
                Ok(id) => query.parent = Some(id),
                Err(_) => return Ok(Question::Nothing),
            },
            "availability_zone" => query.availability_zone = Some(value.clone()),
            "project_id" => match value.parse() {
                Ok(id) => query.project = Some(id),
                Err(_) => return Ok(Question::Nothing),
            },
            other if other.ends_with('~') || UNSERVED.contains(&other) => {
                return Err(Listing::invalid_filters(&[other]));
            }
            // As Cinder has it: no row has a column of that name.
            _ => return Ok(Question::Nothing),
        }
    }
    Ok(Question::Ask(query))
}

/// Asks for volumes.
pub(super) fn volumes(listing: &Listing) -> Result<Question<VolumeQuery>, Fault> {
    let mut query = VolumeQuery {
        sort: sort(listing, volume_field)?,
        paging: paging(listing, volume_id)?,
        ..VolumeQuery::default()
    };
    for (key, value) in &listing.filters {
        match key.as_str() {
            "name" => query.name = Some(value.clone()),
            "status" => query.status = Some(value.clone()),
            "id" => match value.parse() {
                Ok(id) => query.ids = Some(vec![id]),
                Err(_) => return Ok(Question::Nothing),
            },
            "project_id" => match value.parse() {
                Ok(id) => query.project = Some(id),
                Err(_) => return Ok(Question::Nothing),
            },
            other => return Err(Listing::invalid_filters(&[other])),
        }
    }
    Ok(Question::Ask(query))
}

/// Asks for snapshots.
pub(super) fn snapshots(listing: &Listing) -> Result<Question<SnapshotQuery>, Fault> {
    let mut query = SnapshotQuery {
        sort: sort(listing, volume_field)?,
        paging: paging(listing, snapshot_id)?,
        ..SnapshotQuery::default()
    };
    for (key, value) in &listing.filters {
        match key.as_str() {
            "name" => query.name = Some(value.clone()),
            "status" => query.status = Some(value.clone()),
            "volume_id" => match value.parse() {
                Ok(id) => query.volume = Some(id),
                Err(_) => return Ok(Question::Nothing),
            },
            "project_id" => match value.parse() {
                Ok(id) => query.project = Some(id),
                Err(_) => return Ok(Question::Nothing),
            },
            other => return Err(Listing::invalid_filters(&[other])),
        }
    }
    Ok(Question::Ask(query))
}

fn volume_field(key: &str) -> Option<VolumeField> {
    match key {
        "created_at" => Some(VolumeField::CreatedAt),
        "updated_at" => Some(VolumeField::UpdatedAt),
        "id" => Some(VolumeField::Id),
        "display_name" => Some(VolumeField::Name),
        "size" => Some(VolumeField::Size),
        "status" => Some(VolumeField::Status),
        _ => None,
    }
}

fn sort<F>(listing: &Listing, field: impl Fn(&str) -> Option<F>) -> Result<Sort<F>, Fault> {
    listing
        .sort
        .iter()
        .map(|one| {
            let field = field(&one.key).ok_or_else(|| Fault::invalid_input("Invalid sort key"))?;
            let direction = if one.descending {
                Direction::Descending
            } else {
                Direction::Ascending
            };
            Ok((field, direction))
        })
        .collect()
}

fn paging<I>(listing: &Listing, id: impl Fn(&str) -> Result<I, Fault>) -> Result<Paging<I>, Fault> {
    Ok(Paging {
        limit: Some(listing.limit),
        offset: listing.offset,
        marker: listing.marker.as_deref().map(id).transpose()?,
        with_total: listing.with_count,
    })
}
