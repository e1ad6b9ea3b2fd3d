//! `behaviour.json`: which backup an incremental one builds on.

use emberkeep_model::{BackupId, Timestamp};
use emberkeep_plan::{Candidate, choose_parent};
use uuid::Uuid;

use crate::datetime::DateTime;
use crate::json::Json;

use super::Check;
use super::entry::{Outcome, part, text};

pub(super) const CHECKS: [(&str, Check); 1] = [("parent_choice", parent_choice)];

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

fn instant(entry: &Json, name: &str) -> Result<Option<Timestamp>, String> {
    match entry.get(name) {
        Some(Json::Text(text)) => {
            let time = DateTime::parse(text).and_then(DateTime::timestamp);
            time.map(Some).map_err(|error| format!("{name}: {error}"))
        }
        _ => Ok(None),
    }
}
