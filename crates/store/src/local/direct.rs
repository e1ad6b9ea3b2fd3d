//! Writing large objects past the page cache.
//!
//! A pack is written once, made durable at once and mostly not read for days. Through the
//! cache that costs a copy of every byte and the pages of something that is read.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// What every device's and file system's blocks divide.
const ALIGNMENT: usize = 4096;
/// Less is not worth a second open file.
const WORTH: usize = 1 << 20;

/// Writes as much of `bytes` as can be written so to the start of the file, and returns how
/// much that is: nothing where the bytes do not lie well or the file system cannot.
pub(super) fn write_start(path: &Path, bytes: &[u8]) -> io::Result<usize> {
    let whole = bytes.len() / ALIGNMENT * ALIGNMENT;
    if whole < WORTH || bytes.as_ptr().align_offset(ALIGNMENT) != 0 {
        return Ok(0);
    }
    let flags = OFlags::DIRECT.bits().cast_signed();
    let Ok(file) = File::options().write(true).custom_flags(flags).open(path) else {
        return Ok(0);
    };
    let mut written = 0;
    while written < whole {
        match file.write_at(&bytes[written..whole], written as u64) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            // What was cut off in the middle of a block is written again with it.
            Ok(count) if count < ALIGNMENT => return Ok(written),
            Ok(count) => written += count / ALIGNMENT * ALIGNMENT,
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            // Some file systems open a file so and refuse to write it.
            Err(cause) if cause.kind() == io::ErrorKind::InvalidInput => return Ok(written),
            Err(cause) => return Err(cause),
        }
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_lies_well_is_written_but_for_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pack");
        let room: Vec<u8> = (0..3_u32 << 20).map(|at| at.to_le_bytes()[1]).collect();
        let start = room.as_ptr().align_offset(ALIGNMENT);
        for (what, bytes, most) in [
            ("aligned", &room[start..start + (2 << 20) + 77], 2 << 20),
            ("elsewhere", &room[start + 1..start + (2 << 20)], 0),
            ("small", &room[start..start + 8192], 0),
        ] {
            fs::write(&path, "").unwrap();
            let written = write_start(&path, bytes).unwrap();
            assert!(written == most || written == 0, "{what}: {written}");
            assert!(fs::read(&path).unwrap() == bytes[..written], "{what}");
        }
    }
}
