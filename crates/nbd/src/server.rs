//! The server: listens, and gives each connection a thread.

mod negotiate;
mod transmit;

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustls::{ServerConnection, StreamOwned};

use crate::address::Place;
use crate::error::ProtocolError;
use crate::export::Exports;
use crate::socket::{Socket, Stream};
use crate::tls::ServerTls;
use negotiate::{Negotiated, Security, greet, negotiate};
use transmit::transmit;

/// How long a stopping server waits for requests that are under way.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a connection ended before its client said goodbye.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The connection broke, or the client fell silent.
    #[error("the connection failed")]
    Connection(#[from] io::Error),
    /// The client does not keep to the protocol.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
}

/// Limits of a server.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Certificates; with them nothing is served but under TLS.
    pub tls: Option<ServerTls>,
    /// The most connections at once; more are hung up on.
    pub max_connections: usize,
    /// How long a client may take to choose an export.
    pub handshake: Duration,
    /// How long a client may take to take or give the next bytes of a message.
    pub stall: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            tls: None,
            max_connections: 64,
            handshake: Duration::from_secs(10),
            stall: Duration::from_secs(60),
        }
    }
}

/// A bound socket that nobody listens to yet.
#[derive(Debug)]
pub enum Listener {
    /// On the network.
    Tcp(TcpListener),
    /// In the file system; removed when the server stops.
    Unix(UnixListener, PathBuf),
}

impl Listener {
    /// Binds a network address; port 0 lets the system choose.
    pub fn tcp(address: SocketAddr) -> io::Result<Self> {
        TcpListener::bind(address).map(Self::Tcp)
    }

    /// Binds a path. A socket that nobody listens to any more is replaced.
    pub fn unix(path: PathBuf) -> io::Result<Self> {
        use std::os::unix::fs::{FileTypeExt, PermissionsExt};
        let left_over = |path: &PathBuf| {
            std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket())
                && std::os::unix::net::UnixStream::connect(path).is_err()
        };
        if left_over(&path) {
            std::fs::remove_file(&path)?;
        }
        let listener = UnixListener::bind(&path)?;
        // Whoever may connect may read the volume.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self::Unix(listener, path))
    }

    fn place(&self) -> io::Result<Place> {
        Ok(match self {
            Self::Tcp(listener) => {
                let at = listener.local_addr()?;
                Place::Tcp {
                    host: at.ip().to_string(),
                    port: at.port(),
                }
            }
            Self::Unix(_, path) => Place::Unix(path.clone()),
        })
    }

    fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Tcp(listener) => Socket::tcp(listener.accept()?.0),
            Self::Unix(listener, _) => Ok(Socket::unix(listener.accept()?.0)),
        }
    }

    /// Wakes whoever waits for a connection.
    fn shutdown(&self) {
        let how = rustix::net::Shutdown::Both;
        let done = match self {
            Self::Tcp(listener) => rustix::net::shutdown(listener, how),
            Self::Unix(listener, _) => rustix::net::shutdown(listener, how),
        };
        if let Err(cause) = done {
            tracing::debug!(%cause, "a listening socket could not be shut down");
        }
    }
}

/// What all threads of a server share.
struct Shared {
    exports: Arc<dyn Exports>,
    options: ServerOptions,
    stopping: AtomicBool,
    next: AtomicU64,
    /// How often accepting panicked.
    mishaps: AtomicU64,
    open: Mutex<HashMap<u64, Socket>>,
    changed: Condvar,
}

impl Shared {
    fn open(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Socket>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running server. Stops when dropped; [`Server::stop`] says so.
pub struct Server {
    shared: Arc<Shared>,
    listener: Arc<Listener>,
    place: Place,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Begins to serve.
    pub fn start(
        listener: Listener,
        exports: Arc<dyn Exports>,
        options: ServerOptions,
    ) -> io::Result<Self> {
        let place = listener.place()?;
        let listener = Arc::new(listener);
        let shared = Arc::new(Shared {
            exports,
            options,
            stopping: AtomicBool::new(false),
            next: AtomicU64::new(0),
            mishaps: AtomicU64::new(0),
            open: Mutex::default(),
            changed: Condvar::new(),
        });
        let (ours, theirs) = (listener.clone(), shared.clone());
        let thread = std::thread::Builder::new()
            .name("nbd-accept".to_owned())
            .spawn(move || keep_accepting(&ours, &theirs))?;
        Ok(Self {
            shared,
            listener,
            place,
            thread: Some(thread),
        })
    }

    /// Returns where it listens.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Returns how many connections there are.
    pub fn connections(&self) -> usize {
        self.shared.open().len()
    }

    /// Tells whether connections are accepted.
    pub fn is_accepting(&self) -> bool {
        let thread = self.thread.as_ref();
        thread.is_some_and(|thread| !thread.is_finished())
    }

    /// Returns how often accepting connections panicked; it went on each time.
    pub fn mishaps(&self) -> u64 {
        self.shared.mishaps.load(Relaxed)
    }

    /// Takes no more connections, lets requests that are under way be answered, and hangs up.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Some(thread) = self.thread.take() else {
            return;
        };
        self.shared.stopping.store(true, Relaxed);
        self.listener.shutdown();
        // A thread that panicked accepts nothing any more either.
        drop(thread.join());
        let mut open = self.shared.open();
        for socket in open.values() {
            socket.shutdown(Shutdown::Read);
        }
        let deadline = Instant::now() + PATIENCE;
        while !open.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                for socket in open.values() {
                    socket.shutdown(Shutdown::Both);
                }
                break;
            }
            let waited = self.shared.changed.wait_timeout(open, left);
            open = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(open);
        if let Listener::Unix(_, path) = &*self.listener {
            // It may have been removed by someone else.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// Accepts until told to stop, whatever happens on the way.
fn keep_accepting(listener: &Listener, shared: &Arc<Shared>) {
    while !shared.stopping.load(Relaxed) {
        let accepting = AssertUnwindSafe(|| accept(listener, shared));
        if catch_unwind(accepting).is_err() {
            shared.mishaps.fetch_add(1, Relaxed);
            tracing::error!("accepting connections panicked; it goes on");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn accept(listener: &Listener, shared: &Arc<Shared>) {
    while !shared.stopping.load(Relaxed) {
        let socket = match listener.accept() {
            Ok(socket) => socket,
            Err(_) if shared.stopping.load(Relaxed) => return,
            Err(cause) => {
                // Out of file descriptors, or the client has gone already; neither lasts.
                tracing::warn!(%cause, "a connection could not be accepted");
                std::thread::sleep(Duration::from_millis(50));
                continue;
            }
        };
        if let Err(cause) = welcome(socket, shared) {
            tracing::warn!(%cause, "a connection could not be served");
        }
    }
}

fn welcome(socket: Socket, shared: &Arc<Shared>) -> io::Result<()> {
    let id = shared.next.fetch_add(1, Relaxed);
    {
        let mut open = shared.open();
        if open.len() >= shared.options.max_connections {
            return Err(io::Error::other("there are too many connections"));
        }
        open.insert(id, socket.handle()?);
    }
    let entry = Entry {
        shared: shared.clone(),
        id,
    };
    std::thread::Builder::new()
        .name("nbd-session".to_owned())
        .spawn(move || {
            let entry = entry;
            match session(socket, &entry.shared) {
                Ok(()) => tracing::debug!("an NBD client has left"),
                Err(cause) => {
                    let cause: &dyn std::error::Error = &cause;
                    tracing::info!(cause, "an NBD connection ended");
                }
            }
        })?;
    Ok(())
}

/// A connection's place in the list of those that are open.
struct Entry {
    shared: Arc<Shared>,
    id: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.shared.open().remove(&self.id);
        self.shared.changed.notify_all();
    }
}

fn session(mut socket: Socket, shared: &Shared) -> Result<(), SessionError> {
    socket.set_deadline(Instant::now() + shared.options.handshake);
    let mut stream = Stream::Plain(socket);
    let mut security = match shared.options.tls {
        None => Security::Plain,
        Some(_) => Security::TlsRequired,
    };
    greet(&mut stream)?;
    let chosen = loop {
        match negotiate(&mut stream, &*shared.exports, security)? {
            Negotiated::Ended => return Ok(()),
            Negotiated::Chosen(session) => break session,
            Negotiated::StartTls => {
                let (Some(tls), Stream::Plain(socket)) = (&shared.options.tls, stream) else {
                    return Err(ProtocolError::Unexpected("TLS was started twice").into());
                };
                let connection = ServerConnection::new(tls.0.clone()).map_err(io::Error::other)?;
                let mut secured = Box::new(StreamOwned::new(connection, socket));
                // Done now, so that a client without a good certificate gets no further.
                while secured.conn.is_handshaking() {
                    secured.conn.complete_io(&mut secured.sock)?;
                }
                stream = Stream::Server(secured);
                security = Security::TlsDone;
            }
        }
    };
    // A client may be idle as long as it likes between requests.
    let stall = Some(shared.options.stall);
    stream.socket().set_timeouts(None, stall)?;
    let ended = transmit(&mut stream, &chosen, |stream, within| {
        let read = match within {
            Within::Message => stall,
            Within::Pause => None,
        };
        stream.socket().set_timeouts(read, stall)
    });
    if let Stream::Server(stream) = &mut stream {
        stream.conn.send_close_notify();
        let _ = stream.flush();
    }
    ended
}

/// Whether the next bytes are due or may take their time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Within {
    Message,
    Pause,
}

/// Serves one client over any stream until it leaves, without TLS and without timeouts.
pub fn serve_stream<S: Read + Write>(
    stream: &mut S,
    exports: &dyn Exports,
) -> Result<(), SessionError> {
    greet(stream)?;
    match negotiate(stream, exports, Security::Plain)? {
        Negotiated::Ended | Negotiated::StartTls => Ok(()),
        Negotiated::Chosen(session) => transmit(stream, &session, |_, _| Ok(())),
    }
}
