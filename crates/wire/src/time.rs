//! Instants as text. Block Storage and CBR leave the zone out, identity ends in `Z`;
//! reading takes either.

use std::fmt;

use emberkeep_model::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde::{Deserialize, Serialize};

use crate::lenient;

/// A text that is no instant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an ISO 8601 time")]
pub struct BadTime(pub String);

/// An instant as a service wrote it. Read back it keeps its text, so that what another cloud
/// means by it is never lost; our own are always [`naive`].
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(transparent)]
pub struct Moment(#[serde(deserialize_with = "lenient::text")] String);

impl Moment {
    /// Returns the text as it travels.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the instant; none if the text is no time that is known here.
    pub fn at(&self) -> Option<Timestamp> {
        parse(&self.0).ok()
    }
}

impl From<Timestamp> for Moment {
    fn from(at: Timestamp) -> Self {
        Self(naive(at))
    }
}

impl From<String> for Moment {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Returns `2026-11-21T17:24:36.000000`: UTC, microseconds, no zone.
pub fn naive(at: Timestamp) -> String {
    let mut text = Vec::with_capacity(NAIVE);
    put_naive(&mut text, at);
    String::from_utf8(text).unwrap_or_default()
}

/// How long such a text is.
const NAIVE: usize = "2026-11-21T17:24:36.000000".len();
/// In days from 1970: up to here a year has four digits.
const FAR_DAY: u64 = 2_932_800;

/// Writes what [`naive`] returns. Lists hold three instants for each row, so there is no detour here.
pub(crate) fn put_naive(out: &mut Vec<u8>, at: Timestamp) {
    let micros = u64::try_from(at.0).ok();
    match micros.filter(|micros| micros / MICROS_PER_DAY < FAR_DAY) {
        Some(micros) => out.extend_from_slice(&digits(micros)),
        None => out.extend_from_slice(format!("{:.6}", civil(at)).as_bytes()),
    }
}

const MICROS_PER_DAY: u64 = 86_400_000_000;

/// Writes the microseconds since 1970 as an instant of the proleptic Gregorian calendar.
fn digits(micros: u64) -> [u8; NAIVE] {
    let (days, rest) = (micros / MICROS_PER_DAY, micros % MICROS_PER_DAY);
    let (secs, micros) = (rest / 1_000_000, rest % 1_000_000);
    // Counted from 1 March of the year 0, so that a leap day is the last of its year; 400 years are an era.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    let year = year + era * 400 + carry;
    let mut text = *b"0000-00-00T00:00:00.000000";
    let mut put = |from: usize, to: usize, mut number: u64| {
        for place in text[from..to].iter_mut().rev() {
            *place = b'0' + (number % 10) as u8;
            number /= 10;
        }
    };
    put(0, 4, year);
    put(5, 7, month);
    put(8, 10, day);
    put(11, 13, secs / 3600);
    put(14, 16, secs / 60 % 60);
    put(17, 19, secs % 60);
    put(20, 26, micros);
    text
}

/// Returns `2026-11-21T17:24:36.000000Z`.
pub fn zulu(at: Timestamp) -> String {
    naive(at) + "Z"
}

/// Reads a date or a date and time, with or without a zone; without one it is UTC.
pub fn parse(text: &str) -> Result<Timestamp, BadTime> {
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Ok(Timestamp(instant.as_microsecond()));
    }
    text.parse::<DateTime>()
        .ok()
        .and_then(|civil| Offset::UTC.to_timestamp(civil).ok())
        .map(|instant| Timestamp(instant.as_microsecond()))
        .ok_or_else(|| BadTime(text.to_owned()))
}

/// Reads the `Date` of an HTTP answer: `Sat, 21 Nov 2026 17:24:36 GMT`.
pub fn http_date(text: &str) -> Result<Timestamp, BadTime> {
    jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(text)
        .map(|instant| Timestamp(instant.as_microsecond()))
        .map_err(|_| BadTime(text.to_owned()))
}

/// Instants beyond what a calendar can say (a `Timestamp` reaches further) are shown as its ends.
fn civil(at: Timestamp) -> DateTime {
    let instant = jiff::Timestamp::from_microsecond(at.0).unwrap_or(if at.0 < 0 {
        jiff::Timestamp::MIN
    } else {
        jiff::Timestamp::MAX
    });
    Offset::UTC.to_datetime(instant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_http_are_read() {
        let at = Timestamp(1_795_281_876_000_000);
        assert_eq!(http_date("Sat, 21 Nov 2026 17:24:36 GMT"), Ok(at));
        for text in ["", "yesterday", "2026-11-21T17:24:36Z"] {
            assert!(http_date(text).is_err(), "{text}");
        }
    }

    #[test]
    fn both_spellings_are_written_and_read() {
        let at = Timestamp(1_795_281_876_000_000);
        assert_eq!(naive(at), "2026-11-21T17:24:36.000000");
        assert_eq!(zulu(at), "2026-11-21T17:24:36.000000Z");
        for (text, want) in [
            ("2026-11-21T17:24:36.000000", Ok(at)),
            ("2026-11-21T17:24:36.000000Z", Ok(at)),
            ("2026-11-21 17:24:36", Ok(at)),
            ("2026-11-21T18:24:36+01:00", Ok(at)),
            ("2026-11-21T17:24:36.000001", Ok(Timestamp(at.0 + 1))),
            ("1970-01-01", Ok(Timestamp(0))),
            ("", Err(BadTime(String::new()))),
            ("yesterday", Err(BadTime("yesterday".to_owned()))),
            (
                "2026-13-01T00:00:00",
                Err(BadTime("2026-13-01T00:00:00".to_owned())),
            ),
        ] {
            assert_eq!(parse(text), want, "{text}");
        }
        assert_eq!(Moment::from(at).at(), Some(at));
        assert_eq!(Moment::from("soon".to_owned()).at(), None);
        assert_eq!(naive(Timestamp(i64::MAX)), "9999-12-30T22:00:00.999999");
    }

    #[test]
    fn every_day_is_written_as_the_calendar_has_it() {
        // All days of some centuries, then ever further ones, up to and beyond what is written directly.
        let days = (0..80_000).chain((80_000..2_933_000).step_by(97));
        for day in days {
            let at = Timestamp(day * 86_400_000_000 + (day * 7_919_000_017) % 86_400_000_000);
            assert_eq!(naive(at), format!("{:.6}", civil(at)), "{}", at.0);
        }
        for micros in [-1, -86_400_000_000, i64::MIN, i64::MAX] {
            let at = Timestamp(micros);
            assert_eq!(naive(at), format!("{:.6}", civil(at)), "{micros}");
        }
    }
}
