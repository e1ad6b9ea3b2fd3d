//! Which backups stay and which go, with the reasons.

mod reason;
mod rules;

use std::cmp::Reverse;

use emberkeep_model::{Backup, BackupId, BackupState, Timestamp, VolumeId};
use jiff::civil::Date;

pub use reason::{DropReason, Fate, KeepReason, Period, Verdict};
pub use rules::{RuleError, Rules, read_rules};

use crate::zone::Zone;

/// Failed automatic backups kept for each resource, at most and for a month at most.
const FAILED_KEPT: u32 = 10;

const DAY_MICROS: u64 = 24 * 60 * 60 * 1_000_000;

/// Who asked for a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A person: retention neither counts nor deletes it.
    Manual,
    /// A schedule.
    Automatic,
}

/// How far a backup has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Progress {
    /// It is not complete yet.
    Making,
    /// It can be restored.
    Complete,
    /// It was complete, but part of its data cannot be read any more.
    Damaged,
    /// It could not be made.
    Failed,
}

/// What keeps a backup from being dropped, whatever the rules say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Holds {
    /// A lock is in force on it.
    pub locked: bool,
    /// Another project may use it.
    pub shared: bool,
    /// It is being restored, read, copied, or the next backup is made from it.
    pub in_use: bool,
}

/// What retention needs to know of one backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// The backup.
    pub backup: BackupId,
    /// What it is of. Rules count for each resource on its own.
    pub resource: VolumeId,
    /// When it was made.
    pub made_at: Timestamp,
    /// When it expires, as fixed when it was made.
    pub expires_at: Option<Timestamp>,
    /// Who asked for it.
    pub origin: Origin,
    /// How far it has come.
    pub progress: Progress,
    /// What keeps it.
    pub holds: Holds,
}

impl Point {
    /// Takes from a backup's row what it says; none for a backup that is on its way out
    /// already. Expiry, locks, shares and other uses are for the caller to add.
    pub fn of(backup: &Backup) -> Option<Self> {
        let (progress, in_use) = match &backup.state {
            BackupState::Queued | BackupState::Copying => (Progress::Making, false),
            BackupState::Available(_) => (Progress::Complete, false),
            BackupState::Damaged(_) => (Progress::Damaged, false),
            BackupState::RestoreQueued { .. } | BackupState::Restoring { .. } => {
                (Progress::Complete, true)
            }
            BackupState::Failed { .. } => (Progress::Failed, false),
            BackupState::DeleteQueued | BackupState::Deleting | BackupState::Deleted => {
                return None;
            }
        };
        Some(Self {
            backup: backup.id,
            resource: backup.volume_id,
            made_at: backup.created_at,
            expires_at: None,
            origin: if backup.automatic {
                Origin::Automatic
            } else {
                Origin::Manual
            },
            progress,
            holds: Holds {
                in_use,
                ..Holds::default()
            },
        })
    }
}

/// Decides the fate of every point under `rules`, with days and weeks beginning as in `zone`;
/// by resource and then newest first, in whatever order the points come.
///
/// Nothing is removed here. A preview shows the verdicts and the real run deletes the drops,
/// so both are sure to agree. What has expired goes, whatever else would keep it but a hold;
/// what is left is kept if any rule keeps it (`cbr-v3.md §2.5`). Periods without a backup do
/// not count: a machine that was off for a month keeps as many monthly backups as before.
pub fn judge(points: &[Point], rules: &Rules, zone: &Zone, now: Timestamp) -> Vec<Verdict> {
    let mut points: Vec<&Point> = points.iter().collect();
    points.sort_by_key(|point| (point.resource, Reverse((point.made_at, point.backup))));
    points
        .chunk_by(|one, next| one.resource == next.resource)
        .flat_map(|of_one_resource| {
            let mut bench = Bench::new(rules, zone, now);
            of_one_resource
                .iter()
                .map(move |point| bench.verdict(point))
        })
        .collect()
}

/// Judges the points of one resource, which must come newest first.
struct Bench<'a> {
    rules: &'a Rules,
    zone: &'a Zone,
    now: Timestamp,
    complete: u32,
    failed: u32,
    pickers: [Picker; Period::ALL.len()],
}

impl<'a> Bench<'a> {
    fn new(rules: &'a Rules, zone: &'a Zone, now: Timestamp) -> Self {
        Self {
            rules,
            zone,
            now,
            complete: 0,
            failed: 0,
            pickers: Period::ALL.map(|period| Picker {
                period,
                most: rules.periods(period),
                picked: 0,
                last: None,
            }),
        }
    }

    fn verdict(&mut self, point: &Point) -> Verdict {
        let holds = point.holds.reasons();
        let fate = match self.by_rules(point) {
            Ok(mut reasons) => {
                reasons.extend(holds);
                Fate::Keep { reasons }
            }
            Err(reason) => {
                let reasons: Vec<_> = holds.collect();
                if reasons.is_empty() {
                    Fate::Drop { reason }
                } else {
                    Fate::Keep { reasons }
                }
            }
        };
        Verdict {
            backup: point.backup,
            fate,
        }
    }

    fn by_rules(&mut self, point: &Point) -> Result<Vec<KeepReason>, DropReason> {
        match (point.origin, point.progress) {
            (_, Progress::Making) => Ok(vec![KeepReason::Unfinished]),
            (Origin::Manual, Progress::Complete | Progress::Damaged | Progress::Failed) => {
                Ok(vec![KeepReason::Manual])
            }
            (Origin::Automatic, Progress::Damaged) => self.damaged(point),
            (Origin::Automatic, Progress::Failed) => self.failed(point),
            (Origin::Automatic, Progress::Complete) => self.complete(point),
        }
    }

    fn failed(&mut self, point: &Point) -> Result<Vec<KeepReason>, DropReason> {
        self.failed += 1;
        if self.failed > FAILED_KEPT {
            Err(DropReason::FailedTooMany { most: FAILED_KEPT })
        } else if self.zone.month_after(point.made_at) <= self.now {
            Err(DropReason::FailedLongAgo)
        } else {
            Ok(vec![KeepReason::Failed {
                rank: self.failed,
                most: FAILED_KEPT,
            }])
        }
    }

    /// What is damaged takes no place that a whole one could have, and goes by its expiry alone:
    /// it may be healed, and a store that was out of reach for an hour looks like damage.
    fn damaged(&self, point: &Point) -> Result<Vec<KeepReason>, DropReason> {
        match self.expired(point) {
            Some(reason) => Err(reason),
            None => Ok(vec![KeepReason::Damaged]),
        }
    }

    fn expired(&self, point: &Point) -> Option<DropReason> {
        let expiry = point.expires_at.filter(|expiry| *expiry <= self.now)?;
        let days = expiry.micros_since(point.made_at) / DAY_MICROS;
        Some(DropReason::Expired { days })
    }

    fn complete(&mut self, point: &Point) -> Result<Vec<KeepReason>, DropReason> {
        // Expired ones take no place that a living one could have.
        if let Some(reason) = self.expired(point) {
            return Err(reason);
        }
        let Some(most) = self.rules.max_backups else {
            let until = |at| KeepReason::NotExpired { until: at };
            return Ok(vec![point.expires_at.map_or(KeepReason::NoLimit, until)]);
        };
        self.complete += 1;
        let newest = (self.complete <= most).then_some(KeepReason::Newest {
            rank: self.complete,
            most,
        });
        let day = self.zone.day_of(point.made_at);
        let picks = self.pickers.iter_mut().filter_map(|p| p.pick(day));
        let reasons: Vec<_> = newest.into_iter().chain(picks).collect();
        if reasons.is_empty() {
            return Err(DropReason::BeyondNewest { most });
        }
        Ok(reasons)
    }
}

/// Picks the last backup of each period, until it has enough.
struct Picker {
    period: Period,
    most: u32,
    picked: u32,
    last: Option<Date>,
}

impl Picker {
    fn pick(&mut self, day: Date) -> Option<KeepReason> {
        let start = self.period.first_day(day);
        if self.picked >= self.most || self.last == Some(start) {
            return None;
        }
        self.last = Some(start);
        self.picked += 1;
        Some(KeepReason::LastOf {
            period: self.period,
            rank: self.picked,
            most: self.most,
        })
    }
}

#[cfg(test)]
mod tests;
