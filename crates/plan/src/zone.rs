//! Time zones: the fixed offsets of CBR and the named zones of the native API.

use std::sync::LazyLock;

use emberkeep_model::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};
use jiff::{Span, ToSpan};

// The database inside the binary, never the machine's: a schedule means the same in a
// container without zone files, and no environment variable can change it.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// The offsets in use on Earth, in minutes east of UTC.
const OFFSET_MINUTES: std::ops::RangeInclusive<i32> = -12 * 60..=14 * 60;

/// A text that names no time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ZoneError {
    /// Not an offset as CBR writes it.
    #[error("'{0}' is not an offset from UTC-12:00 to UTC+14:00")]
    NotAnOffset(String),
    /// Not in the zone database.
    #[error("'{0}' is not the name of a time zone, such as Europe/Berlin")]
    UnknownName(String),
}

/// Where days begin and which instant a time of day means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// The zone of CBR's patterns.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// Reads an offset as CBR writes it: `UTC+03:00`.
    pub fn from_offset(text: &str) -> Result<Self, ZoneError> {
        offset_minutes(text)
            .and_then(|minutes| Offset::from_seconds(minutes * 60).ok())
            .map(|offset| Self(TimeZone::fixed(offset)))
            .ok_or_else(|| ZoneError::NotAnOffset(text.to_owned()))
    }

    /// Looks up a zone of the IANA database: `Europe/Berlin`.
    pub fn from_name(name: &str) -> Result<Self, ZoneError> {
        ZONES
            .get(name)
            .map(Self)
            .map_err(|_| ZoneError::UnknownName(name.to_owned()))
    }

    /// Returns the day that `at` falls on.
    pub(crate) fn day_of(&self, at: Timestamp) -> Date {
        self.0.to_datetime(instant(at)).date()
    }

    /// Returns the one instant that a time of day means: a time that the clocks skip is as
    /// much later as they jump, of a time that comes twice the first counts. None beyond
    /// the year 9999.
    pub(crate) fn instant_of(&self, local: DateTime) -> Option<Timestamp> {
        let at = self.0.to_timestamp(local).ok()?;
        Some(Timestamp(at.as_microsecond()))
    }

    /// Returns the instant one calendar month later; from the last days of a long month
    /// that is the end of a short one.
    pub(crate) fn month_after(&self, at: Timestamp) -> Timestamp {
        let month: Span = 1.month();
        self.0
            .to_datetime(instant(at))
            .checked_add(month)
            .ok()
            .and_then(|local| self.instant_of(local))
            .unwrap_or(Timestamp(i64::MAX))
    }
}

fn offset_minutes(text: &str) -> Option<i32> {
    let rest = text.strip_prefix("UTC")?;
    let (sign, clock) = match rest.as_bytes().first()? {
        b'+' => (1, &rest[1..]),
        b'-' => (-1, &rest[1..]),
        _ => return None,
    };
    let (hours, minutes) = clock.split_once(':')?;
    let two_digits = |part: &str| {
        let fits = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| part.parse::<i32>().ok()).flatten()
    };
    let (hours, minutes) = (two_digits(hours)?, two_digits(minutes)?);
    let total = sign * (hours * 60 + minutes);
    (minutes < 60 && OFFSET_MINUTES.contains(&total)).then_some(total)
}

fn instant(at: Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_microsecond(at.0).unwrap_or(if at.0 < 0 {
        jiff::Timestamp::MIN
    } else {
        jiff::Timestamp::MAX
    })
}

/// Shows an instant for people: `2026-03-29T01:00:00Z`.
pub(crate) fn show(at: Timestamp) -> impl std::fmt::Display {
    instant(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_read_strictly() {
        for (text, want) in [
            ("UTC+00:00", Some(0)),
            ("UTC-00:00", Some(0)),
            ("UTC+03:00", Some(180)),
            ("UTC+05:45", Some(345)),
            ("UTC-03:30", Some(-210)),
            ("UTC+14:00", Some(840)),
            ("UTC-12:00", Some(-720)),
            ("UTC+14:01", None),
            ("UTC-12:01", None),
            ("UTC+03:60", None),
            ("UTC+3:00", None),
            ("UTC+0300", None),
            ("UTC+03", None),
            ("UTC03:00", None),
            ("UTC", None),
            ("utc+03:00", None),
            ("UTC+-3:00", None),
            ("UTC+03:00 ", None),
            ("UTC+٠٣:00", None),
            ("GMT+03:00", None),
            ("", None),
        ] {
            assert_eq!(offset_minutes(text), want, "{text}");
            assert_eq!(Zone::from_offset(text).is_ok(), want.is_some(), "{text}");
        }
    }

    #[test]
    fn names_come_from_the_bundled_database() {
        for name in ["Europe/Berlin", "America/St_Johns", "Pacific/Apia", "UTC"] {
            Zone::from_name(name).expect(name);
        }
        for name in ["Mars/Olympus", "UTC+03:00", "", "../etc/passwd"] {
            assert_eq!(
                Zone::from_name(name),
                Err(ZoneError::UnknownName(name.to_owned())),
            );
        }
    }
}
