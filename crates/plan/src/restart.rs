//! What becomes of a backup of Cinder's that a stopped service left in the middle of something.
//!
//! Our own backups go on where they stopped, for each has a task; this is for those that no task is about.

use emberkeep_model::VolumeStatus;

/// What the service was at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupted {
    /// Making it.
    Creating,
    /// Restoring it.
    Restoring,
    /// Deleting it.
    Deleting {
        /// Its key would be gone before it.
        encrypted: bool,
    },
    /// Nothing any more; it had failed.
    Failed {
        /// A temporary volume or snapshot stayed behind.
        leftovers: bool,
    },
    /// Nothing.
    Idle,
}

/// A volume as the stopped service left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldVolume {
    /// Its status.
    pub status: VolumeStatus,
    /// Its status before that, if somebody noted it.
    pub previous: Option<VolumeStatus>,
}

/// What to make of the backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It failed, and says why.
    Failed(&'static str),
    /// It is as good as before.
    Available,
    /// Its deletion begins again.
    DeleteAgain,
    /// It stays, and says that it could not be deleted.
    NotDeleted,
    /// What was temporary goes, and is forgotten.
    DropLeftovers,
    /// It stays as it is.
    Kept,
}

/// Decides as Cinder does (`cinder-backup.md §3.6`); returns the volume's new status too, where it changes.
/// The volume is the source of a backup being made, the target of one being restored.
pub fn after_restart(
    found: Interrupted,
    volume: Option<HeldVolume>,
) -> (Outcome, Option<VolumeStatus>) {
    let held = |status| volume.filter(|volume| volume.status == status);
    match found {
        Interrupted::Creating => (
            Outcome::Failed("incomplete backup reset on manager restart"),
            held(VolumeStatus::BackingUp).and_then(|volume| volume.previous),
        ),
        Interrupted::Restoring => (
            Outcome::Available,
            held(VolumeStatus::RestoringBackup).map(|_| VolumeStatus::ErrorRestoring),
        ),
        Interrupted::Deleting { encrypted: true } => (Outcome::NotDeleted, None),
        Interrupted::Deleting { encrypted: false } => (Outcome::DeleteAgain, None),
        Interrupted::Failed { leftovers: true } => (Outcome::DropLeftovers, None),
        Interrupted::Failed { leftovers: false } | Interrupted::Idle => (Outcome::Kept, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use {Interrupted as I, Outcome as O, VolumeStatus as V};

    #[test]
    fn volumes_change_only_if_they_were_held() {
        let failed = O::Failed("incomplete backup reset on manager restart");
        for (what, found, status, want) in [
            (
                "held",
                I::Creating,
                Some(V::BackingUp),
                (failed, Some(V::InUse)),
            ),
            (
                "let go before",
                I::Creating,
                Some(V::Available),
                (failed, None),
            ),
            ("gone", I::Creating, None, (failed, None)),
            (
                "half written",
                I::Restoring,
                Some(V::RestoringBackup),
                (O::Available, Some(V::ErrorRestoring)),
            ),
            (
                "untouched",
                I::Restoring,
                Some(V::Error),
                (O::Available, None),
            ),
            (
                "plain",
                I::Deleting { encrypted: false },
                None,
                (O::DeleteAgain, None),
            ),
            (
                "encrypted",
                I::Deleting { encrypted: true },
                None,
                (O::NotDeleted, None),
            ),
            (
                "failed",
                I::Failed { leftovers: false },
                None,
                (O::Kept, None),
            ),
            (
                "failed early",
                I::Failed { leftovers: true },
                None,
                (O::DropLeftovers, None),
            ),
            ("idle", I::Idle, Some(V::BackingUp), (O::Kept, None)),
        ] {
            let volume = status.map(|status| HeldVolume {
                status,
                previous: Some(V::InUse),
            });
            assert_eq!(after_restart(found, volume), want, "{what}");
        }
    }
}
