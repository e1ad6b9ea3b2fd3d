//! The CBR API under `/cbr`: vaults, checkpoints, backups, policies, shares, tags and tasks. What it refuses, unknown
//! paths and methods too, it refuses in CBR's own form; start at `edge.rs`.

mod backups;
mod checkpoints;
mod edge;
mod members;
mod policies;
mod protectables;
mod refusal;
mod replicate;
mod tags;
mod tasks;
mod vault_calls;
mod vaults;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use emberkeep_wire::cbr as wire;

use crate::routes::{Routes, delete, get, post, put};
use crate::{App, base_url};
use refusal::Refusal;

/// Words in the place of a vault's id that name calls we do not have.
const OTHER_VAULT_CALLS: [&str; 3] = ["change-charge-mode", "external", "order"];

/// Returns the routes, to be nested at `/cbr`.
pub fn router() -> Routes {
    let routes = Routes::new()
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
        .route("/v3/{project}/vaults/summary", get(vault_calls::summary))
        .route(
            "/v3/{project}/vaults/batch-update",
            put(vault_calls::update_all),
        )
        .route(
            "/v3/{project}/vaults/{id}/migrateresources",
            post(vault_calls::migrate),
        )
        .route(
            "/v3/{project}/vaults/{id}/set-resources",
            put(vault_calls::set_resources),
        )
        .route(
            "/v3/{project}/vaults/{id}/update-backup-expiration-time",
            put(vault_calls::move_expiry),
        )
        .route(
            "/v3/{project}/vaults/{id}/associatepolicy",
            post(policies::associate),
        )
        .route(
            "/v3/{project}/vaults/{id}/dissociatepolicy",
            post(policies::dissociate),
        )
        .route(
            "/v3/{project}/policies",
            get(policies::list).post(policies::create),
        )
        .route(
            "/v3/{project}/policies/{id}",
            get(policies::show)
                .put(policies::update)
                .delete(policies::delete),
        )
        .route("/v3/{project}/vault/tags", get(tags::of_project))
        .route(
            "/v3/{project}/vault/resource_instances/action",
            post(tags::find),
        )
        .route(
            "/v3/{project}/vault/{id}/tags",
            get(tags::list).post(tags::set),
        )
        .route("/v3/{project}/vault/{id}/tags/action", post(tags::act))
        .route("/v3/{project}/vault/{id}/tags/{name}", delete(tags::delete))
        .route(
            "/v3/{project}/backups/{id}/members",
            get(members::list).post(members::add),
        )
        .route(
            "/v3/{project}/backups/{id}/members/{name}",
            get(members::show)
                .put(members::answer)
                .delete(members::delete),
        )
        .route(
            "/v3/{project}/protectables/{name}/instances",
            get(protectables::list),
        )
        .route(
            "/v3/{project}/protectables/{name}/instances/{id}",
            get(protectables::show),
        )
        .route(
            "/v3/{project}/storage_usage",
            get(vault_calls::storage_usage),
        )
        .route(
            "/v3/{project}/replication-capabilities",
            get(vault_calls::capabilities),
        )
        .route("/v3/{project}/cbr-features", get(vault_calls::all_features))
        .route(
            "/v3/{project}/cbr-features/{name}",
            get(vault_calls::feature),
        )
        .route("/v3/{project}/checkpoints", post(checkpoints::create))
        .route(
            "/v3/{project}/checkpoints/replicate",
            post(replicate::vault),
        )
        .route(
            "/v3/{project}/checkpoints/sync",
            post(replicate::sync_vault),
        )
        .route("/v3/{project}/backups/sync", post(replicate::sync_backups))
        .route(
            "/v3/{project}/backups/{id}/replicate",
            post(replicate::backup),
        )
        .route("/v3/{project}/checkpoints/{id}", get(checkpoints::show))
        .route("/v3/{project}/backups", get(backups::list))
        .route(
            "/v3/{project}/backups/{id}",
            get(backups::show)
                .put(backups::rename)
                .delete(backups::delete),
        )
        .route("/v3/{project}/backups/{id}/restore", post(backups::restore))
        .route(
            "/v3/{project}/backups/{id}/metadata",
            get(backups::metadata),
        )
        .route("/v3/{project}/operation-logs", get(tasks::list))
        .route("/v3/{project}/operation-logs/{id}", get(tasks::show));
    routes.shaped(|mut router| {
        for call in OTHER_VAULT_CALLS {
            router = router.route(&format!("/v3/{{project}}/vaults/{call}"), any(no_route));
        }
        router
            .fallback(no_route)
            .method_not_allowed_fallback(no_route)
            .layer(from_fn(edge::name_request))
    })
}

async fn no_route() -> Refusal {
    Refusal::NoRoute
}

async fn versions(State(app): State<App>, headers: HeaderMap) -> Response {
    let document = wire::versions(&format!("{}/cbr", base_url(&headers, &app)));
    (StatusCode::MULTIPLE_CHOICES, Json(document)).into_response()
}
