//! Points in time with the offset they were written with (`cinder-backup.md §1.4`).

use emberkeep_model::Timestamp;
use jiff::civil;

use crate::python::text_repr;

/// A point in time, as Cinder's datetime fields keep it: the offset it came with stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateTime {
    civil: civil::DateTime,
    zone: Zone,
}

/// What a time says about its offset from UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Zone {
    /// Nothing. A field takes it for UTC.
    Unsaid,
    Utc,
    /// As written: `+22:99` is kept so.
    Offset {
        west: bool,
        hours: u8,
        minutes: u8,
    },
}

/// Why a text is not a time; worded as Cinder does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// It does not look like ISO 8601.
    #[error("Unable to parse date string {0}")]
    Unreadable(String),
    /// The year 0.
    #[error("year 0 is out of range")]
    Year,
    /// A month that is none.
    #[error("month must be in 1..12")]
    Month,
    /// A day that the month has not.
    #[error("day is out of range for month")]
    Day,
    /// An hour that is none.
    #[error("hour must be in 0..23")]
    Hour,
    /// A minute that is none.
    #[error("minute must be in 0..59")]
    Minute,
    /// A second that is none, a leap second among them.
    #[error("second must be in 0..59")]
    Second,
    /// An offset of a day or more.
    #[error(
        "offset must be a timedelta strictly between -timedelta(hours=24) and timedelta(hours=24), not {}.",
        timedelta_repr(*minutes)
    )]
    Offset {
        /// The offset.
        minutes: i64,
    },
    /// In UTC it falls outside the years 1 to 9999.
    #[error("date value out of range")]
    OutOfRange,
}

impl Zone {
    fn minutes(self) -> i64 {
        match self {
            Self::Unsaid | Self::Utc => 0,
            Self::Offset {
                west,
                hours,
                minutes,
            } => {
                let total = i64::from(hours) * 60 + i64::from(minutes);
                if west { -total } else { total }
            }
        }
    }
}

fn timedelta_repr(minutes: i64) -> String {
    let (days, seconds) = (
        minutes.div_euclid(24 * 60),
        minutes.rem_euclid(24 * 60) * 60,
    );
    match seconds {
        0 => format!("datetime.timedelta(days={days})"),
        _ => format!("datetime.timedelta(days={days}, seconds={seconds})"),
    }
}

impl DateTime {
    /// Reads ISO 8601 as generously as Cinder does; without an offset it is UTC.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        let mut time = Scanner::read(text)?;
        if time.zone == Zone::Unsaid {
            time.zone = Zone::Utc;
        }
        Ok(time)
    }

    /// Reads the same but keeps a missing offset missing.
    pub fn parse_naive(text: &str) -> Result<Self, TimeError> {
        Scanner::read(text)
    }

    /// Takes an instant of ours.
    pub fn from_timestamp(timestamp: Timestamp) -> Result<Self, TimeError> {
        let epoch = civil::date(1970, 1, 1).at(0, 0, 0, 0);
        let civil = epoch
            .checked_add(jiff::SignedDuration::from_micros(timestamp.0))
            .ok()
            .filter(|civil| (1..=9999).contains(&civil.year()))
            .ok_or(TimeError::OutOfRange)?;
        Ok(Self {
            civil,
            zone: Zone::Utc,
        })
    }

    /// Returns the instant; a missing offset counts as UTC.
    pub fn timestamp(self) -> Result<Timestamp, TimeError> {
        let epoch = civil::date(1970, 1, 1).at(0, 0, 0, 0);
        let offset = jiff::SignedDuration::from_mins(self.zone.minutes());
        let since = self.civil.duration_since(epoch) - offset;
        let micros = i64::try_from(since.as_micros()).map_err(|_| TimeError::OutOfRange)?;
        let timestamp = Timestamp(micros);
        Self::from_timestamp(timestamp)?;
        Ok(timestamp)
    }

    /// Takes a missing offset for UTC, as a field does.
    pub(crate) fn in_field(mut self) -> Self {
        if self.zone == Zone::Unsaid {
            self.zone = Zone::Utc;
        }
        self
    }

    /// Writes it as primitives have it: whole seconds, `Z` or the offset as it was read.
    pub fn isotime(self) -> String {
        let zone = match self.zone {
            Zone::Unsaid | Zone::Utc => "Z".to_owned(),
            Zone::Offset {
                west,
                hours,
                minutes,
            } => format!("{}{hours:02}:{minutes:02}", if west { '-' } else { '+' }),
        };
        format!("{}T{}{zone}", self.date_text(), self.clock_text())
    }

    /// Writes it as Python's `str()` does, which a string field stores.
    pub(crate) fn python_text(self) -> String {
        let micros = match self.civil.subsec_nanosecond() / 1000 {
            0 => String::new(),
            micros => format!(".{micros:06}"),
        };
        let zone = if self.zone == Zone::Unsaid {
            String::new()
        } else {
            let minutes = self.zone.minutes();
            let sign = if minutes < 0 { '-' } else { '+' };
            let minutes = minutes.abs();
            format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
        };
        format!("{} {}{micros}{zone}", self.date_text(), self.clock_text())
    }

    /// Writes it as a message has a bare time: microseconds, no offset.
    pub(crate) fn message_text(self) -> String {
        let micros = self.civil.subsec_nanosecond() / 1000;
        format!("{}T{}.{micros:06}", self.date_text(), self.clock_text())
    }

    fn date_text(self) -> String {
        let date = self.civil.date();
        format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day())
    }

    fn clock_text(self) -> String {
        let time = self.civil.time();
        format!(
            "{:02}:{:02}:{:02}",
            time.hour(),
            time.minute(),
            time.second()
        )
    }
}

/// Reads `YYYY[-MM[-DD[(T| )hh[:mm[:ss[.fff]]][zone]]]]`; dashes and colons may be missing.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl Scanner<'_> {
    fn read(text: &str) -> Result<DateTime, TimeError> {
        // One line feed at the end passes, as it does in the original.
        let line = text.strip_suffix('\n').unwrap_or(text);
        let mut scanner = Scanner { text: line, at: 0 };
        let parts = scanner
            .parts()
            .filter(|_| scanner.at == line.len())
            .ok_or_else(|| TimeError::Unreadable(text_repr(text)))?;
        parts.check()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, wanted: &[u8]) -> Option<u8> {
        let found = self.peek().filter(|c| wanted.contains(c))?;
        self.at += 1;
        Some(found)
    }

    /// Takes at least `least` and at most `most` digits, or none at all.
    fn digits(&mut self, least: usize, most: usize) -> Option<u16> {
        let rest = &self.text.as_bytes()[self.at..];
        let found = rest
            .iter()
            .take(most)
            .take_while(|c| c.is_ascii_digit())
            .count();
        if found < least {
            return None;
        }
        let value = self.text[self.at..self.at + found].parse().ok();
        self.at += found;
        value
    }

    fn parts(&mut self) -> Option<Parts> {
        let mut parts = Parts {
            year: self.digits(4, 4)?,
            month: 1,
            day: 1,
            hour: 0,
            minute: 0,
            second: 0,
            micros: 0,
            zone: Zone::Unsaid,
        };
        if self.at == self.text.len() {
            return Some(parts);
        }
        let dashed = self.take(b"-").is_some();
        parts.month = if dashed {
            self.digits(1, 2)?
        } else {
            self.digits(2, 2)?
        };
        if self.at == self.text.len() {
            // YYYYMM could as well be YYMMDD: refused.
            return dashed.then_some(parts);
        }
        parts.day = if self.take(b"-").is_some() {
            self.digits(1, 2)?
        } else if let Some(day) = self.digits(2, 2) {
            day
        } else if dashed {
            // `2024-011` reads as month 0 and day 11.
            self.at -= 1;
            parts.month /= 10;
            self.digits(2, 2)?
        } else {
            return None;
        };
        if self.take(b" T").is_some() {
            self.clock(&mut parts)?;
        }
        Some(parts)
    }

    fn clock(&mut self, parts: &mut Parts) -> Option<()> {
        parts.hour = self.digits(2, 2)?;
        let start = self.at;
        let _ = self.take(b":");
        match self.digits(2, 2) {
            Some(minute) => parts.minute = minute,
            None => self.at = start,
        }
        let start = self.at;
        let _ = self.take(b":");
        match self.digits(1, 2) {
            Some(second) => {
                parts.second = second;
                self.fraction(parts);
            }
            None => self.at = start,
        }
        if self.take(b"Z").is_some() {
            parts.zone = Zone::Utc;
        } else if let Some(sign) = self.take(b"+-") {
            let hours = self.digits(2, 2)?;
            let _ = self.take(b":");
            let minutes = self.digits(2, 2).unwrap_or(0);
            parts.zone = Zone::Offset {
                west: sign == b'-',
                hours: u8::try_from(hours).ok()?,
                minutes: u8::try_from(minutes).ok()?,
            };
        }
        Some(())
    }

    /// Takes a fraction of a second, if digits follow the point; what is finer than a microsecond is cut.
    fn fraction(&mut self, parts: &mut Parts) {
        let start = self.at;
        if self.take(b".,").is_none() {
            return;
        }
        let mut scale = 100_000;
        let from = self.at;
        while let Some(digit) = self.take(b"0123456789") {
            parts.micros += u32::from(digit - b'0') * scale;
            scale /= 10;
        }
        if self.at == from {
            self.at = start;
        }
    }
}

struct Parts {
    year: u16,
    month: u16,
    day: u16,
    hour: u16,
    minute: u16,
    second: u16,
    micros: u32,
    zone: Zone,
}

impl Parts {
    fn check(self) -> Result<DateTime, TimeError> {
        // The offset is looked at first, as in the original.
        let offset = self.zone.minutes();
        if offset.abs() >= 24 * 60 {
            return Err(TimeError::Offset { minutes: offset });
        }
        let small = |value: u16, error| i8::try_from(value).map_err(|_| error);
        let year = i16::try_from(self.year).map_err(|_| TimeError::Year)?;
        let month = small(self.month, TimeError::Month)?;
        if year == 0 {
            return Err(TimeError::Year);
        }
        if !(1..=12).contains(&month) {
            return Err(TimeError::Month);
        }
        let date = civil::Date::new(year, month, small(self.day, TimeError::Day)?)
            .map_err(|_| TimeError::Day)?;
        for (value, limit, error) in [
            (self.hour, 24, TimeError::Hour),
            (self.minute, 60, TimeError::Minute),
            (self.second, 60, TimeError::Second),
        ] {
            if value >= limit {
                return Err(error);
            }
        }
        let nanos = i32::try_from(self.micros * 1000).map_err(|_| TimeError::Second)?;
        Ok(DateTime {
            civil: date.at(
                small(self.hour, TimeError::Hour)?,
                small(self.minute, TimeError::Minute)?,
                small(self.second, TimeError::Second)?,
                nanos,
            ),
            zone: self.zone,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_and_writing() {
        for (text, want) in [
            ("2024", "2024-01-01T00:00:00Z"),
            ("2024-1-2", "2024-01-02T00:00:00Z"),
            ("20240102", "2024-01-02T00:00:00Z"),
            ("202401-02", "2024-01-02T00:00:00Z"),
            ("2024-01-02T03", "2024-01-02T03:00:00Z"),
            ("2024-01-02T03:4", "2024-01-02T03:00:04Z"),
            ("2024-01-02T030405", "2024-01-02T03:04:05Z"),
            ("2024-01-02 03:04:05.9999999Z\n", "2024-01-02T03:04:05Z"),
            ("2024-01-02T03:04:05-02", "2024-01-02T03:04:05-02:00"),
            ("2024-01-02T03:04:05+00:00", "2024-01-02T03:04:05+00:00"),
            ("2024-01-02T03:04:05+22:99", "2024-01-02T03:04:05+22:99"),
        ] {
            assert_eq!(
                DateTime::parse(text).map(DateTime::isotime).as_deref(),
                Ok(want),
                "{text}"
            );
        }
        let time = DateTime::parse("2024-01-02T03:04:05.000070+22:99").unwrap();
        assert_eq!(time.python_text(), "2024-01-02 03:04:05.000070+23:39");
        assert_eq!(time.message_text(), "2024-01-02T03:04:05.000070");
        assert_eq!(
            DateTime::parse_naive("2024").unwrap().python_text(),
            "2024-01-01 00:00:00"
        );
    }

    #[test]
    fn what_is_refused() {
        for (text, want) in [
            ("2024-13-01", TimeError::Month),
            ("2024-011", TimeError::Month),
            ("2023-02-29", TimeError::Day),
            ("2024-01-02T24:00", TimeError::Hour),
            ("2024-01-02T23:60", TimeError::Minute),
            ("2024-01-02T23:59:60", TimeError::Second),
            ("0000-01-01", TimeError::Year),
            (
                "2024-01-02T03:04:05+23:99",
                TimeError::Offset {
                    minutes: 24 * 60 + 39,
                },
            ),
        ] {
            assert_eq!(DateTime::parse(text), Err(want), "{text}");
        }
        for text in [
            "",
            "x",
            "202401",
            "2024011",
            "2024-01-02T",
            "2024-01-02Z",
            "2024-01-02T3:04",
            "2024-01-02t03:04",
            "2024-01-02T03:04:05.",
            "2024-01-02T03:04:05 Z",
            " 2024",
            "2024\n\n",
            "12024-01-01",
            "２０２４",
        ] {
            assert_eq!(
                DateTime::parse(text),
                Err(TimeError::Unreadable(text_repr(text))),
                "{text}"
            );
        }
    }

    #[test]
    fn instants() {
        let time = DateTime::parse("1970-01-01T02:30:00.5+02:30").unwrap();
        assert_eq!(time.timestamp(), Ok(Timestamp(500_000)));
        assert_eq!(
            DateTime::from_timestamp(Timestamp(-1))
                .unwrap()
                .python_text(),
            "1969-12-31 23:59:59.999999+00:00"
        );
        let last = DateTime::parse("9999-12-31T23:59:59-01:00").unwrap();
        assert_eq!(last.timestamp(), Err(TimeError::OutOfRange));
        assert_eq!(
            DateTime::from_timestamp(Timestamp(i64::MAX)),
            Err(TimeError::OutOfRange)
        );
    }
}
