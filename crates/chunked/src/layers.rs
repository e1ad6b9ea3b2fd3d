//! Finds out which backup of a chain holds each part of the volume.

use std::collections::BTreeMap;
use std::ops::Range;

/// A part of the volume, and the object that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) object: ObjectIndex,
    /// Where in the object its bytes begin.
    pub(crate) skip: u64,
}

/// An object of a chain: which backup, newest first, and which of its objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ObjectIndex {
    pub(crate) layer: u32,
    pub(crate) entry: u32,
}

/// Covers a volume from the newest backup down: what is covered stays as it is.
#[derive(Debug, Default)]
pub(crate) struct Cover(BTreeMap<u64, Segment>);

impl Cover {
    /// Gives `object` those parts of `range` that nothing newer holds.
    pub(crate) fn add(&mut self, range: Range<u64>, object: ObjectIndex) {
        let mut at = range.start;
        if let Some((_, before)) = self.0.range(..=at).next_back() {
            at = at.max(before.end);
        }
        while at < range.end {
            let next = self.0.range(at..range.end).next().map(|(_, next)| *next);
            let end = next.map_or(range.end, |next| next.start);
            if at < end {
                let skip = at - range.start;
                self.0.insert(
                    at,
                    Segment {
                        start: at,
                        end,
                        object,
                        skip,
                    },
                );
            }
            at = next.map_or(range.end, |next| next.end);
        }
    }

    /// Returns the parts in the order of the volume.
    pub(crate) fn into_segments(self) -> Vec<Segment> {
        self.0.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn object(layer: u32, entry: u32) -> ObjectIndex {
        ObjectIndex { layer, entry }
    }

    proptest! {
        #[test]
        fn the_newest_wins_byte_by_byte(
            layers in prop::collection::vec(prop::collection::vec((0..60_u64, 1..30_u64), 0..5), 0..5)
        ) {
            let mut cover = Cover::default();
            let mut want: Vec<Option<(ObjectIndex, u64)>> = vec![None; 100];
            for (layer, ranges) in (0..).zip(&layers) {
                for (entry, (start, length)) in (0..).zip(ranges) {
                    let range = *start..start + length;
                    cover.add(range.clone(), object(layer, entry));
                    for at in range.clone() {
                        want[usize::try_from(at).expect("small")]
                            .get_or_insert((object(layer, entry), at - range.start));
                    }
                }
            }
            let mut got = vec![None; 100];
            let mut last = 0;
            for segment in cover.into_segments() {
                prop_assert!(last <= segment.start && segment.start < segment.end);
                last = segment.end;
                for at in segment.start..segment.end {
                    got[usize::try_from(at).expect("small")] =
                        Some((segment.object, segment.skip + at - segment.start));
                }
            }
            prop_assert_eq!(got, want);
        }
    }
}
