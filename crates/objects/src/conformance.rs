//! What every database of backups must do. A test of an adapter is one call of [`run`].

#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test that called it"
)]

mod lifecycle;
mod lists;

use emberkeep_model::Timestamp;

use crate::database::memory::MemoryBackups;
use crate::database::store::BackupStore;

/// A database whose clock the suite sets.
pub trait Subject: BackupStore {
    /// Sets the time.
    fn set_now(&self, now: Timestamp);
}

impl Subject for MemoryBackups {
    fn set_now(&self, now: Timestamp) {
        Self::set_now(self, now);
    }
}

/// Runs the whole suite; `make` returns a new, empty database each time.
///
/// # Panics
///
/// Panics where the database differs from what the port promises and from what the real Cinder did.
pub async fn run<S: Subject>(make: impl AsyncFn() -> S) {
    lifecycle::run(&make).await;
    lists::run(&make).await;
}
