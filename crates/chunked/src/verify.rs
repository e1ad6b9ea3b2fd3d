//! Finds what is wrong with a backup without restoring it.

use std::ops::Range;
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};
use emberkeep_model::ByteCount;
use emberkeep_volumes::SourceSnapshot;

use crate::chain::{Chain, Listing};
use crate::decode::ObjectReader;
use crate::error::{ChunkedError, DescriptionFault};
use crate::metadata::BackupMetadata;
use crate::pool::{PIECE, for_each};
use crate::port::{ForeignObjects, Location, Watch};
use crate::sha_list::{Hash, read_sha_list};
use crate::source::ChainSource;

/// The most problems that are listed one by one.
const PROBLEMS: usize = 100;

/// Hashes handed over at once, and how many such batches may wait.
const BATCH: usize = 1024;
const BATCHES: usize = 8;

/// What was found.
#[derive(Debug)]
pub struct VerifyReport {
    /// The backup's description.
    pub metadata: BackupMetadata,
    /// Objects that were read and are as recorded.
    pub sound: u64,
    /// Objects for which no digest is recorded, among the sound ones.
    pub without_md5: u64,
    /// What is wrong, at most a hundred of it.
    pub problems: Vec<ChunkedError>,
    /// Objects with the backup's prefix that it does not list. They hurt nothing here, but
    /// Cinder refuses to restore such a backup.
    pub unlisted: Vec<String>,
    /// Whether the backup has its list of hashes, which only further increments need.
    pub sha256_file: bool,
}

impl VerifyReport {
    /// Tells whether all objects are as recorded.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Reads every object of one backup and compares lengths and digests. Fails only where the
/// description cannot be used or the repository cannot be read.
pub fn verify(
    objects: &dyn ForeignObjects,
    location: &Location,
    watch: &dyn Watch,
) -> Result<VerifyReport, ChunkedError> {
    let metadata = BackupMetadata::read(objects, location)?;
    let listing = Listing::of(&metadata, objects)?;
    let problems = Mutex::new(Vec::new());
    let bad = Mutex::new(0_u64);
    for_each(
        metadata.objects.len(),
        watch,
        || vec![0; PIECE],
        |buffer, number| match read_through(objects, &metadata, number, (buffer, watch)) {
            Err(cause @ ChunkedError::Object { .. }) => {
                *bad.lock().unwrap_or_else(PoisonError::into_inner) += 1;
                let mut problems = problems.lock().unwrap_or_else(PoisonError::into_inner);
                if problems.len() < PROBLEMS {
                    problems.push(cause);
                }
                Ok(())
            }
            other => other,
        },
    )?;
    let bad = bad.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut problems = problems
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    problems.sort_by_key(|problem| match problem {
        ChunkedError::Object { offset, .. } => *offset,
        _ => None,
    });
    let without_md5 = metadata.objects.iter().filter(|entry| entry.md5.is_none());
    Ok(VerifyReport {
        sound: metadata.objects.len() as u64 - bad,
        without_md5: without_md5.count() as u64,
        problems,
        unlisted: listing.unlisted,
        sha256_file: listing.sha256_file,
        metadata,
    })
}

fn read_through(
    objects: &dyn ForeignObjects,
    metadata: &BackupMetadata,
    number: usize,
    (buffer, watch): (&mut [u8], &dyn Watch),
) -> Result<(), ChunkedError> {
    let entry = &metadata.objects[number];
    let mut reader = ObjectReader::open(objects, metadata, entry)?;
    while reader.position() < entry.length {
        if watch.is_cancelled() {
            return Err(ChunkedError::Cancelled);
        }
        let at = entry.offset + reader.position();
        let read = reader
            .read(buffer)
            .map_err(|fault| metadata.object_error(entry, at, fault))?;
        watch.advance(read as u64);
    }
    Ok(())
}

/// Compares the whole image of a chain with the hashes of its newest backup. This finds what
/// [`verify`] cannot: backups that are whole but do not belong together.
pub fn verify_image(
    chain: &Chain,
    objects: &dyn ForeignObjects,
    watch: &dyn Watch,
) -> Result<(), ChunkedError> {
    let newest = chain.newest();
    let object = newest.location.sha256_name();
    let described = |fault| ChunkedError::Description {
        object: object.clone(),
        fault,
    };
    // Twice through the list, so that its numbers are known before anything is read.
    let Some(list) = read_sha_list(objects, &newest.location, &mut |_| true)? else {
        return Ok(());
    };
    if list.backup_id != newest.backup_id {
        return Err(described(DescriptionFault::OtherBackup {
            found: list.backup_id,
            wanted: newest.backup_id,
        }));
    }
    let (block, end) = (list.block_size, chain.end().0);
    let wanted = end.div_ceil(block);
    if list.count != wanted {
        return Err(described(DescriptionFault::HashCount {
            found: list.count,
            wanted,
            block,
        }));
    }
    let source = ChainSource::new(chain.clone(), objects, Some(ByteCount(end)))?;
    let (send, hashes) = sync_channel::<Vec<Hash>>(BATCHES);
    std::thread::scope(|scope| {
        let reading = scope.spawn(move || {
            let mut batch = Vec::with_capacity(BATCH);
            let list = read_sha_list(objects, &newest.location, &mut |hash| {
                batch.push(hash);
                batch.len() < BATCH || send.send(std::mem::take(&mut batch)).is_ok()
            });
            // A failure here means that nobody compares any more.
            let _ = send.send(batch);
            list
        });
        let mut at = 0;
        let mut buffer = vec![0; PIECE];
        // Moved in, so that the list is no longer read once a block differs.
        let hashes = hashes;
        for hash in hashes.iter().flatten() {
            let length = block.min(end - at);
            if hash_of(&source, at..at + length, &mut buffer)? != hash {
                return Err(ChunkedError::Block {
                    object: object.clone(),
                    offset: at,
                    length,
                });
            }
            at += length;
            watch.advance(length);
            if watch.is_cancelled() {
                return Err(ChunkedError::Cancelled);
            }
        }
        drop(hashes);
        reading
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            .map(drop)
    })
}

/// Hashes a block piece by piece, whatever its recorded size.
fn hash_of(
    source: &ChainSource<'_>,
    block: Range<u64>,
    buffer: &mut [u8],
) -> Result<Hash, ChunkedError> {
    let mut hash = Context::new(&SHA256);
    let mut at = block.start;
    while at < block.end {
        let length =
            usize::try_from(block.end - at).map_or(buffer.len(), |left| left.min(buffer.len()));
        source.read_at(at, &mut buffer[..length])?;
        hash.update(&buffer[..length]);
        at += length as u64;
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(hash.finish().as_ref());
    Ok(bytes)
}
