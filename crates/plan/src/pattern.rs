//! When a policy runs: the iCalendar subset of CBR (`cbr-v3.md §2.5`).

use std::collections::BTreeSet;

use jiff::civil::{Date, Time, Weekday};

/// Patterns in one policy, at most.
const MAX_PATTERNS: usize = 24;

/// Runs on one day over all patterns, at most.
const MAX_RUNS_A_DAY: usize = 24;

/// Minutes between two runs on one day, at least, unless the operator allows less.
pub const MIN_GAP_MINUTES: u16 = 60;

/// Days of the week as patterns write them, Monday first.
const WEEKDAYS: [&str; 7] = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];

/// Why a list of patterns is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// None, or too many.
    #[error("a policy takes 1 to {MAX_PATTERNS} patterns, not {given}")]
    Count {
        /// How many there were.
        given: usize,
    },
    /// One of them is not understood.
    #[error("pattern {number} '{text}': {fault}")]
    Pattern {
        /// Which one, from 1.
        number: usize,
        /// The pattern.
        text: String,
        /// What is wrong with it.
        fault: PatternFault,
    },
    /// Together they ask for more than a day may hold.
    #[error("BYHOUR: {runs} runs may fall on one day, more than {MAX_RUNS_A_DAY}")]
    TooMany {
        /// Runs on the fullest day.
        runs: usize,
    },
    /// Together they ask for runs too close to each other.
    #[error(
        "BYHOUR, BYMINUTE: runs at {earlier} and {later} may fall on one day, \
         less than {apart} minutes apart"
    )]
    TooClose {
        /// The earlier run's time of day.
        earlier: ClockTime,
        /// The later one's.
        later: ClockTime,
        /// How many minutes there must be between them.
        apart: u16,
    },
}

/// What is wrong with one pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternFault {
    /// A piece between semicolons is no pair.
    #[error("'{0}' is not KEY=VALUE")]
    NotAPair(String),
    /// A key outside the subset.
    #[error("{0} is not one of FREQ, INTERVAL, BYDAY, BYHOUR, BYMINUTE")]
    UnknownKey(String),
    /// A key that came before.
    #[error("{0} is given twice")]
    Repeated(&'static str),
    /// A key that must be there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A key that does not go with the frequency.
    #[error("{key} does not go with FREQ={freq}")]
    Misplaced {
        /// The key.
        key: &'static str,
        /// The frequency.
        freq: &'static str,
    },
    /// A value out of its range.
    #[error("{key} is '{value}', but must be {wanted}")]
    Value {
        /// The key.
        key: &'static str,
        /// What it was given.
        value: String,
        /// What it takes.
        wanted: &'static str,
    },
}

/// A time of day to the minute; shown as `14:05`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClockTime {
    hour: i8,
    minute: i8,
}

impl ClockTime {
    fn minute_of_day(self) -> u16 {
        u16::from(self.hour.unsigned_abs()) * 60 + u16::from(self.minute.unsigned_abs())
    }

    fn on(self, day: Date) -> jiff::civil::DateTime {
        day.to_datetime(Time::constant(self.hour, self.minute, 0, 0))
    }
}

impl std::fmt::Display for ClockTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02}:{:02}", self.hour, self.minute)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Days {
    /// Every so many days, counted from the day of creation.
    Every { days: u8 },
    /// On these days of each week.
    On { monday_first: [bool; 7] },
}

/// One pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    days: Days,
    times: BTreeSet<ClockTime>,
}

/// The patterns of one policy, understood and found to go together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patterns(Vec<Pattern>);

impl Patterns {
    /// Reads what a tenant sent. The texts themselves are to be kept: clients want them
    /// back unchanged.
    ///
    /// A time that several patterns name is one run, not two that are too close.
    pub fn parse<S: AsRef<str>>(texts: &[S]) -> Result<Self, PatternError> {
        Self::parse_apart(texts, MIN_GAP_MINUTES)
    }

    /// The same, with another least number of minutes between two runs on one day.
    pub fn parse_apart<S: AsRef<str>>(texts: &[S], apart: u16) -> Result<Self, PatternError> {
        if texts.is_empty() || texts.len() > MAX_PATTERNS {
            return Err(PatternError::Count { given: texts.len() });
        }
        let patterns = texts.iter().enumerate().map(|(index, text)| {
            Pattern::parse(text.as_ref()).map_err(|fault| PatternError::Pattern {
                number: index + 1,
                text: text.as_ref().to_owned(),
                fault,
            })
        });
        let patterns = Self(patterns.collect::<Result<_, _>>()?);
        patterns.check_days(apart)?;
        Ok(patterns)
    }

    /// Returns the local times of the runs on `day`, for a policy made on the day `created`.
    pub(crate) fn runs_on(
        &self,
        day: Date,
        created: Date,
    ) -> impl Iterator<Item = jiff::civil::DateTime> {
        self.0
            .iter()
            .filter(move |pattern| pattern.falls_on(day, created))
            .flat_map(move |pattern| pattern.times.iter().map(move |time| time.on(day)))
    }

    // A pattern that counts days can meet any other one sooner or later, so it is taken to
    // fall on every day of the week. Only for whole weeks does that refuse more than it
    // must; which weekday those meet is known once the policy is made.
    fn check_days(&self, apart: u16) -> Result<(), PatternError> {
        for weekday in 0..WEEKDAYS.len() {
            let times: BTreeSet<ClockTime> = self
                .0
                .iter()
                .filter(|pattern| match &pattern.days {
                    Days::Every { .. } => true,
                    Days::On { monday_first } => monday_first[weekday],
                })
                .flat_map(|pattern| pattern.times.iter().copied())
                .collect();
            if times.len() > MAX_RUNS_A_DAY {
                return Err(PatternError::TooMany { runs: times.len() });
            }
            for (earlier, later) in times.iter().zip(times.iter().skip(1)) {
                if later.minute_of_day() - earlier.minute_of_day() < apart {
                    return Err(PatternError::TooClose {
                        earlier: *earlier,
                        later: *later,
                        apart,
                    });
                }
            }
        }
        Ok(())
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, PatternFault> {
        let keys = Keys::split(text)?;
        let freq = keys.freq.ok_or(PatternFault::Missing("FREQ"))?;
        let days = match freq {
            "DAILY" => {
                if keys.byday.is_some() {
                    return Err(PatternFault::Misplaced {
                        key: "BYDAY",
                        freq: "DAILY",
                    });
                }
                let days = keys.interval.map_or(Ok(1), |value| {
                    number(value, 1, 30).ok_or_else(|| bad_value("INTERVAL", value, "1 to 30"))
                })?;
                Days::Every {
                    days: days.unsigned_abs(),
                }
            }
            "WEEKLY" => {
                if keys.interval.is_some() {
                    return Err(PatternFault::Misplaced {
                        key: "INTERVAL",
                        freq: "WEEKLY",
                    });
                }
                weekdays(keys.byday.ok_or(PatternFault::Missing("BYDAY"))?)?
            }
            other => return Err(bad_value("FREQ", other, "WEEKLY or DAILY")),
        };
        let minute = keys.byminute.map_or(Ok(0), |value| {
            number(value, 0, 59).ok_or_else(|| bad_value("BYMINUTE", value, "0 to 59"))
        })?;
        let hours = keys.byhour.ok_or(PatternFault::Missing("BYHOUR"))?;
        let times = hours.split(',').map(|value| {
            number(value, 0, 23)
                .map(|hour| ClockTime { hour, minute })
                .ok_or_else(|| bad_value("BYHOUR", hours, "0 to 23, or several with commas"))
        });
        Ok(Self {
            days,
            times: times.collect::<Result<_, _>>()?,
        })
    }

    fn falls_on(&self, day: Date, created: Date) -> bool {
        match &self.days {
            Days::Every { days } => {
                let age = (day - created).get_days();
                age >= 0 && age % i32::from(*days) == 0
            }
            Days::On { monday_first } => {
                let offset = day.weekday().since(Weekday::Monday);
                monday_first[usize::from(offset.unsigned_abs())]
            }
        }
    }
}

/// The pairs of one pattern, each key at most once.
#[derive(Default)]
struct Keys<'a> {
    freq: Option<&'a str>,
    interval: Option<&'a str>,
    byday: Option<&'a str>,
    byhour: Option<&'a str>,
    byminute: Option<&'a str>,
}

impl<'a> Keys<'a> {
    fn split(text: &'a str) -> Result<Self, PatternFault> {
        let mut keys = Self::default();
        for part in text.split(';') {
            let (key, value) = part
                .split_once('=')
                .ok_or_else(|| PatternFault::NotAPair(part.to_owned()))?;
            let (name, slot) = match key {
                "FREQ" => ("FREQ", &mut keys.freq),
                "INTERVAL" => ("INTERVAL", &mut keys.interval),
                "BYDAY" => ("BYDAY", &mut keys.byday),
                "BYHOUR" => ("BYHOUR", &mut keys.byhour),
                "BYMINUTE" => ("BYMINUTE", &mut keys.byminute),
                other => return Err(PatternFault::UnknownKey(other.to_owned())),
            };
            if slot.replace(value).is_some() {
                return Err(PatternFault::Repeated(name));
            }
        }
        Ok(keys)
    }
}

fn weekdays(list: &str) -> Result<Days, PatternFault> {
    let mut monday_first = [false; 7];
    for name in list.split(',') {
        let index = WEEKDAYS
            .iter()
            .position(|day| *day == name)
            .ok_or_else(|| bad_value("BYDAY", list, "MO, TU, WE, TH, FR, SA, SU with commas"))?;
        monday_first[index] = true;
    }
    Ok(Days::On { monday_first })
}

/// Reads one or two digits; consoles write `BYMINUTE=00`.
fn number(text: &str, min: i8, max: i8) -> Option<i8> {
    let digits = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let number = digits.then(|| text.parse().ok()).flatten()?;
    (min..=max).contains(&number).then_some(number)
}

fn bad_value(key: &'static str, value: &str, wanted: &'static str) -> PatternFault {
    PatternFault::Value {
        key,
        value: value.to_owned(),
        wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(patterns: &[&str]) -> String {
        match Patterns::parse(patterns) {
            Ok(_) => "taken".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn takes_what_clients_send() {
        for patterns in [
            &["FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;BYHOUR=14;BYMINUTE=00"][..],
            &["FREQ=DAILY;INTERVAL=1;BYHOUR=9;BYMINUTE=0"],
            &["BYMINUTE=59;BYHOUR=23;FREQ=DAILY"],
            &["FREQ=DAILY;INTERVAL=30;BYHOUR=00"],
            &["FREQ=DAILY;BYHOUR=0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23"],
            // The order of hours does not matter, nor does saying one twice.
            &["FREQ=DAILY;BYHOUR=20,8,20"],
            // An hour apart.
            &[
                "FREQ=DAILY;BYHOUR=1;BYMINUTE=30",
                "FREQ=DAILY;BYHOUR=2;BYMINUTE=30",
            ],
            // Close, but never on one day.
            &[
                "FREQ=WEEKLY;BYDAY=MO;BYHOUR=1",
                "FREQ=WEEKLY;BYDAY=TU;BYHOUR=1;BYMINUTE=30",
            ],
            &[
                "FREQ=WEEKLY;BYDAY=MO;BYHOUR=23;BYMINUTE=30",
                "FREQ=WEEKLY;BYDAY=TU;BYHOUR=0",
            ],
            // The same time twice is one run.
            &[
                "FREQ=WEEKLY;BYDAY=MO,TU;BYHOUR=14",
                "FREQ=WEEKLY;BYDAY=TU,WE;BYHOUR=14",
            ],
        ] {
            assert_eq!(verdict(patterns), "taken", "{patterns:?}");
        }
        let most = vec!["FREQ=DAILY;BYHOUR=1"; MAX_PATTERNS];
        assert_eq!(verdict(&most), "taken");
    }

    #[test]
    fn refusals_name_the_key_and_the_reason() {
        let mut lines = vec![
            verdict(&[]),
            verdict(&vec!["FREQ=DAILY;BYHOUR=1"; MAX_PATTERNS + 1]),
        ];
        lines.extend(
            [
                "",
                "FREQ=DAILY;BYHOUR=1;",
                "FREQ=DAILY BYHOUR=1",
                "FREQ=HOURLY;BYHOUR=1",
                "freq=DAILY;BYHOUR=1",
                "FREQ=daily;BYHOUR=1",
                "RRULE:FREQ=DAILY;BYHOUR=1",
                "BYHOUR=1",
                "FREQ=DAILY",
                "FREQ=DAILY;BYHOUR=1;BYHOUR=2",
                "FREQ=DAILY;BYHOUR=1;COUNT=3",
                "FREQ=DAILY;BYHOUR=24",
                "FREQ=DAILY;BYHOUR=",
                "FREQ=DAILY;BYHOUR=1,",
                "FREQ=DAILY;BYHOUR=-1",
                "FREQ=DAILY;BYHOUR=+1",
                "FREQ=DAILY;BYHOUR=001",
                "FREQ=DAILY;BYHOUR=1;BYMINUTE=60",
                "FREQ=DAILY;BYHOUR=1;BYMINUTE=0,30",
                "FREQ=DAILY;BYHOUR=1;INTERVAL=0",
                "FREQ=DAILY;BYHOUR=1;INTERVAL=31",
                "FREQ=DAILY;BYHOUR=1;BYDAY=MO",
                "FREQ=WEEKLY;BYHOUR=1",
                "FREQ=WEEKLY;BYHOUR=1;BYDAY=MO;INTERVAL=2",
                "FREQ=WEEKLY;BYHOUR=1;BYDAY=1MO",
                "FREQ=WEEKLY;BYHOUR=1;BYDAY=MO, TU",
                "FREQ=WEEKLY;BYHOUR=1;BYDAY=",
            ]
            .map(|text| verdict(&[text])),
        );
        lines.push(verdict(&[
            "FREQ=WEEKLY;BYDAY=SU;BYHOUR=1",
            "FREQ=DAILY;INTERVAL=7;BYHOUR=1;BYMINUTE=59",
        ]));
        lines.push(verdict(&[
            "FREQ=DAILY;BYHOUR=0,1,2,3,4,5,6,7,8,9,10,11,12",
            "FREQ=DAILY;BYHOUR=0,1,2,3,4,5,6,7,8,9,10,11;BYMINUTE=30",
        ]));
        insta::assert_snapshot!(lines.join("\n"), @r"
        a policy takes 1 to 24 patterns, not 0
        a policy takes 1 to 24 patterns, not 25
        pattern 1 '': '' is not KEY=VALUE
        pattern 1 'FREQ=DAILY;BYHOUR=1;': '' is not KEY=VALUE
        pattern 1 'FREQ=DAILY BYHOUR=1': FREQ is 'DAILY BYHOUR=1', but must be WEEKLY or DAILY
        pattern 1 'FREQ=HOURLY;BYHOUR=1': FREQ is 'HOURLY', but must be WEEKLY or DAILY
        pattern 1 'freq=DAILY;BYHOUR=1': freq is not one of FREQ, INTERVAL, BYDAY, BYHOUR, BYMINUTE
        pattern 1 'FREQ=daily;BYHOUR=1': FREQ is 'daily', but must be WEEKLY or DAILY
        pattern 1 'RRULE:FREQ=DAILY;BYHOUR=1': RRULE:FREQ is not one of FREQ, INTERVAL, BYDAY, BYHOUR, BYMINUTE
        pattern 1 'BYHOUR=1': FREQ is missing
        pattern 1 'FREQ=DAILY': BYHOUR is missing
        pattern 1 'FREQ=DAILY;BYHOUR=1;BYHOUR=2': BYHOUR is given twice
        pattern 1 'FREQ=DAILY;BYHOUR=1;COUNT=3': COUNT is not one of FREQ, INTERVAL, BYDAY, BYHOUR, BYMINUTE
        pattern 1 'FREQ=DAILY;BYHOUR=24': BYHOUR is '24', but must be 0 to 23, or several with commas
        pattern 1 'FREQ=DAILY;BYHOUR=': BYHOUR is '', but must be 0 to 23, or several with commas
        pattern 1 'FREQ=DAILY;BYHOUR=1,': BYHOUR is '1,', but must be 0 to 23, or several with commas
        pattern 1 'FREQ=DAILY;BYHOUR=-1': BYHOUR is '-1', but must be 0 to 23, or several with commas
        pattern 1 'FREQ=DAILY;BYHOUR=+1': BYHOUR is '+1', but must be 0 to 23, or several with commas
        pattern 1 'FREQ=DAILY;BYHOUR=001': BYHOUR is '001', but must be 0 to 23, or several with commas
        pattern 1 'FREQ=DAILY;BYHOUR=1;BYMINUTE=60': BYMINUTE is '60', but must be 0 to 59
        pattern 1 'FREQ=DAILY;BYHOUR=1;BYMINUTE=0,30': BYMINUTE is '0,30', but must be 0 to 59
        pattern 1 'FREQ=DAILY;BYHOUR=1;INTERVAL=0': INTERVAL is '0', but must be 1 to 30
        pattern 1 'FREQ=DAILY;BYHOUR=1;INTERVAL=31': INTERVAL is '31', but must be 1 to 30
        pattern 1 'FREQ=DAILY;BYHOUR=1;BYDAY=MO': BYDAY does not go with FREQ=DAILY
        pattern 1 'FREQ=WEEKLY;BYHOUR=1': BYDAY is missing
        pattern 1 'FREQ=WEEKLY;BYHOUR=1;BYDAY=MO;INTERVAL=2': INTERVAL does not go with FREQ=WEEKLY
        pattern 1 'FREQ=WEEKLY;BYHOUR=1;BYDAY=1MO': BYDAY is '1MO', but must be MO, TU, WE, TH, FR, SA, SU with commas
        pattern 1 'FREQ=WEEKLY;BYHOUR=1;BYDAY=MO, TU': BYDAY is 'MO, TU', but must be MO, TU, WE, TH, FR, SA, SU with commas
        pattern 1 'FREQ=WEEKLY;BYHOUR=1;BYDAY=': BYDAY is '', but must be MO, TU, WE, TH, FR, SA, SU with commas
        BYHOUR, BYMINUTE: runs at 01:00 and 01:59 may fall on one day, less than 60 minutes apart
        BYHOUR: 25 runs may fall on one day, more than 24
        ");
    }
}
