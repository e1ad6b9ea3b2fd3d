//! Copies a file with its holes, sharing its blocks where the file system can.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::io::Errno;

use super::source::data_and_holes;
use crate::ExtentKind;
use crate::zero::data_runs;

/// Bytes moved by one call; a bound on memory where the kernel does not copy by itself.
const STEP_BYTES: usize = 1 << 20;

/// How a file came to hold what another does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Copied {
    /// It lies on the same blocks.
    Shared,
    /// It has blocks of its own.
    Apart,
}

/// Makes `to`, which is empty, a copy of `from` at its present size.
pub(crate) fn copy_sparse(from: &File, to: &File) -> io::Result<Copied> {
    match rustix::fs::ioctl_ficlone(to, from) {
        Ok(()) => Ok(Copied::Shared),
        // Each file system has its own way to say that it cannot.
        Err(
            Errno::OPNOTSUPP
            | Errno::XDEV
            | Errno::INVAL
            | Errno::NOTTY
            | Errno::NOSYS
            | Errno::PERM,
        ) => copy_extents(from, to).map(|()| Copied::Apart),
        Err(cause) => Err(cause.into()),
    }
}

/// Copies data extent by extent and leaves holes as they are.
fn copy_extents(from: &File, to: &File) -> io::Result<()> {
    let size = from.metadata()?.len();
    to.set_len(size)?;
    for extent in data_and_holes(from, 0..size)? {
        if extent.kind != ExtentKind::Zero {
            copy_data(from, to, extent.offset, extent.offset + extent.length)?;
        }
    }
    Ok(())
}

fn copy_data(from: &File, to: &File, start: u64, end: u64) -> io::Result<()> {
    let (mut read, mut written) = (start, start);
    while read < end {
        let step = usize::try_from(end - read)
            .unwrap_or(usize::MAX)
            .min(64 * STEP_BYTES);
        match rustix::fs::copy_file_range(from, Some(&mut read), to, Some(&mut written), step) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                return copy_by_hand(from, to, read, end);
            }
            Err(cause) => return Err(cause.into()),
        }
    }
    Ok(())
}

/// Copies through memory, which also turns zeroes into holes.
fn copy_by_hand(from: &File, to: &File, start: u64, end: u64) -> io::Result<()> {
    let mut buf = vec![0; STEP_BYTES];
    let mut at = start;
    while at < end {
        let length = usize::try_from(end - at)
            .unwrap_or(usize::MAX)
            .min(STEP_BYTES);
        from.read_exact_at(&mut buf[..length], at)?;
        for run in data_runs(&buf[..length]) {
            to.write_all_at(&buf[run.clone()], at + run.start as u64)?;
        }
        at += length as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_copying_gives_the_same_bytes() {
        let size = 5 * (1 << 20) + 123;
        let mut want = vec![0; size];
        want[10_000..20_000].fill(7);
        want[2_000_000..4_500_000].fill(8);
        want[size - 1] = 9;
        let from = tempfile::tempfile().expect("file");
        from.set_len(size as u64).expect("size");
        for run in data_runs(&want) {
            from.write_all_at(&want[run.clone()], run.start as u64)
                .expect("write");
        }
        type Way = fn(&File, &File) -> io::Result<()>;
        let ways: [(&str, Way); 3] = [
            ("whatever works", |from, to| copy_sparse(from, to).map(drop)),
            ("by extents", copy_extents),
            ("by hand", |from, to| {
                let size = from.metadata()?.len();
                to.set_len(size)?;
                copy_by_hand(from, to, 0, size)
            }),
        ];
        for (what, way) in ways {
            let to = tempfile::tempfile().expect("file");
            way(&from, &to).expect(what);
            let mut got = vec![1; size];
            to.read_exact_at(&mut got, 0).expect(what);
            assert!(got == want, "{what}");
            assert_eq!(to.metadata().expect(what).len(), size as u64, "{what}");
            let blocks =
                |file: &File| std::os::unix::fs::MetadataExt::blocks(&file.metadata().expect(what));
            assert!(
                blocks(&to) <= blocks(&from) + 64,
                "{what}: holes stay holes"
            );
        }
    }
}
