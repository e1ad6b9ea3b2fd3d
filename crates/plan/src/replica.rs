//! Copies in other regions: how those stand that their store does not show.

use emberkeep_model::{Backup, BackupState};

/// Returns the state of a copy that is not in its region's store, as far as could be seen.
pub fn gone_from(region: &str) -> BackupState {
    BackupState::Failed {
        reason: format!("its copy is gone from region {region}"),
    }
}

/// Tells whether a copy is out of sight. It may be there again, so nothing drops it by itself.
pub fn is_out_of_sight(copy: &Backup) -> bool {
    let replica = copy.cbr.replica.as_ref();
    replica.is_some_and(|replica| copy.state == gone_from(&replica.region))
}
