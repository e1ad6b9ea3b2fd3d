//! The CBR API under `/cbr`: vaults, checkpoints, backups and tasks. What it refuses, unknown
//! paths and methods too, it refuses in CBR's own form; start at `edge.rs`.

mod backups;
mod checkpoints;
mod edge;
mod refusal;
mod tasks;
mod vaults;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use emberkeep_wire::cbr as wire;

use crate::{App, base_url};
use refusal::Refusal;

/// Words in the place of a vault's id that name calls we do not have.
const OTHER_VAULT_CALLS: [&str; 5] = [
    "batch-update",
    "change-charge-mode",
    "external",
    "order",
    "summary",
];

/// Returns the routes, to be nested at `/cbr`.
pub fn router() -> Router<App> {
    let mut router = Router::new()
        .route("/", get(versions))
        .route("/v3", get(versions))
        .route("/v3/", get(versions))
        .route(
            "/v3/{project}/vaults",
            get(vaults::list).post(vaults::create),
        )
        .route(
            "/v3/{project}/vaults/{id}",
            get(vaults::show).put(vaults::update).delete(vaults::delete),
        )
        .route(
            "/v3/{project}/vaults/{id}/addresources",
            post(vaults::add_resources),
        )
        .route(
            "/v3/{project}/vaults/{id}/removeresources",
            post(vaults::remove_resources),
        )
        .route("/v3/{project}/checkpoints", post(checkpoints::create))
        .route("/v3/{project}/checkpoints/{id}", get(checkpoints::show))
        .route("/v3/{project}/backups", get(backups::list))
        .route(
            "/v3/{project}/backups/{id}",
            get(backups::show)
                .put(backups::rename)
                .delete(backups::delete),
        )
        .route("/v3/{project}/backups/{id}/restore", post(backups::restore))
        .route("/v3/{project}/operation-logs", get(tasks::list))
        .route("/v3/{project}/operation-logs/{id}", get(tasks::show));
    for call in OTHER_VAULT_CALLS {
        router = router.route(&format!("/v3/{{project}}/vaults/{call}"), any(no_route));
    }
    router
        .fallback(no_route)
        .method_not_allowed_fallback(no_route)
        .layer(from_fn(edge::name_request))
}

async fn no_route() -> Refusal {
    Refusal::NoRoute
}

async fn versions(State(app): State<App>, headers: HeaderMap) -> Response {
    let document = wire::versions(&format!("{}/cbr", base_url(&headers, &app)));
    (StatusCode::MULTIPLE_CHOICES, Json(document)).into_response()
}
