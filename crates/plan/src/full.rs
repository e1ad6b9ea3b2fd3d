//! When the next backup of a volume has to be a full one.

use emberkeep_model::Backup;

/// Tells whether the next backup of a volume has to be a full one, given its backups newest
/// first: `interval` incremental ones may follow each full one, any number if it is negative.
pub fn full_is_due(interval: Option<i32>, newest_first: &[Backup]) -> bool {
    let Some(most) = interval.and_then(|n| usize::try_from(n).ok()) else {
        return false;
    };
    let since_full = newest_first
        .iter()
        .filter(|b| b.automatic)
        .take_while(|b| b.is_incremental())
        .count();
    since_full >= most
}

#[cfg(test)]
mod tests {
    use emberkeep_model::{BackupId, Timestamp, VolumeId};
    use uuid::Uuid;

    use super::*;

    /// Makes backups, newest first: `f` is a full one, `i` an incremental one, in capitals if a
    /// schedule made it.
    fn backups(kinds: &str) -> Vec<Backup> {
        let made = |kind: char| {
            let whose = ("p".parse().expect("an id"), "u".parse().expect("an id"));
            let id = Uuid::from_u128(1);
            let mut backup = Backup::new(BackupId(id), whose, VolumeId(id), Timestamp(1));
            backup.automatic = kind.is_ascii_uppercase();
            backup.parent_id = kind.eq_ignore_ascii_case(&'i').then_some(BackupId(id));
            backup
        };
        kinds.chars().map(made).collect()
    }

    #[test]
    fn so_many_incremental_ones_follow_a_full_one() {
        for (interval, newest_first, want) in [
            (None, "IIII", false),
            (Some(-1), "IIII", false),
            (Some(0), "", true),
            (Some(0), "F", true),
            (Some(2), "", false),
            (Some(2), "F", false),
            (Some(2), "IF", false),
            (Some(2), "IIF", true),
            (Some(2), "IIIF", true),
            (Some(2), "FII", false),
            // What was made by hand counts for nothing.
            (Some(2), "IiiF", false),
            (Some(2), "IfIF", true),
        ] {
            let due = full_is_due(interval, &backups(newest_first));
            assert_eq!(due, want, "{interval:?} {newest_first:?}");
        }
    }
}
