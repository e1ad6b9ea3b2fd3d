//! Hands out the windows of a volume, in order, with the parts of each that may hold data.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use emberkeep_format::BLOCK;
use emberkeep_volumes::{ChangeSet, Extent, ExtentKind, SourceSnapshot, VolumeError};

/// Windows asked about at once: 1 GiB of an empty volume costs one question.
const AHEAD: u64 = 64;

/// One window that may hold data.
pub(crate) struct Window {
    /// Its turn: windows that are known to be zero take none.
    pub(crate) turn: u64,
    /// Its number in the volume.
    pub(crate) number: u64,
    /// Where it lies in the volume.
    pub(crate) range: Range<u64>,
    /// Stretches to read, on block borders except at the volume's end.
    pub(crate) data: Vec<Range<u64>>,
    /// Bytes before it that no window was made of.
    pub(crate) skipped: u64,
}

/// The windows of one volume, shared by all workers.
pub(crate) struct Windows<'a> {
    source: &'a dyn SourceSnapshot,
    window: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Window>,
    /// Where the next question starts.
    asked: u64,
    /// Up to where windows were made or left out.
    covered: u64,
    turns: u64,
    reason: Option<String>,
}

impl<'a> Windows<'a> {
    pub(crate) fn new(source: &'a dyn SourceSnapshot, window: u32) -> Self {
        Self {
            source,
            window: window.into(),
            state: Mutex::default(),
        }
    }

    /// Returns the number of windows, empty ones among them.
    pub(crate) fn count(&self) -> u64 {
        self.source.size().0.div_ceil(self.window)
    }

    /// Returns why the whole volume was read.
    pub(crate) fn reason(&self) -> String {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state
            .reason
            .clone()
            .unwrap_or_else(|| "the volume is empty".to_owned())
    }

    /// Returns the next window; none at the end, with the bytes after the last window.
    pub(crate) fn next(&self) -> Result<Result<Window, Tail>, VolumeError> {
        let size = self.source.size().0;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(mut window) = state.ready.pop_front() {
                window.skipped = window.range.start - state.covered;
                state.covered = window.range.end;
                return Ok(Ok(window));
            }
            if state.asked >= size {
                let skipped = size - state.covered;
                state.covered = size;
                return Ok(Err(Tail {
                    turns: state.turns,
                    skipped,
                }));
            }
            let span = state.asked..size.min(state.asked + AHEAD * self.window);
            let (changes, extents) = self.source.extents(span.clone(), None)?;
            state.reason.get_or_insert(match changes {
                ChangeSet::FullScan { reason } => reason,
                ChangeSet::Since { .. } => "no lineage was asked about".to_owned(),
            });
            state.asked = span.end;
            self.split(&mut state, &data_ranges(span, size, &extents));
        }
    }

    fn split(&self, state: &mut State, data: &[Range<u64>]) {
        let size = self.source.size().0;
        for range in data {
            let mut start = range.start;
            while start < range.end {
                let number = start / self.window;
                let bounds = number * self.window..size.min((number + 1) * self.window);
                let part = start..range.end.min(bounds.end);
                start = part.end;
                match state.ready.back_mut() {
                    Some(last) if last.number == number => last.data.push(part),
                    _ => {
                        let turn = state.turns;
                        state.turns += 1;
                        state.ready.push_back(Window {
                            turn,
                            number,
                            range: bounds,
                            data: vec![part],
                            skipped: 0,
                        });
                    }
                }
            }
        }
    }
}

/// The end of a volume.
pub(crate) struct Tail {
    /// Windows that were handed out in all.
    pub(crate) turns: u64,
    /// Bytes after the last of them, told to the first worker that comes here.
    pub(crate) skipped: u64,
}

/// Takes from `span` what is said to be zero, a whole block at a time. Whatever a source
/// does not call zero is read, so that one that leaves gaps loses nothing.
fn data_ranges(span: Range<u64>, size: u64, extents: &[Extent]) -> Vec<Range<u64>> {
    const GRAIN: u64 = BLOCK as u64;
    let mut data = Vec::new();
    let mut from = span.start;
    for extent in extents
        .iter()
        .filter(|extent| extent.kind == ExtentKind::Zero)
    {
        let end = extent.offset.saturating_add(extent.length).min(span.end);
        let zero_end = if end == size {
            end
        } else {
            end / GRAIN * GRAIN
        };
        let zero_start = extent.offset.next_multiple_of(GRAIN).max(from);
        if zero_start < zero_end {
            if from < zero_start {
                data.push(from..zero_start);
            }
            from = zero_end;
        }
    }
    if from < span.end {
        data.push(from..span.end);
    }
    data
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
            let found: Vec<_> = data_ranges(0..20_000, 20_000, &extents)
                .into_iter()
                .map(|range| (range.start, range.end))
                .collect();
            assert_eq!(found, want, "{what}");
        }
    }
}
