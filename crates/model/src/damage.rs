//! Damage: what is known of a backup whose stored data cannot all be read any more.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::words::words;

words! {
    /// What found damage.
    DamageFinder as "finder of damage" {
        /// The scrub, which re-reads all stored data over time.
        Scrub = "scrub",
        /// A restore.
        Restore = "restore",
        /// An export, or another read of the backup's bytes.
        Export = "export",
        /// A copy to another region.
        Copy = "copy",
        /// The comparison with the repository before a sweep.
        Sweep = "sweep",
        /// The comparison with the repository when the service starts.
        Start = "start",
    }
}

/// Bytes of a volume, from `start` up to but not including `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ByteSpan {
    /// The first byte.
    pub start: u64,
    /// The byte after the last one.
    pub end: u64,
}

/// Damage of one backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupDamage {
    /// What is damaged and how, for people.
    pub what: String,
    /// Bytes of the volume that cannot be restored, in order and apart from each other; the rest
    /// can. Empty where it is not known which, as when the manifest is missing.
    pub lost: Vec<ByteSpan>,
    /// What found it first.
    pub found_by: DamageFinder,
    /// When it was found first.
    pub since: Timestamp,
    /// When it was seen last.
    pub seen_at: Timestamp,
}

impl BackupDamage {
    /// More spans than this are not kept: those nearest to each other are joined.
    pub const MOST_SPANS: usize = 256;
    /// Characters kept of [`BackupDamage::what`].
    const MOST_WHAT: usize = 500;

    /// Describes damage found at `now`.
    pub fn new(
        what: &str,
        lost: impl IntoIterator<Item = ByteSpan>,
        found_by: DamageFinder,
        now: Timestamp,
    ) -> Self {
        Self {
            what: what.chars().take(Self::MOST_WHAT).collect(),
            lost: joined(lost.into_iter().collect(), Self::MOST_SPANS),
            found_by,
            since: now,
            seen_at: now,
        }
    }

    /// Takes in what was found later: lost bytes add up, the beginning and the finder stay.
    #[must_use]
    pub fn and(mut self, later: Self) -> Self {
        // What names no bytes says less than what does.
        if self.lost.is_empty() || !later.lost.is_empty() {
            self.what = later.what;
        }
        self.lost.extend(later.lost);
        self.lost = joined(self.lost, Self::MOST_SPANS);
        self.seen_at = self.seen_at.max(later.seen_at);
        self
    }

    /// Counts the bytes that cannot be restored; 0 where they are not known.
    pub fn lost_bytes(&self) -> u64 {
        self.lost.iter().map(|span| span.end - span.start).sum()
    }

    /// Returns one sentence for people: how much is lost, what found it and what is damaged.
    pub fn summary(&self) -> String {
        let (found_by, what) = (self.found_by, &self.what);
        match self.lost.as_slice() {
            [] => format!("damaged (found by {found_by}): {what}"),
            spans => {
                let (bytes, count) = (self.lost_bytes(), spans.len());
                let ranges = if count == 1 { "range" } else { "ranges" };
                format!(
                    "damaged (found by {found_by}): {bytes} bytes in {count} {ranges} of the volume cannot be restored: {what}"
                )
            }
        }
    }
}

/// Returns the same bytes in order, without overlaps, in at most `most` spans. Where there are
/// more, those with the smallest gaps between them are joined: what is lost is never left out.
fn joined(mut spans: Vec<ByteSpan>, most: usize) -> Vec<ByteSpan> {
    spans.retain(|span| span.start < span.end);
    spans.sort_unstable();
    let mut merged: Vec<ByteSpan> = Vec::with_capacity(spans.len());
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
            _ => merged.push(span),
        }
    }
    if merged.len() <= most {
        return merged;
    }
    let mut gaps: Vec<u64> = merged
        .windows(2)
        .map(|pair| pair[1].start - pair[0].end)
        .collect();
    gaps.sort_unstable();
    // So many of the smallest gaps have to go.
    let mut excess = merged.len() - most;
    let widest = gaps[excess - 1];
    let mut at_widest = excess - gaps.iter().filter(|gap| **gap < widest).count();
    let mut fewer: Vec<ByteSpan> = Vec::with_capacity(most);
    for span in merged {
        if let Some(last) = fewer.last_mut() {
            let gap = span.start - last.end;
            let closes = excess > 0 && (gap < widest || (gap == widest && at_widest > 0));
            if closes {
                excess -= 1;
                at_widest -= usize::from(gap == widest);
                last.end = span.end;
                continue;
            }
        }
        fewer.push(span);
    }
    fewer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: u64, end: u64) -> ByteSpan {
        ByteSpan { start, end }
    }

    #[test]
    fn spans_are_joined_and_never_lose_a_byte() {
        for (name, spans, most, want) in [
            ("none", vec![], 4, vec![]),
            ("empty ones", vec![span(3, 3)], 4, vec![]),
            (
                "overlapping and touching",
                vec![span(8, 12), span(0, 4), span(4, 6), span(10, 11)],
                4,
                vec![span(0, 6), span(8, 12)],
            ),
            (
                "the smallest gap closes first",
                vec![span(0, 1), span(10, 11), span(12, 13), span(40, 41)],
                3,
                vec![span(0, 1), span(10, 13), span(40, 41)],
            ),
            (
                "of equal gaps the first close",
                vec![span(0, 1), span(2, 3), span(4, 5), span(6, 7)],
                2,
                vec![span(0, 5), span(6, 7)],
            ),
        ] {
            assert_eq!(joined(spans, most), want, "{name}");
        }
    }

    #[test]
    fn many_spans_stay_bounded_and_cover_what_was_lost() {
        let spans: Vec<_> = (0..5000u64)
            .map(|at| span(at * 100 + at % 7, at * 100 + 20))
            .collect();
        let kept = joined(spans.clone(), 256);
        assert_eq!(kept.len(), 256);
        for lost in spans {
            let covers = |have: &&ByteSpan| have.start <= lost.start && lost.end <= have.end;
            assert!(kept.iter().any(|have| covers(&have)), "{lost:?}");
        }
    }

    #[test]
    fn what_is_found_later_adds_to_what_is_known() {
        let first = BackupDamage::new("a", [span(0, 5)], DamageFinder::Scrub, Timestamp(1));
        let later = BackupDamage::new("b", [span(5, 9)], DamageFinder::Restore, Timestamp(2));
        let vague = BackupDamage::new("c", [], DamageFinder::Export, Timestamp(3));
        let all = first.and(later).and(vague);
        assert_eq!(all.lost, [span(0, 9)]);
        assert_eq!(
            (all.what.as_str(), all.found_by),
            ("b", DamageFinder::Scrub)
        );
        assert_eq!((all.since, all.seen_at), (Timestamp(1), Timestamp(3)));
    }
}
