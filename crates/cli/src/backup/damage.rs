//! `emberkeep backup show` of a backup that is damaged: what is lost of it, and what is not.

use emberkeep_sdk::block_storage::Backup;
use emberkeep_sdk::native_types::Damage;
use emberkeep_sdk::{Connection, SdkError};
use serde::Serialize;

use crate::error::CliError;
use crate::output::{Column, column, moment, or_dash, time};

/// So many ranges are shown in a table; other formats show all.
const RANGES: usize = 8;

/// A damaged backup. Serialized it is what Block Storage says of it, and the damage.
#[derive(Debug, Serialize)]
pub(super) struct Damaged {
    #[serde(flatten)]
    backup: Backup,
    damage: Damage,
}

/// Asks what is known of damage, where a backup is in error; no other cloud knows of any.
pub(super) async fn of(
    backup: &Backup,
    connection: &Connection,
) -> Result<Option<Damaged>, CliError> {
    if backup.status != "error" {
        return Ok(None);
    }
    match connection.native().backup(&backup.id).await {
        Ok(found) => Ok(found.damage.map(|damage| Damaged {
            backup: backup.clone(),
            damage,
        })),
        Err(SdkError::BadAnswer { .. } | SdkError::Refused { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(super) const SHOW: &[Column<Damaged>] = &[
    column("id", "ID", |one| one.backup.id.to_string()),
    column("name", "Name", |one| or_dash(one.backup.name.as_deref())),
    column("volume_id", "Volume", |one| {
        one.backup.volume_id.to_string()
    }),
    column("size", "Size", |one| one.backup.size.to_string()),
    column("status", "Status", |one| one.backup.status.clone()),
    column("damage", "Damage", |one| one.damage.what.clone()),
    column("lost_bytes", "Lost bytes", |one| {
        match one.damage.lost_bytes {
            Some(bytes) => bytes.to_string(),
            None => "unknown".to_owned(),
        }
    }),
    column("lost_ranges", "Lost ranges", ranges),
    column("found_by", "Found by", |one| {
        one.damage.found_by.to_string()
    }),
    column("since", "Since", |one| time(Some(&one.damage.since))),
    column("data_timestamp", "Data of", |one| {
        moment(one.backup.data_timestamp.as_ref())
    }),
    column("created_at", "Created", |one| {
        moment(one.backup.created_at.as_ref())
    }),
];

/// Lists the ranges, first and last byte of each.
fn ranges(one: &Damaged) -> String {
    let all = &one.damage.ranges;
    let shown: Vec<_> = all
        .iter()
        .take(RANGES)
        .map(|range| format!("{}-{}", range.start, range.end.saturating_sub(1)))
        .collect();
    match all.len().saturating_sub(RANGES) {
        0 => or_dash(Some(&shown.join(", "))),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
