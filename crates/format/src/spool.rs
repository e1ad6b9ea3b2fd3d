//! Frames of a spool: finished work of a running backup, kept beside the store until it is in
//! packs that a progress record names. Sealed one by one; see `docs/format.md`.

use crate::bytes::{Fields, len_u32};
use crate::{ChunkId, DoneWindow, Encoding, FormatError, MAX_CHUNK};

const CHUNKS: u8 = 1;
const WINDOW: u8 = 2;
const WHAT: &str = "spool frame";

/// A chunk as it was encoded for a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpooledChunk<'b> {
    /// The chunk.
    pub id: ChunkId,
    /// Its length once decoded.
    pub plain_len: u32,
    /// How it was encoded.
    pub encoding: Encoding,
    /// The encoded bytes.
    pub encoded: &'b [u8],
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpoolFrame<'b> {
    /// Chunks that were new.
    Chunks(Vec<SpooledChunk<'b>>),
    /// A window whose chunks came before, or are in the repository.
    Window(DoneWindow),
}

impl<'b> SpoolFrame<'b> {
    /// Appends the plaintext to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Chunks(chunks) => {
                out.push(CHUNKS);
                out.extend_from_slice(&len_u32(chunks.len()).to_le_bytes());
                for chunk in chunks {
                    out.extend_from_slice(&chunk.id.0);
                    out.extend_from_slice(&chunk.plain_len.to_le_bytes());
                    out.extend_from_slice(&len_u32(chunk.encoded.len()).to_le_bytes());
                    out.push(chunk.encoding as u8);
                }
                for chunk in chunks {
                    out.extend_from_slice(chunk.encoded);
                }
            }
            Self::Window(window) => {
                out.push(WINDOW);
                out.extend_from_slice(&window.number.to_le_bytes());
                out.extend_from_slice(&window.page);
            }
        }
    }

    /// Reads the plaintext.
    pub fn decode(bytes: &'b [u8]) -> Result<Self, FormatError> {
        let mut fields = Fields::new(bytes, WHAT);
        match fields.u8()? {
            CHUNKS => {
                let count = fields.u32()?;
                let mut heads = Vec::new();
                for _ in 0..count {
                    let id = ChunkId(fields.array()?);
                    let (plain_len, len) = (fields.u32()?, fields.u32()? as usize);
                    let encoding = Encoding::try_from(fields.u8()?)?;
                    if plain_len > MAX_CHUNK {
                        return Err(fields.malformed("a chunk is too long"));
                    }
                    heads.push((id, plain_len, len, encoding));
                }
                let mut chunks = Vec::with_capacity(heads.len());
                for (id, plain_len, len, encoding) in heads {
                    chunks.push(SpooledChunk {
                        id,
                        plain_len,
                        encoding,
                        encoded: fields.take(len)?,
                    });
                }
                if fields.is_empty() {
                    Ok(Self::Chunks(chunks))
                } else {
                    Err(fields.malformed("something follows its chunks"))
                }
            }
            WINDOW => Ok(Self::Window(DoneWindow {
                number: u64::from_le_bytes(fields.array()?),
                page: fields.rest().to_vec(),
            })),
            _ => Err(fields.malformed("unknown kind")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn frames_round_trip(
            chunks in prop::collection::vec((any::<[u8; 32]>(), 0..MAX_CHUNK, prop::collection::vec(any::<u8>(), 0..50)), 0..6),
            number: u64,
            page in prop::collection::vec(any::<u8>(), 0..50),
        ) {
            let frames = [
                SpoolFrame::Chunks(chunks.iter().map(|(id, plain_len, encoded)| SpooledChunk {
                    id: ChunkId(*id), plain_len: *plain_len, encoding: Encoding::Zstd, encoded,
                }).collect()),
                SpoolFrame::Window(DoneWindow { number, page }),
            ];
            for frame in frames {
                let mut bytes = Vec::new();
                frame.encode(&mut bytes);
                prop_assert_eq!(SpoolFrame::decode(&bytes).unwrap(), frame);
            }
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = SpoolFrame::decode(&bytes);
        }
    }
}
