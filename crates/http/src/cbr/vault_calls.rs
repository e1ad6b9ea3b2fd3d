//! The rarer calls about vaults, and what there is to protect (`cbr-v3.md §2.2`, `§2.10`).

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use emberkeep_model::{ByteCount, VolumeStatus};
use emberkeep_service::query::VolumeQuery;
use emberkeep_service::{ProtectableView, ServiceError};
use emberkeep_wire::cbr as wire;
use serde_json::{Map, Value, json};

use super::edge::{Call, paging, read, wrapped};
use super::refusal::Refusal;
use super::vaults::shown;
use crate::App;

/// The most protectables a page has.
const PROTECTABLES: u32 = 50;

pub(super) async fn migrate(
    State(app): State<App>,
    call: Call,
    body: Body,
) -> Result<Response, Refusal> {
    let id = call.id()?;
    let asked = read(body, wire::MigrateResources::parse).await?;
    let moved = app
        .service
        .migrate_resources(
            &call.caller,
            id,
            asked.destination_vault_id,
            asked.resource_ids,
        )
        .await?;
    Ok(Json(json!({"migrated_resources": moved})).into_response())
}

pub(super) async fn set_resources(
    State(app): State<App>,
    call: Call,
    body: Body,
) -> Result<Response, Refusal> {
    let id = call.id()?;
    let asked = read(body, wire::SetResources::parse).await?;
    let set = app
        .service
        .suspend_resources(&call.caller, id, asked.resource_ids, asked.suspend)
        .await?;
    Ok(Json(json!({"set_resource_ids": set})).into_response())
}

pub(super) async fn update_all(
    State(app): State<App>,
    call: Call,
    body: Body,
) -> Result<Response, Refusal> {
    let asked = read(body, wire::VaultsUpdate::parse).await?;
    let ids = app
        .service
        .update_vaults(&call.caller, asked.smn_notify, asked.threshold)
        .await?;
    Ok(Json(json!({"updated_vaults_id": ids})).into_response())
}

pub(super) async fn move_expiry(
    State(app): State<App>,
    call: Call,
    body: Body,
) -> Result<Response, Refusal> {
    let id = call.id()?;
    let asked = read(body, wire::ExpirationUpdate::parse).await?;
    let count = app
        .service
        .move_expiry(&call.caller, id, asked.expires_at)
        .await?;
    // Done when it is answered: no task stands for it.
    Ok(Json(json!({
        "affected_backups_count": count,
        "new_expiration_day": asked.day,
        "operation_log_id": null,
    }))
    .into_response())
}

pub(super) async fn summary(State(app): State<App>, call: Call) -> Result<Response, Refusal> {
    let (size, used) = app.service.vaults_summary(&call.caller).await?;
    Ok(Json(json!({"size": size, "used_size": mib(used)})).into_response())
}

pub(super) async fn storage_usage(
    State(app): State<App>,
    mut call: Call,
) -> Result<Response, Refusal> {
    let asked = wire::UsageList::parse(&call.query()?)?;
    let mut found = app.service.storage_usage(&call.caller).await?;
    found.retain(|usage| {
        asked.resource_id.is_none_or(|id| usage.volume_id == id)
            && asked
                .resource_type
                .as_deref()
                .is_none_or(|kind| kind == wire::VOLUME_TYPE)
    });
    let count = found.len();
    let skip = usize::try_from(asked.page.skip()).unwrap_or(usize::MAX);
    let usage: Vec<_> = found
        .into_iter()
        .skip(skip)
        .take(asked.page.limit as usize)
        .map(|usage| {
            json!({
                "resource_id": usage.volume_id,
                "resource_name": usage.name.unwrap_or_default(),
                "resource_type": wire::VOLUME_TYPE,
                "backup_count": usage.backups,
                "backup_size": mib(usage.used),
            })
        })
        .collect();
    Ok(Json(json!({"resource_count": count, "storage_usage": usage})).into_response())
}

fn mib(bytes: ByteCount) -> u64 {
    bytes.0.div_ceil(1 << 20)
}

pub(super) async fn protectables(
    State(app): State<App>,
    mut call: Call,
) -> Result<Response, Refusal> {
    let mut asked = wire::ProtectableList::parse(&call.query()?)?;
    asked.page.limit = asked.page.limit.min(PROTECTABLES);
    if !is_disk(&call)? || asked.server_id.is_some() {
        return Ok(Json(json!({"instances": [], "count": 0})).into_response());
    }
    let query = VolumeQuery {
        name: asked.name,
        status: asked.status,
        ids: asked.id.map(|id| vec![id]),
        paging: paging(&asked.page),
        ..VolumeQuery::default()
    };
    let found = app.service.protectables(&call.caller, query).await?;
    let instances: Vec<_> = found.items.iter().map(instance).collect();
    let count = found.total.unwrap_or_default();
    Ok(Json(json!({"instances": instances, "count": count})).into_response())
}

pub(super) async fn protectable(State(app): State<App>, call: Call) -> Result<Response, Refusal> {
    let id = call.id()?;
    if !is_disk(&call)? {
        return Err(Refusal::NoSuchInstance(id));
    }
    match app.service.protectable(&call.caller, id).await {
        Err(ServiceError::NoSuchVolume(id)) => Err(Refusal::NoSuchInstance(id)),
        found => wrapped("instance", &instance(&found?)),
    }
}

/// Tells whether disks are asked for; of the other kinds there are none.
fn is_disk(call: &Call) -> Result<bool, Refusal> {
    match call.name() {
        "disk" => Ok(true),
        "server" | "turbo" => Ok(false),
        _ => Err(Refusal::NoRoute),
    }
}

fn instance(view: &ProtectableView) -> wire::Instance {
    let volume = &view.volume;
    let (code, reason) = match (&view.vault, volume.status) {
        (Some(_), _) => (
            wire::Code::ResourceInOtherVault.answer().1,
            "The disk is in a vault already.".to_owned(),
        ),
        (None, VolumeStatus::Available | VolumeStatus::InUse | VolumeStatus::BackingUp) => {
            ("", String::new())
        }
        (None, other) => (
            wire::Code::DiskStatus.answer().1,
            format!("The disk is {}.", other.as_str()),
        ),
    };
    let detail = json!({
        "id": volume.id,
        "name": volume.name,
        "description": volume.description,
        "size": volume.size,
        "status": volume.status.as_str(),
        "bootable": volume.bootable.to_string(),
        "availability_zone": volume.availability_zone,
        "metadata": volume.metadata,
        "os-vol-tenant-attr:tenant_id": volume.project_id,
    });
    wire::Instance {
        id: volume.id.into(),
        name: volume.name.clone().unwrap_or_default(),
        kind: wire::VOLUME_TYPE.into(),
        size: volume.size,
        status: volume.status.as_str().into(),
        children: Vec::new(),
        detail: match detail {
            Value::Object(map) => map,
            _ => Map::new(),
        },
        protectable: Some(wire::Protectable {
            result: code.is_empty(),
            code: code.into(),
            reason,
            message: None,
            vault: view.vault.as_ref().map(|vault| Box::new(shown(vault))),
        }),
    }
}

pub(super) async fn capabilities(State(app): State<App>, _call: Call) -> Result<Response, Refusal> {
    let region = json!({"name": app.settings.region, "replication_destinations": []});
    Ok(Json(json!({"regions": [region]})).into_response())
}

/// What this service can do, key by key.
fn features(app: &App) -> Map<String, Value> {
    [
        ("replication.enable", json!(false)),
        ("replication.source_region", json!(app.settings.region)),
        ("replication.destination_regions", json!([])),
        ("features.backup_double_az", json!(false)),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}

pub(super) async fn all_features(State(app): State<App>, _call: Call) -> Result<Response, Refusal> {
    Ok(Json(features(&app)).into_response())
}

pub(super) async fn feature(State(app): State<App>, call: Call) -> Result<Response, Refusal> {
    let mut all = features(&app);
    let key = call.name();
    match all.remove(key) {
        Some(value) => Ok(Json(json!({key: value})).into_response()),
        None => Err(Refusal::NoRoute),
    }
}
