//! One connection, one request at a time.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use super::negotiate::{self, Terms};
use super::{Door, MAX_PAYLOAD};
use crate::address::Place;
use crate::error::{ClientError, ProtocolError};
use crate::protocol::reply::{DONE, ReplyHead, SIMPLE_LEN};
use crate::protocol::{Chunk, ChunkHeader, Command, Request, WireError};
use crate::socket::{Socket, Stream};
use crate::tls::TlsError;

/// The most parts of one reply; each says something, so more make no sense.
const MAX_CHUNKS: usize = 1 << 17;
/// The most data of a part that is not data of the volume.
const MAX_CHUNK: u32 = 8 << 20;

/// What a context says of a stretch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// How many bytes.
    pub length: u64,
    /// What is known of them; what the bits mean is the context's affair.
    pub flags: u32,
}

/// A connection over the network.
pub(super) type Net = Stream;

impl Door {
    fn dial(&self) -> Result<Stream, ClientError> {
        let unreachable = |cause| ClientError::Unreachable {
            place: self.address.place.to_string(),
            cause,
        };
        let deadline = Instant::now() + self.options.connect;
        let mut socket = match &self.address.place {
            Place::Unix(path) => Socket::unix(UnixStream::connect(path).map_err(unreachable)?),
            Place::Tcp { host, port } => {
                let mut last = io::Error::other("the name has no address");
                let mut found = None;
                for at in (host.as_str(), *port)
                    .to_socket_addrs()
                    .map_err(unreachable)?
                {
                    match TcpStream::connect_timeout(&at, self.options.connect) {
                        Ok(stream) => {
                            found = Some(stream);
                            break;
                        }
                        Err(cause) => last = cause,
                    }
                }
                let stream = found.ok_or(last).map_err(unreachable)?;
                Socket::tcp(stream).map_err(unreachable)?
            }
        };
        socket.set_deadline(deadline);
        Ok(Stream::Plain(socket))
    }

    /// Connects as far as to where an export can be chosen.
    fn enter(&self) -> Result<(Stream, u16), ClientError> {
        let place = self.address.place.to_string();
        let mut stream = self.dial()?;
        let greeting = negotiate::greet(&mut stream)?;
        let Some(tls) = &self.tls else {
            return Ok((stream, greeting));
        };
        negotiate::start_tls(&mut stream, &place)?;
        let Stream::Plain(socket) = stream else {
            return Err(ProtocolError::Unexpected("TLS was started twice").into());
        };
        let name = match &self.address.place {
            Place::Tcp { host, .. } => host.as_str(),
            // A socket has no name; whoever listens on it is on this host.
            Place::Unix(_) => "localhost",
        };
        let server =
            ServerName::try_from(name.to_owned()).map_err(|_| TlsError::Name(name.to_owned()))?;
        let connection = ClientConnection::new(tls.0.clone(), server)
            .map_err(|cause| TlsError::Handshake(io::Error::other(cause)))?;
        let mut secured = Box::new(StreamOwned::new(connection, socket));
        while secured.conn.is_handshaking() {
            let done = secured.conn.complete_io(&mut secured.sock);
            done.map_err(TlsError::Handshake)?;
        }
        Ok((Stream::Client(secured), greeting))
    }

    /// Opens a connection to the export.
    pub(super) fn open(&self) -> Result<Connection<Net>, ClientError> {
        let (mut stream, greeting) = self.enter()?;
        let place = self.address.place.to_string();
        let contexts = &self.options.contexts;
        let export = &self.address.export;
        let terms = negotiate::choose(&mut stream, &place, export, contexts, greeting)?;
        let silence = Some(self.options.silence);
        stream.socket().set_timeouts(silence, silence)?;
        Ok(Connection::new(stream, terms))
    }

    /// Asks what exports there are.
    pub(super) fn list(&self) -> Result<Vec<String>, ClientError> {
        let (mut stream, _) = self.enter()?;
        negotiate::list(&mut stream, &self.address.place.to_string())
    }
}

/// Talks to a server over any stream: chooses an export, then reads and asks about `length`
/// bytes from its beginning. What a client would do with what it is told.
pub fn converse<S: Read + Write>(
    stream: &mut S,
    export: &str,
    contexts: &[String],
    length: usize,
) -> Result<(Terms, Vec<u8>), ClientError> {
    let greeting = negotiate::greet(stream)?;
    let terms = negotiate::choose(stream, "the server", export, contexts, greeting)?;
    let length = usize::try_from(terms.size).unwrap_or(length).min(length);
    let mut connection = Connection::new(stream, terms);
    let mut bytes = vec![0; length];
    connection.read(0, &mut bytes)?;
    for (id, _) in connection.terms.contexts.clone() {
        connection.block_status(id, 0, u32::try_from(length).unwrap_or(MAX_PAYLOAD))?;
    }
    let terms = connection.terms.clone();
    Ok((terms, bytes))
}

/// A connection to an export.
pub(super) struct Connection<S: Read + Write> {
    stream: S,
    terms: Terms,
    cookie: u64,
    /// Whether a request and its answer went through, so that another may follow.
    sound: bool,
}

impl<S: Read + Write> Connection<S> {
    fn new(stream: S, terms: Terms) -> Self {
        Self {
            stream,
            terms,
            cookie: 0,
            sound: true,
        }
    }

    pub(super) fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Fills `buf` from `offset`.
    pub(super) fn read(&mut self, offset: u64, buf: &mut [u8]) -> Result<(), ClientError> {
        if buf.is_empty() {
            return Ok(());
        }
        let request = self.request(Command::Read, 0, offset, length_of(buf)?);
        self.send(&request, &[])?;
        let mut filler = Filler {
            offset,
            buf,
            filled: Vec::new(),
        };
        self.receive(&request, "reading", &mut filler)?;
        if filler.is_full() {
            Ok(())
        } else {
            self.sound = false;
            Err(ProtocolError::Unexpected("an answer leaves bytes out").into())
        }
    }

    /// Writes all of `buf` at `offset`.
    pub(super) fn write(&mut self, offset: u64, buf: &[u8]) -> Result<(), ClientError> {
        if buf.is_empty() {
            return Ok(());
        }
        let request = self.request(Command::Write, 0, offset, length_of(buf)?);
        self.send(&request, buf)?;
        self.receive(&request, "writing", &mut Nothing)
    }

    /// Asks for something that has no data either way.
    pub(super) fn command(
        &mut self,
        command: Command,
        flags: u16,
        offset: u64,
        length: u32,
    ) -> Result<(), ClientError> {
        let request = self.request(command, flags, offset, length);
        self.send(&request, &[])?;
        let what = match command {
            Command::Flush => "flushing",
            Command::WriteZeroes => "writing zeroes to",
            _ => "trimming",
        };
        self.receive(&request, what, &mut Nothing)
    }

    /// Asks what a context says of the beginning of a range.
    pub(super) fn block_status(
        &mut self,
        context: u32,
        offset: u64,
        length: u32,
    ) -> Result<Vec<Status>, ClientError> {
        if length == 0 {
            return Ok(Vec::new());
        }
        let request = self.request(Command::BlockStatus, 0, offset, length);
        self.send(&request, &[])?;
        let mut statuses = Statuses {
            context,
            found: Vec::new(),
        };
        self.receive(&request, "asking for the block status of", &mut statuses)?;
        Ok(statuses.found)
    }

    fn request(&mut self, command: Command, flags: u16, offset: u64, length: u32) -> Request {
        self.cookie += 1;
        Request {
            flags,
            command,
            cookie: self.cookie,
            offset,
            length,
        }
    }

    fn send(&mut self, request: &Request, data: &[u8]) -> Result<(), ClientError> {
        if !self.sound {
            return Err(ProtocolError::Unexpected("an earlier answer was cut off").into());
        }
        self.sound = false;
        self.stream.write_all(&request.encode())?;
        self.stream.write_all(data)?;
        Ok(self.stream.flush()?)
    }

    /// Takes the whole reply, so that the next one begins where it should.
    fn receive(
        &mut self,
        request: &Request,
        what: &'static str,
        sink: &mut impl Sink,
    ) -> Result<(), ClientError> {
        let failed = |error, message, offset: Option<u64>| ClientError::Request {
            what,
            offset: offset.unwrap_or(request.offset),
            length: request.length.into(),
            error,
            message,
        };
        let mut refused = None;
        for _ in 0..MAX_CHUNKS {
            let mut head = [0; SIMPLE_LEN];
            self.stream.read_exact(&mut head)?;
            let (cookie, chunk) = match ReplyHead::decode(&head)? {
                ReplyHead::Simple(reply) => (reply.cookie, None),
                ReplyHead::Chunk(head) => {
                    let mut length = [0; 4];
                    self.stream.read_exact(&mut length)?;
                    let header = ChunkHeader::decode(&head, length)?;
                    (header.cookie, Some(header))
                }
            };
            if cookie != request.cookie {
                return Err(unexpected("an answer belongs to no question"));
            }
            let Some(header) = chunk else {
                let reply = ReplyHead::decode(&head)?;
                let ReplyHead::Simple(reply) = reply else {
                    return Err(unexpected("an answer changes its mind"));
                };
                if reply.error != 0 {
                    self.sound = true;
                    return Err(failed(WireError(reply.error), String::new(), None));
                }
                if self.terms.structured && request.command == Command::Read {
                    return Err(unexpected("an answer is not structured, as was agreed"));
                }
                sink.whole(&mut self.stream)?;
                self.sound = true;
                return Ok(());
            };
            if !self.terms.structured {
                return Err(unexpected("an answer is structured, as was not agreed"));
            }
            if header.is_data() {
                sink.data(&mut self.stream, header.length)?;
            } else {
                if header.length > MAX_CHUNK {
                    return Err(unexpected("a part of an answer is too long"));
                }
                let mut data = vec![0; header.length as usize];
                self.stream.read_exact(&mut data)?;
                match Chunk::decode(header.kind, &data)? {
                    Chunk::None => {}
                    Chunk::Error {
                        error,
                        message,
                        offset,
                    } => {
                        refused.get_or_insert(failed(error, message, offset));
                    }
                    chunk => sink.chunk(chunk)?,
                }
            }
            if header.flags & DONE != 0 {
                self.sound = true;
                return refused.map_or(Ok(()), Err);
            }
        }
        Err(unexpected("the parts of an answer do not end"))
    }
}

impl<S: Read + Write> Drop for Connection<S> {
    fn drop(&mut self) {
        if self.sound {
            let goodbye = self.request(Command::Disconnect, 0, 0, 0);
            // The server may have gone first.
            let _ = self.stream.write_all(&goodbye.encode());
            let _ = self.stream.flush();
        }
    }
}

fn unexpected(words: &'static str) -> ClientError {
    ProtocolError::Unexpected(words).into()
}

fn length_of(buf: &[u8]) -> Result<u32, ClientError> {
    u32::try_from(buf.len()).map_err(|_| ClientError::Unable("takes no request of that length"))
}

/// Where what a reply carries goes.
trait Sink {
    /// Takes the data of a simple reply.
    fn whole<S: Read>(&mut self, stream: &mut S) -> Result<(), ClientError>;
    /// Takes a part with data, of which `length` bytes are still in the stream.
    fn data<S: Read>(&mut self, stream: &mut S, length: u32) -> Result<(), ClientError>;
    /// Takes another part.
    fn chunk(&mut self, chunk: Chunk) -> Result<(), ClientError>;
}

/// For replies that carry nothing.
struct Nothing;

impl Sink for Nothing {
    fn whole<S: Read>(&mut self, _stream: &mut S) -> Result<(), ClientError> {
        Ok(())
    }

    fn data<S: Read>(&mut self, _stream: &mut S, _length: u32) -> Result<(), ClientError> {
        Err(unexpected("an answer has data that nobody asked for"))
    }

    fn chunk(&mut self, _chunk: Chunk) -> Result<(), ClientError> {
        Err(unexpected("an answer has a part that nobody asked for"))
    }
}

/// For reads: parts may come in any order, and each byte once.
struct Filler<'a> {
    offset: u64,
    buf: &'a mut [u8],
    filled: Vec<(usize, usize)>,
}

impl Filler<'_> {
    fn place(&mut self, offset: u64, length: u64) -> Result<&mut [u8], ClientError> {
        let outside = || unexpected("an answer has bytes that nobody asked for");
        let start = offset.checked_sub(self.offset).ok_or_else(outside)?;
        let start = usize::try_from(start).map_err(|_| outside())?;
        let length = usize::try_from(length).map_err(|_| outside())?;
        let end = start.checked_add(length).ok_or_else(outside)?;
        if length == 0 || end > self.buf.len() {
            return Err(outside());
        }
        self.filled.push((start, end));
        Ok(&mut self.buf[start..end])
    }

    /// Tells whether every byte came, and none twice.
    fn is_full(&mut self) -> bool {
        self.filled.sort_unstable();
        let mut at = 0;
        for (start, end) in &self.filled {
            if *start != at {
                return false;
            }
            at = *end;
        }
        at == self.buf.len()
    }
}

impl Sink for Filler<'_> {
    fn whole<S: Read>(&mut self, stream: &mut S) -> Result<(), ClientError> {
        stream.read_exact(self.buf)?;
        self.filled.push((0, self.buf.len()));
        Ok(())
    }

    fn data<S: Read>(&mut self, stream: &mut S, length: u32) -> Result<(), ClientError> {
        let mut offset = [0; 8];
        let length = length.checked_sub(8);
        let length = length.ok_or_else(|| unexpected("a part of an answer is too short"))?;
        stream.read_exact(&mut offset)?;
        let place = self.place(u64::from_be_bytes(offset), length.into())?;
        Ok(stream.read_exact(place)?)
    }

    fn chunk(&mut self, chunk: Chunk) -> Result<(), ClientError> {
        match chunk {
            Chunk::Hole { offset, length } => {
                self.place(offset, length.into())?.fill(0);
                Ok(())
            }
            _ => Err(unexpected("an answer has a part that nobody asked for")),
        }
    }
}

/// For block status.
struct Statuses {
    context: u32,
    found: Vec<Status>,
}

impl Sink for Statuses {
    fn whole<S: Read>(&mut self, _stream: &mut S) -> Result<(), ClientError> {
        Err(unexpected("a block status says nothing"))
    }

    fn data<S: Read>(&mut self, _stream: &mut S, _length: u32) -> Result<(), ClientError> {
        Err(unexpected("a block status holds data"))
    }

    fn chunk(&mut self, chunk: Chunk) -> Result<(), ClientError> {
        match chunk {
            Chunk::BlockStatus {
                context,
                descriptors,
            } => {
                if context == self.context {
                    self.found
                        .extend(descriptors.iter().map(|descriptor| Status {
                            length: descriptor.length.into(),
                            flags: descriptor.flags,
                        }));
                }
                Ok(())
            }
            _ => Err(unexpected("an answer has a part that nobody asked for")),
        }
    }
}
