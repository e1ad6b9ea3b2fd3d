//! When the next run is, and whether one is due.

use std::collections::BTreeSet;

use emberkeep_model::{Policy, Timestamp};
use jiff::civil::{Date, Time};

use crate::pattern::{PatternError, Patterns};
use crate::zone::{Zone, ZoneError};

/// A missed run is caught up if it is younger than this.
const CATCH_UP_SECS: i64 = 60 * 60;

/// How far back to look for missed runs. Runs are at most 30 days apart, and a day more where
/// a zone skips one, so this holds two of them: enough to tell the latest from the only one.
const LOOK_BACK_SECS: i64 = 64 * 24 * 60 * 60;

/// Why a policy has no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Its patterns are not understood.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// Its time zone is not known.
    #[error(transparent)]
    Zone(#[from] ZoneError),
}

/// The runs of one policy, from its creation on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    patterns: Patterns,
    zone: Zone,
    created_at: Timestamp,
}

/// What to do about a schedule now.
///
/// Whoever acts on `Run` or `Missed` saves `at` as the new `settled_until`, in the same unit
/// of work as the run it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// One run has come due.
    Run {
        /// The run's instant, which has passed.
        at: Timestamp,
    },
    /// More than one run has passed, or one long ago.
    Missed {
        /// The instant of the latest of them.
        at: Timestamp,
        /// That one is recent enough to be caught up. The others never are.
        run_once: bool,
    },
    /// Nothing is due.
    Wait {
        /// The next run; after the year 9999 the end of time.
        until: Timestamp,
    },
}

impl Decision {
    /// Returns the instant of the run to start now, if any.
    pub fn run(self) -> Option<Timestamp> {
        match self {
            Self::Run { at } | Self::Missed { at, run_once: true } => Some(at),
            Self::Missed {
                run_once: false, ..
            }
            | Self::Wait { .. } => None,
        }
    }

    /// Returns the instant up to which the schedule is settled once this was acted on, if
    /// that changes.
    pub fn settles(self) -> Option<Timestamp> {
        match self {
            Self::Run { at } | Self::Missed { at, .. } => Some(at),
            Self::Wait { .. } => None,
        }
    }
}

impl Schedule {
    /// Makes the schedule of a policy created at `created_at` from what has been read already.
    pub fn new(patterns: Patterns, zone: Zone, created_at: Timestamp) -> Self {
        Self {
            patterns,
            zone,
            created_at,
        }
    }

    /// Reads the schedule of a policy, be it enabled or not. How far apart runs must be was asked
    /// when the policy was made: what was allowed then still runs.
    pub fn of(policy: &Policy) -> Result<Self, ScheduleError> {
        Self::apart(policy, 1)
    }

    /// The same for a policy that is being made: its runs on one day must be so many minutes apart.
    pub fn apart(policy: &Policy, minutes: u16) -> Result<Self, ScheduleError> {
        let zone = policy.zone.as_deref();
        Ok(Self {
            patterns: Patterns::parse_apart(&policy.patterns, minutes)?,
            zone: zone.map_or(Ok(Zone::UTC), Zone::from_name)?,
            created_at: policy.created_at,
        })
    }

    /// Lists the runs after `after`, each instant once, in order of time.
    pub fn next_runs(&self, after: Timestamp) -> NextRuns<'_> {
        let after = after.max(self.created_at);
        let day = self.zone.day_of(after);
        NextRuns {
            schedule: self,
            after,
            created: self.zone.day_of(self.created_at),
            // A time that the clocks skip may have moved over from the day before.
            day: Some(day.yesterday().unwrap_or(day)),
            ready_until: Timestamp(i64::MIN),
            found: BTreeSet::new(),
        }
    }

    /// Decides what to do at `now` when all runs up to `settled_until` have been dealt with.
    ///
    /// Runs that have passed since are one run at most, the latest. A clock that was set back
    /// brings nothing twice: what is settled stays so, and the schedule goes on once the clock
    /// is past it.
    pub fn due(&self, settled_until: Timestamp, now: Timestamp) -> Decision {
        let from = settled_until.max(now.plus_secs(-LOOK_BACK_SECS));
        let mut passed = self.next_runs(from).take_while(|at| *at <= now);
        let Some(first) = passed.next() else {
            let until = self.next_runs(settled_until.max(now)).next();
            return Decision::Wait {
                until: until.unwrap_or(Timestamp(i64::MAX)),
            };
        };
        let (at, only_one) = passed.last().map_or((first, true), |last| (last, false));
        let recent = now < at.plus_secs(CATCH_UP_SECS);
        if only_one && recent {
            Decision::Run { at }
        } else {
            Decision::Missed {
                at,
                run_once: recent,
            }
        }
    }
}

/// The runs of a schedule, see [`Schedule::next_runs`].
#[derive(Debug, Clone)]
pub struct NextRuns<'a> {
    schedule: &'a Schedule,
    after: Timestamp,
    created: Date,
    /// The next day to look at.
    day: Option<Date>,
    /// What was found before this instant is complete and in order.
    ready_until: Timestamp,
    found: BTreeSet<Timestamp>,
}

impl Iterator for NextRuns<'_> {
    type Item = Timestamp;

    fn next(&mut self) -> Option<Timestamp> {
        loop {
            let ready = self.found.first().is_some_and(|at| *at < self.ready_until);
            let Some(day) = self.day.filter(|_| !ready) else {
                return self.found.pop_first();
            };
            self.look_at(day);
        }
    }
}

impl NextRuns<'_> {
    // A time that the clocks skip moves behind later ones of its day, or into the next day
    // (or a whole day on, where a zone skipped one to cross the date line). So a day's runs are
    // ready only up to its own midnight: no later day has a run before that.
    fn look_at(&mut self, day: Date) {
        let Schedule { patterns, zone, .. } = self.schedule;
        let runs = patterns
            .runs_on(day, self.created)
            .filter_map(|local| zone.instant_of(local))
            .filter(|at| *at > self.after);
        self.found.extend(runs);
        let midnight = zone.instant_of(day.to_datetime(Time::midnight()));
        self.ready_until = midnight.unwrap_or(self.ready_until);
        self.day = day.tomorrow().ok();
    }
}

#[cfg(test)]
mod tests;
