//! The compressions that Cinder knows, by the words it records.

use std::fmt;
use std::str::FromStr;

/// How an object's bytes are framed in storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Framing {
    Raw,
    Zlib,
    Bzip2,
    Zstd,
}

impl Framing {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw bytes",
            Self::Zlib => "zlib",
            Self::Bzip2 => "bzip2",
            Self::Zstd => "zstd",
        }
    }
}

/// A value of Cinder's `backup_compression_algorithm`. Some have two words, and the one
/// that was configured is recorded. `gzip` is framed as zlib.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// `none`, `off`, `no`: recorded as `none`.
    None,
    /// `zlib`, level 6: what Cinder uses unless told otherwise.
    #[default]
    Zlib,
    /// `gzip`: the same bytes as `zlib`.
    Gzip,
    /// `bz2`, level 9.
    Bz2,
    /// `bzip2`: the same bytes as `bz2`.
    Bzip2,
    /// `zstd`, level 3.
    Zstd,
}

impl Compression {
    /// Returns the word that is recorded with each object.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Zlib => "zlib",
            Self::Gzip => "gzip",
            Self::Bz2 => "bz2",
            Self::Bzip2 => "bzip2",
            Self::Zstd => "zstd",
        }
    }

    pub(crate) fn framing(self) -> Framing {
        match self {
            Self::None => Framing::Raw,
            Self::Zlib | Self::Gzip => Framing::Zlib,
            Self::Bz2 | Self::Bzip2 => Framing::Bzip2,
            Self::Zstd => Framing::Zstd,
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A word that names no compression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a compression: none, zlib, gzip, bz2, bzip2 and zstd are")]
pub struct UnknownCompression(pub String);

impl FromStr for Compression {
    type Err = UnknownCompression;

    /// Takes the words that Cinder takes, in any case.
    fn from_str(word: &str) -> Result<Self, UnknownCompression> {
        match word.to_lowercase().as_str() {
            "none" | "off" | "no" => Ok(Self::None),
            "zlib" => Ok(Self::Zlib),
            "gzip" => Ok(Self::Gzip),
            "bz2" => Ok(Self::Bz2),
            "bzip2" => Ok(Self::Bzip2),
            "zstd" => Ok(Self::Zstd),
            _ => Err(UnknownCompression(word.to_owned())),
        }
    }
}
