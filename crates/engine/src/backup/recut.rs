//! Cutting a window anew where it changed, and taking over the rest of its old page.
//!
//! A cut depends on nothing but where the chunk before it ended and on the blocks since then.
//! So from any place where an old chunk starts and a new one would too, the old chunks are
//! the new ones, as far as nothing changed; and the page comes out as if all had been read.

use std::ops::Range;

use emberkeep_format::{BLOCK, Page, PageEntry, Verdict, is_zero};
use emberkeep_volumes::ExtentKind;

use super::windows::{Part, PartKind};
use super::worker::{Halt, Verify, Worker, place};

/// Bytes read at once where it is not known how far it is to the next old cut.
const STEP: u32 = 64 << 10;
/// A block, in the width of offsets in a window.
const GRAIN: u32 = 4096;
const _: () = assert!(GRAIN as usize == BLOCK);
/// Bytes read at once at most.
const SLICE: u32 = 512 << 10;
/// One window in so many has a chunk of it compared.
const SAMPLED: u64 = 8;

/// A window: its parts and its old page, all counted from its start.
struct Layout<'p> {
    parts: Vec<(Range<u32>, PartKind)>,
    old: &'p [PageEntry],
    end: u32,
    max: u32,
}

impl<'p> Layout<'p> {
    fn new(range: &Range<u64>, parts: &[Part], old: &'p Page, max: u32) -> Self {
        let at = |offset: u64| place(offset - range.start);
        Self {
            parts: parts
                .iter()
                .map(|part| (at(part.range.start)..at(part.range.end), part.kind))
                .collect(),
            old: &old.entries,
            end: at(range.end),
            max,
        }
    }

    fn part(&self, at: u32) -> &(Range<u32>, PartKind) {
        let behind = self.parts.partition_point(|(range, _)| range.end <= at);
        &self.parts[behind]
    }

    fn is_same(&self, range: Range<u32>) -> bool {
        let mut at = range.start;
        while at < range.end {
            if at >= self.end {
                return false;
            }
            let (part, kind) = self.part(at);
            if *kind != PartKind::Same {
                return false;
            }
            at = part.end;
        }
        true
    }

    /// Returns the first old chunk that starts at `at` or later.
    fn next(&self, at: u32) -> Option<&'p PageEntry> {
        let behind = self.old.partition_point(|entry| entry.offset < at);
        self.old.get(behind)
    }

    /// Tells whether the old page had zeroes at `at`.
    fn was_zero(&self, at: u32) -> bool {
        let behind = self.old.partition_point(|entry| entry.offset <= at);
        behind == 0 || self.old[behind - 1].end() <= at
    }

    /// Tells whether the chunk is still what would be cut here: its bytes are the same, and it
    /// did not end because of something that is not so any more.
    fn still_holds(&self, entry: &PageEntry) -> bool {
        self.is_same(entry.offset..entry.end())
            && (entry.end() == self.end
                || entry.length == self.max
                || self.part(entry.end()).1 != PartKind::Data)
    }

    /// Returns the end of what can be read on from `at` without meeting known zeroes.
    fn readable(&self, at: u32) -> u32 {
        let (part, kind) = self.part(at);
        match kind {
            PartKind::Data => part.end,
            PartKind::Zero => at,
            PartKind::Same => {
                let behind = self.old.partition_point(|entry| entry.offset <= at);
                let covered = self.old[..behind].last().map_or(at, PageEntry::end);
                part.end.min(covered.max(at))
            }
        }
    }
}

/// What of the volume is in the buffer, counted from the window's start.
struct View {
    start: u32,
    end: u32,
}

impl Worker<'_> {
    /// Makes the window's new page from its old one and what is read.
    pub(super) fn recut(
        &mut self,
        range: &Range<u64>,
        parts: &[Part],
        old: &Page,
    ) -> Result<(), Halt> {
        let layout = Layout::new(range, parts, old, self.max);
        let mut view = View { start: 0, end: 0 };
        let mut at = 0;
        // Here a chunk would start, were there data.
        while at < layout.end {
            let next = layout.next(at);
            if let Some(entry) = next.filter(|entry| entry.offset == at)
                && layout.still_holds(entry)
                && self.sink.known.has(&entry.id)
            {
                self.sink.keep(*entry)?;
                at = entry.end();
                continue;
            }
            let (part, kind) = layout.part(at);
            at = match kind {
                PartKind::Zero => part.end,
                PartKind::Same if layout.was_zero(at) => {
                    next.map_or(part.end, |entry| entry.offset.min(part.end))
                }
                PartKind::Data | PartKind::Same => {
                    self.cut_one(range.start, &layout, at, &mut view)?
                }
            };
        }
        Ok(())
    }

    /// Cuts one chunk that starts at `open`; returns where the next one may start.
    fn cut_one(
        &mut self,
        origin: u64,
        layout: &Layout<'_>,
        open: u32,
        view: &mut View,
    ) -> Result<u32, Halt> {
        self.cutter.restart();
        let mut at = open;
        let (end, next) = loop {
            let stop = at == layout.end || layout.readable(at) == at;
            if stop {
                break (at, at);
            }
            let block_end = (at + GRAIN).min(layout.end);
            if block_end > view.end || open < view.start {
                self.fill(origin, layout, open, at, view)?;
            }
            let block = (at - view.start) as usize..(block_end - view.start) as usize;
            match self.cutter.judge(&self.buffer[block]) {
                Verdict::Extend => at = block_end,
                Verdict::Cut => break (block_end, block_end),
                Verdict::Zero => break (at, block_end),
            }
        };
        if open < end {
            let chunk = (open - view.start) as usize..(end - view.start) as usize;
            self.sink.chunk(open, &self.buffer[chunk])?;
        }
        Ok(next)
    }

    /// Reads on, so that the buffer holds what lies from `open` to the block at `at`.
    fn fill(
        &mut self,
        origin: u64,
        layout: &Layout<'_>,
        open: u32,
        at: u32,
        view: &mut View,
    ) -> Result<(), Halt> {
        if (view.start..view.end).contains(&open) {
            let kept = (open - view.start) as usize..(view.end - view.start) as usize;
            self.buffer.copy_within(kept, 0);
        } else {
            view.end = open;
        }
        view.start = open;
        let (_, kind) = layout.part(at);
        let step = if *kind == PartKind::Data { SLICE } else { STEP };
        let from = view.end;
        let limit = layout.readable(from.max(at)).min(from.max(at) + step);
        let until = limit.max((at + GRAIN).min(layout.end));
        self.read(
            origin + u64::from(from),
            (from - view.start) as usize..(until - view.start) as usize,
        )?;
        view.end = until;
        Ok(())
    }

    fn read(&mut self, position: u64, to: Range<usize>) -> Result<(), Halt> {
        let length = to.len() as u64;
        self.source.read_at(position, &mut self.buffer[to])?;
        self.run.add_read(length);
        self.sink.totals.count_read(length);
        Ok(())
    }

    /// Reads and compares what is said to be unchanged: all of it, or one chunk of some windows.
    pub(super) fn verify(
        &mut self,
        range: &Range<u64>,
        parts: &[Part],
        old: &Page,
    ) -> Result<(), Halt> {
        let layout = Layout::new(range, parts, old, self.max);
        let mut kept: Vec<&PageEntry> = old
            .entries
            .iter()
            .filter(|entry| layout.is_same(entry.offset..entry.end()))
            .collect();
        if self.verify == Verify::Sample {
            if kept.is_empty() || self.dice.throw(SAMPLED) != 0 {
                return Ok(());
            }
            let chosen = usize::try_from(self.dice.throw(kept.len() as u64)).unwrap_or(0);
            kept = vec![kept[chosen]];
        }
        for entry in kept {
            self.compare(range.start, entry)?;
        }
        if self.verify == Verify::All {
            self.compare_gaps(range, &layout)?;
        }
        Ok(())
    }

    /// Compares one chunk with the volume.
    pub(super) fn compare(&mut self, origin: u64, entry: &PageEntry) -> Result<(), Halt> {
        self.sink.not_cancelled()?;
        let (start, length) = (origin + u64::from(entry.offset), entry.length as usize);
        if self.buffer.len() < length {
            self.buffer.resize(length, 0);
        }
        self.read(start, 0..length)?;
        self.sink.totals.verified += length as u64;
        if self.sink.space.keys.chunk_ids.id(&self.buffer[..length]) == entry.id {
            Ok(())
        } else {
            Err(lie(start, start + length as u64))
        }
    }

    /// Looks that what was zero and is said to be unchanged is zero still.
    fn compare_gaps(&mut self, range: &Range<u64>, layout: &Layout<'_>) -> Result<(), Halt> {
        let (_, extents) = self.source.extents(range.clone(), None)?;
        let mut at = 0;
        while at < layout.end {
            let (part, kind) = layout.part(at);
            let end = layout.next(at).map_or(part.end, |e| e.offset.min(part.end));
            if *kind != PartKind::Same {
                at = part.end;
                continue;
            }
            if !layout.was_zero(at) {
                at = layout.readable(at);
                continue;
            }
            let gap = range.start + u64::from(at)..range.start + u64::from(end);
            for extent in extents.iter().filter(|e| e.kind != ExtentKind::Zero) {
                let start = extent.offset.max(gap.start);
                let end = extent.offset.saturating_add(extent.length).min(gap.end);
                self.compare_zero(start..end)?;
            }
            at = end;
        }
        Ok(())
    }

    /// Looks that a stretch is zero.
    pub(super) fn compare_zero(&mut self, range: Range<u64>) -> Result<(), Halt> {
        let mut at = range.start;
        while at < range.end {
            self.sink.not_cancelled()?;
            let length = usize::try_from(range.end - at)
                .unwrap_or(usize::MAX)
                .min(SLICE as usize);
            self.read(at, 0..length)?;
            self.sink.totals.verified += length as u64;
            if !is_zero(&self.buffer[..length]) {
                return Err(lie(at, at + length as u64));
            }
            at += length as u64;
        }
        Ok(())
    }
}

fn lie(start: u64, end: u64) -> Halt {
    Halt::Distrust(format!(
        "the source said that bytes {start} to {end} had not changed, but they had"
    ))
}
