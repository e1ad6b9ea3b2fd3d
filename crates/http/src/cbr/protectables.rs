//! What there is to protect (`cbr-v3.md §2.10`).

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use emberkeep_model::{ObjectType, Volume, VolumeChoice, VolumeStatus};
use emberkeep_service::{
    CbrError, ProtectableQuery, ProtectableView, Resource, ServiceError, skip_text,
};
use emberkeep_wire::cbr as wire;
use serde_json::{Map, Value, json};

use super::edge::{Call, paging, wrapped};
use super::refusal::Refusal;
use super::vaults::shown;
use crate::App;

/// The most protectables a page has.
const PAGE: u32 = 50;

pub(super) async fn list(State(app): State<App>, mut call: Call) -> Result<Response, Refusal> {
    let kind = kind(&call)?;
    let mut asked = wire::ProtectableList::parse(&call.query()?)?;
    asked.page.limit = asked.page.limit.min(PAGE);
    let query = ProtectableQuery {
        id: asked.id,
        name: asked.name,
        status: asked.status,
        server: asked.server_id,
        paging: paging(&asked.page),
    };
    let found = app.service.protectables(&call.caller, kind, query).await?;
    let instances: Vec<_> = found.items.iter().map(instance).collect();
    let count = found.total.unwrap_or_default();
    Ok(Json(json!({"instances": instances, "count": count})).into_response())
}

pub(super) async fn show(State(app): State<App>, call: Call) -> Result<Response, Refusal> {
    let id = call.id()?;
    let kind = kind(&call)?;
    match app.service.protectable(&call.caller, kind, id).await {
        Err(
            ServiceError::NoSuchVolume(_)
            | ServiceError::Cbr(CbrError::NoSuchServer(_) | CbrError::NoSuchFileSystem(_)),
        ) => Err(Refusal::NoSuchInstance(id)),
        found => wrapped("instance", &instance(&found?)),
    }
}

fn kind(call: &Call) -> Result<ObjectType, Refusal> {
    call.name().parse().map_err(|_| Refusal::NoRoute)
}

fn instance(view: &ProtectableView) -> wire::Instance {
    let (kind, detail, children) = match &view.resource {
        Resource::Volume(volume) => (ObjectType::Disk, volume_detail(volume), Vec::new()),
        Resource::Server(server, volumes) => {
            let detail = json!({
                "id": server.id,
                "name": server.name,
                "description": server.description,
                "status": view.status(),
                "metadata": server.metadata,
                "os_type": server.facts.os_type,
                "architecture": server.facts.architecture,
                "tenant_id": server.project_id,
                "os-extended-volumes:volumes_attached":
                    volumes.iter().map(|v| json!({"id": v.id})).collect::<Vec<_>>(),
            });
            (
                ObjectType::Server,
                detail,
                volumes.iter().map(child).collect(),
            )
        }
        Resource::FileSystem(system) => {
            let detail = json!({
                "id": system.id,
                "name": system.name,
                "description": system.description,
                "size": system.size,
                "status": view.status(),
                "tenant_id": system.project_id,
            });
            (ObjectType::Turbo, detail, Vec::new())
        }
    };
    let (code, reason) = obstacle(view);
    wire::Instance {
        id: view.resource.id().into(),
        name: view.resource.name().unwrap_or_default(),
        kind: wire::resource_type(kind).into(),
        size: view.resource.size(&VolumeChoice::default()),
        status: view.status().into(),
        children,
        detail: object(detail),
        protectable: Some(wire::Protectable {
            result: code.is_empty(),
            code: code.into(),
            reason,
            message: None,
            vault: view.vault.as_ref().map(|vault| Box::new(shown(vault))),
        }),
    }
}

/// Returns what stands against putting it into a vault, as a code and a sentence; nothing, if all
/// is well.
fn obstacle(view: &ProtectableView) -> (&'static str, String) {
    if view.vault.is_some() {
        let word = match &view.resource {
            Resource::Volume(_) => "disk",
            Resource::Server(..) => "server",
            Resource::FileSystem(_) => "file system",
        };
        let code = wire::Code::ResourceInOtherVault.answer().1;
        return (code, format!("The {word} is in a vault already."));
    }
    let usable = |volume: &&Volume| {
        matches!(
            volume.status,
            VolumeStatus::Available | VolumeStatus::InUse | VolumeStatus::BackingUp
        )
    };
    match &view.resource {
        Resource::Volume(volume) if !usable(&volume) => (
            wire::Code::DiskStatus.answer().1,
            format!("The disk is {}.", volume.status.as_str()),
        ),
        Resource::Server(_, volumes) if volumes.is_empty() => (
            wire::Code::NoDisks.answer().1,
            "The server has no disk.".to_owned(),
        ),
        Resource::Server(_, volumes) if !volumes.iter().all(|v| usable(&v)) => (
            wire::Code::ServerStatus.answer().1,
            skip_text(emberkeep_model::SkipReason::ServerStatus).to_owned(),
        ),
        Resource::Volume(_) | Resource::Server(..) | Resource::FileSystem(_) => ("", String::new()),
    }
}

/// Shows a disk of a server.
fn child(volume: &Volume) -> wire::Instance {
    wire::Instance {
        id: volume.id.into(),
        name: volume.name.clone().unwrap_or_default(),
        kind: wire::VOLUME_TYPE.into(),
        size: volume.size,
        status: volume.status.as_str().into(),
        children: Vec::new(),
        detail: object(volume_detail(volume)),
        protectable: None,
    }
}

fn volume_detail(volume: &Volume) -> Value {
    json!({
        "id": volume.id,
        "name": volume.name,
        "description": volume.description,
        "size": volume.size,
        "status": volume.status.as_str(),
        "bootable": volume.bootable.to_string(),
        "availability_zone": volume.availability_zone,
        "metadata": volume.metadata,
        "os-vol-tenant-attr:tenant_id": volume.project_id,
    })
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
