//! Attachments of volumes to servers, since 3.27 (`cinder-backup.md §2.8`).

use std::collections::BTreeMap;

use emberkeep_wire::cinder::ask::{AttachmentAction, AttachmentChange};

use super::{Attachment, AttachmentQuery, BlockStorage, NewAttachment};
use crate::connection::Call;
use crate::error::SdkError;
use crate::pages::Pages;
use crate::version::Microversion;

const NEEDS: Microversion = Microversion::v3(27);
const WHAT: &str = "attachments";

impl BlockStorage {
    /// Lists attachments, newest first unless said otherwise; since 3.27.
    pub fn attachments(&self, query: &AttachmentQuery) -> Pages<Attachment> {
        self.detailed(|call| query.of(call))
    }

    /// Shows one attachment.
    pub async fn attachment(&self, id: &str) -> Result<Attachment, SdkError> {
        self.needs(WHAT, NEEDS).await?;
        self.one(Call::get(["attachments", id])).await
    }

    /// Attaches a volume, or only sets it aside where no connector is given.
    pub async fn create_attachment(&self, new: &NewAttachment) -> Result<Attachment, SdkError> {
        self.needs(WHAT, NEEDS).await?;
        if new.mode.is_some() {
            self.needs("the mode of an attachment", Microversion::v3(54))
                .await?;
        }
        let call = Call::post(["attachments"], new);
        self.one(call).await
    }

    /// Says who takes an attachment that was only set aside.
    pub async fn update_attachment(
        &self,
        id: &str,
        connector: &BTreeMap<String, String>,
    ) -> Result<Attachment, SdkError> {
        self.needs(WHAT, NEEDS).await?;
        let connector = connector.clone();
        let change = AttachmentChange { connector };
        self.one(Call::put(["attachments", id], &change)).await
    }

    /// Says that an attachment is in use; since 3.44.
    pub async fn complete_attachment(&self, id: &str) -> Result<(), SdkError> {
        self.needs("completing an attachment", Microversion::v3(44))
            .await?;
        let body = &AttachmentAction::Complete(());
        self.done(Call::post(["attachments", id, "action"], body))
            .await
    }

    /// Ends an attachment.
    pub async fn delete_attachment(&self, id: &str) -> Result<(), SdkError> {
        self.needs(WHAT, NEEDS).await?;
        self.done(Call::delete(["attachments", id])).await
    }
}
