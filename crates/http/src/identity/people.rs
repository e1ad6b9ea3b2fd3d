//! Users and projects.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use emberkeep_model::{Project, User};
use emberkeep_service::{NewProject, NewUser, ProjectChange, ServiceError, UserChange};
use emberkeep_wire::identity::{
    DOMAIN_ID, PasswordChange, ProjectCreate, ProjectUpdate, ProjectView, UserCreate, UserUpdate,
    UserView, list,
};
use serde::Deserialize;

use super::edge::{Refusal, Signed, keyed};
use super::tokens::admit;
use crate::{App, read_json};

/// What lists can be narrowed by; other keys are ignored, as Keystone does.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Filter {
    name: Option<String>,
    domain_id: Option<String>,
    enabled: Option<String>,
}

impl Filter {
    fn takes(&self, name: &str, enabled: bool) -> bool {
        let wanted =
            |text: &str| !matches!(text.to_ascii_lowercase().as_str(), "false" | "0" | "no");
        self.name.as_deref().is_none_or(|wanted| wanted == name)
            && self.domain_id.as_deref().is_none_or(|id| id == DOMAIN_ID)
            && self
                .enabled
                .as_deref()
                .is_none_or(|text| wanted(text) == enabled)
    }
}

/// `GET /v3/auth/projects`: those the caller can get a token for.
pub(super) async fn own_projects(
    State(app): State<App>,
    caller: Signed,
) -> Result<Response, Refusal> {
    let projects = app.identity.projects_of(&caller.info.user_id).await?;
    Ok(show_projects(&caller, "auth/projects", &projects))
}

/// `GET /v3/users/{user}/projects`.
pub(super) async fn projects_of(
    State(app): State<App>,
    caller: Signed,
    Path(user): Path<String>,
) -> Result<Response, Refusal> {
    let user = visible_user(&app, &caller, &user).await?;
    let projects = app.identity.projects_of(&user.id).await?;
    Ok(show_projects(
        &caller,
        &format!("users/{}/projects", user.id),
        &projects,
    ))
}

/// `GET /v3/projects`: for administrators.
pub(super) async fn projects(
    State(app): State<App>,
    caller: Signed,
    Query(filter): Query<Filter>,
) -> Result<Response, Refusal> {
    caller.admin()?;
    let mut projects = app.identity.projects().await?;
    projects.retain(|project| filter.takes(&project.name, project.enabled));
    Ok(show_projects(&caller, "projects", &projects))
}

/// `GET /v3/projects/{project}`: the token's own; any for administrators.
pub(super) async fn project(
    State(app): State<App>,
    caller: Signed,
    Path(project): Path<String>,
) -> Result<Response, Refusal> {
    let own = caller
        .info
        .project
        .as_ref()
        .is_some_and(|(id, _)| id.as_str() == project);
    if !own {
        caller.admin()?;
    }
    let project = app.identity.project(&project).await?;
    Ok(keyed(
        StatusCode::OK,
        &ProjectView::new(&caller.root, &project),
    ))
}

/// `POST /v3/projects`: for administrators.
pub(super) async fn create_project(
    State(app): State<App>,
    caller: Signed,
    body: Body,
) -> Result<Response, Refusal> {
    caller.admin()?;
    let ProjectCreate {
        name,
        description,
        enabled,
    } = ProjectCreate::parse(&read_json(body).await?)?;
    let project = app
        .identity
        .create_project(NewProject {
            name,
            description,
            enabled,
        })
        .await?;
    let view = ProjectView::new(&caller.root, &project);
    Ok(keyed(StatusCode::CREATED, &view))
}

/// `PATCH /v3/projects/{project}`: for administrators.
pub(super) async fn update_project(
    State(app): State<App>,
    caller: Signed,
    Path(project): Path<String>,
    body: Body,
) -> Result<Response, Refusal> {
    caller.admin()?;
    let asked = ProjectUpdate::parse(&read_json(body).await?)?;
    let project = app.identity.project(&project).await?;
    let change = ProjectChange {
        name: asked.name,
        description: asked.description,
        enabled: asked.enabled,
    };
    let project = app.identity.change_project(&project.id, change).await?;
    Ok(keyed(
        StatusCode::OK,
        &ProjectView::new(&caller.root, &project),
    ))
}

/// `DELETE /v3/projects/{project}`: for administrators; one that holds something is refused.
pub(super) async fn delete_project(
    State(app): State<App>,
    caller: Signed,
    Path(project): Path<String>,
) -> Result<StatusCode, Refusal> {
    caller.admin()?;
    let project = app.identity.project(&project).await?;
    app.identity.delete_project(&project.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /v3/users`: for administrators.
pub(super) async fn users(
    State(app): State<App>,
    caller: Signed,
    Query(filter): Query<Filter>,
) -> Result<Response, Refusal> {
    caller.admin()?;
    let mut users = app.identity.users().await?;
    users.retain(|user| filter.takes(&user.name, user.enabled));
    let views: Vec<_> = users
        .iter()
        .map(|user| UserView::new(&caller.root, user))
        .collect();
    Ok(Json(list(&caller.root, "users", &views)).into_response())
}

/// `GET /v3/users/{user}`: oneself; any for administrators.
pub(super) async fn user(
    State(app): State<App>,
    caller: Signed,
    Path(user): Path<String>,
) -> Result<Response, Refusal> {
    let user = visible_user(&app, &caller, &user).await?;
    Ok(keyed(StatusCode::OK, &UserView::new(&caller.root, &user)))
}

/// `POST /v3/users`: for administrators.
pub(super) async fn create_user(
    State(app): State<App>,
    caller: Signed,
    body: Body,
) -> Result<Response, Refusal> {
    caller.admin()?;
    let new = UserCreate::parse(&read_json(body).await?)?;
    let default_project_id = new
        .default_project_id
        .map(|id| id.parse().map_err(|_| ServiceError::NoSuchProject(id)))
        .transpose()?;
    let user = app
        .identity
        .create_user(NewUser {
            name: new.name,
            password: new.password.0,
            default_project_id,
            enabled: new.enabled,
        })
        .await?;
    Ok(keyed(
        StatusCode::CREATED,
        &UserView::new(&caller.root, &user),
    ))
}

/// `PATCH /v3/users/{user}`: for administrators, who may also set a password that they do not know.
pub(super) async fn update_user(
    State(app): State<App>,
    caller: Signed,
    Path(user): Path<String>,
    body: Body,
) -> Result<Response, Refusal> {
    caller.admin()?;
    let asked = UserUpdate::parse(&read_json(body).await?)?;
    let user = app.identity.user(&user).await?;
    let default_project_id = match asked.default_project_id {
        Some(Some(id)) => Some(Some(app.identity.project(&id).await?.id)),
        Some(None) => Some(None),
        None => None,
    };
    let change = UserChange {
        name: asked.name,
        password: asked.password.map(|password| password.0),
        default_project_id,
        enabled: asked.enabled,
    };
    let user = app.identity.change_user(&user.id, change).await?;
    Ok(keyed(StatusCode::OK, &UserView::new(&caller.root, &user)))
}

/// `DELETE /v3/users/{user}`: for administrators.
pub(super) async fn delete_user(
    State(app): State<App>,
    caller: Signed,
    Path(user): Path<String>,
) -> Result<StatusCode, Refusal> {
    caller.admin()?;
    let user = app.identity.user(&user).await?;
    app.identity.delete_user(&user.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /v3/users/{user}/password`: a user's own, who must know the old one.
pub(super) async fn change_password(
    State(app): State<App>,
    caller: Signed,
    Path(user): Path<String>,
    body: Body,
) -> Result<StatusCode, Refusal> {
    if caller.info.user_id.as_str() != user {
        return Err(ServiceError::Forbidden.into());
    }
    let change = PasswordChange::parse(&read_json(body).await?)?;
    let _admitted = admit()?;
    let (old, new) = (change.original_password.0, change.password.0);
    app.identity
        .change_password(&caller.info.user_id, old, &new)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Looks up a user the caller may see: for others than administrators there is nobody but themselves.
async fn visible_user(app: &App, caller: &Signed, id: &str) -> Result<User, Refusal> {
    if caller.info.user_id.as_str() != id {
        caller.admin()?;
    }
    Ok(app.identity.user(id).await?)
}

fn show_projects(caller: &Signed, path: &str, projects: &[Project]) -> Response {
    let views: Vec<_> = projects
        .iter()
        .map(|project| ProjectView::new(&caller.root, project))
        .collect();
    Json(list(&caller.root, path, &views)).into_response()
}
