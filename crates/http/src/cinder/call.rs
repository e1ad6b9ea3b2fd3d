//! One request, after all that is common to them has been checked.

use std::collections::BTreeMap;
use std::str::FromStr;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use emberkeep_model::{AttachmentId, BackupId, Caller, MessageId, ProjectId, SnapshotId, VolumeId};
use emberkeep_service::{Service, ServiceError};
use emberkeep_wire::cinder::{Fault, Json, Microversion, Site};
use emberkeep_wire::keyed::{Keyed, Under};
use serde::Serialize;

use crate::App;

/// What a handler returns.
pub(super) type Answer = Result<Response, Refusal>;

/// Why there is no answer.
pub(super) enum Refusal {
    /// The wire refuses it.
    Fault(Fault),
    /// The service refuses it.
    Service(ServiceError),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<ServiceError> for Refusal {
    fn from(error: ServiceError) -> Self {
        Self::Service(error)
    }
}

/// One request.
pub(super) struct Call {
    /// What every handler works with.
    pub(super) app: App,
    /// Who asks.
    pub(super) caller: Caller,
    /// In which microversion.
    pub(super) version: Microversion,
    /// Where the API is, for links.
    pub(super) site: Site,
    /// The query, as it came.
    pub(super) query: String,
    /// The body, null where there is none.
    pub(super) body: Json,
}

impl Call {
    /// Returns the use cases.
    pub(super) fn service(&self) -> &Service {
        &self.app.service
    }

    /// Tells whether the microversion is at least 3.`minor`.
    pub(super) fn since(&self, minor: u16) -> bool {
        self.version >= Microversion::v3(minor)
    }
}

/// Answers with a body.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => written(status, bytes),
        Err(error) => {
            // Views are plain strings and numbers: only a bug gets here.
            tracing::error!(%error, "an answer could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Answers with a body that is JSON already.
pub(super) fn written(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// Answers with something under its key.
pub(super) fn keyed<T: Keyed + Serialize + ?Sized>(status: StatusCode, value: &T) -> Answer {
    Ok(json(status, &Under(value)))
}

/// Answers that something was begun, with nothing to say about it.
pub(super) fn accepted() -> Answer {
    Ok(StatusCode::ACCEPTED.into_response())
}

/// Characters of an id with its dashes; without them it names nothing in a path.
const ID_LENGTH: usize = 36;

fn id<T: FromStr>(text: &str) -> Option<T> {
    let whole = text.len() == ID_LENGTH;
    whole.then(|| text.parse().ok()).flatten()
}

/// Reads a backup's id: what is none names no backup.
pub(super) fn backup_id(text: &str) -> Result<BackupId, Fault> {
    id(text).ok_or_else(|| Fault::not_found(format!("Backup {text} could not be found.")))
}

/// Reads a volume's id.
pub(super) fn volume_id(text: &str) -> Result<VolumeId, Fault> {
    id(text).ok_or_else(|| Fault::not_found(format!("Volume {text} could not be found.")))
}

/// Reads a snapshot's id.
pub(super) fn snapshot_id(text: &str) -> Result<SnapshotId, Fault> {
    id(text).ok_or_else(|| Fault::not_found(format!("Snapshot {text} could not be found.")))
}

/// Reads an attachment's id.
pub(super) fn attachment_id(text: &str) -> Result<AttachmentId, Fault> {
    text.parse().map_err(|_| {
        Fault::not_found(format!(
            "Volume attachment could not be found with filter: attachment_id = {text}."
        ))
    })
}

/// Reads a message's id.
pub(super) fn message_id(text: &str) -> Result<MessageId, Fault> {
    text.parse()
        .map_err(|_| Fault::not_found(format!("Message {text} could not be found.")))
}

/// Reads a project's id.
pub(super) fn project_id(text: &str) -> Result<ProjectId, Fault> {
    text.parse()
        .map_err(|_| Fault::not_found(format!("Project {text} could not be found.")))
}

/// Answers an empty list, for kinds of resources that do not exist here.
pub(super) fn nothing(key: &'static str) -> Answer {
    let none: [(); 0] = [];
    Ok(json(StatusCode::OK, &BTreeMap::from([(key, none)])))
}

/// Answers what no route takes, as Cinder's router does: in plain text.
pub(super) fn unknown() -> Response {
    (
        StatusCode::NOT_FOUND,
        "404 Not Found\n\nThe resource could not be found.\n",
    )
        .into_response()
}
