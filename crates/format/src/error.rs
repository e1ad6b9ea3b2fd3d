//! Why stored bytes were not accepted.

/// Stored bytes that are not what they should be. The engine adds object and offset.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// There are fewer bytes than the structure needs.
    #[error("{what} is truncated")]
    Truncated {
        /// The structure being decoded.
        what: &'static str,
    },
    /// The bytes do not start the way this structure does.
    #[error("this is not a {what}")]
    BadMagic {
        /// The structure being decoded.
        what: &'static str,
    },
    /// A newer program wrote this.
    #[error("{what} has version {version}, which this program does not know")]
    UnknownVersion {
        /// The structure being decoded.
        what: &'static str,
        /// The version found.
        version: u32,
    },
    /// A field contradicts the rules of the format.
    #[error("{what} is malformed: {reason}")]
    Malformed {
        /// The structure being decoded.
        what: &'static str,
        /// The rule that is broken.
        reason: &'static str,
    },
    /// The seal does not fit: wrong key, or changed bytes.
    #[error("{what} does not open: it was changed, or sealed with another key")]
    Unsealed {
        /// The structure being opened.
        what: &'static str,
    },
    /// The checksum over the stored bytes does not fit.
    #[error("the checksum of the {what} does not fit its bytes")]
    Checksum {
        /// The structure being checked.
        what: &'static str,
    },
    /// A chunk's bytes are not those that its id names.
    #[error("the chunk's bytes do not fit its id")]
    WrongChunk,
    /// A compressed chunk does not expand.
    #[error("the chunk does not decompress")]
    Decompress(#[source] std::io::Error),
    /// A JSON document inside an envelope is not as expected.
    #[error("{what} is not the expected JSON")]
    Json {
        /// The structure being decoded.
        what: &'static str,
        /// The parser's answer.
        #[source]
        cause: serde_json::Error,
    },
}
