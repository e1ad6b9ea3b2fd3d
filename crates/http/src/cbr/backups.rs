//! Backups in vaults (`cbr-v3.md §2.4`).

use std::collections::HashSet;

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use emberkeep_model::{Caller, VaultId};
use emberkeep_service::query::{
    BackupField, BackupQuery, Direction, Page, Paging, Shared, VaultQuery,
};
use emberkeep_service::{BackupView, VaultView};
use emberkeep_wire::cbr as wire;

use super::edge::{Call, answer, cut, keyed, page, paging, read};
use super::refusal::Refusal;
use crate::App;

fn shown(view: &BackupView) -> wire::Backup {
    let mut backup = wire::Backup::of(&view.backup, view.progress, view.bootable);
    backup.children = view.parts.iter().map(shown).collect();
    // Of a server nothing is read but its disks.
    if !backup.children.is_empty() {
        let incremental = backup.children.iter().all(|part| part.incremental);
        backup.incremental = incremental;
        backup.extend_info.incremental = incremental;
        backup.extend_info.encrypted = backup.children.iter().any(|p| p.extend_info.encrypted);
    }
    let copies = view.copies.iter();
    backup.replication_records = copies
        .filter_map(|copy| wire::ReplicationRecord::of(copy, view.progress))
        .collect();
    backup
}

pub(super) async fn list(State(app): State<App>, mut call: Call) -> Result<Response, Refusal> {
    let asked = wire::BackupList::parse(&call.query()?)?;
    if asked.never {
        return page::<wire::Backup, _>(&[], 0, &asked.page);
    }
    let limits = asked.page.clone();
    let found = match asked.used_percent {
        None => {
            app.service
                .cbr_backups(&call.caller, query(asked, &call.caller))
                .await?
        }
        Some(percent) => in_vaults_this_full(&app, &call.caller, percent, asked).await?,
    };
    let backups: Vec<_> = found.items.iter().map(shown).collect();
    page(&backups, found.total.unwrap_or_default(), &limits)
}

fn query(asked: wire::BackupList, caller: &Caller) -> BackupQuery {
    let shared = (asked.shared || asked.all_granted).then(|| Shared {
        with: caller.project_id.clone(),
        statuses: asked.member_status.into_iter().collect(),
        own_too: asked.all_granted,
    });
    let sort = asked.sort.into_iter().map(|(key, order)| {
        let field = match key {
            wire::BackupSort::CreatedAt => BackupField::CreatedAt,
            wire::BackupSort::UpdatedAt => BackupField::UpdatedAt,
            wire::BackupSort::Name => BackupField::Name,
            wire::BackupSort::Status => BackupField::State,
            wire::BackupSort::ProtectedAt => BackupField::SealedAt,
            wire::BackupSort::Id => BackupField::Id,
        };
        let direction = match order {
            wire::Order::Ascending => Direction::Ascending,
            wire::Order::Descending => Direction::Descending,
        };
        (field, direction)
    });
    BackupQuery {
        name: asked.name,
        states: asked.states,
        volumes: asked.resource_id.into_iter().map(Into::into).collect(),
        kind: asked.kind,
        part_of: asked.parent_id,
        volume_name: asked.resource_name,
        vault: asked.vault_id,
        in_vaults_only: true,
        shared,
        checkpoint: asked.checkpoint_id,
        availability_zone: asked.resource_az,
        incremental: asked.incremental,
        replicas: asked.replicas,
        created_from: asked.start_time,
        created_to: asked.end_time,
        sort: sort.collect(),
        paging: paging(&asked.page),
        ..BackupQuery::default()
    }
}

/// Lists backups whose vault is at least so full. The catalogue does not know how full a vault
/// is, and hardly anybody asks: so the page is cut here.
async fn in_vaults_this_full(
    app: &App,
    caller: &Caller,
    percent: u8,
    asked: wire::BackupList,
) -> Result<Page<BackupView>, Refusal> {
    let limits = asked.page.clone();
    let ids: Vec<_> = asked.vault_id.into_iter().collect();
    let vaults = VaultQuery {
        ids,
        ..VaultQuery::default()
    };
    let vaults = app.service.vaults(caller, vaults).await?.items;
    let full: HashSet<VaultId> = vaults
        .iter()
        .filter(|view| used_percent(view) >= u128::from(percent))
        .map(|view| view.vault.id)
        .collect();
    let mut all = query(asked, caller);
    all.paging = Paging::default();
    let mut items = app.service.cbr_backups(caller, all).await?.items;
    items.retain(|view| view.backup.vault_id.is_some_and(|id| full.contains(&id)));
    let total = items.len() as u64;
    let items = cut(items, &limits, |view| view.backup.id);
    Ok(Page {
        items,
        total: Some(total),
        is_cut: false,
    })
}

fn used_percent(view: &VaultView) -> u128 {
    let size = u128::from(view.vault.size.bytes().0).max(1);
    u128::from(view.usage.used.0) * 100 / size
}

pub(super) async fn show(State(app): State<App>, call: Call) -> Result<Response, Refusal> {
    let backup = app.service.cbr_backup(&call.caller, call.id()?).await?;
    keyed(&shown(&backup))
}

pub(super) async fn metadata(State(app): State<App>, call: Call) -> Result<Response, Refusal> {
    let id = call.id()?;
    let view = app.service.cbr_backup_of_server(&call.caller, id).await?;
    let parts: Vec<_> = view.parts.iter().map(|part| &part.backup).collect();
    answer(&wire::BackupMetadata::of(
        &view.backup,
        &parts,
        &shown(&view).children,
    ))
}

pub(super) async fn rename(
    State(app): State<App>,
    call: Call,
    body: Body,
) -> Result<Response, Refusal> {
    let id = call.id()?;
    let asked = read(body, wire::ask::Rename::read).await?;
    let backup = app
        .service
        .cbr_rename_backup(&call.caller, id, asked.name)
        .await?;
    keyed(&shown(&backup))
}

pub(super) async fn delete(State(app): State<App>, call: Call) -> Result<StatusCode, Refusal> {
    app.service
        .cbr_delete_backup(&call.caller, call.id()?)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn restore(
    State(app): State<App>,
    call: Call,
    body: Body,
) -> Result<(StatusCode, Response), Refusal> {
    let id = call.id()?;
    let to = read(body, wire::request::restore).await?;
    let task = app.service.cbr_restore(&call.caller, id, to).await?;
    let begun = answer(&wire::RestoreBegun {
        job_id: Some(task.into()),
    })?;
    Ok((StatusCode::ACCEPTED, begun))
}
