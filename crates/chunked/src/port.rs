//! The ports through which foreign objects are read and written, and where a backup lies.

use std::io::{self, Read, Write};

use emberkeep_model::{BackupId, Timestamp, VolumeId};

use crate::error::ForeignError;
use crate::names::{check_path, compact_time};

/// Reads objects that others wrote. Blocking; called from many threads.
pub trait ForeignObjects: Send + Sync {
    /// Calls `each` with the name and stored size of every object of the container whose
    /// name starts with `prefix`. A missing container holds none.
    fn list(
        &self,
        container: &str,
        prefix: &str,
        each: &mut dyn FnMut(&str, u64),
    ) -> Result<(), ForeignError>;

    /// Opens an object to be read from its beginning.
    fn open(&self, container: &str, name: &str) -> Result<Box<dyn Read + Send>, ForeignError>;
}

/// Writes objects where others will read them. Blocking; called from many threads.
pub trait ForeignSink: Send + Sync {
    /// Starts an object. Nothing stands under its name until it is finished, and nothing
    /// that stands there is replaced.
    fn create(&self, container: &str, name: &str) -> Result<Box<dyn SinkObject>, ForeignError>;

    /// Removes an object; a missing one is fine.
    fn remove(&self, container: &str, name: &str) -> Result<(), ForeignError>;
}

/// An object being written; dropping it unfinished leaves nothing.
pub trait SinkObject: Write + Send {
    /// Gives the object its name, durably.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

/// Where one backup's objects lie: a container, and what their names begin with. Cinder's
/// records call the latter `service_metadata`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Location {
    container: String,
    prefix: String,
}

impl Location {
    /// Takes what a backup's record says, refusing names that could lead elsewhere. An empty
    /// container is the repository's own directory.
    pub fn new(
        container: impl Into<String>,
        prefix: impl Into<String>,
    ) -> Result<Self, ForeignError> {
        let (container, prefix) = (container.into(), prefix.into());
        if !container.is_empty() {
            check_path(&container).map_err(|reason| bad_name(&container, reason))?;
        }
        check_path(&prefix).map_err(|reason| bad_name(&prefix, reason))?;
        Ok(Self { container, prefix })
    }

    /// Names a new backup as the drivers for directories do (`posix`, `nfs`, `glusterfs`).
    pub fn in_directory(
        backup: BackupId,
        volume: VolumeId,
        started: Timestamp,
        container: Option<&str>,
    ) -> Result<Self, ForeignError> {
        let id = backup.to_string();
        let own = || format!("{}/{}/{id}", &id[..2], &id[2..4]);
        let time = compact_time(started);
        Self::new(
            container.map_or_else(own, str::to_owned),
            format!("volume_{volume}_{time}_backup_{id}"),
        )
    }

    /// Names a new backup as the drivers for object stores do (`swift`, `s3`, `gcs`).
    pub fn in_object_store(
        backup: BackupId,
        volume: VolumeId,
        started: Timestamp,
        (zone, container): (&str, Option<&str>),
    ) -> Result<Self, ForeignError> {
        let time = compact_time(started);
        Self::new(
            container.unwrap_or("volumebackups"),
            format!("volume_{volume}/{time}/az_{zone}_backup_{backup}"),
        )
    }

    /// Returns the container: a directory below the repository, or a bucket.
    pub fn container(&self) -> &str {
        &self.container
    }

    /// Returns what the names of all its objects begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns the name of the object that describes the backup.
    pub fn metadata_name(&self) -> String {
        format!("{}_metadata", self.prefix)
    }

    /// Returns the name of the object with the hashes of the volume's blocks.
    pub fn sha256_name(&self) -> String {
        format!("{}_sha256file", self.prefix)
    }

    /// Returns the name of a data object; the first is number 1.
    pub fn object_name(&self, number: u32) -> String {
        format!("{}-{number:05}", self.prefix)
    }
}

fn bad_name(name: &str, reason: &'static str) -> ForeignError {
    ForeignError::BadName {
        name: name.to_owned(),
        reason,
    }
}

/// Follows a long operation, and may stop it.
pub trait Watch: Sync {
    /// Tells that so many bytes more of the volume are dealt with.
    fn advance(&self, bytes: u64) {
        let _ = bytes;
    }

    /// Tells whether to stop; asked every megabyte or so.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Watches nothing.
impl Watch for () {}
