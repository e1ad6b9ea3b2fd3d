//! Backing up a server and restoring one: its volumes are frozen together before any of them is
//! copied, and each copy is settled as it ends, so that a crash costs no more than one of them.

use std::sync::Arc;

use emberkeep_catalog::{Change, Row};
use emberkeep_engine::Run;
use emberkeep_model::{
    Backup, BackupEvent, BackupState, ByteCount, Sealed, Task, Timestamp, VolumeId, VolumeStatus,
};
use emberkeep_volumes::SourceSnapshot;

use crate::backup::restored::Restored;
use crate::race::racing;
use crate::task::outcome::{Stop, Verdict, Wanted};
use crate::{Service, ServiceError};

impl Service {
    /// Backs up the volumes of a server, all of one instant.
    pub(crate) async fn act_backup_server(
        &self,
        task: &Task,
        whole: &Backup,
        run: &Run,
    ) -> Result<Sealed, Stop> {
        let parts = self.claim_parts(whole).await?;
        let frozen = self.freeze_parts(task, &parts).await?;
        for part in &parts {
            self.let_go(part).await?;
        }
        run.plan(parts.iter().map(|part| part.size.bytes().0).sum());
        let mut failures = Vec::new();
        for (part, source) in parts.iter().zip(frozen) {
            match &part.state {
                // Done before a crash.
                state if state.sealed().is_some() => run.add_done(part.size.bytes().0),
                BackupState::Copying => {
                    let event = match self
                        .copy_volume(part, Some((whole, parts.len())), source, run)
                        .await
                    {
                        Ok(sealed) => BackupEvent::Sealed(sealed),
                        Err(Stop::Failed(reason)) => {
                            failures.push(failure(part, &reason));
                            BackupEvent::Stopped { reason }
                        }
                        Err(stopped) => return Err(stopped),
                    };
                    self.settle_part(task, part, event).await?;
                }
                other => failures.push(failure(part, &format!("it is {other} by now"))),
            }
        }
        if !failures.is_empty() {
            return Err(Stop::Failed(failures.join("; ")));
        }
        let parts = self.parts_of(whole).await?;
        let sealed: Option<Vec<Sealed>> = parts.iter().map(|part| part.state.sealed()).collect();
        match sealed {
            Some(sealed) => Ok(sum(&sealed)),
            None => Err(Stop::Failed("a part of it is not complete".into())),
        }
    }

    /// Marks the parts of a server's backup as being copied, those that are complete excepted.
    pub(crate) async fn claim_parts(&self, whole: &Backup) -> Result<Vec<Backup>, Stop> {
        let parts = racing(|| async {
            let mut parts = self.parts_of(whole).await?;
            let mut changes = Vec::new();
            for part in &mut parts {
                if Wanted::Copy.by(&part.state)
                    && part.take(BackupEvent::Claimed, self.now()).is_ok()
                {
                    changes.push(Change::Save(Row::Backup(part.clone())));
                    part.revision += 1;
                }
            }
            self.commit(changes).await?;
            Ok(parts)
        })
        .await?;
        Ok(parts)
    }

    /// Freezes the volumes of all parts together. Where something was copied before a crash, the
    /// freezes of that time are taken up again: others would be of another instant.
    async fn freeze_parts(
        &self,
        task: &Task,
        parts: &[Backup],
    ) -> Result<Vec<Box<dyn SourceSnapshot>>, Stop> {
        let provider = Arc::clone(&self.volumes);
        let volumes: Vec<(VolumeId, String)> = parts
            .iter()
            .map(|part| (part.volume_id, format!("{}.{}", task.id, part.id)))
            .collect();
        let has_copied = parts.iter().any(|part| part.state.sealed().is_some());
        let frozen = self
            .blocking("freezing the volumes of the server", move || {
                if !has_copied {
                    return provider.freeze_together(&volumes).map(Some);
                }
                let mut frozen = Vec::with_capacity(volumes.len());
                for (_, name) in &volumes {
                    match provider.reopen_freeze(name)? {
                        Some(source) => frozen.push(source),
                        None => return Ok(None),
                    }
                }
                Ok(Some(frozen))
            })
            .await?;
        frozen.ok_or_else(|| {
            Stop::Failed("a frozen volume is gone, and with it the instant of the backup".into())
        })
    }

    /// Writes how one part ended, if the task is still ours.
    pub(crate) async fn settle_part(
        &self,
        task: &Task,
        part: &Backup,
        event: BackupEvent,
    ) -> Result<(), Stop> {
        racing(|| async {
            let Some(row) = self.still_ours(task).await? else {
                return Ok(());
            };
            let Some(mut part) = self.catalog.backup(part.id).await? else {
                return Ok(());
            };
            // An administrator may have moved it on meanwhile; then it is no longer ours.
            if !Wanted::Copy.by(&part.state) || part.take(event.clone(), self.now()).is_err() {
                return Ok(());
            }
            let mut changes = Vec::new();
            if let BackupEvent::Sealed(sealed) = &event {
                changes.extend(self.count_dependent(&part, 1).await?);
                let filled = self.vault_filled(part.vault_id, sealed.stored);
                changes.extend(filled.await?);
            }
            changes.push(Change::Save(Row::Backup(part)));
            // Saving the task's row fences against whoever may have claimed it meanwhile.
            changes.push(Change::Save(Row::Task(row)));
            self.commit(changes).await
        })
        .await?;
        Ok(())
    }

    /// Returns the changes of the parts of a server's backup that its task leaves unfinished, and
    /// gives back the volumes that they still hold.
    pub(crate) async fn parts_stopped(
        &self,
        whole: &Backup,
        reason: &str,
        ended: VolumeStatus,
    ) -> Result<(Vec<Backup>, Vec<Change>), ServiceError> {
        let (mut changed, mut changes) = (Vec::new(), Vec::new());
        for mut part in self.parts_of(whole).await? {
            let stopped = BackupEvent::Stopped {
                reason: reason.to_owned(),
            };
            if Wanted::Copy.by(&part.state) && part.take(stopped, self.now()).is_ok() {
                changes.extend(self.volume_back(&part, ended).await?);
                changed.push(part.clone());
                changes.push(Change::Save(Row::Backup(part)));
            }
        }
        Ok((changed, changes))
    }

    /// Restores the parts of a server's backup that were asked for, one after the other.
    pub(crate) async fn act_restore_server(
        &self,
        task: &Task,
        whole: &Backup,
        run: &Run,
    ) -> Result<(), Stop> {
        let wanted: Vec<(Backup, VolumeId)> = self.parts_to_restore(whole).await?;
        run.plan(wanted.iter().map(|(part, _)| part.size.bytes().0).sum());
        for (part, volume) in wanted {
            let claimed = self.claim_backup(part.id, Wanted::Restore(volume)).await?;
            self.write_volume(&claimed, volume, false, run)
                .await
                .map_err(|stop| match stop {
                    Stop::Failed(reason) => Stop::Failed(failure(&part, &reason)),
                    other => other,
                })?;
            racing(|| async {
                let Some(row) = self.still_ours(task).await? else {
                    return Ok(());
                };
                let verdict = Verdict::Done(Restored::AsRecorded);
                let found = self.catalog.backup(part.id).await?;
                let mut changes = self
                    .rows_volume_restored(task, found, volume, false, &verdict)
                    .await?;
                changes.push(Change::Save(Row::Task(row)));
                self.commit(changes).await
            })
            .await?;
        }
        Ok(())
    }

    /// Lists the parts that the running restore of the whole is to write, and where to.
    async fn parts_to_restore(
        &self,
        whole: &Backup,
    ) -> Result<Vec<(Backup, VolumeId)>, ServiceError> {
        let parts = self.parts_of(whole).await?;
        Ok(parts
            .into_iter()
            .filter_map(|part| match part.state {
                BackupState::RestoreQueued { target, .. }
                | BackupState::Restoring { target, .. } => Some((part, target)),
                _ => None,
            })
            .collect())
    }

    /// Returns the rows of the parts that follow from how the restore of the whole ended. A volume
    /// that was being written is not to be trusted; one that was not begun is as it was.
    pub(crate) async fn rows_parts_restored(
        &self,
        task: &Task,
        whole: &Backup,
        verdict: &Verdict<Restored>,
    ) -> Result<Vec<Change>, ServiceError> {
        let mut changes = Vec::new();
        for (part, volume) in self.parts_to_restore(whole).await? {
            if matches!(part.state, BackupState::Restoring { .. }) {
                changes.extend(
                    self.rows_volume_restored(task, Some(part), volume, false, verdict)
                        .await?,
                );
                continue;
            }
            let mut part = part;
            if part.take(BackupEvent::RestoreEnded, self.now()).is_ok() {
                changes.push(Change::Save(Row::Backup(part)));
            }
            if let Some(mut row) = self.catalog.volume(volume).await?
                && row.status == VolumeStatus::RestoringBackup
            {
                row.status = row.previous_status.unwrap_or(VolumeStatus::Available);
                row.updated_at = Some(self.now());
                changes.push(Change::Save(Row::Volume(row)));
            }
        }
        Ok(changes)
    }
}

/// Says of which volume something failed.
fn failure(part: &Backup, reason: &str) -> String {
    let id = part.volume_id;
    match &part.volume_name {
        Some(name) => format!("volume {name} ({id}): {reason}"),
        None => format!("volume {id}: {reason}"),
    }
}

/// Sums what is known of the parts of a whole.
pub(crate) fn sum(parts: &[Sealed]) -> Sealed {
    let total = |of: fn(&Sealed) -> ByteCount| ByteCount(parts.iter().map(|part| of(part).0).sum());
    Sealed {
        at: parts.iter().map(|p| p.at).max().unwrap_or(Timestamp(0)),
        read: total(|p| p.read),
        data: total(|p| p.data),
        new: total(|p| p.new),
        stored: total(|p| p.stored),
    }
}
