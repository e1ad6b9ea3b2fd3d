//! Counts requests, and keeps what the whole process counts for `/metrics`.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// The process has one recorder; `None` inside if somebody else had installed one before.
static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Samples are folded into their buckets after so many requests, or they would pile up between scrapes.
const UPKEEP_EVERY: u64 = 256;

const REQUESTS: &str = "emberkeep_http_requests_total";
const SECONDS: &str = "emberkeep_http_request_seconds";

/// From a lookup in the catalogue to the longest a request may take.
const BUCKETS: [f64; 10] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];

/// Makes this process keep its metrics; later calls do nothing.
pub(crate) fn install() {
    RECORDER.get_or_init(|| {
        PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Full(SECONDS.to_owned()), &BUCKETS)
            .and_then(PrometheusBuilder::install_recorder)
            .inspect_err(|error| tracing::warn!(%error, "metrics are not collected here"))
            .ok()
    });
}

/// Returns all metrics as text, or nothing if they are collected elsewhere.
pub(crate) fn render() -> Option<String> {
    RECORDER.get()?.as_ref().map(PrometheusHandle::render)
}

/// Counts a request and times it, by API, method and status.
pub(crate) async fn count(request: Request, next: Next) -> Response {
    static SEEN: AtomicU64 = AtomicU64::new(0);
    let api = api_of(request.uri().path());
    let method = match request.method().as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        // Methods are free text: each other one would be a time series of its own.
        _ => "other",
    };
    let begun = Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_str().to_owned();
    ::metrics::counter!(REQUESTS, "api" => api, "method" => method, "status" => status)
        .increment(1);
    ::metrics::histogram!(SECONDS, "api" => api, "method" => method).record(begun.elapsed());
    if SEEN.fetch_add(1, Ordering::Relaxed) % UPKEEP_EVERY == UPKEEP_EVERY - 1
        && let Some(Some(recorder)) = RECORDER.get()
    {
        recorder.run_upkeep();
    }
    response
}

/// Names the API a path belongs to.
fn api_of(path: &str) -> &'static str {
    match path.trim_start_matches('/').split('/').next() {
        Some("identity") => "identity",
        Some("volume") => "volume",
        Some("cbr") => "cbr",
        Some("api") => "native",
        Some("console") => "console",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_their_api() {
        for (path, want) in [
            ("/identity", "identity"),
            ("/volume/v3/backups", "volume"),
            ("/cbr/v3", "cbr"),
            ("/api/v1/tasks", "native"),
            ("/console/app.js", "console"),
            ("/volumes", "other"),
            ("/", "other"),
        ] {
            assert_eq!(api_of(path), want, "{path}");
        }
    }
}
