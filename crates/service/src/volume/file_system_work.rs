//! Backing up a file system and restoring one. Its tree of files is written as one image first,
//! which is then copied as a frozen volume is; a restore goes the other way.

use std::path::Path;
use std::sync::Arc;

use emberkeep_catalog::{Change, Row};
use emberkeep_engine::{RestoreError, Run};
use emberkeep_model::{Backup, BackupState, DamageFinder, FileSystem, FileSystemId, Sealed, Task};
use emberkeep_volumes::{TreeReport, TreeTarget};

use crate::error::chain;
use crate::race::racing;
use crate::task::outcome::Stop;
use crate::{CbrError, Service, ServiceError};

impl Service {
    pub(crate) async fn act_backup_file_system(
        &self,
        task: &Task,
        backup: &Backup,
        run: &Run,
    ) -> Result<Sealed, Stop> {
        let system = self
            .file_system_there(FileSystemId::from(backup.resource_id()))
            .await?;
        let (root, below) = self.allowed(Path::new(&system.path))?;
        let (provider, freeze) = (Arc::clone(&self.volumes), task.id.to_string());
        let (source, report) = self
            .blocking("reading the file system", move || {
                provider.freeze_tree(&root, &below, &freeze)
            })
            .await?;
        self.tell(task, &system, &report).await?;
        self.note_size(system.id, source.size()).await?;
        self.copy_volume(backup, None, source, run).await
    }

    pub(crate) async fn act_restore_file_system(
        &self,
        task: &Task,
        backup: &Backup,
        run: &Run,
    ) -> Result<(), Stop> {
        let target = match &backup.state {
            BackupState::Restoring { target, .. } => FileSystemId(target.0),
            other => return Err(Stop::Failed(format!("the backup is {other} by now"))),
        };
        let system = self.file_system_there(target).await?;
        let (root, path) = self.allowed(Path::new(&system.path))?;
        let (provider, freeze) = (Arc::clone(&self.volumes), task.id.to_string());
        // A copy lies in another region.
        let (place, copy) = (self.place_of(backup)?, run.clone());
        let (_, content) = backup.content();
        let image = freeze.clone();
        let written = tokio::task::spawn_blocking(move || {
            let project = place.open().map_err(RestoreError::from)?;
            let size = project.manifest(content).map_err(RestoreError::from)?.size;
            let target = provider.tree_image(&image, size);
            let target = target.map_err(RestoreError::from)?;
            project.restore(content, target.as_ref(), &copy)
        })
        .await;
        match written {
            Ok(Ok(_)) => {}
            Ok(Err(RestoreError::Cancelled)) => return Err(Stop::Cancelled),
            Ok(Err(error)) => {
                self.damage_of_restore(backup, &error, DamageFinder::Restore, run)
                    .await;
                return Err(Stop::Failed(chain(&error)));
            }
            Err(panicked) => {
                return Err(Stop::Failed(format!("the restore ended badly: {panicked}")));
            }
        }
        let provider = Arc::clone(&self.volumes);
        let target = TreeTarget {
            root,
            path,
            attempt: freeze.clone(),
        };
        let report = self
            .blocking("writing the file system", move || {
                provider.unpack_tree(&freeze, &target)
            })
            .await?;
        self.tell(task, &system, &report).await?;
        Ok(())
    }

    async fn file_system_there(&self, id: FileSystemId) -> Result<FileSystem, Stop> {
        let found = self.catalog.file_system(id).await;
        let found = found.map_err(ServiceError::from)?;
        Ok(found.ok_or_else(|| ServiceError::from(CbrError::NoSuchFileSystem(id)))?)
    }

    /// Says in the task, and in the log, what is not quite as it was: what was left out, what
    /// changed while it was read.
    async fn tell(
        &self,
        task: &Task,
        system: &FileSystem,
        report: &TreeReport,
    ) -> Result<(), ServiceError> {
        if report.noted == 0 {
            return Ok(());
        }
        tracing::warn!(
            task_id = %task.id,
            file_system_id = %system.id,
            noted = report.noted,
            notes = report.notes.join("; "),
            "a tree of files has things that are not quite as they were"
        );
        let mut notes = report.notes.clone();
        let more = report.noted.saturating_sub(notes.len() as u64);
        if more > 0 {
            notes.push(format!("and {more} more"));
        }
        racing(|| async {
            let Some(mut row) = self.still_ours(task).await? else {
                return Ok(());
            };
            row.notes.clone_from(&notes);
            self.commit(vec![Change::Save(Row::Task(row))]).await
        })
        .await
    }
}
