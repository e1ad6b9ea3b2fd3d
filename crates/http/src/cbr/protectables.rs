//! What there is to protect (`cbr-v3.md §2.10`).

use axum::extract::State;
use axum::response::Response;
use emberkeep_model::{ObjectType, SkipReason, Volume, VolumeChoice, VolumeStatus};
use emberkeep_service::{CbrError, ProtectableQuery, ProtectableView, Resource, ServiceError};
use emberkeep_wire::cbr as wire;
use serde_json::{Map, Value};

use super::edge::{Call, keyed, list as list_of, object, paging};
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
    let instances = found.items.iter().map(instance);
    let instances = instances.collect::<Result<Vec<_>, _>>()?;
    list_of(&instances, found.total.unwrap_or_default())
}

pub(super) async fn show(State(app): State<App>, call: Call) -> Result<Response, Refusal> {
    let id = call.id()?;
    let kind = kind(&call)?;
    match app.service.protectable(&call.caller, kind, id).await {
        Err(
            ServiceError::NoSuchVolume(_)
            | ServiceError::Cbr(CbrError::NoSuchServer(_) | CbrError::NoSuchFileSystem(_)),
        ) => Err(Refusal::NoSuchInstance(id)),
        found => keyed(&instance(&found?)?),
    }
}

fn kind(call: &Call) -> Result<ObjectType, Refusal> {
    call.name().parse().map_err(|_| Refusal::NoRoute)
}

fn instance(view: &ProtectableView) -> Result<wire::Instance, Refusal> {
    let (kind, detail, children) = match &view.resource {
        Resource::Volume(volume) => (ObjectType::Disk, disk_detail(volume)?, Vec::new()),
        Resource::Server(server, volumes) => {
            let detail = object(&wire::ServerDetail {
                id: server.id.into(),
                name: server.name.clone(),
                description: server.description.clone(),
                status: view.status().to_owned(),
                metadata: server.metadata.clone(),
                os_type: server.facts.os_type.clone(),
                architecture: server.facts.architecture.clone(),
                tenant_id: (&server.project_id).into(),
                volumes_attached: volumes
                    .iter()
                    .map(|volume| wire::AttachedDisk {
                        id: volume.id.into(),
                    })
                    .collect(),
            })?;
            let children = volumes.iter().map(child).collect::<Result<_, _>>()?;
            (ObjectType::Server, detail, children)
        }
        Resource::FileSystem(system) => {
            let detail = object(&wire::FileSystemDetail {
                id: system.id.into(),
                name: system.name.clone(),
                description: system.description.clone(),
                size: system.size,
                status: view.status().to_owned(),
                tenant_id: (&system.project_id).into(),
            })?;
            (ObjectType::Turbo, detail, Vec::new())
        }
    };
    let (code, reason) = obstacle(view);
    Ok(wire::Instance {
        id: view.resource.id().into(),
        name: view.resource.name().unwrap_or_default(),
        kind: wire::resource_type(kind).into(),
        size: view.resource.size(&VolumeChoice::default()),
        status: view.status().into(),
        children,
        detail,
        protectable: Some(wire::Protectable {
            result: code.is_empty(),
            code: code.into(),
            reason,
            message: None,
            vault: view.vault.as_ref().map(|vault| Box::new(shown(vault))),
        }),
    })
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
            SkipReason::ServerStatus
                .sentence(ObjectType::Server)
                .to_owned(),
        ),
        Resource::Volume(_) | Resource::Server(..) | Resource::FileSystem(_) => ("", String::new()),
    }
}

/// Shows a disk of a server.
fn child(volume: &Volume) -> Result<wire::Instance, Refusal> {
    Ok(wire::Instance {
        id: volume.id.into(),
        name: volume.name.clone().unwrap_or_default(),
        kind: wire::VOLUME_TYPE.into(),
        size: volume.size,
        status: volume.status.as_str().into(),
        children: Vec::new(),
        detail: disk_detail(volume)?,
        protectable: None,
    })
}

fn disk_detail(volume: &Volume) -> Result<Map<String, Value>, Refusal> {
    object(&wire::DiskDetail {
        id: volume.id.into(),
        name: volume.name.clone(),
        description: volume.description.clone(),
        size: volume.size,
        status: volume.status.as_str().to_owned(),
        bootable: volume.bootable.to_string(),
        availability_zone: Some(volume.availability_zone.clone()),
        metadata: volume.metadata.clone(),
        tenant_id: (&volume.project_id).into(),
    })
}
