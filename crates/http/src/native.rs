//! The native API under `/api/v1`: what neither Block Storage nor CBR can say. Start at `edge.rs`.

mod data;
mod edge;
mod inventory;
mod policies;
mod tasks;

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::{get, post, put};

use crate::{App, guard};
use edge::Refusal;

/// Returns the routes, to be nested at `/api/v1`.
pub fn router() -> Router<App> {
    let streams = Router::new()
        .route("/volumes/import", post(data::import))
        .route("/volumes/{id}/data", get(data::export))
        .method_not_allowed_fallback(no_method);
    Router::new()
        .route("/tasks", get(tasks::list))
        .route("/tasks/{id}", get(tasks::show))
        .route("/tasks/{id}/cancel", post(tasks::cancel))
        .route("/sweep", post(tasks::sweep))
        .route("/backups", get(inventory::backups))
        .route(
            "/policies/{id}/preview",
            get(policies::preview).post(policies::attempt),
        )
        .route("/policies/{id}/zone", put(policies::set_zone))
        .route("/volumes/{id}/path", get(inventory::path))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(from_fn(guard))
        // A stream takes as long as it takes; it only may not stand still.
        .merge(streams)
}

async fn no_route() -> Refusal {
    Refusal::NoRoute
}

async fn no_method() -> Refusal {
    Refusal::NoMethod
}
