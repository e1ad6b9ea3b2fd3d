//! Messages about what failed, since 3.3 (`cinder-backup.md §2.8`).

use super::{BlockStorage, Message, MessageQuery};
use crate::connection::{Call, Face};
use crate::error::SdkError;
use crate::pages::{Pages, Turning};
use crate::version::Microversion;

const NEEDS: Microversion = Microversion::v3(3);

impl BlockStorage {
    /// Lists messages, newest first unless said otherwise; since 3.3.
    pub fn messages(&self, query: &MessageQuery) -> Pages<Message> {
        Pages::new(
            &self.connection,
            Face::BlockStorage,
            Turning::Links,
            query.of(Call::get(["messages"])),
        )
    }

    /// Shows one message.
    pub async fn message(&self, id: &str) -> Result<Message, SdkError> {
        self.needs("messages", NEEDS).await?;
        self.one(Call::get(["messages", id])).await
    }

    /// Deletes a message.
    pub async fn delete_message(&self, id: &str) -> Result<(), SdkError> {
        self.needs("messages", NEEDS).await?;
        self.done(Call::delete(["messages", id])).await
    }
}
