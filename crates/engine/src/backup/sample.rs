//! A look here and there whether what was taken over unseen is as it was.

use std::collections::BTreeMap;
use std::ops::Range;

use emberkeep_format::Page;

use super::parent::ParentMap;
use super::worker::{Halt, Totals, Worker};

/// Bytes compared of a window that is said to be zero as before.
const ZERO_SAMPLE: u64 = 64 << 10;

impl Worker<'_> {
    /// Compares so many chunks of the windows in `kept`, and as many stretches of zeroes
    /// where a window held nothing.
    pub(super) fn sample(
        &mut self,
        parent: &mut ParentMap<'_>,
        kept: &[Range<u64>],
        samples: u32,
    ) -> Result<(), Halt> {
        let total: u64 = kept.iter().map(|windows| windows.end - windows.start).sum();
        if total == 0 {
            return Ok(());
        }
        let mut picked = Vec::new();
        for _ in 0..samples {
            let dice = &mut self.dice;
            let found = parent
                .pick(|sides| usize::try_from(dice.throw(sides as u64)).unwrap_or(0))
                .map_err(Halt::of_parent)?;
            picked.extend(found.filter(|w| kept.iter().any(|range| range.contains(w))));
        }
        picked.sort_unstable();
        // All at once: each request to a far-away store takes its time.
        let pages = parent.pages(&picked).map_err(Halt::of_parent)?;
        for window in picked {
            self.sample_chunk(&pages, window)?;
        }
        for _ in 0..samples {
            let mut at = self.dice.throw(total);
            for windows in kept {
                let length = windows.end - windows.start;
                if at < length {
                    self.sample_zeroes(parent, windows.start + at)?;
                    break;
                }
                at -= length;
            }
        }
        Ok(())
    }

    fn sample_chunk(&mut self, pages: &BTreeMap<u64, Page>, window: u64) -> Result<(), Halt> {
        if let Some(page) = pages.get(&window).filter(|page| !page.entries.is_empty()) {
            let at = self.dice.throw(page.entries.len() as u64);
            let entry = page.entries[usize::try_from(at).unwrap_or(0)];
            self.compare(window * self.window_length(), &entry)?;
        }
        Ok(())
    }

    fn sample_zeroes(&mut self, parent: &mut ParentMap<'_>, window: u64) -> Result<(), Halt> {
        let before = parent.present(&(window..window + 1));
        if !before.map_err(Halt::of_parent)?.is_empty() {
            return Ok(());
        }
        let start = window * self.window_length();
        let end = self.source.size().0.min(start + self.window_length());
        let at = start + self.dice.throw(end - start);
        self.compare_zero(at..end.min(at + ZERO_SAMPLE))
    }

    fn window_length(&self) -> u64 {
        self.sink.space.descriptor.window().into()
    }

    pub(super) fn totals(&self) -> Totals {
        self.sink.totals
    }
}
