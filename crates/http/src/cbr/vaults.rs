//! Vaults and the resources in them (`cbr-v3.md §2.2`).

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use emberkeep_service::VaultView;
use emberkeep_service::query::VaultQuery;
use emberkeep_wire::cbr as wire;

use super::edge::{Call, answer, keyed, page, paging, read};
use super::refusal::Refusal;
use crate::App;

pub(super) fn shown(view: &VaultView) -> wire::Vault {
    let mut vault = wire::Vault::of(&view.vault, &view.usage, &view.resources);
    vault.backup_policy_id = view.backup_policy_id.map(Into::into);
    vault
}

pub(super) async fn list(State(app): State<App>, mut call: Call) -> Result<Response, Refusal> {
    let asked = wire::VaultList::parse(&call.query()?)?;
    if asked.never {
        return page::<wire::Vault, _>(&[], 0, &asked.page);
    }
    let query = VaultQuery {
        project: None,
        name: asked.name,
        ids: asked.ids,
        object_type: asked.object_type,
        protect_type: asked.protect_type,
        status: asked.status,
        resources: asked.resources,
        policy: asked.policy_id,
        paging: paging(&asked.page),
    };
    let found = app.service.vaults(&call.caller, query).await?;
    let vaults: Vec<_> = found.items.iter().map(shown).collect();
    page(&vaults, found.total.unwrap_or_default(), &asked.page)
}

pub(super) async fn create(
    State(app): State<App>,
    call: Call,
    body: Body,
) -> Result<Response, Refusal> {
    let new = read(body, wire::request::new_vault).await?;
    let made = app.service.create_vault(&call.caller, new).await?;
    keyed(&shown(&made))
}

pub(super) async fn show(State(app): State<App>, call: Call) -> Result<Response, Refusal> {
    let vault = app.service.vault(&call.caller, call.id()?).await?;
    keyed(&shown(&vault))
}

pub(super) async fn update(
    State(app): State<App>,
    call: Call,
    body: Body,
) -> Result<Response, Refusal> {
    let id = call.id()?;
    let edit = read(body, wire::request::vault_edit).await?;
    let vault = app.service.edit_vault(&call.caller, id, edit).await?;
    keyed(&shown(&vault))
}

pub(super) async fn delete(State(app): State<App>, call: Call) -> Result<StatusCode, Refusal> {
    app.service.delete_vault(&call.caller, call.id()?).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn add_resources(
    State(app): State<App>,
    call: Call,
    body: Body,
) -> Result<Response, Refusal> {
    let id = call.id()?;
    let resources = read(body, wire::request::resources_to_add).await?;
    let added = app
        .service
        .add_resources(&call.caller, id, resources)
        .await?;
    answer(&wire::ResourcesAdded {
        add_resource_ids: added.into_iter().map(Into::into).collect(),
    })
}

pub(super) async fn remove_resources(
    State(app): State<App>,
    call: Call,
    body: Body,
) -> Result<Response, Refusal> {
    let id = call.id()?;
    let resources = read(body, wire::request::resources_to_remove).await?;
    let removed = app
        .service
        .remove_resources(&call.caller, id, resources)
        .await?;
    answer(&wire::ResourcesRemoved {
        remove_resource_ids: removed.into_iter().map(Into::into).collect(),
    })
}
