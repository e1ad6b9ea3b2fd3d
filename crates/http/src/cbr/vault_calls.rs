//! The rarer calls about vaults (`cbr-v3.md §2.2`, `§2.10`).

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use emberkeep_model::ByteCount;
use emberkeep_wire::cbr as wire;
use serde_json::{Map, Value, json};

use super::edge::{Call, read};
use super::refusal::Refusal;
use crate::App;

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
        asked.resource_id.is_none_or(|id| usage.resource_id == id)
            && asked
                .resource_type
                .as_deref()
                .is_none_or(|kind| kind == wire::resource_type(usage.kind))
    });
    let count = found.len();
    let skip = usize::try_from(asked.page.skip()).unwrap_or(usize::MAX);
    let usage: Vec<_> = found
        .into_iter()
        .skip(skip)
        .take(asked.page.limit as usize)
        .map(|usage| {
            json!({
                "resource_id": usage.resource_id,
                "resource_name": usage.name.unwrap_or_default(),
                "resource_type": wire::resource_type(usage.kind),
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

pub(super) async fn capabilities(State(app): State<App>, _call: Call) -> Result<Response, Refusal> {
    let others: Vec<_> = app.service.regions().others.keys().collect();
    let region = json!({"name": app.settings.region, "replication_destinations": others});
    Ok(Json(json!({"regions": [region]})).into_response())
}

/// What this service can do, key by key.
fn features(app: &App) -> Map<String, Value> {
    let others: Vec<_> = app.service.regions().others.keys().collect();
    [
        ("replication.enable", json!(!others.is_empty())),
        ("replication.source_region", json!(app.settings.region)),
        ("replication.destination_regions", json!(others)),
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
