//! A volume's bytes as a stream of extents: what is left out reads as zeroes.
//!
//! ```text
//! "EKXS1\0"  u64 total bytes
//! { u64 offset  u32 length  length bytes }*     ascending, not overlapping, 1 to 4 MiB each
//! { u64 total   u32 0 }                         the end: a stream without it was cut off
//! ```
//!
//! A stream that begins with "EKXU1\0" is the same, but its extents come in any order, as a
//! backup is read fastest.
//!
//! Numbers are little-endian. Both ends keep at most one frame in memory.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use emberkeep_model::ByteCount;

const MAGIC: &[u8; 6] = b"EKXS1\0";
const SCATTERED: &[u8; 6] = b"EKXU1\0";
const HEAD_BYTES: usize = MAGIC.len() + 8;
const FRAME_HEAD_BYTES: usize = 8 + 4;

/// The most bytes one frame carries.
pub const MAX_FRAME_BYTES: usize = 4 << 20;

/// What is wrong with a stream of extents.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtentStreamError {
    /// It is something else.
    #[error("this is not a stream of extents of version 1")]
    Magic,
    /// A frame is larger than any may be.
    #[error(
        "the frame at offset {offset} has {length} bytes, more than the {MAX_FRAME_BYTES} allowed"
    )]
    FrameTooLarge {
        /// Where.
        offset: u64,
        /// How many.
        length: u64,
    },
    /// A frame begins before the one before ended.
    #[error("the frame at offset {offset} begins before {expected}, where the one before it ended")]
    Overlap {
        /// Where.
        offset: u64,
        /// The least it may be.
        expected: u64,
    },
    /// A frame reaches beyond the end of the volume.
    #[error(
        "the frame at offset {offset} with {length} bytes reaches beyond the {total} bytes of the volume"
    )]
    BeyondEnd {
        /// Where.
        offset: u64,
        /// How many.
        length: u64,
        /// The size stated at the beginning.
        total: u64,
    },
    /// The last frame does not repeat the size.
    #[error("the end says {found} bytes, the beginning {total}")]
    WrongEnd {
        /// What the end says.
        found: u64,
        /// What the beginning says.
        total: u64,
    },
    /// It stops before its end.
    #[error("the stream was cut off")]
    Truncated,
    /// Something follows its end.
    #[error("bytes follow the end of the stream")]
    Trailing,
}

/// Where a stream has come to; both ends hold themselves to it.
#[derive(Debug, Clone, Copy)]
struct Position {
    total: u64,
    /// Where the next extent may begin; the bytes so far where the order does not matter.
    next: u64,
    scattered: bool,
}

impl Position {
    fn advance(&mut self, offset: u64, length: u64) -> Result<(), ExtentStreamError> {
        if length > MAX_FRAME_BYTES as u64 {
            return Err(ExtentStreamError::FrameTooLarge { offset, length });
        }
        if self.scattered {
            self.next = self.next.saturating_add(length);
            let end = offset.saturating_add(length).max(self.next);
            if end > self.total {
                let total = self.total;
                return Err(ExtentStreamError::BeyondEnd {
                    offset,
                    length,
                    total,
                });
            }
            return Ok(());
        }
        if offset < self.next {
            let expected = self.next;
            return Err(ExtentStreamError::Overlap { offset, expected });
        }
        match offset.checked_add(length) {
            Some(end) if end <= self.total => {
                self.next = end;
                Ok(())
            }
            _ => {
                let total = self.total;
                Err(ExtentStreamError::BeyondEnd {
                    offset,
                    length,
                    total,
                })
            }
        }
    }
}

/// Writes a stream. What it returns is to be sent in that order.
#[derive(Debug)]
pub struct ExtentEncoder {
    at: Position,
}

impl ExtentEncoder {
    /// Begins a stream of a volume of `total` bytes; returns what goes first.
    pub fn new(total: ByteCount) -> (Self, Bytes) {
        Self::begin(total, false)
    }

    /// The same for extents that come in any order; none may overlap another.
    pub fn scattered(total: ByteCount) -> (Self, Bytes) {
        Self::begin(total, true)
    }

    fn begin(total: ByteCount, scattered: bool) -> (Self, Bytes) {
        let mut head = BytesMut::with_capacity(HEAD_BYTES);
        head.put_slice(if scattered { SCATTERED } else { MAGIC });
        head.put_u64_le(total.0);
        let at = Position {
            total: total.0,
            next: 0,
            scattered,
        };
        (Self { at }, head.freeze())
    }

    /// Returns what goes before `length` bytes of the volume at `offset`; an empty frame
    /// would end the stream and is refused by sending none.
    pub fn frame(
        &mut self,
        offset: u64,
        length: usize,
    ) -> Result<Option<Bytes>, ExtentStreamError> {
        self.at.advance(offset, length as u64)?;
        Ok(u32::try_from(length)
            .ok()
            .filter(|length| *length > 0)
            .map(|length| frame(offset, length)))
    }

    /// Returns what goes last.
    pub fn end(self) -> Bytes {
        frame(self.at.total, 0)
    }
}

fn frame(offset: u64, length: u32) -> Bytes {
    let mut head = BytesMut::with_capacity(FRAME_HEAD_BYTES);
    head.put_u64_le(offset);
    head.put_u32_le(length);
    head.freeze()
}

/// What a stream holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExtentItem {
    /// How large the volume is; comes first, once.
    Size(ByteCount),
    /// Bytes of the volume.
    Data {
        /// Where they belong.
        offset: u64,
        /// Never empty.
        bytes: Bytes,
    },
    /// Nothing more follows.
    End,
}

#[derive(Debug)]
enum Expecting {
    Head,
    Frame(Position),
    Body {
        at: Position,
        offset: u64,
        length: usize,
    },
    Nothing,
}

/// Reads a stream, in pieces of any size.
#[derive(Debug)]
pub struct ExtentDecoder {
    buffer: BytesMut,
    expecting: Expecting,
    scattered: bool,
}

impl Default for ExtentDecoder {
    fn default() -> Self {
        Self {
            buffer: BytesMut::new(),
            expecting: Expecting::Head,
            scattered: false,
        }
    }
}

impl ExtentDecoder {
    /// Reads a stream whose extents come in any order.
    pub fn scattered() -> Self {
        Self {
            scattered: true,
            ..Self::default()
        }
    }

    /// Takes in the next piece. Take out what it holds with [`next_item`](Self::next_item) before feeding more:
    /// then at most one frame and one piece are kept.
    pub fn feed(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// Returns the next item, or none before more is fed.
    pub fn next_item(&mut self) -> Result<Option<ExtentItem>, ExtentStreamError> {
        match self.expecting {
            Expecting::Head => Ok(self.head()?.map(|total| {
                let scattered = self.scattered;
                self.expecting = Expecting::Frame(Position {
                    total,
                    next: 0,
                    scattered,
                });
                ExtentItem::Size(ByteCount(total))
            })),
            Expecting::Frame(at) => self.frame(at),
            Expecting::Body { at, offset, length } => Ok(self.body(at, offset, length)),
            Expecting::Nothing if self.buffer.is_empty() => Ok(None),
            Expecting::Nothing => Err(ExtentStreamError::Trailing),
        }
    }

    /// Tells whether the stream ended as it should when nothing more comes.
    pub fn finish(&self) -> Result<(), ExtentStreamError> {
        match self.expecting {
            Expecting::Nothing if self.buffer.is_empty() => Ok(()),
            Expecting::Nothing => Err(ExtentStreamError::Trailing),
            Expecting::Head | Expecting::Frame(_) | Expecting::Body { .. } => {
                Err(ExtentStreamError::Truncated)
            }
        }
    }

    /// Reads how large the volume is; what begins otherwise is refused at its first byte.
    fn head(&mut self) -> Result<Option<u64>, ExtentStreamError> {
        let magic = if self.scattered { SCATTERED } else { MAGIC };
        let seen = self.buffer.len().min(magic.len());
        if self.buffer[..seen] != magic[..seen] {
            return Err(ExtentStreamError::Magic);
        }
        if self.buffer.len() < HEAD_BYTES {
            return Ok(None);
        }
        self.buffer.advance(MAGIC.len());
        Ok(Some(self.buffer.get_u64_le()))
    }

    fn frame(&mut self, mut at: Position) -> Result<Option<ExtentItem>, ExtentStreamError> {
        if self.buffer.len() < FRAME_HEAD_BYTES {
            return Ok(None);
        }
        let offset = self.buffer.get_u64_le();
        let length = self.buffer.get_u32_le();
        if length == 0 {
            if offset != at.total {
                let (found, total) = (offset, at.total);
                return Err(ExtentStreamError::WrongEnd { found, total });
            }
            self.expecting = Expecting::Nothing;
            return Ok(Some(ExtentItem::End));
        }
        at.advance(offset, u64::from(length))?;
        // Checked above: a frame is a few MiB.
        let length = length as usize;
        Ok(self.body(at, offset, length))
    }

    fn body(&mut self, at: Position, offset: u64, length: usize) -> Option<ExtentItem> {
        if self.buffer.len() < length {
            self.expecting = Expecting::Body { at, offset, length };
            return None;
        }
        self.expecting = Expecting::Frame(at);
        let bytes = self.buffer.split_to(length).freeze();
        Some(ExtentItem::Data { offset, bytes })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(total: u64, extents: &[(u64, &[u8])]) -> Vec<u8> {
        let (mut encoder, head) = ExtentEncoder::new(ByteCount(total));
        let mut stream = head.to_vec();
        for (offset, bytes) in extents {
            let frame = encoder
                .frame(*offset, bytes.len())
                .expect("fits")
                .expect("not empty");
            stream.extend_from_slice(&frame);
            stream.extend_from_slice(bytes);
        }
        stream.extend_from_slice(&encoder.end());
        stream
    }

    fn decoded(stream: &[u8], piece: usize) -> Result<Vec<ExtentItem>, ExtentStreamError> {
        let mut decoder = ExtentDecoder::default();
        let mut items = Vec::new();
        for piece in stream.chunks(piece.max(1)) {
            decoder.feed(piece);
            while let Some(item) = decoder.next_item()? {
                items.push(item);
            }
        }
        decoder.finish().map(|()| items)
    }

    fn raw(total: u64, frames: &[(u64, u32, &[u8])]) -> Vec<u8> {
        let mut stream = MAGIC.to_vec();
        stream.put_u64_le(total);
        for (offset, length, bytes) in frames {
            stream.put_u64_le(*offset);
            stream.put_u32_le(*length);
            stream.put_slice(bytes);
        }
        stream
    }

    #[test]
    fn scattered_extents_come_in_any_order_and_stay_inside() {
        let (mut encoder, head) = ExtentEncoder::scattered(ByteCount(10));
        let mut stream = head.to_vec();
        for (offset, bytes) in [(6, b"cd"), (0, b"ab")] {
            let frame = encoder.frame(offset, bytes.len()).expect("fits");
            stream.extend_from_slice(&frame.expect("not empty"));
            stream.extend_from_slice(bytes);
        }
        for (what, offset, length) in [
            ("beyond the end", 9, 2),
            ("more than there is", 0, 7),
            ("an overflow", u64::MAX, 1),
        ] {
            let refused = ExtentEncoder { at: encoder.at }.frame(offset, length);
            assert!(
                matches!(refused, Err(ExtentStreamError::BeyondEnd { .. })),
                "{what}"
            );
        }
        stream.extend_from_slice(&encoder.end());
        assert_eq!(decoded(&stream, 3), Err(ExtentStreamError::Magic));
        let mut decoder = ExtentDecoder::scattered();
        decoder.feed(&stream);
        let mut offsets = Vec::new();
        while let Some(item) = decoder.next_item().expect("reads") {
            if let ExtentItem::Data { offset, .. } = item {
                offsets.push(offset);
            }
        }
        assert_eq!(offsets, [6, 0]);
        decoder.finish().expect("whole");
    }

    #[test]
    fn a_stream_has_these_bytes() {
        let stream = encoded(10, &[(2, b"ab")]);
        let want =
            b"EKXS1\0\x0a\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x02\0\0\0ab\x0a\0\0\0\0\0\0\0\0\0\0\0";
        assert_eq!(stream, want);
        let data = |offset, bytes: &'static [u8]| ExtentItem::Data {
            offset,
            bytes: Bytes::from_static(bytes),
        };
        assert_eq!(
            decoded(&stream, 1),
            Ok(vec![
                ExtentItem::Size(ByteCount(10)),
                data(2, b"ab"),
                ExtentItem::End
            ])
        );
        assert_eq!(
            decoded(&encoded(0, &[]), 99),
            Ok(vec![ExtentItem::Size(ByteCount(0)), ExtentItem::End])
        );
    }

    #[test]
    fn what_is_wrong_is_refused() {
        use ExtentStreamError as E;
        let too_large = u32::try_from(MAX_FRAME_BYTES + 1).expect("small");
        let whole = encoded(10, &[(0, b"abc"), (5, b"de")]);
        for (what, stream, want) in [
            ("something else", b"QFI\xfb".to_vec(), E::Magic),
            ("a later version", b"EKXS2\0".to_vec(), E::Magic),
            ("nothing", vec![], E::Truncated),
            ("no end", raw(10, &[(0, 1, b"a")]), E::Truncated),
            (
                "overlap",
                raw(10, &[(0, 4, b"abcd"), (3, 1, b"x")]),
                E::Overlap {
                    offset: 3,
                    expected: 4,
                },
            ),
            (
                "backwards",
                raw(10, &[(5, 1, b"a"), (0, 1, b"x")]),
                E::Overlap {
                    offset: 0,
                    expected: 6,
                },
            ),
            (
                "beyond",
                raw(10, &[(8, 3, b"abc")]),
                E::BeyondEnd {
                    offset: 8,
                    length: 3,
                    total: 10,
                },
            ),
            (
                "far beyond",
                raw(10, &[(u64::MAX, 3, b"abc")]),
                E::BeyondEnd {
                    offset: u64::MAX,
                    length: 3,
                    total: 10,
                },
            ),
            (
                "too large",
                raw(u64::MAX, &[(0, too_large, b"")]),
                E::FrameTooLarge {
                    offset: 0,
                    length: u64::from(too_large),
                },
            ),
            (
                "wrong end",
                raw(10, &[(9, 0, b"")]),
                E::WrongEnd {
                    found: 9,
                    total: 10,
                },
            ),
            ("trailing", raw(10, &[(10, 0, b"x")]), E::Trailing),
        ] {
            for piece in [1, 7, 1 << 20] {
                assert_eq!(
                    decoded(&stream, piece),
                    Err(want.clone()),
                    "{what} in pieces of {piece}"
                );
            }
        }
        for cut in 0..whole.len() {
            assert_eq!(decoded(&whole[..cut], 4), Err(E::Truncated), "cut at {cut}");
        }
        let (mut encoder, _) = ExtentEncoder::new(ByteCount(10));
        assert_eq!(encoder.frame(0, 0), Ok(None));
        assert!(encoder.frame(4, 4).is_ok());
        assert_eq!(
            encoder.frame(7, 1),
            Err(E::Overlap {
                offset: 7,
                expected: 8
            })
        );
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(
            extents in proptest::collection::vec((0u64..50, proptest::collection::vec(any::<u8>(), 1..40)), 0..8),
            piece in 1usize..64,
        ) {
            let mut at = 0;
            let mut placed = Vec::new();
            for (gap, bytes) in &extents {
                placed.push((at + gap, bytes.as_slice()));
                at += gap + bytes.len() as u64;
            }
            let mut want = vec![ExtentItem::Size(ByteCount(at))];
            want.extend(placed.iter().map(|(offset, bytes)| ExtentItem::Data {
                offset: *offset,
                bytes: Bytes::copy_from_slice(bytes),
            }));
            want.push(ExtentItem::End);
            prop_assert_eq!(decoded(&encoded(at, &placed), piece), Ok(want));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64), piece in 1usize..64) {
            let mut stream = MAGIC.to_vec();
            stream.extend(&bytes);
            let _ = decoded(&stream, piece);
            let _ = decoded(&bytes, piece);
        }
    }
}
