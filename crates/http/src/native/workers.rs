//! What runs in the background of the service.

use axum::Json;
use axum::extract::State;
use emberkeep_wire::native::{Worker, WorkerList};

use super::edge::{Call, Refusal};
use crate::App;

/// Lists the background workers of this process, for administrators.
pub(super) async fn list(State(app): State<App>, call: Call) -> Result<Json<WorkerList>, Refusal> {
    let found = app.service.list_workers(&call.caller);
    let found = found.map_err(|error| call.refuse(error))?;
    Ok(Json(WorkerList {
        workers: found.iter().map(Worker::of).collect(),
    }))
}
