//! The kind of each task: the only `match` over what tasks have to do.

use emberkeep_model::Work;

use crate::backup::delete_work::DeleteBackup;
use crate::backup::restore_work::RestoreBackup;
use crate::backup::work::BackUp;
use crate::foreign::adopt_work::AdoptBackup;
use crate::foreign::work::ImportBackup;
use crate::replica::sync_work::SyncReplicas;
use crate::replica::work::Replicate;
use crate::repository::sweep_work::Sweep;
use crate::task::kind::AnyKind;
use crate::vault::work::{DeleteVault, MoveExpiry, RemoveResources};
use crate::volume::work::{
    CreateSnapshot, CreateVolume, DeleteSnapshot, DeleteVolume, ExtendVolume,
};

/// Returns the kind of a task by its work.
pub(crate) fn kind_of(work: &Work) -> Box<dyn AnyKind> {
    match work.clone() {
        Work::CreateVolume { volume_id, source } => Box::new(CreateVolume { volume_id, source }),
        Work::ExtendVolume { volume_id, size } => Box::new(ExtendVolume { volume_id, size }),
        Work::DeleteVolume { volume_id } => Box::new(DeleteVolume { volume_id }),
        Work::CreateSnapshot { snapshot_id } => Box::new(CreateSnapshot { snapshot_id }),
        Work::DeleteSnapshot { snapshot_id } => Box::new(DeleteSnapshot { snapshot_id }),
        Work::Backup { backup_id } => Box::new(BackUp { backup_id }),
        Work::Restore {
            backup_id,
            volume_id,
            fresh,
        } => Box::new(RestoreBackup {
            backup_id,
            volume_id,
            fresh,
        }),
        Work::DeleteBackup { backup_id } => Box::new(DeleteBackup { backup_id }),
        Work::ImportBackup { backup_id } => Box::new(ImportBackup { backup_id }),
        Work::AdoptBackup { backup_id } => Box::new(AdoptBackup { backup_id }),
        Work::Replicate { backup_id, .. } => Box::new(Replicate { backup_id }),
        Work::SyncReplicas { vault_id, .. } => Box::new(SyncReplicas { vault_id }),
        Work::RemoveResources {
            vault_id,
            resource_ids,
            ..
        } => Box::new(RemoveResources {
            vault_id,
            resource_ids,
        }),
        Work::DeleteVault { vault_id, .. } => Box::new(DeleteVault { vault_id }),
        Work::MoveExpiry { .. } => Box::new(MoveExpiry),
        Work::Sweep => Box::new(Sweep),
    }
}
