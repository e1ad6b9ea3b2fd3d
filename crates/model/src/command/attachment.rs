//! Commands about attachments.

use std::collections::BTreeMap;

/// Creates an attachment, or reserves the volume if there is no connector.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewAttachment {
    /// The server that gets the volume.
    pub instance_id: Option<String>,
    /// The host that gets it.
    pub host: Option<String>,
    /// Where it will be found there.
    pub mountpoint: Option<String>,
    /// `rw` or `ro`.
    pub mode: Option<String>,
    /// What the other side says of itself; without it the volume is only reserved.
    pub connector: Option<BTreeMap<String, String>>,
}

/// Adds a connector to an attachment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttachmentUpdate {
    /// What the other side says of itself.
    pub connector: BTreeMap<String, String>,
}
