//! The limits of a policy, checked and reduced to those in force.

use emberkeep_model::{Limit, OperationDefinition, Timestamp};

use super::Period;
use crate::zone::{Zone, ZoneError};

const DAY_SECS: i64 = 24 * 60 * 60;

/// Why a policy's limits are refused (`cbr-v3.md §2.5`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// A number out of its range.
    #[error("{field} is {value}, but must be {wanted}")]
    OutOfRange {
        /// The field.
        field: &'static str,
        /// What it was given.
        value: i32,
        /// What it takes.
        wanted: &'static str,
    },
    /// Keeping by days excludes keeping by number.
    #[error("retention_duration_days and {field} cannot be set together")]
    Conflict {
        /// The other field.
        field: &'static str,
    },
    /// Days and weeks must begin somewhere.
    #[error("timezone is needed with {field}")]
    NoZone {
        /// The field that needs it.
        field: &'static str,
    },
    /// The time zone is none.
    #[error("timezone: {0}")]
    BadZone(ZoneError),
}

/// How many backups of each resource stay, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rules {
    /// Automatic backups that stay; without it no number limits them, and the numbers
    /// below change nothing.
    pub max_backups: Option<u32>,
    /// Days a new automatic backup stays. For one that is there its own expiry counts.
    pub days: Option<u32>,
    /// Days whose last backup stays.
    pub day_backups: u32,
    /// Weeks whose last backup stays.
    pub week_backups: u32,
    /// Months whose last backup stays.
    pub month_backups: u32,
    /// Years whose last backup stays.
    pub year_backups: u32,
}

impl Rules {
    /// Returns when an automatic backup made at `made_at` expires, to be fixed with it.
    pub fn expires_at(&self, made_at: Timestamp) -> Option<Timestamp> {
        self.days
            .map(|days| made_at.plus_secs(i64::from(days) * DAY_SECS))
    }

    /// Returns how many periods of a kind keep their last backup.
    pub fn periods(&self, period: Period) -> u32 {
        match period {
            Period::Day => self.day_backups,
            Period::Week => self.week_backups,
            Period::Month => self.month_backups,
            Period::Year => self.year_backups,
        }
    }
}

/// Checks the numbers of a policy and returns the rules in force, with the zone for
/// [`super::judge`]. A named zone of the policy itself takes the place of `timezone`.
pub fn read_rules(
    definition: &OperationDefinition,
    zone_name: Option<&str>,
) -> Result<(Rules, Zone), RuleError> {
    let max_backups = count("max_backups", definition.max_backups)?;
    let days = count(
        "retention_duration_days",
        definition.retention_duration_days,
    )?;
    let long_term = [
        ("day_backups", definition.day_backups),
        ("week_backups", definition.week_backups),
        ("month_backups", definition.month_backups),
        ("year_backups", definition.year_backups),
    ];
    for (field, limit) in long_term {
        let range = limit.map(|limit| (limit.0, 0..=100));
        in_range(field, range, "0 to 100")?;
    }
    let interval = definition.full_backup_interval.map(|n| (n, -1..=100));
    in_range("full_backup_interval", interval, "-1 to 100")?;

    let set = |limit: Option<Limit>| limit.and_then(Limit::in_force);
    let first_long_term = long_term
        .iter()
        .find(|(_, limit)| set(*limit).is_some())
        .map(|(field, _)| *field);
    if days.is_some() {
        let by_number = max_backups.map(|_| "max_backups").or(first_long_term);
        if let Some(field) = by_number {
            return Err(RuleError::Conflict { field });
        }
    }
    let timezone = definition.timezone.as_deref();
    let offset = timezone
        .map(Zone::from_offset)
        .transpose()
        .map_err(RuleError::BadZone)?;
    let zone = match (zone_name, offset, first_long_term) {
        (Some(name), _, _) => Zone::from_name(name).map_err(RuleError::BadZone)?,
        (None, Some(zone), _) => zone,
        (None, None, Some(field)) => return Err(RuleError::NoZone { field }),
        (None, None, None) => Zone::UTC,
    };
    let [day_backups, week_backups, month_backups, year_backups] =
        long_term.map(|(_, limit)| set(limit).unwrap_or(0));
    let rules = Rules {
        max_backups,
        days,
        day_backups,
        week_backups,
        month_backups,
        year_backups,
    };
    Ok((rules, zone))
}

fn count(field: &'static str, limit: Option<Limit>) -> Result<Option<u32>, RuleError> {
    let range = limit.map(|limit| (limit.0, -1..=99_999));
    in_range(field, range, "-1 for no limit, or 1 to 99999")?;
    Ok(limit.and_then(Limit::in_force))
}

fn in_range(
    field: &'static str,
    value: Option<(i32, std::ops::RangeInclusive<i32>)>,
    wanted: &'static str,
) -> Result<(), RuleError> {
    match value {
        Some((value, range)) if !range.contains(&value) => Err(RuleError::OutOfRange {
            field,
            value,
            wanted,
        }),
        Some(_) | None => Ok(()),
    }
}
