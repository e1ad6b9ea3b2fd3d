//! Roles, and who has which in which project.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use emberkeep_model::{ProjectId, Role, UserId};
use emberkeep_wire::identity::{
    AssignedTo, AssignmentLinks, AssignmentScope, Domain, IdName, Links, RoleAssignmentView,
    RoleView, list,
};
use serde::Deserialize;
use serde_json::Map;

use super::catalog::stable_id;
use super::edge::{Refusal, Signed, keyed};
use crate::App;

/// What roles can be narrowed by.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Filter {
    name: Option<String>,
    domain_id: Option<String>,
}

/// Where a role is given: project, user, role.
type Place = Path<(String, String, String)>;

/// `GET /v3/roles`: for administrators.
pub(super) async fn list_all(
    caller: Signed,
    Query(filter): Query<Filter>,
) -> Result<Response, Refusal> {
    caller.admin()?;
    // Ours belong to no domain, so whoever asks for a domain's finds none.
    let views: Vec<_> = Role::ALL
        .iter()
        .filter(|role| {
            filter
                .name
                .as_deref()
                .is_none_or(|name| name == role.as_str())
        })
        .filter(|_| filter.domain_id.is_none())
        .map(|role| view(&caller.root, *role))
        .collect();
    Ok(Json(list(&caller.root, "roles", &views)).into_response())
}

/// `GET /v3/roles/{role}`: for administrators.
pub(super) async fn show(caller: Signed, Path(role): Path<String>) -> Result<Response, Refusal> {
    caller.admin()?;
    let role = role_by_id(&role)?;
    Ok(keyed(StatusCode::OK, &view(&caller.root, role)))
}

/// `GET /v3/projects/{project}/users/{user}/roles`: for administrators.
pub(super) async fn given(
    State(app): State<App>,
    caller: Signed,
    Path((project, user)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    caller.admin()?;
    let views: Vec<_> = given_roles(&app, &project, &user)
        .await?
        .into_iter()
        .map(|role| view(&caller.root, role))
        .collect();
    let path = format!("projects/{project}/users/{user}/roles");
    Ok(Json(list(&caller.root, &path, &views)).into_response())
}

/// `GET` and `HEAD` of one role of a user in a project: 204 if it was given. For administrators.
pub(super) async fn check(
    State(app): State<App>,
    caller: Signed,
    Path((project, user, role)): Place,
) -> Result<StatusCode, Refusal> {
    caller.admin()?;
    let role = role_by_id(&role)?;
    if given_roles(&app, &project, &user).await?.contains(&role) {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(no_assignment(role))
    }
}

/// `PUT`: gives a role. For administrators.
pub(super) async fn give(
    State(app): State<App>,
    caller: Signed,
    Path((project, user, role)): Place,
) -> Result<StatusCode, Refusal> {
    caller.admin()?;
    let role = role_by_id(&role)?;
    let (project, user) = place(&app, &project, &user).await?;
    app.identity.add_role(&user, &project, role).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE`: takes a role away. For administrators.
pub(super) async fn take(
    State(app): State<App>,
    caller: Signed,
    Path((project, user, role)): Place,
) -> Result<StatusCode, Refusal> {
    caller.admin()?;
    let role = role_by_id(&role)?;
    let (project, user) = place(&app, &project, &user).await?;
    if app.identity.remove_role(&user, &project, role).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(no_assignment(role))
    }
}

/// What assignments can be narrowed by.
#[derive(Debug, Default, Deserialize)]
pub(super) struct AssignmentFilter {
    #[serde(rename = "user.id")]
    user: Option<String>,
    #[serde(rename = "scope.project.id")]
    project: Option<String>,
    #[serde(rename = "role.id")]
    role: Option<String>,
    include_names: Option<String>,
}

/// `GET /v3/role_assignments`: who has which role where. For administrators.
pub(super) async fn assignments(
    State(app): State<App>,
    caller: Signed,
    Query(filter): Query<AssignmentFilter>,
) -> Result<Response, Refusal> {
    caller.admin()?;
    let fits = |want: &Option<String>, have: &str| want.as_deref().is_none_or(|want| want == have);
    // The key alone means yes, as Keystone has it.
    let named = filter
        .include_names
        .as_deref()
        .is_some_and(|text| !matches!(text.to_ascii_lowercase().as_str(), "false" | "0"));
    let projects = app.identity.projects().await?;
    let mut views = Vec::new();
    for user in app.identity.users().await? {
        if !fits(&filter.user, user.id.as_str()) {
            continue;
        }
        for given in app.identity.assignments(&user.id).await? {
            let role = id_of(given.role);
            let project = projects
                .iter()
                .find(|project| project.id == given.project_id);
            let Some(project) = project.filter(|project| {
                fits(&filter.project, project.id.as_str()) && fits(&filter.role, &role)
            }) else {
                continue;
            };
            let place = format!("projects/{}/users/{}/roles/{role}", project.id, user.id);
            let shown = |id: &str, name: &str| AssignedTo {
                id: id.to_owned(),
                name: named.then(|| name.to_owned()),
                domain: named.then(Domain::ours),
            };
            views.push(RoleAssignmentView {
                role: AssignedTo {
                    // Ours belong to no domain.
                    domain: None,
                    ..shown(&role, given.role.as_str())
                },
                user: Some(shown(user.id.as_str(), &user.name)),
                scope: AssignmentScope {
                    project: Some(shown(project.id.as_str(), &project.name)),
                },
                links: AssignmentLinks {
                    assignment: format!("{}/v3/{place}", caller.root),
                },
            });
        }
    }
    Ok(Json(list(&caller.root, "role_assignments", &views)).into_response())
}

/// Returns roles as tokens name them.
pub(super) fn role_names(roles: &[Role]) -> Vec<IdName> {
    roles
        .iter()
        .map(|role| IdName {
            id: id_of(*role),
            name: role.as_str().to_owned(),
        })
        .collect()
}

async fn given_roles(app: &App, project: &str, user: &str) -> Result<Vec<Role>, Refusal> {
    let (project, user) = place(app, project, user).await?;
    let given = app.identity.assignments(&user).await?;
    Ok(given
        .into_iter()
        .filter(|given| given.project_id == project)
        .map(|given| given.role)
        .collect())
}

/// Looks up both the project and the user.
async fn place(app: &App, project: &str, user: &str) -> Result<(ProjectId, UserId), Refusal> {
    let project = app.identity.project(project).await?;
    let user = app.identity.user(user).await?;
    Ok((project.id, user.id))
}

fn id_of(role: Role) -> String {
    stable_id(&["role", role.as_str()])
}

pub(super) fn role_by_id(id: &str) -> Result<Role, Refusal> {
    Role::ALL
        .iter()
        .copied()
        .find(|role| id_of(*role) == id)
        .ok_or_else(|| Refusal::NoSuch("role", id.to_owned()))
}

fn no_assignment(role: Role) -> Refusal {
    Refusal::NoSuch("role assignment with role", id_of(role))
}

fn view(root: &str, role: Role) -> RoleView {
    let id = id_of(role);
    RoleView {
        links: Links::of(root, "roles", &id),
        id,
        name: role.as_str().to_owned(),
        domain_id: None,
        description: None,
        options: Map::new(),
    }
}
