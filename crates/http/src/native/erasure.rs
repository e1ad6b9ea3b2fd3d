//! Erasing a project.

use axum::Json;
use axum::extract::State;
use emberkeep_model::ProjectId;
use emberkeep_wire::native::Erasure;
use serde::Deserialize;

use super::edge::{CallFor, Refusal};
use crate::App;

/// Whose; without `confirm` it is only counted.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    project_id: ProjectId,
    confirm: Option<String>,
}

/// Erases all that a project has stored, or tells what that would be.
pub(super) async fn erase(
    State(app): State<App>,
    CallFor(call, asked): CallFor<Asked>,
) -> Result<Json<Erasure>, Refusal> {
    let confirm = asked.confirm.as_deref();
    let erased = app
        .service
        .erase_project(&call.caller, &asked.project_id, confirm)
        .await;
    let erased = erased.map_err(|error| call.refuse(error))?;
    Ok(Json(Erasure {
        project_id: asked.project_id.to_string(),
        backups: erased.what.backups,
        objects: erased.what.objects,
        bytes: erased.what.bytes,
        done: erased.done,
        copies_stay_readable: erased.what.copies_stay_readable,
    }))
}
