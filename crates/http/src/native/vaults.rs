//! What an administrator does with vaults: stops one, and lets it go on.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use emberkeep_model::VaultId;
use emberkeep_wire::native::{VaultFreeze, VaultStanding};

use super::edge::{CallOn, Refusal};
use super::policies::read;
use crate::App;

pub(super) async fn freeze(
    State(app): State<App>,
    CallOn(call, id): CallOn<VaultId>,
    body: Body,
) -> Result<Json<VaultStanding>, Refusal> {
    let asked: VaultFreeze = read(body).await.map_err(|error| call.refuse(error))?;
    let frozen = app
        .service
        .freeze_vault(&call.caller, id, asked.reason)
        .await;
    let frozen = frozen.map_err(|error| call.refuse(error))?;
    Ok(Json(VaultStanding::of(&frozen)))
}

pub(super) async fn thaw(
    State(app): State<App>,
    CallOn(call, id): CallOn<VaultId>,
) -> Result<Json<VaultStanding>, Refusal> {
    let thawed = app.service.thaw_vault(&call.caller, id).await;
    let thawed = thawed.map_err(|error| call.refuse(error))?;
    Ok(Json(VaultStanding::of(&thawed)))
}
