//! Damage of a backup, as the native API and CBR show it.

use std::borrow::Cow;

use emberkeep_model as model;
use serde::{Deserialize, Serialize};

use crate::time;

/// What is known of a backup whose stored data cannot all be read any more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Damage {
    /// What is damaged and how, for people.
    pub what: String,
    /// Bytes of the volume that cannot be restored; none where it is not known which.
    pub lost_bytes: Option<u64>,
    /// Where they lie in the volume, in order; the rest can be restored.
    pub ranges: Vec<LostRange>,
    /// What found it: `scrub`, `restore`, `export`, `copy`, `sweep` or `start`.
    pub found_by: Cow<'static, str>,
    /// When it was found first.
    pub since: String,
    /// When it was seen last.
    pub seen_at: String,
}

/// Bytes of a volume, from `start` up to but not including `end`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LostRange {
    /// The first byte.
    pub start: u64,
    /// The byte after the last one.
    pub end: u64,
}

impl Damage {
    /// Shows the damage of a backup.
    pub fn of(damage: &model::BackupDamage) -> Self {
        let ranges = damage.lost.iter().map(|span| LostRange {
            start: span.start,
            end: span.end,
        });
        Self {
            what: damage.what.clone(),
            lost_bytes: (!damage.lost.is_empty()).then(|| damage.lost_bytes()),
            ranges: ranges.collect(),
            found_by: damage.found_by.as_str().into(),
            since: time::zulu(damage.since),
            seen_at: time::zulu(damage.seen_at),
        }
    }
}
