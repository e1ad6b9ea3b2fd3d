//! The options that client and server haggle about before the first request.

use super::fields::{Fields, length_of, put_string};
use super::{OPTION_MAGIC, OPTION_REPLY_MAGIC};
use crate::ProtocolError;

/// The length of what comes before an option's data.
pub const OPTION_HEADER: usize = 16;
/// The length of what comes before the data of an answer to an option.
pub const OPTION_REPLY_HEADER: usize = 20;
/// The most data that an option may have: a name and a few queries.
pub const MAX_OPTION: u32 = 64 << 10;
/// The most queries of one option.
const MAX_QUERIES: u32 = 64;

/// The numbers of options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionCode(pub u32);

impl OptionCode {
    /// Choose an export in the old way, which cannot be refused but by hanging up.
    pub const EXPORT_NAME: Self = Self(1);
    /// Goodbye.
    pub const ABORT: Self = Self(2);
    /// What exports are there?
    pub const LIST: Self = Self(3);
    /// Go on under TLS.
    pub const STARTTLS: Self = Self(5);
    /// Tell of an export.
    pub const INFO: Self = Self(6);
    /// Tell of an export and begin.
    pub const GO: Self = Self(7);
    /// Answer in structured replies.
    pub const STRUCTURED_REPLY: Self = Self(8);
    /// What contexts of block status are there?
    pub const LIST_META_CONTEXT: Self = Self(9);
    /// Choose contexts of block status.
    pub const SET_META_CONTEXT: Self = Self(10);
}

/// The numbers of answers to options.
pub mod reply_code {
    /// Done.
    pub const ACK: u32 = 1;
    /// An export there is.
    pub const SERVER: u32 = 2;
    /// Something about an export.
    pub const INFO: u32 = 3;
    /// A context of block status.
    pub const META_CONTEXT: u32 = 4;
    /// The bit that all refusals have.
    pub const ERROR: u32 = 1 << 31;
    /// The option is not known.
    pub const ERR_UNSUP: u32 = ERROR | 1;
    /// The server does not want to.
    pub const ERR_POLICY: u32 = ERROR | 2;
    /// The option makes no sense.
    pub const ERR_INVALID: u32 = ERROR | 3;
    /// TLS is required first.
    pub const ERR_TLS_REQD: u32 = ERROR | 5;
    /// There is no such export.
    pub const ERR_UNKNOWN: u32 = ERROR | 6;
    /// The option is too large.
    pub const ERR_TOO_BIG: u32 = ERROR | 9;
}

mod info_code {
    pub(super) const EXPORT: u16 = 0;
    pub(super) const NAME: u16 = 1;
    pub(super) const DESCRIPTION: u16 = 2;
    pub(super) const BLOCK_SIZE: u16 = 3;
}

/// What comes before an option's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionHeader {
    /// Which option.
    pub code: OptionCode,
    /// How many bytes of data follow.
    pub length: u32,
}

impl OptionHeader {
    /// Reads it; what does not begin with the magic number is no option.
    pub fn decode(bytes: &[u8; OPTION_HEADER]) -> Result<Self, ProtocolError> {
        let mut fields = Fields::new(bytes, "option");
        if fields.u64()? != OPTION_MAGIC {
            return Err(fields.malformed("it does not begin as one"));
        }
        Ok(Self {
            code: OptionCode(fields.u32()?),
            length: fields.u32()?,
        })
    }
}

/// Returns an option as it goes over the wire.
pub fn encode_option(code: OptionCode, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(OPTION_HEADER + data.len());
    out.extend_from_slice(&OPTION_MAGIC.to_be_bytes());
    out.extend_from_slice(&code.0.to_be_bytes());
    out.extend_from_slice(&length_of(data.len()).to_be_bytes());
    out.extend_from_slice(data);
    out
}

/// Contexts of block status that are asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaQuery {
    /// The export.
    pub export: String,
    /// Names of contexts, or namespaces that end in a colon.
    pub queries: Vec<String>,
}

impl MetaQuery {
    /// Returns the option's data.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_string(&mut out, &self.export);
        out.extend_from_slice(&length_of(self.queries.len()).to_be_bytes());
        for query in &self.queries {
            put_string(&mut out, query);
        }
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, ProtocolError> {
        let mut fields = Fields::new(bytes, "question for contexts");
        let export = fields.string()?;
        let count = fields.u32()?;
        if count > MAX_QUERIES {
            return Err(fields.malformed("it has too many queries"));
        }
        let queries = (0..count)
            .map(|_| fields.string())
            .collect::<Result<_, _>>()?;
        fields.end()?;
        Ok(Self { export, queries })
    }
}

/// An option that a client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OptionRequest {
    /// Begin with this export, or hang up.
    ExportName(String),
    /// Goodbye.
    Abort,
    /// What exports are there?
    List,
    /// Go on under TLS.
    StartTls,
    /// Tell of this export.
    Info(String),
    /// Tell of this export and begin.
    Go(String),
    /// Answer in structured replies.
    StructuredReply,
    /// What contexts are there?
    ListMetaContext(MetaQuery),
    /// Choose contexts.
    SetMetaContext(MetaQuery),
    /// Something else.
    Unknown,
}

impl OptionRequest {
    /// Understands an option's data.
    pub fn decode(code: OptionCode, data: &[u8]) -> Result<Self, ProtocolError> {
        let mut fields = Fields::new(data, "option");
        let option = match code {
            OptionCode::EXPORT_NAME => Self::ExportName(fields.rest_as_string()?),
            OptionCode::ABORT => return Ok(Self::Abort),
            OptionCode::LIST => Self::List,
            OptionCode::STARTTLS => Self::StartTls,
            OptionCode::STRUCTURED_REPLY => Self::StructuredReply,
            OptionCode::INFO | OptionCode::GO => {
                let name = fields.string()?;
                // What the client asks to be told; it is told all there is.
                let count = fields.u16()?;
                fields.take(usize::from(count) * 2)?;
                if code == OptionCode::GO {
                    Self::Go(name)
                } else {
                    Self::Info(name)
                }
            }
            OptionCode::LIST_META_CONTEXT => {
                return Ok(Self::ListMetaContext(MetaQuery::decode(data)?));
            }
            OptionCode::SET_META_CONTEXT => {
                return Ok(Self::SetMetaContext(MetaQuery::decode(data)?));
            }
            _ => return Ok(Self::Unknown),
        };
        fields.end()?;
        Ok(option)
    }
}

/// Returns the data of an option that chooses an export and asks for nothing special.
pub fn encode_choice(export: &str, infos: &[u16]) -> Vec<u8> {
    let mut out = Vec::new();
    put_string(&mut out, export);
    let count = u16::try_from(infos.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&count.to_be_bytes());
    for info in infos {
        out.extend_from_slice(&info.to_be_bytes());
    }
    out
}

/// The item that [`encode_choice`] asks for, so that a server tells its block sizes.
pub const ASK_BLOCK_SIZE: u16 = info_code::BLOCK_SIZE;

/// What is known of an export once it is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportInfo {
    /// Its size in bytes.
    pub size: u64,
    /// Its transmission flags.
    pub flags: u16,
}

/// In what pieces an export wants to be read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockSizes {
    /// Every offset and length is a multiple of this power of two.
    pub minimum: u32,
    /// What goes best.
    pub preferred: u32,
    /// The most at once.
    pub maximum: u32,
}

impl Default for BlockSizes {
    fn default() -> Self {
        Self {
            minimum: 1,
            preferred: 4096,
            maximum: super::MAX_PAYLOAD,
        }
    }
}

/// One fact about an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InfoItem {
    /// Size and flags.
    Export(ExportInfo),
    /// Block sizes.
    BlockSizes(BlockSizes),
    /// A name or a description, for people.
    Text(String),
    /// Something else.
    Unknown,
}

impl InfoItem {
    /// Returns the data of an answer.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Export(info) => {
                out.extend_from_slice(&info_code::EXPORT.to_be_bytes());
                out.extend_from_slice(&info.size.to_be_bytes());
                out.extend_from_slice(&info.flags.to_be_bytes());
            }
            Self::BlockSizes(sizes) => {
                out.extend_from_slice(&info_code::BLOCK_SIZE.to_be_bytes());
                for size in [sizes.minimum, sizes.preferred, sizes.maximum] {
                    out.extend_from_slice(&size.to_be_bytes());
                }
            }
            Self::Text(text) => {
                out.extend_from_slice(&info_code::DESCRIPTION.to_be_bytes());
                out.extend_from_slice(text.as_bytes());
            }
            Self::Unknown => {}
        }
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, ProtocolError> {
        let mut fields = Fields::new(bytes, "information on an export");
        let item = match fields.u16()? {
            info_code::EXPORT => Self::Export(ExportInfo {
                size: fields.u64()?,
                flags: fields.u16()?,
            }),
            info_code::BLOCK_SIZE => {
                let sizes = BlockSizes {
                    minimum: fields.u32()?,
                    preferred: fields.u32()?,
                    maximum: fields.u32()?,
                };
                let sane = sizes.minimum.is_power_of_two()
                    && sizes.minimum <= 64 << 10
                    && sizes.maximum >= sizes.minimum;
                if !sane {
                    return Err(fields.malformed("the block sizes make no sense"));
                }
                Self::BlockSizes(sizes)
            }
            info_code::NAME | info_code::DESCRIPTION => Self::Text(fields.rest_as_string()?),
            _ => return Ok(Self::Unknown),
        };
        fields.end()?;
        Ok(item)
    }
}

/// What a server answers to an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OptionReply {
    /// Done.
    Ack,
    /// An export there is.
    Server(String),
    /// Something about an export.
    Info(InfoItem),
    /// A context of block status, with the number it goes by.
    MetaContext {
        /// The number.
        id: u32,
        /// The name.
        name: String,
    },
    /// A refusal.
    Refused {
        /// Its number.
        code: u32,
        /// Words for people.
        message: String,
    },
    /// Something else.
    Unknown(u32),
}

/// What comes before the data of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionReplyHeader {
    /// The option that is answered.
    pub option: OptionCode,
    /// The kind of answer.
    pub code: u32,
    /// How many bytes of data follow.
    pub length: u32,
}

impl OptionReplyHeader {
    /// Reads it.
    pub fn decode(bytes: &[u8; OPTION_REPLY_HEADER]) -> Result<Self, ProtocolError> {
        let mut fields = Fields::new(bytes, "answer to an option");
        if fields.u64()? != OPTION_REPLY_MAGIC {
            return Err(fields.malformed("it does not begin as one"));
        }
        Ok(Self {
            option: OptionCode(fields.u32()?),
            code: fields.u32()?,
            length: fields.u32()?,
        })
    }
}

impl OptionReply {
    /// Returns the answer as it goes over the wire.
    pub fn encode(&self, option: OptionCode) -> Vec<u8> {
        let (code, data) = match self {
            Self::Ack => (reply_code::ACK, Vec::new()),
            Self::Server(name) => {
                let mut data = Vec::new();
                put_string(&mut data, name);
                (reply_code::SERVER, data)
            }
            Self::Info(item) => (reply_code::INFO, item.encode()),
            Self::MetaContext { id, name } => {
                let mut data = id.to_be_bytes().to_vec();
                data.extend_from_slice(name.as_bytes());
                (reply_code::META_CONTEXT, data)
            }
            Self::Refused { code, message } => (*code, message.as_bytes().to_vec()),
            Self::Unknown(code) => (*code, Vec::new()),
        };
        let mut out = Vec::with_capacity(OPTION_REPLY_HEADER + data.len());
        out.extend_from_slice(&OPTION_REPLY_MAGIC.to_be_bytes());
        out.extend_from_slice(&option.0.to_be_bytes());
        out.extend_from_slice(&code.to_be_bytes());
        out.extend_from_slice(&length_of(data.len()).to_be_bytes());
        out.extend_from_slice(&data);
        out
    }

    /// Understands the data of an answer.
    pub fn decode(code: u32, data: &[u8]) -> Result<Self, ProtocolError> {
        let mut fields = Fields::new(data, "answer to an option");
        Ok(match code {
            reply_code::ACK => Self::Ack,
            // Whatever stands behind the name is words for people.
            reply_code::SERVER => Self::Server(fields.string()?),
            reply_code::INFO => Self::Info(InfoItem::decode(data)?),
            reply_code::META_CONTEXT => Self::MetaContext {
                id: fields.u32()?,
                name: fields.rest_as_string()?,
            },
            code if code & reply_code::ERROR != 0 => Self::Refused {
                code,
                message: String::from_utf8_lossy(data).into_owned(),
            },
            code => Self::Unknown(code),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_say_what_was_meant() {
        let query = MetaQuery {
            export: "vol".into(),
            queries: vec!["base:allocation".into(), "qemu:".into()],
        };
        let choice = encode_choice("vol", &[ASK_BLOCK_SIZE]);
        for (code, data, want) in [
            (
                OptionCode::EXPORT_NAME,
                b"vol".to_vec(),
                OptionRequest::ExportName("vol".into()),
            ),
            (OptionCode::LIST, vec![], OptionRequest::List),
            (
                OptionCode::GO,
                choice.clone(),
                OptionRequest::Go("vol".into()),
            ),
            (OptionCode::INFO, choice, OptionRequest::Info("vol".into())),
            (
                OptionCode::SET_META_CONTEXT,
                query.encode(),
                OptionRequest::SetMetaContext(query),
            ),
            (OptionCode(4), vec![1, 2, 3], OptionRequest::Unknown),
        ] {
            let wire = encode_option(code, &data);
            let (head, rest) = wire.split_first_chunk().unwrap();
            let header = OptionHeader::decode(head).unwrap();
            assert_eq!((header.code, header.length as usize), (code, rest.len()));
            assert_eq!(OptionRequest::decode(code, rest).unwrap(), want);
        }
        for (what, code, data) in [
            ("a list with data", OptionCode::LIST, &b"x"[..]),
            ("a name that is cut", OptionCode::GO, b"\0\0\0\x05abc"),
            (
                "items that are not there",
                OptionCode::GO,
                b"\0\0\0\0\0\x09",
            ),
            ("no text", OptionCode::EXPORT_NAME, b"\xff\xfe"),
            (
                "many queries",
                OptionCode::LIST_META_CONTEXT,
                b"\0\0\0\0\xff\xff\xff\xff",
            ),
        ] {
            assert!(OptionRequest::decode(code, data).is_err(), "{what}");
        }
    }

    #[test]
    fn answers_come_back_as_they_went() {
        for reply in [
            OptionReply::Ack,
            OptionReply::Server("a b".into()),
            OptionReply::Info(InfoItem::Export(ExportInfo { size: 77, flags: 3 })),
            OptionReply::Info(InfoItem::BlockSizes(BlockSizes::default())),
            OptionReply::MetaContext {
                id: 9,
                name: "base:allocation".into(),
            },
            OptionReply::Refused {
                code: reply_code::ERR_UNKNOWN,
                message: "no".into(),
            },
        ] {
            let wire = reply.encode(OptionCode::GO);
            let (head, rest) = wire.split_first_chunk().unwrap();
            let header = OptionReplyHeader::decode(head).unwrap();
            assert_eq!(header.length as usize, rest.len());
            assert_eq!(OptionReply::decode(header.code, rest).unwrap(), reply);
        }
        let odd = [0, 3, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0];
        assert!(
            OptionReply::decode(reply_code::INFO, &odd).is_err(),
            "a block size of 3"
        );
    }
}
