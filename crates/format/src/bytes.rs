//! Little-endian fields and LEB128 numbers, read with every length checked.

use crate::FormatError;

/// Reads fields from the front of a slice.
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Takes all that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], FormatError> {
        let (head, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(FormatError::Truncated { what: self.what })?;
        self.rest = rest;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let (head, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(FormatError::Truncated { what: self.what })?;
        self.rest = rest;
        Ok(*head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, FormatError> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u32(&mut self) -> Result<u32, FormatError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Reads a LEB128 number of at most 32 bits in its shortest form.
    ///
    /// A longer spelling of the same number is refused, so that equal pages have equal bytes.
    pub(crate) fn varint(&mut self) -> Result<u32, FormatError> {
        let mut value = 0u64;
        for shift in (0..35).step_by(7) {
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    return Err(self.malformed("a number is not in its shortest form"));
                }
                return u32::try_from(value)
                    .map_err(|_| self.malformed("a number exceeds 32 bits"));
            }
        }
        Err(self.malformed("a number exceeds 32 bits"))
    }

    pub(crate) fn malformed(&self, reason: &'static str) -> FormatError {
        FormatError::Malformed {
            what: self.what,
            reason,
        }
    }
}

/// Appends a number in LEB128.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u32) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Converts a length that the format bounds far below 4 GiB.
///
/// Panics only on our own side of an encoder, when a caller breaks that bound.
pub(crate) fn len_u32(len: usize) -> u32 {
    u32::try_from(len).expect("encoders keep every length below 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_round_trip_and_refuse_other_spellings() {
        for value in [0, 1, 127, 128, 300, 16_383, 16_384, 1 << 24, u32::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            let mut fields = Fields::new(&out, "test");
            assert_eq!(fields.varint().unwrap(), value);
            assert!(fields.is_empty());
        }
        for bad in [
            &[0x80, 0x00][..],
            &[0xff; 5],
            &[0x80],
            &[0xff, 0xff, 0xff, 0xff, 0x7f],
        ] {
            assert!(Fields::new(bad, "test").varint().is_err(), "{bad:?}");
        }
    }
}
