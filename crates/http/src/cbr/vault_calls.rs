//! The rarer calls about vaults (`cbr-v3.md §2.2`, `§2.10`).

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use emberkeep_model::Gib;
use emberkeep_wire::cbr as wire;
use serde_json::Map;

use super::edge::{Call, answer, keyed, object, read};
use super::refusal::Refusal;
use crate::App;

pub(super) async fn migrate(
    State(app): State<App>,
    call: Call,
    body: Body,
) -> Result<Response, Refusal> {
    let id = call.id()?;
    let asked = read(body, wire::request::migrate_resources).await?;
    let moved = app
        .service
        .migrate_resources(
            &call.caller,
            id,
            asked.destination_vault_id,
            asked.resource_ids,
        )
        .await?;
    answer(&wire::ResourcesMigrated {
        migrated_resources: moved.into_iter().map(Into::into).collect(),
    })
}

pub(super) async fn set_resources(
    State(app): State<App>,
    call: Call,
    body: Body,
) -> Result<Response, Refusal> {
    let id = call.id()?;
    let asked = read(body, wire::request::suspend_resources).await?;
    let set = app
        .service
        .suspend_resources(&call.caller, id, asked.resource_ids, asked.suspend)
        .await?;
    answer(&wire::ResourcesSet {
        set_resource_ids: set.into_iter().map(Into::into).collect(),
    })
}

pub(super) async fn update_all(
    State(app): State<App>,
    call: Call,
    body: Body,
) -> Result<Response, Refusal> {
    let asked = read(body, wire::ask::VaultsChange::read).await?;
    let ids = app
        .service
        .update_vaults(&call.caller, asked.smn_notify, asked.threshold)
        .await?;
    answer(&wire::VaultsUpdated {
        updated_vaults_id: ids.into_iter().map(Into::into).collect(),
    })
}

pub(super) async fn move_expiry(
    State(app): State<App>,
    call: Call,
    body: Body,
) -> Result<Response, Refusal> {
    let id = call.id()?;
    let asked = read(body, wire::request::move_expiry).await?;
    let (backups, task) = app.service.move_expiry(&call.caller, id, &asked).await?;
    answer(&wire::ExpiryMoved {
        affected_backups_count: backups,
        new_expiration_day: asked.day,
        operation_log_id: Some(task.into()),
    })
}

pub(super) async fn summary(State(app): State<App>, call: Call) -> Result<Response, Refusal> {
    let (size, used) = app.service.vaults_summary(&call.caller).await?;
    answer(&wire::VaultsSummary {
        size: Gib(u32::try_from(size).unwrap_or(u32::MAX)),
        used_size: used.into(),
    })
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
    let usage = found
        .into_iter()
        .skip(skip)
        .take(asked.page.limit as usize)
        .map(|usage| wire::StorageUsage {
            resource_id: usage.resource_id.into(),
            resource_name: usage.name.unwrap_or_default(),
            resource_type: wire::resource_type(usage.kind).into(),
            backup_count: usage.backups,
            backup_size: usage.used.into(),
        })
        .collect();
    answer(&wire::StorageUsagePage {
        resource_count: count as u64,
        storage_usage: usage,
    })
}

pub(super) async fn capabilities(State(app): State<App>, _call: Call) -> Result<Response, Refusal> {
    keyed(&vec![wire::ReplicationRegion {
        name: app.settings.region.clone(),
        replication_destinations: app.service.regions().others.keys().cloned().collect(),
    }])
}

/// What this service can do, key by key.
fn features(app: &App) -> wire::Features {
    let others: Vec<_> = app.service.regions().others.keys().cloned().collect();
    wire::Features {
        replication_enable: Some(!others.is_empty()),
        replication_source_region: Some(app.settings.region.clone()),
        replication_destination_regions: Some(others),
        backup_double_az: Some(false),
        more: Map::new(),
    }
}

pub(super) async fn all_features(State(app): State<App>, _call: Call) -> Result<Response, Refusal> {
    answer(&features(&app))
}

pub(super) async fn feature(State(app): State<App>, call: Call) -> Result<Response, Refusal> {
    let mut all = object(&features(&app))?;
    let found = all.remove_entry(call.name()).ok_or(Refusal::NoRoute)?;
    answer(&Map::from_iter([found]))
}
