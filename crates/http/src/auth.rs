//! Who is calling, and under which address they reached us.

use axum::http::header::HOST;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use emberkeep_model::Caller;
use emberkeep_service::{AccessRule, ServiceError, TokenInfo};

use crate::{App, origin};

/// Tells who is calling, from the `X-Auth-Token` header.
///
/// A missing, unknown, expired or revoked token is `Unauthenticated`; a good one that is for no
/// project is `Forbidden`, for everything but identity belongs to a project.
///
/// So is a token bound to rules of access that say nothing of this request, as keystonemiddleware has it.
pub async fn authenticate(
    app: &App,
    parts: &Parts,
    api: Api,
    request_id: &str,
) -> Result<(Caller, TokenInfo), ServiceError> {
    let token = token_of(&parts.headers).ok_or(ServiceError::Unauthenticated)?;
    let info = app.authenticator.validate(token).await?;
    if let Some(rules) = &info.access_rules
        && !rules.iter().any(|rule| keeps_to(rule, parts, api))
    {
        return Err(ServiceError::Unauthenticated);
    }
    let (project_id, _) = info.project.clone().ok_or(ServiceError::Forbidden)?;
    let caller = Caller {
        user_id: info.user_id.clone(),
        project_id,
        roles: info.roles.clone(),
        request_id: request_id.to_owned(),
    };
    Ok((caller, info))
}

/// An API as rules of access name it.
#[derive(Debug, Clone, Copy)]
pub struct Api {
    /// What it is mounted at.
    pub prefix: &'static str,
    /// The types under which catalogues name it.
    pub kinds: &'static [&'static str],
}

/// Tells whether a request keeps to a rule. Rules are written with the prefix of the API or without it.
fn keeps_to(rule: &AccessRule, parts: &Parts, api: Api) -> bool {
    let path = parts.uri.path();
    let paths = [path.to_owned(), format!("{}{path}", api.prefix)];
    api.kinds.iter().any(|kind| {
        let method = parts.method.as_str();
        let mut paths = paths.iter();
        paths.any(|path| rule.allows(kind, method, path))
    })
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

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    #[test]
    fn rules_of_access_speak_of_one_api_one_method_and_paths() {
        let api = Api {
            prefix: "/volume",
            kinds: &["block-storage", "volumev3"],
        };
        let native = Api {
            prefix: "/api/v1",
            kinds: &[],
        };
        let rule = |service: &str, path: &str| AccessRule {
            service: service.to_owned(),
            method: "GET".to_owned(),
            path: path.to_owned(),
        };
        for (rule, method, path, api, want) in [
            (
                rule("volumev3", "/v3/*/backups"),
                "GET",
                "/v3/p/backups",
                api,
                true,
            ),
            (
                rule("block-storage", "/volume/v3/**"),
                "GET",
                "/v3/p/backups/b",
                api,
                true,
            ),
            (
                rule("volumev3", "/v3/*/backups"),
                "POST",
                "/v3/p/backups",
                api,
                false,
            ),
            (
                rule("volumev3", "/v3/*/backups"),
                "GET",
                "/v3/p/volumes",
                api,
                false,
            ),
            (rule("compute", "**"), "GET", "/v3/p/backups", api, false),
            (rule("volumev3", "**"), "GET", "/tasks", native, false),
        ] {
            let request = Request::builder().method(method).uri(path).body(());
            let (parts, ()) = request.expect("is a request").into_parts();
            assert_eq!(
                keeps_to(&rule, &parts, api),
                want,
                "{rule:?} {method} {path}"
            );
        }
    }
}
