//! Every request has an id, which is in its log lines and on its answer.

use axum::http::HeaderName;
use uuid::Uuid;

/// The header that carries the id on every answer.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-openstack-request-id");

/// The id of a request: `req-` and a UUID. Every request carries one as an extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub String);

impl RequestId {
    /// Makes a new one.
    pub(crate) fn new() -> Self {
        Self(format!("req-{}", Uuid::new_v4()))
    }
}
