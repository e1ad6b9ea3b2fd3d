//! Application credentials: a user's own.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use emberkeep_model::{AppCredential, Role, UserId};
use emberkeep_service::{NewAppCredential, ServiceError};
use emberkeep_wire::identity::{AppCredentialCreate, AppCredentialView, Links, Malformed, list};
use emberkeep_wire::time;
use serde::Deserialize;

use super::edge::{Refusal, Signed, keyed};
use super::roles::{role_by_id, role_names};
use super::tokens::admit;
use crate::{App, read_json};

/// What credentials can be narrowed by.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Filter {
    name: Option<String>,
}

/// `GET /v3/users/{user}/application_credentials`.
pub(super) async fn list_all(
    State(app): State<App>,
    caller: Signed,
    Path(user): Path<String>,
    Query(filter): Query<Filter>,
) -> Result<Response, Refusal> {
    let user = whose(&caller, &user)?;
    let views: Vec<_> = app
        .identity
        .app_credentials(&user)
        .await?
        .iter()
        .filter(|one| filter.name.as_ref().is_none_or(|name| one.name == *name))
        .map(|one| view(&caller, one, None))
        .collect();
    let path = format!("users/{user}/application_credentials");
    Ok(Json(list(&caller.root, &path, &views)).into_response())
}

/// `POST /v3/users/{user}/application_credentials`: for oneself, in the token's project.
pub(super) async fn create(
    State(app): State<App>,
    caller: Signed,
    Path(user): Path<String>,
    body: Body,
) -> Result<Response, Refusal> {
    if caller.info.user_id.as_str() != user {
        return Err(ServiceError::Forbidden.into());
    }
    let asked = AppCredentialCreate::parse(&read_json(body).await?)?;
    let roles = asked
        .roles
        .iter()
        .map(|role| role.parse::<Role>().or_else(|_| role_by_id(role)))
        .collect::<Result<Vec<_>, _>>()?;
    let expires_at = asked
        .expires_at
        .as_deref()
        .map(time::parse)
        .transpose()
        .map_err(|_| Malformed::Invalid {
            field: "expires_at",
            reason: "it must be a time",
        })?;
    let new = NewAppCredential {
        name: asked.name,
        description: asked.description,
        secret: asked.secret.map(|secret| secret.0),
        roles,
        expires_at,
        unrestricted: asked.unrestricted,
    };
    let _admitted = admit()?;
    let (made, secret) = app
        .identity
        .create_app_credential(&caller.info, new)
        .await?;
    let view = view(&caller, &made, Some(secret));
    Ok(keyed(StatusCode::CREATED, &view))
}

/// `GET /v3/users/{user}/application_credentials/{id}`.
pub(super) async fn show(
    State(app): State<App>,
    caller: Signed,
    Path((user, id)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let user = whose(&caller, &user)?;
    let found = app.identity.app_credential(&user, &id).await?;
    Ok(keyed(StatusCode::OK, &view(&caller, &found, None)))
}

/// `DELETE /v3/users/{user}/application_credentials/{id}`.
pub(super) async fn delete(
    State(app): State<App>,
    caller: Signed,
    Path((user, id)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    let user = whose(&caller, &user)?;
    app.identity
        .delete_app_credential(&caller.info, &user, &id)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets users pass to their own, and administrators to all.
fn whose(caller: &Signed, user: &str) -> Result<UserId, Refusal> {
    let user: UserId = user
        .parse()
        .map_err(|_| ServiceError::NoSuchUser(user.to_owned()))?;
    caller.admin_or(&user)?;
    Ok(user)
}

fn view(caller: &Signed, one: &AppCredential, secret: Option<String>) -> AppCredentialView {
    let path = format!("users/{}/application_credentials", one.user_id);
    AppCredentialView {
        id: one.id.clone(),
        name: one.name.clone(),
        description: one.description.clone(),
        project_id: one.project_id.to_string(),
        user_id: one.user_id.to_string(),
        roles: role_names(&one.roles),
        expires_at: one.expires_at.map(time::naive),
        unrestricted: one.unrestricted,
        system: None,
        links: Links::of(&caller.root, &path, &one.id),
        secret,
    }
}
