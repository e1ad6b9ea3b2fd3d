//! Backups that Cinder's chunked drivers wrote: where they lie, and the true chains they are in
//! (`cinder-backup.md §3.5`, §4). What lies there is only ever read.

use std::sync::Arc;

use emberkeep_chunked::{
    Chain, ChunkedError, ForeignError, ForeignObjects, Layer, Location, VolumeMeta, Watch,
};
use emberkeep_engine::Run;
use emberkeep_model::{ForeignPlace, SourceFacts};

/// A driver that writes the chunked format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkedDriver {
    /// A directory.
    Posix,
    /// A directory on an NFS share.
    Nfs,
    /// A directory on a GlusterFS share.
    GlusterFs,
    /// Containers of OpenStack Swift.
    Swift,
    /// Buckets of S3.
    S3,
    /// Buckets of Google Cloud Storage.
    Gcs,
}

impl ChunkedDriver {
    /// All there are.
    pub const ALL: [Self; 6] = [
        Self::Posix,
        Self::Nfs,
        Self::GlusterFs,
        Self::Swift,
        Self::S3,
        Self::Gcs,
    ];

    /// Returns its short name, as a configuration has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Posix => "posix",
            Self::Nfs => "nfs",
            Self::GlusterFs => "glusterfs",
            Self::Swift => "swift",
            Self::S3 => "s3",
            Self::Gcs => "gcs",
        }
    }

    /// Returns its class path, as records have it.
    pub fn class_path(self) -> &'static str {
        match self {
            Self::Posix => "cinder.backup.drivers.posix.PosixBackupDriver",
            Self::Nfs => "cinder.backup.drivers.nfs.NFSBackupDriver",
            Self::GlusterFs => "cinder.backup.drivers.glusterfs.GlusterfsBackupDriver",
            Self::Swift => "cinder.backup.drivers.swift.SwiftBackupDriver",
            Self::S3 => "cinder.backup.drivers.s3.S3BackupDriver",
            Self::Gcs => "cinder.backup.drivers.gcs.GoogleBackupDriver",
        }
    }

    /// Tells whether a record's class path means this driver: records may hold the beginning of
    /// it, and older ones another name.
    pub fn is_meant_by(self, recorded: &str) -> bool {
        const OLD_GCS: &str = "cinder.backup.drivers.google.GoogleBackupDriver";
        let all = "cinder.backup.drivers.";
        (recorded.len() > all.len() && self.class_path().starts_with(recorded))
            || (self == Self::Gcs && recorded == OLD_GCS)
    }
}

/// A place that was configured, where Cinder keeps backups.
#[derive(Clone)]
pub struct ForeignRepository {
    /// What messages call it.
    pub name: String,
    /// The drivers whose backups lie there.
    pub drivers: Vec<ChunkedDriver>,
    /// Reads what lies there.
    pub objects: Arc<dyn ForeignObjects>,
}

/// Why a backup that lies elsewhere cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForeignFault {
    #[error("no repository of {0} is configured here")]
    NoRepository(String),
    #[error("{object} does not exist in {repositories}")]
    NotFound {
        object: String,
        repositories: String,
    },
    #[error(transparent)]
    Place(#[from] ForeignError),
    #[error(transparent)]
    Chunked(#[from] ChunkedError),
}

/// Counts for a task what is read and written elsewhere.
pub(crate) struct Counting<'a>(pub(crate) &'a Run);

impl Watch for Counting<'_> {
    fn advance(&self, bytes: u64) {
        self.0.add_done(bytes);
    }

    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

/// Finds the repository that holds a backup. Blocking.
pub(crate) fn holder(
    repositories: &[ForeignRepository],
    place: &ForeignPlace,
) -> Result<(Arc<dyn ForeignObjects>, Location), ForeignFault> {
    let location = location_of(place)?;
    let object = location.metadata_name();
    let means = |repository: &&ForeignRepository| {
        let mut drivers = repository.drivers.iter();
        drivers.any(|driver| driver.is_meant_by(&place.driver))
    };
    let (mut failed, mut names) = (None, Vec::new());
    for repository in repositories.iter().filter(means) {
        let mut there = false;
        let listed = repository
            .objects
            .list(location.container(), &object, &mut |name, _| {
                there |= name == object;
            });
        match listed {
            Ok(()) if there => return Ok((Arc::clone(&repository.objects), location)),
            Ok(()) => {}
            Err(error) => failed = Some(error),
        }
        names.push(repository.name.as_str());
    }
    match failed {
        Some(error) => Err(error.into()),
        None if names.is_empty() => Err(ForeignFault::NoRepository(place.driver.clone())),
        None => Err(ForeignFault::NotFound {
            object: format!("{}/{object}", location.container()),
            repositories: names.join(", "),
        }),
    }
}

/// Reads the descriptions of a backup and of those it builds on, which lie at `places`, newest
/// first. Blocking.
pub(crate) fn open_chain(
    repositories: &[ForeignRepository],
    places: &[ForeignPlace],
) -> Result<(Arc<dyn ForeignObjects>, Chain), ForeignFault> {
    let mut places = places.iter();
    let newest = places
        .next()
        .ok_or_else(|| ForeignFault::NoRepository(String::new()))?;
    let (objects, location) = holder(repositories, newest)?;
    let chain = Chain::load(objects.as_ref(), &location, |_| {
        places
            .next()
            .map(location_of)
            .transpose()
            .map_err(Into::into)
    })?;
    Ok((objects, chain))
}

fn location_of(place: &ForeignPlace) -> Result<Location, ForeignError> {
    Location::new(place.container.as_str(), place.prefix.as_str())
}

/// Puts together what a chain remembers of its volume: each backup's word replaces that of those
/// it builds on, as restoring them one after the other would (`cinder-backup.md §4.4`).
pub(crate) fn source_of(layers: &[Layer]) -> Option<SourceFacts> {
    let oldest_first = layers.iter().rev();
    let metas = oldest_first.filter_map(|layer| {
        let text = layer.volume_meta.as_ref()?;
        match VolumeMeta::parse(text) {
            Ok(meta) => Some(meta),
            Err(error) => {
                // The bytes are what a backup is for; Cinder gives up here.
                tracing::warn!(backup_id = %layer.backup_id, %error, "a volume's metadata is left out");
                None
            }
        }
    });
    metas.fold(None, |facts, meta| {
        let mut facts = facts.unwrap_or_default();
        facts.name = meta.text("display_name").map(str::to_owned);
        facts.description = meta.text("display_description").map(str::to_owned);
        if meta.version >= 2 {
            let pairs = |fields: &emberkeep_chunked::Fields| {
                let fields = fields.0.iter();
                fields
                    .map(|(key, value)| {
                        let text = value.as_str().map(str::to_owned);
                        (key.clone(), text.unwrap_or_else(|| value.to_string()))
                    })
                    .collect()
            };
            if let Some(metadata) = &meta.metadata {
                facts.metadata = pairs(metadata);
            }
            if let Some(image) = &meta.image {
                facts.image_metadata = pairs(image);
                facts.bootable = true;
            }
        }
        Some(facts)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_paths_mean_drivers() {
        for (recorded, want) in [
            (
                "cinder.backup.drivers.posix.PosixBackupDriver",
                Some("posix"),
            ),
            ("cinder.backup.drivers.posix", Some("posix")),
            (
                "cinder.backup.drivers.google.GoogleBackupDriver",
                Some("gcs"),
            ),
            (
                "cinder.backup.drivers.swift.SwiftBackupDriver",
                Some("swift"),
            ),
            ("cinder.backup.drivers.ceph.CephBackupDriver", None),
            ("cinder.backup.drivers.", None),
            ("", None),
            ("posix", None),
        ] {
            let mut drivers = ChunkedDriver::ALL.into_iter();
            let found = drivers.find(|driver| driver.is_meant_by(recorded));
            assert_eq!(found.map(ChunkedDriver::word), want, "{recorded}");
        }
    }
}
