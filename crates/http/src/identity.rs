//! The identity API, mounted at `/identity`: a Keystone v3 subset (`clients.md §7`).
//!
//! Start at [`router`]; `tokens.rs` is what every client calls first.

mod app_credentials;
mod catalog;
mod edge;
mod people;
mod roles;
mod tokens;
mod topology;

use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use emberkeep_wire::identity::{Version, VersionValues, Versions};

use crate::App;
use crate::routes::{Routes, get, post, put};
use edge::{Refusal, root_of};

/// Returns the routes, without the prefix they are mounted at.
pub fn router(app: &App) -> Routes {
    routes().shaped(|router| {
        router
            .fallback(|| async { Refusal::NoSuchRoute })
            .method_not_allowed_fallback(|| async { Refusal::Method })
            .layer(from_fn_with_state(app.clone(), edge::dress))
    })
}

/// Returns the routes without what is common to them.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .route("/", get(versions))
        .route("/v3", get(version))
        .route("/v3/", get(version))
        .route(
            "/v3/auth/tokens",
            post(tokens::issue).get(tokens::show).delete(tokens::revoke),
        )
        .route("/v3/auth/catalog", get(tokens::catalog))
        .route("/v3/auth/projects", get(people::own_projects))
        .route("/v3/auth/domains", get(topology::own_domains))
        .route(
            "/v3/projects",
            get(people::projects).post(people::create_project),
        )
        .route(
            "/v3/projects/{project}",
            get(people::project)
                .patch(people::update_project)
                .delete(people::delete_project),
        )
        .route(
            "/v3/projects/{project}/users/{user}/roles",
            get(roles::given),
        )
        .route(
            "/v3/projects/{project}/users/{user}/roles/{role}",
            put(roles::give).get(roles::check).delete(roles::take),
        )
        .route("/v3/users", get(people::users).post(people::create_user))
        .route(
            "/v3/users/{user}",
            get(people::user)
                .patch(people::update_user)
                .delete(people::delete_user),
        )
        .route("/v3/users/{user}/projects", get(people::projects_of))
        .route(
            "/v3/users/{user}/application_credentials",
            get(app_credentials::list_all).post(app_credentials::create),
        )
        .route(
            "/v3/users/{user}/application_credentials/{id}",
            get(app_credentials::show).delete(app_credentials::delete),
        )
        .route("/v3/users/{user}/password", post(people::change_password))
        .route("/v3/roles", get(roles::list_all))
        .route("/v3/roles/{role}", get(roles::show))
        .route("/v3/role_assignments", get(roles::assignments))
        .route("/v3/domains", get(topology::domains))
        .route("/v3/domains/{domain}", get(topology::domain))
        .route("/v3/services", get(topology::services))
        .route("/v3/services/{service}", get(topology::service))
        .route("/v3/endpoints", get(topology::endpoints))
        .route("/v3/endpoints/{endpoint}", get(topology::endpoint))
        .route("/v3/regions", get(topology::regions))
        .route("/v3/regions/{region}", get(topology::region))
}

/// `GET /`: which versions there are. A choice of one is still a choice: 300.
async fn versions(State(app): State<App>, headers: HeaderMap) -> Response {
    let root = root_of(&headers, &app);
    let location = format!("{root}/v3/");
    let versions = VersionValues {
        values: vec![Version::ours(&root)],
    };
    let answer = edge::json(StatusCode::MULTIPLE_CHOICES, &Versions { versions });
    ([(LOCATION, location)], answer).into_response()
}

/// `GET /v3`, with or without a slash at the end; no token is needed.
async fn version(State(app): State<App>, headers: HeaderMap) -> Response {
    edge::keyed(StatusCode::OK, &Version::ours(&root_of(&headers, &app)))
}
