//! A sealed copy of the catalog: a head and the rows of each project, each sealed under that project's key.

use serde::{Deserialize, Serialize};

use crate::bytes::Fields;
use crate::{FormatError, KeySpace, UnixMicros};

const MAGIC: &[u8; 4] = b"EMKC";
const VERSION: u8 = 1;
const WHAT: &str = "catalog copy";
const HEAD_VERSION: u32 = 1;
const SECTION_VERSION: u32 = 1;
const LEVEL: i32 = 6;
/// Bytes of a section's plaintext before its zstd frame.
const SECTION_HEAD: usize = 12;
/// Bytes before a part's envelope.
const PART_HEAD: usize = 24;
/// Bytes that a section may have once it is unpacked.
const MOST_TEXT: u64 = 4 << 30;

/// What a copy says of itself and of its sections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogCopyHead {
    version: u32,
    /// When the rows were read.
    pub created_at: UnixMicros,
    /// The sections that follow, in order.
    pub sections: Vec<SectionRecord>,
}

/// What the head of a copy says of a section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SectionRecord {
    /// BLAKE3 of the section's envelope, in hex.
    pub digest: String,
    /// Whose key seals it.
    pub space: String,
}

impl CatalogCopyHead {
    /// Describes sealed sections.
    pub fn new(created_at: UnixMicros, sections: &[CatalogPart]) -> Self {
        let records = sections.iter().map(|section| SectionRecord {
            digest: section.digest(),
            space: section.space.to_string(),
        });
        Self {
            version: HEAD_VERSION,
            created_at,
            sections: records.collect(),
        }
    }

    /// Returns the plaintext.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a head is plain JSON")
    }

    /// Reads the plaintext; the version is judged before anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        crate::records::decode_versioned(bytes, HEAD_VERSION, WHAT)
    }

    /// Refuses sections that are not those that the head was written with.
    pub fn expect(&self, sections: &[CatalogPart]) -> Result<(), FormatError> {
        let found = Self::new(self.created_at, sections);
        if found.sections == self.sections {
            return Ok(());
        }
        Err(malformed("a section is missing or was changed"))
    }
}

/// One envelope of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogPart {
    /// Whose key seals it.
    pub space: KeySpace,
    /// The envelope.
    pub envelope: Vec<u8>,
}

impl CatalogPart {
    fn digest(&self) -> String {
        blake3::hash(&self.envelope).to_hex().to_string()
    }
}

/// Joins the head and the sections of a copy.
pub fn encode_catalog_copy(head: &CatalogPart, sections: &[CatalogPart]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&[VERSION, 0, 0, 0]);
    for part in std::iter::once(head).chain(sections) {
        out.extend_from_slice(&part.space.0);
        out.extend_from_slice(&(part.envelope.len() as u64).to_le_bytes());
        out.extend_from_slice(&part.envelope);
    }
    out
}

/// Takes a copy apart into its head and its sections, none of them opened.
pub fn decode_catalog_copy(bytes: &[u8]) -> Result<(CatalogPart, Vec<CatalogPart>), FormatError> {
    let mut fields = Fields::new(bytes, WHAT);
    let magic: [u8; 4] = fields.array()?;
    if &magic != MAGIC {
        return Err(FormatError::BadMagic { what: WHAT });
    }
    let [version, reserved @ ..]: [u8; 4] = fields.array()?;
    if version != VERSION {
        return Err(FormatError::UnknownVersion {
            what: WHAT,
            version: version.into(),
        });
    }
    if reserved != [0; 3] {
        return Err(malformed("a reserved byte is not zero"));
    }
    let mut parts = Vec::new();
    let mut rest = &bytes[8..];
    while !rest.is_empty() {
        let (head, after) = rest
            .split_at_checked(PART_HEAD)
            .ok_or(malformed("it is too short"))?;
        let (space, length) = head
            .split_first_chunk::<16>()
            .ok_or(malformed("it is too short"))?;
        let length: [u8; 8] = length
            .try_into()
            .map_err(|_| malformed("it is too short"))?;
        let length = usize::try_from(u64::from_le_bytes(length))
            .map_err(|_| malformed("a part is too long"))?;
        let (envelope, after) = after
            .split_at_checked(length)
            .ok_or(malformed("it is too short"))?;
        parts.push(CatalogPart {
            space: KeySpace(*space),
            envelope: envelope.to_vec(),
        });
        rest = after;
    }
    let mut parts = parts.into_iter();
    let head = parts.next().ok_or(malformed("it is too short"))?;
    Ok((head, parts.collect()))
}

/// Packs the text of a section.
pub fn encode_section(text: &[u8]) -> Result<Vec<u8>, std::io::Error> {
    let mut out = Vec::new();
    out.extend_from_slice(&SECTION_VERSION.to_le_bytes());
    out.extend_from_slice(&(text.len() as u64).to_le_bytes());
    out.extend(zstd::bulk::compress(text, LEVEL)?);
    Ok(out)
}

/// Unpacks the text of a section.
pub fn decode_section(bytes: &[u8]) -> Result<Vec<u8>, FormatError> {
    let mut fields = Fields::new(bytes, WHAT);
    let version = u32::from_le_bytes(fields.array()?);
    if version != SECTION_VERSION {
        return Err(FormatError::UnknownVersion {
            what: WHAT,
            version,
        });
    }
    let length = u64::from_le_bytes(fields.array()?);
    if length > MOST_TEXT {
        return Err(malformed("a section is too long"));
    }
    // Read in steps: a length in the input takes no memory before there are bytes for it.
    let mut text = Vec::new();
    let decoder = zstd::stream::Decoder::new(&bytes[SECTION_HEAD..]);
    let decoder = decoder.map_err(|_| malformed("a section cannot be unpacked"))?;
    std::io::Read::read_to_end(&mut std::io::Read::take(decoder, length + 1), &mut text)
        .map_err(|_| malformed("a section cannot be unpacked"))?;
    if text.len() as u64 != length {
        return Err(malformed("a section has another length than it says"));
    }
    Ok(text)
}

fn malformed(reason: &'static str) -> FormatError {
    FormatError::Malformed { what: WHAT, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(of: u8, bytes: &[u8]) -> CatalogPart {
        CatalogPart {
            space: KeySpace([of; 16]),
            envelope: bytes.to_vec(),
        }
    }

    #[test]
    fn copies_come_apart_as_they_were_joined_and_nothing_else_is_taken() {
        let head = part(1, b"the head");
        let sections = [part(1, b"common"), part(2, b"")];
        let bytes = encode_catalog_copy(&head, &sections);
        let (found, rest) = decode_catalog_copy(&bytes).expect("is read");
        assert_eq!((found, rest.as_slice()), (head, sections.as_slice()));
        for cut in 0..bytes.len() {
            // A copy without its last sections is whole by itself; its head says what is missing.
            let whole = [8 + 24 + 8, 8 + 24 + 8 + 24 + 6].contains(&cut);
            assert_eq!(decode_catalog_copy(&bytes[..cut]).is_ok(), whole, "{cut}");
        }
        for at in 0..8 {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert!(decode_catalog_copy(&bad).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_head_misses_sections_that_are_gone_changed_or_swapped() {
        let sections = [part(1, b"a"), part(2, b"b")];
        let head = CatalogCopyHead::new(UnixMicros(5), &sections);
        let head = CatalogCopyHead::decode(&head.encode()).expect("is read");
        assert!(head.expect(&sections).is_ok());
        for other in [
            vec![part(1, b"a")],
            vec![part(2, b"b"), part(1, b"a")],
            vec![part(1, b"a"), part(2, b"c")],
            vec![part(1, b"a"), part(3, b"b")],
        ] {
            assert!(head.expect(&other).is_err(), "{other:?}");
        }
        let later = String::from_utf8(head.encode()).expect("is text");
        let later = later.replace("\"version\":1", "\"version\":2");
        assert!(matches!(
            CatalogCopyHead::decode(later.as_bytes()),
            Err(FormatError::UnknownVersion { version: 2, .. })
        ));
    }

    #[test]
    fn sections_round_trip_and_lie_about_their_length_in_vain() {
        let text = b"row\n".repeat(10_000);
        let packed = encode_section(&text).expect("is packed");
        assert!(packed.len() < text.len() / 10);
        assert_eq!(decode_section(&packed).expect("is read"), text);
        for (at, to) in [(0, 2), (4, 0), (4, 0xff), (11, 0xff)] {
            let mut bad = packed.clone();
            bad[at] = to;
            assert!(decode_section(&bad).is_err(), "byte {at}");
        }
        for cut in 0..packed.len() {
            assert!(decode_section(&packed[..cut]).is_err(), "cut at {cut}");
        }
    }
}
