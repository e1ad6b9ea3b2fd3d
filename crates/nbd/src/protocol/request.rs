//! Requests.

use super::REQUEST_MAGIC;
use super::fields::Fields;
use crate::ProtocolError;

/// The length of a request, without the data of a write.
pub const REQUEST_LEN: usize = 28;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Bytes.
    Read,
    /// Take these bytes.
    Write,
    /// Goodbye.
    Disconnect,
    /// Make what was written durable.
    Flush,
    /// These bytes are not needed any more.
    Trim,
    /// Make these bytes zero.
    WriteZeroes,
    /// What is known of these bytes?
    BlockStatus,
    /// Something else.
    Unknown(u16),
}

impl Command {
    fn code(self) -> u16 {
        match self {
            Self::Read => 0,
            Self::Write => 1,
            Self::Disconnect => 2,
            Self::Flush => 3,
            Self::Trim => 4,
            Self::WriteZeroes => 6,
            Self::BlockStatus => 7,
            Self::Unknown(code) => code,
        }
    }

    fn of(code: u16) -> Self {
        match code {
            0 => Self::Read,
            1 => Self::Write,
            2 => Self::Disconnect,
            3 => Self::Flush,
            4 => Self::Trim,
            6 => Self::WriteZeroes,
            7 => Self::BlockStatus,
            code => Self::Unknown(code),
        }
    }
}

/// A request, without the data of a write, which follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Command flags.
    pub flags: u16,
    /// What is asked for.
    pub command: Command,
    /// What the reply will carry.
    pub cookie: u64,
    /// First byte.
    pub offset: u64,
    /// How many bytes.
    pub length: u32,
}

impl Request {
    /// Returns the request as it goes over the wire.
    pub fn encode(&self) -> [u8; REQUEST_LEN] {
        let mut out = [0; REQUEST_LEN];
        out[..4].copy_from_slice(&REQUEST_MAGIC.to_be_bytes());
        out[4..6].copy_from_slice(&self.flags.to_be_bytes());
        out[6..8].copy_from_slice(&self.command.code().to_be_bytes());
        out[8..16].copy_from_slice(&self.cookie.to_be_bytes());
        out[16..24].copy_from_slice(&self.offset.to_be_bytes());
        out[24..].copy_from_slice(&self.length.to_be_bytes());
        out
    }

    /// Reads a request; what does not begin with the magic number is none.
    pub fn decode(bytes: &[u8; REQUEST_LEN]) -> Result<Self, ProtocolError> {
        let mut fields = Fields::new(bytes, "request");
        if fields.u32()? != REQUEST_MAGIC {
            return Err(fields.malformed("it does not begin as one"));
        }
        Ok(Self {
            flags: fields.u16()?,
            command: Command::of(fields.u16()?),
            cookie: fields.u64()?,
            offset: fields.u64()?,
            length: fields.u32()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_has_the_magic_is_a_request(mut bytes: [u8; REQUEST_LEN]) {
            bytes[..4].copy_from_slice(&REQUEST_MAGIC.to_be_bytes());
            let request = Request::decode(&bytes).unwrap();
            prop_assert_eq!(request.encode(), bytes);
            bytes[0] ^= 1;
            prop_assert!(Request::decode(&bytes).is_err());
        }
    }
}
