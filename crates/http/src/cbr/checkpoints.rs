//! Checkpoints: runs over a vault (`cbr-v3.md §2.3`).

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use emberkeep_service::CheckpointView;
use emberkeep_wire::cbr as wire;

use super::edge::{Call, keyed, read};
use super::refusal::Refusal;
use crate::App;

fn shown(view: &CheckpointView) -> wire::Checkpoint {
    match &view.vault {
        Some(vault) => wire::Checkpoint::of(&view.checkpoint, Some(&vault.vault), &vault.resources),
        None => wire::Checkpoint::of(&view.checkpoint, None, &[]),
    }
}

pub(super) async fn create(
    State(app): State<App>,
    call: Call,
    body: Body,
) -> Result<Response, Refusal> {
    let new = read(body, wire::request::new_checkpoint).await?;
    let made = app.service.create_checkpoint(&call.caller, new).await?;
    keyed(&shown(&made))
}

pub(super) async fn show(State(app): State<App>, call: Call) -> Result<Response, Refusal> {
    let checkpoint = app.service.checkpoint(&call.caller, call.id()?).await?;
    keyed(&shown(&checkpoint))
}
