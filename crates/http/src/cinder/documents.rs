//! The documents that everybody may read: the versions, and that the API answers.

use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use emberkeep_wire::cinder::{Site, Versions};

use super::call::json;

/// `GET /`: a choice of one is still a choice.
pub(super) fn choices(site: &Site) -> Response {
    json(StatusCode::MULTIPLE_CHOICES, &Versions::at(site))
}

/// `GET /v3`.
pub(super) fn redirect(site: &Site) -> Response {
    let location = format!("{}/v3/", site.base);
    (StatusCode::FOUND, [(LOCATION, location)]).into_response()
}

/// `GET /v3/`.
pub(super) fn versions(site: &Site) -> Response {
    json(StatusCode::OK, &Versions::at(site))
}

/// `GET /healthcheck`.
pub(super) fn health(_: &Site) -> Response {
    (StatusCode::OK, "OK").into_response()
}
