//! Messages about what failed, as they are shown.

use emberkeep_model::{Message, MessageAction, MessageDetail};
use serde::{Deserialize, Serialize};

use super::{Link, Site};
use crate::time::naive;

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "the fields are Cinder's own, described in its API reference"
)]
pub struct MessageView {
    pub id: String,
    pub event_id: String,
    pub user_message: String,
    pub message_level: String,
    pub created_at: String,
    pub guaranteed_until: String,
    pub request_id: String,
    pub links: Vec<Link>,
    pub resource_type: String,
    pub resource_uuid: String,
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
            created_at: naive(message.created_at),
            guaranteed_until: naive(message.expires_at),
            request_id: message.request_id.clone(),
            links: site.links("messages", &id),
            resource_type: message.resource_type.clone(),
            resource_uuid: message.resource_id.clone(),
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
        MessageDetail::CreateDriverError => "Backup driver failed to create backup.",
        MessageDetail::DeleteDriverError => "Backup driver failed to delete backup.",
        MessageDetail::RestoreDriverError => "Backup driver failed to restore backup.",
    }
}
