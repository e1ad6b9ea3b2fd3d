//! Policies and their vaults (`cbr-v3.md §2.5`).

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use emberkeep_model::VaultId;
use emberkeep_service::query::PolicyQuery;
use emberkeep_service::{NewPolicy, PolicyEdit, PolicyView};
use emberkeep_wire::cbr as wire;
use serde_json::{Value, json};

use super::edge::{Call, paging, read, wrapped};
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
    let count = found.total.unwrap_or_default();
    Ok(Json(json!({"policies": policies, "count": count})).into_response())
}

pub(super) async fn create(
    State(app): State<App>,
    call: Call,
    body: Body,
) -> Result<Response, Refusal> {
    let asked = read(body, wire::PolicyCreate::parse).await?;
    let new = NewPolicy {
        name: asked.name,
        enabled: asked.enabled,
        operation_type: asked.operation_type,
        definition: asked.definition,
        patterns: asked.patterns,
        zone: None,
    };
    let made = app.service.create_policy(&call.caller, new).await?;
    wrapped("policy", &shown(&made))
}

pub(super) async fn show(State(app): State<App>, call: Call) -> Result<Response, Refusal> {
    let policy = app.service.policy(&call.caller, call.id()?).await?;
    wrapped("policy", &shown(&policy))
}

pub(super) async fn update(
    State(app): State<App>,
    call: Call,
    body: Body,
) -> Result<Response, Refusal> {
    let id = call.id()?;
    let asked = read(body, wire::PolicyUpdate::parse).await?;
    let edit = PolicyEdit {
        name: asked.name,
        enabled: asked.enabled,
        definition: asked.definition,
        patterns: asked.patterns,
        zone: None,
    };
    let policy = app.service.edit_policy(&call.caller, id, edit).await?;
    wrapped("policy", &shown(&policy))
}

pub(super) async fn delete(State(app): State<App>, call: Call) -> Result<StatusCode, Refusal> {
    app.service.delete_policy(&call.caller, call.id()?).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn associate(
    State(app): State<App>,
    call: Call,
    body: Body,
) -> Result<Json<Value>, Refusal> {
    let id: VaultId = call.id()?;
    let asked = read(body, wire::PolicyBound::parse).await?;
    let destination = asked.destination_vault_id;
    app.service
        .associate_policy(&call.caller, id, asked.policy_id, destination)
        .await?;
    let mut bound = json!({"vault_id": id, "policy_id": asked.policy_id});
    if let Some(destination) = destination {
        bound["destination_vault_id"] = json!(destination);
    }
    Ok(Json(json!({"associate_policy": bound})))
}

pub(super) async fn dissociate(
    State(app): State<App>,
    call: Call,
    body: Body,
) -> Result<Json<Value>, Refusal> {
    let id: VaultId = call.id()?;
    let asked = read(body, wire::PolicyBound::parse).await?;
    app.service
        .dissociate_policy(&call.caller, id, asked.policy_id)
        .await?;
    Ok(Json(json!({
        "dissociate_policy": {"vault_id": id, "policy_id": asked.policy_id},
    })))
}
