//! The states of a backup, in Cinder's words.

/// Where a backup stands, in Cinder's words. There is no status for a failed restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is the word it is named for")]
pub enum BackupStatus {
    Error,
    ErrorDeleting,
    Creating,
    Available,
    Deleting,
    Deleted,
    Restoring,
}

impl BackupStatus {
    const ALL: [Self; 7] = [
        Self::Error,
        Self::ErrorDeleting,
        Self::Creating,
        Self::Available,
        Self::Deleting,
        Self::Deleted,
        Self::Restoring,
    ];

    /// Returns the word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::ErrorDeleting => "error_deleting",
            Self::Creating => "creating",
            Self::Available => "available",
            Self::Deleting => "deleting",
            Self::Deleted => "deleted",
            Self::Restoring => "restoring",
        }
    }

    /// Finds the status of that word; case matters.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}
