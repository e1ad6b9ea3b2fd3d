//! Packs: immutable objects that hold sealed chunks and their own table of contents.
//!
//! `header | sealed chunk | … | sealed table of contents | trailer`. Every seal in a pack uses
//! the pack's own key, with the seal's offset in the pack as nonce: offsets only grow, so no
//! nonce is used twice. The checksum in the trailer needs no key.

use uuid::Uuid;

use crate::bytes::{Fields, len_u32};
use crate::seal::{NONCE_LEN, SealKey, TAG_LEN};
use crate::{ChunkId, Encoding, FormatError, MAX_CHUNK, PackId};

/// Bytes before the first chunk.
pub const PACK_HEADER_LEN: usize = 48;
/// Bytes after the table of contents.
pub const PACK_TRAILER_LEN: usize = 56;

const MAGIC: &[u8; 4] = b"EMKP";
const END_MAGIC: &[u8; 8] = b"EMKPTAIL";
const VERSION: u8 = 1;
const TOC_ENTRY: usize = 45;
const WHAT: &str = "pack";
const TOC: &str = "table of contents";

/// What a pack holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum PackKind {
    /// Chunks of volumes.
    Data = 1,
    /// Pages and nodes.
    Map = 2,
}

impl TryFrom<u8> for PackKind {
    type Error = FormatError;

    fn try_from(byte: u8) -> Result<Self, FormatError> {
        match byte {
            1 => Ok(Self::Data),
            2 => Ok(Self::Map),
            _ => Err(FormatError::Malformed {
                what: WHAT,
                reason: "unknown kind",
            }),
        }
    }
}

/// The first bytes of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackHeader {
    /// What the pack holds.
    pub kind: PackKind,
    /// The repository it belongs to.
    pub repository: Uuid,
    /// Its name.
    pub pack: PackId,
}

impl PackHeader {
    /// Returns the stored bytes.
    pub fn encode(&self) -> [u8; PACK_HEADER_LEN] {
        let mut out = [0; PACK_HEADER_LEN];
        out[..4].copy_from_slice(MAGIC);
        out[4] = VERSION;
        out[5] = self.kind as u8;
        out[8..24].copy_from_slice(self.repository.as_bytes());
        out[24..40].copy_from_slice(&self.pack.0);
        out
    }

    /// Reads the first bytes of a pack.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut fields = Fields::new(bytes, WHAT);
        if fields.take(4)? != MAGIC {
            return Err(FormatError::BadMagic { what: WHAT });
        }
        let version = fields.u8()?;
        if version != VERSION {
            return Err(FormatError::UnknownVersion {
                what: WHAT,
                version: version.into(),
            });
        }
        let kind = PackKind::try_from(fields.u8()?)?;
        let reserved = fields.take(2)?;
        let repository = Uuid::from_bytes(fields.array()?);
        let pack = PackId(fields.array()?);
        let more = fields.take(8)?;
        if reserved.iter().chain(more).any(|byte| *byte != 0) {
            return Err(fields.malformed("reserved bytes are set"));
        }
        Ok(Self {
            kind,
            repository,
            pack,
        })
    }
}

/// One chunk of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TocEntry {
    /// The chunk.
    pub id: ChunkId,
    /// Its first sealed byte in the pack.
    pub offset: u32,
    /// Its sealed length, tag included.
    pub sealed_len: u32,
    /// Its length once opened and decoded.
    pub plain_len: u32,
    /// How the plaintext was encoded.
    pub encoding: Encoding,
}

impl TocEntry {
    fn aad(&self) -> [u8; 37] {
        let mut aad = [0; 37];
        aad[..32].copy_from_slice(&self.id.0);
        aad[32..36].copy_from_slice(&self.plain_len.to_le_bytes());
        aad[36] = self.encoding as u8;
        aad
    }
}

fn nonce_at(offset: u32) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    nonce[..4].copy_from_slice(&offset.to_le_bytes());
    nonce
}

/// Opens one sealed chunk where it lies; the result is still encoded.
pub fn open_chunk<'d>(
    key: &SealKey,
    entry: &TocEntry,
    sealed: &'d mut [u8],
) -> Result<&'d [u8], FormatError> {
    if sealed.len() != entry.sealed_len as usize {
        return Err(FormatError::Truncated { what: "chunk" });
    }
    Ok(key.open(nonce_at(entry.offset), &entry.aad(), sealed, "chunk")?)
}

/// Where a pack starts in memory, if there is room for the choice: what lies so can be
/// written past the page cache.
const ALIGNMENT: usize = 4096;

/// The bytes of a closed pack.
pub struct PackBytes {
    buffer: Vec<u8>,
    start: usize,
}

impl PackBytes {
    /// Returns the memory, for the next pack.
    pub fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }
}

impl std::ops::Deref for PackBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.buffer[self.start..]
    }
}

/// Fills one pack. The buffer is lent by the caller so that it can be used again; one with
/// room for the whole pack is never copied to a larger one.
pub struct PackBuilder {
    header: PackHeader,
    key: SealKey,
    bytes: Vec<u8>,
    /// Where the pack starts in `bytes`.
    start: usize,
    entries: Vec<TocEntry>,
    hasher: blake3::Hasher,
}

impl PackBuilder {
    /// Starts a pack in `buffer`, whose content is dropped and whose room is kept.
    pub fn new(header: PackHeader, key: SealKey, mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        let start = buffer.as_ptr().align_offset(ALIGNMENT);
        let start = if start < buffer.capacity() { start } else { 0 };
        buffer.resize(start, 0);
        buffer.extend_from_slice(&header.encode());
        let mut hasher = blake3::Hasher::new();
        hasher.update(&buffer[start..]);
        Self {
            header,
            key,
            bytes: buffer,
            start,
            entries: Vec::new(),
            hasher,
        }
    }

    /// Returns the pack's name.
    pub fn pack(&self) -> PackId {
        self.header.pack
    }

    /// Returns what the pack holds.
    pub fn kind(&self) -> PackKind {
        self.header.kind
    }

    /// Tells whether there is no chunk yet.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the length the pack would have with `encoded_len` more bytes in one more chunk.
    pub fn len_with(&self, encoded_len: usize) -> usize {
        let toc = (self.entries.len() + 1) * TOC_ENTRY + TAG_LEN + PACK_TRAILER_LEN;
        self.len() + encoded_len + TAG_LEN + toc
    }

    fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// Seals an encoded chunk into the pack.
    pub fn push(&mut self, id: ChunkId, plain_len: u32, encoding: Encoding, encoded: &[u8]) {
        let offset = self.bytes.len();
        let entry = TocEntry {
            id,
            offset: len_u32(self.len()),
            sealed_len: len_u32(encoded.len() + TAG_LEN),
            plain_len,
            encoding,
        };
        self.bytes.extend_from_slice(encoded);
        let tag = self.key.seal(
            nonce_at(entry.offset),
            &entry.aad(),
            &mut self.bytes[offset..],
        );
        self.bytes.extend_from_slice(&tag);
        // Now, while the bytes are still in the cache.
        self.hasher.update(&self.bytes[offset..]);
        self.entries.push(entry);
    }

    /// Closes the pack and returns its bytes and contents.
    pub fn finish(mut self) -> (PackBytes, Vec<TocEntry>) {
        let toc_start = self.bytes.len();
        let toc_offset = self.len();
        for entry in &self.entries {
            self.bytes.extend_from_slice(&entry.id.0);
            for field in [entry.offset, entry.sealed_len, entry.plain_len] {
                self.bytes.extend_from_slice(&field.to_le_bytes());
            }
            self.bytes.push(entry.encoding as u8);
        }
        let nonce = nonce_at(len_u32(toc_offset));
        let tag = self
            .key
            .seal(nonce, &self.header.encode(), &mut self.bytes[toc_start..]);
        self.bytes.extend_from_slice(&tag);
        for field in [
            len_u32(toc_offset),
            len_u32(self.bytes.len() - toc_start),
            VERSION.into(),
            0,
        ] {
            self.bytes.extend_from_slice(&field.to_le_bytes());
        }
        self.hasher.update(&self.bytes[toc_start..]);
        self.bytes
            .extend_from_slice(self.hasher.finalize().as_bytes());
        self.bytes.extend_from_slice(END_MAGIC);
        let bytes = PackBytes {
            buffer: self.bytes,
            start: self.start,
        };
        (bytes, self.entries)
    }
}

/// The last bytes of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackTrailer {
    /// First byte of the sealed table of contents.
    pub toc_offset: u32,
    /// Its length, tag included.
    pub toc_len: u32,
    checksum: [u8; 32],
}

impl PackTrailer {
    /// Reads the last [`PACK_TRAILER_LEN`] bytes of a pack of `size` bytes.
    pub fn decode(bytes: &[u8], size: u64) -> Result<Self, FormatError> {
        let mut fields = Fields::new(bytes, WHAT);
        let (toc_offset, toc_len) = (fields.u32()?, fields.u32()?);
        let (version, reserved) = (fields.u32()?, fields.u32()?);
        let checksum = fields.array()?;
        if fields.take(8)? != END_MAGIC {
            return Err(FormatError::BadMagic {
                what: "pack trailer",
            });
        }
        if version != u32::from(VERSION) {
            return Err(FormatError::UnknownVersion {
                what: WHAT,
                version,
            });
        }
        let end = u64::from(toc_offset) + u64::from(toc_len) + PACK_TRAILER_LEN as u64;
        let toc_fits = toc_offset as usize >= PACK_HEADER_LEN
            && toc_len as usize >= TAG_LEN
            && (toc_len as usize - TAG_LEN).is_multiple_of(TOC_ENTRY);
        if !fields.is_empty() || reserved != 0 || end != size || !toc_fits {
            return Err(fields.malformed("its trailer does not fit its size"));
        }
        Ok(Self {
            toc_offset,
            toc_len,
            checksum,
        })
    }
}

/// Compares a whole pack with its checksum; needs no key.
pub fn verify_checksum(pack: &[u8]) -> Result<(), FormatError> {
    let at = pack
        .len()
        .checked_sub(PACK_TRAILER_LEN)
        .ok_or(FormatError::Truncated { what: WHAT })?;
    let trailer = PackTrailer::decode(&pack[at..], pack.len() as u64)?;
    if *blake3::hash(&pack[..at + 16]).as_bytes() == trailer.checksum {
        Ok(())
    } else {
        Err(FormatError::Checksum { what: WHAT })
    }
}

/// Opens a pack's table of contents, given the sealed bytes that the trailer points to.
pub fn decode_toc(
    key: &SealKey,
    header: &PackHeader,
    trailer: &PackTrailer,
    sealed: &mut [u8],
) -> Result<Vec<TocEntry>, FormatError> {
    if sealed.len() != trailer.toc_len as usize {
        return Err(FormatError::Truncated { what: TOC });
    }
    let plain = key.open(nonce_at(trailer.toc_offset), &header.encode(), sealed, TOC)?;
    let mut fields = Fields::new(plain, TOC);
    let mut entries = Vec::with_capacity(plain.len() / TOC_ENTRY);
    let mut end = PACK_HEADER_LEN as u64;
    while !fields.is_empty() {
        let entry = TocEntry {
            id: ChunkId(fields.array()?),
            offset: fields.u32()?,
            sealed_len: fields.u32()?,
            plain_len: fields.u32()?,
            encoding: Encoding::try_from(fields.u8()?)?,
        };
        if u64::from(entry.offset) != end
            || (entry.sealed_len as usize) < TAG_LEN
            || entry.plain_len > MAX_CHUNK
        {
            return Err(fields.malformed("a chunk is not where it should be"));
        }
        end += u64::from(entry.sealed_len);
        entries.push(entry);
    }
    if end != u64::from(trailer.toc_offset) {
        return Err(fields.malformed("the chunks do not fill the pack"));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{ChunkIdKey, Decompressor};

    fn key() -> SealKey {
        SealKey::new(&[1; 32])
    }

    fn header() -> PackHeader {
        PackHeader {
            kind: PackKind::Data,
            repository: Uuid::from_u128(5),
            pack: PackId([7; 16]),
        }
    }

    fn read(pack: &mut [u8]) -> Result<Vec<Vec<u8>>, FormatError> {
        verify_checksum(pack)?;
        let found = PackHeader::decode(pack)?;
        let at = pack.len() - PACK_TRAILER_LEN;
        let trailer = PackTrailer::decode(&pack[at..], pack.len() as u64)?;
        let toc = decode_toc(
            &key(),
            &found,
            &trailer,
            &mut pack[trailer.toc_offset as usize..at],
        )?;
        let mut decoder = Decompressor::new().unwrap();
        toc.iter()
            .map(|entry| {
                let range = entry.offset as usize..(entry.offset + entry.sealed_len) as usize;
                let encoded = open_chunk(&key(), entry, &mut pack[range])?;
                let plain = decoder
                    .decode(encoded, entry.encoding, entry.plain_len)?
                    .to_vec();
                if ChunkIdKey::new([2; 32]).id(&plain) == entry.id {
                    Ok(plain)
                } else {
                    Err(FormatError::WrongChunk)
                }
            })
            .collect()
    }

    fn build(chunks: &[Vec<u8>]) -> Vec<u8> {
        build_in(Vec::new(), chunks)
    }

    fn build_in(buffer: Vec<u8>, chunks: &[Vec<u8>]) -> Vec<u8> {
        let mut builder = PackBuilder::new(header(), key(), buffer);
        for chunk in chunks {
            let want = builder.len_with(chunk.len());
            builder.push(
                ChunkIdKey::new([2; 32]).id(chunk),
                len_u32(chunk.len()),
                Encoding::Raw,
                chunk,
            );
            let toc = builder.entries.len() * TOC_ENTRY + TAG_LEN + PACK_TRAILER_LEN;
            assert_eq!(want, builder.len() + toc);
        }
        builder.finish().0.to_vec()
    }

    proptest! {
        #[test]
        fn packs_round_trip(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..400), 0..12)) {
            prop_assert_eq!(read(&mut build(&chunks)).unwrap(), chunks);
        }

        #[test]
        fn random_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(read(&mut bytes).is_err());
        }
    }

    #[test]
    fn a_pack_in_a_large_buffer_is_aligned_and_the_same() {
        let chunks = [b"one".to_vec(), vec![7; 9000]];
        let mut builder = PackBuilder::new(header(), key(), Vec::with_capacity(64 << 10));
        builder.push(ChunkId([1; 32]), 3, Encoding::Raw, b"one");
        let (pack, _) = builder.finish();
        assert_eq!(pack.as_ptr().align_offset(ALIGNMENT), 0);
        let again = build_in(pack.into_buffer(), &chunks);
        assert_eq!(again, build(&chunks));
    }

    #[test]
    fn every_flipped_or_missing_byte_is_noticed() {
        let pack = build(&[b"one".to_vec(), b"two two".to_vec()]);
        for at in 0..pack.len() {
            let mut bad = pack.clone();
            bad[at] ^= 1;
            assert!(read(&mut bad).is_err(), "flipped {at}");
            assert!(read(&mut pack[..at].to_vec()).is_err(), "cut at {at}");
        }
    }
}
