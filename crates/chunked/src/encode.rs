//! Compresses one object, to the very bytes that Cinder would store.

use std::io::{self, Write};

use bzip2::write::BzEncoder;
use flate2::write::ZlibEncoder;

use crate::compression::Framing;

/// Up to here `zstd` compresses in one go, and beyond as several threads would; the bytes
/// differ, and Cinder's module does the same.
const ZSTD_WHOLE: u64 = 512 << 10;

/// Levels at which Cinder's modules work unless told otherwise, which it never does.
const ZLIB_LEVEL: u32 = 6;
const BZIP2_LEVEL: u32 = 9;
const ZSTD_LEVEL: i32 = 3;

/// Compresses a stream into `W`.
pub(crate) enum Encoder<W: Write> {
    Zlib(ZlibEncoder<Counted<W>>),
    Bzip2(BzEncoder<Counted<W>>),
    Zstd(zstd::stream::write::Encoder<'static, Counted<W>>),
    ZstdWhole { bytes: Vec<u8>, out: Counted<W> },
    Raw(Counted<W>),
}

/// Counts what goes through.
pub(crate) struct Counted<W> {
    inner: W,
    count: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buf)?;
        self.count += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W: Write> Encoder<W> {
    /// Starts an object of `length` bytes.
    pub(crate) fn new(framing: Framing, length: u64, out: W) -> io::Result<Self> {
        let out = Counted {
            inner: out,
            count: 0,
        };
        Ok(match framing {
            Framing::Raw => Self::Raw(out),
            Framing::Zlib => {
                Self::Zlib(ZlibEncoder::new(out, flate2::Compression::new(ZLIB_LEVEL)))
            }
            Framing::Bzip2 => {
                Self::Bzip2(BzEncoder::new(out, bzip2::Compression::new(BZIP2_LEVEL)))
            }
            Framing::Zstd if length <= ZSTD_WHOLE => Self::ZstdWhole {
                bytes: Vec::new(),
                out,
            },
            Framing::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(out, ZSTD_LEVEL)?;
                // The number of threads does not show in the bytes, that there are any does.
                encoder.multithread(1)?;
                // Old readers refuse frames that do not tell their length.
                encoder.set_pledged_src_size(Some(length))?;
                Self::Zstd(encoder)
            }
        })
    }

    pub(crate) fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        match self {
            Self::Zlib(encoder) => encoder.write_all(piece),
            Self::Bzip2(encoder) => encoder.write_all(piece),
            Self::Zstd(encoder) => encoder.write_all(piece),
            Self::ZstdWhole { bytes, .. } => {
                bytes.extend_from_slice(piece);
                Ok(())
            }
            Self::Raw(out) => out.write_all(piece),
        }
    }

    /// Returns how much came out so far.
    pub(crate) fn written(&self) -> u64 {
        match self {
            Self::Zlib(encoder) => encoder.get_ref().count,
            Self::Bzip2(encoder) => encoder.get_ref().count,
            Self::Zstd(encoder) => encoder.get_ref().count,
            Self::ZstdWhole { out, .. } | Self::Raw(out) => out.count,
        }
    }

    /// Ends the stream; returns how long it is.
    pub(crate) fn finish(self) -> io::Result<u64> {
        let out = match self {
            Self::Zlib(encoder) => encoder.finish()?,
            Self::Bzip2(encoder) => encoder.finish()?,
            Self::Zstd(encoder) => encoder.finish()?,
            Self::ZstdWhole { bytes, mut out } => {
                out.write_all(&zstd::bulk::compress(&bytes, ZSTD_LEVEL)?)?;
                out
            }
            Self::Raw(out) => out,
        };
        Ok(out.count)
    }
}

#[cfg(test)]
mod tests {
    use md5::{Digest, Md5};

    use super::*;

    /// Bytes that compress by half, the same in every language.
    fn sample(length: usize) -> Vec<u8> {
        let mut x = 2_463_534_242_u32;
        let mut next = move || {
            x ^= x << 13;
            x ^= x >> 17;
            x ^= x << 5;
            x
        };
        let words: Vec<Vec<u8>> = (0..512)
            .map(|_| (0..3).flat_map(|_| next().to_le_bytes()).collect())
            .collect();
        let mut out = Vec::with_capacity(length + 12);
        while out.len() < length {
            let x = next() as usize;
            out.extend_from_slice(&words[x & 511][..1 + (x >> 9) % 12]);
        }
        out.truncate(length);
        out
    }

    /// What Python 3.11 makes of the same bytes with `zlib` 1.2.13, `bz2` and `zstd` 1.5.7.2,
    /// the modules that Cinder uses; with libzstd of the same version as ours.
    #[test]
    fn the_bytes_are_those_of_pythons_modules() {
        let all = sample(9 << 20);
        for (framing, length, stored, md5) in [
            (Framing::Zlib, 1, 9, "5a8b1eacef8afc017b41c8153e04634d"),
            (
                Framing::Zlib,
                65_536,
                28_421,
                "00b75d06fe41be8ba906c3535d4e55aa",
            ),
            (
                Framing::Zlib,
                3_145_728,
                1_156_918,
                "8344048c2a98f1b28d373b6b8fc25bcc",
            ),
            (Framing::Bzip2, 1, 37, "0086d76329887b83e116c6f5c570431c"),
            (
                Framing::Bzip2,
                65_536,
                28_910,
                "9702482add27885369e23bf1a373ee2c",
            ),
            (
                Framing::Bzip2,
                3_145_728,
                919_987,
                "2a6d9e7027071e2909bc432dfbf5108e",
            ),
            (Framing::Zstd, 1, 10, "bd5026210506b8388175e300c1ec9d41"),
            (
                Framing::Zstd,
                65_536,
                32_315,
                "d01bbc31c43a952f0987b3077cf44742",
            ),
            (
                Framing::Zstd,
                262_144,
                114_096,
                "019b3b98ac4b3f2c65fe72dda2205e73",
            ),
            (
                Framing::Zstd,
                524_288,
                234_628,
                "c7064bfb07b1a39957702ede48d2eb81",
            ),
            (
                Framing::Zstd,
                524_289,
                234_632,
                "096d55041b66bd0041ed6a99d683826c",
            ),
            (
                Framing::Zstd,
                9_437_184,
                4_173_591,
                "0be94e0090c8cb1677ab5f543ba03f13",
            ),
        ] {
            // How the bytes come must not show.
            for piece in [1 << 20, 100_003] {
                let mut out = Vec::new();
                let mut encoder =
                    Encoder::new(framing, length as u64, &mut out).expect("an encoder");
                for piece in all[..length].chunks(piece) {
                    encoder.write(piece).expect("a Vec takes all");
                }
                let count = encoder.finish().expect("a Vec takes all");
                let what = format!("{} of {length} bytes", framing.name());
                assert_eq!(count, out.len() as u64, "{what}");
                assert_eq!(out.len(), stored, "{what}");
                assert_eq!(hex::encode(Md5::digest(&out)), md5, "{what}");
            }
        }
    }
}
