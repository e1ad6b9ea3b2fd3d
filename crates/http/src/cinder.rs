//! The Block Storage API, mounted at `/volume`: Cinder v3, with and without the project in the path.
//!
//! One handler takes every request, for the order of the checks is part of the API: what is asked, who
//! asks, in which microversion, for which project, and only then the body. The endpoints stand
//! in `rows.rs`, paths are read in `path.rs`, the refusals of the service are worded in `fault.rs`, each resource has a file of its own.

mod attachments;
mod backups;
mod call;
mod documents;
mod extras;
mod fault;
mod messages;
mod metadata;
mod path;
mod query;
mod quotas;
mod row;
mod rows;
mod services;
mod snapshots;
mod types;
mod volumes;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, VARY};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::response::Response;
use emberkeep_wire::cinder::{Fault, FaultKind, Json, Microversion, Site};

use crate::endpoint::JSON;
use crate::json::{BodyError, read_body};
use crate::routes::{self, Served};
use crate::{Api, App, Form, RequestId, authenticate, base_url, guard};
use call::{Answer, Call, Refusal, unknown};
use path::Place;
use row::{CinderRow, Named};

const API: Api = Api {
    prefix: "/volume",
    kinds: &["block-storage", "volumev3", "volume"],
};
const VERSION: HeaderName = HeaderName::from_static("openstack-api-version");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-compute-request-id");

/// Where the API is mounted.
pub(crate) const PREFIX: &str = "/volume";

/// Lists what is served below the prefix; [`serve`] reads its paths itself.
pub(crate) fn served() -> impl Iterator<Item = Served> {
    routes::served(PREFIX, rows::endpoints())
}

/// Tells whether a path is one of Block Storage.
pub(crate) fn takes(path: &str) -> bool {
    path.strip_prefix(PREFIX)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Answers a request, within the bounds of [`guard`](crate::guard).
pub(crate) async fn serve(app: App, request: Request, request_id: RequestId) -> Response {
    let changes = guard::changes(request.method());
    // What runs on without its client takes its own copy of the id along.
    let id = request_id.clone();
    // Behind a pointer: it is passed on several times before it runs.
    let answer = Box::pin(async move { handle(app, request, &id).await });
    match guard::bounded(changes, answer).await {
        Ok(response) => response,
        Err(cut) => Form::Cinder.refuse(cut, &request_id.0),
    }
}

async fn handle(app: App, request: Request, request_id: &RequestId) -> Response {
    let (mut parts, body) = request.into_parts();
    if parts.method == Method::HEAD {
        // Whoever sends the answer leaves its body out.
        parts.method = Method::GET;
    }
    let host = base_url(&parts.headers, &app);
    let site = Site {
        base: format!("{host}{PREFIX}"),
        project: None,
    };
    let path = parts.uri.path();
    match Place::of(&parts.method, path.strip_prefix(PREFIX).unwrap_or(path)) {
        Some(Place::Document(row)) => {
            let response = (row.handler)(&site);
            if response.headers().get(CONTENT_TYPE) == Some(&HeaderValue::from_static(JSON)) {
                stamped(response, Some(Microversion::MIN), request_id)
            } else {
                response
            }
        }
        Some(Place::Api {
            project,
            row,
            named,
        }) => {
            let site = Site { project, ..site };
            let identity = app.identity_url(&host);
            let (version, answer) =
                answer(app, &parts, body, site, (row, &named), request_id).await;
            let response =
                answer.unwrap_or_else(|refusal| fault::render(refusal, &identity, request_id));
            stamped(response, version, request_id)
        }
        None => unknown(),
    }
}

/// Puts the headers of the API on an answer.
fn stamped(mut response: Response, version: Option<Microversion>, id: &RequestId) -> Response {
    let headers = response.headers_mut();
    if let Some(version) = version {
        if let Ok(value) = HeaderValue::from_str(&format!("volume {version}")) {
            headers.insert(VERSION, value);
        }
        headers.insert(VARY, HeaderValue::from_static("OpenStack-API-Version"));
    }
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        headers.insert(REQUEST_ID, value);
    }
    response
}

/// Answers a request for a resource; tells also which microversion it was answered in, once that is known.
async fn answer(
    app: App,
    parts: &Parts,
    body: Body,
    site: Site,
    (row, named): (&CinderRow, &Named),
    request_id: &RequestId,
) -> (Option<Microversion>, Answer) {
    let caller = match authenticate(&app, parts, API, &request_id.0).await {
        Ok((caller, _)) => caller,
        Err(error) => return (None, Err(error.into())),
    };
    let version = match microversion(&parts.headers) {
        Ok(version) => version,
        Err(fault) => return (None, Err(fault.into())),
    };
    if site
        .project
        .as_deref()
        .is_some_and(|project| project != caller.project_id.as_str())
    {
        return (
            Some(version),
            Err(Fault::bad_request("Malformed request url").into()),
        );
    }
    let body = match parts.method {
        Method::POST | Method::PUT if row.first() <= version => {
            match body_of(&parts.headers, body).await {
                Ok(body) => body,
                Err(fault) => return (Some(version), Err(fault.into())),
            }
        }
        _ => Json::Null,
    };
    let call = Call {
        app,
        caller,
        version,
        site,
        query: parts.uri.query().unwrap_or_default().to_owned(),
        body,
    };
    if version < row.first() {
        return (Some(version), Err(Fault::no_such_resource().into()));
    }
    (Some(version), (row.handler)(&call, named).await)
}

fn microversion(headers: &HeaderMap) -> Result<Microversion, Fault> {
    // Several headers of one name mean the same as one with commas.
    let values: Vec<&str> = headers
        .get_all(VERSION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    let header = (!values.is_empty()).then(|| values.join(","));
    Microversion::from_header(header.as_deref()).map_err(|error| error.fault())
}

/// Reads the body of a request that changes something.
async fn body_of(headers: &HeaderMap, body: Body) -> Result<Json, Fault> {
    let malformed = || Fault::bad_request("Malformed request body");
    let bytes = read_body(body).await.map_err(|error| match error {
        BodyError::TooLarge => Fault::new(FaultKind::TooLarge, "Request is too large."),
        BodyError::Empty | BodyError::NotJson(_) | BodyError::Broken(_) => malformed(),
    })?;
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let kind = kind.map(|kind| kind.split(';').next().unwrap_or_default().trim());
    match kind {
        None | Some("application/json" | "application/vnd.openstack.volume+json") => {
            Json::read(&bytes).map_err(|_| malformed())
        }
        Some(_) => Err(Fault::new(
            FaultKind::BadMediaType,
            "Unsupported Content-Type",
        )),
    }
}
