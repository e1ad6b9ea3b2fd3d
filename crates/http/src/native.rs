//! The native API under `/api/v1`: what neither Block Storage nor CBR can say. Start at `edge.rs`.

mod backups;
mod data;
mod edge;
mod erasure;
mod exports;
mod file_systems;
mod inventory;
mod policies;
mod servers;
mod tasks;
mod vaults;
mod workers;

use axum::middleware::from_fn_with_state;

use crate::guard::guard_stream;
use crate::routes::{Routes, delete, get, post, put};
use crate::{Form, guard};
use edge::Refusal;

/// Returns the routes, to be nested at `/api/v1`.
pub fn router() -> Routes {
    let streams = Routes::new()
        .route("/volumes/import", post(data::import))
        .route("/volumes/{id}/data", get(data::export))
        .route("/backups/{id}/data", get(backups::data))
        .shaped(|router| {
            router
                .method_not_allowed_fallback(no_method)
                .layer(from_fn_with_state(Form::Native, guard_stream))
        });
    Routes::new()
        .route("/tasks", get(tasks::list))
        .route("/tasks/{id}", get(tasks::show))
        .route("/tasks/{id}/cancel", post(tasks::cancel))
        .route("/sweep", post(tasks::sweep))
        .route("/workers", get(workers::list))
        .route("/erase", post(erasure::erase))
        .route("/exports", get(exports::list).post(exports::begin))
        .route("/exports/{id}", delete(exports::end))
        .route("/backups", get(inventory::backups))
        .route("/backups/{id}", get(backups::show))
        .route("/backups/{id}/adopt", post(backups::adopt))
        .route("/backups/{id}/origin", get(backups::origin))
        .route(
            "/policies/{id}/preview",
            get(policies::preview).post(policies::attempt),
        )
        .route("/policies/{id}/zone", put(policies::set_zone))
        .route("/volumes/{id}/path", get(inventory::path))
        .route(
            "/file-systems",
            get(file_systems::list).post(file_systems::create),
        )
        .route(
            "/file-systems/{id}",
            get(file_systems::show).delete(file_systems::delete),
        )
        .route("/vaults/{id}/freeze", post(vaults::freeze))
        .route("/vaults/{id}/thaw", post(vaults::thaw))
        .route("/servers", get(servers::list).post(servers::create))
        .route("/servers/{id}", get(servers::show).delete(servers::delete))
        .route("/servers/{id}/volumes", post(servers::add_volumes))
        .route(
            "/servers/{id}/volumes/remove",
            post(servers::remove_volumes),
        )
        .shaped(|router| {
            router
                .fallback(no_route)
                .method_not_allowed_fallback(no_method)
                .layer(from_fn_with_state(Form::Native, guard))
        })
        // A stream takes as long as it takes; it only may not stand still.
        .merge(streams)
}

async fn no_route() -> Refusal {
    Refusal::NoRoute
}

async fn no_method() -> Refusal {
    Refusal::NoMethod
}
