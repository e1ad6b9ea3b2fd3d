//! Who is calling, and under which address they reached us.

use axum::http::header::HOST;
use axum::http::{HeaderMap, HeaderName};
use emberkeep_model::Caller;
use emberkeep_service::{ServiceError, TokenInfo};

use crate::{App, origin};

/// Tells who is calling, from the `X-Auth-Token` header.
///
/// A missing, unknown, expired or revoked token is `Unauthenticated`; a good one that is for no
/// project is `Forbidden`, for everything but identity belongs to a project.
pub async fn authenticate(
    app: &App,
    headers: &HeaderMap,
    request_id: &str,
) -> Result<(Caller, TokenInfo), ServiceError> {
    let token = token_of(headers).ok_or(ServiceError::Unauthenticated)?;
    let info = app.authenticator.validate(token).await?;
    let (project_id, _) = info.project.clone().ok_or(ServiceError::Forbidden)?;
    let caller = Caller {
        user_id: info.user_id.clone(),
        project_id,
        roles: info.roles.clone(),
        request_id: request_id.to_owned(),
    };
    Ok((caller, info))
}

/// Returns the caller's token, if one was sent.
pub fn token_of(headers: &HeaderMap) -> Option<&str> {
    headers.get("x-auth-token")?.to_str().ok()
}

/// Returns `scheme://host[:port][/prefix]` as the client wrote it, for links in answers; never ends in a slash.
///
/// What a trusted proxy in front of us says goes before `Host`; `origin.rs` has taken off what others
/// say. A lie in `Host` harms only whoever tells it: the answer goes to them alone.
pub fn base_url(headers: &HeaderMap, app: &App) -> String {
    if let Some(endpoint) = &app.settings.public_endpoint {
        return endpoint.trim_end_matches('/').to_owned();
    }
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = match text(&origin::PROTO) {
        Some("https") => "https",
        _ => "http",
    };
    let host = text(&origin::HOST)
        .filter(|host| is_host(host))
        .or_else(|| text(&HOST).filter(|host| is_host(host)))
        .unwrap_or("localhost");
    let prefix = text(&origin::PREFIX)
        .map(|prefix| prefix.trim_end_matches('/'))
        .filter(|prefix| is_prefix(prefix))
        .unwrap_or_default();
    format!("{scheme}://{host}{prefix}")
}

/// Tells whether `text` can be the beginning of a path.
fn is_prefix(text: &str) -> bool {
    text.starts_with('/')
        && !text.starts_with("//")
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'-' | b'_' | b'~'))
}

/// Tells whether `text` can be a host and port: nothing that would change the meaning of a link.
fn is_host(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| {
            b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']')
        })
}
