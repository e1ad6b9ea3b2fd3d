//! What all routes of identity share: who calls, how errors look, which headers every answer has.

use axum::Json;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{RETRY_AFTER, VARY, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use emberkeep_model::{Role, UserId};
use emberkeep_service::{Authenticator, Fault, ServiceError, TokenInfo};
use emberkeep_wire::identity::{FaultBody, Malformed};
use emberkeep_wire::keyed::{Keyed, Under};
use serde::Serialize;

use crate::{App, BodyError, RETRY_SECS, base_url, token_of};

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// The service refuses it.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// Its body could not be read.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// Its body is JSON, but not what it should be.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The token asked about is none.
    #[error("Could not find token.")]
    NoSuchToken,
    /// More sign in at once than we can check.
    #[error("Too many sign in at once. Try again in a moment.")]
    Crowded,
    /// A thing that is not there: its kind, then its id as given.
    #[error("Could not find {0}: {1}.")]
    NoSuch(&'static str, String),
    /// No such path.
    #[error("The resource could not be found.")]
    NoSuchRoute,
    /// The path is there, but not for this method.
    #[error("The method is not allowed for the requested URL.")]
    Method,
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Service(error) => match error.fault() {
                Fault::NotFound => StatusCode::NOT_FOUND,
                Fault::BadRequest => StatusCode::BAD_REQUEST,
                Fault::Conflict => StatusCode::CONFLICT,
                Fault::Forbidden => StatusCode::FORBIDDEN,
                Fault::Unauthorized => StatusCode::UNAUTHORIZED,
                Fault::OverQuota => StatusCode::PAYLOAD_TOO_LARGE,
                Fault::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
                Fault::NoSpace => StatusCode::INSUFFICIENT_STORAGE,
                Fault::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            },
            Self::Body(BodyError::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Body(BodyError::Empty | BodyError::NotJson(_) | BodyError::Broken(_))
            | Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::NoSuchToken | Self::NoSuch(..) | Self::NoSuchRoute => StatusCode::NOT_FOUND,
            Self::Crowded => StatusCode::SERVICE_UNAVAILABLE,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status();
        let message = if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(
                error = &self as &dyn std::error::Error,
                "an identity request failed"
            );
            "An unexpected error prevented the server from fulfilling your request.".to_owned()
        } else {
            if let Self::Service(
                ServiceError::CatalogFull(_) | ServiceError::CatalogUnavailable(_),
            ) = &self
            {
                tracing::error!(
                    error = &self as &dyn std::error::Error,
                    "an identity request failed"
                );
            }
            self.to_string()
        };
        let error = emberkeep_wire::identity::Fault {
            code: status.as_u16(),
            message,
            title: status.canonical_reason().unwrap_or_default().to_owned(),
        };
        let retry = matches!(
            self,
            Self::Crowded | Self::Service(ServiceError::CatalogUnavailable(_))
        )
        .then_some([(RETRY_AFTER, RETRY_SECS)]);
        (status, retry, Json(FaultBody { error })).into_response()
    }
}

/// Who calls, by their token; a request without a good one is refused with 401.
pub(super) struct Signed {
    /// What the token is good for.
    pub(super) info: TokenInfo,
    /// The address of `/identity` as the caller reaches it.
    pub(super) root: String,
    /// The address of the whole service as the caller reaches it.
    pub(super) base: String,
}

impl Signed {
    /// Lets administrators pass only.
    pub(super) fn admin(&self) -> Result<(), Refusal> {
        if self.info.has(Role::Admin) {
            Ok(())
        } else {
            Err(ServiceError::Forbidden.into())
        }
    }

    /// Lets administrators pass, and whoever it is about.
    pub(super) fn admin_or(&self, user: &UserId) -> Result<(), Refusal> {
        if self.info.user_id == *user {
            Ok(())
        } else {
            self.admin()
        }
    }
}

impl FromRequestParts<App> for Signed {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let token = token_of(&parts.headers).ok_or(ServiceError::Unauthenticated)?;
        Ok(Self {
            info: app.identity.validate(token).await?,
            root: root_of(&parts.headers, app),
            base: base_url(&parts.headers, app),
        })
    }
}

/// Answers with something under its key.
pub(super) fn keyed<T: Keyed + Serialize>(status: StatusCode, view: &T) -> Response {
    json(status, &Under(view))
}

/// Answers with a body. Its keys are in the order of the alphabet, as those of lists are.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_value(body) {
        Ok(body) => (status, Json(body)).into_response(),
        Err(error) => {
            Refusal::from(ServiceError::Inner("rendering an answer", error.into())).into_response()
        }
    }
}

/// Returns the address of `/identity` as the client reaches it.
pub(super) fn root_of(headers: &HeaderMap, app: &App) -> String {
    format!("{}/identity", base_url(headers, app))
}

/// Puts the headers on that every answer has, and on a 401 where to sign in.
pub(super) async fn dress(State(app): State<App>, request: Request, next: Next) -> Response {
    let uri = format!("Keystone uri=\"{}/v3\"", root_of(request.headers(), &app));
    let mut response = next.run(request).await;
    response
        .headers_mut()
        .insert(VARY, HeaderValue::from_static("X-Auth-Token"));
    if response.status() == StatusCode::UNAUTHORIZED
        && let Ok(uri) = HeaderValue::from_str(&uri)
    {
        response.headers_mut().insert(WWW_AUTHENTICATE, uri);
    }
    response
}
