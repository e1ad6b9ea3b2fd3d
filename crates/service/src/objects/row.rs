//! One backup as our row and as Cinder's: pure, total one way, and without loss both ways.

use std::str::FromStr;

use emberkeep_model::{
    Backup, BackupEvent, BackupId, BackupState, Gib, KeptColumn, ProjectId, SnapshotId, Timestamp,
    UserId, VolumeId,
};
use emberkeep_objects::{BackupRow, BackupStatus, Cell, Column, Kind, Metadata, StoreError};
use uuid::Uuid;

use crate::backup::records::{driver_of, place_of};
use crate::switches::Binary;

/// Why a backup that was made through an object alone has no content here.
const ELSEWHERE: &str = "no content of it is kept here";

/// Returns the id under which we keep a row: its own if it is one of ours, else one made of it, since Cinder
/// takes any text for an id.
pub(super) fn id(text: &str) -> BackupId {
    plain(text).unwrap_or_else(|| {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&blake3::hash(text.as_bytes()).as_bytes()[..16]);
        BackupId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    })
}

/// Reads an id that is written as we write it.
pub(super) fn plain<T: FromStr + ToString>(text: &str) -> Option<T> {
    text.parse().ok().filter(|id: &T| id.to_string() == text)
}

/// Shows a backup as Cinder's row.
pub(super) fn seen(backup: &Backup) -> BackupRow {
    let mut row = modelled(backup);
    for (name, kept) in &backup.cinder.columns {
        let Some(column) = Column::named(name) else {
            continue;
        };
        if text_of(row.cell(column)) == kept.beside
            && let Some(cell) = cell_of(column, kept.holds.as_deref())
        {
            row.set(column, cell);
        }
    }
    row
}

/// Takes what an object wrote into our row, or into a new one; what the model cannot say goes beside it.
pub(super) fn stored(
    old: Option<Backup>,
    row: &BackupRow,
    now: Timestamp,
) -> Result<Backup, StoreError> {
    let refused = |column| StoreError::Rejected { column };
    let project_id = row.project_id.as_deref().and_then(plain);
    let user_id = row.user_id.as_deref().and_then(plain);
    let project_id: ProjectId = project_id.ok_or(refused("project_id"))?;
    let user_id: UserId = user_id.ok_or(refused("user_id"))?;
    let created_at = row.created_at.ok_or(refused("created_at"))?;
    let volume_id = row.volume_id.as_deref().ok_or(refused("volume_id"))?;
    let before = old.as_ref().map(seen);
    let is_new = old.is_none();
    let mut backup = old.unwrap_or_else(|| {
        let whose = (project_id.clone(), user_id.clone());
        Backup::new(id(&row.id), whose, VolumeId(Uuid::nil()), created_at)
    });
    let differs = |name: &str| {
        let (Some(before), Some(column)) = (&before, Column::named(name)) else {
            return true;
        };
        before.cell(column) != row.cell(column)
    };
    // What stays as it was seen is not touched: part of it may be said nowhere in our row.
    macro_rules! take {
        ($($name:literal: $place:expr => $value:expr;)+) => {
            $(if differs($name) { $place = $value; })+
        };
    }
    backup.state = state(Some(&backup.state).filter(|_| !is_new), row);
    take! {
        "project_id": backup.project_id => project_id;
        "user_id": backup.user_id => user_id;
        "volume_id": backup.volume_id => plain(volume_id).unwrap_or(backup.volume_id);
        "host": backup.cinder.host => row.host.clone();
        "availability_zone": backup.availability_zone => row.availability_zone.clone();
        "container": backup.container => row.container.clone();
        "parent_id": backup.parent_id => row.parent_id.as_deref().and_then(plain);
        "fail_reason": backup.fail_reason => row.fail_reason.clone();
        "size": backup.size => gib(row.size).unwrap_or(backup.size);
        "display_name": backup.name => row.display_name.clone();
        "display_description": backup.description => row.display_description.clone();
        "service_metadata": backup.cinder.service_metadata => row.service_metadata.clone();
        "service": backup.cinder.service => row.service.clone();
        "object_count": backup.cinder.object_count => row.object_count.unwrap_or_default();
        "temp_volume_id": backup.cinder.temp_volume_id => row.temp_volume_id.clone();
        "temp_snapshot_id": backup.cinder.temp_snapshot_id => row.temp_snapshot_id.clone();
        "num_dependent_backups": backup.cinder.num_dependent_backups =>
            row.num_dependent_backups.unwrap_or_default();
        "snapshot_id": backup.snapshot_id => row.snapshot_id.as_deref().and_then(plain::<SnapshotId>);
        "data_timestamp": backup.data_timestamp => row.data_timestamp.unwrap_or(created_at);
        "restore_volume_id": backup.restore_volume_id => row.restore_volume_id.as_deref().and_then(plain);
        "encryption_key_id": backup.cinder.encryption_key_id => row.encryption_key_id.clone();
        "created_at": backup.created_at => created_at;
        "updated_at": backup.updated_at => row.updated_at;
    }
    backup.deleted_at = match &backup.state {
        BackupState::Deleted => Some(row.deleted_at.or(backup.deleted_at).unwrap_or(now)),
        _ => None,
    };
    backup.metadata = row
        .metadata
        .iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let says = modelled(&backup);
    backup.cinder.columns = Column::all()
        .filter(|column| says.cell(*column) != row.cell(*column))
        .map(|column| {
            let kept = KeptColumn {
                holds: text_of(row.cell(column)),
                beside: text_of(says.cell(column)),
            };
            (column.name().to_owned(), kept)
        })
        .collect();
    Ok(backup)
}

/// Says where a backup stands after an object wrote its row.
///
/// An object ends a backup or calls it an error, as an administrator may. It cannot say that content is here
/// which is not, nor promise work that no task does: such a word is kept beside and counts until we move the backup.
fn state(old: Option<&BackupState>, row: &BackupRow) -> BackupState {
    use BackupEvent as E;
    let status = row.status.as_deref();
    match (old, row.deleted == Some(true)) {
        (None | Some(BackupState::Deleted), true) => BackupState::Deleted,
        (None | Some(BackupState::Deleted), false) => match status {
            Some("creating") => BackupState::Queued,
            _ => BackupState::Failed {
                reason: row
                    .fail_reason
                    .clone()
                    .filter(|reason| !reason.is_empty())
                    .unwrap_or_else(|| ELSEWHERE.to_owned()),
            },
        },
        (Some(old), true) => [E::ForceDeleteAsked, E::Claimed, E::Gone]
            .into_iter()
            .try_fold(old.clone(), |state, event| state.after(event))
            .unwrap_or_else(|_| old.clone()),
        (Some(old), false) if status == Some("error") && word(old) != "error" => {
            let failed = match row.fail_reason.clone().filter(|reason| !reason.is_empty()) {
                Some(reason) => old
                    .after(E::Stopped { reason })
                    .or_else(|_| old.after(E::ResetToError)),
                None => old.after(E::ResetToError),
            };
            failed.unwrap_or_else(|_| old.clone())
        }
        (Some(old), false) => old.clone(),
    }
}

/// Cinder's word for a state.
fn word(state: &BackupState) -> &'static str {
    let status = match state {
        BackupState::Queued | BackupState::Copying => BackupStatus::Creating,
        BackupState::Available(_) => BackupStatus::Available,
        BackupState::RestoreQueued { .. } | BackupState::Restoring { .. } => {
            BackupStatus::Restoring
        }
        BackupState::DeleteQueued | BackupState::Deleting => BackupStatus::Deleting,
        BackupState::Deleted => BackupStatus::Deleted,
        BackupState::Damaged(_) | BackupState::Failed { .. } => BackupStatus::Error,
    };
    status.name()
}

/// The row as far as our model says it.
fn modelled(backup: &Backup) -> BackupRow {
    let cinder = &backup.cinder;
    let place = backup.foreign();
    let has_content = backup.state.sealed().is_some();
    let ours = |said: fn(&Backup) -> String| has_content.then(|| said(backup));
    BackupRow {
        id: backup.id.to_string(),
        user_id: Some(backup.user_id.to_string()),
        project_id: Some(backup.project_id.to_string()),
        volume_id: Some(backup.volume_id.to_string()),
        host: cinder
            .host
            .clone()
            .or_else(|| Some(Binary::Backup.host().to_owned())),
        availability_zone: backup.availability_zone.clone(),
        container: backup.container.clone(),
        parent_id: backup.parent_id.map(|id| id.to_string()),
        status: Some(word(&backup.state).to_owned()),
        fail_reason: backup.fail_reason.clone(),
        size: Some(backup.size.0.into()),
        display_name: backup.name.clone(),
        display_description: backup.description.clone(),
        service_metadata: cinder
            .service_metadata
            .clone()
            .or_else(|| place.map(|place| place.prefix.clone()))
            .or_else(|| ours(place_of)),
        service: cinder
            .service
            .clone()
            .or_else(|| place.map(|place| place.driver.clone()))
            .or_else(|| ours(|backup| driver_of(backup).to_owned())),
        object_count: Some(cinder.object_count),
        temp_volume_id: cinder.temp_volume_id.clone(),
        temp_snapshot_id: cinder.temp_snapshot_id.clone(),
        num_dependent_backups: Some(cinder.num_dependent_backups),
        snapshot_id: backup.snapshot_id.map(|id| id.to_string()),
        data_timestamp: Some(backup.data_timestamp),
        restore_volume_id: backup.restore_volume_id.map(|id| id.to_string()),
        encryption_key_id: cinder.encryption_key_id.clone(),
        created_at: Some(backup.created_at),
        updated_at: backup.updated_at,
        deleted_at: backup.deleted_at,
        deleted: Some(backup.state == BackupState::Deleted),
        metadata: backup
            .metadata
            .iter()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect::<Metadata>(),
    }
}

fn gib(size: Option<i64>) -> Option<Gib> {
    u32::try_from(size.unwrap_or_default()).ok().map(Gib)
}

fn text_of(cell: Cell) -> Option<String> {
    match cell {
        Cell::Null => None,
        Cell::Text(text) => Some(text),
        Cell::Int(value) => Some(value.to_string()),
        Cell::Bool(value) => Some(value.to_string()),
        Cell::Time(at) => Some(at.0.to_string()),
    }
}

fn cell_of(column: Column, text: Option<&str>) -> Option<Cell> {
    let Some(text) = text else {
        return Some(Cell::Null);
    };
    Some(match column.kind() {
        Kind::Int => Cell::Int(text.parse().ok()?),
        Kind::Bool => Cell::Bool(text.parse().ok()?),
        Kind::Time => Cell::Time(Timestamp(text.parse().ok()?)),
        _ => Cell::Text(text.to_owned()),
    })
}
