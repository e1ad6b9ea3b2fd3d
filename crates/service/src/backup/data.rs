//! A backup's bytes, for whoever takes them elsewhere.

use std::sync::Arc;

use emberkeep_chunked::{Chain, ForeignObjects, restore};
use emberkeep_engine::{RestoreError, Run};
use emberkeep_model::{Backup, BackupId, ByteCount, Caller};
use emberkeep_volumes::RestoreTarget;

use crate::backup::restores::not_restorable;
use crate::foreign::repository::{Counting, ForeignFault, open_chain};
use crate::replica::regions::Place;
use crate::repository::damage::queue::DamageQueue;
use crate::{Service, ServiceError};

/// A backup that is there to be read.
pub struct OpenBackup {
    /// The backup.
    pub backup: Backup,
    size: ByteCount,
    content: Content,
}

#[expect(clippy::large_enum_variant, reason = "one for each stream under way")]
enum Content {
    Ours {
        place: Place,
        backup: BackupId,
        damage: Arc<DamageQueue>,
    },
    Foreign(Arc<dyn ForeignObjects>, Chain),
}

/// Why a backup's bytes cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ReadBackupError {
    /// The repository, or who takes the bytes, failed.
    #[error(transparent)]
    Ours(#[from] RestoreError),
    /// The place where Cinder keeps it, or who takes the bytes, failed.
    #[error(transparent)]
    Foreign(#[from] emberkeep_chunked::ChunkedError),
}

impl Service {
    /// Opens a backup so that its bytes can be taken elsewhere.
    pub async fn read_backup(
        &self,
        caller: &Caller,
        id: BackupId,
    ) -> Result<OpenBackup, ServiceError> {
        let backup = self.visible_backup(caller, id).await?;
        // An operator who has narrowed restores has narrowed who gets the bytes.
        self.allow(caller, "backup:read_data")?;
        self.allow(caller, "backup:restore")?;
        if backup.state.sealed().is_none() {
            return Err(not_restorable(&backup));
        }
        if backup.foreign().is_some() {
            let (places, missing) = self.places_of(&backup).await?;
            if let Some(missing) = missing {
                return Err(missing.into());
            }
            let repositories = Arc::clone(&self.foreign);
            let opened = self.blocking("reading a chain of Cinder's", move || {
                open_chain(&repositories, &places)
            });
            let (objects, chain) = opened.await?;
            return Ok(OpenBackup {
                backup,
                size: chain.end(),
                content: Content::Foreign(objects, chain),
            });
        }
        let (_, content) = backup.content();
        let place = self.place_of(&backup)?;
        let from = place.clone();
        let manifest = self
            .blocking("reading a manifest", move || from.open()?.manifest(content))
            .await?;
        Ok(OpenBackup {
            size: manifest.size,
            content: Content::Ours {
                place,
                backup: content,
                damage: Arc::clone(&self.damage),
            },
            backup,
        })
    }
}

impl OpenBackup {
    /// Returns the exact size of what was backed up.
    pub fn size(&self) -> ByteCount {
        self.size
    }

    /// Hands every byte that is not zero to `target`, in any order; blocking. `target` may be
    /// called from several threads, and what it refuses ends the reading.
    pub fn write_to(&self, target: &dyn RestoreTarget, run: &Run) -> Result<(), ReadBackupError> {
        match &self.content {
            Content::Ours {
                place,
                backup,
                damage,
            } => {
                let read = || place.open()?.restore(*backup, target, run);
                let read: Result<_, RestoreError> = read();
                read.inspect_err(|error| damage.met(self.backup.id, error))?;
            }
            Content::Foreign(objects, chain) => {
                restore(chain, objects.as_ref(), target, &Counting(run))?;
            }
        }
        Ok(())
    }
}

impl From<ForeignFault> for crate::blocking::Inner {
    fn from(fault: ForeignFault) -> Self {
        Self::of(fault)
    }
}
