//! Writes the image of a chain to a volume, in one pass.
//!
//! Every object that holds anything of the image is decompressed once, and every byte of the
//! volume is written at most once, from the newest backup that holds it. Since nothing older
//! was written before, zeroes may be left out of a volume that is zero already, in
//! incremental backups too.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use emberkeep_volumes::{RestoreTarget, TargetState};

use crate::chain::Chain;
use crate::decode::ObjectReader;
use crate::error::ChunkedError;
use crate::layers::Segment;
use crate::pool::{PIECE, for_each};
use crate::port::{ForeignObjects, Watch};

/// The grain at which zeroes are looked for.
const BLOCK: usize = 4096;

/// Fewer zeroes than this are written along with their neighbours: a hole costs a call.
const HOLE: usize = 32 << 10;

static ZEROES: [u8; BLOCK] = [0; BLOCK];

/// What a restore did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RestoreReport {
    /// Objects that were read.
    pub objects: u64,
    /// Objects of which newer backups replace every byte; they were not read.
    pub superseded: u64,
    /// Bytes of data written.
    pub written_bytes: u64,
    /// Bytes that are zero: left as holes, or made zero on a volume that held data.
    pub zero_bytes: u64,
    /// Bytes below the end of the image that no object holds; the volume keeps what it had.
    pub uncovered_bytes: u64,
}

/// Restores the newest backup of a chain.
///
/// Nothing is written unless the chain fits and all its objects are there. A damaged object is
/// only found when its end is reached: the target then holds part of the image and the error
/// names the object.
pub fn restore(
    chain: &Chain,
    objects: &dyn ForeignObjects,
    target: &dyn RestoreTarget,
    watch: &dyn Watch,
) -> Result<RestoreReport, ChunkedError> {
    chain.check_fits(target.size())?;
    chain.check_present(objects)?;
    let mut segments = chain.segments().to_vec();
    segments.sort_unstable_by_key(|segment| (segment.object, segment.start));
    let mut groups: Vec<&[Segment]> = segments.chunk_by(|a, b| a.object == b.object).collect();
    groups.sort_unstable_by_key(|group| group[0].start);

    let (written, zero) = (AtomicU64::new(0), AtomicU64::new(0));
    let buffer = || vec![0; PIECE];
    for_each(groups.len(), watch, buffer, |buffer, number| {
        let mut writer = Writer {
            target,
            watch,
            written: 0,
            zero: 0,
        };
        writer.object(chain, objects, groups[number], buffer)?;
        written.fetch_add(writer.written, Relaxed);
        zero.fetch_add(writer.zero, Relaxed);
        Ok(())
    })?;
    target.finish()?;
    let all: usize = chain.layers().iter().map(|layer| layer.objects.len()).sum();
    let covered: u64 = segments.iter().map(|part| part.end - part.start).sum();
    Ok(RestoreReport {
        objects: groups.len() as u64,
        superseded: (all - groups.len()) as u64,
        written_bytes: written.into_inner(),
        zero_bytes: zero.into_inner(),
        uncovered_bytes: chain.end().0 - covered,
    })
}

struct Writer<'a> {
    target: &'a dyn RestoreTarget,
    watch: &'a dyn Watch,
    written: u64,
    zero: u64,
}

impl Writer<'_> {
    /// Reads one object to its end and writes those parts of it that the image is made of.
    fn object(
        &mut self,
        chain: &Chain,
        objects: &dyn ForeignObjects,
        segments: &[Segment],
        buffer: &mut [u8],
    ) -> Result<(), ChunkedError> {
        let (layer, entry) = chain.object(segments[0].object);
        let mut reader = ObjectReader::open(objects, layer, entry)?;
        let mut segments = segments.iter().peekable();
        while reader.position() < entry.length {
            if self.watch.is_cancelled() {
                return Err(ChunkedError::Cancelled);
            }
            let start = entry.offset + reader.position();
            let read = reader
                .read(buffer)
                .map_err(|fault| layer.object_error(entry, start, fault))?;
            let end = start + read as u64;
            while let Some(segment) = segments.peek() {
                let part = segment.start.max(start)..segment.end.min(end);
                if part.start < part.end {
                    let bytes = &buffer[place(part.start - start)..place(part.end - start)];
                    self.write(part.start, bytes)?;
                }
                if segment.end > end {
                    break;
                }
                segments.next();
            }
        }
        Ok(())
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), ChunkedError> {
        for run in runs(bytes) {
            let at = offset + run.start as u64;
            let length = (run.end - run.start) as u64;
            if run.zero {
                if self.target.state() == TargetState::HoldsData {
                    self.target.zero(at..at + length)?;
                }
                self.zero += length;
            } else {
                self.target.write_at(at, &bytes[run.start..run.end])?;
                self.written += length;
            }
        }
        self.watch.advance(bytes.len() as u64);
        Ok(())
    }
}

/// Converts a place within a buffer.
fn place(offset: u64) -> usize {
    usize::try_from(offset).expect("within a buffer")
}

#[derive(Debug, PartialEq, Eq)]
struct Run {
    start: usize,
    end: usize,
    zero: bool,
}

/// Splits bytes into data and stretches of zeroes that are worth a call of their own.
fn runs(bytes: &[u8]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut start = 0;
    for block in bytes.chunks(BLOCK) {
        let (end, zero) = (start + block.len(), block == &ZEROES[..block.len()]);
        match runs.last_mut() {
            Some(last) if last.zero == zero => last.end = end,
            Some(last) if last.zero && last.end - last.start < HOLE => {
                // Too short a hole: it joins the data around it.
                let from = last.start;
                runs.pop();
                match runs.last_mut() {
                    Some(data) => data.end = end,
                    None => runs.push(Run {
                        start: from,
                        end,
                        zero: false,
                    }),
                }
            }
            _ => runs.push(Run { start, end, zero }),
        }
        start = end;
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_cover_everything_and_call_nothing_zero_that_is_not() {
        let block = |n: usize| n * BLOCK;
        type Case = (&'static str, usize, Vec<usize>, Vec<(usize, usize, bool)>);
        let cases: [Case; 6] = [
            ("nothing", 0, vec![], vec![]),
            ("all zero", 100, vec![], vec![(0, 100, true)]),
            ("all data", 5000, vec![7, 4999], vec![(0, 5000, false)]),
            (
                "a short hole joins its neighbours",
                block(6),
                vec![0, block(5)],
                vec![(0, block(6), false)],
            ),
            (
                "a short hole at the beginning too",
                block(3),
                vec![block(2)],
                vec![(0, block(3), false)],
            ),
            (
                "a long hole stands alone",
                block(12),
                vec![1, block(9)],
                vec![
                    (0, block(1), false),
                    (block(1), block(9), true),
                    (block(9), block(10), false),
                    (block(10), block(12), true),
                ],
            ),
        ];
        for (what, size, ones, want) in cases {
            let mut bytes = vec![0; size];
            ones.iter().for_each(|at| bytes[*at] = 1);
            let got: Vec<_> = runs(&bytes)
                .iter()
                .map(|run| (run.start, run.end, run.zero))
                .collect();
            assert_eq!(got, want, "{what}");
        }
    }
}
