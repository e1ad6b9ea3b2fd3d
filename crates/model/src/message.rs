//! What people are told about work that failed behind an answer that said it was begun.

use crate::words::words;
use crate::{MessageId, ProjectId, Timestamp};

words! {
    /// What was being done (`cinder-backup.md §3.7`), by Cinder's number.
    MessageAction as "message action" {
        /// A volume was being made larger.
        ExtendVolume = "007",
        /// A volume was being made.
        CreateVolume = "008",
        /// A snapshot was being taken.
        CreateSnapshot = "009",
        /// A snapshot was being deleted.
        DeleteSnapshot = "010",
        /// A backup was being made.
        CreateBackup = "013",
        /// A backup was being deleted.
        DeleteBackup = "014",
        /// A backup was being restored.
        RestoreBackup = "015",
    }
}

words! {
    /// Why it failed, by Cinder's number.
    MessageDetail as "message detail" {
        /// Not known in the words there are.
        Unknown = "001",
        /// The service that does it was not there.
        ServiceDown = "018",
        /// The back end failed while making it.
        CreateDriverError = "020",
        /// There was nobody to give it to.
        ScheduleError = "024",
        /// The back end failed while deleting it.
        DeleteDriverError = "025",
        /// The back end failed while restoring it.
        RestoreDriverError = "026",
    }
}

/// A message about one thing that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// Whose it is.
    pub project_id: ProjectId,
    /// The request that had asked for it.
    pub request_id: String,
    /// What kind of thing failed: `VOLUME`, `VOLUME_SNAPSHOT`, `VOLUME_BACKUP`.
    pub resource_type: String,
    /// Which one.
    pub resource_id: String,
    /// What was being done.
    pub action: MessageAction,
    /// Why it failed.
    pub detail: MessageDetail,
    /// When it failed.
    pub created_at: Timestamp,
    /// How long it is kept at least.
    pub expires_at: Timestamp,
    /// See [`crate::Volume::revision`].
    pub revision: u64,
}
