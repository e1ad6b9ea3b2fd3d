//! What all native calls share: who calls, and how refusals look.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use emberkeep_model::Caller;
use emberkeep_service::{Fault, ServiceError};
use emberkeep_wire::native::{ErrorBody, ErrorDetail, ExtentStreamError};
use serde::de::DeserializeOwned;

use crate::{Api, App, RETRY_SECS, RequestId, authenticate, base_url};

/// Why a call is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// The service refuses it.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// Its path could not be read.
    #[error("{}", .0.body_text())]
    Path(#[from] PathRejection),
    /// Its query could not be read.
    #[error("{}", .0.body_text())]
    Query(#[from] QueryRejection),
    /// What was sent is no stream of extents.
    #[error("the stream of extents is not usable: {0}")]
    Stream(#[from] ExtentStreamError),
    /// What was sent is of another size than was said.
    #[error("size_bytes says {said}, the stream {found}")]
    OtherSize {
        /// In the query.
        said: u64,
        /// In the stream.
        found: u64,
    },
    /// The connection broke while the body was read.
    #[error("the request body could not be read")]
    Broken(#[source] axum::Error),
    /// Nothing came for too long.
    #[error("nothing was sent for {0} s")]
    StoodStill(u64),
    /// There is no such path.
    #[error("there is no such path")]
    NoRoute,
    /// The path takes other methods.
    #[error("this path does not take this method")]
    NoMethod,
    /// Any of the above, once the request it answers is known.
    #[error("{cause}")]
    Of {
        /// The request.
        request_id: String,
        /// Where to sign in, for whoever has to.
        identity: String,
        /// Why.
        #[source]
        cause: Box<Refusal>,
    },
}

impl Refusal {
    fn answer(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Service(error) => match error.fault() {
                Fault::NotFound => (StatusCode::NOT_FOUND, "not_found"),
                Fault::BadRequest => (StatusCode::BAD_REQUEST, "bad_request"),
                Fault::Conflict => (StatusCode::CONFLICT, "conflict"),
                Fault::Forbidden => (StatusCode::FORBIDDEN, "forbidden"),
                Fault::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
                Fault::OverQuota => (StatusCode::FORBIDDEN, "over_quota"),
                Fault::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
                Fault::NoSpace => (StatusCode::INSUFFICIENT_STORAGE, "no_space"),
                Fault::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
            },
            Self::Path(_)
            | Self::Query(_)
            | Self::Stream(_)
            | Self::OtherSize { .. }
            | Self::Broken(_) => (StatusCode::BAD_REQUEST, "bad_request"),
            Self::StoodStill(_) => (StatusCode::REQUEST_TIMEOUT, "timeout"),
            Self::NoRoute => (StatusCode::NOT_FOUND, "not_found"),
            Self::NoMethod => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::Of { cause, .. } => cause.answer(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code) = self.answer();
        let message = if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(
                error = &self as &dyn std::error::Error,
                "a native call failed"
            );
            "an inner part failed; the request's id names the entry in the log".to_owned()
        } else {
            if matches!(
                status,
                StatusCode::SERVICE_UNAVAILABLE | StatusCode::INSUFFICIENT_STORAGE
            ) {
                tracing::error!(
                    error = &self as &dyn std::error::Error,
                    "a native call failed"
                );
            }
            self.to_string()
        };
        let (request_id, identity) = match self {
            Self::Of {
                request_id,
                identity,
                ..
            } => (request_id, identity),
            _ => Default::default(),
        };
        let error = ErrorDetail {
            code: code.into(),
            message,
            request_id,
        };
        let mut response = (status, Json(ErrorBody { error })).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let wait = HeaderValue::from_static(RETRY_SECS);
            response.headers_mut().insert(RETRY_AFTER, wait);
        }
        if status == StatusCode::UNAUTHORIZED
            && let Ok(value) = HeaderValue::from_str(&format!("Keystone uri=\"{identity}\""))
        {
            response.headers_mut().insert(WWW_AUTHENTICATE, value);
        }
        response
    }
}

/// A call by somebody whose token is good.
pub(super) struct Call {
    /// Who.
    pub(super) caller: Caller,
    identity: String,
}

impl Call {
    /// Turns what went wrong into the answer to this call.
    pub(super) fn refuse(&self, cause: impl Into<Refusal>) -> Refusal {
        Refusal::Of {
            request_id: self.caller.request_id.clone(),
            identity: self.identity.clone(),
            cause: Box::new(cause.into()),
        }
    }
}

/// No catalogue names this API, so that no rule of access speaks of it.
const API: Api = Api {
    prefix: "/api/v1",
    kinds: &[],
};

impl FromRequestParts<App> for Call {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let request_id = parts
            .extensions
            .get::<RequestId>()
            .map(|id| id.0.clone())
            .unwrap_or_default();
        let identity = app.identity_url(&base_url(&parts.headers, app));
        match authenticate(app, parts, API, &request_id).await {
            Ok((caller, _)) => Ok(Self { caller, identity }),
            Err(error) => Err(Refusal::Of {
                request_id,
                identity,
                cause: Box::new(error.into()),
            }),
        }
    }
}

/// A call with the id in its path.
pub(super) struct CallOn<Id>(pub(super) Call, pub(super) Id);

impl<Id: DeserializeOwned + Send> FromRequestParts<App> for CallOn<Id> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let call = Call::from_request_parts(parts, app).await?;
        match Path::<Id>::from_request_parts(parts, app).await {
            Ok(Path(id)) => Ok(Self(call, id)),
            Err(rejection) => Err(call.refuse(rejection)),
        }
    }
}

/// A call with what its query asks for.
pub(super) struct CallFor<Asked>(pub(super) Call, pub(super) Asked);

impl<Asked: DeserializeOwned + Send> FromRequestParts<App> for CallFor<Asked> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let call = Call::from_request_parts(parts, app).await?;
        match Query::<Asked>::from_request_parts(parts, app).await {
            Ok(Query(asked)) => Ok(Self(call, asked)),
            Err(rejection) => Err(call.refuse(rejection)),
        }
    }
}

/// A field of a query is not acceptable.
pub(super) fn invalid(field: &'static str, reason: impl Into<String>) -> ServiceError {
    ServiceError::Invalid {
        field,
        reason: reason.into(),
    }
}
