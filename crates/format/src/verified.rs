//! When packs were last read through and found whole.

use std::collections::BTreeMap;

use crate::bytes::Fields;
use crate::{FormatError, PackId, UnixMicros};

const VERSION: u32 = 1;
const WHAT: &str = "record of verified packs";

/// What checks have read, so that the next one begins with what was read longest ago.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Packs, and when every byte of them was as it should be.
    pub packs: BTreeMap<PackId, UnixMicros>,
}

impl Verified {
    /// Returns the plaintext.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(4 + self.packs.len() * 24);
        out.extend_from_slice(&VERSION.to_le_bytes());
        for (pack, at) in &self.packs {
            out.extend_from_slice(&pack.0);
            out.extend_from_slice(&at.0.to_le_bytes());
        }
        out
    }

    /// Reads the plaintext; packs ascend.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut fields = Fields::new(bytes, WHAT);
        let version = fields.u32()?;
        if version != VERSION {
            return Err(FormatError::UnknownVersion {
                what: WHAT,
                version,
            });
        }
        let mut packs = BTreeMap::new();
        while !fields.is_empty() {
            let pack = PackId(fields.array()?);
            let at = UnixMicros(i64::from_le_bytes(fields.array()?));
            if packs
                .last_key_value()
                .is_some_and(|(last, _)| *last >= pack)
            {
                return Err(fields.malformed("its packs do not ascend"));
            }
            packs.insert(pack, at);
        }
        Ok(Self { packs })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn records_round_trip_and_mutations_have_one_spelling(
            made in prop::collection::btree_map(any::<[u8; 16]>(), any::<i64>(), 0..9),
            at: prop::sample::Index,
            bit in 0u8..8,
        ) {
            let packs = made.into_iter().map(|(id, at)| (PackId(id), UnixMicros(at))).collect();
            let record = Verified { packs };
            let mut bytes = record.encode();
            prop_assert_eq!(Verified::decode(&bytes).unwrap(), record);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            if let Ok(other) = Verified::decode(&bytes) {
                prop_assert_eq!(other.encode(), bytes);
            }
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Verified::decode(&bytes);
        }
    }
}
