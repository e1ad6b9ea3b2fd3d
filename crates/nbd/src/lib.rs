//! The NBD protocol, client and server: the volumes of others, and ours for others.
//!
//! Knows nothing of backups. Everything blocks; a connection is a thread of whoever uses it.
//! What goes over the wire is encoded and decoded in `protocol.rs`, which does no I/O and
//! takes any bytes. Start at `export.rs` for what a server serves, at `client.rs` for reading
//! and writing what another one serves.

pub mod address;
pub mod client;
mod error;
pub mod export;
pub mod protocol;
pub mod server;
mod socket;
pub mod tls;

pub use address::{Address, AddressError, Place};
pub use client::{Client, ClientOptions, Status};
pub use error::{ClientError, ProtocolError};
pub use export::{Export, ExportError, Exports, SingleExport, Stretch, StretchKind};
pub use server::{Listener, Server, ServerOptions};
pub use tls::{ClientTls, ServerTls, TlsError};
