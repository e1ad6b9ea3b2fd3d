//! `behaviour.json`: which backup an incremental one builds on, and what a restart makes of what a crash left.

use emberkeep_model::{BackupId, Timestamp, VolumeStatus};
use emberkeep_plan::{
    Candidate, HeldVolume, Interrupted, Outcome as Restarted, after_restart, choose_parent,
};
use uuid::Uuid;

use crate::datetime::DateTime;
use crate::json::Json;

use super::Check;
use super::entry::{Outcome, equal, part, text};

pub(super) const CHECKS: [(&str, Check); 2] =
    [("parent_choice", parent_choice), ("recovery", recovery)];

/// The host whose restart was recorded.
const HOST: &str = "backuphost1";

fn parent_choice(entry: &Json, _: &Json) -> Outcome {
    let rows = part(entry, "backups")?
        .as_list()
        .ok_or("no list of backups")?;
    let mut candidates = Vec::new();
    for row in rows {
        let Some(Json::Int(index)) = row.get("index") else {
            return Err("a backup has no index".to_owned());
        };
        let id = u128::try_from(*index).map_err(|_| "an index below 0")?;
        let created = instant(row, "created_at")?.ok_or("a backup without time of creation")?;
        let candidate = Candidate {
            id: BackupId(Uuid::from_u128(id)),
            data_timestamp: instant(row, "data_timestamp")?.unwrap_or(created),
            available: text(row, "status")? == "available",
        };
        candidates.push((created, candidate));
    }
    candidates.sort_by_key(|(created, _)| std::cmp::Reverse(*created));
    let candidates: Vec<Candidate> = candidates.into_iter().map(|(_, row)| row).collect();
    let chosen = choose_parent(&candidates, instant(entry, "snapshot_created_at")?);
    let chosen = chosen.map(|id| id.0.as_u128());
    let wanted = match entry.get("parent_index") {
        Some(Json::Int(index)) => u128::try_from(*index).ok(),
        _ => None,
    };
    if chosen == wanted {
        Ok(())
    } else {
        Err(format!("chose {chosen:?}, should be {wanted:?}"))
    }
}

fn recovery(entry: &Json, _: &Json) -> Outcome {
    let before = part(entry, "before")?;
    let backup = part(before, "backup")?;
    let held = |name: &str| backup.get(name).is_some_and(|value| *value != Json::Null);
    // The key is not among the recorded columns of every entry: its name tells then.
    let encrypted = held("encryption_key_id") || text(entry, "name")?.contains("encrypt");
    let is_ours = matches!(backup.get("host"), Some(Json::Text(host)) if host == HOST);
    let status_word = backup.get("status").and_then(Json::as_text);
    let found = match status_word.unwrap_or_default() {
        _ if !is_ours => Interrupted::Idle,
        "creating" => Interrupted::Creating,
        "restoring" => Interrupted::Restoring,
        "deleting" => Interrupted::Deleting { encrypted },
        "error" => Interrupted::Failed {
            leftovers: held("temp_volume_id") || held("temp_snapshot_id"),
        },
        _ => Interrupted::Idle,
    };
    let volume = before.get("volume").filter(|volume| **volume != Json::Null);
    let volume_held = match volume {
        Some(volume) => Some(HeldVolume {
            status: status(volume, "status")?.ok_or("a volume without status")?,
            previous: status(volume, "previous_status")?,
        }),
        None => None,
    };
    let (outcome, volume_status) = after_restart(found, volume_held);

    let mut backup = backup.clone();
    let fields = backup.as_dict_mut().ok_or("the backup is no dict")?;
    match outcome {
        Restarted::Failed(reason) => {
            fields.insert("status", "error");
            fields.insert("fail_reason", reason);
        }
        Restarted::Available => fields.insert("status", "available"),
        Restarted::NotDeleted => fields.insert("status", "error_deleting"),
        Restarted::DropLeftovers => {
            for name in ["temp_volume_id", "temp_snapshot_id"] {
                if fields.get(name).is_some() {
                    fields.insert(name, Json::Null);
                }
            }
        }
        Restarted::DeleteAgain => {
            fields.insert("status", "deleted");
            fields.insert("deleted", true);
        }
        Restarted::Kept => {}
    }
    let after = part(entry, "after")?;
    equal("backup", part(after, "backup")?, &backup)?;
    let Some(volume) = volume else { return Ok(()) };
    let mut volume = volume.clone();
    if let (Some(fields), Some(status)) = (volume.as_dict_mut(), volume_status) {
        fields.insert("status", status.as_str());
    }
    equal("volume", part(after, "volume")?, &volume)
}

fn status(volume: &Json, name: &str) -> Result<Option<VolumeStatus>, String> {
    match volume.get(name) {
        Some(Json::Text(word)) => word
            .parse()
            .map(Some)
            .map_err(|_| format!("what is {word}?")),
        _ => Ok(None),
    }
}

fn instant(entry: &Json, name: &str) -> Result<Option<Timestamp>, String> {
    match entry.get(name) {
        Some(Json::Text(text)) => {
            let time = DateTime::parse(text).and_then(DateTime::timestamp);
            time.map(Some).map_err(|error| format!("{name}: {error}"))
        }
        _ => Ok(None),
    }
}
