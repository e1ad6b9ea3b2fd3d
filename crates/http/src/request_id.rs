//! Gives every request an id, which is in its log lines and on its answer.

use std::time::Instant;

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;
use uuid::Uuid;

/// The header that carries the id on every answer.
const HEADER: HeaderName = HeaderName::from_static("x-openstack-request-id");

/// The id of a request: `req-` and a UUID. Every request carries one as an extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub String);

impl RequestId {
    /// Makes a new one.
    fn new() -> Self {
        Self(format!("req-{}", Uuid::new_v4()))
    }
}

/// Puts a [`RequestId`] into the request and its text on the answer, within a span that names it.
///
/// The path is logged without its query, which may hold names; headers and bodies never are.
pub(crate) async fn with_request_id(mut request: Request, next: Next) -> Response {
    let id = RequestId::new();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let span = tracing::info_span!("request", id = %id.0, %method, path);
    request.extensions_mut().insert(id.clone());
    let begun = Instant::now();
    async move {
        let mut response = next.run(request).await;
        if let Ok(value) = HeaderValue::from_str(&id.0) {
            response.headers_mut().insert(HEADER, value);
        }
        let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(status = response.status().as_u16(), millis, "answered");
        response
    }
    .instrument(span)
    .await
}
