//! Volumes, snapshots, backups and what bounds them, through the Block Storage API
//! (`cinder-backup.md §2`). The newest microversion that both sides know is spoken.

mod actions;
mod attachments;
mod backups;
mod limits;
mod messages;
mod metadata;
mod query;
mod services;
mod snapshots;
mod types;
mod volumes;

use emberkeep_wire::keyed::{Keyed, Many};
use serde::de::DeserializeOwned;

use crate::connection::{Call, Connection, Face};
use crate::error::SdkError;
use crate::pages::{Pages, Turning};
use crate::version::Microversion;

pub use backups::RestoreTo;
// One definition of each shape: what this client sends is what the service reads, and what the
// service writes is what this client reads.
pub use emberkeep_model::{SnapshotStatus, VolumeStatus};
pub use emberkeep_wire::cinder::ask::{
    BackupChange, NewAttachment, NewBackup, NewSnapshot, NewVolume, NewVolumeType, SnapshotChange,
    VolumeChange, VolumeTypeChange,
};
pub use emberkeep_wire::cinder::{
    AbsoluteLimits, AttachmentDetail as Attachment, AttachmentSummary, AvailabilityZone,
    BackupDetail as Backup, BackupSummary, ConnectionInfo, Field, Link, MessageView as Message,
    PoolView as Pool, QuotaSet, QuotaUsage, RecordView as BackupRecord, ResourceFilters,
    RestoreStarted, ServiceView as Service, Settled, SnapshotView as Snapshot,
    TypeAccessView as TypeAccess, VolumeAttachment, VolumeDetail as Volume,
    VolumeTotals as VolumeSummary, VolumeTypeView as VolumeType, ZoneState,
};
pub use limits::QuotaUsages;
pub use query::{AttachmentQuery, BackupQuery, MessageQuery, SnapshotQuery, VolumeQuery};

/// The Block Storage API of a connection.
#[derive(Debug, Clone)]
pub struct BlockStorage {
    connection: Connection,
}

impl BlockStorage {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection }
    }

    async fn one<T: Keyed + DeserializeOwned>(&self, call: Call) -> Result<T, SdkError> {
        self.connection.keyed(Face::BlockStorage, &call).await
    }

    async fn whole<T: DeserializeOwned>(&self, call: Call) -> Result<T, SdkError> {
        self.connection.json(Face::BlockStorage, &call).await
    }

    async fn done(&self, call: Call) -> Result<(), SdkError> {
        self.connection.done(Face::BlockStorage, &call).await
    }

    /// Lists at length; lists lie under the word that their address ends in.
    fn detailed<T: Many + DeserializeOwned + Send + 'static>(
        &self,
        narrow: impl FnOnce(Call) -> Call,
    ) -> Pages<T> {
        let call = narrow(Call::get([T::LIST_KEY, "detail"]));
        Pages::new(&self.connection, Face::BlockStorage, Turning::Links, call)
    }

    /// Refuses what the service is too old for, before it misunderstands.
    async fn needs(&self, what: &'static str, needs: Microversion) -> Result<(), SdkError> {
        let has = self.connection.block_storage_version().await?;
        if has < needs {
            return Err(SdkError::TooOld { what, needs, has });
        }
        Ok(())
    }
}

/// Takes the only one that bears the name: services may filter more loosely than by equality.
fn only_named<T>(
    noun: &'static str,
    name: &str,
    mut found: Vec<T>,
    name_of: impl Fn(&T) -> Option<&str>,
) -> Result<Option<T>, SdkError> {
    found.retain(|item| name_of(item) == Some(name));
    match found.len() {
        0 | 1 => Ok(found.pop()),
        count => Err(SdkError::Ambiguous {
            noun,
            name: name.to_owned(),
            count,
        }),
    }
}

/// Turns an answer about one thing into nothing where there is no such thing.
fn there<T>(answer: Result<T, SdkError>) -> Result<Option<T>, SdkError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(SdkError::BadId { .. }) => Ok(None),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
