//! Copies of backups in other regions (`cbr-v3.md §2.3`, `§2.4`).

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use emberkeep_model::{BackupId, Caller, ObjectType, Task, VaultId, Work};
use emberkeep_service::{Destination, ServiceError};
use emberkeep_wire::cbr as wire;

use super::edge::{Call, keyed, read};
use super::refusal::Refusal;
use crate::App;

fn begun(app: &App, call: &Call, to: &Destination, kind: ObjectType) -> wire::Replication {
    wire::Replication {
        project_id: (&call.caller.project_id).into(),
        provider_id: wire::provider_id(kind).into(),
        source_region: app.service.regions().own.clone(),
        destination_project_id: (&to.project).into(),
        destination_region: to.region.clone(),
        destination_vault_id: to.vault.into(),
        ..wire::Replication::default()
    }
}

/// Copies what a vault holds and the other region does not.
pub(super) async fn vault(
    State(app): State<App>,
    call: Call,
    body: Body,
) -> Result<Response, Refusal> {
    let asked = read(body, wire::request::vault_replication).await?;
    let (vault, copies) = app
        .service
        .replicate_vault(&call.caller, asked.vault_id, &asked.to, asked.automatic)
        .await?;
    let copies = copies.iter().map(|one| wire::Replicated {
        backup_id: one.source.into(),
        replication_record_id: one.copy.to_string(),
    });
    keyed(&wire::Replication {
        vault_id: Some(vault.id.into()),
        backups: Some(copies.collect()),
        ..begun(&app, &call, &asked.to, vault.object_type)
    })
}

/// Copies one backup.
pub(super) async fn backup(
    State(app): State<App>,
    call: Call,
    body: Body,
) -> Result<Response, Refusal> {
    let id = call.id()?;
    let asked = read(body, wire::request::backup_replication).await?;
    let copy = app
        .service
        .replicate_backup(&call.caller, id, &asked)
        .await?;
    keyed(&wire::Replication {
        backup_id: Some(copy.source.into()),
        replication_record_id: Some(copy.copy.to_string()),
        ..begun(&app, &call, &asked.to, copy.kind)
    })
}

/// Brings the rows of a vault for copies in line with the other regions' stores.
pub(super) async fn sync_vault(
    State(app): State<App>,
    call: Call,
    body: Body,
) -> Result<Response, Refusal> {
    let vault = read(body, wire::request::vault_to_sync).await?;
    let task = app.service.sync_replicas(&call.caller, vault).await?;
    keyed(&wire::VaultSync {
        vault_id: vault.into(),
        operation_log_id: task.into(),
    })
}

/// The same for the vaults that hold the copies named; one task for each vault.
pub(super) async fn sync_backups(
    State(app): State<App>,
    call: Call,
    body: Body,
) -> Result<Response, Refusal> {
    let ids = read(body, wire::request::backups_to_sync).await?;
    let mut vaults: BTreeMap<VaultId, Vec<BackupId>> = BTreeMap::new();
    for id in ids {
        let view = app.service.cbr_backup(&call.caller, id).await?;
        let vault = view.backup.vault_id.ok_or(ServiceError::NoSuchBackup(id))?;
        vaults.entry(vault).or_default().push(id);
    }
    let mut sync = Vec::new();
    for (vault, backups) in vaults {
        let task = app.service.sync_replicas(&call.caller, vault).await?;
        sync.extend(backups.into_iter().map(|id| wire::BackupSync {
            backup_id: id.into(),
            operation_log_id: task.into(),
        }));
    }
    keyed(&sync)
}

/// Adds to the record of a copying what the row of its copy knows.
pub(super) async fn complete(
    app: &App,
    caller: &Caller,
    task: &Task,
    shown: &mut wire::Task,
) -> Result<(), Refusal> {
    let Work::Replicate { backup_id, .. } = &task.work else {
        return Ok(());
    };
    let Some(detail) = &mut shown.extra_info.replication else {
        return Ok(());
    };
    let Some(copy) = app.service.copy_row(caller, *backup_id).await? else {
        return Ok(());
    };
    if let Some(replica) = &copy.cbr.replica {
        detail.source_backup_id = replica.source_backup_id.into();
        detail.source_backup_name = replica.source_name.clone().unwrap_or_default();
        detail.source_checkpoint_id = replica.source_checkpoint_id.map(Into::into);
        detail.source_project_id = (&replica.source_project_id).into();
        detail.source_region.clone_from(&replica.source_region);
        detail.destination_region.clone_from(&replica.region);
    }
    detail.destination_backup_name = copy.name.clone().unwrap_or_default();
    detail.destination_checkpoint_id = copy.checkpoint_id.map(Into::into);
    detail.destination_project_id = (&copy.project_id).into();
    Ok(())
}
