//! Stores one object: compressed, or raw where that makes it no smaller.

use std::io::{self, Write};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use emberkeep_volumes::SourceSnapshot;

use super::WriteOptions;
use super::pieces::{Digests, Pieces};
use crate::compression::{Compression, Framing};
use crate::emit::Line;
use crate::encode::Encoder;
use crate::error::{ChunkedError, ForeignError};
use crate::port::{ForeignSink, Location, SinkObject, Watch};

/// The largest compressed object of zeroes that is kept to be stored again.
const ZERO_OBJECT: usize = 8 << 20;

/// Where one backup comes from and goes to.
pub(super) struct Store<'a> {
    pub(super) source: &'a dyn SourceSnapshot,
    pub(super) watch: &'a dyn Watch,
    pub(super) location: &'a Location,
    pub(super) options: WriteOptions,
    sink: &'a dyn ForeignSink,
    /// Names under which something of this backup stands.
    names: Mutex<Vec<String>>,
    /// The last object that was all zeroes: a sparse volume has many such.
    zeroes: Mutex<Option<Arc<ZeroObject>>>,
}

struct ZeroObject {
    length: u64,
    md5: [u8; 16],
    stored: Vec<u8>,
}

impl<'a> Store<'a> {
    pub(super) fn new(
        (source, sink, watch): (&'a dyn SourceSnapshot, &'a dyn ForeignSink, &'a dyn Watch),
        location: &'a Location,
        options: WriteOptions,
    ) -> Self {
        Self {
            source,
            watch,
            location,
            options,
            sink,
            names: Mutex::default(),
            zeroes: Mutex::default(),
        }
    }

    pub(super) fn create(&self, name: &str) -> Result<Box<dyn SinkObject>, ForeignError> {
        self.sink.create(self.location.container(), name)
    }

    /// Remembers what is to be removed should the backup fail.
    pub(super) fn stands(&self, name: String) {
        lock(&self.names).push(name);
    }

    /// Removes what a failed backup has stored. Without its description nothing takes what
    /// cannot be removed for a backup.
    pub(super) fn remove_all(&self) {
        for name in lock(&self.names).drain(..) {
            let _ = self.sink.remove(self.location.container(), &name);
        }
    }

    /// Stores a stretch of the volume; returns what is recorded of it and its stored length.
    pub(super) fn object(
        &self,
        number: u32,
        range: Range<u64>,
        digests: &mut Digests,
    ) -> Result<(Line, u64), ChunkedError> {
        let name = self.location.object_name(number);
        let length = range.end - range.start;
        let (compression, md5, stored) = self.bytes(&name, &range, digests)?;
        self.stands(name.clone());
        self.watch.advance(length);
        let line = Line {
            name,
            compression: compression.word(),
            length,
            md5,
            offset: range.start,
        };
        Ok((line, stored))
    }

    fn bytes(
        &self,
        name: &str,
        range: &Range<u64>,
        digests: &mut Digests,
    ) -> Result<(Compression, [u8; 16], u64), ChunkedError> {
        let length = range.end - range.start;
        let compression = self.options.compression;
        let mut pieces = self.pieces(range);
        if compression.framing() == Framing::Raw {
            let mut out = self.create(name)?;
            while let Some(piece) = pieces.next()? {
                digests.add(piece);
                write(name, &mut out, piece)?;
            }
            finish(name, out)?;
            return Ok((Compression::None, digests.take_md5(), length));
        }
        let zero = pieces.all_zero()?;
        if zero && let Some(known) = self.known_zeroes(length) {
            if let Some(blocks) = &mut digests.blocks {
                blocks.add_zeroes(length);
            }
            let mut out = self.create(name)?;
            write(name, &mut out, &known.stored)?;
            finish(name, out)?;
            return Ok((compression, known.md5, known.stored.len() as u64));
        }
        let mut tee = Tee {
            out: self.create(name)?,
            kept: zero.then(Vec::new),
        };
        let stored = compress(name, compression, (&mut pieces, length), digests, &mut tee)?;
        let md5 = digests.take_md5();
        if let Some(stored) = stored {
            finish(name, tee.out)?;
            if let Some(stored) = tee.kept {
                *lock(&self.zeroes) = Some(Arc::new(ZeroObject {
                    length,
                    md5,
                    stored,
                }));
            }
            return Ok((compression, md5, stored));
        }
        drop(tee);
        let mut out = self.create(name)?;
        let mut again = self.pieces(range);
        while let Some(piece) = again.next()? {
            write(name, &mut out, piece)?;
        }
        finish(name, out)?;
        Ok((Compression::None, md5, length))
    }

    pub(super) fn pieces(&self, range: &Range<u64>) -> Pieces<'a> {
        Pieces::new(self.source, self.watch, range.clone())
    }

    fn known_zeroes(&self, length: u64) -> Option<Arc<ZeroObject>> {
        lock(&self.zeroes)
            .clone()
            .filter(|known| known.length == length)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Compresses and digests `length` bytes; returns how much came out, none if it got no smaller.
fn compress(
    name: &str,
    compression: Compression,
    (pieces, length): (&mut Pieces<'_>, u64),
    digests: &mut Digests,
    out: &mut Tee,
) -> Result<Option<u64>, ChunkedError> {
    let failed = |cause| ForeignError::io(name, cause);
    let mut encoder = Encoder::new(compression.framing(), length, out).map_err(failed)?;
    let mut smaller = true;
    while let Some(piece) = pieces.next()? {
        // What is stored raw in the end is digested all the same.
        digests.add(piece);
        if smaller {
            encoder.write(piece).map_err(failed)?;
            smaller = encoder.written() < length;
        }
    }
    if !smaller {
        return Ok(None);
    }
    let stored = encoder.finish().map_err(failed)?;
    Ok(Some(stored).filter(|stored| *stored < length))
}

fn write(name: &str, out: &mut Box<dyn SinkObject>, bytes: &[u8]) -> Result<(), ForeignError> {
    out.write_all(bytes)
        .map_err(|cause| ForeignError::io(name, cause))
}

fn finish(name: &str, out: Box<dyn SinkObject>) -> Result<(), ForeignError> {
    out.finish().map_err(|cause| ForeignError::io(name, cause))
}

/// Writes an object and keeps a copy, unless that gets large.
struct Tee {
    out: Box<dyn SinkObject>,
    kept: Option<Vec<u8>>,
}

impl Write for Tee {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let written = self.out.write(buf)?;
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(&buf[..written]);
            if kept.len() > ZERO_OBJECT {
                self.kept = None;
            }
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
