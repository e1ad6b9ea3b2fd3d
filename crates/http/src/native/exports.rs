//! Backups served over NBD.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use emberkeep_model::BackupId;
use emberkeep_service::{ExportKind, ServedBackup};
use emberkeep_wire::native::{Export, ExportPage};
use emberkeep_wire::time;
use serde::Deserialize;
use uuid::Uuid;

use super::edge::{Call, CallFor, CallOn, Refusal};
use crate::App;

/// What is to be served.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    backup_id: BackupId,
    #[serde(default)]
    writable: bool,
    #[serde(default)]
    instant: bool,
}

fn shown(served: ServedBackup) -> Export {
    Export {
        id: served.id.to_string(),
        backup_id: served.backup_id,
        uri: served.uri,
        size_bytes: served.size.0,
        writable: served.writable,
        instant: served.filled.is_some(),
        filled_bytes: served.filled.map(|filled| filled.bytes.0),
        complete: served.filled.map(|filled| filled.complete),
        created_at: time::zulu(served.created_at),
    }
}

/// Begins to serve a backup.
pub(super) async fn begin(
    State(app): State<App>,
    CallFor(call, asked): CallFor<Asked>,
) -> Result<(StatusCode, Json<Export>), Refusal> {
    let kind = match (asked.instant, asked.writable) {
        (true, _) => ExportKind::Instant,
        (false, true) => ExportKind::Scratch,
        (false, false) => ExportKind::ReadOnly,
    };
    let begun = app
        .service
        .begin_export(&call.caller, asked.backup_id, kind)
        .await;
    let served = begun.map_err(|error| call.refuse(error))?;
    Ok((StatusCode::CREATED, Json(shown(served))))
}

/// Lists what is being served, without addresses.
pub(super) async fn list(State(app): State<App>, call: Call) -> Result<Json<ExportPage>, Refusal> {
    let exports = app.service.exports(&call.caller);
    let exports = exports.map_err(|error| call.refuse(error))?;
    let exports = exports.into_iter().map(shown).collect();
    Ok(Json(ExportPage { exports }))
}

/// Serves it no more.
pub(super) async fn end(
    State(app): State<App>,
    CallOn(call, id): CallOn<Uuid>,
) -> Result<StatusCode, Refusal> {
    let ended = app.service.end_export(&call.caller, id).await;
    ended.map_err(|error| call.refuse(error))?;
    Ok(StatusCode::NO_CONTENT)
}
