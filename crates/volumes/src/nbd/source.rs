//! Reads a volume that somebody serves.

use std::ops::Range;

use emberkeep_model::ByteCount;
use emberkeep_nbd::protocol::{BASE_ALLOCATION, allocation};
use emberkeep_nbd::{Address, Client, ClientOptions, Status};

use super::volume_error;
use crate::{ChangeSet, Extent, ExtentKind, SourceSnapshot, VolumeError};

/// What begins the name of a QEMU bitmap's context.
const DIRTY_BITMAP: &str = "qemu:dirty-bitmap:";
/// What begins the lineage that a bitmap keeps.
const LINEAGE: &str = "nbd-bitmap:";
/// The bit of a bitmap's context that says that something was written there.
const DIRTY: u32 = 1;

/// QEMU dirty bitmaps that tell what changed.
///
/// One bitmap is written from one instant to the next: when an instant is frozen, the bitmap
/// that was being written is stopped and another one begun, both in one transaction. So the
/// name of the bitmap that begins at an instant is the name of that instant. It must be used
/// once only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BitmapHints {
    /// The bitmap that was written until this instant, and that the server shows.
    pub until: Option<String>,
    /// The bitmap that is written from this instant on.
    pub since: Option<String>,
}

impl BitmapHints {
    /// Returns the bitmap that began at the instant of that lineage.
    pub fn bitmap_of(lineage: &str) -> Option<&str> {
        lineage.strip_prefix(LINEAGE)
    }

    /// Returns the lineage of an instant at which that bitmap begins.
    fn lineage(bitmap: &str) -> String {
        format!("{LINEAGE}{bitmap}")
    }
}

/// An export of any NBD server. Nothing keeps others from writing to it meanwhile: that is
/// the care of whoever runs the server.
#[derive(Debug)]
pub struct NbdSource {
    client: Client,
    what: String,
    hints: BitmapHints,
}

impl NbdSource {
    /// Connects to an export and uses bitmaps where there are any.
    pub fn open(address: &Address, hints: BitmapHints) -> Result<Self, VolumeError> {
        let what = address.to_string();
        let mut options = ClientOptions::default();
        if let Some(bitmap) = &hints.until {
            options.contexts.push(format!("{DIRTY_BITMAP}{bitmap}"));
        }
        let client =
            Client::connect(address, options).map_err(|cause| volume_error(what.clone(), cause))?;
        Ok(Self {
            client,
            what,
            hints,
        })
    }

    fn status(&self, context: &str, range: &Range<u64>) -> Result<Vec<Status>, VolumeError> {
        let told = self.client.block_status(context, range.clone());
        told.map_err(|cause| volume_error(format!("asking about {}", self.what), cause))
    }

    /// Tells data from what reads as zeroes; all is data where the server does not tell.
    fn allocation(&self, range: &Range<u64>) -> Result<Vec<Extent>, VolumeError> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        if !self.client.has_context(BASE_ALLOCATION) {
            return Ok(vec![Extent {
                offset: range.start,
                length: range.end - range.start,
                kind: ExtentKind::Data,
            }]);
        }
        Ok(extents_of(
            range.start,
            &self.status(BASE_ALLOCATION, range)?,
            |flags| {
                if flags & allocation::ZERO == 0 {
                    ExtentKind::Data
                } else {
                    ExtentKind::Zero
                }
            },
        ))
    }

    /// Returns what the bitmap says, if it is the one that began at that lineage.
    fn written_since(
        &self,
        lineage: &str,
        range: &Range<u64>,
    ) -> Result<Result<Vec<Status>, &'static str>, VolumeError> {
        let Some(bitmap) = &self.hints.until else {
            return Ok(Err("no bitmap was named"));
        };
        if BitmapHints::lineage(bitmap) != lineage {
            return Ok(Err("the bitmap did not begin at the parent's instant"));
        }
        let context = format!("{DIRTY_BITMAP}{bitmap}");
        if !self.client.has_context(&context) {
            return Ok(Err("the server does not show the bitmap"));
        }
        if range.is_empty() {
            return Ok(Ok(Vec::new()));
        }
        self.status(&context, range).map(Ok)
    }
}

fn extents_of(start: u64, told: &[Status], kind: impl Fn(u32) -> ExtentKind) -> Vec<Extent> {
    let mut offset = start;
    let mut extents: Vec<Extent> = Vec::with_capacity(told.len());
    for status in told {
        let kind = kind(status.flags);
        match extents.last_mut() {
            Some(last) if last.kind == kind => last.length += status.length,
            _ => extents.push(Extent {
                offset,
                length: status.length,
                kind,
            }),
        }
        offset += status.length;
    }
    extents
}

/// Lays what was not written over what is data and what is zero.
fn unchanged_where_clean(allocated: &[Extent], start: u64, written: &[Status]) -> Vec<Extent> {
    let mut extents: Vec<Extent> = Vec::with_capacity(allocated.len() + written.len());
    let mut allocated = allocated.iter().copied().peekable();
    let mut at = start;
    for status in written {
        let end = at + status.length;
        while at < end {
            let Some(here) = allocated.peek() else {
                return extents;
            };
            let here_end = here.offset + here.length;
            let until = here_end.min(end);
            let kind = if status.flags & DIRTY == 0 {
                ExtentKind::Unchanged
            } else {
                here.kind
            };
            match extents.last_mut() {
                Some(last) if last.kind == kind => last.length += until - at,
                _ => extents.push(Extent {
                    offset: at,
                    length: until - at,
                    kind,
                }),
            }
            at = until;
            if until == here_end {
                allocated.next();
            }
        }
    }
    extents
}

impl SourceSnapshot for NbdSource {
    fn size(&self) -> ByteCount {
        ByteCount(self.client.size())
    }

    fn lineage(&self) -> Option<String> {
        self.hints.since.as_deref().map(BitmapHints::lineage)
    }

    fn extents(
        &self,
        range: Range<u64>,
        since: Option<&str>,
    ) -> Result<(ChangeSet, Vec<Extent>), VolumeError> {
        let allocated = self
            .checked(&range)
            .and_then(|()| self.allocation(&range))?;
        let Some(lineage) = since else {
            let reason = "nothing was asked about".to_owned();
            return Ok((ChangeSet::FullScan { reason }, allocated));
        };
        match self.written_since(lineage, &range)? {
            Err(reason) => {
                let reason = reason.to_owned();
                Ok((ChangeSet::FullScan { reason }, allocated))
            }
            Ok(written) => {
                let lineage = lineage.to_owned();
                let extents = unchanged_where_clean(&allocated, range.start, &written);
                Ok((ChangeSet::Since { lineage }, extents))
            }
        }
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), VolumeError> {
        let read = self.client.read_at(offset, buf);
        read.map_err(|cause| volume_error(format!("reading {}", self.what), cause))
    }
}

impl NbdSource {
    fn checked(&self, range: &Range<u64>) -> Result<(), VolumeError> {
        let length = range.end.saturating_sub(range.start);
        crate::file::check_range(&self.what, range.start, length, self.client.size()).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_written_is_unchanged_whatever_it_holds() {
        use ExtentKind::{Data, Unchanged, Zero};
        let allocated = [(0, 10, Data), (10, 10, Zero), (20, 10, Data)].map(extent);
        let written =
            [(5, 0), (10, 1), (9, 0), (6, 1)].map(|(length, flags)| Status { length, flags });
        let got = unchanged_where_clean(&allocated, 0, &written);
        let want = [
            (0, 5, Unchanged),
            (5, 5, Data),
            (10, 5, Zero),
            (15, 9, Unchanged),
            (24, 6, Data),
        ];
        assert_eq!(got, want.map(extent));
    }

    fn extent((offset, length, kind): (u64, u64, ExtentKind)) -> Extent {
        Extent {
            offset,
            length,
            kind,
        }
    }
}
