//! Whether we live, whether we can work, and what we count.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use crate::routes::{Routes, get};
use crate::{App, metrics};

/// Returns `/healthz`, `/readyz` and `/metrics`.
pub(crate) fn router() -> Routes {
    Routes::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(scrape))
}

/// Says whether the catalogue answers: until it does, no request can be served.
async fn ready(State(app): State<App>) -> Response {
    match app.identity.probe().await {
        Ok(()) => "ready".into_response(),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "not ready");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "the catalogue does not answer",
            )
                .into_response()
        }
    }
}

/// Returns all metrics as Prometheus reads them.
async fn scrape() -> Response {
    match metrics::render() {
        Some(text) => (
            [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
            text,
        )
            .into_response(),
        None => (
            StatusCode::SERVICE_UNAVAILABLE,
            "metrics are collected elsewhere",
        )
            .into_response(),
    }
}
