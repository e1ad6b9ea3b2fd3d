//! Changes to a volume such as a day's work makes: small, and here and there.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;

use emberkeep_model::ByteCount;
use emberkeep_volumes::{ExtentKind, FileSource, SourceSnapshot};

use super::tree::{self, Numbers};
use crate::error::CliError;

/// How large one change is.
const PIECE: u64 = 256 << 10;
/// What part of the data is changed: one fiftieth.
const PART: u64 = 50;

/// What was changed.
pub(super) struct Changed {
    bytes: u64,
    places: u64,
}

impl Changed {
    /// Tells of it, beside the `data` there was.
    pub(super) fn words(&self, data: u64) -> String {
        let permille = self.bytes * 1000 / data.max(1);
        format!(
            "{} written in {} places of the volume ({}.{} % of its data)",
            ByteCount(self.bytes),
            self.places,
            permille / 10,
            permille % 10,
        )
    }
}

/// Writes into the file of a volume that holds `data` bytes: over data, into a hole, and
/// zeroes over data.
pub(super) fn change(file: &Path, data: u64) -> Result<Changed, CliError> {
    let failed = |cause: std::io::Error| {
        CliError::failed_by(format_args!("changing {}", file.display()), &cause)
    };
    let places = places(file, data)?;
    let volume = OpenOptions::new().write(true).open(file).map_err(failed)?;
    let mut numbers = Numbers::new(data ^ u64::from(std::process::id()));
    let mut changed = Changed {
        bytes: 0,
        places: 0,
    };
    for (at, (offset, length)) in places.into_iter().enumerate() {
        let bytes = if at == 1 {
            vec![0; usize::try_from(length).unwrap_or(0)]
        } else {
            tree::text(length, &mut numbers)
        };
        volume.write_all_at(&bytes, offset).map_err(failed)?;
        changed.bytes += length;
        changed.places += 1;
    }
    volume.sync_all().map_err(failed)?;
    Ok(changed)
}

/// Chooses where: a hole first if there is one, then evenly over the data.
fn places(file: &Path, data: u64) -> Result<Vec<(u64, u64)>, CliError> {
    let source = FileSource::open(file).map_err(|error| CliError::failed(error.to_string()))?;
    let size = source.size().0;
    let (_, extents) = source
        .extents(0..size, None)
        .map_err(|error| CliError::failed(error.to_string()))?;
    let pieces = |zero: bool| {
        extents
            .iter()
            .filter(move |extent| (extent.kind == ExtentKind::Zero) == zero)
            .flat_map(|extent| {
                let end = extent.offset + extent.length;
                (extent.offset..end)
                    .step_by(usize::try_from(PIECE).unwrap_or(usize::MAX))
                    .map(move |at| (at, PIECE.min(end - at)))
            })
            .collect::<Vec<_>>()
    };
    let (holes, full) = (pieces(true), pieces(false));
    let wanted = usize::try_from((data / PART / PIECE).max(3)).unwrap_or(3);
    let step = (full.len() / wanted).max(1);
    // From the middle of each stretch: the very first bytes are seldom what changes.
    let over = full.iter().skip(step / 2).step_by(step).take(wanted);
    Ok(holes.first().into_iter().chain(over).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_two_percent_are_changed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("volume.raw");
        let data = 64 << 20;
        std::fs::write(&file, vec![7_u8; data]).unwrap();
        let changed = change(&file, data as u64).unwrap();
        let share = changed.bytes * 1000 / data as u64;
        assert!((15..=30).contains(&share), "{share} in a thousand");
        let after = std::fs::read(&file).unwrap();
        assert!(after.iter().filter(|byte| **byte != 7).count() as u64 >= changed.bytes);
    }
}
