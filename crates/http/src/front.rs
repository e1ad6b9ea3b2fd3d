//! What every request meets first: it gets its id, is counted, and is told truly where it came from. Then it
//! goes on to its API.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, STRICT_TRANSPORT_SECURITY};
use axum::response::{IntoResponse, Response};
use tower::ServiceExt;
use tracing::Instrument;

use crate::request_id::{HEADER, RequestId};
use crate::unread::Unread;
use crate::{App, cinder, metrics, origin};

/// Who took longer than this to send what was read gets no time for the rest.
const PROMPT: Duration = Duration::from_secs(5);

/// Tells whether answers below a path may hold a token, a secret or an address that is one: no cache
/// may keep them.
fn holds_secrets(path: &str) -> bool {
    ["/identity", "/api/v1/exports"]
        .iter()
        .any(|prefix| path.starts_with(prefix))
}

/// The way in.
pub(crate) struct Front {
    app: App,
    /// All but Block Storage, which reads its paths itself.
    rest: Router,
}

impl Front {
    /// Makes the router of everything: of Block Storage, and of `rest`.
    pub(crate) fn before(app: App, rest: Router) -> Router {
        let front = Arc::new(Self { app, rest });
        Router::new().fallback(serve).with_state(front)
    }

    async fn pass(&self, mut request: Request, id: RequestId) -> Response {
        if cinder::takes(request.uri().path()) {
            return cinder::serve(self.app.clone(), request, id).await;
        }
        request.extensions_mut().insert(id);
        let answer = self.rest.clone().oneshot(request).await;
        answer
            .unwrap_or_else(|never| match never {})
            .into_response()
    }
}

/// Answers a request, within a span that names its id.
///
/// The path is logged without its query, which may hold names; headers and bodies never are.
async fn serve(State(front): State<Arc<Front>>, mut request: Request) -> Response {
    origin::settle(&front.app, &mut request);
    let id = RequestId::new();
    let header = HeaderValue::from_str(&id.0).ok();
    let counted = metrics::Counted::of(&request);
    let span = tracing::info_span!(
        "request",
        id = id.0.as_str(),
        method = request.method().as_str(),
        path = request.uri().path()
    );
    let begun = Instant::now();
    let unread = Unread::of(&mut request);
    let holds_secrets = holds_secrets(request.uri().path());
    let secure = origin::is_secure(request.headers());
    async move {
        let mut response = front.pass(request, id).await;
        if let Some(unread) = unread
            && begun.elapsed() < PROMPT
        {
            unread.discard().await;
        }
        if let Some(header) = header {
            response.headers_mut().insert(HEADER, header);
        }
        if holds_secrets {
            let no_store = HeaderValue::from_static("no-store");
            response.headers_mut().insert(CACHE_CONTROL, no_store);
        }
        if secure {
            let a_year = HeaderValue::from_static("max-age=31536000");
            response
                .headers_mut()
                .insert(STRICT_TRANSPORT_SECURITY, a_year);
        }
        let elapsed = begun.elapsed();
        counted.count(response.status(), elapsed);
        let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(status = response.status().as_u16(), millis, "answered");
        response
    }
    .instrument(span)
    .await
}
