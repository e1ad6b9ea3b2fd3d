//! Every byte of a restored volume against the image it came from.

use std::ops::Range;

use emberkeep_volumes::{ExtentKind, SourceSnapshot, VolumeError};

use crate::error::CliError;

/// How much is looked at together.
const STRIDE: u64 = 4 << 20;

/// Compares; the volume may be larger than the image, and then must read as zeroes.
/// Returns how many bytes were compared.
pub(super) fn compare(
    original: &dyn SourceSnapshot,
    restored: &dyn SourceSnapshot,
) -> Result<u64, CliError> {
    let failed = |error: VolumeError| CliError::failed_by("comparing", &error);
    let size = restored.size().0;
    if size < original.size().0 {
        return Err(CliError::failed(format!(
            "the restored volume has {size} bytes, the image {}",
            original.size().0
        )));
    }
    let length = usize::try_from(STRIDE).unwrap_or(0);
    let (mut was, mut is) = (vec![0; length], vec![0; length]);
    let mut at = 0;
    while at < size {
        let range = at..size.min(at + STRIDE);
        let length = usize::try_from(range.end - range.start).unwrap_or(0);
        let within = range.start..range.end.min(original.size().0).max(range.start);
        let part = usize::try_from(within.end - within.start).unwrap_or(0);
        // Two holes are equal without being read.
        if !(all_zero(original, &within).map_err(failed)?
            && all_zero(restored, &range).map_err(failed)?)
        {
            was[..length].fill(0);
            if part > 0 {
                original
                    .read_at(range.start, &mut was[..part])
                    .map_err(failed)?;
            }
            restored
                .read_at(range.start, &mut is[..length])
                .map_err(failed)?;
            if was[..length] != is[..length] {
                let differs = (0..length).take_while(|i| was[*i] == is[*i]).count();
                return Err(CliError::failed(format!(
                    "the restored volume differs from the image at byte {}",
                    at + differs as u64
                )));
            }
        }
        at = range.end;
    }
    Ok(size)
}

fn all_zero(source: &dyn SourceSnapshot, range: &Range<u64>) -> Result<bool, VolumeError> {
    if range.is_empty() {
        return Ok(true);
    }
    let (_, extents) = source.extents(range.clone(), None)?;
    Ok(extents.iter().all(|extent| extent.kind == ExtentKind::Zero))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::FileExt;

    use emberkeep_volumes::FileSource;

    use super::*;

    #[test]
    fn one_byte_is_enough_to_differ() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        fs::write(&a, vec![3_u8; 5 << 20]).unwrap();
        let mut larger = vec![3_u8; 5 << 20];
        larger.resize(9 << 20, 0);
        fs::write(&b, &larger).unwrap();
        let result = |first: &std::path::Path, second: &std::path::Path| {
            compare(
                &FileSource::open(first).unwrap(),
                &FileSource::open(second).unwrap(),
            )
        };
        assert_eq!(result(&a, &b).unwrap(), 9 << 20);
        assert!(result(&b, &a).is_err(), "a smaller one is not the same");
        for (what, at, byte) in [
            ("in the image", (5 << 20) - 1, 4),
            ("after it", (9 << 20) - 1, 1),
        ] {
            fs::write(&b, &larger).unwrap();
            File::options()
                .write(true)
                .open(&b)
                .unwrap()
                .write_all_at(&[byte], at)
                .unwrap();
            let words = result(&a, &b).unwrap_err().to_string();
            assert!(words.ends_with(&format!("at byte {at}")), "{what}: {words}");
        }
    }
}
