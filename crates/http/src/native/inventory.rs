//! What the other wires cannot say of backups and volumes: what a backup cost, where bytes lie.

use axum::Json;
use axum::extract::State;
use emberkeep_model::{BackupId, VaultId, VolumeId};
use emberkeep_service::query::BackupQuery;
use emberkeep_service::{Reach, ServiceError};
use emberkeep_wire::native::{Backup, BackupPage, VolumePath};
use serde::Deserialize;

use super::edge::{CallFor, CallOn, Refusal};
use super::tasks::paging;
use crate::App;

/// Which backups are wanted.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    vault_id: Option<VaultId>,
    volume_id: Option<VolumeId>,
    name: Option<String>,
    limit: Option<u32>,
    #[serde(default)]
    offset: u64,
    marker: Option<BackupId>,
}

impl Asked {
    fn query(self) -> Result<BackupQuery, ServiceError> {
        Ok(BackupQuery {
            vault: self.vault_id,
            volumes: self.volume_id.into_iter().collect(),
            name: self.name,
            paging: paging(self.limit, self.offset, self.marker)?,
            ..BackupQuery::default()
        })
    }
}

pub(super) async fn backups(
    State(app): State<App>,
    CallFor(call, asked): CallFor<Asked>,
) -> Result<Json<BackupPage>, Refusal> {
    let query = asked.query().map_err(|error| call.refuse(error))?;
    let found = app.service.backups(&call.caller, query, Reach::Own).await;
    let found = found.map_err(|error| call.refuse(error))?;
    Ok(Json(BackupPage {
        backups: found.items.iter().map(|row| Backup::of(row)).collect(),
        count: found.total.unwrap_or_default(),
    }))
}

pub(super) async fn path(
    State(app): State<App>,
    CallOn(call, id): CallOn<VolumeId>,
) -> Result<Json<VolumePath>, Refusal> {
    let found = app.service.volume_path(&call.caller, id).await;
    let found = found.map_err(|error| call.refuse(error))?;
    let text = found
        .map(|path| path.into_os_string().into_string())
        .transpose();
    let path = text.map_err(|_| {
        call.refuse(ServiceError::Inner(
            "naming a volume's file",
            "its path is not UTF-8".into(),
        ))
    })?;
    Ok(Json(VolumePath { path }))
}
