//! How the work of a task ends.

use emberkeep_model::{BackupRefused, BackupState, VolumeId};

use crate::ServiceError;
use crate::error::chain;

/// Why a task's work stopped short.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It cannot be done, for this reason.
    Failed(String),
    /// The run was told to stop.
    Cancelled,
    /// Something else has to end first.
    NotYet,
}

impl From<ServiceError> for Stop {
    fn from(error: ServiceError) -> Self {
        Self::Failed(chain(&error))
    }
}

impl From<BackupRefused> for Stop {
    fn from(refused: BackupRefused) -> Self {
        Self::Failed(refused.to_string())
    }
}

/// How a task ended.
#[derive(Debug)]
pub(crate) enum Verdict<Found = ()> {
    /// Done, with what its work has found out.
    Done(Found),
    /// Failed or timed out.
    Failed(Failure),
    /// Cancelled by request.
    Cancelled,
}

/// Why a task failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// For people.
    pub(crate) reason: String,
    /// It was stopped because it took too long.
    pub(crate) late: bool,
}

/// What a backup is claimed for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted {
    /// To be copied.
    Copy,
    /// To be written to this volume.
    Restore(VolumeId),
    /// To be deleted.
    Delete,
}

impl Wanted {
    /// Tells whether a backup in this state still waits for that.
    pub(crate) fn by(self, state: &BackupState) -> bool {
        use BackupState as S;
        match (self, state) {
            (Self::Copy, S::Queued | S::Copying)
            | (Self::Delete, S::DeleteQueued | S::Deleting) => true,
            (Self::Restore(to), S::RestoreQueued { target, .. } | S::Restoring { target, .. }) => {
                *target == to
            }
            (Self::Copy | Self::Restore(_) | Self::Delete, _) => false,
        }
    }
}
