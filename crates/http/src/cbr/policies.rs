//! Policies and their vaults (`cbr-v3.md §2.5`).

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use emberkeep_model::VaultId;
use emberkeep_service::PolicyView;
use emberkeep_service::query::PolicyQuery;
use emberkeep_wire::cbr as wire;

use super::edge::{Call, answer, keyed, list as list_of, paging, read};
use super::refusal::Refusal;
use crate::App;

fn shown(view: &PolicyView) -> wire::Policy {
    wire::Policy::of(&view.policy, &view.bindings)
}

pub(super) async fn list(State(app): State<App>, mut call: Call) -> Result<Response, Refusal> {
    let asked = wire::PolicyList::parse(&call.query()?)?;
    let query = PolicyQuery {
        operation_type: asked.operation_type,
        vault: asked.vault_id,
        paging: paging(&asked.page),
        ..PolicyQuery::default()
    };
    let found = app.service.policies(&call.caller, query).await?;
    let policies: Vec<_> = found.items.iter().map(shown).collect();
    list_of(&policies, found.total.unwrap_or_default())
}

pub(super) async fn create(
    State(app): State<App>,
    call: Call,
    body: Body,
) -> Result<Response, Refusal> {
    let new = read(body, wire::request::new_policy).await?;
    let made = app.service.create_policy(&call.caller, new).await?;
    keyed(&shown(&made))
}

pub(super) async fn show(State(app): State<App>, call: Call) -> Result<Response, Refusal> {
    let policy = app.service.policy(&call.caller, call.id()?).await?;
    keyed(&shown(&policy))
}

pub(super) async fn update(
    State(app): State<App>,
    call: Call,
    body: Body,
) -> Result<Response, Refusal> {
    let id = call.id()?;
    let edit = read(body, wire::request::policy_edit).await?;
    let policy = app.service.edit_policy(&call.caller, id, edit).await?;
    keyed(&shown(&policy))
}

pub(super) async fn delete(State(app): State<App>, call: Call) -> Result<StatusCode, Refusal> {
    app.service.delete_policy(&call.caller, call.id()?).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn associate(
    State(app): State<App>,
    call: Call,
    body: Body,
) -> Result<Response, Refusal> {
    let id: VaultId = call.id()?;
    let asked = read(body, wire::request::policy_binding).await?;
    let destination = asked.destination_vault_id;
    app.service
        .associate_policy(&call.caller, id, asked.policy_id, destination)
        .await?;
    answer(&wire::PolicyAssociated {
        associate_policy: wire::Bound {
            vault_id: id.into(),
            policy_id: asked.policy_id.into(),
            destination_vault_id: destination.map(Into::into),
        },
    })
}

pub(super) async fn dissociate(
    State(app): State<App>,
    call: Call,
    body: Body,
) -> Result<Response, Refusal> {
    let id: VaultId = call.id()?;
    let asked = read(body, wire::request::policy_binding).await?;
    app.service
        .dissociate_policy(&call.caller, id, asked.policy_id)
        .await?;
    answer(&wire::PolicyDissociated {
        dissociate_policy: wire::Bound {
            vault_id: id.into(),
            policy_id: asked.policy_id.into(),
            destination_vault_id: None,
        },
    })
}
