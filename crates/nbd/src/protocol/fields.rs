//! Takes big-endian numbers and strings off the front of bytes.

use super::MAX_STRING;
use crate::ProtocolError;

/// What is left of a message.
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    pub(crate) fn malformed(&self, reason: &'static str) -> ProtocolError {
        let what = self.what;
        ProtocolError::Malformed { what, reason }
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], ProtocolError> {
        let Some((head, rest)) = self.rest.split_at_checked(count) else {
            return Err(self.malformed("it is too short"));
        };
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ProtocolError> {
        let Some((head, rest)) = self.rest.split_first_chunk() else {
            return Err(self.malformed("it is too short"));
        };
        self.rest = rest;
        Ok(*head)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, ProtocolError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, ProtocolError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, ProtocolError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// Takes a string with its length before it.
    pub(crate) fn string(&mut self) -> Result<String, ProtocolError> {
        let length = self.u32()? as usize;
        if length > MAX_STRING {
            return Err(self.malformed("a string is too long"));
        }
        let bytes = self.take(length)?;
        self.text(bytes)
    }

    /// Takes all that is left as a string.
    pub(crate) fn rest_as_string(&mut self) -> Result<String, ProtocolError> {
        let bytes = std::mem::take(&mut self.rest);
        if bytes.len() > MAX_STRING {
            return Err(self.malformed("a string is too long"));
        }
        self.text(bytes)
    }

    fn text(&self, bytes: &[u8]) -> Result<String, ProtocolError> {
        let text = std::str::from_utf8(bytes);
        text.map(str::to_owned)
            .map_err(|_| self.malformed("a string is not UTF-8"))
    }

    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn end(&self) -> Result<(), ProtocolError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.malformed("it is too long"))
        }
    }
}

/// Appends a string with its length before it; callers keep them below [`MAX_STRING`].
pub(crate) fn put_string(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&length_of(text.len()).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Returns a length as it is written; whatever is longer than the field would never be sent.
pub(crate) fn length_of(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
