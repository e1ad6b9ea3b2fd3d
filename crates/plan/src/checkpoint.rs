//! What a run over a vault is called and how it stands.

use emberkeep_model::{BackupState, CheckpointStatus};

/// Names the backups of a run: the name as it is for one resource, else with
/// `-0001`, `-0002`, … in resource order (`cbr-v3.md §2.3`).
pub fn backup_names(base: &str, count: usize) -> Vec<String> {
    if count == 1 {
        return vec![base.to_owned()];
    }
    (1..=count).map(|n| format!("{base}-{n:04}")).collect()
}

/// Tells how a run stands from its backups: `available` once all have finished well,
/// `error` once all have finished and any failed, `deleting` once all that are left go, `deleted`
/// once none is left.
pub fn checkpoint_status<'a>(
    backups: impl IntoIterator<Item = &'a BackupState>,
) -> CheckpointStatus {
    let (mut left, mut making, mut failed, mut going) = (false, false, false, false);
    for state in backups {
        match state {
            BackupState::Queued | BackupState::Copying => (left, making) = (true, true),
            BackupState::Failed { .. } => (left, failed) = (true, true),
            BackupState::Available(_)
            | BackupState::Damaged(_)
            | BackupState::RestoreQueued { .. }
            | BackupState::Restoring { .. } => left = true,
            BackupState::DeleteQueued | BackupState::Deleting => going = true,
            BackupState::Deleted => {}
        }
    }
    match (left, making, failed) {
        (false, _, _) if going => CheckpointStatus::Deleting,
        (false, _, _) => CheckpointStatus::Deleted,
        (true, true, _) => CheckpointStatus::Protecting,
        (true, false, true) => CheckpointStatus::Error,
        (true, false, false) => CheckpointStatus::Available,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use emberkeep_model::{Sealed, Timestamp};

    #[test]
    fn names_follow_the_resource_order() {
        assert_eq!(backup_names("a", 1), ["a"]);
        assert_eq!(backup_names("a", 3), ["a-0001", "a-0002", "a-0003"]);
        assert!(backup_names("a", 0).is_empty());
    }

    #[test]
    fn status_follows_the_backups() {
        let zero = emberkeep_model::ByteCount(0);
        let sealed = Sealed {
            at: Timestamp(0),
            read: zero,
            data: zero,
            new: zero,
            stored: zero,
        };
        let done = BackupState::Available(sealed);
        let failed = BackupState::Failed { reason: "x".into() };
        let table = [
            ("none", vec![], CheckpointStatus::Deleted),
            (
                "all deleted",
                vec![BackupState::Deleted],
                CheckpointStatus::Deleted,
            ),
            (
                "the last one goes",
                vec![BackupState::DeleteQueued, BackupState::Deleted],
                CheckpointStatus::Deleting,
            ),
            (
                "one goes, one stays",
                vec![BackupState::Deleting, done.clone()],
                CheckpointStatus::Available,
            ),
            (
                "one still copying",
                vec![done.clone(), BackupState::Copying],
                CheckpointStatus::Protecting,
            ),
            (
                "waits though one failed",
                vec![failed.clone(), BackupState::Queued],
                CheckpointStatus::Protecting,
            ),
            (
                "all well",
                vec![done.clone(), BackupState::Deleted],
                CheckpointStatus::Available,
            ),
            ("one failed", vec![done, failed], CheckpointStatus::Error),
        ];
        for (what, states, want) in table {
            assert_eq!(checkpoint_status(&states), want, "{what}");
        }
    }
}
