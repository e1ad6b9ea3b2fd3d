//! The `format` object: what a program must know before it has any key.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::cut::BLOCK;
use crate::{FormatError, UnixMicros};

/// The version of the repository format that this crate writes.
pub const FORMAT_VERSION: u32 = 1;
/// The smallest window a descriptor may ask for, as a power of two.
pub const MIN_WINDOW_LOG2: u8 = 20;
/// The largest window a descriptor may ask for, as a power of two.
pub const MAX_WINDOW_LOG2: u8 = 24;

const WHAT: &str = "repository descriptor";
const MARK: &str = "emberkeep-repository";

/// How volumes of a repository are cut into chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ChunkerSpec {
    /// Content-defined cuts on 4 KiB borders.
    AlignedCdc {
        /// No chunk ends sooner, in bytes, except before zeroes and at a window's end.
        min: u32,
        /// The size aimed at, in bytes.
        avg: u32,
        /// Every chunk ends here, in bytes.
        max: u32,
    },
}

impl ChunkerSpec {
    /// Returns the rule for an average size: a quarter of it at least, four times at most.
    /// None unless `avg` is a power of two from 16 KiB to 1 MiB.
    pub fn aligned(avg: u32) -> Option<Self> {
        let fits = avg.is_power_of_two() && (16 << 10..=1 << 20).contains(&avg);
        fits.then(|| Self::AlignedCdc {
            min: avg / 4,
            avg,
            max: avg * 4,
        })
    }

    fn check(self) -> Result<(), FormatError> {
        let Self::AlignedCdc { min, avg, max } = self;
        let block = u32::try_from(BLOCK).unwrap_or(u32::MAX);
        let fits = [min, avg, max].iter().all(|size| size % block == 0)
            && block <= min
            && min < avg
            && avg < max
            && max <= 4 << 20;
        if fits {
            Ok(())
        } else {
            Err(FormatError::Malformed {
                what: WHAT,
                reason: "the chunk sizes do not fit each other",
            })
        }
    }
}

/// The first object of a repository, in the clear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptor {
    format: String,
    version: u32,
    /// The repository's own id, bound into every seal.
    pub id: Uuid,
    /// Windows are this power of two long.
    pub window_log2: u8,
    /// How chunks are cut.
    pub chunker: ChunkerSpec,
    /// When the repository was made.
    pub created_at: UnixMicros,
}

impl Descriptor {
    /// Describes a new repository of the current version.
    pub fn new(id: Uuid, chunker: ChunkerSpec, created_at: UnixMicros) -> Self {
        Self {
            format: MARK.to_owned(),
            version: FORMAT_VERSION,
            id,
            window_log2: MAX_WINDOW_LOG2,
            chunker,
            created_at,
        }
    }

    /// Returns the length of a window in bytes.
    pub fn window(&self) -> u32 {
        1 << self.window_log2
    }

    /// Returns the stored bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("a descriptor is plain JSON");
        bytes.push(b'\n');
        bytes
    }

    /// Reads stored bytes; the version is judged before anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        #[derive(Deserialize)]
        struct Head {
            format: String,
            version: u32,
        }
        let json = |cause| FormatError::Json { what: WHAT, cause };
        let head: Head = serde_json::from_slice(bytes).map_err(json)?;
        if head.format != MARK {
            return Err(FormatError::BadMagic { what: WHAT });
        }
        if head.version != FORMAT_VERSION {
            return Err(FormatError::UnknownVersion {
                what: WHAT,
                version: head.version,
            });
        }
        let found: Self = serde_json::from_slice(bytes).map_err(json)?;
        if !(MIN_WINDOW_LOG2..=MAX_WINDOW_LOG2).contains(&found.window_log2) {
            return Err(FormatError::Malformed {
                what: WHAT,
                reason: "the window size is out of range",
            });
        }
        found.chunker.check()?;
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_round_trip_and_refuse_what_they_do_not_know() {
        let made = Descriptor::new(
            Uuid::from_u128(7),
            ChunkerSpec::aligned(65536).unwrap(),
            UnixMicros(5),
        );
        let text = String::from_utf8(made.encode()).unwrap();
        assert_eq!(Descriptor::decode(text.as_bytes()).unwrap(), made);
        for (what, from, to) in [
            ("another file", "emberkeep-repository", "something"),
            ("a later version", "\"version\": 1", "\"version\": 2"),
            ("huge windows", "\"window_log2\": 24", "\"window_log2\": 60"),
            ("min above avg", "16384", "65536"),
            ("unaligned max", "262144", "262143"),
            ("another cutter", "aligned-cdc", "magic"),
        ] {
            assert!(text.contains(from), "{what}");
            assert!(
                Descriptor::decode(text.replace(from, to).as_bytes()).is_err(),
                "{what}"
            );
        }
    }
}
