//! How far somebody has seen the ledger grow: what tells a store that was rolled back.

use std::fmt;
use std::str::FromStr;

use emberkeep_format::{LedgerRecord, ObjectId};

use super::{Ledger, MOST_SETS};

/// How far the ledger of a project had come when somebody looked. Kept outside the store it
/// tells later whether the store was rolled back to before that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LedgerPosition {
    set: Option<(u64, ObjectId)>,
    latest: Option<LedgerRecord>,
}

/// The text names no position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a position in a ledger")]
pub struct NoPosition;

impl fmt::Display for LedgerPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.set {
            Some((number, id)) => write!(f, "{number}:{id}")?,
            None => f.write_str("-")?,
        }
        match self.latest {
            Some(latest) => write!(f, " {latest}"),
            None => f.write_str(" -"),
        }
    }
}

impl FromStr for LedgerPosition {
    type Err = NoPosition;

    fn from_str(text: &str) -> Result<Self, NoPosition> {
        let (set, latest) = text.split_once(' ').ok_or(NoPosition)?;
        let set = match set {
            "-" => None,
            set => {
                let (number, id) = set.split_once(':').ok_or(NoPosition)?;
                let number = number.parse().map_err(|_| NoPosition)?;
                Some((number, id.parse().map_err(|_| NoPosition)?))
            }
        };
        let latest = match latest {
            "-" => None,
            latest => Some(latest.parse().map_err(|_| NoPosition)?),
        };
        Ok(Self { set, latest })
    }
}

impl Ledger {
    /// Returns how far the ledger has come.
    pub(crate) fn position(&self) -> LedgerPosition {
        LedgerPosition {
            set: self.set.as_ref().map(|(number, set)| (*number, set.id)),
            latest: self.entries.last_key_value().map(|(record, _)| *record),
        }
    }

    /// Tells whether the ledger was at a position, and went on from there.
    pub(crate) fn has_passed(&self, position: &LedgerPosition) -> bool {
        let knows_set = |(number, id): (u64, ObjectId)| {
            self.set.as_ref().is_some_and(|(now, set)| {
                let oldest = set.lineage.first().map_or(0, |(oldest, _)| *oldest);
                let is_forgotten = set.lineage.len() >= MOST_SETS && number < oldest;
                (*now, set.id) == (number, id)
                    || set.lineage.contains(&(number, id))
                    || is_forgotten
            })
        };
        position.set.is_none_or(knows_set)
            && position
                .latest
                .is_none_or(|latest| self.accounts_for(&latest))
    }
}
