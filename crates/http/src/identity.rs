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
use emberkeep_wire::identity::{
    AppCredentialView, CatalogEntry, DomainView, EndpointView, ProjectView, RegionView,
    RoleAssignmentView, RoleView, ServiceView, TokenBody, UserView, Version, VersionValues,
    Versions, bodies, list_schema,
};

use crate::App;
use crate::endpoint::{AxumRow, delete, get, patch, post, put};
use crate::param::Kind::{Flag, Text};
use crate::param::{Param, may};
use crate::routes::Routes;
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
    Routes::of(rows())
}

const NAMED: &[Param] = &[
    may("name", Text),
    may("domain_id", Text),
    may("enabled", Flag),
];
const ASSIGNMENTS: &[Param] = &[
    may("user.id", Text),
    may("scope.project.id", Text),
    may("role.id", Text),
    may("effective", Text),
    may("include_names", Text),
];
/// Every endpoint.
fn rows() -> Vec<AxumRow> {
    vec![
        get("/", versions)
            .about("Tells which versions there are.")
            .gives::<Versions>(300)
            .open(),
        get("/v3", version)
            .about("Shows the version.")
            .keyed::<Version>(200)
            .open(),
        get("/v3/", version)
            .about("Shows the version.")
            .keyed::<Version>(200)
            .open(),
        post("/v3/auth/tokens", tokens::issue)
            .about("Signs in.")
            .takes(bodies::sign_in)
            .gives::<TokenBody>(201)
            .open(),
        get("/v3/auth/tokens", tokens::show)
            .about("Shows what a token is good for.")
            .gives::<TokenBody>(200),
        delete("/v3/auth/tokens", tokens::revoke)
            .about("Takes a token back.")
            .empty(204),
        get("/v3/auth/catalog", tokens::catalog)
            .about("Shows the catalogue of services.")
            .shape(200, list_schema::<CatalogEntry>),
        get("/v3/auth/projects", people::own_projects)
            .about("Lists the caller's projects.")
            .shape(200, list_schema::<ProjectView>),
        get("/v3/auth/domains", topology::own_domains)
            .about("Lists the caller's domains.")
            .shape(200, list_schema::<DomainView>),
        get("/v3/projects", people::projects)
            .about("Lists projects.")
            .query(NAMED)
            .shape(200, list_schema::<ProjectView>),
        post("/v3/projects", people::create_project)
            .about("Makes a project.")
            .takes(bodies::project)
            .keyed::<ProjectView>(201),
        get("/v3/projects/{project}", people::project)
            .about("Shows a project.")
            .keyed::<ProjectView>(200),
        patch("/v3/projects/{project}", people::update_project)
            .about("Changes a project.")
            .takes(bodies::project_change)
            .keyed::<ProjectView>(200),
        delete("/v3/projects/{project}", people::delete_project)
            .about("Removes a project that holds nothing.")
            .empty(204),
        get("/v3/projects/{project}/users/{user}/roles", roles::given)
            .about("Lists the roles of a user in a project.")
            .shape(200, list_schema::<RoleView>),
        put(
            "/v3/projects/{project}/users/{user}/roles/{role}",
            roles::give,
        )
        .about("Gives a role.")
        .empty(204),
        get(
            "/v3/projects/{project}/users/{user}/roles/{role}",
            roles::check,
        )
        .about("Tells whether a user has a role.")
        .empty(204),
        delete(
            "/v3/projects/{project}/users/{user}/roles/{role}",
            roles::take,
        )
        .about("Takes a role away.")
        .empty(204),
        get("/v3/users", people::users)
            .about("Lists users.")
            .query(NAMED)
            .shape(200, list_schema::<UserView>),
        post("/v3/users", people::create_user)
            .about("Makes a user.")
            .takes(bodies::user)
            .keyed::<UserView>(201),
        get("/v3/users/{user}", people::user)
            .about("Shows a user.")
            .keyed::<UserView>(200),
        patch("/v3/users/{user}", people::update_user)
            .about("Changes a user.")
            .takes(bodies::user_change)
            .keyed::<UserView>(200),
        delete("/v3/users/{user}", people::delete_user)
            .about("Removes a user.")
            .empty(204),
        get("/v3/users/{user}/projects", people::projects_of)
            .about("Lists a user's projects.")
            .shape(200, list_schema::<ProjectView>),
        get(
            "/v3/users/{user}/application_credentials",
            app_credentials::list_all,
        )
        .about("Lists a user's application credentials.")
        .query(NAMED)
        .shape(200, list_schema::<AppCredentialView>),
        post(
            "/v3/users/{user}/application_credentials",
            app_credentials::create,
        )
        .about("Makes an application credential.")
        .takes(bodies::app_credential)
        .keyed::<AppCredentialView>(201),
        get(
            "/v3/users/{user}/application_credentials/{id}",
            app_credentials::show,
        )
        .about("Shows an application credential.")
        .keyed::<AppCredentialView>(200),
        delete(
            "/v3/users/{user}/application_credentials/{id}",
            app_credentials::delete,
        )
        .about("Removes an application credential.")
        .empty(204),
        post("/v3/users/{user}/password", people::change_password)
            .about("Changes the caller's own password.")
            .takes(bodies::password)
            .empty(204),
        get("/v3/roles", roles::list_all)
            .about("Lists roles.")
            .query(NAMED)
            .shape(200, list_schema::<RoleView>),
        get("/v3/roles/{role}", roles::show)
            .about("Shows a role.")
            .keyed::<RoleView>(200),
        get("/v3/role_assignments", roles::assignments)
            .about("Lists who has which role where.")
            .query(ASSIGNMENTS)
            .shape(200, list_schema::<RoleAssignmentView>),
        get("/v3/domains", topology::domains)
            .about("Lists domains.")
            .query(NAMED)
            .shape(200, list_schema::<DomainView>),
        get("/v3/domains/{domain}", topology::domain)
            .about("Shows a domain.")
            .keyed::<DomainView>(200),
        get("/v3/services", topology::services)
            .about("Lists services.")
            .query(NAMED)
            .shape(200, list_schema::<ServiceView>),
        get("/v3/services/{service}", topology::service)
            .about("Shows a service.")
            .keyed::<ServiceView>(200),
        get("/v3/endpoints", topology::endpoints)
            .about("Lists endpoints.")
            .query(NAMED)
            .shape(200, list_schema::<EndpointView>),
        get("/v3/endpoints/{endpoint}", topology::endpoint)
            .about("Shows an endpoint.")
            .keyed::<EndpointView>(200),
        get("/v3/regions", topology::regions)
            .about("Lists regions.")
            .shape(200, list_schema::<RegionView>),
        get("/v3/regions/{region}", topology::region)
            .about("Shows a region.")
            .keyed::<RegionView>(200),
    ]
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
