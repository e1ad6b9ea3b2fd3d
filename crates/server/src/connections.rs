//! Listening, and serving the connections that come: plain or TLS, bounded in number and in patience.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::extract::Request;
use emberkeep_http::Peer;
use emberkeep_service::{Desk, Supervisor, Worker};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::util::MapRequestLayer;
use tower::{Layer, ServiceBuilder};

use crate::certificate::Certificate;
use crate::{Listen, StartError};

/// How long the two ends may take to agree on keys.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long accepting pauses when the system has no room for one more connection.
const PAUSE: Duration = Duration::from_millis(200);
/// File descriptors that connections must leave to data, catalogue and volumes.
const KEPT_FREE: usize = 512;
/// More connections than this are not held, whatever the system allows.
const MOST: usize = 65_536;

/// One place where the service listens.
pub(crate) struct Listener {
    socket: TcpListener,
    url: String,
    tls: Option<(TlsAcceptor, Certificate)>,
}

impl Listener {
    /// Takes the address.
    pub(crate) async fn bind(listen: &Listen) -> Result<Self, StartError> {
        let unheard = |cause| StartError::Listen {
            address: listen.address,
            cause,
        };
        let tls = match &listen.tls {
            Some(files) => {
                let certificate = Certificate::read(files.clone())?;
                Some((certificate.acceptor()?, certificate))
            }
            None => None,
        };
        let socket = TcpListener::bind(listen.address).await.map_err(unheard)?;
        let address = socket.local_addr().map_err(unheard)?;
        Ok(Self {
            url: format!("{}://{address}", listen.scheme()),
            socket,
            tls,
        })
    }

    /// Returns the address it answers at, like `https://127.0.0.1:8776`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Returns what it shows, if it speaks TLS.
    pub(crate) fn certificate(&self) -> Option<Certificate> {
        self.tls
            .as_ref()
            .map(|(_, certificate)| certificate.clone())
    }
}

/// What connections may ask of us.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// So long may a connection be idle, or take to send the head of a request.
    pub(crate) head: Duration,
}

/// Serves all listeners until told to stop, then lets requests in flight end.
pub(crate) fn serve(
    supervisor: &mut Supervisor,
    listeners: Vec<Listener>,
    router: &Router,
    patience: Patience,
) {
    let room = Arc::new(Semaphore::new(room()));
    for listener in listeners {
        supervisor.start(Serving {
            url: listener.url,
            socket: Mutex::new(Some(Arc::new(listener.socket))),
            tls: listener.tls,
            router: router.clone(),
            patience,
            room: Arc::clone(&room),
        });
    }
}

/// The worker that accepts the connections of one listener.
struct Serving {
    url: String,
    /// Gone once it has stopped: nobody can connect to it then.
    socket: Mutex<Option<Arc<TcpListener>>>,
    tls: Option<(TlsAcceptor, Certificate)>,
    router: Router,
    patience: Patience,
    room: Arc<Semaphore>,
}

impl Serving {
    fn socket(&self) -> MutexGuard<'_, Option<Arc<TcpListener>>> {
        self.socket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Worker for Serving {
    fn name(&self) -> String {
        format!("listener {}", self.url)
    }

    async fn run(&self, desk: Desk) {
        let socket = self.socket().clone();
        let Some(socket) = socket else {
            return desk.stopped().await;
        };
        desk.begin();
        // Dropped with this future: whoever aborts it ends the connections as well.
        let mut connections = JoinSet::new();
        loop {
            let taken = tokio::select! {
                () = desk.stopped() => break,
                taken = self.accept(&socket) => taken,
                Some(_) = connections.join_next() => continue,
            };
            let Some((stream, address, permit)) = taken else {
                continue;
            };
            let peer = Peer {
                address,
                secure: self.tls.is_some(),
            };
            let (router, patience) = (self.router.clone(), self.patience);
            let acceptor = self.tls.as_ref().map(|(acceptor, _)| acceptor.clone());
            let stop = desk.clone();
            connections.spawn(async move {
                match acceptor {
                    None => answer(stream, peer, router, patience, stop).await,
                    Some(acceptor) => {
                        match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                            Ok(Ok(stream)) => answer(stream, peer, router, patience, stop).await,
                            Ok(Err(error)) => {
                                tracing::debug!(%error, client = %address, "no TLS came about");
                            }
                            Err(_) => {
                                tracing::debug!(client = %address, "no TLS came about in time")
                            }
                        }
                    }
                }
                drop(permit);
            });
        }
        *self.socket() = None;
        drop(socket);
        while connections.join_next().await.is_some() {}
    }
}

impl Serving {
    /// Waits until there is room, then for the next connection; none if it could not be taken.
    async fn accept(
        &self,
        socket: &TcpListener,
    ) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
        let permit = Arc::clone(&self.room).acquire_owned().await.ok()?;
        match socket.accept().await {
            Ok((stream, address)) => {
                // Answers are small and waited for.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "a connection keeps its delay");
                }
                Some((stream, address, permit))
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(PAUSE).await;
                None
            }
        }
    }
}

/// Serves one connection to its end; told to stop, it ends after the request in flight.
async fn answer<S>(stream: S, peer: Peer, router: Router, patience: Patience, desk: Desk)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let named = MapRequestLayer::new(move |mut request: Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(peer);
        request.map(axum::body::Body::new)
    });
    let service = ServiceBuilder::new().service(named.layer(router));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.head)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = desk.stopped() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, client = %peer.address, "a connection ended badly");
    }
}

/// Returns how many connections may be held at once, after asking the system for all that it gives.
fn room() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, wanted) {
        tracing::debug!(%error, "the limit of open files stays");
    }
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let files = usize::try_from(files).unwrap_or(usize::MAX);
    // With few of them, half are still for data.
    files
        .saturating_sub(KEPT_FREE.min(files / 2))
        .clamp(1, MOST)
}
