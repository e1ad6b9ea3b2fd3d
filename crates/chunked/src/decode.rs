//! Decompresses one object as a stream, and holds it to what is recorded of it.

use std::io::{self, Read};

use md5::{Digest, Md5};
use zstd::stream::raw::{DParameter, Operation};

use crate::compression::Framing;
use crate::error::{ChunkedError, ForeignError, ObjectFault};
use crate::metadata::{BackupMetadata, Entry};
use crate::port::ForeignObjects;

/// Bytes read from storage at once.
const INPUT: usize = 128 << 10;

/// The largest zstd window accepted, 8 MiB, as RFC 8878 recommends; level 3 uses 2 MiB.
const ZSTD_WINDOW_LOG: u32 = 23;

/// One object, read from its beginning.
///
/// Never more bytes than recorded are made of it. Its last bytes are handed out only once the
/// whole of it, digest and all, was found to be as recorded.
pub(crate) struct ObjectReader {
    stored: Stored,
    codec: Codec,
    ended: bool,
    position: u64,
    length: u64,
    digest: Md5,
    md5: Option<[u8; 16]>,
}

/// Stored bytes, buffered.
struct Stored {
    reader: Box<dyn Read + Send>,
    buffer: Box<[u8]>,
    filled: std::ops::Range<usize>,
    over: bool,
}

enum Codec {
    Raw,
    Zlib(Box<zlib_rs::Inflate>),
    Bzip2(Box<bzip2::Decompress>),
    Zstd(Box<zstd::stream::raw::Decoder<'static>>),
}

/// What one step of a decoder did.
struct Step {
    read: usize,
    written: usize,
    ended: bool,
}

impl ObjectReader {
    pub(crate) fn open(
        objects: &dyn ForeignObjects,
        metadata: &BackupMetadata,
        entry: &Entry,
    ) -> Result<Self, ChunkedError> {
        let name = metadata.object_name(entry);
        let container = metadata.location.container();
        let reader = objects
            .open(container, &name)
            .map_err(|cause| match cause {
                ForeignError::Missing { .. } => {
                    metadata.object_error(entry, entry.offset, ObjectFault::Missing)
                }
                other => other.into(),
            })?;
        Self::new(reader, entry).map_err(|fault| metadata.object_error(entry, entry.offset, fault))
    }

    fn new(reader: Box<dyn Read + Send>, entry: &Entry) -> Result<Self, ObjectFault> {
        let framing = entry.compression.framing();
        Ok(Self {
            stored: Stored {
                reader,
                buffer: vec![0; INPUT].into_boxed_slice(),
                filled: 0..0,
                over: false,
            },
            codec: Codec::new(framing).map_err(ObjectFault::Io)?,
            ended: framing == Framing::Raw,
            position: 0,
            length: entry.length,
            digest: Md5::new(),
            md5: entry.md5,
        })
    }

    /// Returns how many bytes were handed out.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Fills `buf` as far as the object goes; less than all of it is its end.
    pub(crate) fn read(&mut self, buf: &mut [u8]) -> Result<usize, ObjectFault> {
        let left = self.length - self.position;
        let want = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
        let buf = &mut buf[..want];
        self.fill(buf)?;
        self.digest.update(&*buf);
        self.position += want as u64;
        if left > 0 && self.position == self.length {
            self.check_end()?;
        }
        Ok(want)
    }

    fn fill(&mut self, buf: &mut [u8]) -> Result<(), ObjectFault> {
        let mut filled = 0;
        while filled < buf.len() {
            let made = self.step(&mut buf[filled..])?;
            if made == 0 && (self.ended || self.stored.is_over()?) {
                return Err(match self.codec {
                    Codec::Raw => self.too_short(filled),
                    _ if self.ended => self.too_short(filled),
                    _ => ObjectFault::Truncated,
                });
            }
            filled += made;
        }
        Ok(())
    }

    fn too_short(&self, filled: usize) -> ObjectFault {
        ObjectFault::TooShort {
            found: self.position + filled as u64,
            length: self.length,
        }
    }

    /// Makes up to `buf.len()` bytes; 0 may mean that more has to be read.
    fn step(&mut self, buf: &mut [u8]) -> Result<usize, ObjectFault> {
        if let Codec::Raw = self.codec {
            return self.stored.read(buf).map_err(ObjectFault::Io);
        }
        if self.ended {
            return Ok(0);
        }
        let input = self.stored.peek().map_err(ObjectFault::Io)?;
        let framing = self.codec.framing().name();
        let corrupt = |cause| ObjectFault::Corrupt { framing, cause };
        let step = self.codec.step(input, buf).map_err(corrupt)?;
        if step.read == 0 && step.written == 0 && !step.ended && !input.is_empty() {
            let cause = io::Error::new(io::ErrorKind::InvalidData, "the decoder does not get on");
            return Err(corrupt(cause));
        }
        self.stored.consume(step.read);
        self.ended = step.ended;
        Ok(step.written)
    }

    /// Makes sure that nothing follows, and that it was what was backed up.
    fn check_end(&mut self) -> Result<(), ObjectFault> {
        while !self.ended {
            if self.step(&mut [0])? > 0 {
                return Err(ObjectFault::TooLong {
                    length: self.length,
                });
            }
            if !self.ended && self.stored.is_over()? {
                return Err(ObjectFault::Truncated);
            }
        }
        if !self.stored.is_over()? {
            return Err(ObjectFault::TooLong {
                length: self.length,
            });
        }
        let found: [u8; 16] = self.digest.finalize_reset().into();
        match self.md5 {
            Some(wanted) if wanted != found => Err(ObjectFault::Md5 {
                found: hex::encode(found),
                wanted: hex::encode(wanted),
            }),
            _ => Ok(()),
        }
    }
}

impl Stored {
    /// Returns what is there of the stored bytes; nothing only at their end.
    fn peek(&mut self) -> io::Result<&[u8]> {
        while self.filled.is_empty() && !self.over {
            match self.reader.read(&mut self.buffer) {
                Ok(0) => self.over = true,
                Ok(read) => self.filled = 0..read,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(cause),
            }
        }
        Ok(&self.buffer[self.filled.clone()])
    }

    fn consume(&mut self, bytes: usize) {
        self.filled.start += bytes;
    }

    fn is_over(&mut self) -> Result<bool, ObjectFault> {
        Ok(self.peek().map_err(ObjectFault::Io)?.is_empty())
    }

    /// Reads past the buffer where it is empty.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.filled.is_empty() && buf.len() >= INPUT {
            return match self.reader.read(buf) {
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => Ok(0),
                other => other,
            };
        }
        let there = self.peek()?;
        let read = there.len().min(buf.len());
        buf[..read].copy_from_slice(&there[..read]);
        self.consume(read);
        Ok(read)
    }
}

impl Codec {
    fn new(framing: Framing) -> io::Result<Self> {
        Ok(match framing {
            Framing::Raw => Self::Raw,
            Framing::Zlib => Self::Zlib(Box::new(zlib_rs::Inflate::new(true, 15))),
            Framing::Bzip2 => Self::Bzip2(Box::new(bzip2::Decompress::new(false))),
            Framing::Zstd => {
                let mut decoder = zstd::stream::raw::Decoder::new()?;
                decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG))?;
                Self::Zstd(Box::new(decoder))
            }
        })
    }

    fn framing(&self) -> Framing {
        match self {
            Self::Raw => Framing::Raw,
            Self::Zlib(_) => Framing::Zlib,
            Self::Bzip2(_) => Framing::Bzip2,
            Self::Zstd(_) => Framing::Zstd,
        }
    }

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<Step> {
        let invalid = |text: &str| io::Error::new(io::ErrorKind::InvalidData, text.to_owned());
        match self {
            Self::Raw => Ok(Step {
                read: 0,
                written: 0,
                ended: true,
            }),
            Self::Zlib(inflate) => {
                let before = (inflate.total_in(), inflate.total_out());
                let status = inflate
                    .decompress(input, output, zlib_rs::InflateFlush::NoFlush)
                    .map_err(|error| invalid(inflate.error_message().unwrap_or(error.as_str())))?;
                Ok(Step {
                    read: moved(before.0, inflate.total_in()),
                    written: moved(before.1, inflate.total_out()),
                    ended: status == zlib_rs::Status::StreamEnd,
                })
            }
            Self::Bzip2(decoder) => {
                let before = (decoder.total_in(), decoder.total_out());
                let status = decoder
                    .decompress(input, output)
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
                if status == bzip2::Status::MemNeeded {
                    return Err(io::ErrorKind::OutOfMemory.into());
                }
                Ok(Step {
                    read: moved(before.0, decoder.total_in()),
                    written: moved(before.1, decoder.total_out()),
                    ended: status == bzip2::Status::StreamEnd,
                })
            }
            Self::Zstd(decoder) => {
                let status = decoder.run_on_buffers(input, output)?;
                Ok(Step {
                    read: status.bytes_read,
                    written: status.bytes_written,
                    ended: status.remaining == 0,
                })
            }
        }
    }
}

/// How far a decoder's counter went in one step, which is less than a buffer's length.
fn moved(before: u64, after: u64) -> usize {
    usize::try_from(after - before).expect("within a buffer")
}
