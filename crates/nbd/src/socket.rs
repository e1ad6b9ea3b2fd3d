//! Sockets of either family, with and without TLS, and with deadlines.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustls::{ClientConnection, ServerConnection, StreamOwned};

/// A connected socket.
#[derive(Debug)]
pub(crate) struct Socket {
    kind: Kind,
    deadline: Option<Instant>,
}

#[derive(Debug)]
enum Kind {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    pub(crate) fn tcp(stream: TcpStream) -> io::Result<Self> {
        // Requests are small and are waited for.
        stream.set_nodelay(true)?;
        Ok(Self {
            kind: Kind::Tcp(stream),
            deadline: None,
        })
    }

    pub(crate) fn unix(stream: UnixStream) -> Self {
        Self {
            kind: Kind::Unix(stream),
            deadline: None,
        }
    }

    /// Lets nothing last beyond that instant, however slowly bytes come.
    pub(crate) fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = Some(deadline);
    }

    /// Bounds each single read and write, and nothing else; none waits for ever.
    pub(crate) fn set_timeouts(
        &mut self,
        read: Option<Duration>,
        write: Option<Duration>,
    ) -> io::Result<()> {
        self.deadline = None;
        match &self.kind {
            Kind::Tcp(stream) => {
                stream.set_read_timeout(read)?;
                stream.set_write_timeout(write)
            }
            Kind::Unix(stream) => {
                stream.set_read_timeout(read)?;
                stream.set_write_timeout(write)
            }
        }
    }

    /// Returns another handle on the same socket.
    pub(crate) fn handle(&self) -> io::Result<Self> {
        let kind = match &self.kind {
            Kind::Tcp(stream) => Kind::Tcp(stream.try_clone()?),
            Kind::Unix(stream) => Kind::Unix(stream.try_clone()?),
        };
        Ok(Self {
            kind,
            deadline: None,
        })
    }

    /// Ends one or both directions, which wakes whoever waits for them.
    pub(crate) fn shutdown(&self, how: Shutdown) {
        // A socket that is gone already needs no ending.
        let _ = match &self.kind {
            Kind::Tcp(stream) => stream.shutdown(how),
            Kind::Unix(stream) => stream.shutdown(how),
        };
    }

    fn mind_deadline(&mut self) -> io::Result<()> {
        let Some(deadline) = self.deadline else {
            return Ok(());
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(late());
        }
        self.set_timeouts(Some(left), Some(left))?;
        self.deadline = Some(deadline);
        Ok(())
    }
}

fn late() -> io::Error {
    io::Error::new(ErrorKind::TimedOut, "the other side did not answer in time")
}

/// Sockets call a time that is over by two names.
fn told<T>(result: io::Result<T>) -> io::Result<T> {
    result.map_err(|cause| match cause.kind() {
        ErrorKind::WouldBlock => late(),
        _ => cause,
    })
}

impl Read for Socket {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.mind_deadline()?;
        told(match &mut self.kind {
            Kind::Tcp(stream) => stream.read(buf),
            Kind::Unix(stream) => stream.read(buf),
        })
    }
}

impl Write for Socket {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.mind_deadline()?;
        told(match &mut self.kind {
            Kind::Tcp(stream) => stream.write(buf),
            Kind::Unix(stream) => stream.write(buf),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A connection as the protocol sees it.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(Socket),
    Server(Box<StreamOwned<ServerConnection, Socket>>),
    Client(Box<StreamOwned<ClientConnection, Socket>>),
}

impl Stream {
    pub(crate) fn socket(&mut self) -> &mut Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Server(stream) => &mut stream.sock,
            Self::Client(stream) => &mut stream.sock,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buf),
            Self::Server(stream) => stream.read(buf),
            Self::Client(stream) => stream.read(buf),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(buf),
            Self::Server(stream) => stream.write(buf),
            Self::Client(stream) => stream.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Server(stream) => stream.flush(),
            Self::Client(stream) => stream.flush(),
        }
    }
}
