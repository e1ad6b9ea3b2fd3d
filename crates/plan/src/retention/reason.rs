//! What becomes of a backup and why, in types and in words.

use std::fmt;

use emberkeep_model::{BackupId, Timestamp};
use jiff::civil::{Date, Weekday};

use super::Holds;
use crate::zone::show;

/// A stretch of time whose last backup may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Period {
    /// A day.
    Day,
    /// A week, from Monday.
    Week,
    /// A calendar month.
    Month,
    /// A calendar year.
    Year,
}

impl Period {
    /// Every period, shortest first.
    pub const ALL: [Self; 4] = [Self::Day, Self::Week, Self::Month, Self::Year];

    /// Returns the first day of the period that `day` is in, which tells periods apart.
    pub(super) fn first_day(self, day: Date) -> Date {
        match self {
            Self::Day => day,
            Self::Week => {
                let since_monday = day.weekday().since(Weekday::Monday);
                day.saturating_sub(jiff::Span::new().days(since_monday))
            }
            Self::Month => day.first_of_month(),
            Self::Year => day.first_of_year(),
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Day => "daily",
            Self::Week => "weekly",
            Self::Month => "monthly",
            Self::Year => "yearly",
        })
    }
}

/// Why a backup stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeepReason {
    /// It is still being made.
    Unfinished,
    /// A person asked for it.
    Manual,
    /// No rule limits how many stay.
    NoLimit,
    /// Only its expiry limits it, and that has not come.
    NotExpired {
        /// When it will.
        until: Timestamp,
    },
    /// It is among the newest.
    Newest {
        /// Its place among them, from 1.
        rank: u32,
        /// How many are kept.
        most: u32,
    },
    /// It is the last of its period.
    LastOf {
        /// The period.
        period: Period,
        /// The period's place among those that have backups, from 1 for the newest.
        rank: u32,
        /// How many periods count.
        most: u32,
    },
    /// It failed, and its record stays for a while.
    Failed {
        /// Its place among the failed ones, from 1.
        rank: u32,
        /// How many are kept.
        most: u32,
    },
    /// Part of its data cannot be read: only its expiry lets it go.
    Damaged,
    /// A lock is in force on it.
    Locked,
    /// Another project may use it.
    Shared,
    /// Something reads it.
    InUse,
}

impl fmt::Display for KeepReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unfinished => f.write_str("still being made"),
            Self::Manual => f.write_str("made by hand"),
            Self::NoLimit => f.write_str("no limit"),
            Self::NotExpired { until } => write!(f, "until {}", show(*until)),
            Self::Newest { rank, most } => write!(f, "newest {rank} of {most}"),
            Self::LastOf { period, rank, most } => write!(f, "{period} {rank} of {most}"),
            Self::Failed { rank, most } => write!(f, "failed {rank} of {most}, for a month"),
            Self::Damaged => f.write_str("damaged"),
            Self::Locked => f.write_str("locked"),
            Self::Shared => f.write_str("shared"),
            Self::InUse => f.write_str("in use"),
        }
    }
}

/// Why a backup goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// Its time is over.
    Expired {
        /// Whole days it was to be kept.
        days: u64,
    },
    /// It is not among the newest, nor the last of a period that counts.
    BeyondNewest {
        /// How many of the newest are kept.
        most: u32,
    },
    /// It failed, and enough have failed since.
    FailedTooMany {
        /// How many are kept.
        most: u32,
    },
    /// It failed more than a month ago.
    FailedLongAgo,
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired { days: 1 } => f.write_str("older than 1 day"),
            Self::Expired { days } => write!(f, "older than {days} days"),
            Self::BeyondNewest { most } => write!(f, "beyond the newest {most}"),
            Self::FailedTooMany { most } => write!(f, "beyond the last {most} failed"),
            Self::FailedLongAgo => f.write_str("failed more than a month ago"),
        }
    }
}

/// What becomes of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It stays.
    Keep {
        /// All that speaks for it; never empty.
        reasons: Vec<KeepReason>,
    },
    /// It goes.
    Drop {
        /// Why.
        reason: DropReason,
    },
}

impl Fate {
    /// Tells whether the backup goes.
    pub fn is_drop(&self) -> bool {
        match self {
            Self::Keep { .. } => false,
            Self::Drop { .. } => true,
        }
    }
}

impl fmt::Display for Fate {
    /// Shows it for people: `kept: newest 2 of 5, monthly 1 of 6`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keep { reasons } => {
                f.write_str("kept: ")?;
                for (index, reason) in reasons.iter().enumerate() {
                    let separator = if index == 0 { "" } else { ", " };
                    write!(f, "{separator}{reason}")?;
                }
                Ok(())
            }
            Self::Drop { reason } => write!(f, "drops: {reason}"),
        }
    }
}

/// The fate of one backup.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Verdict {
    /// The backup.
    pub backup: BackupId,
    /// What becomes of it.
    pub fate: Fate,
}

impl Holds {
    /// Lists what holds a backup, as reasons to keep it.
    pub(super) fn reasons(self) -> impl Iterator<Item = KeepReason> {
        [
            (self.locked, KeepReason::Locked),
            (self.shared, KeepReason::Shared),
            (self.in_use, KeepReason::InUse),
        ]
        .into_iter()
        .filter_map(|(holds, reason)| holds.then_some(reason))
    }
}
