//! When backups go by themselves.

use emberkeep_model::{Backup, BackupState, Policy, Timestamp};

use crate::replica::is_out_of_sight;
use crate::retention::read_rules;

/// Returns when a backup made at `now` goes by itself, as the policy it is made for says.
pub fn expiry(policy: Option<&Policy>, now: Timestamp) -> Option<Timestamp> {
    let policy = policy?;
    let (rules, _) = read_rules(&policy.definition, policy.zone.as_deref()).ok()?;
    rules.expires_at(now)
}

/// Tells whether a backup was made by a schedule and its time is not over. Failed ones have none.
pub fn is_unexpired(backup: &Backup, now: Timestamp) -> bool {
    let failed = matches!(backup.state, BackupState::Failed { .. });
    backup.automatic
        && (!failed || is_out_of_sight(backup))
        && backup.cbr.expires_at.is_none_or(|at| at > now)
}

#[cfg(test)]
mod tests {
    use emberkeep_model::{BackupId, ByteCount, Replica, Sealed, VolumeId};
    use uuid::Uuid;

    use super::*;
    use crate::replica::gone_from;

    fn backup(state: BackupState, automatic: bool, expires_at: Option<i64>) -> Backup {
        let whose = ("p".parse().expect("an id"), "u".parse().expect("an id"));
        let id = Uuid::from_u128(1);
        let mut backup = Backup::new(BackupId(id), whose, VolumeId(id), Timestamp(1));
        backup.state = state;
        backup.automatic = automatic;
        backup.cbr.expires_at = expires_at.map(Timestamp);
        backup
    }

    fn available() -> BackupState {
        let none = ByteCount(0);
        BackupState::Available(Sealed {
            at: Timestamp(1),
            read: none,
            data: none,
            new: none,
            stored: none,
        })
    }

    #[test]
    fn a_lock_keeps_what_a_schedule_made_until_it_expires() {
        let failed = || BackupState::Failed {
            reason: "no luck".into(),
        };
        for (name, backup, want) in [
            ("no end", backup(available(), true, None), true),
            ("later", backup(available(), true, Some(11)), true),
            ("now", backup(available(), true, Some(10)), false),
            ("over", backup(available(), true, Some(9)), false),
            ("by hand", backup(available(), false, Some(11)), false),
            ("failed", backup(failed(), true, Some(11)), false),
        ] {
            assert_eq!(is_unexpired(&backup, Timestamp(10)), want, "{name}");
        }
    }

    #[test]
    fn a_copy_that_is_out_of_sight_counts_as_there() {
        let mut copy = backup(gone_from("north"), true, Some(11));
        let now = Timestamp(10);
        assert!(!is_unexpired(&copy, now), "no copy: it has failed");
        for (region, want) in [("south", false), ("north", true)] {
            copy.cbr.replica = Some(Replica {
                region: region.into(),
                source_region: "here".into(),
                source_project_id: copy.project_id.clone(),
                source_backup_id: copy.id,
                source_checkpoint_id: None,
                source_vault_id: None,
                source_name: None,
            });
            assert_eq!(is_out_of_sight(&copy), want, "{region}");
            assert_eq!(is_unexpired(&copy, now), want, "{region}");
        }
    }

    #[test]
    fn no_policy_sets_no_expiry() {
        assert_eq!(expiry(None, Timestamp(10)), None);
    }
}
