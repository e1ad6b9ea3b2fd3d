//! Servers: sets of volumes that are backed up at one instant. CBR only knows those that a
//! compute service has; here is where they come from.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use emberkeep_model::{ServerFacts, ServerId};
use emberkeep_service::query::InventoryQuery;
use emberkeep_service::{NewServer, ServerView, ServiceError};
use emberkeep_wire::native as wire;
use serde::Deserialize;

use super::edge::{Call, CallFor, CallOn, Refusal};
use super::policies::read;
use super::tasks::paging;
use crate::App;

/// Which servers or file systems are wanted.
#[derive(Debug, Deserialize)]
pub(super) struct Asked<Id> {
    name: Option<String>,
    limit: Option<u32>,
    #[serde(default)]
    offset: u64,
    marker: Option<Id>,
}

impl<Id> Asked<Id> {
    pub(super) fn query(self) -> Result<InventoryQuery<Id>, ServiceError> {
        Ok(InventoryQuery {
            name: self.name,
            paging: paging(self.limit, self.offset, self.marker)?,
            ..InventoryQuery::default()
        })
    }
}

fn shown(view: &ServerView) -> wire::Server {
    wire::Server::of(&view.server, &view.volumes, view.status())
}

pub(super) async fn list(
    State(app): State<App>,
    CallFor(call, asked): CallFor<Asked<ServerId>>,
) -> Result<Json<wire::ServerPage>, Refusal> {
    let query = asked.query().map_err(|error| call.refuse(error))?;
    let found = app.service.servers(&call.caller, query).await;
    let found = found.map_err(|error| call.refuse(error))?;
    Ok(Json(wire::ServerPage {
        servers: found.items.iter().map(shown).collect(),
        count: found.total.unwrap_or_default(),
    }))
}

pub(super) async fn create(
    State(app): State<App>,
    call: Call,
    body: Body,
) -> Result<(StatusCode, Json<wire::Server>), Refusal> {
    let asked: wire::NewServer = read(body).await.map_err(|error| call.refuse(error))?;
    let new = NewServer {
        name: asked.name,
        description: asked.description,
        facts: ServerFacts {
            os_type: asked.os_type,
            architecture: asked.architecture,
        },
        metadata: asked.metadata,
        volumes: asked.volumes,
    };
    let made = app.service.create_server(&call.caller, new).await;
    let made = made.map_err(|error| call.refuse(error))?;
    Ok((StatusCode::CREATED, Json(shown(&made))))
}

pub(super) async fn show(
    State(app): State<App>,
    CallOn(call, id): CallOn<ServerId>,
) -> Result<Json<wire::Server>, Refusal> {
    let found = app.service.server(&call.caller, id).await;
    Ok(Json(shown(&found.map_err(|error| call.refuse(error))?)))
}

pub(super) async fn delete(
    State(app): State<App>,
    CallOn(call, id): CallOn<ServerId>,
) -> Result<StatusCode, Refusal> {
    let gone = app.service.delete_server(&call.caller, id).await;
    gone.map_err(|error| call.refuse(error))?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn add_volumes(
    State(app): State<App>,
    CallOn(call, id): CallOn<ServerId>,
    body: Body,
) -> Result<Json<wire::Server>, Refusal> {
    let asked: wire::ServerVolumes = read(body).await.map_err(|error| call.refuse(error))?;
    let added = app
        .service
        .add_server_volumes(&call.caller, id, &asked.volumes);
    Ok(Json(shown(
        &added.await.map_err(|error| call.refuse(error))?,
    )))
}

pub(super) async fn remove_volumes(
    State(app): State<App>,
    CallOn(call, id): CallOn<ServerId>,
    body: Body,
) -> Result<Json<wire::Server>, Refusal> {
    let asked: wire::ServerVolumes = read(body).await.map_err(|error| call.refuse(error))?;
    let left = app
        .service
        .remove_server_volumes(&call.caller, id, &asked.volumes);
    Ok(Json(shown(
        &left.await.map_err(|error| call.refuse(error))?,
    )))
}
