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
