//! The workers that write copies of the catalog and check its file.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use emberkeep_catalog::{CatalogChanges, CatalogFile, CatalogFileError, CheckDepth};
use tokio::sync::watch;
use tokio::time::Instant;

use super::copies::CatalogCopies;
use super::schedule::{Unsaved, is_due};
use crate::error::chain;
use crate::{Desk, Worker};

/// How often it is looked whether a copy is due.
const LOOK: Duration = Duration::from_secs(1);
/// After a failure the next attempt waits.
const PAUSE: Duration = Duration::from_secs(60);

/// Writes copies: after settings changed, and every `interval` if anything did.
pub struct CopyWriter {
    /// What is copied, and where to.
    pub copies: Arc<CatalogCopies>,
    /// What changes in the catalog.
    pub changes: Arc<CatalogChanges>,
    /// How often a copy is made of a catalog that changes.
    pub interval: Duration,
}

#[async_trait]
impl Worker for CopyWriter {
    fn name(&self) -> String {
        "catalog copies".to_owned()
    }

    async fn run(&self, desk: Desk) {
        let mut seen = self.changes.counts();
        let mut last_copy = Instant::now();
        // What was changed before the process ended last may be in no copy.
        let mut rows = true;
        let is_first = self.is_first().await;
        let mut settings = is_first.then_some((last_copy, last_copy));
        let mut not_before = Instant::now();
        while !desk.is_stopping() {
            let now = Instant::now();
            let counts = self.changes.counts();
            rows |= counts.rows != seen.rows;
            if counts.settings != seen.settings {
                settings = Some((settings.map_or(now, |(first, _)| first), now));
            }
            seen = counts;
            let unsaved = Unsaved {
                since_copy: now - last_copy,
                rows,
                settings: settings.map(|(first, latest)| (now - first, now - latest)),
            };
            if now >= not_before && is_due(unsaved, self.interval) {
                desk.begin();
                // What changes from here on is in no copy for sure.
                (rows, settings) = (false, None);
                let problem = self.write().await;
                if problem.is_some() {
                    not_before = Instant::now() + PAUSE;
                    (rows, settings) = (true, unsaved.settings.map(|_| (now, now)));
                } else {
                    last_copy = now;
                }
                desk.end(problem.as_deref());
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = desk.stopped() => {}
            }
        }
        // What is not copied by now would be lost with the disk that the catalog lies on.
        let is_unsaved = rows || settings.is_some() || self.changes.counts().rows != seen.rows;
        if is_unsaved {
            self.write().await;
        }
    }
}

impl CopyWriter {
    /// Tells whether there is no copy yet.
    async fn is_first(&self) -> bool {
        let copies = Arc::clone(&self.copies);
        let listed =
            tokio::task::spawn_blocking(move || copies.repository().catalog_copies()).await;
        matches!(listed, Ok(Ok(copies)) if copies.is_empty())
    }

    /// Writes a copy; returns what went wrong.
    async fn write(&self) -> Option<String> {
        let copies = Arc::clone(&self.copies);
        let written = tokio::task::spawn_blocking(move || copies.write()).await;
        match written {
            Ok(Ok(copy)) => {
                tracing::info!(copy = %copy.name, bytes = copy.bytes, "catalog copied to the repository");
                None
            }
            Ok(Err(error)) => {
                let error = chain(&error);
                tracing::error!(error, "the catalog could not be copied; it is tried again");
                Some(error)
            }
            Err(panicked) => Some(panicked.to_string()),
        }
    }
}

/// Checks the catalog's file now and then, and says so if it is damaged: it must not be served then.
pub struct CatalogCheck {
    /// The file.
    pub file: CatalogFile,
    /// How often it is checked.
    pub every: Duration,
    /// Where damage is told.
    pub damaged: watch::Sender<Option<String>>,
}

#[async_trait]
impl Worker for CatalogCheck {
    fn name(&self) -> String {
        "catalog check".to_owned()
    }

    async fn run(&self, desk: Desk) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.every) => {}
                () = desk.stopped() => return,
            }
            desk.begin();
            let file = self.file.clone();
            let checked = tokio::task::spawn_blocking(move || file.check(CheckDepth::Whole)).await;
            let problem = match checked {
                Ok(Ok(())) => None,
                Ok(Err(error)) => {
                    let text = chain(&error);
                    if matches!(error, CatalogFileError::Damaged { .. }) {
                        self.damaged.send_replace(Some(text.clone()));
                    }
                    Some(text)
                }
                Err(panicked) => Some(panicked.to_string()),
            };
            if let Some(error) = &problem {
                tracing::error!(
                    error,
                    "the catalog's file could not be checked, or is damaged"
                );
            }
            desk.end(problem.as_deref());
        }
    }
}
