//! Which blocks are in an overlay: in memory, and in the file beside it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};

use super::BLOCK;
use crate::VolumeError;
use crate::file::{claim, rename_to_free_name, sync_parent};

const MAGIC: &[u8; 8] = b"EMBKOVL1";
/// The bytes before the bits.
const HEADER: u64 = 4096;
/// Where the header says that nothing of the base is needed any more.
const COMPLETE_AT: usize = 24;
const IDENTITY_AT: usize = 32;
const MAX_IDENTITY: usize = 200;
/// Bits of one word.
const BITS: u64 = 64;

/// Returns where the map of an overlay lies.
pub(super) fn path_of(overlay: &Path) -> PathBuf {
    let mut path = overlay.as_os_str().to_owned();
    path.push(".map");
    path.into()
}

/// The bitmap.
pub(super) struct BlockMap {
    file: File,
    size: u64,
    words: Vec<AtomicU64>,
    /// Words that have bits which are not stored.
    dirty: Mutex<BTreeSet<usize>>,
    complete: AtomicBool,
}

fn word_count(size: u64) -> usize {
    usize::try_from(size.div_ceil(BLOCK).div_ceil(BITS)).expect("maps fit the memory")
}

fn header(size: u64, identity: &str) -> Result<Vec<u8>, &'static str> {
    if identity.len() > MAX_IDENTITY {
        return Err("the name of its base is too long");
    }
    let mut bytes = vec![0; usize::try_from(HEADER).unwrap_or(4096)];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..16].copy_from_slice(&BLOCK.to_le_bytes());
    bytes[16..24].copy_from_slice(&size.to_le_bytes());
    bytes[IDENTITY_AT..IDENTITY_AT + identity.len()].copy_from_slice(identity.as_bytes());
    Ok(bytes)
}

impl BlockMap {
    /// Makes the map of an empty overlay; durable on return.
    pub(super) fn create(path: &Path, size: u64, identity: &str) -> Result<Self, VolumeError> {
        let what = path.display().to_string();
        let header = header(size, identity).map_err(|reason| VolumeError::OutOfRange {
            what: what.clone(),
            reason: reason.to_owned(),
        })?;
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let made = || -> io::Result<()> {
            let file = File::options()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&partial)?;
            file.write_all_at(&header, 0)?;
            file.set_len(HEADER + word_count(size) as u64 * 8)?;
            file.sync_all()?;
            rename_to_free_name(&partial, path)?;
            sync_parent(path)
        };
        made().map_err(|cause| VolumeError::io(&what, cause))?;
        Self::open(path, size, identity)
    }

    /// Reads a map; refuses one of another base, and one that is in use.
    pub(super) fn open(path: &Path, size: u64, identity: &str) -> Result<Self, VolumeError> {
        let what = path.display().to_string();
        let failed = |cause| VolumeError::io(&what, cause);
        let file = File::options()
            .read(true)
            .write(true)
            .open(path)
            .map_err(failed)?;
        if !claim(&file, path).map_err(failed)? {
            let cause = io::Error::new(ErrorKind::ResourceBusy, "the overlay is in use");
            return Err(failed(cause));
        }
        let mut bytes = vec![0; usize::try_from(HEADER).unwrap_or(4096)];
        file.read_exact_at(&mut bytes, 0).map_err(failed)?;
        let complete = bytes[COMPLETE_AT] == 1;
        bytes[COMPLETE_AT] = 0;
        let bad = |reason: &str| VolumeError::BadImage {
            what: what.clone(),
            format: "the map of an overlay",
            reason: reason.to_owned(),
        };
        if &bytes[..8] != MAGIC {
            return Err(bad("it does not begin as one"));
        }
        if bytes != header(size, identity).map_err(bad)? {
            return Err(bad("it belongs to another volume"));
        }
        let count = word_count(size);
        let mut bits = vec![0; count * 8];
        file.read_exact_at(&mut bits, HEADER).map_err(failed)?;
        let words = bits
            .chunks_exact(8)
            .map(|word| AtomicU64::new(u64::from_le_bytes(word.try_into().unwrap_or_default())))
            .collect();
        Ok(Self {
            file,
            size,
            words,
            dirty: Mutex::default(),
            complete: AtomicBool::new(complete),
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| word.load(SeqCst) == 0)
    }

    pub(super) fn is_complete(&self) -> bool {
        self.complete.load(SeqCst)
    }

    pub(super) fn count(&self) -> u64 {
        let ones = |word: &AtomicU64| u64::from(word.load(SeqCst).count_ones());
        self.words.iter().map(ones).sum()
    }

    pub(super) fn has(&self, block: u64) -> bool {
        let (word, bit) = place(block);
        self.words[word].load(SeqCst) & bit != 0
    }

    /// Takes note that blocks are there; their bytes were written before.
    pub(super) fn add(&self, blocks: Range<u64>) {
        let mut dirty = self.dirty.lock().unwrap_or_else(PoisonError::into_inner);
        for block in blocks {
            let (word, bit) = place(block);
            // Within the lock, so that whoever takes the word from the list sees the bit.
            if self.words[word].fetch_or(bit, SeqCst) & bit == 0 {
                dirty.insert(word);
            }
        }
    }

    /// Cuts a range of bytes into runs that are there and runs that are not.
    pub(super) fn runs(&self, range: Range<u64>) -> Vec<(Range<u64>, bool)> {
        let mut runs: Vec<(Range<u64>, bool)> = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let block = at / BLOCK;
            let (word, _) = place(block);
            let bits = self.words[word].load(SeqCst);
            // A word that is all the same is one step.
            let whole = (bits == 0 || bits == u64::MAX) && block.is_multiple_of(BITS);
            let step = if whole { BITS } else { 1 };
            let end = ((block + step) * BLOCK).min(range.end);
            let present = bits & place(block).1 != 0;
            match runs.last_mut() {
                Some((run, there)) if *there == present => run.end = end,
                _ => runs.push((at..end, present)),
            }
            at = end;
        }
        runs
    }

    /// Returns the words that have to be stored, as they are now.
    pub(super) fn take_dirty(&self) -> Vec<(usize, u64)> {
        let mut dirty = self.dirty.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *dirty)
            .into_iter()
            .map(|word| (word, self.words[word].load(SeqCst)))
            .collect()
    }

    /// Takes words back that could not be stored.
    pub(super) fn put_back(&self, words: Vec<(usize, u64)>) {
        let mut dirty = self.dirty.lock().unwrap_or_else(PoisonError::into_inner);
        dirty.extend(words.into_iter().map(|(word, _)| word));
    }

    /// Stores words; durable on return.
    pub(super) fn store(&self, words: &[(usize, u64)]) -> io::Result<()> {
        if words.is_empty() {
            return Ok(());
        }
        let mut rest = words;
        while let Some((first, _)) = rest.first() {
            let count = rest
                .iter()
                .zip(*first..)
                .take_while(|((word, _), next)| word == next)
                .count();
            let (run, later) = rest.split_at(count);
            let bytes: Vec<u8> = run
                .iter()
                .flat_map(|(_, bits)| bits.to_le_bytes())
                .collect();
            self.file.write_all_at(&bytes, HEADER + *first as u64 * 8)?;
            rest = later;
        }
        self.file.sync_data()
    }

    /// Takes note, durably, that the base is not needed any more.
    pub(super) fn complete(&self) -> io::Result<()> {
        let blocks = self.size.div_ceil(BLOCK);
        if self.count() != blocks {
            let reason = "a block is missing although all were brought in";
            return Err(io::Error::other(reason));
        }
        self.file.write_all_at(&[1], COMPLETE_AT as u64)?;
        self.file.sync_data()?;
        self.complete.store(true, SeqCst);
        Ok(())
    }
}

fn place(block: u64) -> (usize, u64) {
    let word = usize::try_from(block / BITS).expect("maps fit the memory");
    (word, 1 << (block % BITS))
}
