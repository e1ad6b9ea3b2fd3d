//! Whether we live, whether we can work, and what we count.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Redirect, Response};

use crate::endpoint::get;
use crate::routes::Routes;
use crate::{App, metrics};

/// Returns `/healthz`, `/readyz` and `/metrics`, and the way to the console.
pub(crate) fn router() -> Routes {
    Routes::of(vec![
        get("/", || async { Redirect::to("/console") })
            .about("Leads to the console.")
            .empty(303)
            .open(),
        get("/healthz", || async { "ok" })
            .about("Says that the process lives.")
            .text("text/plain")
            .open(),
        get("/readyz", ready)
            .about("Says whether requests can be served.")
            .text("text/plain")
            .open(),
        get("/metrics", scrape)
            .about("Shows what is counted.")
            .text("text/plain")
            .open(),
    ])
}

/// Says whether the catalogue can be read and written: until it can, no request can be served.
async fn ready(State(app): State<App>) -> Response {
    match app.identity.probe().await {
        Ok(()) => match (unwell(&app), app.service.check_space()) {
            (Some(words), _) => (StatusCode::SERVICE_UNAVAILABLE, words).into_response(),
            (None, Ok(())) => "ready".into_response(),
            // Signing in, listing and deleting go on, and get space back: it stays ready, and says so.
            (None, Err(low)) => format!("ready, but {low}").into_response(),
        },
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "not ready");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                format!("not ready: {error}"),
            )
                .into_response()
        }
    }
}

/// Names the background workers that do not do their work just now, and why; none if all do.
fn unwell(app: &App) -> Option<String> {
    let workers = app.service.worker_table().all();
    let unwell = workers.iter().filter(|worker| !worker.state.is_well());
    let words: Vec<_> = unwell
        .map(|worker| {
            let (name, state) = (&worker.name, worker.state);
            let error = worker.last_error.as_deref().unwrap_or("no reason known");
            format!("background worker {name} is {state}: {error}")
        })
        .collect();
    (!words.is_empty()).then(|| words.join("\n"))
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
