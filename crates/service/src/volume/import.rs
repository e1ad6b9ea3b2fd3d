//! A volume filled from outside: its bytes arrive in pieces, and it becomes
//! available when all of them are durable.

use std::sync::Arc;

use bytes::Bytes;
use emberkeep_catalog::{Change, Row, VolumeQuery};
use emberkeep_model::{ByteCount, Caller, TaskState, Volume, VolumeStatus};
use emberkeep_volumes::{RestoreTarget, TargetState};

use crate::error::invalid;
use crate::query::TaskQuery;
use crate::race::racing;
use crate::{NewVolume, Service, ServiceError};

/// A volume being filled. Dropped before [`finish`](Self::finish), it is removed again.
pub struct VolumeImport {
    /// The volume, which is `creating`.
    pub volume: Volume,
    service: Service,
    target: Arc<dyn RestoreTarget>,
    bytes: ByteCount,
    finished: bool,
}

impl Service {
    /// Begins a volume that is filled from outside with exactly `bytes` bytes; the volume's size
    /// is rounded up to whole GiB, and what is not written reads as zeroes.
    pub async fn begin_import(
        &self,
        caller: &Caller,
        new: NewVolume,
        bytes: ByteCount,
    ) -> Result<VolumeImport, ServiceError> {
        self.allow(caller, "volume:create")?;
        self.check_space()?;
        if bytes.0 == 0 {
            return Err(invalid("size_bytes", "an empty image cannot be a volume"));
        }
        let volume = racing(|| async {
            let volume = self.new_volume(caller, &new, bytes.to_gib_ceil()).await?;
            let _turn = self.quota_turn(&volume.project_id).await;
            let reserved = self.reserve_volume(&volume).await?;
            self.commit(vec![Change::Insert(Row::Volume(volume.clone())), reserved])
                .await?;
            Ok(volume)
        })
        .await?;
        let (provider, id, size) = (Arc::clone(&self.volumes), volume.id, volume.size.bytes());
        let made = self
            .blocking("making the volume", move || {
                provider.create(id, size)?;
                provider.open_target(id, TargetState::Zeroed)
            })
            .await;
        match made {
            Ok(target) => Ok(VolumeImport {
                volume,
                service: self.clone(),
                target: Arc::from(target),
                bytes,
                finished: false,
            }),
            Err(error) => {
                self.abandon_import(volume).await;
                Err(error)
            }
        }
    }

    /// Removes what is left of an import that will not be finished.
    async fn abandon_import(&self, volume: Volume) {
        let (provider, id) = (Arc::clone(&self.volumes), volume.id);
        let removed = self
            .blocking("removing the volume", move || provider.delete(id))
            .await;
        let gone = match removed {
            Ok(()) => self.commit(vec![Self::volume_gone(&volume)]).await,
            Err(error) => Err(error),
        };
        if let Err(error) = gone {
            tracing::warn!(volume_id = %volume.id, %error, "an unfinished import could not be removed");
        }
    }

    /// Marks imports that a crash cut short, so that no volume stays `creating` for ever.
    /// Call it at start-up, before requests are taken.
    pub async fn recover_imports(&self) -> Result<(), ServiceError> {
        let query = VolumeQuery {
            status: Some(VolumeStatus::Creating.as_str().into()),
            ..VolumeQuery::default()
        };
        for mut volume in self.catalog.volumes(&query).await?.items {
            let query = TaskQuery {
                volume: Some(volume.id),
                states: vec![TaskState::Waiting.word(), "running"],
                ..TaskQuery::default()
            };
            if self.catalog.tasks(&query).await?.items.is_empty() {
                tracing::warn!(volume_id = %volume.id, "its import was cut short");
                volume.status = VolumeStatus::Error;
                volume.updated_at = Some(self.now());
                self.commit(vec![Change::Save(Row::Volume(volume))]).await?;
            }
        }
        Ok(())
    }
}

impl VolumeImport {
    /// Writes one piece; the pieces may come in any order.
    pub async fn write(&self, offset: u64, bytes: Bytes) -> Result<(), ServiceError> {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if offset
            .checked_add(length)
            .is_none_or(|end| end > self.bytes.0)
        {
            return Err(invalid(
                "offset",
                format!(
                    "{length} bytes at {offset} reach beyond the image's {} bytes",
                    self.bytes.0
                ),
            ));
        }
        let target = Arc::clone(&self.target);
        self.service
            .blocking("writing the volume", move || {
                target.write_at(offset, &bytes)
            })
            .await
    }

    /// Makes everything durable and the volume available.
    pub async fn finish(mut self) -> Result<Volume, ServiceError> {
        let target = Arc::clone(&self.target);
        self.service
            .blocking("writing the volume", move || target.finish())
            .await?;
        let volume = racing(|| async {
            let found = self.service.catalog.volume(self.volume.id).await?;
            let mut volume = found.ok_or(ServiceError::NoSuchVolume(self.volume.id))?;
            volume.status = VolumeStatus::Available;
            volume.updated_at = Some(self.service.now());
            self.service
                .commit(vec![Change::Save(Row::Volume(volume.clone()))])
                .await?;
            volume.revision += 1;
            Ok(volume)
        })
        .await?;
        self.finished = true;
        Ok(volume)
    }
}

impl Drop for VolumeImport {
    fn drop(&mut self) {
        if !self.finished {
            let (service, volume) = (self.service.clone(), self.volume.clone());
            tokio::spawn(async move { service.abandon_import(volume).await });
        }
    }
}
