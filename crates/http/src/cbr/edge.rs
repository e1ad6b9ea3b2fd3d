//! What all calls of CBR share: who calls, which project and thing the path names.

use std::str::FromStr;

use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequestParts, Query, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use emberkeep_model::Caller;
use emberkeep_service::ServiceError;
use emberkeep_service::query::Paging;
use emberkeep_wire::cbr as wire;
use emberkeep_wire::keyed::{Keyed, Many, Under};
use serde::Serialize;
use serde_json::{Map, Value};

use super::refusal::Refusal;
use crate::{Api, App, RequestId, authenticate, base_url, read_body};

/// The request's id by the name that the Huawei SDKs print.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Puts the request's id on the answer a second time.
pub(super) async fn name_request(request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().cloned();
    let mut response = next.run(request).await;
    if let Some(Ok(id)) = id.map(|id| HeaderValue::from_str(&id.0)) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// A call by somebody whose token is good for the project in the path.
pub(super) struct Call {
    /// Who.
    pub(super) caller: Caller,
    id: Option<String>,
    name: Option<String>,
    query: Result<Vec<(String, String)>, Refusal>,
}

impl Call {
    /// Returns the id in the path.
    pub(super) fn id<Id: FromStr>(&self) -> Result<Id, Refusal> {
        Ok(wire::uuid("id", self.id.as_deref().unwrap_or_default())?)
    }

    /// Returns what else the path names: a share, a key, a kind.
    pub(super) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    /// Returns the pairs of the query.
    pub(super) fn query(&mut self) -> Result<Vec<(String, String)>, Refusal> {
        std::mem::replace(&mut self.query, Ok(Vec::new()))
    }
}

const API: Api = Api {
    prefix: "/cbr",
    kinds: &["cbr"],
};

impl FromRequestParts<App> for Call {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let request_id = parts
            .extensions
            .get::<RequestId>()
            .map(|id| id.0.clone())
            .unwrap_or_default();
        let caller = match authenticate(app, parts, API, &request_id).await {
            Ok((caller, _)) => caller,
            Err(ServiceError::Unauthenticated) => {
                let identity = app.identity_url(&base_url(&parts.headers, app));
                return Err(Refusal::SignIn { identity });
            }
            Err(error) => return Err(error.into()),
        };
        let mut project = None;
        let mut id = None;
        let mut other = None;
        // A path whose parameters are no text names nothing we know.
        let params = RawPathParams::from_request_parts(parts, app).await;
        for (name, value) in params.as_ref().map_err(|_| Refusal::NoRoute)? {
            match name {
                "project" => project = Some(value.to_owned()),
                "name" => other = Some(value.to_owned()),
                _ => id = Some(value.to_owned()),
            }
        }
        if project.as_deref() != Some(caller.project_id.as_str()) {
            return Err(project
                .and_then(|project| project.parse().ok())
                .map_or(ServiceError::Forbidden, ServiceError::WrongProject)
                .into());
        }
        let query = Query::try_from_uri(&parts.uri)
            .map(|Query(pairs)| pairs)
            .map_err(|rejection| Refusal::Query(rejection.body_text()));
        Ok(Self {
            caller,
            id,
            name: other,
            query,
        })
    }
}

/// Reads a body and then its fields.
pub(super) async fn read<T>(
    body: Body,
    parse: fn(&[u8]) -> Result<T, wire::Refused>,
) -> Result<T, Refusal> {
    let bytes = read_body(body).await?;
    Ok(parse(&bytes)?)
}

/// Answers with a body. Its keys are in the order of the alphabet.
pub(super) fn answer(body: &impl Serialize) -> Result<Response, Refusal> {
    let body: Value = serde_json::to_value(body)
        .map_err(|error| ServiceError::Inner("rendering an answer", error.into()))?;
    Ok(Json(body).into_response())
}

/// Takes an answer, or a part of one, apart into its fields.
pub(super) fn object(value: &impl Serialize) -> Result<Map<String, Value>, Refusal> {
    match serde_json::to_value(value) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Ok(Map::new()),
        Err(error) => Err(ServiceError::Inner("rendering an answer", error.into()).into()),
    }
}

/// Answers with something under its key.
pub(super) fn keyed<T: Keyed + Serialize>(value: &T) -> Result<Response, Refusal> {
    answer(&Under(value))
}

/// Answers with one page of a list.
pub(super) fn page<T: Many + Serialize, Id>(
    items: &[T],
    count: u64,
    limits: &wire::Limits<Id>,
) -> Result<Response, Refusal> {
    answer(&wire::Page {
        items,
        count,
        cut: Some((limits.limit, limits.offset)),
    })
}

/// Answers with a list that does not say how it was cut.
pub(super) fn list<T: Many + Serialize>(items: &[T], count: u64) -> Result<Response, Refusal> {
    let cut = None;
    answer(&wire::Page { items, count, cut })
}

/// Cuts the page that was asked for out of a short list; a marker that is not in it gives none.
pub(super) fn cut<T, Id: PartialEq>(
    mut items: Vec<T>,
    limits: &wire::Limits<Id>,
    id: impl Fn(&T) -> Id,
) -> Vec<T> {
    if let Some(marker) = &limits.marker {
        let seen = items.iter().position(|item| id(item) == *marker);
        items.drain(..seen.map_or(items.len(), |place| place + 1));
    }
    let skip = usize::try_from(limits.skip()).unwrap_or(usize::MAX);
    items
        .into_iter()
        .skip(skip)
        .take(limits.limit as usize)
        .collect()
}

/// Returns the page of the catalogue that a request's limits mean.
pub(super) fn paging<Id: Copy>(limits: &wire::Limits<Id>) -> Paging<Id> {
    Paging {
        limit: Some(limits.limit),
        offset: limits.skip(),
        marker: limits.marker,
        with_total: true,
        max_bytes: None,
    }
}
