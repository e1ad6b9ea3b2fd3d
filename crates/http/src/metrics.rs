//! Counts requests, and keeps what the whole process counts for `/metrics`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use ::metrics::{Counter, Histogram};
use axum::extract::Request;
use axum::http::StatusCode;
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

/// What is counted of a request, as far as it is known before its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Counted {
    api: &'static str,
    method: &'static str,
}

/// Where requests of one kind, with one status, are counted: looked up once and then kept, for every request asks.
#[derive(Clone)]
struct Kept {
    requests: Counter,
    seconds: Histogram,
}

/// APIs, methods and statuses are few.
static KEPT: LazyLock<RwLock<HashMap<(Counted, StatusCode), Kept>>> =
    LazyLock::new(RwLock::default);

impl Counted {
    /// Reads off a request which kind it is of.
    pub(crate) fn of(request: &Request) -> Self {
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
        Self {
            api: api_of(request.uri().path()),
            method,
        }
    }

    /// Counts the request and times it, by API, method and status.
    pub(crate) fn count(self, status: StatusCode, elapsed: Duration) {
        static SEEN: AtomicU64 = AtomicU64::new(0);
        let key = (self, status);
        let kept = KEPT.read().unwrap_or_else(PoisonError::into_inner);
        match kept.get(&key) {
            Some(kept) => kept.count(elapsed),
            None => {
                drop(kept);
                let mut all = KEPT.write().unwrap_or_else(PoisonError::into_inner);
                all.entry(key)
                    .or_insert_with(|| self.kept(status))
                    .count(elapsed);
            }
        }
        if SEEN.fetch_add(1, Ordering::Relaxed) % UPKEEP_EVERY == UPKEEP_EVERY - 1
            && let Some(Some(recorder)) = RECORDER.get()
        {
            recorder.run_upkeep();
        }
    }

    fn kept(self, status: StatusCode) -> Kept {
        let Self { api, method } = self;
        let status = status.as_str().to_owned();
        Kept {
            requests: ::metrics::counter!(REQUESTS, "api" => api, "method" => method, "status" => status),
            seconds: ::metrics::histogram!(SECONDS, "api" => api, "method" => method),
        }
    }
}

impl Kept {
    fn count(&self, elapsed: Duration) {
        self.requests.increment(1);
        self.seconds.record(elapsed);
    }
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
