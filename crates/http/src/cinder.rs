//! The Block Storage API, mounted at `/volume`: Cinder v3, with and without the project in the path.
//!
//! One handler takes every request, for the order of the checks is part of the API: what is asked, who
//! asks, in which microversion, for which project, and only then the body. Paths are read in `path.rs`,
//! the refusals of the service are worded in `fault.rs`, each resource has a file of its own.

mod attachments;
mod backups;
mod call;
mod extras;
mod fault;
mod messages;
mod metadata;
mod path;
mod query;
mod quotas;
mod services;
mod snapshots;
mod types;
mod volumes;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, LOCATION, VARY};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use emberkeep_wire::cinder::{Fault, FaultKind, Json, Microversion, Site, Versions};

use crate::json::{BodyError, read_body};
use crate::routes::Routes;
use crate::{Api, App, Form, RequestId, authenticate, base_url, guard};
use call::{Answer, Call, Refusal, json};
use path::{Owner, Place, Route};

const API: Api = Api {
    prefix: "/volume",
    kinds: &["block-storage", "volumev3", "volume"],
};
const VERSION: HeaderName = HeaderName::from_static("openstack-api-version");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-compute-request-id");

/// Where the API is mounted.
pub(crate) const PREFIX: &str = "/volume";

/// Lists the routes, without the prefix they are mounted at; [`serve`] reads its paths itself.
pub(crate) fn routes() -> Routes {
    Routes::new().noting(path::served())
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
    let place = Place::of(path.strip_prefix(PREFIX).unwrap_or(path));
    match (&parts.method, place) {
        (&Method::GET, Place::Root) => {
            let response = json(StatusCode::MULTIPLE_CHOICES, &Versions::at(&site));
            stamped(response, Some(Microversion::MIN), request_id)
        }
        (&Method::GET, Place::Bare) => {
            let location = format!("{}/v3/", site.base);
            (StatusCode::FOUND, [(LOCATION, location)]).into_response()
        }
        (&Method::GET, Place::Versions) => {
            let response = json(StatusCode::OK, &Versions::at(&site));
            stamped(response, Some(Microversion::MIN), request_id)
        }
        (&Method::GET, Place::Health) => (StatusCode::OK, "OK").into_response(),
        (method, Place::Api { project, route }) if route.takes(method) => {
            let site = Site { project, ..site };
            let identity = app.identity_url(&host);
            let (version, answer) = answer(app, &parts, body, site, route, request_id).await;
            let response =
                answer.unwrap_or_else(|refusal| fault::render(refusal, &identity, request_id));
            stamped(response, version, request_id)
        }
        _ => unknown(),
    }
}

/// Answers what no route takes, as Cinder's router does: in plain text.
fn unknown() -> Response {
    (
        StatusCode::NOT_FOUND,
        "404 Not Found\n\nThe resource could not be found.\n",
    )
        .into_response()
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
    route: Route,
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
        Method::POST | Method::PUT if route.since(&parts.method) <= version => {
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
    (Some(version), dispatch(call, &parts.method, route).await)
}

async fn dispatch(call: Call, method: &Method, route: Route) -> Answer {
    if call.version < route.since(method) {
        return Err(Fault::no_such_resource().into());
    }
    match (method.as_str(), route) {
        ("GET", Route::Backups { detail }) => backups::list(&call, detail).await,
        ("GET", Route::Backup(id)) => backups::show(&call, &id).await,
        // What is asked all the time must not carry the room along that any of the others may need.
        (_, route) => Box::pin(dispatch_rarer(call, method, route)).await,
    }
}

async fn dispatch_rarer(call: Call, method: &Method, route: Route) -> Answer {
    match (method.as_str(), route) {
        ("POST", Route::Backups { detail: false }) => backups::create(&call).await,
        ("PUT", Route::Backup(id)) => backups::update(&call, &id).await,
        ("DELETE", Route::Backup(id)) => backups::delete(&call, &id).await,
        ("POST", Route::Restore(id)) => backups::restore(&call, &id).await,
        ("POST", Route::BackupAction(id)) => backups::act(&call, &id).await,
        ("GET", Route::ExportRecord(id)) => backups::export(&call, &id).await,
        ("POST", Route::ImportRecord) => backups::import(&call).await,
        ("GET", Route::ImportRecord) => backups::show(&call, "import_record").await,
        ("GET", Route::VolumeSummary) => volumes::summary(&call).await,
        ("GET", Route::Volumes { detail }) => volumes::list(&call, detail).await,
        ("POST", Route::Volumes { detail: false }) => volumes::create(&call).await,
        ("GET", Route::Volume(id)) => volumes::show(&call, &id).await,
        ("PUT", Route::Volume(id)) => volumes::update(&call, &id).await,
        ("DELETE", Route::Volume(id)) => volumes::delete(&call, &id).await,
        ("POST", Route::VolumeAction(id)) => volumes::act(&call, &id).await,
        ("GET", Route::Snapshots { detail }) => snapshots::list(&call, detail).await,
        ("POST", Route::Snapshots { detail: false }) => snapshots::create(&call).await,
        ("GET", Route::Snapshot(id)) => snapshots::show(&call, &id).await,
        ("PUT", Route::Snapshot(id)) => snapshots::update(&call, &id).await,
        ("DELETE", Route::Snapshot(id)) => snapshots::delete(&call, &id).await,
        ("POST", Route::SnapshotAction(id)) => snapshots::act(&call, &id).await,
        ("GET", Route::Attachments { detail }) => attachments::list(&call, detail).await,
        ("POST", Route::Attachments { detail: false }) => attachments::create(&call).await,
        ("GET", Route::Attachment(id)) => attachments::show(&call, &id).await,
        ("PUT", Route::Attachment(id)) => attachments::update(&call, &id).await,
        ("DELETE", Route::Attachment(id)) => attachments::delete(&call, &id).await,
        ("POST", Route::AttachmentAction(id)) => attachments::act(&call, &id).await,
        (_, Route::Metadata(owner, id)) => metadata::all(&call, method, owner, &id).await,
        (_, Route::MetadataItem(owner, id, key)) => {
            metadata::item(&call, method, owner, &id, &key).await
        }
        ("GET", Route::Types) => types::list(&call).await,
        ("GET", Route::Type(id)) => types::show(&call, &id).await,
        ("POST", Route::Types) => types::create(&call).await,
        ("PUT", Route::Type(id)) => types::update(&call, &id).await,
        ("DELETE", Route::Type(id)) => types::delete(&call, &id).await,
        ("POST", Route::TypeAction(id)) => types::act(&call, &id).await,
        ("GET", Route::TypeAccess(id)) => types::access(&call, &id).await,
        ("GET", Route::TypeEncryption(id)) => types::encryption(&call, &id).await,
        ("GET", Route::ExtraSpecs(id)) => types::specs(&call, &id).await,
        ("POST", Route::ExtraSpecs(id)) => types::add_specs(&call, &id, None).await,
        ("GET", Route::ExtraSpec(id, key)) => types::spec(&call, &id, &key).await,
        ("PUT", Route::ExtraSpec(id, key)) => types::add_specs(&call, &id, Some(&key)).await,
        ("DELETE", Route::ExtraSpec(id, key)) => types::remove_spec(&call, &id, &key).await,
        ("GET", Route::QuotaSet(id)) => quotas::show(&call, &id).await,
        ("PUT", Route::QuotaSet(id)) => quotas::update(&call, &id).await,
        ("DELETE", Route::QuotaSet(id)) => quotas::delete(&call, &id).await,
        ("GET", Route::QuotaDefaults(id)) => quotas::defaults(&call, &id).await,
        ("GET", Route::QuotaClass(id)) => quotas::class(&call, &id).await,
        ("PUT", Route::QuotaClass(id)) => quotas::update_class(&call, &id).await,
        ("GET", Route::Services) => services::list(&call).await,
        ("PUT", Route::ServiceSwitch(verb)) => services::switch(&call, &verb).await,
        ("GET", Route::Pools) => services::pools(&call).await,
        ("GET", Route::Messages) => messages::list(&call).await,
        ("GET", Route::Message(id)) => messages::show(&call, &id).await,
        ("DELETE", Route::Message(id)) => messages::delete(&call, &id).await,
        ("GET", Route::Nothing("qos_specs")) => {
            call.service().may_see_qos(&call.caller)?;
            extras::nothing("qos_specs")
        }
        ("GET", Route::Nothing(key)) => extras::nothing(key),
        ("GET", Route::Zones) => extras::zones(&call),
        ("GET", Route::Limits) => extras::limits(&call).await,
        ("GET", Route::Extensions) => extras::extensions(),
        ("GET", Route::Extension(alias)) => extras::extension(&alias),
        ("GET", Route::ResourceFilters) => extras::resource_filters(&call),
        _ => Ok(unknown()),
    }
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
