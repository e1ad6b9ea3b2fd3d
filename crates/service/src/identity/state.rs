//! The built-in identity and what it remembers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use emberkeep_catalog::Catalog;
use emberkeep_model::Timestamp;

use super::attempts::Attempts;
use super::cache::Cache;
use super::password::Passwords;
use crate::Clock;

/// How the built-in identity behaves.
#[derive(Debug, Clone, Copy)]
pub struct IdentitySettings {
    /// How long a token got with a password lasts.
    pub token_lifetime: Duration,
}

impl Default for IdentitySettings {
    fn default() -> Self {
        Self {
            token_lifetime: Duration::from_secs(4 * 3600),
        }
    }
}

/// The built-in identity.
pub struct Identity {
    pub(super) catalog: Arc<dyn Catalog>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) settings: IdentitySettings,
    pub(super) passwords: Passwords,
    pub(super) attempts: Mutex<Attempts>,
    pub(super) cache: Mutex<Cache>,
    pub(super) purged_at: Mutex<Timestamp>,
    /// When a probe last wrote to the catalogue.
    pub(super) proven: tokio::sync::Mutex<Option<Instant>>,
}

impl Identity {
    /// Makes an identity over the users and projects in `catalog`.
    pub fn new(
        catalog: Arc<dyn Catalog>,
        clock: Arc<dyn Clock>,
        settings: IdentitySettings,
    ) -> Self {
        Self {
            catalog,
            clock,
            settings,
            passwords: Passwords::default(),
            attempts: Mutex::default(),
            cache: Mutex::default(),
            purged_at: Mutex::default(),
            proven: tokio::sync::Mutex::default(),
        }
    }

    /// Makes every token be looked up again, after something about one, a user or a project changed.
    pub(super) fn forget_tokens(&self) {
        lock(&self.cache).clear();
    }
}

/// Locks a mutex. What is guarded here is whole after every statement, so a panic elsewhere does no harm.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
