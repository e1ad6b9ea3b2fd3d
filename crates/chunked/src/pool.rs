//! Worker threads that share a list of work.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use crate::error::ChunkedError;
use crate::port::Watch;

/// Bytes handled at once: by a read, a write, a step of a digest.
pub(crate) const PIECE: usize = 1 << 20;

/// What one thread needs to read objects, however large they are: two buffers and a decoder.
/// Restoring and verifying use as many threads as there are processors, up to 8.
pub const READ_MEMORY_PER_THREAD: usize = 12 << 20;

/// Returns how many threads work at a time.
pub(crate) fn threads() -> usize {
    std::thread::available_parallelism()
        .map_or(2, usize::from)
        .clamp(1, 8)
}

/// Does every piece of work once, in order of number but for what runs at the same time. The
/// first failure stops the rest.
pub(crate) fn for_each<S>(
    count: usize,
    watch: &dyn Watch,
    start: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) -> Result<(), ChunkedError> + Sync,
) -> Result<(), ChunkedError> {
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let failure = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..threads().min(count) {
            scope.spawn(|| {
                let mut state = start();
                while !stop.load(Relaxed) {
                    let number = next.fetch_add(1, Relaxed);
                    if number >= count {
                        break;
                    }
                    let done = if watch.is_cancelled() {
                        Err(ChunkedError::Cancelled)
                    } else {
                        work(&mut state, number)
                    };
                    if let Err(cause) = done {
                        stop.store(true, Relaxed);
                        failure
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .get_or_insert(cause);
                    }
                }
            });
        }
    });
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(cause) => Err(cause),
        None => Ok(()),
    }
}
