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
