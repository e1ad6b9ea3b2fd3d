//! The client: reads and writes what another server serves.
//!
//! A [`Client`] may be used by many threads; it opens as many connections as its options and
//! the server allow, and each carries one request at a time.

mod connection;
mod negotiate;

use std::ops::Range;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::address::Address;
use crate::error::ClientError;
use crate::protocol::{BlockSizes, Command, MAX_PAYLOAD, transmission_flag};
use crate::tls::ClientTls;
use connection::Connection;
pub use connection::{Status, converse};
pub use negotiate::Terms;

/// The most that is read or written by one request.
const PIECE: u64 = 2 << 20;
/// The most that one question for block status is about.
const STATUS_SPAN: u64 = 1 << 30;

/// How a client behaves.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// The most connections.
    pub connections: usize,
    /// How long a connection may take to come about, TLS and all.
    pub connect: Duration,
    /// How long the server may be silent while an answer is due.
    pub silence: Duration,
    /// Contexts of block status to ask for.
    pub contexts: Vec<String>,
    /// How often a read is tried again on a new connection after one broke.
    pub retries: u32,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connections: 4,
            connect: Duration::from_secs(10),
            silence: Duration::from_secs(60),
            contexts: vec![crate::protocol::BASE_ALLOCATION.to_owned()],
            retries: 3,
        }
    }
}

/// What all that open connections share.
#[derive(Debug)]
struct Door {
    address: Address,
    options: ClientOptions,
    tls: Option<ClientTls>,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Connection<connection::Net>>,
    open: usize,
}

/// A client of one export.
pub struct Client {
    door: Door,
    terms: Terms,
    limit: usize,
    pool: Mutex<Pool>,
    freed: Condvar,
    /// Held while a block is read, changed and written, on servers that take whole blocks only.
    edges: Mutex<()>,
}

impl Client {
    /// Connects and chooses the export.
    pub fn connect(address: &Address, options: ClientOptions) -> Result<Self, ClientError> {
        let tls = if address.tls {
            let dir = address.tls_certificates.as_deref();
            let dir = dir.ok_or(crate::tls::TlsError::NoAuthority)?;
            Some(ClientTls::load(dir)?)
        } else {
            None
        };
        let door = Door {
            address: address.clone(),
            options,
            tls,
        };
        let first = door.open()?;
        let terms = first.terms().clone();
        let shared = terms.flags & transmission_flag::CAN_MULTI_CONN != 0;
        let limit = if shared {
            door.options.connections.max(1)
        } else {
            1
        };
        Ok(Self {
            door,
            terms,
            limit,
            pool: Mutex::new(Pool {
                idle: vec![first],
                open: 1,
            }),
            freed: Condvar::new(),
            edges: Mutex::new(()),
        })
    }

    /// Asks a server what it serves.
    pub fn list(address: &Address, options: ClientOptions) -> Result<Vec<String>, ClientError> {
        let tls = match (&address.tls_certificates, address.tls) {
            (Some(dir), true) => Some(ClientTls::load(dir)?),
            (None, true) => return Err(crate::tls::TlsError::NoAuthority.into()),
            (_, false) => None,
        };
        let door = Door {
            address: address.clone(),
            options,
            tls,
        };
        door.list()
    }

    /// Returns the size in bytes.
    pub fn size(&self) -> u64 {
        self.terms.size
    }

    /// Returns what was agreed upon.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Tells whether writes are taken.
    pub fn is_writable(&self) -> bool {
        !self.terms.has(transmission_flag::READ_ONLY)
    }

    /// Fills `buf` from `offset`. Callable from many threads.
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ClientError> {
        self.check(offset, buf.len() as u64)?;
        let (mut at, mut rest) = (offset, buf);
        while !rest.is_empty() {
            let (part, later) = rest.split_at_mut(self.piece(at, rest.len()));
            self.read_piece(at, part)?;
            at += part.len() as u64;
            rest = later;
        }
        Ok(())
    }

    fn read_piece(&self, offset: u64, buf: &mut [u8]) -> Result<(), ClientError> {
        let wide = self.widened(offset, buf.len());
        if wide.start == offset && wide.end == offset + buf.len() as u64 {
            return self.retried(|connection| connection.read(offset, buf));
        }
        let mut whole = vec![0; length_of(&wide)];
        self.retried(|connection| connection.read(wide.start, &mut whole))?;
        let skip = length_of(&(wide.start..offset));
        buf.copy_from_slice(&whole[skip..skip + buf.len()]);
        Ok(())
    }

    /// Writes all of `buf` at `offset`; durable after [`Client::flush`].
    pub fn write_at(&self, offset: u64, buf: &[u8]) -> Result<(), ClientError> {
        self.check_writable(offset, buf.len() as u64)?;
        let (mut at, mut rest) = (offset, buf);
        while !rest.is_empty() {
            let (part, later) = rest.split_at(self.piece(at, rest.len()));
            rest = later;
            let wide = self.widened(at, part.len());
            if wide.start == at && wide.end == at + part.len() as u64 {
                self.once(|connection| connection.write(at, part))?;
            } else {
                let _alone = self.edges.lock().unwrap_or_else(PoisonError::into_inner);
                let mut whole = vec![0; length_of(&wide)];
                self.retried(|connection| connection.read(wide.start, &mut whole))?;
                let skip = length_of(&(wide.start..at));
                whole[skip..skip + part.len()].copy_from_slice(part);
                self.once(|connection| connection.write(wide.start, &whole))?;
            }
            at += part.len() as u64;
        }
        Ok(())
    }

    /// Makes a range zero, with holes where the server likes them.
    pub fn zero(&self, range: Range<u64>) -> Result<(), ClientError> {
        let length = range.end.saturating_sub(range.start);
        self.check_writable(range.start, length)?;
        if length == 0 {
            return Ok(());
        }
        let block = u64::from(self.blocks().minimum);
        let inner = range.start.next_multiple_of(block)..range.end / block * block;
        if inner.is_empty() || !self.terms.has(transmission_flag::SEND_WRITE_ZEROES) {
            return self.write_zeroes(range);
        }
        self.write_zeroes(range.start..inner.start)?;
        self.write_zeroes(inner.end..range.end)?;
        let mut at = inner.start;
        while at < inner.end {
            // Servers that have to write the zeroes take their time over each request.
            let count = (inner.end - at).min(u64::from(MAX_PAYLOAD));
            self.once(|connection| {
                connection.command(Command::WriteZeroes, 0, at, count_of(count)?)
            })?;
            at += count;
        }
        Ok(())
    }

    fn write_zeroes(&self, range: Range<u64>) -> Result<(), ClientError> {
        let zeroes = vec![0; length_of(&range).min(256 << 10)];
        let mut at = range.start;
        while at < range.end {
            let count = length_of(&(at..range.end)).min(zeroes.len());
            self.write_at(at, &zeroes[..count])?;
            at += count as u64;
        }
        Ok(())
    }

    /// Makes everything written durable, on whatever connection it was written.
    pub fn flush(&self) -> Result<(), ClientError> {
        if self.terms.has(transmission_flag::SEND_FLUSH) {
            self.once(|connection| connection.command(Command::Flush, 0, 0, 0))
        } else {
            Ok(())
        }
    }

    /// Tells whether the server has agreed to a context.
    pub fn has_context(&self, name: &str) -> bool {
        self.terms.contexts.iter().any(|(_, have)| have == name)
    }

    /// Tells what a context says of a range, from its beginning to its end.
    pub fn block_status(
        &self,
        context: &str,
        range: Range<u64>,
    ) -> Result<Vec<Status>, ClientError> {
        let length = range.end.saturating_sub(range.start);
        self.check(range.start, length)?;
        let found = self.terms.contexts.iter().find(|(_, name)| name == context);
        let Some((id, _)) = found.cloned() else {
            return Err(ClientError::Unable("has no such context of block status"));
        };
        let block = u64::from(self.blocks().minimum);
        let mut all: Vec<Status> = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let start = at / block * block;
            let span = (range.end - start).next_multiple_of(block);
            // The last multiple below 1 GiB is a multiple too.
            let span = span.min(STATUS_SPAN).min(self.size() - start);
            let told =
                self.retried(|connection| connection.block_status(id, start, count_of(span)?))?;
            let before = at;
            let mut end = start;
            for status in told {
                end += status.length;
                let until = end.min(range.end);
                if until > at {
                    push(&mut all, until - at, status.flags);
                    at = until;
                }
            }
            if at == before {
                let words = "a block status does not get on";
                return Err(crate::ProtocolError::Unexpected(words).into());
            }
        }
        Ok(all)
    }

    fn blocks(&self) -> BlockSizes {
        self.terms.blocks
    }

    /// Returns how much of `length` bytes goes into one request, whole blocks around them
    /// included.
    fn piece(&self, offset: u64, length: usize) -> usize {
        let block = u64::from(self.blocks().minimum);
        let most = u64::from(self.blocks().maximum).min(PIECE).max(block) / block * block;
        let room = offset / block * block + most - offset;
        usize::try_from(room).unwrap_or(length).min(length)
    }

    /// Returns the whole blocks around a range.
    fn widened(&self, offset: u64, length: usize) -> Range<u64> {
        let block = u64::from(self.blocks().minimum);
        let end = (offset + length as u64).next_multiple_of(block);
        offset / block * block..end.min(self.size().max(offset + length as u64))
    }

    fn check(&self, offset: u64, length: u64) -> Result<(), ClientError> {
        let size = self.size();
        match offset.checked_add(length) {
            Some(end) if end <= size => Ok(()),
            _ => Err(ClientError::OutOfRange {
                offset,
                length,
                size,
            }),
        }
    }

    fn check_writable(&self, offset: u64, length: u64) -> Result<(), ClientError> {
        self.check(offset, length)?;
        if self.is_writable() {
            Ok(())
        } else {
            Err(ClientError::Unable("is read-only"))
        }
    }

    /// Does what is harmless to do again, on a new connection if one breaks.
    fn retried<T>(
        &self,
        mut ask: impl FnMut(&mut Connection<connection::Net>) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let mut tries = 0;
        loop {
            match self.once(&mut ask) {
                Err(cause) if cause.is_connection() && tries < self.door.options.retries => {
                    tries += 1;
                    tracing::info!(%cause, tries, "an NBD connection broke; trying another");
                    // A server that is being restarted is back soon or not at all.
                    std::thread::sleep(Duration::from_millis(200) * tries);
                }
                done => return done,
            }
        }
    }

    /// Does something once. What was written before a connection broke may be lost, so
    /// writes and flushes end with it.
    fn once<T>(
        &self,
        ask: impl FnOnce(&mut Connection<connection::Net>) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let mut lent = self.lend()?;
        let connection = lent
            .connection
            .as_mut()
            .expect("it is there until it is given back");
        let done = ask(connection);
        if matches!(&done, Err(cause) if cause.is_connection()) {
            lent.connection = None;
        }
        done
    }

    fn lend(&self) -> Result<Lent<'_>, ClientError> {
        let lock = || self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pool = lock();
        loop {
            if let Some(connection) = pool.idle.pop() {
                return Ok(Lent {
                    client: self,
                    connection: Some(connection),
                });
            }
            if pool.open < self.limit {
                pool.open += 1;
                drop(pool);
                let mut lent = Lent {
                    client: self,
                    connection: None,
                };
                let connection = self.door.open()?;
                if connection.terms().size != self.terms.size {
                    return Err(ClientError::Unable("has changed its size"));
                }
                lent.connection = Some(connection);
                return Ok(lent);
            }
            let waited = self.freed.wait(pool);
            pool = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({})", self.door.address)
    }
}

/// A connection that is in use; given back, or counted as closed, when dropped.
struct Lent<'a> {
    client: &'a Client,
    connection: Option<Connection<connection::Net>>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut pool = self
            .client
            .pool
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match self.connection.take() {
            Some(connection) => pool.idle.push(connection),
            None => pool.open -= 1,
        }
        drop(pool);
        self.client.freed.notify_one();
    }
}

fn push(all: &mut Vec<Status>, length: u64, flags: u32) {
    match all.last_mut() {
        Some(last) if last.flags == flags => last.length += length,
        _ => all.push(Status { length, flags }),
    }
}

fn length_of(range: &Range<u64>) -> usize {
    usize::try_from(range.end - range.start).unwrap_or(usize::MAX)
}

fn count_of(count: u64) -> Result<u32, ClientError> {
    u32::try_from(count).map_err(|_| ClientError::Unable("takes no request of that length"))
}
