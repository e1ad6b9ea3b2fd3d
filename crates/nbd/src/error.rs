//! Why an exchange with the other side failed.

use std::io;

use crate::protocol::WireError;
use crate::tls::TlsError;

/// The other side sent what the protocol does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// A message cannot be understood.
    #[error("a malformed {what}: {reason}")]
    Malformed {
        /// What kind of message.
        what: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The messages make no sense together.
    #[error("the other side broke the protocol: {0}")]
    Unexpected(&'static str),
}

/// Why a client did not get what it asked for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server could not be reached.
    #[error("{place} cannot be reached")]
    Unreachable {
        /// The server.
        place: String,
        /// The system's answer.
        #[source]
        cause: io::Error,
    },
    /// The server has no export of that name.
    #[error("{place} has no export '{export}'")]
    NoSuchExport {
        /// The server.
        place: String,
        /// The name.
        export: String,
    },
    /// The server does not want to talk with us as we asked.
    #[error("{place} refuses: {message}")]
    Refused {
        /// The server.
        place: String,
        /// Why, in its own words where it has any.
        message: String,
    },
    /// What is missing for an encrypted connection.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The server has said no to one request.
    #[error("{what} {length} bytes at {offset}: {error}{}", if message.is_empty() { String::new() } else { format!(" ({message})") })]
    Request {
        /// What was being done.
        what: &'static str,
        /// First byte.
        offset: u64,
        /// How many.
        length: u64,
        /// The server's answer.
        error: WireError,
        /// Its words.
        message: String,
    },
    /// A request reaches beyond the end.
    #[error("{length} bytes at {offset} reach beyond the {size} bytes of the export")]
    OutOfRange {
        /// First byte.
        offset: u64,
        /// How many.
        length: u64,
        /// How many there are.
        size: u64,
    },
    /// The export cannot do that.
    #[error("the export {0}")]
    Unable(&'static str),
    /// The connection broke.
    #[error("the connection failed")]
    Connection(#[from] io::Error),
    /// The server does not keep to the protocol.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
}

impl ClientError {
    /// Tells whether another connection might do better.
    pub fn is_connection(&self) -> bool {
        matches!(
            self,
            Self::Connection(_) | Self::Protocol(_) | Self::Unreachable { .. }
        )
    }
}
