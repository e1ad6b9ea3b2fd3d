//! File systems: directories of this host that an administrator entrusts to projects.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use emberkeep_model::{FileSystem, FileSystemId};
use emberkeep_service::NewFileSystem;
use emberkeep_wire::native as wire;

use super::edge::{Call, CallFor, CallOn, Refusal};
use super::policies::read;
use super::servers::Asked;
use crate::App;

/// Returns how the caller is shown a file system: where it lies is for operators.
fn shown(app: &App, call: &Call) -> fn(&FileSystem) -> wire::FileSystem {
    if app.service.may_see_host_paths(&call.caller) {
        wire::FileSystem::with_path
    } else {
        wire::FileSystem::of
    }
}

pub(super) async fn list(
    State(app): State<App>,
    CallFor(call, asked): CallFor<Asked<FileSystemId>>,
) -> Result<Json<wire::FileSystemPage>, Refusal> {
    let query = asked.query().map_err(|error| call.refuse(error))?;
    let found = app.service.file_systems(&call.caller, query).await;
    let found = found.map_err(|error| call.refuse(error))?;
    Ok(Json(wire::FileSystemPage {
        file_systems: found.items.iter().map(shown(&app, &call)).collect(),
        count: found.total.unwrap_or_default(),
    }))
}

pub(super) async fn create(
    State(app): State<App>,
    call: Call,
    body: Body,
) -> Result<(StatusCode, Json<wire::FileSystem>), Refusal> {
    let asked: wire::NewFileSystem = read(body).await.map_err(|error| call.refuse(error))?;
    let new = NewFileSystem {
        name: asked.name,
        description: asked.description,
        path: asked.path.into(),
        project: asked.project_id,
        metadata: asked.metadata,
    };
    let made = app.service.create_file_system(&call.caller, new).await;
    let made = made.map_err(|error| call.refuse(error))?;
    Ok((StatusCode::CREATED, Json(shown(&app, &call)(&made))))
}

pub(super) async fn show(
    State(app): State<App>,
    CallOn(call, id): CallOn<FileSystemId>,
) -> Result<Json<wire::FileSystem>, Refusal> {
    let found = app.service.file_system(&call.caller, id).await;
    let found = found.map_err(|error| call.refuse(error))?;
    Ok(Json(shown(&app, &call)(&found)))
}

pub(super) async fn delete(
    State(app): State<App>,
    CallOn(call, id): CallOn<FileSystemId>,
) -> Result<StatusCode, Refusal> {
    let gone = app.service.delete_file_system(&call.caller, id).await;
    gone.map_err(|error| call.refuse(error))?;
    Ok(StatusCode::NO_CONTENT)
}
