//! Hands out the windows of a volume, in order, with what is known of each.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use emberkeep_format::BLOCK;
use emberkeep_volumes::{ChangeSet, Extent, ExtentKind, SourceSnapshot, VolumeError};

/// Windows asked about at once, to begin with: 1 GiB costs one question.
const AHEAD: u64 = 64;
/// The most windows asked about at once; reached where there is little to tell of them.
const FAR_AHEAD: u64 = 1 << 20;
/// More extents than this in an answer, and less is asked about the next time.
const MANY_EXTENTS: usize = 4096;

/// What is known of one stretch of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PartKind {
    /// To be read.
    Data,
    /// Zero now.
    Zero,
    /// As in the window's old page.
    Same,
}

/// One stretch of a window, on block borders except at the volume's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) range: Range<u64>,
    pub(crate) kind: PartKind,
}

/// What a worker is handed.
pub(crate) struct Job {
    /// Jobs are packed in the order of their turns.
    pub(crate) turn: u64,
    /// Where it lies in the volume.
    pub(crate) range: Range<u64>,
    /// Bytes before it that there is nothing to do for.
    pub(crate) skipped: u64,
    pub(crate) kind: JobKind,
}

/// What there is to do.
pub(crate) enum JobKind {
    /// One window, by its number, with its parts in order.
    Window(u64, Vec<Part>),
    /// One window that an earlier attempt finished, with its page.
    Done(u64, Vec<u8>),
    /// Windows that are as they were.
    Kept(Range<u64>),
    /// Windows that are zero now.
    Cleared(Range<u64>),
}

/// What is known of the time before.
#[derive(Default)]
pub(crate) struct Before {
    /// The parent's instant and size, where the source may be asked about it.
    pub(crate) since: Option<(String, u64)>,
    /// Whether windows that are said to be unchanged are looked at all the same.
    pub(crate) look_at_all: bool,
    /// Pages of windows that an earlier attempt finished.
    pub(crate) done: BTreeMap<u64, Vec<u8>>,
}

/// The windows of one volume, shared by all workers.
pub(crate) struct Windows<'a> {
    source: &'a dyn SourceSnapshot,
    window: u64,
    since: Option<(String, u64)>,
    look_at_all: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    done: BTreeMap<u64, Vec<u8>>,
    ready: VecDeque<Job>,
    /// Where the next question starts, and how many windows it is about.
    asked: u64,
    ahead: u64,
    /// Up to where jobs were made or left out.
    covered: u64,
    turns: u64,
    learnt: Learnt,
}

/// How it was learnt what to read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Learnt {
    /// Why a part of the volume, or all of it, was read.
    pub(crate) reason: Option<String>,
    /// Bytes that were said to be unchanged, where anything was said.
    pub(crate) kept: Option<u64>,
}

impl<'a> Windows<'a> {
    pub(crate) fn new(source: &'a dyn SourceSnapshot, window: u32, before: Before) -> Self {
        let state = State {
            done: before.done,
            ahead: AHEAD,
            ..State::default()
        };
        Self {
            source,
            window: window.into(),
            since: before.since,
            look_at_all: before.look_at_all,
            state: Mutex::new(state),
        }
    }

    /// Returns the number of windows, empty ones among them.
    pub(crate) fn count(&self) -> u64 {
        self.source.size().0.div_ceil(self.window)
    }

    /// Returns how it was learnt what to read.
    pub(crate) fn learnt(&self) -> Learnt {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.learnt.clone()
    }

    /// Returns the next job; none at the end, with the bytes after the last one.
    pub(crate) fn next(&self) -> Result<Result<Job, Tail>, VolumeError> {
        let size = self.source.size().0;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(mut job) = state.ready.pop_front() {
                job.skipped = job.range.start - state.covered;
                state.covered = job.range.end;
                return Ok(Ok(job));
            }
            if state.asked >= size {
                let skipped = size - state.covered;
                state.covered = size;
                return Ok(Err(Tail {
                    turns: state.turns,
                    skipped,
                }));
            }
            let ahead = state.ahead.saturating_mul(self.window);
            let span = state.asked..size.min(state.asked.saturating_add(ahead));
            let since = self.since.as_ref().map(|(lineage, _)| lineage.as_str());
            let (changes, extents) = self.source.extents(span.clone(), since)?;
            let trusted = match (changes, since) {
                (ChangeSet::Since { lineage }, Some(asked)) if lineage == asked => true,
                (ChangeSet::Since { .. }, Some(_)) => {
                    let reason = "the source told what changed since another instant";
                    state.learnt.reason.get_or_insert_with(|| reason.to_owned());
                    false
                }
                (ChangeSet::Since { .. }, None) => {
                    let reason = "no lineage was asked about";
                    state.learnt.reason.get_or_insert_with(|| reason.to_owned());
                    false
                }
                (ChangeSet::FullScan { reason }, _) => {
                    state.learnt.reason.get_or_insert(reason);
                    false
                }
            };
            state.ahead = if extents.len() > MANY_EXTENTS {
                (state.ahead / 2).max(1)
            } else {
                (state.ahead * 2).min(FAR_AHEAD)
            };
            state.asked = span.end;
            let same_until = match &self.since {
                Some((_, old)) if trusted && *old == size => Some(size),
                // The last block of a volume that was cut off or grew within it has changed.
                Some((_, old)) if trusted => Some((*old).min(size) / GRAIN * GRAIN),
                _ => None,
            };
            let parts = parts(span, size, same_until, &extents);
            self.split(&mut state, parts);
        }
    }

    /// Makes jobs of parts.
    fn split(&self, state: &mut State, parts: Vec<Part>) {
        let size = self.source.size().0;
        let old_size = self.since.as_ref().map(|(_, old)| *old);
        let mut parts = VecDeque::from(parts);
        while let Some(first) = parts.front() {
            let number = first.range.start / self.window;
            let end = size.min((number + 1).saturating_mul(self.window));
            // Long stretches of nothing to do need no look at every window.
            if first.kind == PartKind::Zero
                && state.done.is_empty()
                && first.range.start.is_multiple_of(self.window)
                && first.range.end >= end
            {
                let whole = if first.range.end == size {
                    first.range.clone()
                } else {
                    first.range.start..first.range.end / self.window * self.window
                };
                trim(&mut parts, whole.end);
                self.cleared(state, whole, old_size.is_some());
                continue;
            }
            let mut mine = Vec::new();
            while let Some(part) = parts.front().filter(|part| part.range.start < end) {
                let cut = part.range.end.min(end);
                mine.push(Part {
                    range: part.range.start..cut,
                    kind: part.kind,
                });
                trim(&mut parts, cut);
            }
            let range = number * self.window..end;
            let all = |kind| mine.iter().all(|part| part.kind == kind);
            // A window that the volume's new end cuts off is not what it was.
            let full = old_size == Some(size) || end == (number + 1).saturating_mul(self.window);
            if all(PartKind::Same) {
                *state.learnt.kept.get_or_insert(0) += end - range.start;
            } else if old_size.is_some() && mine.iter().any(|part| part.kind == PartKind::Same) {
                let same = mine.iter().filter(|part| part.kind == PartKind::Same);
                *state.learnt.kept.get_or_insert(0) += same
                    .map(|part| part.range.end - part.range.start)
                    .sum::<u64>();
            }
            if let Some(page) = state.done.remove(&number) {
                push(state, range, JobKind::Done(number, page));
            } else if all(PartKind::Zero) {
                self.cleared(state, range, old_size.is_some());
            } else if all(PartKind::Same) && full && !self.look_at_all {
                match state.ready.back_mut() {
                    Some(Job {
                        range: before,
                        kind: JobKind::Kept(windows),
                        ..
                    }) if before.end == range.start => {
                        before.end = range.end;
                        windows.end = number + 1;
                    }
                    _ => push(state, range, JobKind::Kept(number..number + 1)),
                }
            } else {
                push(state, range, JobKind::Window(number, mine));
            }
        }
    }

    /// Zero windows need attention only where there was a backup before that had data in them.
    fn cleared(&self, state: &mut State, range: Range<u64>, had_before: bool) {
        if had_before {
            let windows = range.start / self.window..range.end.div_ceil(self.window);
            push(state, range, JobKind::Cleared(windows));
        }
    }
}

fn push(state: &mut State, range: Range<u64>, kind: JobKind) {
    let turn = state.turns;
    state.turns += 1;
    state.ready.push_back(Job {
        turn,
        range,
        skipped: 0,
        kind,
    });
}

/// Takes what lies before `until` from the first part.
fn trim(parts: &mut VecDeque<Part>, until: u64) {
    if let Some(first) = parts.front_mut() {
        first.range.start = until;
        if first.range.is_empty() {
            parts.pop_front();
        }
    }
}

/// The end of a volume.
pub(crate) struct Tail {
    /// Jobs that were handed out in all.
    pub(crate) turns: u64,
    /// Bytes after the last of them, told to the first worker that comes here.
    pub(crate) skipped: u64,
}

const GRAIN: u64 = BLOCK as u64;

/// Divides `span` by what is said of it, a whole block at a time. Whatever a source calls
/// neither zero nor unchanged is read, so that one that leaves gaps loses nothing.
/// `same_until` is where the trust in unchanged stretches ends.
fn parts(span: Range<u64>, size: u64, same_until: Option<u64>, extents: &[Extent]) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut from = span.start;
    for extent in extents {
        let (kind, limit) = match (extent.kind, same_until) {
            (ExtentKind::Zero, _) => (PartKind::Zero, span.end),
            (ExtentKind::Unchanged, Some(until)) => (PartKind::Same, span.end.min(until)),
            (ExtentKind::Unchanged, None) | (ExtentKind::Data, _) => continue,
        };
        let end = extent.offset.saturating_add(extent.length).min(limit);
        let end = if end == size {
            end
        } else {
            end / GRAIN * GRAIN
        };
        let start = extent.offset.next_multiple_of(GRAIN).max(from);
        if start >= end {
            continue;
        }
        if from < start {
            parts.push(Part {
                range: from..start,
                kind: PartKind::Data,
            });
        }
        match parts.last_mut() {
            Some(last) if last.kind == kind && last.range.end == start => last.range.end = end,
            _ => parts.push(Part {
                range: start..end,
                kind,
            }),
        }
        from = end;
    }
    if from < span.end {
        parts.push(Part {
            range: from..span.end,
            kind: PartKind::Data,
        });
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_zero_blocks_are_left_out() {
        let zero = |offset, length| Extent {
            offset,
            length,
            kind: ExtentKind::Zero,
        };
        let data = |offset, length| Extent {
            offset,
            length,
            kind: ExtentKind::Data,
        };
        for (what, extents, want) in [
            ("all data", vec![data(0, 20_000)], vec![(0, 20_000)]),
            ("all zero", vec![zero(0, 20_000)], vec![]),
            (
                "a gap counts as data",
                vec![zero(0, 4096)],
                vec![(4096, 20_000)],
            ),
            (
                "unaligned hole",
                vec![data(0, 100), zero(100, 9000)],
                vec![(0, 4096), (8192, 20_000)],
            ),
            (
                "hole within a block",
                vec![zero(100, 3000)],
                vec![(0, 20_000)],
            ),
            (
                "hole to the end",
                vec![data(0, 1), zero(1, 19_999)],
                vec![(0, 4096)],
            ),
            (
                "two holes",
                vec![zero(0, 4096), zero(8192, 4096)],
                vec![(4096, 8192), (12_288, 20_000)],
            ),
        ] {
            let found: Vec<_> = parts(0..20_000, 20_000, None, &extents)
                .into_iter()
                .filter(|part| part.kind == PartKind::Data)
                .map(|part| (part.range.start, part.range.end))
                .collect();
            assert_eq!(found, want, "{what}");
        }
    }

    #[test]
    fn unchanged_is_believed_within_limits() {
        use PartKind::{Data, Same, Zero};
        let same = |offset, length| Extent {
            offset,
            length,
            kind: ExtentKind::Unchanged,
        };
        let zero = Extent {
            kind: ExtentKind::Zero,
            ..same(8192, 4096)
        };
        for (what, until, extents, want) in [
            (
                "not asked",
                None,
                vec![same(0, 20_000)],
                vec![(0, 20_000, Data)],
            ),
            (
                "all",
                Some(20_000),
                vec![same(0, 20_000)],
                vec![(0, 20_000, Same)],
            ),
            (
                "it was shorter",
                Some(8192),
                vec![same(0, 20_000)],
                vec![(0, 8192, Same), (8192, 20_000, Data)],
            ),
            (
                "a hole within",
                Some(20_000),
                vec![same(0, 8192), zero, same(12_288, 7712)],
                vec![
                    (0, 8192, Same),
                    (8192, 12_288, Zero),
                    (12_288, 20_000, Same),
                ],
            ),
            (
                "a changed byte costs its block",
                Some(20_000),
                vec![same(0, 5000), same(5001, 14_999)],
                vec![(0, 4096, Same), (4096, 8192, Data), (8192, 20_000, Same)],
            ),
        ] {
            let found: Vec<_> = parts(0..20_000, 20_000, until, &extents)
                .into_iter()
                .map(|part| (part.range.start, part.range.end, part.kind))
                .collect();
            assert_eq!(found, want, "{what}");
        }
    }
}
