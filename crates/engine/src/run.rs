//! What a caller sees of a running operation, and how it stops one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Progress and cancellation of one operation; clones share both.
#[derive(Debug, Clone, Default)]
pub struct Run(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    cancelled: AtomicBool,
    total: AtomicU64,
    done: AtomicU64,
    read: AtomicU64,
    stored: AtomicU64,
    planned: AtomicBool,
}

/// How far an operation is, in bytes. Figures may be a moment old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Bytes there are to deal with; 0 until that is known.
    pub total: u64,
    /// Bytes dealt with, zeroes and known data among them.
    pub done: u64,
    /// Bytes read: from the volume by a backup, from the store by anything else.
    pub read: u64,
    /// Bytes written: to the store, or to the volume by a restore.
    pub stored: u64,
}

impl Run {
    /// Starts at nought.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the operation to stop; it does so within a chunk.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Relaxed);
    }

    /// Tells whether the operation was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Relaxed)
    }

    /// Returns how far the operation is.
    pub fn progress(&self) -> Progress {
        let counters = &self.0;
        Progress {
            total: counters.total.load(Relaxed),
            done: counters.done.load(Relaxed),
            read: counters.read.load(Relaxed),
            stored: counters.stored.load(Relaxed),
        }
    }

    /// Says how many bytes several operations will deal with in all.
    pub fn plan(&self, total: u64) {
        self.begin(total);
        self.0.planned.store(true, Relaxed);
    }

    /// Begins to count, for an operation that reads or writes elsewhere than a repository.
    /// Operations that are parts of a plan add to it instead.
    pub fn begin(&self, total: u64) {
        if self.0.planned.load(Relaxed) {
            return;
        }
        self.0.total.store(total, Relaxed);
        self.0.done.store(0, Relaxed);
    }

    /// Counts bytes that are dealt with.
    pub fn add_done(&self, bytes: u64) {
        self.0.done.fetch_add(bytes, Relaxed);
    }

    pub(crate) fn add_read(&self, bytes: u64) {
        self.0.read.fetch_add(bytes, Relaxed);
    }

    pub(crate) fn add_stored(&self, bytes: u64) {
        self.0.stored.fetch_add(bytes, Relaxed);
    }
}
