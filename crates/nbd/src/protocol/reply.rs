//! Replies: simple ones, and the parts of structured ones.

use super::fields::{Fields, length_of};
use super::{CHUNK_MAGIC, SIMPLE_REPLY_MAGIC};
use crate::ProtocolError;

/// The length of a simple reply, without data.
pub const SIMPLE_LEN: usize = 16;
/// The length of what comes before the data of a part.
pub const CHUNK_HEADER: usize = 20;
/// The last part of a reply.
pub const DONE: u16 = 1;

mod chunk_type {
    pub(super) const NONE: u16 = 0;
    pub(super) const OFFSET_DATA: u16 = 1;
    pub(super) const OFFSET_HOLE: u16 = 2;
    pub(super) const BLOCK_STATUS: u16 = 5;
    pub(super) const ERROR: u16 = 1 << 15 | 1;
    pub(super) const ERROR_OFFSET: u16 = 1 << 15 | 2;
    pub(super) const IS_ERROR: u16 = 1 << 15;
}

/// Why a request failed, by the protocol's own number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireError(pub u32);

impl WireError {
    /// Not permitted.
    pub const PERM: Self = Self(1);
    /// The medium failed.
    pub const IO: Self = Self(5);
    /// No memory.
    pub const NOMEM: Self = Self(12);
    /// The request makes no sense.
    pub const INVAL: Self = Self(22);
    /// No space, or beyond the end.
    pub const NOSPC: Self = Self(28);
    /// The answer does not fit.
    pub const OVERFLOW: Self = Self(75);
    /// Not supported.
    pub const NOTSUP: Self = Self(95);
    /// The server is going away.
    pub const SHUTDOWN: Self = Self(108);
}

impl std::fmt::Display for WireError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words = match *self {
            Self::PERM => "it is not permitted",
            Self::IO => "an input/output error",
            Self::NOMEM => "no memory",
            Self::INVAL => "the request is not valid there",
            Self::NOSPC => "no space left",
            Self::OVERFLOW => "the answer would be too long",
            Self::NOTSUP => "it is not supported",
            Self::SHUTDOWN => "the server is shutting down",
            Self(number) => return write!(f, "error {number}"),
        };
        f.write_str(words)
    }
}

/// A simple reply; the data of a read follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SimpleReply {
    /// 0, or why it failed.
    pub error: u32,
    /// The request's.
    pub cookie: u64,
}

impl SimpleReply {
    /// Returns the reply as it goes over the wire.
    pub fn encode(&self) -> [u8; SIMPLE_LEN] {
        let mut out = [0; SIMPLE_LEN];
        out[..4].copy_from_slice(&SIMPLE_REPLY_MAGIC.to_be_bytes());
        out[4..8].copy_from_slice(&self.error.to_be_bytes());
        out[8..].copy_from_slice(&self.cookie.to_be_bytes());
        out
    }
}

/// What comes before the data of a part of a structured reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkHeader {
    /// [`DONE`] or nothing.
    pub flags: u16,
    /// What the part holds.
    pub kind: u16,
    /// The request's.
    pub cookie: u64,
    /// How many bytes of data follow.
    pub length: u32,
}

impl ChunkHeader {
    /// Returns the header of a piece of data, whose offset and bytes follow.
    pub fn of_data(cookie: u64, bytes: usize, flags: u16) -> Self {
        Self {
            flags,
            kind: chunk_type::OFFSET_DATA,
            cookie,
            length: length_of(bytes + 8),
        }
    }

    /// Returns the header as it goes over the wire.
    pub fn encode(&self) -> [u8; CHUNK_HEADER] {
        let mut out = [0; CHUNK_HEADER];
        out[..4].copy_from_slice(&CHUNK_MAGIC.to_be_bytes());
        out[4..6].copy_from_slice(&self.flags.to_be_bytes());
        out[6..8].copy_from_slice(&self.kind.to_be_bytes());
        out[8..16].copy_from_slice(&self.cookie.to_be_bytes());
        out[16..].copy_from_slice(&self.length.to_be_bytes());
        out
    }

    /// Tells whether data follows that goes straight to where it was wanted.
    pub fn is_data(&self) -> bool {
        self.kind == chunk_type::OFFSET_DATA
    }
}

/// The head of a reply of either kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyHead {
    /// All of a simple reply but its data.
    Simple(SimpleReply),
    /// The beginning of a part; so many bytes of its header are still to come.
    Chunk([u8; SIMPLE_LEN]),
}

impl ReplyHead {
    /// Reads the first bytes of a reply, as many as a simple one has.
    pub fn decode(bytes: &[u8; SIMPLE_LEN]) -> Result<Self, ProtocolError> {
        let mut fields = Fields::new(bytes, "reply");
        match fields.u32()? {
            SIMPLE_REPLY_MAGIC => Ok(Self::Simple(SimpleReply {
                error: fields.u32()?,
                cookie: fields.u64()?,
            })),
            CHUNK_MAGIC => Ok(Self::Chunk(*bytes)),
            _ => Err(fields.malformed("it does not begin as one")),
        }
    }
}

impl ChunkHeader {
    /// Puts a header together from its beginning and its length.
    pub fn decode(head: &[u8; SIMPLE_LEN], length: [u8; 4]) -> Result<Self, ProtocolError> {
        let mut fields = Fields::new(head, "part of a reply");
        if fields.u32()? != CHUNK_MAGIC {
            return Err(fields.malformed("it does not begin as one"));
        }
        Ok(Self {
            flags: fields.u16()?,
            kind: fields.u16()?,
            cookie: fields.u64()?,
            length: u32::from_be_bytes(length),
        })
    }
}

/// What one context says of one stretch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor {
    /// How many bytes.
    pub length: u32,
    /// What is known of them.
    pub flags: u32,
}

/// The data of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chunk {
    /// Nothing more.
    None,
    /// Bytes of the volume.
    Data {
        /// The first one's place.
        offset: u64,
        /// They themselves.
        bytes: Vec<u8>,
    },
    /// Zeroes.
    Hole {
        /// The first one's place.
        offset: u64,
        /// How many.
        length: u32,
    },
    /// What a context says.
    BlockStatus {
        /// The context's number.
        context: u32,
        /// Stretches, one after the other.
        descriptors: Vec<Descriptor>,
    },
    /// The request failed.
    Error {
        /// Why.
        error: WireError,
        /// Words for people.
        message: String,
        /// Where, if that is known.
        offset: Option<u64>,
    },
}

impl Chunk {
    /// Returns a part as it goes over the wire.
    pub fn encode(&self, cookie: u64, flags: u16) -> Vec<u8> {
        let mut data = Vec::new();
        let kind = match self {
            Self::None => chunk_type::NONE,
            Self::Data { offset, bytes } => {
                data.extend_from_slice(&offset.to_be_bytes());
                data.extend_from_slice(bytes);
                chunk_type::OFFSET_DATA
            }
            Self::Hole { offset, length } => {
                data.extend_from_slice(&offset.to_be_bytes());
                data.extend_from_slice(&length.to_be_bytes());
                chunk_type::OFFSET_HOLE
            }
            Self::BlockStatus {
                context,
                descriptors,
            } => {
                data.extend_from_slice(&context.to_be_bytes());
                for descriptor in descriptors {
                    data.extend_from_slice(&descriptor.length.to_be_bytes());
                    data.extend_from_slice(&descriptor.flags.to_be_bytes());
                }
                chunk_type::BLOCK_STATUS
            }
            Self::Error {
                error,
                message,
                offset,
            } => {
                let length = u16::try_from(message.len()).unwrap_or(0);
                data.extend_from_slice(&error.0.to_be_bytes());
                data.extend_from_slice(&length.to_be_bytes());
                data.extend_from_slice(&message.as_bytes()[..usize::from(length)]);
                match offset {
                    None => chunk_type::ERROR,
                    Some(offset) => {
                        data.extend_from_slice(&offset.to_be_bytes());
                        chunk_type::ERROR_OFFSET
                    }
                }
            }
        };
        let header = ChunkHeader {
            flags,
            kind,
            cookie,
            length: length_of(data.len()),
        };
        let mut out = header.encode().to_vec();
        out.extend_from_slice(&data);
        out
    }

    /// Understands the data of a part.
    pub fn decode(kind: u16, data: &[u8]) -> Result<Self, ProtocolError> {
        let mut fields = Fields::new(data, "part of a reply");
        let chunk = match kind {
            chunk_type::NONE => Self::None,
            chunk_type::OFFSET_DATA => Self::Data {
                offset: fields.u64()?,
                bytes: fields.take(fields.left())?.to_vec(),
            },
            chunk_type::OFFSET_HOLE => Self::Hole {
                offset: fields.u64()?,
                length: fields.u32()?,
            },
            chunk_type::BLOCK_STATUS => {
                let context = fields.u32()?;
                let mut descriptors = Vec::with_capacity(fields.left() / 8);
                while fields.left() > 0 {
                    descriptors.push(Descriptor {
                        length: fields.u32()?,
                        flags: fields.u32()?,
                    });
                }
                if descriptors.is_empty() || descriptors.iter().any(|d| d.length == 0) {
                    return Err(fields.malformed("a block status says nothing"));
                }
                Self::BlockStatus {
                    context,
                    descriptors,
                }
            }
            kind if kind & chunk_type::IS_ERROR != 0 => {
                let error = WireError(fields.u32()?);
                let length = fields.u16()?;
                let message = String::from_utf8_lossy(fields.take(length.into())?).into_owned();
                let offset = (kind == chunk_type::ERROR_OFFSET)
                    .then(|| fields.u64())
                    .transpose()?;
                // Kinds of errors that we do not know may carry more.
                return Ok(Self::Error {
                    error,
                    message,
                    offset,
                });
            }
            _ => return Err(fields.malformed("it is of an unknown kind")),
        };
        fields.end()?;
        Ok(chunk)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parts_come_back_as_they_went() {
        for chunk in [
            Chunk::None,
            Chunk::Data {
                offset: 7,
                bytes: vec![1, 2, 3],
            },
            Chunk::Hole {
                offset: 9,
                length: 10,
            },
            Chunk::BlockStatus {
                context: 1,
                descriptors: vec![Descriptor {
                    length: 1,
                    flags: 2,
                }],
            },
            Chunk::Error {
                error: WireError::IO,
                message: "broken".into(),
                offset: None,
            },
            Chunk::Error {
                error: WireError::NOSPC,
                message: String::new(),
                offset: Some(5),
            },
        ] {
            let wire = chunk.encode(77, DONE);
            let (head, rest) = wire.split_first_chunk::<SIMPLE_LEN>().unwrap();
            let ReplyHead::Chunk(head) = ReplyHead::decode(head).unwrap() else {
                panic!("not simple");
            };
            let (length, data) = rest.split_first_chunk::<4>().unwrap();
            let header = ChunkHeader::decode(&head, *length).unwrap();
            assert_eq!(header.length as usize, data.len());
            assert_eq!((header.cookie, header.flags), (77, DONE));
            assert_eq!(Chunk::decode(header.kind, data).unwrap(), chunk);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_much(kind: u16, data: Vec<u8>) {
            if let Ok(chunk) = Chunk::decode(kind, &data) {
                chunk.encode(0, 0);
            }
        }
    }
}
