//! What policies would do, and their named time zones: CBR has words for neither.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use emberkeep_model::{Backup, PolicyId};
use emberkeep_service::{Fate, PolicyEdit, ServiceError};
use emberkeep_wire::native::{BackupFate, PolicyPreview, PolicyTrial, PolicyZone};
use emberkeep_wire::time;
use serde::de::DeserializeOwned;

use super::edge::{CallOn, Refusal, invalid};
use crate::{App, read_body};

/// Runs that a preview shows.
const RUNS: usize = 10;

/// Shows what a policy will do as it is.
pub(super) async fn preview(
    State(app): State<App>,
    CallOn(call, id): CallOn<PolicyId>,
) -> Result<Json<PolicyPreview>, Refusal> {
    let edit = PolicyEdit::default();
    let seen = app
        .service
        .preview_policy(&call.caller, id, edit, RUNS)
        .await;
    Ok(Json(shown(seen.map_err(|error| call.refuse(error))?)))
}

/// Shows what it would do with other rules or at other times; nothing is changed.
pub(super) async fn attempt(
    State(app): State<App>,
    CallOn(call, id): CallOn<PolicyId>,
    body: Body,
) -> Result<Json<PolicyPreview>, Refusal> {
    let asked: PolicyTrial = read(body).await.map_err(|error| call.refuse(error))?;
    let edit = PolicyEdit {
        definition: asked.operation_definition,
        patterns: asked.pattern,
        zone: asked.zone.map(Some),
        ..PolicyEdit::default()
    };
    let seen = app
        .service
        .preview_policy(&call.caller, id, edit, RUNS)
        .await;
    Ok(Json(shown(seen.map_err(|error| call.refuse(error))?)))
}

/// Sets the time zone of a policy.
pub(super) async fn set_zone(
    State(app): State<App>,
    CallOn(call, id): CallOn<PolicyId>,
    body: Body,
) -> Result<Json<PolicyZone>, Refusal> {
    let asked: PolicyZone = read(body).await.map_err(|error| call.refuse(error))?;
    let edit = PolicyEdit {
        zone: Some(asked.zone),
        ..PolicyEdit::default()
    };
    let view = app.service.edit_policy(&call.caller, id, edit).await;
    let view = view.map_err(|error| call.refuse(error))?;
    Ok(Json(PolicyZone {
        zone: view.policy.zone,
    }))
}

pub(super) async fn read<T: DeserializeOwned>(body: Body) -> Result<T, ServiceError> {
    let bytes = read_body(body)
        .await
        .map_err(|error| invalid("body", error.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|error| invalid("body", error.to_string()))
}

fn shown(preview: emberkeep_service::Preview) -> PolicyPreview {
    PolicyPreview {
        next_runs: preview.next_runs.into_iter().map(time::zulu).collect(),
        backups: preview
            .fates
            .iter()
            .map(|(backup, fate)| fate_of(backup, fate))
            .collect(),
    }
}

fn fate_of(backup: &Backup, fate: &Fate) -> BackupFate {
    let (keep, reasons) = match fate {
        Fate::Keep { reasons } => (true, reasons.iter().map(ToString::to_string).collect()),
        Fate::Drop { reason } => (false, vec![reason.to_string()]),
    };
    BackupFate {
        id: backup.id,
        name: backup.name.clone(),
        vault_id: backup.vault_id,
        volume_id: backup.volume_id,
        created_at: time::zulu(backup.created_at),
        keep,
        reasons,
    }
}
