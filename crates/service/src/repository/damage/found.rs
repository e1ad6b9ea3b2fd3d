//! What is wrong with a backup, as whoever found it says.

use std::collections::BTreeMap;

use emberkeep_engine::CheckReport;
use emberkeep_model::{BackupId, ByteSpan};

use crate::error::chain;

/// What is said of a backup whose manifest is not in the store.
pub(super) const MANIFEST_MISSING: &str = "the manifest of this backup is missing from the store: put it back from a copy of the store, or delete the backup";

/// One backup that is hurt, as the repository knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundDamage {
    /// The id under which the repository keeps its content.
    pub backup_id: BackupId,
    /// What is damaged and how, for people.
    pub what: String,
    /// Bytes of the volume that are lost; empty where it is not known which.
    pub lost: Vec<ByteSpan>,
}

impl FoundDamage {
    /// Says that the store has lost a backup's manifest.
    pub fn manifest_missing(backup_id: BackupId) -> Self {
        Self {
            backup_id,
            what: MANIFEST_MISSING.to_owned(),
            lost: Vec::new(),
        }
    }

    /// Collects from the report of a check what it says of each backup that is hurt.
    pub fn of(report: &CheckReport) -> Vec<Self> {
        let mut found: BTreeMap<BackupId, (Vec<String>, Vec<ByteSpan>)> = BTreeMap::new();
        for problem in &report.problems {
            for backup in &problem.hurt {
                let (places, lost) = found.entry(*backup).or_default();
                places.push(chain(&problem.damage));
                let own = problem.lost.iter().filter(|lost| lost.backup == *backup);
                lost.extend(own.map(|lost| ByteSpan {
                    start: lost.range.start,
                    end: lost.range.end,
                }));
            }
        }
        found
            .into_iter()
            .map(|(backup_id, (places, lost))| Self {
                backup_id,
                what: match places.as_slice() {
                    [] => String::new(),
                    [only] => only.clone(),
                    [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
                },
                lost,
            })
            .collect()
    }
}
