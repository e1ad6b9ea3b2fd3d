//! Messages: what people are told about work that failed after it was accepted.

use emberkeep_catalog::{Change, Key, MessageQuery, Page, Row};
use emberkeep_model::{
    BackupId, Caller, Message, MessageAction, MessageDetail, MessageId, ProjectId, SnapshotId,
    VolumeId,
};
use uuid::Uuid;

use crate::race::racing;
use crate::refusal::Refusal;
use crate::{Service, ServiceError};

/// A message is kept for thirty days, as Cinder keeps it.
const KEPT_SECS: i64 = 30 * 86_400;

/// What a message is about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum About {
    Backup(BackupId),
    Volume(VolumeId),
    Snapshot(SnapshotId),
}

impl About {
    /// Returns Cinder's word for the kind of thing, and which one.
    fn named(self) -> (&'static str, String) {
        match self {
            Self::Backup(id) => ("VOLUME_BACKUP", id.to_string()),
            Self::Volume(id) => ("VOLUME", id.to_string()),
            Self::Snapshot(id) => ("VOLUME_SNAPSHOT", id.to_string()),
        }
    }
}

impl Service {
    /// Builds the change that tells a project what failed.
    pub(crate) fn message(
        &self,
        project: &ProjectId,
        request_id: &str,
        about: About,
        action: MessageAction,
        detail: MessageDetail,
    ) -> Change {
        let now = self.now();
        let (resource_type, resource_id) = about.named();
        Change::Insert(Row::Message(Message {
            id: MessageId(Uuid::new_v4()),
            project_id: project.clone(),
            request_id: request_id.to_owned(),
            resource_type: resource_type.to_owned(),
            resource_id,
            action,
            detail,
            created_at: now,
            expires_at: now.plus_secs(KEPT_SECS),
            revision: 0,
        }))
    }

    /// Lists the project's messages, newest first.
    pub async fn messages(
        &self,
        caller: &Caller,
        mut query: MessageQuery,
    ) -> Result<Page<Message>, ServiceError> {
        self.allow(caller, "message:get_all")?;
        self.catalog.purge_messages(self.now()).await?;
        query.project = Some(caller.project_id.clone());
        if let Some(marker) = query.paging.marker {
            self.visible_message(caller, marker).await?;
        }
        Ok(self.catalog.messages(&query).await?)
    }

    /// Shows one message.
    pub async fn one_message(
        &self,
        caller: &Caller,
        id: MessageId,
    ) -> Result<Message, ServiceError> {
        let message = self.visible_message(caller, id).await?;
        self.allow(caller, "message:get")?;
        Ok(message)
    }

    /// Removes one message.
    pub async fn delete_message(&self, caller: &Caller, id: MessageId) -> Result<(), ServiceError> {
        racing(|| async {
            let message = self.visible_message(caller, id).await?;
            self.allow(caller, "message:delete")?;
            self.commit(vec![Change::Remove(Key::Message(id), message.revision)])
                .await
        })
        .await
    }

    async fn visible_message(
        &self,
        caller: &Caller,
        id: MessageId,
    ) -> Result<Message, ServiceError> {
        let found = self.catalog.message(id).await?;
        found
            .filter(|message| caller.sees(&message.project_id))
            .ok_or_else(|| Refusal::NoSuchMessage(id).into())
    }
}
