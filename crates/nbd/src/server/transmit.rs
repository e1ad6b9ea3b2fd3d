//! A server's side of requests and replies.
//!
//! One request after the other; a client that wants more at once opens more connections.
//! Payloads pass in pieces, so that a connection costs little more than one of them.

use std::io::{self, Read, Write};

use super::negotiate::{CONTEXT, Session};
use super::{SessionError, Within};
use crate::error::ProtocolError;
use crate::export::{ExportError, Room, StretchKind};
use crate::protocol::reply::{CHUNK_HEADER, DONE, SIMPLE_LEN};
use crate::protocol::request::REQUEST_LEN;
use crate::protocol::{
    Chunk, ChunkHeader, Command, Descriptor, MAX_PAYLOAD, Request, SimpleReply, WireError,
    allocation, command_flag,
};

/// The most that passes in one piece.
const PIECE: usize = 1 << 20;
/// The fewest zeroes that are worth a part of their own.
const LEAST_HOLE: u64 = 4096;
/// The most descriptors of one answer.
const MAX_DESCRIPTORS: usize = 8192;

/// Answers requests until the client leaves.
pub(super) fn transmit<S: Read + Write>(
    stream: &mut S,
    session: &Session,
    mut pace: impl FnMut(&mut S, Within) -> io::Result<()>,
) -> Result<(), SessionError> {
    let mut buffer = Vec::new();
    loop {
        let mut head = [0; REQUEST_LEN];
        if !read_or_end(stream, &mut head)? {
            // Nobody said goodbye, but nothing was cut off either.
            return Ok(());
        }
        let request = Request::decode(&head)?;
        if request.command == Command::Disconnect {
            return Ok(());
        }
        let mut answer = Answer {
            stream,
            session,
            request,
            buffer: &mut buffer,
        };
        if request.command == Command::Write {
            pace(answer.stream, Within::Message)?;
            answer.write()?;
            pace(answer.stream, Within::Pause)?;
        } else {
            answer.give()?;
        }
        stream.flush()?;
    }
}

/// Reads a whole message, or nothing where the stream ends before it.
fn read_or_end<S: Read>(stream: &mut S, buf: &mut [u8]) -> io::Result<bool> {
    let mut filled = 0;
    while filled < buf.len() {
        match stream.read(&mut buf[filled..]) {
            Ok(0) if filled == 0 => return Ok(false),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => filled += count,
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(true)
}

/// Why a request is answered with a refusal.
struct Refusal {
    error: WireError,
    message: String,
    offset: Option<u64>,
}

impl Refusal {
    fn new(error: WireError, message: &str) -> Self {
        Self {
            error,
            message: message.to_owned(),
            offset: None,
        }
    }
}

impl From<ExportError> for Refusal {
    fn from(cause: ExportError) -> Self {
        let chain: &dyn std::error::Error = &cause;
        tracing::warn!(cause = chain, "a request of an NBD client failed");
        Self::new(cause.wire(), &cause.to_string())
    }
}

struct Answer<'a, S> {
    stream: &'a mut S,
    session: &'a Session,
    request: Request,
    buffer: &'a mut Vec<u8>,
}

impl<S: Read + Write> Answer<'_, S> {
    /// Answers what has no payload of its own.
    fn give(&mut self) -> Result<(), SessionError> {
        match self.request.command {
            Command::Read => self.read(),
            Command::BlockStatus => self.block_status(),
            Command::Flush => {
                let done = self.session.export.flush().map_err(Refusal::from);
                self.acknowledge(done)
            }
            Command::Trim | Command::WriteZeroes => {
                let done = self.change();
                self.acknowledge(done)
            }
            Command::Unknown(_) | Command::Write | Command::Disconnect => {
                let words = "the command is not known here";
                self.acknowledge(Err(Refusal::new(WireError::INVAL, words)))
            }
        }
    }

    fn end(&self) -> Option<u64> {
        let end = self
            .request
            .offset
            .checked_add(self.request.length.into())?;
        (end <= self.session.export.size()).then_some(end)
    }

    fn flag(&self, flag: u16) -> bool {
        self.request.flags & flag != 0
    }

    /// Returns the range of a request that changes something.
    fn writable_range(&self) -> Result<std::ops::Range<u64>, Refusal> {
        if !self.session.export.is_writable() {
            return Err(Refusal::new(WireError::PERM, "the export is read-only"));
        }
        let beyond = Refusal::new(WireError::NOSPC, "that is beyond the end");
        let end = self.end().ok_or(beyond)?;
        Ok(self.request.offset..end)
    }

    fn change(&self) -> Result<(), Refusal> {
        let export = &self.session.export;
        let range = self.writable_range()?;
        if !range.is_empty() {
            match self.request.command {
                Command::Trim => export.trim(range)?,
                _ if self.flag(command_flag::NO_HOLE) => export.zero(range, Room::Keep)?,
                _ => export.zero(range, Room::Release)?,
            }
        }
        self.make_durable()
    }

    fn make_durable(&self) -> Result<(), Refusal> {
        if self.flag(command_flag::FUA) {
            self.session.export.flush()?;
        }
        Ok(())
    }

    /// Takes the data of a write, whether it can be used or not.
    fn write(&mut self) -> Result<(), SessionError> {
        if self.request.length > MAX_PAYLOAD {
            return Err(ProtocolError::Unexpected("a write is too large").into());
        }
        let mut done = self.writable_range().map(|_| ());
        let mut at = self.request.offset;
        let mut left = self.request.length as usize;
        while left > 0 {
            let count = left.min(PIECE);
            self.buffer.resize(count, 0);
            self.stream.read_exact(self.buffer)?;
            if done.is_ok() {
                let wrote = self.session.export.write_at(at, self.buffer);
                done = wrote.map_err(Refusal::from);
            }
            at = at.wrapping_add(count as u64);
            left -= count;
        }
        let done = done.and_then(|()| self.make_durable());
        self.acknowledge(done)
    }

    /// Answers what has no data in its reply.
    fn acknowledge(&mut self, done: Result<(), Refusal>) -> Result<(), SessionError> {
        match done {
            Err(refusal) if self.session.structured => self.refuse(refusal),
            done => {
                let reply = SimpleReply {
                    error: done.err().map_or(0, |refusal| refusal.error.0),
                    cookie: self.request.cookie,
                };
                Ok(self.stream.write_all(&reply.encode())?)
            }
        }
    }

    fn refuse(&mut self, refusal: Refusal) -> Result<(), SessionError> {
        let chunk = Chunk::Error {
            error: refusal.error,
            message: refusal.message,
            offset: refusal.offset,
        };
        let wire = chunk.encode(self.request.cookie, DONE);
        Ok(self.stream.write_all(&wire)?)
    }

    fn read(&mut self) -> Result<(), SessionError> {
        let whole = self.flag(command_flag::DF);
        let length = self.request.length;
        if self.end().is_none() || length > MAX_PAYLOAD {
            let words = "that is beyond the end, or too much at once";
            return self.acknowledge(Err(Refusal::new(WireError::INVAL, words)));
        }
        if !self.session.structured {
            return self.read_simply();
        }
        if length == 0 {
            let wire = Chunk::None.encode(self.request.cookie, DONE);
            return Ok(self.stream.write_all(&wire)?);
        }
        if whole && length as usize > PIECE {
            let words = "that does not go in one piece";
            return self.acknowledge(Err(Refusal::new(WireError::OVERFLOW, words)));
        }
        let end = self.request.offset + u64::from(length);
        let mut at = self.request.offset;
        while at < end {
            let stretches = match self.session.export.stretches(at..end) {
                // One piece is one piece, holes and all.
                Ok(_) if whole => vec![(StretchKind::Data, end - at)],
                Ok(stretches) => worth_telling(stretches, end - at),
                Err(cause) => return self.refuse_at(cause, at),
            };
            for (kind, length) in stretches {
                match kind {
                    StretchKind::Hole => self.send_hole(at, length, end)?,
                    StretchKind::Data => {
                        if let Err(cause) = self.send_data(at..at + length, end)? {
                            return self.refuse_at(cause.0, cause.1);
                        }
                    }
                }
                at += length;
            }
        }
        Ok(())
    }

    fn refuse_at(&mut self, cause: ExportError, offset: u64) -> Result<(), SessionError> {
        let mut refusal = Refusal::from(cause);
        refusal.offset = Some(offset);
        self.refuse(refusal)
    }

    fn send_hole(&mut self, offset: u64, length: u64, end: u64) -> Result<(), SessionError> {
        let flags = if offset + length == end { DONE } else { 0 };
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        let wire = Chunk::Hole { offset, length }.encode(self.request.cookie, flags);
        Ok(self.stream.write_all(&wire)?)
    }

    /// Sends data in pieces; the inner failure is the export's and has its place.
    fn send_data(
        &mut self,
        range: std::ops::Range<u64>,
        end: u64,
    ) -> Result<Result<(), (ExportError, u64)>, SessionError> {
        const BEFORE: usize = CHUNK_HEADER + 8;
        let mut at = range.start;
        while at < range.end {
            let count = usize::try_from(range.end - at).unwrap_or(PIECE).min(PIECE);
            self.buffer.resize(BEFORE + count, 0);
            if let Err(cause) = self.session.export.read_at(at, &mut self.buffer[BEFORE..]) {
                return Ok(Err((cause, at)));
            }
            let flags = if at + count as u64 == end { DONE } else { 0 };
            let header = ChunkHeader::of_data(self.request.cookie, count, flags);
            self.buffer[..CHUNK_HEADER].copy_from_slice(&header.encode());
            self.buffer[CHUNK_HEADER..BEFORE].copy_from_slice(&at.to_be_bytes());
            self.stream.write_all(self.buffer)?;
            at += count as u64;
        }
        Ok(Ok(()))
    }

    /// A simple reply begins with whether it went well; what fails after that can only be
    /// told by hanging up.
    fn read_simply(&mut self) -> Result<(), SessionError> {
        let mut left = self.request.length as usize;
        let mut at = self.request.offset;
        let mut before = SIMPLE_LEN;
        loop {
            let count = left.min(PIECE);
            self.buffer.resize(before + count, 0);
            match self.session.export.read_at(at, &mut self.buffer[before..]) {
                Ok(()) => {}
                Err(cause) if before > 0 => return self.acknowledge(Err(cause.into())),
                Err(cause) => return Err(io::Error::other(cause).into()),
            }
            if before > 0 {
                let reply = SimpleReply {
                    error: 0,
                    cookie: self.request.cookie,
                };
                self.buffer[..SIMPLE_LEN].copy_from_slice(&reply.encode());
            }
            self.stream.write_all(self.buffer)?;
            before = 0;
            at += count as u64;
            left -= count;
            if left == 0 {
                return Ok(());
            }
        }
    }

    fn block_status(&mut self) -> Result<(), SessionError> {
        let end = match self.end() {
            Some(end) if self.session.allocation && self.request.length > 0 => end,
            _ => {
                let words = "no context was agreed upon, or that is beyond the end";
                return self.acknowledge(Err(Refusal::new(WireError::INVAL, words)));
            }
        };
        let range = self.request.offset..end;
        let stretches = match self.session.export.stretches(range) {
            Ok(stretches) => stretches,
            Err(cause) => return self.refuse_at(cause, self.request.offset),
        };
        let most = if self.flag(command_flag::REQ_ONE) {
            1
        } else {
            MAX_DESCRIPTORS
        };
        let mut descriptors: Vec<Descriptor> = Vec::new();
        for stretch in stretches {
            let flags = match stretch.kind {
                StretchKind::Data => 0,
                StretchKind::Hole => allocation::HOLE | allocation::ZERO,
            };
            let length = u32::try_from(stretch.length).unwrap_or(self.request.length);
            let full = descriptors.len() == most;
            match descriptors.last_mut() {
                Some(last) if last.flags == flags => last.length += length,
                _ if full => break,
                _ => descriptors.push(Descriptor { length, flags }),
            }
        }
        let chunk = Chunk::BlockStatus {
            context: CONTEXT,
            descriptors,
        };
        let wire = chunk.encode(self.request.cookie, DONE);
        Ok(self.stream.write_all(&wire)?)
    }
}

/// Joins stretches so that no hole is smaller than what it costs to tell of it. An export
/// that tells of less than the range is asked again.
fn worth_telling(stretches: Vec<crate::export::Stretch>, most: u64) -> Vec<(StretchKind, u64)> {
    let mut joined: Vec<(StretchKind, u64)> = Vec::new();
    let mut told = 0;
    for stretch in stretches {
        let length = stretch.length.min(most - told);
        if length == 0 {
            break;
        }
        told += length;
        let kind = if length < LEAST_HOLE {
            StretchKind::Data
        } else {
            stretch.kind
        };
        match joined.last_mut() {
            Some((last, sum)) if *last == kind => *sum += length,
            _ => joined.push((kind, length)),
        }
    }
    if joined.is_empty() {
        // An export that knows nothing is read.
        joined.push((StretchKind::Data, most));
    }
    joined
}
