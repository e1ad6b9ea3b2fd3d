//! Records of an unfinished backup, by which the next attempt goes on.

use crate::bytes::{Fields, len_u32};
use crate::{FormatError, IndexRun, UnixMicros, encode_run};

const VERSION: u32 = 1;
const WHAT: &str = "progress record";

/// A window that an attempt finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoneWindow {
    /// Its number in the volume.
    pub number: u64,
    /// Its encoded page; empty when it is all zero.
    pub page: Vec<u8>,
}

/// Part of what an unfinished backup stored: packs that no index run names yet, and the
/// windows that were finished with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Tells one instant of one volume from all others; a later attempt that reads
    /// another instant must not go on from here.
    pub instant: [u8; 32],
    /// When this was written.
    pub written: UnixMicros,
    /// The packs and where chunks lie in them.
    pub run: IndexRun,
    /// The windows, whose chunks lie in these packs, earlier ones, or in the index.
    pub windows: Vec<DoneWindow>,
}

impl Progress {
    /// Returns the plaintext.
    pub fn encode(&self) -> Vec<u8> {
        let run = encode_run(&self.run.packs, &self.run.entries);
        let mut out = Vec::with_capacity(64 + run.len());
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&self.instant);
        out.extend_from_slice(&self.written.0.to_le_bytes());
        out.extend_from_slice(&len_u32(run.len()).to_le_bytes());
        out.extend_from_slice(&run);
        for window in &self.windows {
            out.extend_from_slice(&window.number.to_le_bytes());
            out.extend_from_slice(&len_u32(window.page.len()).to_le_bytes());
            out.extend_from_slice(&window.page);
        }
        out
    }

    /// Reads the plaintext. Pages are read when they are needed.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut fields = Fields::new(bytes, WHAT);
        let version = fields.u32()?;
        if version != VERSION {
            return Err(FormatError::UnknownVersion {
                what: WHAT,
                version,
            });
        }
        let instant = fields.array()?;
        let written = UnixMicros(i64::from_le_bytes(fields.array()?));
        let length = fields.u32()? as usize;
        let run = IndexRun::decode(fields.take(length)?)?;
        let mut windows = Vec::new();
        while !fields.is_empty() {
            let number = u64::from_le_bytes(fields.array()?);
            let length = fields.u32()? as usize;
            let page = fields.take(length)?.to_vec();
            windows.push(DoneWindow { number, page });
        }
        Ok(Self {
            instant,
            written,
            run,
            windows,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn records() -> impl Strategy<Value = Progress> {
        let windows = prop::collection::vec(
            (any::<u64>(), prop::collection::vec(any::<u8>(), 0..40)),
            0..10,
        );
        (any::<[u8; 32]>(), any::<i64>(), windows).prop_map(|(instant, written, windows)| {
            Progress {
                instant,
                written: UnixMicros(written),
                run: IndexRun::default(),
                windows: windows
                    .into_iter()
                    .map(|(number, page)| DoneWindow { number, page })
                    .collect(),
            }
        })
    }

    proptest! {
        #[test]
        fn records_round_trip_and_mutations_have_one_spelling(made in records(), at: prop::sample::Index, bit in 0u8..8) {
            let mut bytes = made.encode();
            prop_assert_eq!(Progress::decode(&bytes).unwrap(), made);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            if let Ok(other) = Progress::decode(&bytes) {
                prop_assert_eq!(other.encode(), bytes);
            }
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Progress::decode(&bytes);
        }
    }
}
