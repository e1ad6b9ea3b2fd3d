//! Restoring a server: the backups of its volumes go back together, each to the volume that the
//! request maps it to, or to the one it is of.

use std::collections::HashMap;

use emberkeep_catalog::{Change, Row};
use emberkeep_model::{
    Backup, BackupEvent, BackupId, BackupState, Caller, ProtectStatus, ServerId, TaskId, Volume,
    VolumeId, VolumeStatus, Work,
};

use crate::backup::restores::not_restorable;
use crate::error::invalid;
use crate::{CbrError, CbrRestore, Service, ServiceError};

impl Service {
    /// Begins the restore of a server's backup.
    pub(crate) async fn begin_server_restore(
        &self,
        caller: &Caller,
        mut whole: Backup,
        to: &CbrRestore,
    ) -> Result<TaskId, ServiceError> {
        let server = match (to.server_id, to.resource_id, to.volume_id) {
            (Some(server), _, _) => server,
            (None, Some(resource), _) => ServerId::from(resource),
            (None, None, Some(volume)) => return Err(CbrError::TargetKind(volume.into()).into()),
            (None, None, None) => {
                return Err(invalid("server_id", "names the server to restore to"));
            }
        };
        let found = self.catalog.server(server).await?;
        let found = found
            .filter(|found| found.project_id == caller.project_id)
            .ok_or(CbrError::NoSuchServer(server))?;
        let disks = self.volumes_of(server).await?;
        let parts = self.parts_of(&whole).await?;
        // A part that is busy on its own, mapped or not, would be taken for one of this restore.
        if let Some(busy) = parts.iter().find(|part| part.state.is_busy()) {
            return Err(not_restorable(busy));
        }
        let mut targets = pair(server, &parts, &disks, &to.mappings)?;
        let now = self.now();
        let target = VolumeId(server.0);
        whole
            .take(BackupEvent::RestoreAsked { target }, now)
            .map_err(|_| not_restorable(&whole))?;
        let mut changes = Vec::new();
        for mut part in parts {
            if let Some(volume) = targets.remove(&part.id) {
                let mut volume = self.restore_target(caller, volume).await?;
                if volume.size < part.size {
                    return Err(ServiceError::RestoreTargetTooSmall {
                        id: volume.id,
                        have: volume.size.0,
                        need: part.size.0,
                    });
                }
                if !matches!(part.state, BackupState::Available(_)) {
                    return Err(not_restorable(&part));
                }
                let asked = BackupEvent::RestoreAsked { target: volume.id };
                part.take(asked, now).map_err(|_| not_restorable(&part))?;
                volume.previous_status = Some(volume.status);
                volume.status = VolumeStatus::RestoringBackup;
                volume.updated_at = Some(now);
                changes.push(Change::Save(Row::Volume(volume)));
            }
            // Also those that are not restored: a restore of their own loses the race to this.
            changes.push(Change::Save(Row::Backup(part)));
        }
        let work = Work::Restore {
            backup_id: whole.id,
            volume_id: target,
            fresh: false,
        };
        let mut task = self.backup_task(caller, &whole, work);
        task.volume_id = Some(target);
        task.volume_name = Some(found.name.clone());
        if whole.project_id != found.project_id {
            // A shared backup: what its receiver does is theirs to see, not where its owner keeps it.
            task.project_id = found.project_id.clone();
            task.vault_id = None;
            task.checkpoint_id = None;
        } else if let Some(vault) = whole.vault_id {
            task.vault_name = self.catalog.vault(vault).await?.map(|v| v.name);
        }
        let id = task.id;
        changes.push(Change::Save(Row::Backup(whole)));
        changes.push(Change::Insert(Row::Task(task)));
        // Fences against a volume leaving the server meanwhile.
        changes.push(Change::Save(Row::Server(found)));
        changes.extend(
            self.protect_status(server, ProtectStatus::Restoring)
                .await?,
        );
        self.commit(changes).await?;
        Ok(id)
    }
}

/// Says which volume each part goes to: as mapped, or without any mapping back to where it is from.
fn pair(
    server: ServerId,
    parts: &[Backup],
    disks: &[Volume],
    mappings: &[(BackupId, VolumeId)],
) -> Result<HashMap<BackupId, VolumeId>, ServiceError> {
    let mut asked: Vec<(BackupId, VolumeId)> = mappings.to_vec();
    if asked.is_empty() {
        asked = parts.iter().map(|part| (part.id, part.volume_id)).collect();
    }
    let mut targets: HashMap<BackupId, VolumeId> = HashMap::new();
    for (backup, volume) in asked {
        let part = parts
            .iter()
            .find(|part| part.id == backup)
            .ok_or(ServiceError::NoSuchBackup(backup))?;
        let Some(disk) = disks.iter().find(|disk| disk.id == volume) else {
            return Err(CbrError::TargetOtherServer { volume, server }.into());
        };
        let is_system = part.cinder.source.as_ref().is_some_and(|s| s.bootable);
        if disk.bootable && !is_system {
            return Err(CbrError::TargetSystemDisk(volume).into());
        }
        let twice = targets.values().any(|other| *other == volume);
        if twice || targets.insert(backup, volume).is_some() {
            return Err(invalid(
                "mappings",
                "each backup and each disk can be named once",
            ));
        }
    }
    Ok(targets)
}
