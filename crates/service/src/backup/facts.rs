//! What a backup's manifest remembers of its row, so that the row can be made anew.

use emberkeep_engine::{BackupFacts, WholeFacts};
use emberkeep_model::Backup;

/// Returns what a backup's manifest remembers of its row.
pub(crate) fn facts_of(backup: &Backup) -> BackupFacts {
    BackupFacts {
        user_id: Some(backup.user_id.clone()),
        size_gib: Some(backup.size),
        container: backup.container.clone(),
        availability_zone: backup.availability_zone.clone(),
        metadata: backup.metadata.clone(),
        automatic: backup.automatic,
        policy_id: backup.cbr.policy_id,
        expires_at: backup.cbr.expires_at,
        data_timestamp: Some(backup.data_timestamp),
        cinder: backup.cinder.clone(),
        kind: backup.cbr.kind,
        part_of: backup.cbr.part_of,
        ..BackupFacts::default()
    }
}

/// What the row of a server's backup says that no manifest of its parts does: whoever finds all
/// `parts` of them can make the row anew.
pub(crate) fn whole_facts(whole: &Backup, parts: usize) -> WholeFacts {
    WholeFacts {
        id: Some(whole.id),
        parts: Some(parts),
        server_id: whole.volume_id,
        server_name: whole.volume_name.clone(),
        name: whole.name.clone(),
        size_gib: whole.size,
        server: whole.cbr.server.clone(),
        replica: whole.cbr.replica.clone(),
    }
}
