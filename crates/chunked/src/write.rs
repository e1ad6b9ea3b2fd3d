//! Writes a volume as a chunked backup, file for file as Cinder does.
//!
//! Threads take chunks of the volume in order; each hashes, compresses and stores its own.
//! What is listed of them is written down in the order of the volume. Data first, then the
//! hashes, the description last: a backup is complete once that exists.

mod crew;
mod pieces;
mod store;

use std::io;
use std::sync::mpsc::{Receiver, sync_channel};

use emberkeep_model::{BackupId, Timestamp, VolumeId};
use emberkeep_volumes::SourceSnapshot;

use crate::compression::Compression;
use crate::emit::Listed;
use crate::error::{ChunkedError, DescriptionFault, ForeignError};
use crate::port::{ForeignObjects, ForeignSink, Location, Watch};
use crate::sha_list::{Hash, read_sha_list};
use crew::{Crew, Lists};
use store::Store;

/// What one thread needs to write objects, however large they are; half of it for `zstd`
/// alone. There are as many threads as processors, up to 8.
pub const WRITE_MEMORY_PER_THREAD: usize = 80 << 20;

/// What a backup says of itself and its volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupHeader {
    /// The backup.
    pub backup_id: BackupId,
    /// The volume it is of.
    pub volume_id: VolumeId,
    /// Its name.
    pub name: Option<String>,
    /// Its description.
    pub description: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// The backup it builds on: none for a full one, and [`write_incremental`] sees to it.
    pub parent_id: Option<BackupId>,
    /// What is remembered of the volume; see [`crate::VolumeMeta::to_text`].
    pub volume_meta: Option<String>,
}

/// How the volume is cut and compressed: options of Cinder's drivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteOptions {
    /// How objects are compressed, unless that makes them no smaller.
    pub compression: Compression,
    /// Bytes of the volume in one object.
    pub object_size: u64,
    /// Bytes of the volume under one hash.
    pub block_size: u32,
}

impl WriteOptions {
    /// What the drivers for directories do unless told otherwise.
    pub const DIRECTORY: Self = Self {
        compression: Compression::Zlib,
        object_size: 1_999_994_880,
        block_size: 32_768,
    };

    /// What the drivers for object stores do unless told otherwise.
    pub const OBJECT_STORE: Self = Self {
        compression: Compression::Zlib,
        object_size: 52_428_800,
        block_size: 32_768,
    };

    /// Refuses sizes that do not go together.
    pub fn check(&self) -> Result<(), ChunkedError> {
        let block = u64::from(self.block_size);
        if block == 0 || self.object_size == 0 || !self.object_size.is_multiple_of(block) {
            return Err(ChunkedError::BadOptions(
                "the object size must be a multiple of the hash block size",
            ));
        }
        Ok(())
    }
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WriteReport {
    /// Data objects; the record of the backup needs the number.
    pub object_count: u32,
    /// Bytes of the volume in them.
    pub data_bytes: u64,
    /// Bytes they take.
    pub stored_bytes: u64,
}

/// Writes a full backup. After a failure nothing of it is left, as far as it can be removed.
pub fn write(
    source: &dyn SourceSnapshot,
    sink: &dyn ForeignSink,
    location: &Location,
    (header, options): (&BackupHeader, WriteOptions),
    watch: &dyn Watch,
) -> Result<WriteReport, ChunkedError> {
    if header.parent_id.is_some() {
        return Err(ChunkedError::BadOptions("a full backup has no parent"));
    }
    options.check()?;
    let store = Store::new((source, sink, watch), location, options);
    run(&store, header, None)
}

/// Writes what differs from a backup with hashes of the same block size, whose list lies in
/// `parents` at `parent`. The volume must not have grown since.
pub fn write_incremental(
    source: &dyn SourceSnapshot,
    sink: &dyn ForeignSink,
    location: &Location,
    (header, options): (&BackupHeader, WriteOptions),
    (parents, parent): (&dyn ForeignObjects, &Location),
    watch: &dyn Watch,
) -> Result<WriteReport, ChunkedError> {
    let object = parent.sha256_name();
    let described = |fault| ChunkedError::Description {
        object: object.clone(),
        fault,
    };
    // Read once for its numbers and once for its hashes, so that neither has to be kept.
    let Some(list) = read_sha_list(parents, parent, &mut |_| true)? else {
        return Err(described(DescriptionFault::NoField("sha256s")));
    };
    let block = u64::from(options.block_size);
    if list.block_size != block {
        return Err(described(DescriptionFault::BlockSize {
            found: list.block_size,
            wanted: block,
        }));
    }
    if list.volume_id != header.volume_id {
        return Err(described(DescriptionFault::OtherVolume {
            found: list.volume_id,
            wanted: header.volume_id,
        }));
    }
    let wanted = source.size().0.div_ceil(block);
    if list.count < wanted {
        return Err(described(DescriptionFault::HashCount {
            found: list.count,
            wanted,
            block,
        }));
    }
    let header = BackupHeader {
        parent_id: Some(list.backup_id),
        ..header.clone()
    };
    options.check()?;
    let store = Store::new((source, sink, watch), location, options);
    std::thread::scope(|scope| {
        // Few batches may wait: a list can be larger than the memory.
        let (send, hashes) = sync_channel(4);
        let reading = scope.spawn(move || {
            let mut batch = Vec::with_capacity(BATCH);
            let read = read_sha_list(parents, parent, &mut |hash| {
                batch.push(hash);
                batch.len() < BATCH || send.send(std::mem::take(&mut batch)).is_ok()
            });
            // Nobody listens where the writer failed.
            let _ = send.send(batch);
            read.map(drop)
        });
        let parent = ParentHashes {
            batches: hashes,
            waiting: Vec::new().into_iter(),
        };
        let written = run(&store, &header, Some(parent));
        let read = reading
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // A list that broke off explains why there were too few hashes.
        read.and(written)
    })
}

fn run(
    store: &Store<'_>,
    header: &BackupHeader,
    parent: Option<ParentHashes>,
) -> Result<WriteReport, ChunkedError> {
    let written = write_all(store, header, parent);
    if written.is_err() {
        store.remove_all();
    }
    written
}

fn write_all(
    store: &Store<'_>,
    header: &BackupHeader,
    parent: Option<ParentHashes>,
) -> Result<WriteReport, ChunkedError> {
    let (sha_name, meta_name) = (store.location.sha256_name(), store.location.metadata_name());
    let failed = |name: &str, cause: io::Error| ForeignError::io(name, cause);
    // Both appear under their names only when they are finished.
    let metadata = Listed::metadata(store.create(&meta_name)?, header)
        .map_err(|cause| failed(&meta_name, cause))?;
    let hashes = Listed::hashes(store.create(&sha_name)?, header, store.options.block_size)
        .map_err(|cause| failed(&sha_name, cause))?;
    let lists = Lists { metadata, hashes };
    let (lists, report) = Crew::new(store, lists, parent)?.work()?;
    lists
        .hashes
        .finish()
        .map_err(|cause| failed(&sha_name, cause))?;
    store.stands(sha_name);
    lists
        .metadata
        .finish()
        .map_err(|cause| failed(&meta_name, cause))?;
    Ok(report)
}

/// Hashes handed over at once.
const BATCH: usize = 1024;

/// The hashes of the parent, one after the other.
struct ParentHashes {
    batches: Receiver<Vec<Hash>>,
    waiting: std::vec::IntoIter<Hash>,
}

impl ParentHashes {
    fn take(&mut self, count: usize) -> Option<Vec<Hash>> {
        let mut taken = Vec::with_capacity(count);
        while taken.len() < count {
            match self.waiting.next() {
                Some(hash) => taken.push(hash),
                None => self.waiting = self.batches.recv().ok()?.into_iter(),
            }
        }
        Some(taken)
    }
}
