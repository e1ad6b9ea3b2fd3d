//! Settles what a catalog was in the middle of when it was copied.

use emberkeep_catalog::{Change, Row, TaskQuery};
use emberkeep_model::{TaskState, VolumeStatus};

use crate::query::VolumeQuery;
use crate::task::kinds::kind_of;
use crate::task::outcome::Failure;
use crate::{Service, ServiceError};

/// What was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settled {
    /// Tasks that had not ended.
    pub tasks: u64,
    /// Volumes that a task held and that none is about.
    pub volumes: u64,
}

impl Service {
    /// Ends every task of a catalog that came out of a copy, with every row that follows from it:
    /// what the task was about may have gone on, and ended, after the copy was made. Nothing is done
    /// again without being asked for, least of all a restore over a volume that has new data by now.
    pub async fn settle_copied(&self, reason: &str) -> Result<Settled, ServiceError> {
        let mut settled = Settled::default();
        self.ensure_default_type().await?;
        let query = TaskQuery {
            states: vec![TaskState::Waiting.word(), "running"],
            ..TaskQuery::default()
        };
        for mut task in self.catalog.tasks(&query).await?.items {
            let failure = Failure {
                reason: reason.to_owned(),
                late: false,
            };
            let mut changes = kind_of(&task.work)
                .failed(failure)
                .rows(self, &mut task)
                .await?;
            task.state = TaskState::Failed {
                reason: reason.to_owned(),
            };
            task.ended_at = Some(self.now());
            task.updated_at = self.now();
            changes.push(Change::Save(Row::Task(task)));
            self.catalog.apply(changes).await?;
            settled.tasks += 1;
        }
        settled.volumes = self.settle_volumes().await?;
        Ok(settled)
    }

    /// Lets volumes go that were held by what has ended.
    async fn settle_volumes(&self) -> Result<u64, ServiceError> {
        let mut count = 0;
        for mut volume in self.catalog.volumes(&VolumeQuery::default()).await?.items {
            let status = match volume.status {
                VolumeStatus::BackingUp => {
                    volume.previous_status.unwrap_or(VolumeStatus::Available)
                }
                VolumeStatus::RestoringBackup => VolumeStatus::ErrorRestoring,
                VolumeStatus::Creating => VolumeStatus::Error,
                VolumeStatus::Extending => VolumeStatus::ErrorExtending,
                VolumeStatus::Deleting => VolumeStatus::ErrorDeleting,
                VolumeStatus::Available
                | VolumeStatus::InUse
                | VolumeStatus::Error
                | VolumeStatus::ErrorDeleting
                | VolumeStatus::ErrorRestoring
                | VolumeStatus::ErrorExtending
                | VolumeStatus::ErrorBackingUp
                | VolumeStatus::Maintenance
                | VolumeStatus::Reserved
                | VolumeStatus::Attaching
                | VolumeStatus::Detaching
                | VolumeStatus::Managing
                | VolumeStatus::ErrorManaging
                | VolumeStatus::AwaitingTransfer
                | VolumeStatus::Downloading
                | VolumeStatus::Uploading
                | VolumeStatus::Retyping => continue,
            };
            volume.status = status;
            volume.updated_at = Some(self.now());
            self.catalog
                .apply(vec![Change::Save(Row::Volume(volume))])
                .await?;
            count += 1;
        }
        Ok(count)
    }
}
