//! A small repository in memory, and what to do with it.

use emberkeep_chunked::memory::MemoryObjects;
use emberkeep_chunked::{
    BackupHeader, Chain, ChunkedError, Compression, ForeignObjects, Location, RestoreReport,
    WriteOptions, restore, write, write_incremental,
};
use emberkeep_model::{BackupId, Timestamp, VolumeId};
use emberkeep_testkit::MemoryProvider;
use emberkeep_volumes::{TargetState, VolumeProvider};

/// Bytes of an object and of a hash block: small, so that little data makes many of them.
pub(crate) const OBJECT: u64 = 32_768;
pub(crate) const BLOCK: u32 = 4096;

pub(crate) fn volume() -> VolumeId {
    "fef2ac11-2340-463d-9b09-582cfbe1a8a4"
        .parse()
        .expect("an id")
}

pub(crate) fn backup(n: usize) -> BackupId {
    format!("00000000-0000-4000-8000-{n:012}")
        .parse()
        .expect("an id")
}

pub(crate) fn location(n: usize) -> Location {
    Location::in_directory(backup(n), volume(), Timestamp(1_711_936_923_000_000), None)
        .expect("a location")
}

pub(crate) fn header(n: usize) -> BackupHeader {
    BackupHeader {
        backup_id: backup(n),
        volume_id: volume(),
        name: Some(format!("backup {n}")),
        description: None,
        created_at: Timestamp(1_711_936_923_001_453),
        parent_id: None,
        volume_meta: None,
    }
}

pub(crate) fn options(compression: Compression) -> WriteOptions {
    WriteOptions {
        compression,
        object_size: OBJECT,
        block_size: BLOCK,
    }
}

/// Writes an image as backup `n`, on top of backup `n - 1` unless `n` is 0.
pub(crate) fn put(objects: &MemoryObjects, n: usize, image: &[u8], compression: Compression) {
    let disks = MemoryProvider::new();
    disks.set(volume(), image.to_vec());
    let source = disks.open_source(volume()).expect("a source");
    let header = header(n);
    let what = (&header, options(compression));
    let (place, report) = (location(n), objects.clone());
    if n == 0 {
        write(&*source, &report, &place, what, &()).expect("a full backup");
    } else {
        let parent = (objects as &dyn ForeignObjects, &location(n - 1));
        write_incremental(&*source, &report, &place, what, parent, &()).expect("an incremental");
    }
}

/// Reads the chain of backup `n`, whose parents lie where [`put`] puts them.
pub(crate) fn chain(objects: &MemoryObjects, n: usize) -> Result<Chain, ChunkedError> {
    Chain::load(objects, &location(n), |parent| {
        Ok((0..100).find(|n| backup(*n) == parent).map(location))
    })
}

/// Restores backup `n` over `before`; returns what the volume holds afterwards in any case.
pub(crate) fn restored(
    objects: &MemoryObjects,
    n: usize,
    before: Vec<u8>,
) -> (Result<RestoreReport, ChunkedError>, Vec<u8>) {
    let state = if before.iter().all(|byte| *byte == 0) {
        TargetState::Zeroed
    } else {
        TargetState::HoldsData
    };
    let disks = MemoryProvider::new();
    disks.set(volume(), before);
    let target = disks.open_target(volume(), state).expect("a target");
    let report = chain(objects, n).and_then(|chain| restore(&chain, objects, &*target, &()));
    (report, disks.bytes(volume()).expect("a volume"))
}
