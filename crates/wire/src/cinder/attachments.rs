//! Attachments of volumes: what is asked of them and how they are shown.

use emberkeep_model::command::{AttachmentUpdate, NewAttachment};
use emberkeep_model::{Attachment, AttachmentStatus, Volume, VolumeId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::actions::{connector_pairs, named, unknown};
use super::ask::AttachmentAction;
use super::schema::{missing, refuse, uuid_like, wrong_type};
use super::{Fault, Json, Microversion};
use crate::time::Moment;
use crate::{ids, lenient};

fn attachment(body: &Json) -> Result<&Json, Fault> {
    const KEY: &str = "attachment";
    if body.members().is_none() {
        return Err(Fault::bad_request(wrong_type(body, "'object'")));
    }
    let inner = body
        .get(KEY)
        .ok_or_else(|| Fault::bad_request(missing(KEY)))?;
    match inner.members() {
        Some(_) => Ok(inner),
        None => Err(refuse(KEY, inner, &wrong_type(inner, "'object'"))),
    }
}

/// Reads `POST /attachments`: of which volume, and how.
pub fn new_attachment(
    body: &Json,
    version: Microversion,
) -> Result<(VolumeId, NewAttachment), Fault> {
    let inner = attachment(body)?;
    let Some(volume) = inner.get("volume_uuid") else {
        return Err(refuse("attachment", inner, &missing("volume_uuid")));
    };
    let volume_id = volume.text().and_then(uuid_like).map(VolumeId);
    let volume_id = volume_id.ok_or_else(|| {
        refuse(
            "volume_uuid",
            volume,
            &format!("{} is not a 'uuid'", volume.repr()),
        )
    })?;
    let instance_id = match inner.get("instance_uuid") {
        None | Some(Json::Null) => None,
        Some(value) => {
            let id = value.text().filter(|text| uuid_like(text).is_some());
            Some(id.map(str::to_owned).ok_or_else(|| {
                refuse(
                    "instance_uuid",
                    value,
                    &format!("{} is not a 'uuid'", value.repr()),
                )
            })?)
        }
    };
    let connector = match inner.get("connector") {
        None | Some(Json::Null) => None,
        Some(value) => Some(connector_pairs(value)?).filter(|pairs| !pairs.is_empty()),
    };
    let mode = match inner.get("mode") {
        Some(value) if version >= Microversion::v3(54) => match value.text() {
            Some(mode @ ("rw" | "ro")) => Some(mode.to_owned()),
            _ => {
                return Err(refuse(
                    "mode",
                    value,
                    &format!("{} is not one of ['rw', 'ro']", value.repr()),
                ));
            }
        },
        _ => None,
    };
    let new = NewAttachment {
        instance_id,
        connector,
        mode,
        ..NewAttachment::default()
    };
    Ok((volume_id, new))
}

/// Reads `PUT /attachments/{id}`.
pub fn attachment_update(body: &Json) -> Result<AttachmentUpdate, Fault> {
    let inner = attachment(body)?;
    match inner.get("connector") {
        Some(value) => Ok(AttachmentUpdate {
            connector: connector_pairs(value)?,
        }),
        None => Err(refuse("attachment", inner, &missing("connector"))),
    }
}

impl AttachmentAction {
    /// Reads the body of a request.
    pub fn read(body: &Json) -> Result<Self, Fault> {
        match named(body)? {
            ("os-complete", _) => Ok(Self::Complete(())),
            (other, _) => Err(unknown(other)),
        }
    }
}

/// An attachment in a short list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct AttachmentSummary {
    /// Its id.
    #[serde(deserialize_with = "lenient::text")]
    pub id: String,
    /// How it stands: `reserved`, `attaching`, `attached` …
    #[serde(deserialize_with = "lenient::text")]
    pub status: String,
    /// The server.
    pub instance: Option<String>,
    /// The volume.
    pub volume_id: ids::VolumeId,
}

impl AttachmentSummary {
    /// Shows `attachment`.
    pub fn new(attachment: &Attachment) -> Self {
        Self {
            id: attachment.id.to_string(),
            status: attachment.status.to_string(),
            instance: attachment.instance_id.clone(),
            volume_id: attachment.volume_id.into(),
        }
    }
}

/// All of an attachment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct AttachmentDetail {
    /// What a short list says.
    #[serde(flatten)]
    pub summary: AttachmentSummary,
    /// Since when; empty until it is in use.
    pub attached_at: Moment,
    /// Until when; empty while it is in use.
    pub detached_at: Moment,
    /// `rw` or `ro`.
    #[serde(deserialize_with = "lenient::text")]
    pub attach_mode: String,
    /// How the volume is reached; what stands here is the back end's own.
    #[serde(deserialize_with = "lenient::or_default")]
    pub connection_info: Map<String, Value>,
}

impl AttachmentDetail {
    /// Shows `attachment`.
    pub fn new(attachment: &Attachment) -> Self {
        let mut connection_info = Map::new();
        if attachment.status != AttachmentStatus::Reserved {
            connection_info.insert(
                "volume_id".to_owned(),
                attachment.volume_id.to_string().into(),
            );
            connection_info.insert("attachment_id".to_owned(), attachment.id.to_string().into());
            connection_info.insert("access_mode".to_owned(), attachment.mode.clone().into());
            connection_info.insert("driver_volume_type".to_owned(), "local".into());
        }
        Self {
            summary: AttachmentSummary::new(attachment),
            attached_at: attachment.attached_at.map(Moment::from).unwrap_or_default(),
            detached_at: Moment::default(),
            attach_mode: attachment.mode.clone(),
            connection_info,
        }
    }
}

/// An attachment as the volume shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct VolumeAttachment {
    /// The volume.
    pub id: ids::VolumeId,
    /// The attachment.
    pub attachment_id: Option<String>,
    /// The volume again.
    pub volume_id: ids::VolumeId,
    /// The server.
    pub server_id: Option<String>,
    /// The server's host.
    pub host_name: Option<String>,
    /// The device there, e.g. `/dev/vdb`.
    pub device: Option<String>,
    /// Since when.
    pub attached_at: Option<Moment>,
}

impl VolumeAttachment {
    /// Shows those of the attachments of `volume` that are in use.
    pub fn of(volume: &Volume, attachments: &[Attachment]) -> Vec<Self> {
        attachments
            .iter()
            .filter(|one| one.volume_id == volume.id && one.status == AttachmentStatus::Attached)
            .map(|one| Self {
                id: one.volume_id.into(),
                attachment_id: Some(one.id.to_string()),
                volume_id: one.volume_id.into(),
                server_id: one.instance_id.clone(),
                host_name: one.host.clone(),
                device: one.mountpoint.clone(),
                attached_at: one.attached_at.map(Moment::from),
            })
            .collect()
    }
}
