//! A project's wrapped key that only a secret of the master key's ring opens.

use crate::FormatError;
use crate::bytes::Fields;

const MAGIC: &[u8; 4] = b"EMKR";
const VERSION: u8 = 1;
const WHAT: &str = "wrapped project key";

/// Names a secret of the ring. Drawn at random with a project's key and kept for its whole life,
/// however often it is wrapped again: destroying the secret makes every copy of it useless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyTag(pub [u8; 8]);

/// A wrapped project key as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrappedKey<'a> {
    /// Under the repository secret alone, as versions before the ring wrote it.
    Unbound(&'a [u8]),
    /// Under the repository secret and the secret of a tag.
    Bound(KeyTag, &'a [u8]),
}

impl<'a> WrappedKey<'a> {
    /// Tells the two forms apart; the envelope is checked when it is opened.
    pub fn decode(stored: &'a [u8]) -> Result<Self, FormatError> {
        if !stored.starts_with(MAGIC) {
            return Ok(Self::Unbound(stored));
        }
        let mut fields = Fields::new(stored, WHAT);
        let head: [u8; 8] = fields.array()?;
        let tag = KeyTag(fields.array()?);
        if head[4] != VERSION {
            return Err(FormatError::UnknownVersion {
                what: WHAT,
                version: head[4].into(),
            });
        }
        if head[5..] != [0; 3] {
            return Err(FormatError::BadMagic { what: WHAT });
        }
        Ok(Self::Bound(tag, &stored[16..]))
    }

    /// Returns the stored bytes.
    pub fn encode(self) -> Vec<u8> {
        match self {
            Self::Unbound(envelope) => envelope.to_vec(),
            Self::Bound(tag, envelope) => {
                [MAGIC.as_slice(), &[VERSION, 0, 0, 0], &tag.0, envelope].concat()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_round_trip_and_changed_heads_are_refused() {
        let bound = WrappedKey::Bound(KeyTag([7; 8]), b"EMKE...");
        let stored = bound.encode();
        assert_eq!(WrappedKey::decode(&stored).unwrap(), bound);
        let unbound = WrappedKey::Unbound(b"EMKE...");
        assert_eq!(WrappedKey::decode(&unbound.encode()).unwrap(), unbound);
        for at in 4..8 {
            let mut bad = stored.clone();
            bad[at] ^= 0x40;
            assert!(WrappedKey::decode(&bad).is_err(), "byte {at}");
        }
        for end in 4..16 {
            assert!(WrappedKey::decode(&stored[..end]).is_err(), "cut at {end}");
        }
    }
}
