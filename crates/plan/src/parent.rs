//! Which backup an incremental one starts from.

use emberkeep_model::{BackupId, Timestamp};

/// A backup that may serve as the starting point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// The backup.
    pub id: BackupId,
    /// The instant its data is of.
    pub data_timestamp: Timestamp,
    /// Complete and idle.
    pub available: bool,
}

/// Chooses as Cinder does (`cinder-backup.md §3.2`); `candidates` are the backups of one
/// volume in one project, newest first.
///
/// The latest data wins among those that are available and, for a backup from a snapshot,
/// older than the snapshot; ties go to the newer backup. If none qualifies the newest row is
/// taken when it is available: Cinder's quirk, harmless here since every backup is complete.
pub fn choose_parent(
    candidates: &[Candidate],
    snapshot_created_at: Option<Timestamp>,
) -> Option<BackupId> {
    let qualifies = |c: &&Candidate| {
        c.available && snapshot_created_at.is_none_or(|taken| c.data_timestamp < taken)
    };
    let mut best: Option<&Candidate> = None;
    for candidate in candidates.iter().filter(qualifies) {
        if best.is_none_or(|b| candidate.data_timestamp > b.data_timestamp) {
            best = Some(candidate);
        }
    }
    best.or_else(|| candidates.first().filter(|newest| newest.available))
        .map(|c| c.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn candidate(id: u128, data: i64, available: bool) -> Candidate {
        Candidate {
            id: BackupId(Uuid::from_u128(id)),
            data_timestamp: Timestamp(data),
            available,
        }
    }

    #[test]
    fn chooses_as_cinder_does() {
        let table = [
            ("no backups", vec![], None, None),
            (
                "only one, available",
                vec![candidate(1, 10, true)],
                None,
                Some(1),
            ),
            (
                "only one, failed",
                vec![candidate(1, 10, false)],
                None,
                None,
            ),
            (
                "latest data, not newest row",
                vec![candidate(2, 5, true), candidate(1, 10, true)],
                None,
                Some(1),
            ),
            (
                "ties go to the newest row",
                vec![candidate(2, 10, true), candidate(1, 10, true)],
                None,
                Some(2),
            ),
            (
                "unavailable ones do not count",
                vec![candidate(2, 20, false), candidate(1, 10, true)],
                None,
                Some(1),
            ),
            (
                "a snapshot takes an older one",
                vec![candidate(2, 20, true), candidate(1, 10, true)],
                Some(15),
                Some(1),
            ),
            (
                "a snapshot older than all takes the newest",
                vec![candidate(2, 20, true), candidate(1, 10, true)],
                Some(5),
                Some(2),
            ),
            (
                "a snapshot older than all, newest failed",
                vec![candidate(2, 20, false), candidate(1, 10, true)],
                Some(5),
                None,
            ),
        ];
        for (what, candidates, snapshot, want) in table {
            let chosen = choose_parent(&candidates, snapshot.map(Timestamp));
            assert_eq!(
                chosen,
                want.map(|id| BackupId(Uuid::from_u128(id))),
                "{what}"
            );
        }
    }
}
