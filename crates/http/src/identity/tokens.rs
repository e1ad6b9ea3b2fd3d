//! Tokens: giving them out, saying what they are good for, taking them back.

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use emberkeep_service::{
    AppCredentialName, Authenticator, DomainName, Issued, Named, Proof, Scope, ServiceError,
    TokenInfo,
};
use emberkeep_wire::identity::{
    AppCredentialRef, AuthMethod, AuthRequest, Domain, DomainRef, NamedRef, ScopeRequest, Token,
    TokenAppCredential, TokenBody, TokenProject, TokenUser, list,
};
use emberkeep_wire::time::zulu;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::catalog::entries;
use super::edge::{Refusal, Signed};
use super::roles::role_names;
use crate::{App, ClientAddress, base_url, read_json};

/// Carries the token that is given out or asked about.
const SUBJECT: HeaderName = HeaderName::from_static("x-subject-token");

/// So many may be waiting to have a password checked. A check takes a core for tens of milliseconds,
/// so whoever came later would wait for longer than clients do.
const MOST_AT_ONCE: usize = 64;
static AT_ONCE: Semaphore = Semaphore::const_new(MOST_AT_ONCE);

/// Lets a request in that will need a password checked, unless there are too many already.
pub(super) fn admit() -> Result<SemaphorePermit<'static>, Refusal> {
    AT_ONCE.try_acquire().map_err(|_| Refusal::Crowded)
}

/// `POST /v3/auth/tokens`.
pub(super) async fn issue(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    address: Option<Extension<ClientAddress>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let request = AuthRequest::parse(&read_json(body).await?)?;
    let proofs = request
        .methods
        .into_iter()
        .map(proof_of)
        .collect::<Result<Vec<_>, _>>()?;
    let scope = match request.scope {
        ScopeRequest::Default => Scope::Default,
        ScopeRequest::Unscoped => Scope::Unscoped,
        ScopeRequest::Project(project) => Scope::Project(named_of(project)),
        ScopeRequest::Domain(_) | ScopeRequest::System | ScopeRequest::Elsewhere => {
            Scope::Elsewhere
        }
    };
    let _admitted = admit()?;
    let Issued { token, info } = app
        .identity
        .sign_in_from(
            address.map(|Extension(ClientAddress(address))| address),
            &proofs,
            &scope,
        )
        .await?;
    let body = token_body(&app, &base_url(&headers, &app), &info, query.as_deref());
    Ok((StatusCode::CREATED, [(SUBJECT, token)], Json(body)).into_response())
}

/// `GET` and `HEAD /v3/auth/tokens`.
pub(super) async fn show(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    caller: Signed,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (token, info) = subject(&app, &caller, &headers).await?;
    let body = token_body(&app, &caller.base, &info, query.as_deref());
    Ok(([(SUBJECT, token)], Json(body)).into_response())
}

/// `DELETE /v3/auth/tokens`.
pub(super) async fn revoke(
    State(app): State<App>,
    caller: Signed,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    let (token, _) = subject(&app, &caller, &headers).await?;
    match app.identity.revoke(&token).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(ServiceError::Unauthenticated) => Err(Refusal::NoSuchToken),
        Err(other) => Err(other.into()),
    }
}

/// `GET /v3/auth/catalog`: of the caller's token, which must be for a project.
pub(super) async fn catalog(State(app): State<App>, caller: Signed) -> Result<Response, Refusal> {
    let (project, _) = caller
        .info
        .project
        .as_ref()
        .ok_or(ServiceError::Forbidden)?;
    let entries = entries(&caller.base, &app.settings.region, project.as_str());
    Ok(Json(list(&caller.root, "auth/catalog", &entries)).into_response())
}

/// Returns the token that is asked about. Only its user and administrators may ask; one that is
/// good for nothing is not there.
async fn subject(
    app: &App,
    caller: &Signed,
    headers: &HeaderMap,
) -> Result<(String, TokenInfo), Refusal> {
    let token = headers
        .get(SUBJECT)
        .and_then(|value| value.to_str().ok())
        .ok_or(Refusal::NoSuchToken)?;
    let info = match app.identity.validate(token).await {
        Ok(info) => info,
        Err(ServiceError::Unauthenticated) => return Err(Refusal::NoSuchToken),
        Err(other) => return Err(other.into()),
    };
    caller.admin_or(&info.user_id)?;
    Ok((token.to_owned(), info))
}

fn token_body(app: &App, base: &str, info: &TokenInfo, query: Option<&str>) -> TokenBody {
    let asks_no_catalog = |part: &str| part == "nocatalog" || part.starts_with("nocatalog=");
    let with_catalog = !query.unwrap_or_default().split('&').any(asks_no_catalog);
    let project = info.project.as_ref();
    TokenBody {
        token: Token {
            methods: info.methods.clone(),
            user: TokenUser {
                domain: Domain::ours(),
                id: info.user_id.to_string(),
                name: info.user_name.clone(),
                password_expires_at: None,
            },
            audit_ids: info.audit_ids.clone(),
            expires_at: zulu(info.expires_at),
            issued_at: zulu(info.issued_at),
            project: project.map(|(id, name)| TokenProject {
                domain: Domain::ours(),
                id: id.to_string(),
                name: name.clone(),
            }),
            is_domain: project.map(|_| false),
            roles: project.map(|_| role_names(&info.roles)),
            catalog: project
                .filter(|_| with_catalog)
                .map(|(id, _)| entries(base, &app.settings.region, id.as_str())),
            application_credential: info.app_credential.as_ref().map(|one| TokenAppCredential {
                id: one.id.clone(),
                name: one.name.clone(),
                restricted: one.restricted,
            }),
        },
    }
}

fn proof_of(method: AuthMethod) -> Result<Proof, ServiceError> {
    match method {
        AuthMethod::Password { user, password } => Ok(Proof::Password {
            user: named_of(user),
            password: password.0,
        }),
        AuthMethod::Token(token) => Ok(Proof::Token(token.0)),
        AuthMethod::AppCredential { credential, secret } => Ok(Proof::AppCredential {
            credential: match credential {
                AppCredentialRef::Id(id) => AppCredentialName::Id(id),
                AppCredentialRef::Name { name, user } => {
                    AppCredentialName::Name(name, named_of(user))
                }
            },
            secret: secret.0,
        }),
        AuthMethod::Other(_) => Err(ServiceError::Unauthenticated),
    }
}

fn named_of(named: NamedRef) -> Named {
    match named {
        NamedRef::Id(id) => Named::Id(id),
        NamedRef::Name {
            name,
            domain: DomainRef::Id(id),
        } => Named::Name(name, DomainName::Id(id)),
        NamedRef::Name {
            name,
            domain: DomainRef::Name(domain),
        } => Named::Name(name, DomainName::Name(domain)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_is_asked_to_come_back() {
        let all: Vec<_> = (0..MOST_AT_ONCE)
            .map(|n| admit().unwrap_or_else(|_| panic!("{n}")))
            .collect();
        let Err(refusal) = admit() else {
            panic!("one too many was let in")
        };
        let answer = refusal.into_response();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.headers().contains_key("retry-after"));
        drop(all);
        assert!(admit().is_ok());
    }
}
