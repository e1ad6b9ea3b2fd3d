//! How a chunk's bytes are stored: raw or zstd.

use crate::FormatError;

/// No chunk, page or node is longer, in bytes.
pub const MAX_CHUNK: u32 = 16 << 20;

/// Compression level: half of the speed of the whole pipeline hangs on it.
const LEVEL: i32 = 1;
/// How much of a chunk is tried when the last one did not compress.
const SAMPLE: usize = 8 << 10;

/// How a chunk's plaintext became what was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Encoding {
    /// As it is.
    Raw = 0,
    /// One zstd frame.
    Zstd = 1,
}

impl TryFrom<u8> for Encoding {
    type Error = FormatError;

    fn try_from(byte: u8) -> Result<Self, FormatError> {
        match byte {
            0 => Ok(Self::Raw),
            1 => Ok(Self::Zstd),
            _ => Err(FormatError::Malformed {
                what: "chunk",
                reason: "unknown encoding",
            }),
        }
    }
}

/// Compresses chunk after chunk with one context, and learns when that is in vain.
pub struct Compressor {
    zstd: zstd::bulk::Compressor<'static>,
    scratch: Vec<u8>,
    in_vain: bool,
}

impl Compressor {
    /// Prepares the context.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            zstd: zstd::bulk::Compressor::new(LEVEL)?,
            scratch: vec![0; zstd::zstd_safe::compress_bound(SAMPLE)],
            in_vain: false,
        })
    }

    /// Writes the stored form of `plain` to the front of `out`, which must be at least
    /// as long as `plain`; returns its length and encoding.
    pub fn encode(&mut self, plain: &[u8], out: &mut [u8]) -> (usize, Encoding) {
        // Compression must save 3 % to be worth undoing at each read.
        let worth = plain.len() - plain.len() / 32;
        if self.in_vain && plain.len() >= 2 * SAMPLE {
            let middle = plain.len() / 2 - SAMPLE / 2;
            let sample = &plain[middle..middle + SAMPLE];
            let shrinks = self
                .zstd
                .compress_to_buffer(sample, &mut self.scratch[..])
                .is_ok_and(|len| len < SAMPLE - SAMPLE / 32);
            if !shrinks {
                return raw(plain, out);
            }
        }
        // A buffer that is too small for the result is zstd's way to say it is not worth it.
        match self.zstd.compress_to_buffer(plain, &mut out[..worth]) {
            Ok(len) => {
                self.in_vain = false;
                (len, Encoding::Zstd)
            }
            Err(_) => {
                self.in_vain = true;
                raw(plain, out)
            }
        }
    }
}

fn raw(plain: &[u8], out: &mut [u8]) -> (usize, Encoding) {
    out[..plain.len()].copy_from_slice(plain);
    (plain.len(), Encoding::Raw)
}

/// Expands chunk after chunk with one context.
pub struct Decompressor {
    zstd: zstd::bulk::Decompressor<'static>,
    plain: Vec<u8>,
}

impl Decompressor {
    /// Prepares the context.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            zstd: zstd::bulk::Decompressor::new()?,
            plain: Vec::new(),
        })
    }

    /// Expands stored bytes to `plain`, which they must fill exactly.
    pub fn decode_into(
        &mut self,
        stored: &[u8],
        encoding: Encoding,
        plain: &mut [u8],
    ) -> Result<(), FormatError> {
        let len = match encoding {
            Encoding::Raw => {
                if stored.len() == plain.len() {
                    plain.copy_from_slice(stored);
                }
                stored.len()
            }
            Encoding::Zstd => self
                .zstd
                .decompress_to_buffer(stored, &mut *plain)
                .map_err(FormatError::Decompress)?,
        };
        if len == plain.len() {
            Ok(())
        } else {
            Err(FormatError::Malformed {
                what: "chunk",
                reason: "it does not expand to its length",
            })
        }
    }

    /// Returns the plaintext of stored bytes, which must be exactly `plain_len` long.
    pub fn decode<'b>(
        &'b mut self,
        stored: &'b [u8],
        encoding: Encoding,
        plain_len: u32,
    ) -> Result<&'b [u8], FormatError> {
        let malformed = |reason| FormatError::Malformed {
            what: "chunk",
            reason,
        };
        if plain_len > MAX_CHUNK {
            return Err(malformed("its length is out of range"));
        }
        let plain_len = plain_len as usize;
        let plain = match encoding {
            Encoding::Raw => stored,
            Encoding::Zstd => {
                if self.plain.len() < plain_len {
                    self.plain.resize(plain_len, 0);
                }
                let len = self
                    .zstd
                    .decompress_to_buffer(stored, &mut self.plain[..plain_len])
                    .map_err(FormatError::Decompress)?;
                &self.plain[..len]
            }
        };
        if plain.len() == plain_len {
            Ok(plain)
        } else {
            Err(malformed("it does not expand to its length"))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn noise(len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        blake3::Hasher::new().finalize_xof().fill(&mut out);
        out
    }

    #[test]
    fn noise_stays_raw_and_text_shrinks_again_after_it() {
        let mut to = Compressor::new().unwrap();
        let mut from = Decompressor::new().unwrap();
        let mut out = vec![0; 1 << 20];
        let text = b"the same words again ".repeat(3000);
        for (plain, want) in [
            (noise(65536), Encoding::Raw),
            (noise(65536), Encoding::Raw),
            (text.clone(), Encoding::Zstd),
            (vec![1], Encoding::Raw),
            (text, Encoding::Zstd),
        ] {
            let (len, encoding) = to.encode(&plain, &mut out);
            assert_eq!(encoding, want);
            let back = from.decode(&out[..len], encoding, u32::try_from(plain.len()).unwrap());
            assert_eq!(back.unwrap(), plain);
            let mut room = vec![9; plain.len()];
            from.decode_into(&out[..len], encoding, &mut room).unwrap();
            assert_eq!(room, plain);
            let mut more = vec![9; plain.len() + 1];
            assert!(from.decode_into(&out[..len], encoding, &mut more).is_err());
            assert!(
                from.decode_into(&out[..len], encoding, &mut room[1..])
                    .is_err()
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300), len in 0u32..100_000) {
            let mut from = Decompressor::new().unwrap();
            if let Ok(plain) = from.decode(&bytes, Encoding::Zstd, len) {
                prop_assert_eq!(plain.len(), len as usize);
            }
        }
    }
}
