//! What volumes are attached to.

use std::collections::BTreeMap;

use crate::words::words;
use crate::{AttachmentId, ProjectId, Timestamp, UserId, VolumeId};

words! {
    /// Where an attachment stands; Cinder's own words.
    AttachmentStatus as "attachment status" {
        /// Set aside; who takes it is not known yet.
        Reserved = "reserved",
        /// Somebody is taking it.
        Attaching = "attaching",
        /// In use.
        Attached = "attached",
    }
}

/// A volume in somebody's hands. A volume has at most one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Its id.
    pub id: AttachmentId,
    /// Which volume.
    pub volume_id: VolumeId,
    /// Whose volume.
    pub project_id: ProjectId,
    /// Who asked for it.
    pub user_id: UserId,
    /// The server that has it, where one was named.
    pub instance_id: Option<String>,
    /// The host that has it.
    pub host: Option<String>,
    /// Where it is found there.
    pub mountpoint: Option<String>,
    /// `rw` or `ro`.
    pub mode: String,
    /// Where it stands.
    pub status: AttachmentStatus,
    /// What the other side said of itself.
    pub connector: BTreeMap<String, String>,
    /// When it came into use.
    pub attached_at: Option<Timestamp>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// See [`crate::Volume::revision`].
    pub revision: u64,
}
