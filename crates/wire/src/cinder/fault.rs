//! Refusals as Cinder words them: one key names the fault, with `code` and `message`.

use serde::ser::{Serialize, SerializeMap, Serializer};

/// What kind of refusal it is; the key of its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The request cannot be carried out as it is.
    BadRequest,
    /// Who is calling is not known.
    Unauthorized,
    /// The caller may see it but not do it.
    Forbidden,
    /// There is no such thing.
    ItemNotFound,
    /// The microversion is not one of ours.
    NotAcceptable,
    /// It clashes with what is going on.
    ConflictingRequest,
    /// More than the project may have.
    OverLimit,
    /// The body is larger than we read.
    TooLarge,
    /// The body is of a type we do not take.
    BadMediaType,
    /// Our own mistake.
    Internal,
    /// Cannot be done now; later it may.
    ServiceUnavailable,
    /// The disk is full.
    InsufficientStorage,
}

impl FaultKind {
    /// Returns the status code that goes with it.
    pub fn code(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::ItemNotFound => 404,
            Self::NotAcceptable => 406,
            Self::ConflictingRequest => 409,
            Self::OverLimit | Self::TooLarge => 413,
            Self::BadMediaType => 415,
            Self::Internal => 500,
            Self::ServiceUnavailable => 503,
            Self::InsufficientStorage => 507,
        }
    }

    /// Returns the key of the body.
    pub fn key(self) -> &'static str {
        match self {
            Self::BadRequest => "badRequest",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::ItemNotFound => "itemNotFound",
            Self::ConflictingRequest => "conflictingRequest",
            Self::OverLimit | Self::TooLarge => "overLimit",
            Self::BadMediaType => "badMediaType",
            Self::ServiceUnavailable => "serviceUnavailable",
            Self::InsufficientStorage => "insufficientStorage",
            Self::NotAcceptable | Self::Internal => "computeFault",
        }
    }
}

/// A refusal. Serialised, it is the body of the answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// What kind.
    pub kind: FaultKind,
    /// For people; clients look at it too.
    pub message: String,
}

impl Fault {
    /// Makes a refusal.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// Makes a 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(FaultKind::BadRequest, message)
    }

    /// Makes the 400 of Cinder's `InvalidInput`.
    pub fn invalid_input(reason: impl std::fmt::Display) -> Self {
        Self::bad_request(format!("Invalid input received: {reason}"))
    }

    /// Makes a 404.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(FaultKind::ItemNotFound, message)
    }

    /// Makes the 400 that tells nothing.
    pub fn malformed() -> Self {
        Self::bad_request(
            "The server could not comply with the request since it is either malformed or otherwise incorrect.",
        )
    }

    /// Makes the 404 of a method that the microversion does not have.
    pub fn no_such_resource() -> Self {
        Self::not_found("The resource could not be found.")
    }

    /// Returns the seconds to wait before trying again, where the body says them.
    pub fn retry_after(&self) -> Option<&'static str> {
        (self.kind == FaultKind::OverLimit).then_some("0")
    }
}

impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut body = serializer.serialize_map(Some(1))?;
        body.serialize_entry(self.kind.key(), &Inner(self))?;
        body.end()
    }
}

struct Inner<'a>(&'a Fault);

impl Serialize for Inner<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut inner = serializer.serialize_map(None)?;
        inner.serialize_entry("code", &self.0.kind.code())?;
        inner.serialize_entry("message", &self.0.message)?;
        if let Some(seconds) = self.0.retry_after() {
            inner.serialize_entry("retryAfter", seconds)?;
        }
        inner.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_names_the_fault() {
        for (fault, want) in [
            (
                Fault::not_found("Backup X could not be found."),
                r#"{"itemNotFound":{"code":404,"message":"Backup X could not be found."}}"#,
            ),
            (
                Fault::new(FaultKind::OverLimit, "too many"),
                r#"{"overLimit":{"code":413,"message":"too many","retryAfter":"0"}}"#,
            ),
            (
                Fault::new(FaultKind::NotAcceptable, "no"),
                r#"{"computeFault":{"code":406,"message":"no"}}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&fault).expect("serialises"), want);
        }
    }
}
