//! What a file system that shares blocks between files knows of two instants of a volume.
//!
//! A clone keeps its blocks for as long as it lies there. Where a later clone of the same volume
//! lies on the same blocks, nothing was written in between, and neither has to be read.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::OnceLock;

use emberkeep_model::VolumeId;
use fiemap::{Fiemap, FiemapExtent, FiemapExtentFlags};
use rustix::fs::{AtFlags, StatxFlags, XattrFlags};

use crate::{Extent, ExtentKind};

/// Says on a clone which volume it was made of. What was copied has no such mark.
const CLONE_OF: &str = "user.emberkeep.clone-of";

/// Notes on a file that it is a clone. Where that cannot be noted it counts as a copy.
pub(crate) fn mark_clone(file: &File, volume: VolumeId) {
    let volume = volume.to_string();
    let _ = rustix::fs::fsetxattr(file, CLONE_OF, volume.as_bytes(), XattrFlags::empty());
}

/// Returns the volume that a file is a clone of, if it is one.
pub(crate) fn clone_of(file: &File) -> Option<VolumeId> {
    let mut text = [0; 64];
    let length = rustix::fs::fgetxattr(file, CLONE_OF, &mut text[..]).ok()?;
    std::str::from_utf8(text.get(..length)?).ok()?.parse().ok()
}

/// Names a file that is never written again: no other was born in its place at that time.
pub(crate) fn name_of(file: &File) -> Option<String> {
    let wanted = StatxFlags::BTIME | StatxFlags::INO;
    let facts = rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, wanted).ok()?;
    let told = StatxFlags::from_bits_retain(facts.stx_mask).contains(wanted);
    let (ino, born) = (facts.stx_ino, facts.stx_btime);
    told.then(|| format!("frozen:{ino}:{}.{:09}", born.tv_sec, born.tv_nsec))
}

/// A clone, and the one that was kept of the instant before.
#[derive(Debug)]
pub(crate) struct Lineage {
    before: Option<(String, File)>,
    /// Where both lie on the same blocks, once somebody has asked.
    shared: OnceLock<Vec<Range<u64>>>,
}

impl Lineage {
    pub(crate) fn new(before: Option<File>) -> Self {
        Self {
            before: before.and_then(|file| Some((name_of(&file)?, file))),
            shared: OnceLock::new(),
        }
    }

    /// Returns where `now` holds what `since` did; none where that one was not kept.
    pub(crate) fn shared(&self, now: &File, since: &str) -> io::Result<Option<&[Range<u64>]>> {
        let Some((_, before)) = self.before.as_ref().filter(|(name, _)| name == since) else {
            return Ok(None);
        };
        if let Some(shared) = self.shared.get() {
            return Ok(Some(shared));
        }
        let found = shared_ranges(before, now)?;
        Ok(Some(self.shared.get_or_init(|| found)))
    }
}

/// Says of data in `ranges` that it has not changed.
pub(crate) fn unchanged_where(extents: Vec<Extent>, ranges: &[Range<u64>]) -> Vec<Extent> {
    let mut told = Vec::with_capacity(extents.len());
    let mut push = |start: u64, end: u64, kind| {
        if start < end {
            told.push(Extent {
                offset: start,
                length: end - start,
                kind,
            });
        }
    };
    for extent in extents {
        let (mut at, end) = (extent.offset, extent.offset + extent.length);
        if extent.kind == ExtentKind::Data {
            let first = ranges.partition_point(|range| range.end <= at);
            for range in ranges[first..].iter().take_while(|range| range.start < end) {
                let (start, stop) = (range.start.max(at), range.end.min(end));
                push(at, start, ExtentKind::Data);
                push(start, stop, ExtentKind::Unchanged);
                at = stop;
            }
        }
        push(at, end, extent.kind);
    }
    told
}

/// Data of a file that lies on blocks of its own kind, beginning at a place on the device.
struct Run {
    start: u64,
    end: u64,
    physical: u64,
}

/// Lists where both files lie on the same blocks, in order, without what touches being apart.
fn shared_ranges(one: &File, other: &File) -> io::Result<Vec<Range<u64>>> {
    let size = one.metadata()?.len().min(other.metadata()?.len());
    let (mut ours, mut theirs) = (runs(one), runs(other));
    let (mut a, mut b) = (ours.next().transpose()?, theirs.next().transpose()?);
    let mut shared: Vec<Range<u64>> = Vec::new();
    while let (Some(x), Some(y)) = (&a, &b) {
        let (start, end) = (x.start.max(y.start), x.end.min(y.end).min(size));
        let same = x.physical + start.saturating_sub(x.start)
            == y.physical + start.saturating_sub(y.start);
        if start < end && same {
            match shared.last_mut() {
                Some(last) if last.end == start => last.end = end,
                _ => shared.push(start..end),
            }
        }
        if x.end <= y.end {
            a = ours.next().transpose()?;
        } else {
            b = theirs.next().transpose()?;
        }
    }
    Ok(shared)
}

/// Asks where a file lies, leaving out all whose place alone does not say what it holds.
fn runs(file: &File) -> impl Iterator<Item = io::Result<Run>> {
    Fiemap::new(file).filter_map(|extent| match extent {
        Ok(extent) => is_plain(&extent).then(|| {
            Ok(Run {
                start: extent.fe_logical,
                end: extent.fe_logical + extent.fe_length,
                physical: extent.fe_physical,
            })
        }),
        Err(cause) => Some(Err(cause)),
    })
}

/// Compressed, unwritten, pending and inline data, and what a newer kernel calls otherwise, have
/// places that say less. What nobody shares is nobody else's.
fn is_plain(extent: &FiemapExtent) -> bool {
    let others = !(FiemapExtentFlags::LAST | FiemapExtentFlags::SHARED).bits();
    extent.fe_flags.contains(FiemapExtentFlags::SHARED) && extent.fe_flags.bits() & others == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shared_splits_data_and_nothing_else() {
        let extent = |offset, length, kind| Extent {
            offset,
            length,
            kind,
        };
        let (data, zero, same) = (ExtentKind::Data, ExtentKind::Zero, ExtentKind::Unchanged);
        let told = vec![
            extent(0, 100, data),
            extent(100, 50, zero),
            extent(150, 50, data),
        ];
        let split = |ranges: &[Range<u64>]| unchanged_where(told.clone(), ranges);
        assert_eq!(split(&[]), told);
        assert_eq!(
            split(&[10..20, 90..160, 199..300]),
            [
                extent(0, 10, data),
                extent(10, 10, same),
                extent(20, 70, data),
                extent(90, 10, same),
                extent(100, 50, zero),
                extent(150, 10, same),
                extent(160, 39, data),
                extent(199, 1, same),
            ]
        );
        let all = 0..1000;
        assert_eq!(split(std::slice::from_ref(&all))[0], extent(0, 100, same));
    }

    #[test]
    fn a_file_keeps_its_name_and_no_other_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (dir.path().join("one"), dir.path().join("other"));
        let file = File::create(&one).unwrap();
        let Some(name) = name_of(&file) else {
            // A file system that does not know when files were born.
            return;
        };
        std::fs::rename(&one, &other).unwrap();
        assert_eq!(name_of(&File::open(&other).unwrap()), Some(name.clone()));
        assert_ne!(name_of(&File::create(&one).unwrap()), Some(name));
        assert_eq!(clone_of(&file), None);
    }
}
