//! Lists as the wire asks for them, as questions to the service.

use emberkeep_model::{BackupId, Gib};
use emberkeep_service::Reach;
use emberkeep_service::query::{
    BackupField, BackupQuery, BackupText, Direction, Paging, SnapshotQuery, Sort, TextFilter,
    VolumeField, VolumeQuery,
};
use emberkeep_wire::cinder::{Fault, Json, Listing, states_shown_as};

use super::call::{backup_id, snapshot_id, volume_id};

/// Columns of Cinder's that backups cannot be filtered by here: we keep none of them by themselves.
const UNSERVED: [&str; 13] = [
    "host",
    "service",
    "service_metadata",
    "object_count",
    "temp_volume_id",
    "temp_snapshot_id",
    "num_dependent_backups",
    "data_timestamp",
    "encryption_key_id",
    "created_at",
    "updated_at",
    "deleted_at",
    "metadata",
];

/// Columns of text that administrators can filter by.
const TEXTS: [(&str, BackupText); 9] = [
    ("id", BackupText::Id),
    ("user_id", BackupText::UserId),
    ("display_description", BackupText::Description),
    ("description", BackupText::Description),
    ("container", BackupText::Container),
    ("fail_reason", BackupText::FailReason),
    ("availability_zone", BackupText::AvailabilityZone),
    ("snapshot_id", BackupText::SnapshotId),
    ("restore_volume_id", BackupText::RestoreVolumeId),
];

/// Reads the condition on a column of text, `key~` for one that must hold the value somewhere.
fn text_filter(key: &str, value: &str) -> Option<TextFilter> {
    let (name, like) = match key.strip_suffix('~') {
        Some(name) => (name, true),
        None => (key, false),
    };
    let named = [
        ("name", BackupText::Name),
        ("display_name", BackupText::Name),
    ];
    let found = TEXTS.iter().chain(&named).find(|(known, _)| *known == name);
    found.map(|(_, field)| TextFilter {
        field: *field,
        value: value.to_owned(),
        like,
    })
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
            "size" => match value.parse() {
                Ok(size) => query.size = Some(Gib(size)),
                Err(_) => return Ok(Question::Nothing),
            },
            "deleted" if matches!(value.to_ascii_lowercase().as_str(), "false" | "0") => {}
            "deleted" => return Ok(Question::Nothing),
            "project_id" => match value.parse() {
                Ok(id) => query.project = Some(id),
                Err(_) => return Ok(Question::Nothing),
            },
            other if text_filter(other, value).is_some() => {
                query.text.extend(text_filter(other, value));
            }
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
            "availability_zone" => query.availability_zone = Some(value.clone()),
            "bootable" => match value.to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" => query.bootable = Some(true),
                "false" | "0" | "no" => query.bootable = Some(false),
                _ => return Ok(Question::Nothing),
            },
            "size" => match value.parse() {
                Ok(size) => query.size = Some(Gib(size)),
                Err(_) => return Ok(Question::Nothing),
            },
            "snapshot_id" => match value.parse() {
                Ok(id) => query.snapshot = Some(id),
                Err(_) => return Ok(Question::Nothing),
            },
            "metadata" => query.metadata = pairs(value)?,
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
pub(super) fn snapshots(listing: &Listing, zone: &str) -> Result<Question<SnapshotQuery>, Fault> {
    let mut query = SnapshotQuery {
        sort: sort(listing, volume_field)?,
        paging: paging(listing, snapshot_id)?,
        ..SnapshotQuery::default()
    };
    for (key, value) in &listing.filters {
        match key.as_str() {
            "name" => query.name = Some(value.clone()),
            "status" => query.status = Some(value.clone()),
            "metadata" => query.metadata = pairs(value)?,
            // There is one zone: any other has no snapshots.
            "availability_zone" if value == zone => {}
            "availability_zone" => return Ok(Question::Nothing),
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

/// Reads pairs as clients write them into a query: a dictionary of Python's, or one of JSON.
fn pairs(text: &str) -> Result<Vec<(String, String)>, Fault> {
    let wrong = || Fault::bad_request(format!("Could not evaluate value {text} of 'metadata'"));
    let read = |text: &str| Json::read(text.as_bytes()).ok();
    // Good enough for what clients send: their keys and values hold no quotes.
    let json = read(text).or_else(|| read(&text.replace('\'', "\"")));
    let json = json.ok_or_else(wrong)?;
    let members = json.members().ok_or_else(wrong)?;
    members
        .iter()
        .map(|(key, value)| Ok((key.clone(), value.text().ok_or_else(wrong)?.to_owned())))
        .collect()
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
