//! A backup that is served over NBD, as its maker sees it.

use emberkeep_model::{BackupId, ByteCount, ProjectId, Timestamp};
use uuid::Uuid;

use super::filling::Filled;

/// A backup that is being served.
#[derive(Debug, Clone)]
pub struct ServedBackup {
    /// The export's id.
    pub id: Uuid,
    /// Whose it is.
    pub project_id: ProjectId,
    /// The backup.
    pub backup_id: BackupId,
    /// Where it is served, with the secret name. Only in the answer to the export's maker.
    pub uri: Option<String>,
    /// The volume's size.
    pub size: ByteCount,
    /// Whether writes are taken; they are gone with the export.
    pub writable: bool,
    /// How far it is, if it is an instant restore.
    pub filled: Option<Filled>,
    /// When it was asked for.
    pub created_at: Timestamp,
}

/// What becomes of what clients write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportKind {
    /// Nobody may write.
    ReadOnly,
    /// It is gone with the export.
    Scratch,
    /// It stays, and all else is brought in beside it.
    Instant,
}
