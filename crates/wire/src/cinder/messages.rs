//! Messages about what failed, as they are shown.

use emberkeep_model::{Message, MessageAction, MessageDetail};
use serde::{Deserialize, Serialize};

use super::{Link, Site};
use crate::lenient;
use crate::time::Moment;

/// A message about something that failed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct MessageView {
    /// Its id.
    #[serde(deserialize_with = "lenient::text")]
    pub id: String,
    /// What failed, as a fixed word: `VOLUME_VOLUME_BACKUP_011_…`.
    #[serde(deserialize_with = "lenient::text")]
    pub event_id: String,
    /// What failed, for people.
    #[serde(deserialize_with = "lenient::text")]
    pub user_message: String,
    /// How bad it is: `ERROR`.
    #[serde(deserialize_with = "lenient::text")]
    pub message_level: String,
    /// When it failed.
    pub created_at: Option<Moment>,
    /// Until when the message is kept.
    pub guaranteed_until: Option<Moment>,
    /// The request that it was.
    #[serde(deserialize_with = "lenient::text")]
    pub request_id: String,
    /// Where it is found.
    #[serde(deserialize_with = "lenient::or_default")]
    pub links: Vec<Link>,
    /// What it is about: `VOLUME`, `VOLUME_BACKUP`, `VOLUME_SNAPSHOT`.
    pub resource_type: Option<String>,
    /// The id of that.
    pub resource_uuid: Option<String>,
}

impl MessageView {
    /// Shows `message`.
    pub fn new(message: &Message, site: &Site) -> Self {
        let id = message.id.to_string();
        Self {
            event_id: format!(
                "VOLUME_{}_{}_{}",
                message.resource_type, message.action, message.detail
            ),
            user_message: format!(
                "{}:{}",
                action_text(message.action),
                detail_text(message.detail)
            ),
            message_level: "ERROR".to_owned(),
            created_at: Some(message.created_at.into()),
            guaranteed_until: Some(message.expires_at.into()),
            request_id: message.request_id.clone(),
            links: site.links("messages", &id),
            resource_type: Some(message.resource_type.clone()),
            resource_uuid: Some(message.resource_id.clone()),
            id,
        }
    }
}

fn action_text(action: MessageAction) -> &'static str {
    match action {
        MessageAction::ExtendVolume => "extend volume",
        MessageAction::CreateVolume => "create volume from backend storage",
        MessageAction::CreateSnapshot => "create snapshot",
        MessageAction::DeleteSnapshot => "delete snapshot",
        MessageAction::CreateBackup => "create backup",
        MessageAction::DeleteBackup => "delete backup",
        MessageAction::RestoreBackup => "restore backup",
    }
}

fn detail_text(detail: MessageDetail) -> &'static str {
    match detail {
        MessageDetail::Unknown => "An unknown error occurred.",
        MessageDetail::ServiceDown => "Backup service is down.",
        MessageDetail::ScheduleError => {
            "Backup failed to schedule. Service not found for creating backup."
        }
        MessageDetail::CreateDriverError => "Backup driver failed to create backup.",
        MessageDetail::DeleteDriverError => "Backup driver failed to delete backup.",
        MessageDetail::RestoreDriverError => "Backup driver failed to restore backup.",
    }
}
